"""What the cells of the laboratory compute: train an arm, and measure it at several sizes.

A size is a number of seconds' worth of steps. One run gives all of its sizes: the learning rate is
constant after a warm-up, and at each size a branch, a copy that the run knows nothing of, lets it
fall to a twentieth over a further fifth of the steps. So a short run is judged as a short run.

Training and measuring are cells of their own: the weights stay in the folder, so that another claim
may ask a trained model another question.
"""

import copy
import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy import ndarray

import minigen as mg
from minigen.compare.arms import ARMS, DIGITS, STRETCH, Arm
from minigen.compare.cells import Cell
from minigen.course.checkpoints import nearest_label
from minigen.training import train_step

SIZES = [10, 30, 120]  # seconds' worth of training on digits
TEXT_SIZES = [30, 120]
SEEDS = range(5)  # of the main arms on digits
FEWER = range(3)  # of all other runs
WARM_UP = 50  # steps
FALL = 0.2  # of the steps so far: how long the branch is
SETS = 4  # sample sets: 1-NN accuracy of one set of 360 has a standard deviation of 0.02
SHOWN = 30  # samples of every arm that the report shows
LEVELS = "0123456789abcdefg"
KEPT = mg.evaluate.SampleMetrics._fields


# -- training --------------------------------------------------------------------------------------


def grown(arm: Arm, x: ndarray, sizes: list[int], seed: int, lr: float | None = None) -> Iterator:
    """(size, model, its averaged values) at each of the `sizes`, in seconds' worth of steps."""
    lr, rng = lr or arm.lr, np.random.default_rng([seed, 20])
    model = arm.build(rng)
    parameters = mg.nn.parameters(model)
    optimizer = mg.AdamW(parameters, lr, betas=(0.9, 0.99), weight_decay=arm.weight_decay)
    run = (model, optimizer, mg.EMA(parameters, 0.995), rng)
    batches = stream(arm, x, np.random.default_rng([seed, 21]))
    rates = (lr * min(1.0, step / WARM_UP) for step in itertools.count(1))
    done = 0
    for size in sorted(sizes):
        steps = round(arm.steps * size / 10)
        advance(run, batches, itertools.islice(rates, steps - done))
        branch, done = copy.deepcopy(run), steps
        own = stream(arm, x, np.random.default_rng([seed, 22, size]))
        advance(branch, own, np.linspace(lr, lr / 20, round(FALL * steps)))
        yield size, branch[0], branch[2]


def stream(arm: Arm, x: ndarray, rng: np.random.Generator) -> Iterator[ndarray]:
    """Batches of examples; of a text (one row of tokens) stretches from anywhere."""
    if x.ndim == 1:
        return mg.data.crops(x, STRETCH, arm.batch, rng)
    return mg.data.batches(x, arm.batch, rng)


def advance(run: tuple, batches: Iterator, rates: Iterable[float]) -> None:
    """A step of training at each of these learning rates."""
    model, optimizer, ema, rng = run
    for rate in rates:
        optimizer.lr = rate
        train_step(model, next(batches), optimizer, rng, max_norm=1.0)
        ema.update()


def branch_seconds(size: float) -> float:
    """Seconds' worth of the branch of a size."""
    return FALL * size


def to_learn(arm: Arm, change: str = "") -> ndarray:
    """The training part as the arm takes it; perhaps less of it, or with a tenth spoiled."""
    if arm.name not in DIGITS:
        return mg.data.python_manual("a-z").train
    levels = mg.data.digits().train
    if change == "400 images":
        levels = levels[:400]
    if change == "a tenth shuffled":
        tenth = len(levels) // 10
        pixels = levels[:tenth].reshape(tenth, -1)
        shuffled = np.random.default_rng(0).permuted(pixels, axis=1).reshape(tenth, 8, 8)
        levels = np.concatenate([shuffled, levels[tenth:]])
    return arm.examples(levels)


def train(folder: Path, arm: str, seed: int, sizes: list[int], lr: float, change: str = "") -> dict:
    """A cell: train one arm; its weights at every size are kept in the folder."""
    kind, start = ARMS[arm], time.process_time()
    for size, model, ema in grown(kind, to_learn(kind, change), sizes, seed, lr):
        with ema.applied():
            mg.save(weights(folder, arm, seed, size, change), model)
    return {"seconds": time.process_time() - start}


def weights(folder: Path, arm: str, seed: int, size: int, change: str = "") -> Path:
    """The file of a trained model."""
    return folder / f"{typed(arm + change)}_seed{seed}_{size}s.npz"


def typed(name: str) -> str:
    """As part of a file's name."""
    return name.replace(" ", "").replace("/", "by")


def training(arm: str, seed: int, change: str = "", factor: float = 1.0) -> Cell:
    """The cell that trains an arm: at all sizes, or changed in one thing at 30 seconds' worth."""
    sizes = [30] if change else SIZES if arm in DIGITS else TEXT_SIZES
    settings = {"arm": arm, "seed": seed, "sizes": sizes, "lr": ARMS[arm].lr * factor}
    return Cell(
        f"train_{typed(arm + change)}_seed{seed}",
        "minigen.compare.experiment:train",
        settings | ({"change": change} if change else {}),
        max(sizes) + sum(map(branch_seconds, sizes)),
    )


