"""Densities in the plane, where a model can be seen whole: (n, rng) -> samples (n, 2) float32."""

import numpy as np
from numpy import ndarray
from numpy.random import Generator


def two_moons(n: int, rng: Generator, noise: float = 0.05) -> ndarray:
    """Two interleaved half circles of radius 1, blurred by Gaussian noise."""
    angle = rng.uniform(0, np.pi, n)
    coin = rng.integers(2, size=n)
    side = 2 * coin - 1  # 1 the upper moon, -1 the lower
    arc = np.column_stack([np.cos(angle), np.sin(angle)])
    shift = np.array([1 / 2, 1 / 4])
    moons = side[:, None] * (arc - shift)
    blur = noise * rng.standard_normal((n, 2))
    return (moons + blur).astype(np.float32)


def checkerboard(n: int, rng: Generator) -> ndarray:
    """The eight dark fields of a 4 x 4 board on [-2, 2] x [-2, 2]: constant at 1/8, with edges."""
    column = rng.integers(4, size=n)
    row = 2 * rng.integers(2, size=n) + column % 2
    corner = np.column_stack([column, row]) - 2
    inside = rng.uniform(0, 1, (n, 2))
    return (corner + inside).astype(np.float32)
