"""What is odd about a wrong answer that no table knows: probes that speak in general words."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigen.course.comparing import Layer, agreement, difference, is_number, is_sequence, plain

CLOSE = 1e-4


def speak(tries: list, names: list[str], answer: Any, reference: Any, again: Callable) -> str:
    """The words of the first probe that fits all failing tries; "" if none does.

    `tries` are those of exercise.py, `again(function, arguments)` is what a function gives on other
    arguments.
    """
    names = names[: len(tries[0].arguments)]
    entry = wrong_entry(tries)
    tries = [one._replace(got=entry(one.got), expected=entry(one.expected)) for one in tries]
    failing = [one for one in tries if one.problem is not None]
    right = [one for one in tries if one.problem is None]
    if right and all(one.edge for one in failing):
        return (
            "Right on ordinary inputs, wrong on an edge that the exercise allows: "
            "look at the example. What is special about it?"
        )
    leaves = [leaf(one.got, one.expected) for one in failing]
    both = [lambda arguments, f=f: entry(again(f, arguments)) for f in (reference, answer)]
    findings = itertools.chain(
        fitting(PROBES, leaves),
        scaled(leaves),
        moves_wrong([*right[:1], *failing[:2], failing[-1]], names, *both),
        where(right, failing, names),
        right_at_special_arguments([*failing[:2], failing[-1]], names, *both),
        fitting(SIZES, leaves),
    )
    some = "Right on some inputs and wrong on others: work the example through by hand."
    return next(findings, some if right else "")


def wrong_entry(tries: list) -> Callable:
    """Takes from a result that is a tuple the first entry that is wrong in all failing tries."""
    failing = [one for one in tries if one.problem is not None]
    if all(isinstance(one.expected, (tuple, list)) and is_sequence(one.got) for one in failing):
        for k in range(min(len(result) for one in failing for result in (one.got, one.expected))):
            if all(difference(one.got[k], one.expected[k], CLOSE) for one in failing):
                return lambda result: result[k] if is_sequence(result) and len(result) > k else None
    return lambda result: result


def fitting(probes: tuple, leaves: list) -> Iterator[str]:
    if all(leaves):
        for fits, words in probes:
            if all(fits(got, expected) for got, expected in leaves):
                yield words


def scaled(leaves: list) -> Iterator[str]:
    """One factor for everything, or one for each result."""
    if not all(leaves) or not all(
        got.shape == right.shape and right.any() for got, right in leaves
    ):
        return
    factors = [np.vdot(right, got) / np.vdot(right, right) for got, right in leaves]
    if all(same(c * right, got) for c, (got, right) in zip(factors, leaves)):
        if np.ptp(factors) <= CLOSE * max(np.abs(factors)):
            yield "Everything is off by one factor, the same in all tries. What is it?"
        if any(got.size > 1 for got, _ in leaves):
            yield (
                "Within one result all is off by the same factor, in another by another one: "
                "does it depend on a size, or on an argument?"
            )


def leaf(got: Any, expected: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """The two as arrays of floats; None unless both are numbers or arrays of numbers."""
    if not (is_number(expected) or isinstance(expected, np.ndarray)):
        return None
    if np.asarray(expected).dtype == bool:  # verdicts: no size, no sign, no factor
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


def offset(got: np.ndarray, expected: np.ndarray) -> bool:
    if got.shape != expected.shape or got.size < 2:
        return False
    return same(expected + np.mean(got - expected), got)


def off_by_one(got: np.ndarray, expected: np.ndarray) -> bool:
    return any(same(got, expected + one) for one in (1, -1))


def along(change: Callable) -> Callable:
    """A probe: whether `change(got, expected)` holds with some axis moved to the front."""

    def fits(got: np.ndarray, expected: np.ndarray) -> bool:
        axes = range(got.ndim if got.ndim == expected.ndim else 0)
        return any(change(np.moveaxis(got, k, 0), np.moveaxis(expected, k, 0)) for k in axes)

    return fits


def shifted(got: np.ndarray, expected: np.ndarray) -> bool:
    alike = got.shape == expected.shape
    return alike and (same(got[1:], expected[:-1]) or same(got[:-1], expected[1:]))


def too_short(got: np.ndarray, expected: np.ndarray) -> bool:
    return same(got, expected[1:]) or same(got, expected[:-1])


def right_rows(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """For each index of the first axis, whether all there is right; empty if the shapes differ."""
    if got.shape != expected.shape:
        return np.zeros(0, bool)
    return agreement(got, expected, CLOSE).reshape(len(got), -1).all(axis=1)


def one_end_wrong(got: np.ndarray, expected: np.ndarray) -> bool:
    right = right_rows(got, expected)
    return len(right) > 1 and bool(right[1:].all() or right[:-1].all())


def begins_right(got: np.ndarray, expected: np.ndarray) -> bool:
    right = right_rows(got, expected)
    return len(right) > 1 and bool(right[0] and np.all(right[:-1] >= right[1:]))


def reordered(got: np.ndarray, expected: np.ndarray) -> bool:
    return got.size > 1 and same(np.sort(got, axis=None), np.sort(expected, axis=None))


def bent(got: np.ndarray, expected: np.ndarray) -> bool:
    """One function away: a square or a root, a logarithm or exp, upside down, taken from 1."""
    bends = (np.square, np.sqrt, np.exp, np.log, np.reciprocal, np.log2)
    with np.errstate(all="ignore"):
        away = any(same(bend(expected), got) or same(bend(got), expected) for bend in bends)
        return away or same(1 - expected, got)


def too_large(got: np.ndarray, expected: np.ndarray) -> bool:
    if got.shape != expected.shape:
        return False
    off = np.abs(got) - np.abs(expected)
    return bool(np.all(off >= -CLOSE) and np.any(off > CLOSE))


def rounded(got: np.ndarray, expected: np.ndarray) -> bool:
    rounds = [functools.partial(np.round, decimals=k) for k in range(4)]
    return any(np.array_equal(got, change(expected)) for change in (*rounds, np.floor, np.trunc))


def nearly(got: np.ndarray, expected: np.ndarray) -> bool:
    if got.shape != expected.shape:
        return False
    return bool(np.all(np.abs(got - expected) <= 0.02 * np.abs(expected).max(initial=1e-3)))


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
    (along(lambda g, e: len(g) > 1 and same(g[::-1], e)), "The right values in reverse order."),
    (along(shifted), "The right values, shifted by one place."),
    (along(too_short), "Right, but one entry at an end is missing. Where does range end?"),
    (
        along(lambda g, e: too_short(e, g)),
        "Right, but there is one entry too many at an end. Where does range end?",
    ),
    (along(one_end_wrong), "All is right but at one end: the first or the last step is not."),
    (
        along(begins_right),
        "The first entries are right, the later ones are not: what begins there?",
    ),
    (
        along(lambda g, e: begins_right(g[::-1], e[::-1])),
        "The last entries are right, the first ones are not: what ends there?",
    ),
    (fewer_axes, "The right numbers in another shape: an axis was lost, added or moved."),
    (reordered, "These are the right numbers in the wrong places: which belongs to which?"),
    (
        offset,
        "Within one result all entries are off by the same amount: what was added, or not added?",
    ),
    (rounded, "This is rounded. Keep all digits; // and int() round too."),
    (
        nearly,
        "Nearly right: off by less than 2%. A rounding, a small constant, a count off by one?",
    ),
)


SIZES = (  # better than nothing
    (
        too_large,
        "Everything that is wrong is too large in size. What is counted twice, or not divided?",
    ),
    (
        lambda g, e: too_large(e, g),
        "Everything that is wrong is too small in size. What is left out, or divided twice?",
    ),
)


# -- probes of all tries ---------------------------------------------------------------------------


def moves_wrong(tries: list, names: list[str], right: Callable, answer: Callable) -> Iterator[str]:
    """Arguments that move what is right but not the answer, or the answer to the other side."""
    for k, name in enumerate(names):
        moves = [moves_of(one, k, right, answer) for one in tries]
        if all(move is not None and not move[1].any() for move in moves):
            yield f"Your answer stays the same whatever {name} is. What is {name} for?"
        if all(move is not None and np.vdot(*move) < 0 for move in moves):
            yield f"When {name} alone changes, your answer moves to the wrong side: follow {name}."


def moves_of(
    one: Any, k: int, right: Callable, answer: Callable
) -> tuple[np.ndarray, np.ndarray] | None:
    """By how much the right result and the answer move with argument k.

    None if it cannot be told.
    """
    if (other := moved(one.arguments[k])) is None:
        return None
    arguments = (*one.arguments[:k], other, *one.arguments[k + 1 :])
    with np.errstate(all="ignore"):
        pairs = (right(arguments), one.expected), (answer(arguments), one.got)
    flat = [[np.concatenate([[], *map(np.ravel, numbers(x))]) for x in pair] for pair in pairs]
    if len({len(x) for pair in flat for x in pair}) > 1:
        return None
    of_right, of_answer = (after - before for after, before in flat)
    return (of_right, of_answer) if np.abs(of_right).max(initial=0) > CLOSE else None


def right_at_special_arguments(
    failing: list, names: list[str], right: Callable, answer: Callable
) -> Iterator[str]:
    for words, change in simpler(failing[0].arguments, names):
        if all(right_here(change(one.arguments), right, answer) for one in failing):
            yield words


def simpler(arguments: tuple, names: list[str]) -> Iterator[tuple[str, Callable]]:
    """Special arguments, with the words for an answer that is right there and not elsewhere."""

    def with_value(k: int, value: float) -> Callable:
        return lambda a: (*a[:k], fill(a[k], value), *a[k + 1 :])

    def equal(j: int, k: int) -> Callable:
        return lambda a: (*a[:k], a[j], *a[k + 1 :])

    for k, name in enumerate(names):
        if isinstance(arguments[k], (tuple, list)) and all(map(is_whole, arguments[k])):
            words = f"Right if {name} is sorted: what does another order of {name} change?"
            yield words, lambda a, k=k: (*a[:k], type(a[k])(sorted(a[k])), *a[k + 1 :])
        for value in (0, 1, 0.5):
            if fill(arguments[k], value) is not None:
                words = f"Right if {name} is {value}: look at what you do with {name}."
                yield words, with_value(k, value)
        for j in range(k):
            if is_float(arguments[j]) and np.shape(arguments[j]) == np.shape(arguments[k]):
                words = f"Right if {names[j]} equals {name}: do you take one for the other?"
                yield words, equal(j, k)


def fill(thing: Any, value: float) -> Any:
    """The same kind of thing with this value everywhere; None where that cannot be."""
    if is_float(thing):
        return np.full_like(thing, value) if isinstance(thing, np.ndarray) else float(value)
    return 1 if is_whole(thing) and value == 1 else None


def is_float(thing: Any) -> bool:
    return isinstance(thing, float) or getattr(getattr(thing, "dtype", None), "kind", "") == "f"


def is_whole(thing: Any) -> bool:
    return isinstance(thing, (int, np.integer)) and not isinstance(thing, bool)


def right_here(arguments: tuple, right: Callable, answer: Callable) -> bool:
    """Whether the answer is right here, where that is not trivial: something finite and not 0."""
    with np.errstate(all="ignore"):
        expected, got = right(arguments), answer(arguments)
    if difference(got, expected, CLOSE) is not None or isinstance(expected, Exception):
        return False
    return all(np.isfinite(part).all() and part.any() for part in numbers(expected))


def numbers(thing: Any) -> list[np.ndarray]:
    if isinstance(thing, (tuple, list)):
        return [array for part in thing for array in numbers(part)]
    real = np.asarray(thing).dtype.kind in "biuf" if thing is not None else False
    return [plain(thing)] if real else []


def moved(value: Any) -> Any:
    """Another argument of the same kind; None where that cannot be made."""
    if isinstance(value, (bool, np.bool_)):
        return not value
    if is_whole(value):
        return value + 1
    if is_float(value):
        return value * 0.9
    return value[::-1] if is_sequence(value) and all(map(is_number, value)) else None


def where(right: list, failing: list, names: list[str]) -> Iterator[str]:
    """What sets the right tries apart from the failing ones: equal sizes, or one size or number."""
    if not right:
        return
    equal, unequal = ([len(set(sizes(one))) < 2 for one in group] for group in (right, failing))
    if all(equal) and not any(unequal):
        yield "Right only where all sizes are equal. Which axis did you take for which?"
    good, bad = ([features(one, names) for one in group] for group in (right, failing))
    for name in good[0]:
        if any(name not in one for one in good + bad):
            continue
        low, high = ([one[name] for one in group] for group in (good, bad))
        if max(low) < min(high):
            yield f"Right in the tries where {name} is {max(low):.4g} or less, wrong above."
        if min(low) > max(high):
            yield f"Right in the tries where {name} is {min(low):.4g} or more, wrong below."


def sizes(one: Any) -> list[int]:
    return [n for value in one.arguments for n in shape(value)]


def shape(value: Any) -> tuple[int, ...]:
    return (len(value),) if isinstance(value, (tuple, list)) else getattr(value, "shape", ())


def features(one: Any, names: list[str]) -> dict[str, float]:
    """Numbers that tell tries apart: a scalar argument, the lengths of an array."""
    found = {}
    for name, value in zip(names, one.arguments):
        if is_number(value):
            found[name] = float(value)
        for axis, length in enumerate(shape(value)):
            found[f"the length of axis {axis} of {name}"] = length
    return found


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
