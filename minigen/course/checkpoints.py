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
from types import SimpleNamespace

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
    facts: Callable[[], dict] = dict  # also for NAME.json: there `sample` reads what tokens mean


def train(model, batches, steps: int, lr: float, rng: np.random.Generator, **recipe):
    """Train by the common recipe; the model is left with the averaged values."""
    losses, ema = mg.fit(model, batches, steps=steps, lr=lr, rng=rng, **recipe)
    if len(losses) < steps:  # Ctrl-C: half a training is not to be written
        raise KeyboardInterrupt
    with ema.applied():
        averaged = mg.nn.state(model)
    mg.nn.load_state(model, averaged)
    return model


# -- the digits, by all families -----------------------------------------------------------------


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


def train_digits_masked(rng: np.random.Generator) -> mg.MaskedDiffusion:
    """Pixels as tokens, hidden at random: 1,500 steps of 32 images."""
    batches = mg.data.batches(mg.data.digits().train.reshape(-1, 64), 32, rng)
    masked = mg.MaskedDiffusion(vocab_size=17, context=64, layers=3, heads=4, width=64, rng=rng)
    begin_with(masked, rows_and_columns(width=64))
    return train(masked, batches, steps=1500, lr=6e-3, rng=rng)


def train_digits_block(rng: np.random.Generator) -> mg.BlockDiffusion:
    """Row after row, the pixels of a row hidden at random: 400 steps of 32 images."""
    batches = mg.data.batches(mg.data.digits().train.reshape(-1, 64), 32, rng)
    block = mg.BlockDiffusion(17, 64, layers=3, heads=4, width=64, block_size=8, rng=rng)
    begin_with(block, rows_and_columns(width=64))
    return train(block, batches, steps=400, lr=6e-3, rng=rng)


