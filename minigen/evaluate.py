"""Judging a model: bits per dimension, two-sample metrics of images, and scores of forecasts, in plain NumPy."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Bits:
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


def bits_per_dim(model, x: np.ndarray, rng: np.random.Generator | None = None, bin_width: float | None = None) -> Bits:
    """Mean of -log2 p(x) / dimensions over test data x (B, ...); one long token sequence (L,) is a batch of one.

    Exact where the model has `log_prob`; otherwise an estimate of `bound`, which needs rng. A model that declares
    `density = True` gives densities: with bin_width, the distance between two levels of x in the model's units (2 / 16
    for 17 levels in [-1, 1]), uniform dequantisation turns them into a bound on the probability of the level,
    log P(x) >= E_u log p(x + u) + D log(bin_width), u uniform over one bin (Theis et al. 2016, eq. 4). Without it they
    are reported as densities.
    """
    x = np.asarray(x)[None] if np.ndim(x) == 1 else np.asarray(x)
    exact, density = hasattr(model, "log_prob"), getattr(model, "density", False)
    if x.size == 0:
        raise ValueError(f"bits_per_dim: x is empty, shape {x.shape}")
    if bin_width is not None and not density:
        raise ValueError("bits_per_dim: bin_width is for densities, and this model gives probabilities")
    if rng is None and (bin_width is not None or not exact):
        raise ValueError("bits_per_dim: a bound is estimated by sampling: pass rng")
    nats = []
    for part in np.split(x, range(128, len(x), 128)):  # a whole test set at once would fill the memory
        if bin_width is not None:
            part = part + rng.uniform(-bin_width / 2, bin_width / 2, part.shape)
        nats.append(model.log_prob(part) if exact else model.bound(part, rng))
    bits = -np.concatenate(nats, dtype=np.float64) / (x[0].size * np.log(2))  # (B,)
    if bin_width is not None:
        bits, exact, density = bits - np.log2(bin_width), False, False
    error = float(bits.std(ddof=1) / np.sqrt(len(bits))) if len(bits) > 1 else None
    return Bits(float(bits.mean()), error, exact, density)


class SampleMetrics(NamedTuple):
    """What 360 samples look like beside 360 test images; no single one catches every failure."""

    one_nn_accuracy: float  # 0.5 where samples cannot be told from data, 1 where they always can, 0 for copies
    precision: float  # share of samples that lie where the data lie: quality
    recall: float  # share of the data that lie where samples lie: diversity
    sliced_wasserstein: float  # distance of the one-dimensional projections, 0 where the distributions agree
    nearest_training_distance: float  # mean; far below the floor means memorised training images


def sample_metrics(
    samples: np.ndarray, test: np.ndarray, train: np.ndarray, rng: np.random.Generator, levels: int = 17
) -> tuple[SampleMetrics, SampleMetrics]:
    """The metrics of samples (N, ...), and their floor: what N real training images get (all integer levels).

    Distances are Euclidean between pixels / (levels - 1). As many samples as test images. The floor of the last metric
    is the distance of the test images to the training images.
    """
    if any(np.asarray(x).dtype.kind not in "ui" for x in (samples, test, train)):
        raise TypeError("sample_metrics: samples, test and train must hold integer levels; see data.to_levels")
    samples, test, train = (np.asarray(x) / (levels - 1) for x in (samples, test, train))
    real = train[rng.choice(len(train), size=len(test), replace=False)]

    def metrics(x: np.ndarray, fresh: np.ndarray) -> SampleMetrics:
        wasserstein, distance = sliced_wasserstein(x, test, rng), nearest_training_distance(fresh, train)
        return SampleMetrics(one_nn_accuracy(x, test), *precision_recall(x, test), wasserstein, float(distance.mean()))

    return metrics(samples, samples), metrics(real, test)


def one_nn_accuracy(samples: np.ndarray, real: np.ndarray) -> float:
    """Share of the pooled points whose nearest other point is of the same kind (Lopez-Paz & Oquab 2017).

    Where several points are nearest, each counts in part.
    """
    samples, real = _rows(samples, real, same_number=True)
    pooled = np.concatenate([samples, real])
    is_real = np.arange(len(pooled)) >= len(samples)
    distance = _distances(pooled, pooled)
    np.fill_diagonal(distance, np.inf)
    nearest = distance == distance.min(axis=1, keepdims=True)  # (2N, 2N)
    same = is_real[:, None] == is_real
    return float(((nearest & same).sum(axis=1) / nearest.sum(axis=1)).mean())


def precision_recall(samples: np.ndarray, real: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2).

    A set's region is the union of balls around its points, each reaching to its k-th nearest other point. Precision:
    share of samples in the region of the real points; recall: share of real points in the region of the samples.
    """
    samples, real = _rows(samples, real)
    if not 1 <= k < min(len(samples), len(real)):
        raise ValueError(f"precision_recall: k must lie in 1..{min(len(samples), len(real)) - 1}, got {k}")

    def share_inside(points: np.ndarray, region: np.ndarray) -> float:
        radius = np.partition(_distances(region, region), k, axis=1)[:, k]  # place 0 is the point itself
        return float((_distances(points, region) <= radius).any(axis=1).mean())

    return share_inside(samples, real), share_inside(real, samples)


