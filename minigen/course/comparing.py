"""How an answer is held against the right one: layer by layer, under one policy of tolerance.

Lists, tuples and named tuples count as arrays, and the other way round; any precision will do
(float32 is judged more kindly), complex numbers never; the expected values are never told.
"""

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

SINGLE = 1e-4  # the least tolerance for results of single precision


class Layer(IntEnum):
    """From the most basic problem to the last."""

    TYPE, SHAPE, VALUES, IN_PLACE = range(4)


class Difference(NamedTuple):
    """How two results differ: what is right so far, and what is wrong."""

    layer: Layer
    right: str
    wrong: str


def difference(got: Any, expected: Any, tolerance: float) -> Difference | None:
    """None if they agree; otherwise in which layer they differ."""
    if isinstance(got, Exception) or isinstance(expected, Exception):
        if type(got) is type(expected):
            return None
        words = "no exception was raised where one belongs"
        return Difference(Layer.TYPE, "", f"{got!r}" if isinstance(got, Exception) else words)
    if isinstance(expected, (tuple, list)) and is_sequence(got):
        return difference_of_sequences(got, expected, tolerance)
    if isinstance(expected, np.ndarray) and expected.ndim and is_sequence(got):
        return difference_of_arrays(got, expected, tolerance)
    if got is None and expected is not None:
        return Difference(Layer.TYPE, "", "wrong type: this is None (is a return missing?)")
    if kind(got) != kind(expected):
        words = f"wrong type: this is {kind(got)}, where {kind(expected)} belongs"
        return Difference(Layer.TYPE, "", words)
    if is_number(expected) or isinstance(expected, np.ndarray) or hasattr(expected, "numpy"):
        return difference_of_arrays(got, expected, tolerance)
    if isinstance(expected, str):
        got, expected = got.strip().lower(), expected.strip().lower()
    return None if got == expected else Difference(Layer.VALUES, "type", "wrong values")


def difference_of_sequences(got: Any, expected: Any, tolerance: float) -> Difference | None:
    if len(got) != len(expected):
        words = f"wrong length: {len(got)} entries, where {len(expected)} belong"
        return Difference(Layer.SHAPE, "type", words)
    before = []
    for index, (part, expected_part) in enumerate(zip(got, expected)):
        problem = difference(part, expected_part, tolerance)
        if problem is not None:
            right = ", ".join(filter(None, [*before, problem.right]))
            return Difference(problem.layer, right, f"entry {index}: {problem.wrong}")
        before.append(f"entry {index}")
    return None


def difference_of_arrays(got: Any, expected: Any, tolerance: float) -> Difference | None:
    try:
        got, expected = plain(got), plain(expected)
    except ValueError:  # NumPy's word for rows of different lengths
        return Difference(Layer.TYPE, "", "wrong type inside: the rows have different lengths")
    if got.dtype.kind not in "iuf":
        belongs = "real numbers" if got.dtype.kind == "c" else "numbers"
        words = f"wrong type inside: {got.dtype} entries, where {belongs} belong"
        return Difference(Layer.TYPE, "", words)
    if got.shape != expected.shape:
        words = f"wrong shape: {got.shape}, where {expected.shape} belongs"
        return Difference(Layer.SHAPE, "type", words)
    if expected.ndim and expected.dtype.kind == "i" and got.size and got.dtype.kind == "f":
        words = f"wrong type inside: {got.dtype} entries, where whole numbers belong"
        return Difference(Layer.SHAPE, "type, shape", words)
    agree = agreement(got, expected, tolerance)
    if agree.all():
        return None
    if not expected.ndim:
        return Difference(Layer.VALUES, "type", "wrong value")
    words = f"wrong values ({np.sum(~agree)} of {agree.size})"
    return Difference(Layer.VALUES, f"type, shape {got.shape}", words)


def agreement(got: np.ndarray, expected: np.ndarray, tolerance: float) -> np.ndarray:
    """Entry by entry: |got - expected| <= tolerance (1 + |expected|), infinity and NaN where they
    belong.
    """
    if got.dtype == np.float32:
        tolerance = max(tolerance, SINGLE)
    with np.errstate(invalid="ignore"):
        close = np.abs(got - expected) <= tolerance * (1 + np.abs(expected))
    return (
        (close & np.isfinite(expected))
        | (got == expected)
        | ((got != got) & (expected != expected))
    )


def kind(thing: Any) -> str:
    """A word for the type, as coarse as the comparison: all numbers are one kind, all callables are
    one kind.
    """
    if is_number(thing):
        return "a number"
    if hasattr(thing, "backward"):
        return "a Tensor"
    if callable(thing):
        return "a function"
    names = {np.ndarray: "a NumPy array", type(None): "None", str: "a string"}
    return names.get(type(thing), f"a {type(thing).__name__}")


def is_number(thing: Any) -> bool:
    if isinstance(thing, np.ndarray):
        return thing.ndim == 0
    return isinstance(thing, (bool, int, float, complex, np.number, np.bool_))


def is_sequence(thing: Any) -> bool:
    return isinstance(thing, (tuple, list)) or (isinstance(thing, np.ndarray) and thing.ndim > 0)


def plain(thing: Any) -> np.ndarray:
    """As an array; unsigned differences would wrap around, so whole numbers become int64."""
    array = np.asarray(thing.numpy() if hasattr(thing, "numpy") else thing)
    return array.astype(np.int64) if array.dtype.kind in "ub" else array


def changed(after: Any, before: Any) -> bool:
    """Whether arrays and lists were written to; a generator may of course have been used."""
    if isinstance(before, (tuple, list)):
        return len(after) != len(before) or any(map(changed, after, before))
    if not isinstance(before, np.ndarray):
        return False
    return not np.array_equal(after, before, equal_nan=before.dtype.kind == "f")


# -- words -----------------------------------------------------------------------------------------


def named(answer: Any, choices: tuple[str, ...]) -> tuple[str, ...]:
    """The choices that an answer names: "312", 312, "3, 1, 2" and [3, 1, 2] are the same answer."""
    parts = [answer] if isinstance(answer, str) or not isinstance(answer, Iterable) else answer
    text = ",".join(str(part) for part in parts)
    letters = all(len(choice) == 1 for choice in choices)
    words = re.findall(r"\w", text) if letters else re.split(r"[,;/|\n]+", text.strip(" ()[]"))
    return tuple(" ".join(re.split(r"[\s_'\"-]+", word.lower())).strip() for word in words)


def as_number(answer: Any) -> float | None:
    """The number that an answer is or spells ("24", "0,5", a NumPy scalar); None if it is none."""
    try:
        number = answer.strip().replace(",", ".") if isinstance(answer, str) else answer
        return None if isinstance(number, bool) else float(number)
    except (TypeError, ValueError):
        return None
