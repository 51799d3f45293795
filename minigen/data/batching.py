"""Endless minibatches: whole examples in shuffled epochs, or random crops of one long sequence."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments


def batches(array: ndarray, batch_size: int, rng: Generator) -> Iterator[ndarray]:
    """Endless minibatches (batch_size, ...) of array (N, ...), in a fresh order each epoch.

    All batches have one size: the N % batch_size examples at the end of an epoch's order are left
    out of that epoch.
    """
    arguments.whole(1, len(array), batch_size=batch_size)
    used = len(array) // batch_size * batch_size
    orders = (rng.permutation(len(array))[:used] for _ in itertools.count())
    return (array[rows] for order in orders for rows in order.reshape(-1, batch_size))


def crops(tokens: ndarray, length: int, batch_size: int, rng: Generator) -> Iterator[ndarray]:
    """Endless minibatches (batch_size, length) of stretches of tokens (L,) that start anywhere."""
    if np.ndim(tokens) != 1:
        raise ValueError(f"tokens: expected shape (L,), got {np.shape(tokens)}")
    arguments.whole(1, len(tokens), length=length)
    arguments.whole(1, batch_size=batch_size)
    windows = np.lib.stride_tricks.sliding_window_view(tokens, length)  # (starts, length), a view
    return (windows[rng.integers(len(windows), size=batch_size)] for _ in itertools.count())
