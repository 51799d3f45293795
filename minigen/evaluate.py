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
        kind = " (of a density: depends on the data's unit)" if self.density else ""
        return f"{'=' if self.exact else '<='} {self.value:.3f}{error} bits/dim{kind}"


def bits_per_dim(
    model, x: np.ndarray, rng: np.random.Generator | None = None, bin_width: float | None = None, chunk: int = 128
) -> Bits:
    """Mean of -log2 p(x) / dimensions over test data x (B, ...); one long token sequence (L,) is a batch of one.

    Exact where the model has `log_prob`; otherwise an estimate of `bound`, which needs rng. A model that declares
    `density = True` gives densities: with bin_width, the distance between two levels of x in the model's units (2 / 16
    for 17 levels in [-1, 1]), uniform dequantisation turns them into a bound on the probability of the level,
    log P(x) >= E_u log p(x + u) + D log(bin_width), u uniform over one bin (Theis et al. 2016, eq. 4). Without it they
    are reported as densities.
    """
    x = np.asarray(x)
    if x.size == 0:
        raise ValueError(f"bits_per_dim: x is empty (shape {x.shape})")
    x = x[None] if x.ndim == 1 else x
    exact, density = hasattr(model, "log_prob"), getattr(model, "density", False)
    if rng is None and (bin_width is not None or not exact):
        raise ValueError("bits_per_dim: a bound is estimated by sampling: pass rng")
    if bin_width is not None and not density:
        raise ValueError("bits_per_dim: bin_width is for densities only; this model gives probabilities")
    nats = []
    for part in (x[i : i + chunk] for i in range(0, len(x), chunk)):
        if bin_width is not None:
            part = part + rng.uniform(-bin_width / 2, bin_width / 2, part.shape)
        nats.append(model.log_prob(part) if exact else model.bound(part, rng))
    dimensions = x[0].size
    bits = -np.concatenate(nats, dtype=np.float64) / (dimensions * np.log(2))  # (B,)
    if bin_width is not None:
        bits, exact, density = bits - np.log2(bin_width), False, False
    error = bits.std(ddof=1) / np.sqrt(len(bits)) if len(bits) > 1 else None
    return Bits(float(bits.mean()), None if error is None else float(error), exact, density)


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
    for name, x in (("samples", samples), ("test", test), ("train", train)):
        if np.asarray(x).dtype.kind not in "ui":
            raise TypeError(f"sample_metrics: {name} must hold integer levels (data.to_levels), got {x.dtype}")
    samples, test, train = (np.asarray(x) / (levels - 1) for x in (samples, test, train))

    def metrics(x: np.ndarray, fresh: np.ndarray) -> SampleMetrics:
        distance = nearest_training_distance(fresh, train).mean()
        return SampleMetrics(
            one_nn_accuracy(x, test), *precision_recall(x, test), sliced_wasserstein(x, test, rng), float(distance)
        )

    real = train[rng.choice(len(train), size=len(test), replace=False)]
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


def _rows(samples: np.ndarray, real: np.ndarray, same_number: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Two sets as float64 matrices, one example a row."""
    if len(samples) == 0 or len(real) == 0 or np.shape(samples)[1:] != np.shape(real)[1:]:
        raise ValueError(f"two sets of examples of one shape are needed, got {np.shape(samples)}, {np.shape(real)}")
    if same_number and len(samples) != len(real):
        raise ValueError(f"as many samples as real examples are needed, got {len(samples)} and {len(real)}")
    rows = [np.asarray(x, dtype=np.float64).reshape(len(x), -1) for x in (samples, real)]
    if not all(np.isfinite(x).all() for x in rows):
        raise ValueError("samples or real examples hold NaN or infinity")
    return rows[0], rows[1]


def _distances(x: np.ndarray, y: np.ndarray, chunk: int = 256) -> np.ndarray:
    """Euclidean distances (N, M), the differences taken outright: exact zeros for copies, exact ties for ties."""
    out = np.empty((len(x), len(y)))
    for i in range(0, len(x), chunk):
        square = (x[i : i + chunk] ** 2).sum(1)[:, None] + (y**2).sum(1) - 2 * x[i : i + chunk] @ y.T
        out[i : i + chunk] = np.sqrt(np.maximum(square, 0))
    return out


def crps(paths: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of forecast paths (paths, steps) at observed (steps,), in the data's unit.

    E|X - y| - E|X - X'| / 2, unbiased in the number of paths (Gneiting & Raftery 2007, eq. 21); lower is better.
    """
    paths, observed = _forecast(paths, observed)
    n = len(paths)
    rank = np.arange(1, n + 1)[:, None]
    # sorted, the mean of |X - X'| over pairs of different paths is 2 sum (2 i - n - 1) x_(i) / (n (n - 1))
    spread = ((2 * rank - n - 1) * np.sort(paths, axis=0)).sum(axis=0) / (n * (n - 1))
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
