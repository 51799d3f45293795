"""What is odd about a wrong answer that no table knows: probes that speak in general words."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigen.course.comparing import Layer, agreement, difference, is_number, is_sequence, plain

CLOSE = 1e-4


def speak(tries: list, names: list[str], answer: Any, reference: Any, again: Callable) -> str:
    """The words of the first probe that fits all failing tries; "" if none does.

    `tries` are those of exercise.py, `again(function, arguments)` what a function gives on other
    arguments.
    """
    failing = [one for one in tries if one.problem is not None]
    if len(failing) < len(tries) and all(one.edge for one in failing):
        return (
            "Right on ordinary inputs, wrong on an edge that the exercise allows: "
            "look at the example. What is special about it?"
        )
    leaves = [leaf(one.got, one.expected) for one in failing]
    if all(leaves):
        for fits, words in PROBES:
            if all(fits(got, expected) for got, expected in leaves):
                return words
        for words in one_sided(failing, leaves, names):
            return words
    if not any(isinstance(one.got, Exception) for one in tries):
        looked_at = min(tries, key=lambda one: one.problem is not None), failing[-1]
        idle = [set(unused(one, answer, reference, again)) for one in looked_at]
        for k in sorted(set.intersection(*idle)):
            return f"Your answer stays the same whatever {names[k]} is. What is {names[k]} for?"
    return where(tries, names)


def leaf(got: Any, expected: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """The first pair of numbers or arrays that differ, from within tuples; None where there is no
    such pair.
    """
    if isinstance(expected, (tuple, list)) and is_sequence(got) and len(got) == len(expected):
        for part, expected_part in zip(got, expected):
            if difference(part, expected_part, CLOSE) is not None:
                return leaf(part, expected_part)
        return leaf(got[0], expected[0]) if len(got) else None
    if not (is_number(expected) or isinstance(expected, np.ndarray)):
        return None
    problem = difference(got, expected, CLOSE)
    if problem is not None and problem.layer == Layer.TYPE:
        return None
    return plain(got).astype(float), plain(expected).astype(float)


# -- probes of one pair: got and expected, arrays that differ --------------------------------------


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shapes, and values equal to four digits of the largest."""
    if a.shape != b.shape or not a.size:
        return False
    scale = np.abs(b[np.isfinite(b)]).max(initial=0)
    with np.errstate(invalid="ignore"):
        return bool(np.all((np.abs(a - b) <= CLOSE * scale) | (a == b)) and scale > 0)


def factor(got: np.ndarray, expected: np.ndarray) -> bool:
    """got = c expected, seen in at least two entries or in a number."""
    if got.shape != expected.shape or not np.any(expected):
        return False
    return same(np.vdot(expected, got) / np.vdot(expected, expected) * expected, got)


def each_factor(got: np.ndarray, expected: np.ndarray) -> bool:
    return expected.size > 1 and factor(got, expected)


def offset(got: np.ndarray, expected: np.ndarray) -> bool:
    if got.shape != expected.shape or got.size < 2:
        return False
    return same(expected + np.mean(got - expected), got)


def off_by_one(got: np.ndarray, expected: np.ndarray) -> bool:
    return any(same(got, expected + one) for one in (1, -1))


def along_axes(change: Callable) -> Callable:
    """A probe: whether `change(got, expected, axis)` holds for some axis."""
    return lambda got, expected: (
        got.ndim == expected.ndim and any(change(got, expected, k) for k in range(got.ndim))
    )


def shifted(got: np.ndarray, expected: np.ndarray, axis: int) -> bool:
    got, expected = np.moveaxis(got, axis, 0), np.moveaxis(expected, axis, 0)
    if len(got) < 2 or got.shape != expected.shape:
        return False
    return same(got[1:], expected[:-1]) or same(got[:-1], expected[1:])


def cut(got: np.ndarray, expected: np.ndarray, axis: int) -> bool:
    got, expected = np.moveaxis(got, axis, 0), np.moveaxis(expected, axis, 0)
    short, long = sorted((got, expected), key=len)
    return len(long) == len(short) + 1 and (same(short, long[1:]) or same(short, long[:-1]))


