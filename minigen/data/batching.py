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
    count = len(array) // batch_size
    orders = (rng.permutation(len(array))[: count * batch_size] for _ in itertools.count())
    return (array[rows] for order in orders for rows in order.reshape(count, batch_size))


def crops(
    tokens: np.ndarray, length: int, batch_size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Endless minibatches (batch_size, length) of stretches of tokens (L,) that start anywhere."""
    if np.ndim(tokens) != 1 or not 1 <= length <= len(tokens) or batch_size < 1:
        got = f"tokens of shape {np.shape(tokens)}, {length=}, {batch_size=}"
        raise ValueError(
            f"crops: expected tokens (L,), length in 1..L and batch_size >= 1, got {got}"
        )
    windows = np.lib.stride_tricks.sliding_window_view(
        tokens, length
    )  # (L - length + 1, length), a view
    return (windows[rng.integers(len(windows), size=batch_size)] for _ in itertools.count())
