"""What the cells of the laboratory compute: train an arm, and measure it at several sizes.

A size is a number of seconds' worth of steps. One run gives all of its sizes: the learning rate is
constant after a warm-up, and at each size a branch, a copy that the run knows nothing of, lets it
fall to a twentieth over a further fifth of the steps. So a short run is judged as a short run.
"""

import copy
import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy import ndarray

import minigen as mg
from minigen.compare.arms import DIGITS, Arm
from minigen.course.checkpoints import nearest_label
from minigen.training import train_step

WARM_UP = 50  # steps
FALL = 0.2  # of the steps so far: how long the branch is
SETS = 4  # sample sets: 1-NN accuracy of one set of 360 has a standard deviation of 0.02
KEPT = mg.evaluate.SampleMetrics._fields


def grown(arm: Arm, x: ndarray, sizes: list[int], seed: int, lr: float | None = None) -> Iterator:
    """(size, model with its averaged values) at each of the `sizes`, in seconds' worth of steps."""
    lr, rng = lr or arm.lr, np.random.default_rng([seed, 20])
    model = arm.build(rng)
    parameters = mg.nn.parameters(model)
    optimizer = mg.AdamW(parameters, lr, betas=(0.9, 0.99), weight_decay=arm.weight_decay)
    run = (model, optimizer, mg.EMA(parameters, 0.995), rng)
    batches = mg.data.batches(x, arm.batch, np.random.default_rng([seed, 21]))
    rates = (lr * min(1.0, step / WARM_UP) for step in itertools.count(1))
    done = 0
    for size in sorted(sizes):
        steps = round(arm.steps * size / 10)
        advance(run, batches, itertools.islice(rates, steps - done))
        branch, done = copy.deepcopy(run), steps
        own = mg.data.batches(x, arm.batch, np.random.default_rng([seed, 22, size]))
        advance(branch, own, np.linspace(lr, lr / 20, round(FALL * steps)))
        yield size, branch[0], branch[2]


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


# -- cells -----------------------------------------------------------------------------------------


def digits(arm: str, seed: int, sizes: list[int], lr: float | None = None) -> dict:
    """Bits and sample metrics of one arm and seed, by size."""
    arm, data = DIGITS[arm], mg.data.digits()
    found = {}
    for size, model, ema in grown(arm, arm.examples(data.train), sizes, seed, lr):
        with ema.applied():
            found[str(size)] = measured(arm, model, data, np.random.default_rng([seed, size]))
    return {"arm": arm.name, "seed": seed, "sizes": found}


def measured(arm: Arm, model, data, rng: np.random.Generator) -> dict:
    """Bits per dimension, and the mean sample metrics of SETS sets of 360."""
    bits = mg.evaluate.bits_per_dim(model, arm.examples(data.test), rng)
    record = {"bits": bits.value, "exact": bits.exact}
    if not bits.exact and arm.pixels:
        chain = -mg.left_to_right(model, arm.examples(data.test)).mean()
        record["chain_bits"] = float(chain / np.log(2) / 64)
    sets = [arm.levels(model.sample(len(data.test), rng)) for _ in range(SETS)]
    fixed = np.random.default_rng(0)
    metrics = [mg.evaluate.sample_metrics(x, data.test, data.train, fixed)[0] for x in sets]
    record |= {name: float(np.mean([getattr(m, name) for m in metrics])) for name in KEPT}
    record["class_entropy"] = float(np.mean([class_entropy(x) for x in sets]))
    return record


def class_entropy(levels: ndarray) -> float:
    """Nats of the classes that the nearest training image gives to the samples: at most ln 10."""
    share = np.bincount(nearest_label(levels), minlength=10) / len(levels)
    return float(-sum(p * np.log(p) for p in share if p))


TRIALS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the first rate
VALIDATION = 237  # of the training images, kept out while rates are tried
TUNING_SEED = 1000  # not used again


def tuning(arm: str, lr: float, size: int = 20) -> dict:
    """Bits (exact, or the bound) of images kept out of the training part, at one learning rate."""
    arm = DIGITS[arm]
    train = arm.examples(mg.data.digits().train)
    rng = np.random.default_rng(TUNING_SEED)
    for _, model, ema in grown(arm, train[VALIDATION:], [size], TUNING_SEED, lr):
        with ema.applied():
            bits = mg.evaluate.bits_per_dim(model, train[:VALIDATION], rng)
    return {"arm": arm.name, "lr": lr, "bits": bits.value}
