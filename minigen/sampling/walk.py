"""The one loop that all families share.

To generate is to walk from ignorance to data: start from a prior, and at every step predict the
clean thing and commit to a little more of it. The families differ in what one step commits to: see
the table in `minigen.models.protocol`.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from numpy import ndarray

Denoise = Callable[[ndarray, float], ndarray]  # (B, ...) and a time -> the clean thing, (B, ...)
# x, prediction, now, after -> the next x
Commit = Callable[[ndarray, ndarray, float, float], ndarray]


def walk(x: ndarray, times: Sequence, predict: Callable, commit: Commit) -> Iterator[ndarray]:
    """Predict the clean thing, commit to a little more of it; yields every state after x.

    Gaussian diffusion walks from t = 1 down to 0 and predicts the clean x; autoregression walks
    along the positions, predicts the logits of the next token and commits to that one position.
    """
    for now, after in pairwise(times):
        x = commit(x, predict(x, now), now, after)
        yield x


def run(x: ndarray, times: Sequence, predict: Callable, commit: Commit) -> ndarray:
    """The last state of the walk."""
    for x in walk(x, times, predict, commit):  # noqa: B007, B020
        pass
    return x