def sliced_wasserstein(
    samples: np.ndarray, real: np.ndarray, rng: np.random.Generator, projections: int = 500
) -> float:
    """Root mean square, over random directions, of the Wasserstein-2 distance on a line, where it is a sort."""
    samples, real = _rows(samples, real, same_number=True)
    directions = rng.standard_normal((samples.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    difference = np.sort(samples @ directions, axis=0) - np.sort(real @ directions, axis=0)  # (N, projections)
    return float(np.sqrt(np.mean(difference**2)))


def nearest_training_distance(samples: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Euclidean distance of each sample to the nearest training example, (B,); 0 is a copy."""
    samples, train = _rows(samples, train)
    return _distances(samples, train).min(axis=1)


def _rows(samples: np.ndarray, real: np.ndarray, same_number: bool = False) -> list[np.ndarray]:
    """Two sets of examples as float64 matrices, one example a row."""
    shapes = f"got shapes {np.shape(samples)} and {np.shape(real)}"
    if np.shape(samples)[1:] != np.shape(real)[1:] or not np.size(samples) or not np.size(real):
        raise ValueError(f"samples and real examples must be of one shape and not empty, {shapes}")
    if same_number and len(samples) != len(real):
        raise ValueError(f"as many samples as real examples are needed, {shapes}")
    if not (np.isfinite(samples).all() and np.isfinite(real).all()):
        raise ValueError("samples or real examples hold NaN or infinity")
    return [np.asarray(x, dtype=np.float64).reshape(len(x), -1) for x in (samples, real)]


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, M). Levels / 16 are dyadic fractions: their ties and zeros come out exact."""
    square = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.sqrt(np.maximum(square, 0))


def crps(paths: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of forecast paths (paths, steps) at observed (steps,), in the data's unit.

    E|X - y| - E|X - X'| / 2, unbiased in the number of paths (Gneiting & Raftery 2007, eq. 21); lower is better.
    """
    paths, observed = _forecast(paths, observed)
    n = len(paths)
    weight = 2 * np.arange(1, n + 1)[:, None] - n - 1  # sum over pairs |x_i - x_j| = sum_i (2 i - n - 1) x_(i), sorted
    spread = (weight * np.sort(paths, axis=0)).sum(axis=0) / (n * (n - 1))  # E|X - X'| / 2
    return np.abs(paths - observed).mean(axis=0) - spread


def interval_coverage(paths: np.ndarray, observed: np.ndarray, level: float = 0.9) -> float:
    """Share of the observed values inside the central interval that holds `level` of the paths at each step."""
    paths, observed = _forecast(paths, observed)
    if not 0 < level < 1:
        raise ValueError(f"interval_coverage: level must lie between 0 and 1, got {level}")
    low, high = np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return float(((low <= observed) & (observed <= high)).mean())


def _forecast(paths: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    paths, observed = np.asarray(paths, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if paths.ndim != observed.ndim + 1 or paths.shape[1:] != observed.shape or len(paths) < 2 or observed.size == 0:
        raise ValueError(f"(paths >= 2, steps) and (steps,) are needed, got {paths.shape} and {observed.shape}")
    return paths, observed


def psnr(clean: np.ndarray, restored: np.ndarray, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels, 10 log10(peak^2 / mean squared error); peak is 2 for data in [-1, 1]."""
    if np.shape(clean) != np.shape(restored):
        raise ValueError(f"psnr: shapes differ, {np.shape(clean)} and {np.shape(restored)}")
    error = np.mean((np.asarray(clean, dtype=np.float64) - restored) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))
