"""Judging a model: bits per dimension, two-sample metrics of images, and scores of forecasts, in plain NumPy."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray
from numpy.random import Generator


class Bits(NamedTuple):
    """A test loss in bits per dimension (for text: bits per character) that says what it is when printed.

    "= 2.010 ± 0.012 bits/dim" is exact and "<= ..." a bound; a density is labelled, for it can be negative and must
    not stand beside probabilities. standard_error is over examples, and None where there is only one.
    """

    value: float
    standard_error: float | None
    exact: bool
    density: bool

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" ± {self.standard_error:.3f}"
        unit = "bits/dim of a density" if self.density else "bits/dim"
        return f"{'=' if self.exact else '<='} {self.value:.3f}{error} {unit}"


def bits_per_dim(
    model, x: ndarray, rng: Generator | None = None, dimensions: int | None = None
) -> Bits:
    """Mean of -log2 p(x) / dimensions over test data x (B, ...); one long sequence (L,) is a batch of one.

    Exact where the model has `log_prob`; otherwise an estimate of `bound`, which needs rng. A model says by its
    attribute `density` whether it gives densities; an exact log p of floats is taken for one if it does not say.
    Beside probabilities it must pass through Dequantized. `dimensions` counts the scored entries of an example where
    that is not all of them: context for a GPT on context + 1 columns, L - order for a LinearAR.
    """
    x = np.asarray(x)[None] if np.ndim(x) == 1 else np.asarray(x)
    exact = hasattr(model, "log_prob")
    if x.size == 0:
        raise ValueError(f"bits_per_dim: x is empty, shape {x.shape}")
    if rng is None and not exact:
        raise ValueError(
            "bits_per_dim: this model has a bound, which is estimated by sampling: pass rng"
        )
    parts = np.split(x, range(128, len(x), 128))  # a whole test set at once would fill the memory
    nats = np.concatenate(
        [model.log_prob(part) if exact else model.bound(part, rng) for part in parts]
    )  # (B,)
    bits = -nats.astype(np.float64) / np.log(2) / (dimensions or x[0].size)
    error = float(bits.std(ddof=1) / np.sqrt(len(bits))) if len(bits) > 1 else None
    return Bits(
        float(bits.mean()), error, exact, getattr(model, "density", exact and x.dtype.kind == "f")
    )


class Dequantized:
    """A model of a density, seen as a model of grey levels: what may stand beside probabilities, as a bound.

    bin_width is the distance between two levels in the density's units, 2 / 16 for 17 levels in [-1, 1].
    """

    def __init__(self, model, bin_width: float):
        self.model, self.bin_width = model, bin_width

    def bound(self, x: ndarray, rng: Generator) -> ndarray:
        """log P(x) >= E_u log p(x + u) + D log(bin_width), u uniform over one bin (Theis et al. 2016, eq. 4); (B,).

        A model without `log_prob` gives a lower bound on it, which keeps the inequality.
        """
        x = x + rng.uniform(-self.bin_width / 2, self.bin_width / 2, x.shape)
        density = (
            self.model.log_prob(x) if hasattr(self.model, "log_prob") else self.model.bound(x, rng)
        )
        return density + x[0].size * np.log(self.bin_width)


class SampleMetrics(NamedTuple):
    """What 360 samples look like beside 360 test images; no single one catches every failure."""

    one_nn_accuracy: (
        float  # 0.5 where samples cannot be told from data, 1 where they always can, 0 for copies
    )
    precision: float  # share of samples that lie where the data lie: quality
    recall: float  # share of the data that lie where samples lie: diversity
    sliced_wasserstein: (
        float  # distance of the one-dimensional projections, 0 where the distributions agree
    )
    nearest_training_distance: float  # mean; far below the floor means memorised training images


def sample_metrics(
    samples: ndarray, test: ndarray, train: ndarray, rng: Generator
) -> tuple[SampleMetrics, ...]:
    """Two SampleMetrics: of the samples (N, ...), and their floor, what N real training images get.

    The protocol of the digits: integer levels 0..16, Euclidean distances between pixels / 16, as many samples as test
    images (360). The floor of nearest_training_distance is that of the test images.
    """
    if any(np.asarray(x).dtype.kind not in "ui" for x in (samples, test, train)):
        raise TypeError(
            "sample_metrics: samples, test and train must hold integer levels; see data.to_levels"
        )
    samples, test, train = (np.asarray(x) / 16 for x in (samples, test, train))
    real = train[rng.choice(len(train), size=len(test), replace=False)]

    def metrics(x: ndarray, fresh: ndarray) -> SampleMetrics:
        precision, recall = precision_recall(x, test)
        wasserstein, distance = (
            sliced_wasserstein(x, test, rng),
            nearest_training_distance(fresh, train).mean(),
        )
        return SampleMetrics(
            one_nn_accuracy(x, test), precision, recall, wasserstein, float(distance)
        )

    return metrics(samples, samples), metrics(real, test)


def one_nn_accuracy(samples: ndarray, real: ndarray) -> float:
    """Share of the pooled points whose nearest other point is of the same kind (Lopez-Paz & Oquab 2017).

    Where several points are nearest, each counts in part.
    """
    samples, real = _rows(samples, real, same_number=True)
    pooled = np.concatenate([samples, real])
    is_real = np.arange(len(pooled)) >= len(samples)
    distance = _distances(pooled, pooled)
    np.fill_diagonal(distance, np.inf)
    nearest = distance == distance.min(axis=1, keepdims=True)  # (2N, 2N)
    same = nearest & (is_real[:, None] == is_real)
    return float((same.sum(axis=1) / nearest.sum(axis=1)).mean())


def precision_recall(samples: ndarray, real: ndarray, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2).

    A set's region is the union of balls around its points, each reaching to its k-th nearest other point. Precision:
    share of samples in the region of the real points; recall: share of real points in the region of the samples.
    """
    samples, real = _rows(samples, real)
    if not 1 <= k < min(len(samples), len(real)):
        raise ValueError(
            f"precision_recall: k must lie in 1..{min(len(samples), len(real)) - 1}, got {k}"
        )

    def share_inside(points: ndarray, region: ndarray) -> float:
        radius = np.partition(_distances(region, region), k, axis=1)[
            :, k
        ]  # place 0 is the point itself
        return float((_distances(points, region) <= radius).any(axis=1).mean())

    return share_inside(samples, real), share_inside(real, samples)