# -- measuring -------------------------------------------------------------------------------------

MEASURING = {"GPT": 3, "masked": 84, "block": 21, "DDPM": 14, "U-Net": 20}  # seconds


def digits(folder: Path, arm: str, seed: int, size: int) -> dict:
    """A cell: bits and sample metrics of a trained arm.

    Bits are exact or a bound; of masked and block diffusion also by the chain rule, exact.
    """
    model, data, kind = mg.load(weights(folder, arm, seed, size)), mg.data.digits(), DIGITS[arm]
    rng = np.random.default_rng([seed, size])
    test = kind.examples(data.test)
    bits = mg.evaluate.bits_per_dim(model, test, rng)
    record = {"arm": arm, "seed": seed, "size": size, "bits": bits.value, "exact": bits.exact}
    if not bits.exact and kind.pixels:
        record["chain_bits"] = chain_bits(model, test)
    record |= drawn(kind, lambda: model.sample(len(data.test), rng))
    if seed == 0:  # to look at, unselected
        record["samples"] = written(kind.levels(model.sample(SHOWN, rng)))
    return record


def written(levels: ndarray) -> list[str]:
    """Images (N, 8, 8) of levels 0 .. 16 as strings of 64 signs, for JSON."""
    return ["".join(LEVELS[level] for level in image.ravel()) for image in levels]


def read(images: list[str]) -> ndarray:
    """The inverse of `written`."""
    return np.array([[LEVELS.index(sign) for sign in x] for x in images]).reshape(-1, 8, 8)


def chain_bits(model: mg.MaskedDiffusion, x: ndarray) -> float:
    """Bits a token by the network's left-to-right chain rule: exact."""
    return float(-mg.left_to_right(model, x).mean() / np.log(2) / x.shape[1])


def drawn(arm: Arm, draw) -> dict:
    """Mean sample metrics of SETS sets, each what `draw()` gives: as many as test images."""
    data = mg.data.digits()
    sets = [arm.levels(draw()) for _ in range(SETS)]
    fixed = np.random.default_rng(0)
    metrics = [mg.evaluate.sample_metrics(x, data.test, data.train, fixed)[0] for x in sets]
    record = {name: float(np.mean([getattr(m, name) for m in metrics])) for name in KEPT}
    record["class_entropy"] = float(np.mean([class_entropy(x) for x in sets]))
    return record


def class_entropy(levels: ndarray) -> float:
    """Nats of the classes that the nearest training image gives to the samples: at most ln 10."""
    share = np.bincount(nearest_label(levels), minlength=10) / len(levels)
    return float(-sum(p * np.log(p) for p in share if p))


def on_digits(arms=tuple(DIGITS), sizes=SIZES, seeds=SEEDS) -> tuple[Cell, ...]:
    """The cells `digits`: trained arms, measured."""
    return tuple(
        Cell(
            f"digits_{typed(arm)}_seed{seed}_{size}s",
            "minigen.compare.experiment:digits",
            {"arm": arm, "seed": seed, "size": size},
            MEASURING[arm],
            training(arm, seed),
        )
        for seed in seeds
        for size in sizes
        for arm in arms
    )


def asked(function: str, arms: Iterable[str], seeds=SEEDS, seconds: float = 30) -> tuple[Cell, ...]:
    """Cells of a claim's own question to each of these trained arms: `function(folder, arm, seed)`
    of the claim's file, "c01:walks".
    """
    return tuple(
        Cell(
            f"{function.replace(':', '_')}_{typed(arm)}_seed{seed}",
            f"minigen.compare.claims.{function}",
            {"arm": arm, "seed": seed},
            seconds,
            training(arm, seed),
        )
        for seed in seeds
        for arm in arms
    )


# -- tuning ----------------------------------------------------------------------------------------

TRIALS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the first rate
VALIDATION = 237  # of the training images, kept out while rates are tried
TUNING_SEED = 1000  # not used again


def tuning(arm: str, lr: float, size: int = 20) -> dict:
    """A cell: bits (exact, or the bound) of examples kept out of training, at one learning rate."""
    arm, rng = ARMS[arm], np.random.default_rng(TUNING_SEED)
    train = to_learn(arm)
    kept_out = train[: VALIDATION * (1 if train.ndim > 1 else STRETCH)]
    for _, model, ema in grown(arm, train[len(kept_out) :], [size], TUNING_SEED, lr):
        if train.ndim == 1:
            kept_out = kept_out.reshape(-1, STRETCH)
        with ema.applied():
            bits = mg.evaluate.bits_per_dim(model, kept_out, rng)
    return {"arm": arm.name, "lr": lr, "bits": bits.value}


def tuning_cells() -> list[Cell]:
    """Five trials of every arm's learning rate."""
    return [
        Cell(
            f"tuning_{typed(arm.name)}_{trial}",
            "minigen.compare.experiment:tuning",
            {"arm": arm.name, "lr": arm.first_lr * trial},
            20 + branch_seconds(20),
        )
        for arm in ARMS.values()
        for trial in TRIALS
    ]