def rows_and_columns(width: int) -> np.ndarray:
    """(64, width): waves, of each vector the first half of the pixel's row, then of its column."""
    row, column = np.divmod(np.arange(64), 8)
    return np.concatenate([waves(at, width // 2, longest=100) for at in (row, column)], axis=1)


def measure_digits_masked(masked: mg.MaskedDiffusion, rng: np.random.Generator) -> dict[str, float]:
    """Test bits per dimension, as a bound and left to right (another model, exact); the sample
    metrics of 360 samples drawn one pixel at a time, and at four at a time.
    """
    test = mg.data.digits().test.reshape(-1, 64)
    size = getattr(masked, "block_size", 64)
    slow, fast = (
        masked.sample(360, rng, steps=size // at_once).reshape(-1, 8, 8) for at_once in (1, 4)
    )
    return {
        **masked_bits(masked, test, rng),
        **sample_figures(slow, rng),
        "one_nn_accuracy_4_at_a_time": sample_figures(fast, rng)["one_nn_accuracy"],
    }


def sample_figures(samples: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """The sample metrics of images (360, 8, 8) of levels; their floors, of real training images."""
    digits = mg.data.digits()
    of_samples, floor = mg.evaluate.sample_metrics(samples, digits.test, digits.train, rng)
    return {
        **of_samples._asdict(),
        **{f"floor_{name}": value for name, value in floor._asdict().items()},
    }


def masked_bits(model: mg.MaskedDiffusion, x: np.ndarray, rng) -> dict[str, float]:
    """Bits per token of x (B, L): the bound, and left to right, which is another model."""
    chain = mg.left_to_right(model, x).mean() / x.shape[1] / np.log(2)
    bound = mg.evaluate.bits_per_dim(model, x, rng)
    return {"test_bits_per_dim_bound": bound.value, "test_bits_per_dim_left_to_right": -chain}


def pixels() -> dict:
    """Tokens are the pixels of such images."""
    return {"shape": [8, 8]}


def nearest_label(images: np.ndarray) -> np.ndarray:
    """The label of the nearest training image, (N,): right for 98% of the test images."""
    digits = mg.data.digits()
    x, known = (a.reshape(len(a), -1).astype(np.float64) for a in (images, digits.train))
    # squared, less a constant for each image: (N, 1437)
    distance = (known**2).sum(axis=1) - 2 * x @ known.T
    return digits.train_labels[distance.argmin(axis=1)]


def waves(position: np.ndarray, width: int, longest: float) -> np.ndarray:
    """Sines and cosines of position (L,): (L, width), wavelengths of 2 pi to 2 pi `longest`."""
    frequencies = longest ** (-np.arange(0, width, 2) / width)
    angles = position[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def begin_with(model: mg.MaskedDiffusion, positions: np.ndarray) -> None:
    """Make `positions` (context, width), waves, the starting values of the model's own.

    They are as long as those that were drawn, but who is a neighbour of whom need not be learned
    first: that shortens the start. Validation bounds of `digits_masked` after 400 steps at a rate
    of 3e-3: 2.11 bits, from drawn ones 2.26; after 1,500 steps the two hardly differ.
    """
    name = "network.positions.weight"
    scale = np.sqrt(2 / positions.shape[1])  # the mean square of a wave is 1/2, now 1 / width
    values = (positions * scale).astype(np.float32)
    mg.nn.load_state(model, {**mg.nn.state(model), name: values})


# -- text ----------------------------------------------------------------------------------------


def train_text_gpt(rng: np.random.Generator) -> mg.GPT:
    """The Python manual, a to z and space, letter after letter: 6,000 steps of 16 times 128.

    It reads the text 45 times. So that it does not learn it by heart, some of the letters before
    are left out (the start token stands there, and comes to mean "unknown"). And in the first half
    three stretches of 16 repeat themselves: from this text alone, looking far back is learned late.
    Without them (lr 6e-3, weight decay 0.4, up to a fifth left out) it reached 1.711 bits, and
    a letter cost no less with 100 others before it than with 10.
    """
    gpt = mg.GPT(27, 128, layers=3, heads=4, width=88, rng=rng)

    def stretches():
        crops = mg.data.crops(mg.data.python_manual("a-z").train, 129, 16, rng)
        for step, x in enumerate(crops):
            for row in x[: 3 if step < 3000 else 0]:
                row[:] = np.resize(row[: rng.integers(16, 65)], 129)
            yield x

    def loss(x, rng):
        share = rng.uniform(0, 0.1, (len(x), 1))
        inputs = np.where(rng.random((len(x), 128)) < share, 27, x[:, :-1])
        return mg.ops.cross_entropy(gpt.predict(inputs), x[:, 1:])

    blanked = SimpleNamespace(gpt=gpt, loss=loss)
    train(blanked, stretches(), steps=6000, lr=5e-3, rng=rng, weight_decay=0.3)
    return gpt


def measure_text_gpt(gpt: mg.GPT, rng: np.random.Generator) -> dict[str, float]:
    """Bits per character of the test part (the manual of this Python); less those of 6 letters."""
    text = mg.data.python_manual("a-z")
    ngram = mg.NGram(6, 27).fit(text.train)
    bits, counted = (mg.evaluate.bits_per_dim(m, text.test).value for m in (gpt, ngram))
    return {"test_bits_per_dim": bits, "minus_ngram": bits - counted}


def train_text_block(rng: np.random.Generator) -> mg.BlockDiffusion:
    """The Python manual, a to z and space, four characters after four: 1,500 steps of 16."""
    text = mg.data.python_manual("a-z")
    batches = mg.data.crops(text.train, 64, 16, rng)
    block = mg.BlockDiffusion(27, 64, layers=2, heads=4, width=96, block_size=4, rng=rng)
    begin_with(block, waves(np.arange(64), width=96, longest=10_000))
    return train(block, batches, steps=1500, lr=4e-3, rng=rng)


def measure_text_block(block: mg.BlockDiffusion, rng: np.random.Generator) -> dict[str, float]:
    """Bits per character of the test part (the manual of this Python), in stretches of 256."""
    test = mg.data.python_manual("a-z").test[: 32 * 256].reshape(32, 256)
    return masked_bits(block, test, rng)


def letters() -> dict:
    """Tokens are letters, and the text they were taken from: it differs by Python version."""
    text = mg.data.python_manual("a-z")
    return {"vocabulary": text.vocabulary, "source": text.source, "text_sha256": text.sha256}


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
        pixels,
    ),
    "digits_masked": Recipe(
        "masked diffusion of the digits",
        train_digits_masked,
        measure_digits_masked,
        {
            "test_bits_per_dim_bound": (1.85, 2.03),
            "test_bits_per_dim_left_to_right": (1.85, 2.1),
            "one_nn_accuracy": (0.4, 0.8),
            "recall": (0.75, 1),
        },
        pixels,
    ),
    "digits_block": Recipe(
        "block diffusion of the digits, row after row",
        train_digits_block,
        measure_digits_masked,
        {
            "test_bits_per_dim_bound": (1.75, 2.03),
            "test_bits_per_dim_left_to_right": (1.8, 2.0),
            "one_nn_accuracy": (0.4, 0.75),
            "recall": (0.8, 1),
        },
        pixels,
    ),
    "text_gpt": Recipe(
        "GPT of the Python manual, a to z, letter after letter",
        train_text_gpt,
        measure_text_gpt,
        {"test_bits_per_dim": (1.3, 1.69), "minus_ngram": (-1, 0)},
        letters,
    ),
    "text_block": Recipe(
        "block diffusion of the Python manual, a to z, four characters after four",
        train_text_block,
        measure_text_block,
        {"test_bits_per_dim_bound": (1.7, 2.6), "test_bits_per_dim_left_to_right": (1.7, 2.6)},
        letters,
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
    begin = time.process_time()  # of the processor, whatever else the machine does
    model = RECIPES[name].train(np.random.default_rng(0))
    seconds = time.process_time() - begin
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
                **RECIPES[name].facts(),
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
