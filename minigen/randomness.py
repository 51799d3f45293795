"""Randomness: every stochastic call takes a generator; there is no global random state."""

import numpy as np


def generator(rng: np.random.Generator, caller: str) -> np.random.Generator:
    """rng itself, or an error that says what to hand in."""
    if not isinstance(rng, np.random.Generator):
        came = f"{type(rng).__name__} {rng!r}"[:60]
        raise TypeError(
            f"{caller}: rng is {came}, expected a numpy.random.Generator: np.random.default_rng(0)"
        )
    return rng


def even_draws(n: int, rng: np.random.Generator) -> np.ndarray:
    """n numbers in [0, 1), each alike likely to lie anywhere, but spread evenly: (n,).

    A mean over them, such as a loss over random times, is less noisy than over n draws.
    """
    return (rng.random() + np.arange(n) / n) % 1
