"""Points in the plane, where a model can be seen whole."""

import numpy as np
from numpy import ndarray
from numpy.random import Generator


def two_moons(n: int, rng: Generator, noise: float = 0.05) -> ndarray:
    """Two interleaved half circles of radius 1, blurred by Gaussian noise: (n, 2) float32."""
    angle = rng.uniform(0, np.pi, n)
    coin = rng.integers(2, size=n)
    side = 2 * coin - 1  # 1 the upper moon, -1 the lower
    arc = np.column_stack([np.cos(angle), np.sin(angle)])
    shift = np.array([1 / 2, 1 / 4])
    moons = side[:, None] * (arc - shift)
    blur = noise * rng.standard_normal((n, 2))
    return (moons + blur).astype(np.float32)