def ends_wrong(got: np.ndarray, expected: np.ndarray, axis: int) -> bool:
    got, expected = np.moveaxis(got, axis, 0), np.moveaxis(expected, axis, 0)
    if len(got) < 2 or got.shape != expected.shape:
        return False
    return same(got[1:], expected[1:]) or same(got[:-1], expected[:-1])


def reordered(got: np.ndarray, expected: np.ndarray) -> bool:
    return got.size > 1 and same(np.sort(got, axis=None), np.sort(expected, axis=None))


def bent(got: np.ndarray, expected: np.ndarray) -> bool:
    """One function away: squared or a root, a logarithm or e to the power of it, upside down, taken
    from 1.
    """
    bends = (np.square, np.sqrt, np.exp, np.log, np.reciprocal, np.log2)
    with np.errstate(all="ignore"):
        away = any(same(bend(expected), got) or same(bend(got), expected) for bend in bends)
        return away or same(1 - expected, got)


def nearly(got: np.ndarray, expected: np.ndarray) -> bool:
    if got.shape != expected.shape:
        return False
    return bool(np.all(np.abs(got - expected) <= 0.02 * np.abs(expected).max(initial=1e-3)))


def diagonal_wrong(got: np.ndarray, expected: np.ndarray) -> bool:
    if got.ndim != 2 or got.shape != expected.shape or min(got.shape) < 2:
        return False
    off = ~np.eye(*got.shape, dtype=bool)
    return same(got[off], expected[off])


def fewer_axes(got: np.ndarray, expected: np.ndarray) -> bool:
    return got.size == expected.size and got.shape != expected.shape and same(
        got.ravel(), expected.ravel()
    )  # fmt: skip


PROBES = (
    (
        lambda g, e: not np.isfinite(g).all() and np.isfinite(e).all(),
        "Your result has nan or inf in it. What is divided by 0, is the logarithm of 0, or is "
        "too large for exp?",
    ),
    (lambda g, e: same(g, -e), "Every sign is turned; the sizes are right."),
    (lambda g, e: same(np.abs(g), np.abs(e)), "The sizes are right, some signs are not."),
    (
        lambda g, e: g.ndim > 1 and same(g.T, e),
        "This is the right table, transposed: which index comes first?",
    ),
    (
        off_by_one,
        "Everything is off by exactly one. Where does your counting begin, and where does it end?",
    ),
    (
        bent,
        "The right thing, but for the last operation: a square or a root, a logarithm or an exp, "
        "a share or the rest, is there once too often or is missing.",
    ),
    (
        along_axes(lambda g, e, k: g.shape[k] > 1 and same(np.flip(g, k), e)),
        "The right values in reverse order.",
    ),
    (along_axes(shifted), "The right values, shifted by one place."),
    (
        along_axes(cut),
        "What is there is right, but one entry at an end is missing or too many. "
        "Where does range end?",
    ),
    (along_axes(ends_wrong), "All is right but at one end: the first or the last step is not."),
    (diagonal_wrong, "All is right but on the diagonal."),
    (fewer_axes, "The right numbers in another shape: an axis was lost, added or moved."),
    (reordered, "These are the right numbers in the wrong places: which belongs to which?"),
    (
        each_factor,
        "Within one result all entries are off by the same factor: what should it be divided or "
        "multiplied by, and does that depend on a size or on an argument?",
    ),
    (
        offset,
        "Within one result all entries are off by the same amount: what was added, or not added?",
    ),
    (
        nearly,
        "Nearly right: off by less than 2%. A rounding, a small constant, a count off by one?",
    ),
)


# -- probes of all tries ---------------------------------------------------------------------------


def one_sided(failing: list, leaves: list, names: list[str]) -> Iterator[str]:
    """Arguments whose sign, entry by entry, tells where the result is wrong."""
    for k, name in enumerate(names):
        for side, word in ((-1, "negative"), (1, "positive")):
            places = []
            for one, (got, expected) in zip(failing, leaves):
                x = one.arguments[k] if k < len(one.arguments) else None
                if np.shape(got) != np.shape(expected) or not isinstance(x, np.ndarray):
                    continue
                if x.shape == got.shape and x.dtype.kind == "f":
                    wrong = ~agreement(got, expected, CLOSE)
                    places.append(not np.any(wrong & (np.sign(x) != side)) and np.any(x * side < 0))
            if len(places) == len(failing) and all(places):
                yield f"Only entries with a {word} {name} are wrong."


