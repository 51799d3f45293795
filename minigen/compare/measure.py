"""What is measured of one model of the digits, and the table that puts several side by side."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import minigen as mg

SAMPLES = 360  # as many as there are test images


@dataclass
class Result:
    """What was measured of one model. Bits are per dimension: one of 64 pixels, of 17 levels."""

    family: str
    parameters: int
    training_steps: int
    training_seconds: float  # taken, not allowed
    bits: float
    bits_standard_error: float  # over the test images
    bits_exact: bool  # otherwise they are an upper bound, estimated
    passes: int  # of the network, for one sample
    seconds_per_sample: float  # in a batch of SAMPLES
    seconds_single: float  # for one sample alone
    one_nn_accuracy: float
    precision: float
    recall: float
    sliced_wasserstein: float
    nearest_training_distance: float


def measure(arm, digits: mg.data.Digits, rng, begin: Callable) -> tuple[Result, np.ndarray]:
    """Likelihood on the test images, then seconds and sample metrics of SAMPLES draws.

    `arm` is a `head_to_head.Contestant`, whose kind says what its model is given; `begin`
    announces each part.
    """
    model = arm.model
    begin(f"{arm.name}, likelihood")
    bits = mg.evaluate.bits_per_dim(model, arm.kind.examples(digits.test), rng)
    begin(f"{arm.name}, {SAMPLES} samples")
    drawn, batched = timed(lambda: model.sample(SAMPLES, rng))
    _, single = timed(lambda: model.sample(1, rng))
    begin(f"{arm.name}, sample metrics")
    samples = arm.kind.levels(drawn)
    metrics, _ = mg.evaluate.sample_metrics(samples, digits.test, digits.train, fixed())
    result = Result(
        arm.name,
        sum(p.size for p in mg.nn.parameters(model).values()),
        arm.training_steps,
        arm.training_seconds,
        bits.value,
        bits.standard_error,
        bits.exact,
        arm.passes,
        batched / SAMPLES,
        single,
        *metrics,
    )
    return result, samples


def timed(work: Callable) -> tuple:
    """What `work` gives, and the seconds it took."""
    begin = time.perf_counter()
    return work(), time.perf_counter() - begin


def fixed() -> np.random.Generator:
    """The randomness of the metrics, the same for all models."""
    return np.random.default_rng(0)


def real_floor(digits: mg.data.Digits) -> mg.evaluate.SampleMetrics:
    """The sample metrics of as many real training images: what a perfect model would get."""
    return mg.evaluate.sample_metrics(digits.test, digits.test, digits.train, fixed())[1]


def independent_pixels(train: np.ndarray, test: np.ndarray, levels: int = 17) -> float:
    """Test bits per dimension if pixels are drawn each by itself, from training counts (+ 1)."""
    counts = np.stack([(train == level).sum(axis=0) for level in range(levels)]) + 1.0
    p = counts / counts.sum(axis=0)  # (levels, Y, X)
    return float(-np.log2(np.take_along_axis(p, test.astype(np.int64), axis=0)).mean())


def table(results: list[Result], floor, pixels: float) -> str:
    """The comparison as text, the real floor beside it; up to three models fit in 80 columns."""
    rows = {
        "parameters": lambda r: f"{r.parameters:,}",
        "training steps": lambda r: f"{r.training_steps:,}",
        "training seconds, taken": lambda r: f"{r.training_seconds:.1f}",
        "test bits per dimension": lambda r: f"{'=' if r.bits_exact else '<='} {r.bits:.3f}",
        "  standard error": lambda r: f"{r.bits_standard_error:.3f}",
        "network passes per sample": lambda r: str(r.passes),
        f"ms per sample, in a batch of {SAMPLES}": lambda r: f"{1e3 * r.seconds_per_sample:.2f}",
        "ms for one sample alone": lambda r: f"{1e3 * r.seconds_single:.0f}",
    }
    metrics = {
        "one_nn_accuracy": "1-NN accuracy (0.5: like real)",
        "precision": "precision (quality)",
        "recall": "recall (diversity)",
        "sliced_wasserstein": "sliced Wasserstein distance",
        "nearest_training_distance": "distance to nearest training image",
    }
    lines = [["", *(r.family for r in results), "real"]]
    lines += [[label, *map(value, results), ""] for label, value in rows.items()]
    for field, label in metrics.items():
        lines.append([label, *(f"{getattr(x, field):.3f}" for x in (*results, floor))])
    text = [f"{label:35}" + "".join(f"{cell:>11}" for cell in cells) for label, *cells in lines]
    text.append(f"bits: = exact, <= a bound; {pixels:.3f} if every pixel is drawn by itself")
    return "\n".join(line.rstrip() for line in text)
