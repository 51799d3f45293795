"""Endless minibatches for training: whole examples in shuffled epochs, or random crops of one long sequence."""

import itertools
from collections.abc import Iterator

import numpy as np


def batches(array: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless minibatches (batch_size, ...) of array (N, ...): each epoch visits the examples in a fresh order.

    All batches have one size: the N % batch_size examples at the end of an epoch's order are left out of that epoch.
    """
    if not 1 <= batch_size <= len(array):
        raise ValueError(
            f"batches: batch_size must lie in 1..{len(array)} (examples in array), got {batch_size}"
        )
    used = len(array) // batch_size * batch_size
    orders = (rng.permutation(len(array))[:used] for _ in itertools.count())
    return (array[rows] for order in orders for rows in order.reshape(-1, batch_size))


def crops(
    tokens: np.ndarray, length: int, batch_size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Endless minibatches (batch_size, length) of stretches of tokens (L,) that start anywhere."""
    if np.ndim(tokens) != 1:
        raise ValueError(f"crops: tokens must be of shape (L,), got {np.shape(tokens)}")
    if not 1 <= length <= len(tokens):
        raise ValueError(f"crops: length must lie in 1..{len(tokens)} (tokens), got {length}")
    if batch_size < 1:
        raise ValueError(f"crops: batch_size must be at least 1, got {batch_size}")
    windows = np.lib.stride_tricks.sliding_window_view(tokens, length)  # (starts, length), a view
    return (windows[rng.integers(len(windows), size=batch_size)] for _ in itertools.count())
