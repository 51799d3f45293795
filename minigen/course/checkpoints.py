"""The checkpoints that lessons load: what trains each one, and the figures that it must reach.

`python -m minigen checkpoints` trains, verifies and writes all of them, `... checkpoints
digits_gpt` only that one; `--verify` trains nothing and checks the files that are there. What needs
seconds is trained live in the lesson itself.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import minigen as mg

FOLDER = Path(__file__).resolve().parents[2] / "lessons" / "checkpoints"
LARGEST = 600_000  # bytes of one file


@dataclass(frozen=True)
class Recipe:
    """How to make a checkpoint, and the lowest and highest value allowed for each figure."""

    about: str
    train: Callable[[np.random.Generator], None]  # gives the model, trained
    measure: Callable[..., dict[str, float]]
    bounds: dict[str, tuple[float, float]]


def train(model, batches, steps: int, lr: float, rng: np.random.Generator):
    """Train by the common recipe; the model is left with the averaged values."""
    losses, ema = mg.fit(model, batches, steps=steps, lr=lr, rng=rng)
    if len(losses) < steps:  # Ctrl-C: half a training is not to be written
        raise KeyboardInterrupt
    with ema.applied():
        averaged = mg.nn.state(model)
    mg.nn.load_state(model, averaged)
    return model


# -- the digits, by both families ----------------------------------------------------------------


def train_digits_ddpm(rng: np.random.Generator) -> mg.DDPM:
    """A UNet that knows the ten classes (and how to do without): 3,000 steps of 128 images."""
    digits = mg.data.digits()
    x = mg.data.to_signed(digits.train)[:, None]
    rows = mg.data.batches(np.arange(len(x)), 128, rng)
    batches = ((x[i], digits.train_labels[i]) for i in rows)
    net = mg.networks.UNet(shape=(1, 8, 8), channels=(24, 48), classes=10, rng=rng)
    ddpm = mg.DDPM(net, mg.schedules.cosine(), steps=1000, predict="velocity", levels=17)
    return train(ddpm, batches, steps=3000, lr=2e-3, rng=rng)


def measure_digits_ddpm(ddpm: mg.DDPM, rng: np.random.Generator) -> dict[str, float]:
    """Sample metrics of 360 samples, by 200 ancestral steps and 25 of DDIM; the share of the class
    asked for.
    """
    label = np.arange(360) % 10
    slow = mg.data.to_levels(ddpm.sample(360, rng, steps=200, label=label))[:, 0]
    fast = mg.data.to_levels(ddpm.sample(360, rng, method="ddim", steps=25, label=label))[:, 0]
    return {
        **sample_figures(slow, rng),
        "one_nn_accuracy_ddim_25": sample_figures(fast, rng)["one_nn_accuracy"],
        "asked_class": float((nearest_label(slow) == label).mean()),
    }


def train_digits_gpt(rng: np.random.Generator) -> mg.GPT:
    """Pixel after pixel over the 17 grey levels, row by row: 1,000 steps of 64 images."""
    batches = mg.data.batches(mg.data.digits().train.reshape(-1, 64), 64, rng)
    gpt = mg.GPT(vocab_size=17, context=64, layers=3, heads=4, width=80, rng=rng)
    return train(gpt, batches, steps=1000, lr=3e-3, rng=rng)


def measure_digits_gpt(gpt: mg.GPT, rng: np.random.Generator) -> dict[str, float]:
    """Test bits per dimension, exact, and the sample metrics of 360 samples."""
    bits = mg.evaluate.bits_per_dim(gpt, mg.data.digits().test.reshape(-1, 64))
    samples = gpt.sample(360, rng, length=64).reshape(-1, 8, 8)
    return {"test_bits_per_dim": bits.value, **sample_figures(samples, rng)}


def sample_figures(samples: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """The sample metrics of images (360, 8, 8) of levels; their floors, of real training images."""
    digits = mg.data.digits()
    of_samples, floor = mg.evaluate.sample_metrics(samples, digits.test, digits.train, rng)
    return {
        **of_samples._asdict(),
        **{f"floor_{name}": value for name, value in floor._asdict().items()},
    }


def nearest_label(images: np.ndarray) -> np.ndarray:
    """The label of the nearest training image, (N,): right for 98% of the test images."""
    digits = mg.data.digits()
    x, known = (a.reshape(len(a), -1).astype(np.float64) for a in (images, digits.train))
    # squared, less a constant for each image: (N, 1437)
    distance = (known**2).sum(axis=1) - 2 * x @ known.T
    return digits.train_labels[distance.argmin(axis=1)]


RECIPES = {
    "digits_ddpm": Recipe(
        "DDPM of the digits by class (velocity, cosine schedule, UNet)",
        train_digits_ddpm,
        measure_digits_ddpm,
        {
            "one_nn_accuracy": (0.4, 0.65),
            "precision": (0.8, 1),
            "recall": (0.75, 1),
            "asked_class": (0.95, 1),
        },
    ),
    "digits_gpt": Recipe(
        "GPT of the digits, pixel after pixel",
        train_digits_gpt,
        measure_digits_gpt,
        {"test_bits_per_dim": (1.7, 1.95), "one_nn_accuracy": (0.4, 0.75), "recall": (0.8, 1)},
    ),
}


# -- the command ---------------------------------------------------------------------------------


def verify(name: str, path: Path) -> tuple[dict[str, float], list[str]]:
    """The figures of the checkpoint in `path`, and what is wrong with it: [] if nothing."""
    recipe = RECIPES[name]
    figures = recipe.measure(mg.load(path), np.random.default_rng(0))
    problems = [
        f"{figure} = {figures[figure]:.3f}, must lie in {low} .. {high}"
        for figure, (low, high) in recipe.bounds.items()
        if not low <= figures[figure] <= high
    ]
    if path.stat().st_size > LARGEST:
        problems.append(f"{path.stat().st_size} bytes, at most {LARGEST} are allowed")
    return figures, problems


def build(name: str, folder: Path = FOLDER) -> list[str]:
    """Train, verify what `load` gives back, write NAME.npz and NAME.json; nothing if it fails."""
    begin = time.perf_counter()
    model = RECIPES[name].train(np.random.default_rng(0))
    seconds = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as trial:
        path = Path(trial, f"{name}.npz")
        mg.save(path, model, half=True)
        figures, problems = verify(name, path)
        report(name, figures, problems)
        if not problems:
            folder.mkdir(parents=True, exist_ok=True)
            mg.save(folder / path.name, model, half=True)
            facts = {
                "about": RECIPES[name].about,
                "training_seconds": round(seconds),
                "numbers": sum(p.size for p in mg.nn.parameters(model).values()),
                "sha256": hashlib.sha256((folder / path.name).read_bytes()).hexdigest(),
                "figures": {key: round(value, 4) for key, value in figures.items()},
            }
            (folder / f"{name}.json").write_text(
                json.dumps(facts, indent=1) + "\n", encoding="utf-8"
            )
    return problems


def report(name: str, figures: dict[str, float], problems: list[str]) -> None:
    """Print the figures of one checkpoint beside their bounds."""
    print(f"{name}: {RECIPES[name].about}")
    for figure, value in figures.items():
        low, high = RECIPES[name].bounds.get(figure, (None, None))
        must = f"   must lie in {low} .. {high}" if figure in RECIPES[name].bounds else ""
        print(f"  {figure:32} {value:8.3f}{must}")
    for problem in problems:
        print(f"  WRONG: {problem}")


def main(argv: list[str]) -> int:
    """Build or verify checkpoints; 1 if one of them fails."""
    parser = argparse.ArgumentParser(prog="python -m minigen checkpoints", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"out of {', '.join(RECIPES)}; all if not given"
    )
    parser.add_argument(
        "--verify", action="store_true", help="train nothing, check the files that are there"
    )
    given = parser.parse_args(argv)
    if unknown := set(given.names) - set(RECIPES):
        parser.error(
            f"no checkpoint is called {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}"
        )
    failed = False
    for name in given.names or RECIPES:
        if given.verify:
            figures, problems = verify(name, FOLDER / f"{name}.npz")
            report(name, figures, problems)
        else:
            problems = build(name)
        failed |= bool(problems)
    return int(failed)