def unused(one: Any, answer: Any, reference: Any, again: Callable) -> Iterator[int]:
    """The arguments that change the reference's result but not the answer's."""
    for k, value in enumerate(one.arguments):
        if (other := moved(value)) is None:
            continue
        arguments = (*one.arguments[:k], other, *one.arguments[k + 1 :])
        expected = again(reference, arguments)
        if isinstance(expected, Exception) or difference(expected, one.expected, CLOSE) is None:
            continue
        if difference(again(answer, arguments), one.got, 1e-12) is None:
            yield k


def moved(value: Any) -> Any:
    """Another argument of the same kind; None where that cannot be made."""
    if isinstance(value, (bool, np.bool_)):
        return not value
    if isinstance(value, (int, np.integer)):
        return value + 1
    if isinstance(value, (float, np.floating)) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "f"
    ):
        return value * 0.9
    if is_sequence(value) and all(is_number(part) for part in value):
        return value[::-1]
    return None


def where(tries: list, names: list[str]) -> str:
    """In which tries the answer is right: by the edges, by equal sizes, or by the size of an
    argument.
    """
    right = [one for one in tries if one.problem is None]
    wrong = [one for one in tries if one.problem is not None]
    if not right:
        return ""
    if all(len(set(sizes(one))) == 1 for one in right) and all(
        len(set(sizes(one))) > 1 for one in wrong
    ):
        return "Right only where all sizes are equal. Which axis did you take for which?"
    for name, feature in features(names):
        low, high = ([feature(one) for one in group] for group in (right, wrong))
        if None in low + high:
            continue
        if max(low) < min(high):
            limit = f"{max(low):.4g} or less, wrong where it is more"
            return f"Right in all tries where {name} is {limit}."
        if min(low) > max(high):
            limit = f"{min(low):.4g} or more, wrong where it is less"
            return f"Right in all tries where {name} is {limit}."
    return (
        "Right on some inputs and wrong on others. "
        "Work the example through by hand: which line does not do what you think there?"
    )


def sizes(one: Any) -> tuple[int, ...]:
    return tuple(n for value in one.arguments if isinstance(value, np.ndarray) for n in value.shape)


def features(names: list[str]) -> Iterator[tuple[str, Callable]]:
    """Numbers that tell tries apart: a scalar argument, the ranks and lengths of an array."""

    def scalar(k: int) -> Callable:
        return lambda one: float(one.arguments[k]) if is_number(one.arguments[k]) else None

    def length(k: int, axis: int) -> Callable:
        def of(one: Any) -> int | None:
            value = one.arguments[k]
            shape = value.shape if isinstance(value, np.ndarray) else ()
            if isinstance(value, (tuple, list)):
                shape = (len(value),)
            return shape[axis] if len(shape) > axis else None

        return of

    for k, name in enumerate(names):
        yield name, scalar(k)
        for axis in range(3):
            yield f"the length of axis {axis} of {name}", length(k, axis)


# -- a value in one line ---------------------------------------------------------------------------


def size(thing: Any) -> int:
    """How many numbers somebody has to read."""
    if isinstance(thing, (tuple, list)):
        return sum(map(size, thing))
    return thing.size if isinstance(thing, np.ndarray) else 1


def short(thing: Any) -> str:
    """A value in one line, abridged if it is too long for that."""
    if isinstance(thing, np.ndarray) and thing.size > 24:
        first = ", ".join(f"{entry:.4g}" for entry in thing.ravel()[:4])
        return f"an array of shape {thing.shape}: {first}, ..."
    if isinstance(thing, (np.ndarray, np.generic, float)):
        text = np.array2string(np.asarray(thing), precision=4, separator=", ")
        return " ".join(text.split())
    if isinstance(thing, (tuple, list)):
        text = "(" + ", ".join(map(short, thing)) + ")"
    elif isinstance(thing, np.random.Generator):
        text = "a random generator"
    else:
        text = "a function" if callable(thing) else repr(thing)
    return text if len(text) <= 160 else text[:150] + " ..."
