"""The one loop that all families share: predict the clean thing, commit to a little more of it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

Array = np.ndarray
Denoise = Callable[[Array, float], Array]  # (B, ...) and a time -> the clean thing, (B, ...)
Commit = Callable[[Array, Array, float, float], Array]  # x, prediction, now, after -> the next x


def walk(x: Array, times: Sequence, predict: Callable, commit: Commit) -> Iterator[Array]:
    """Generate: predict the clean thing, commit to a little more of it; yields every state after x.

    Diffusion walks from t = 1 down to 0 and predicts the clean x; autoregression walks along the positions, predicts
    the logits of the next token and commits to one position.
    """
    for now, after in pairwise(times):
        x = commit(x, predict(x, now), now, after)
        yield x


def run(x: Array, times: Sequence, predict: Callable, commit: Commit) -> Array:
    """The last state of the walk."""
    for x in walk(x, times, predict, commit):  # noqa: B007, B020
        pass
    return x
