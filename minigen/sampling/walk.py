"""The one loop that all families share.

To generate is to walk from ignorance to data: start from a prior, and at every step predict the
clean thing and commit to a little more of it. The families differ in what one step commits to:

    walk            now                    predict gives           commit fixes
    --------------  ---------------------  ----------------------  ---------------------------------
    autoregression  the next position      logits of it            that position
    masked          how many are hidden    logits of every one     some of the hidden positions
    block           the same, in a block   logits of the block     some hidden ones of the block
    Gaussian        the time, 1 down to 0  the clean x             a little precision everywhere
    ODE likelihood  the time, 0 up to 1    the slope, not clean x  where a point and its density go

Three commits predict again themselves, within their step: Heun's, Langevin's and Runge-Kutta's.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from numpy import ndarray

Denoise = Callable[[ndarray, float], ndarray]  # (B, ...) and a time -> the clean thing, (B, ...)
# x, prediction, now, after -> the next x
Commit = Callable[[ndarray, ndarray, float, float], ndarray]


def walk(x: ndarray, times: Sequence, predict: Callable, commit: Commit) -> Iterator[ndarray]:
    """Predict the clean thing, commit to a little more of it; yields every state after x."""
    for now, after in pairwise(times):
        x = commit(x, predict(x, now), now, after)
        yield x


def run(x: ndarray, times: Sequence, predict: Callable, commit: Commit) -> ndarray:
    """The last state of the walk."""
    for x in walk(x, times, predict, commit):  # noqa: B007, B020
        pass
    return x