def sliced_wasserstein(
    samples: ndarray, real: ndarray, rng: Generator, projections: int = 500
) -> float:
    """Root mean square, over random directions, of the Wasserstein-2 distance on a line, where it is a sort."""
    samples, real = _rows(samples, real, same_number=True)
    directions = rng.standard_normal((samples.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    difference = np.sort(samples @ directions, axis=0) - np.sort(
        real @ directions, axis=0
    )  # (N, projections)
    return float(np.sqrt(np.mean(difference**2)))


def nearest_training_distance(samples: ndarray, train: ndarray) -> ndarray:
    """Euclidean distance of each sample to the nearest training example, (B,); 0 is a copy."""
    samples, train = _rows(samples, train)
    return _distances(samples, train).min(axis=1)


def _rows(samples: ndarray, real: ndarray, same_number: bool = False) -> list[ndarray]:
    """Two sets of examples as float64 matrices, one example a row."""
    one, two = np.shape(samples), np.shape(real)
    if one[1:] != two[1:] or 0 in one + two or (same_number and one != two):
        raise ValueError(
            f"samples, real: of one shape{', one size' * same_number}, none empty; got {one} and {two}"
        )
    if not (np.isfinite(samples).all() and np.isfinite(real).all()):
        raise ValueError("samples or real hold NaN or infinity")
    return [np.asarray(x, dtype=np.float64).reshape(len(x), -1) for x in (samples, real)]


def _distances(x: ndarray, y: ndarray) -> ndarray:
    """Euclidean distances (N, M). Levels / 16 are dyadic fractions: their ties and zeros come out exact."""
    square = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.sqrt(np.maximum(square, 0))


def crps(paths: ndarray, observed: ndarray) -> ndarray:
    """Continuous ranked probability score of forecast paths (paths, steps) at observed (steps,), in the data's unit.

    E|X - y| - E|X - X'| / 2, unbiased in the number of paths (Gneiting & Raftery 2007, eq. 21); lower is better.
    """
    paths, observed = _forecast(paths, observed)
    n = len(paths)
    weight = (
        2 * np.arange(1, n + 1)[:, None] - n - 1
    )  # sum over pairs |x_i - x_j| = sum_i (2 i - n - 1) x_(i), sorted
    spread = (weight * np.sort(paths, axis=0)).sum(axis=0) / (n * (n - 1))  # E|X - X'| / 2
    return np.abs(paths - observed).mean(axis=0) - spread


def interval_coverage(paths: ndarray, observed: ndarray, level: float = 0.9) -> float:
    """Share of the observed values inside the central interval that holds `level` of the paths at each step."""
    paths, observed = _forecast(paths, observed)
    low, high = np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return float(((low <= observed) & (observed <= high)).mean())


def _forecast(paths: ndarray, observed: ndarray) -> tuple[ndarray, ndarray]:
    paths, observed = np.asarray(paths, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if (
        paths.ndim != observed.ndim + 1
        or paths.shape[1:] != observed.shape
        or len(paths) < 2
        or observed.size == 0
    ):
        raise ValueError(
            f"(paths >= 2, steps) and (steps,) are needed, got {paths.shape} and {observed.shape}"
        )
    return paths, observed


def psnr(clean: ndarray, restored: ndarray, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels, 10 log10(peak^2 / mean squared error); peak is 2 for data in [-1, 1]."""
    if np.shape(clean) != np.shape(restored):
        raise ValueError(f"psnr: shapes differ, {np.shape(clean)} and {np.shape(restored)}")
    error = np.mean((np.asarray(clean, dtype=np.float64) - restored) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))
