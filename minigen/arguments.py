"""What an argument must be, said once; the errors name it, what came and what was expected.

Arguments are given by their names: `whole(1, layers=layers, heads=heads)`.
"""

import numpy as np
from numpy import ndarray
from numpy.random import Generator


def whole(least: int, most: float = np.inf, /, **arguments) -> None:
    """Whole numbers from `least` to `most`."""
    for name, came in arguments.items():
        if not least <= came <= most or came % 1:
            bounds = f"of at least {least}" if most == np.inf else f"in {least}..{most}"
            raise ValueError(f"{name}: expected a whole number {bounds}, got {came}")


def within(interval: str, /, **arguments) -> None:
    """Numbers in an interval, written as in mathematics: "[0, 1)", "(0, inf)"."""
    low, high = map(float, interval[1:-1].split(","))
    for name, came in arguments.items():
        at_an_end = (came == low and interval[0] == "[") or (came == high and interval[-1] == "]")
        if not (low < came < high or at_an_end):
            raise ValueError(f"{name}: expected a number in {interval}, got {came}")


def one_of(words, /, **arguments) -> None:
    """Something out of several words, or other values."""
    for name, came in arguments.items():
        if came not in words:
            raise ValueError(f"{name}: expected one of {', '.join(map(repr, words))}, got {came!r}")


def generator(rng: Generator) -> Generator:
    """rng itself: every stochastic call takes a generator, there is no global random state."""
    if not isinstance(rng, Generator):
        expected = "a numpy.random.Generator, such as np.random.default_rng(0)"
        raise TypeError(f"rng: expected {expected}, got {type(rng).__name__} {rng!r}")
    return rng


def tokens(x: ndarray, vocab_size: int, name: str = "x") -> ndarray:
    """x as a batch (B, L) of integers in 0..vocab_size-1; one sequence (L,) is a batch of one."""
    try:
        x = np.atleast_2d(x)
    except ValueError as error:  # a tuple of parts of different lengths, such as data.Text
        raise TypeError(f"{name}: expected integers, got {type(x).__name__}") from error
    if x.size and x.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got {x.dtype} of shape {x.shape}")
    if x.ndim != 2:
        raise TypeError(f"{name}: expected shape (L,) or (B, L), got {x.shape}")
    if x.size and not 0 <= x.min() <= x.max() < vocab_size:
        came = f"{x.min()}..{x.max()}"
        raise IndexError(f"{name}: expected integers in 0..{vocab_size - 1}, got {came}")
    return x.astype(np.int64)


def labels(label, batch: int, classes: int) -> ndarray:
    """One class below `classes` for each example, or one for all: (batch,)."""
    if np.shape(label) not in ((), (1,), (batch,)):
        came = f"shape {np.shape(label)}"
        raise ValueError(f"label: expected one for each of {batch} examples, got {came}")
    return tokens(np.broadcast_to(label, batch), classes, "label")[0]


def examples(x, shape: tuple) -> None:
    """Floats (B, *shape), one example or more."""
    if x.dtype.kind != "f":
        hint = "data.to_signed makes them of levels"
        raise TypeError(f"x: expected floats ({hint}), got {x.dtype}")
    if x.shape[1:] != tuple(shape) or not len(x):
        expected = f"one or more examples of shape {tuple(shape)}"
        raise ValueError(f"x: expected {expected}, got an array of shape {x.shape}")


def numbers(name: str, x) -> ndarray:
    """x in float64, without NaN or infinity."""
    try:
        values = np.ma.asarray(x, np.float64).filled(np.nan)  # a masked value is a missing one
    except (TypeError, ValueError) as error:
        came = f"{type(x).__name__} (of a data.Series, pass .values)"
        raise TypeError(f"{name}: expected an array of numbers, got {came}") from error
    missing = np.argwhere(~np.isfinite(values))
    if len(missing):
        where = f"first at {missing[0].tolist()}; fill or cut them"
        raise ValueError(f"{name}: {len(missing)} missing or infinite values, {where}")
    return values
