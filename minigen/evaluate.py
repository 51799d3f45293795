"""Judging a model: bits per dimension, two-sample metrics, scores of forecasts, in plain NumPy."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments

LARGEST_PART = 2**22  # numbers that are worked on at a time


class Bits(NamedTuple):
    """A test loss in bits per dimension (for text: bits per character) that says what it is.

    "= 2.010 ± 0.012 bits/dim" is exact and "<= ..." a bound; a density is labelled, for it can be
    negative and must not stand beside probabilities. standard_error is over examples, and None
    where there is only one, or where the value is infinite.
    """

    value: float
    standard_error: float | None
    exact: bool
    density: bool

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" ± {self.standard_error:.3f}"
        unit = "bits/dim of a density" if self.density else "bits/dim"
        return f"{'=' if self.exact else '<='} {self.value:.3f}{error} {unit}"


def bits_per_dim(model, x: ndarray, rng: Generator | None = None) -> Bits:
    """Mean of -log2 p(x) / dimensions over test data x (B, ...); (L,) is a batch of one.

    Exact where the model has `log_prob`; otherwise an estimate of `bound`, which needs rng. A model
    says by its attribute `density` whether it gives densities; an exact log p of floats is taken
    for one if it does not say. Beside probabilities it must pass through Dequantized. What counts
    as a dimension is what the model has `scored`.

    Raises:
        FloatingPointError: the model gives NaN.
    """
    x = np.asarray(x)
    x = x[None] if x.ndim == 1 else x
    exact = hasattr(model, "log_prob")
    if x.size == 0:
        raise ValueError(f"bits_per_dim: x is empty, shape {x.shape}")
    if not exact:
        arguments.generator(rng)  # a bound is estimated by sampling
    rows = min(128, LARGEST_PART // x[0].size)  # a whole test set at once would fill the memory
    parts = _parts(x, rows)
    nats = [model.log_prob(part) if exact else model.bound(part, rng) for part in parts]
    nats = np.concatenate(nats).astype(np.float64)  # (B,)
    if np.isnan(nats).any():
        came = f"NaN for {np.isnan(nats).sum()} of {len(nats)} examples"
        raise FloatingPointError(f"bits_per_dim: the log-probability is {came}")
    bits = -nats / np.log(2) / scored(model, x)
    value = float(bits.mean())
    error = None
    if len(bits) > 1 and np.isfinite(value):
        error = float(bits.std(ddof=1) / np.sqrt(len(bits)))
    density = getattr(model, "density", exact and x.dtype.kind == "f")
    return Bits(value, error, exact, density)


def scored(model, x: ndarray) -> int:
    """How many entries of one example of x (B, ...) the model scores: all, if it does not say."""
    return model.scored(x) if hasattr(model, "scored") else x[0].size


class Dequantized:
    """A density seen as a model of grey levels: what may stand beside probabilities, as a bound.

    bin_width is the distance between two levels in the density's units, 2 / 16 for 17 levels in
    [-1, 1].
    """

    def __init__(self, model, bin_width: float):
        arguments.within("(0, inf)", bin_width=bin_width)
        self.model, self.bin_width = model, bin_width

    def scored(self, x: ndarray) -> int:
        return scored(self.model, x)

    def bound(self, x: ndarray, rng: Generator) -> ndarray:
        """log P(x) >= E_u log p(x + u) + D log(bin_width), u uniform over one bin: (B,) nats.

        Theis et al. (2016), eq. 4. A model without `log_prob` gives a lower bound on log p, which
        keeps the inequality.
        """
        half = self.bin_width / 2
        x = x + arguments.generator(rng).uniform(-half, half, np.shape(x))
        exact = hasattr(self.model, "log_prob")
        density = self.model.log_prob(x) if exact else self.model.bound(x, rng)
        return density + self.scored(x) * np.log(self.bin_width)


class SampleMetrics(NamedTuple):
    """What 360 samples look like beside 360 test images; no single one catches every failure."""

    one_nn_accuracy: float  # 0.5: not told from data; 1: always told; 0: copies of them
    precision: float  # share of samples that lie where the data lie: quality
    recall: float  # share of the data that lie where samples lie: diversity
    sliced_wasserstein: float  # distance of the 1-D projections, 0 where the distributions agree
    nearest_training_distance: float  # mean; far below the floor means memorised training images


def sample_metrics(
    samples: ndarray, test: ndarray, train: ndarray, rng: Generator
) -> tuple[SampleMetrics, ...]:
    """Two SampleMetrics: of the samples (N, ...), and their floor, what N real images get.

    The protocol of the digits: integer levels 0..16, Euclidean distances between pixels / 16, as
    many samples as test images (360). The floor of nearest_training_distance is that of the test
    images.
    """
    if any(np.asarray(x).dtype.kind not in "ui" for x in (samples, test, train)):
        raise TypeError(
            "sample_metrics: samples, test and train must hold integer levels; see data.to_levels"
        )
    samples, test, train = (np.asarray(x) / 16 for x in (samples, test, train))
    real = train[arguments.generator(rng).choice(len(train), size=len(test), replace=False)]

    def metrics(x: ndarray, fresh: ndarray) -> SampleMetrics:
        return SampleMetrics(
            one_nn_accuracy(x, test),
            *precision_recall(x, test),
            sliced_wasserstein(x, test, rng),
            float(nearest_training_distance(fresh, train).mean()),
        )

    return metrics(samples, samples), metrics(real, test)


def one_nn_accuracy(samples: ndarray, real: ndarray) -> float:
    """Share of the pooled points whose nearest other point is of the same kind.

    The classifier two-sample test of Lopez-Paz & Oquab (2017), who hold out a part; leaving one out
    instead, so that copies give 0, is Xu et al. (2018). Where several points are nearest, each
    counts in part.
    """
    samples, real = _rows(samples, real, same_number=True)
    pooled = np.concatenate([samples, real])
    is_real = np.arange(len(pooled)) >= len(samples)

    def share_of_same(distance: ndarray, rows: ndarray) -> ndarray:
        distance[np.arange(len(rows)), rows] = np.inf  # not its own neighbour
        nearest = distance == distance.min(axis=1, keepdims=True)
        same = nearest & (is_real[rows, None] == is_real)
        return same.sum(axis=1) / nearest.sum(axis=1)

    return float(_by_rows(share_of_same, pooled, pooled).mean())


def precision_recall(samples: ndarray, real: ndarray, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2).

    A set's region is the union of balls around its points, each reaching to its k-th nearest other
    point. Precision: share of samples in the region of the real points; recall: share of real
    points in the region of the samples.
    """
    samples, real = _rows(samples, real)
    largest = min(len(samples), len(real)) - 1
    arguments.whole(1, largest, k=k)

    def kth(distance: ndarray, rows: ndarray) -> ndarray:
        return np.partition(distance, k, axis=1)[:, k]  # place 0 is the point itself

    def share_inside(points: ndarray, region: ndarray) -> float:
        radius = _by_rows(kth, region, region)
        inside = _by_rows(lambda distance, _: (distance <= radius).any(axis=1), points, region)
        return float(inside.mean())

    return share_inside(samples, real), share_inside(real, samples)


