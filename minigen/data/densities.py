"""Densities in the plane to sample from, where a generative model can be seen whole: (n, rng) -> (n, 2) float32."""

import numpy as np


def two_moons(n: int, rng: np.random.Generator, noise: float = 0.05) -> np.ndarray:
    """Two interleaved half circles of radius 1, blurred by Gaussian noise."""
    angle, upper = rng.uniform(0, np.pi, n), rng.integers(2, size=n) * 2 - 1
    moons = np.stack([upper * np.cos(angle) - upper / 2, upper * np.sin(angle) - upper / 4], axis=1)
    return (moons + noise * rng.standard_normal((n, 2))).astype(np.float32)


def checkerboard(n: int, rng: np.random.Generator) -> np.ndarray:
    """The eight dark fields of a 4 x 4 board on [-2, 2] x [-2, 2]: a density with edges, constant at 1/8."""
    column = rng.integers(4, size=n)
    row = 2 * rng.integers(2, size=n) + column % 2
    return (np.stack([column, row], axis=1) - 2 + rng.uniform(0, 1, (n, 2))).astype(np.float32)