def sliced_wasserstein(
    samples: ndarray, real: ndarray, rng: Generator, projections: int = 500
) -> float:
    """Root mean square, over random directions, of the Wasserstein-2 distance on a line: a sort."""
    samples, real = _rows(samples, real, same_number=True)
    directions = arguments.generator(rng).standard_normal((samples.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    one, two = (np.sort(x @ directions, axis=0) for x in (samples, real))  # (N, projections)
    return float(np.sqrt(np.mean((one - two) ** 2)))


def nearest_training_distance(samples: ndarray, train: ndarray) -> ndarray:
    """Euclidean distance of each sample to the nearest training example, (B,); 0 is a copy."""
    samples, train = _rows(samples, train)
    return _by_rows(lambda distance, _: distance.min(axis=1), samples, train)


def _rows(samples: ndarray, real: ndarray, same_number: bool = False) -> list[ndarray]:
    """Two sets of examples as float64 matrices, one example a row."""
    samples, real = arguments.numbers("samples", samples), arguments.numbers("real", real)
    one, two = samples.shape, real.shape
    if one[1:] != two[1:] or 0 in one + two or (same_number and one != two):
        number = ", one size" if same_number else ""
        raise ValueError(f"samples, real: of one shape{number}, none empty; got {one} and {two}")
    return [x.reshape(len(x), -1) for x in (samples, real)]


def _by_rows(function: Callable, x: ndarray, y: ndarray) -> ndarray:
    """function(distances from a few rows of x to all of y, which rows), for all rows of x."""
    parts = _parts(np.arange(len(x)), LARGEST_PART // len(y))
    return np.concatenate([function(_distances(x[rows], y), rows) for rows in parts])


def _parts(x: ndarray, rows: int) -> list[ndarray]:
    """x cut along its first axis into parts of so many rows, at least 1."""
    return np.split(x, range(max(rows, 1), len(x), max(rows, 1)))


def _distances(x: ndarray, y: ndarray) -> ndarray:
    """Euclidean distances (N, M).

    Levels / 16 are dyadic fractions: their ties and zeros come out exact.
    """
    x, y = x - y[0], y - y[0]  # beside a large common offset the squares would lose all digits
    square = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.sqrt(np.maximum(square, 0))


def crps(paths: ndarray, observed: ndarray) -> ndarray:
    """Continuous ranked probability score of forecast paths (paths, steps): (steps,).

    At observed (steps,), in the data's unit: E|X - y| - E|X - X'| / 2, unbiased in the number of
    paths (Gneiting & Raftery 2007, eq. 21); lower is better.
    """
    paths, observed = _forecast(paths, observed)
    error = paths - observed
    n = len(error)
    # sum over pairs |x_i - x_j| = sum_i (2 i - n - 1) x_(i), sorted
    weight = 2 * np.arange(1, n + 1)[:, None] - n - 1
    pairs = (weight * np.sort(error, axis=0)).sum(axis=0)
    return np.abs(error).mean(axis=0) - pairs / (n * (n - 1))  # E|X - X'| / 2


def interval_coverage(paths: ndarray, observed: ndarray, level: float = 0.9) -> float:
    """Share of observed values inside the central interval that holds `level` of the paths."""
    paths, observed = _forecast(paths, observed)
    arguments.within("[0, 1]", level=level)
    low, high = np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return float(((low <= observed) & (observed <= high)).mean())


def _forecast(paths: ndarray, observed: ndarray) -> tuple[ndarray, ndarray]:
    paths, observed = arguments.numbers("paths", paths), arguments.numbers("observed", observed)
    fits = paths.ndim == observed.ndim + 1 and paths.shape[1:] == observed.shape
    if not fits or len(paths) < 2 or observed.size == 0:
        came = f"{paths.shape} and {observed.shape}"
        raise ValueError(f"expected paths (2 or more, steps) and observed (steps,), got {came}")
    return paths, observed


def psnr(clean: ndarray, restored: ndarray, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels, 10 log10(peak^2 / mean squared error).

    peak is the range of the data: 2 for [-1, 1].
    """
    if np.shape(clean) != np.shape(restored):
        raise ValueError(f"psnr: shapes differ, {np.shape(clean)} and {np.shape(restored)}")
    error = np.mean((np.asarray(clean, dtype=np.float64) - restored) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))
