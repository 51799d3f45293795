"""What a lesson goes on with after a check: the learner's own answer, or the reference."""

import functools
import inspect
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from minigen.course.comparing import difference
from minigen.course.exercise import Exercise, Verdict

GRACE = 1.0  # seconds in all that nobody is blamed for


def carry_on(exercise: Exercise, answer: Any, verdict: Verdict) -> Any:
    """What `check` returns; a notebook does not print it when it is the last of a cell."""
    passed = verdict.status == "passed"
    if not callable(exercise.reference):
        as_it_is = passed and not exercise.choices and not isinstance(answer, str)
        return answer if as_it_is else unseen(exercise.reference)
    if not passed:
        return Carried(exercise.id, None, exercise.reference)
    return answer if inspect.isclass(answer) else Carried(exercise.id, answer, exercise.reference)


def own(answer: Any) -> Any:
    """The learner's answer within what `check` gave back; None if that was the reference."""
    return getattr(answer, "_own", answer)


class Carried:
    """A function that passed, watched; the reference takes over if it fails or is slow.

    It gets copies of arrays (generators and models as they are). On calls 1, 2, 4, 8, ... the
    reference runs beside it, if the arguments allow that: for the time it takes on the same call,
    and the kind and shape of its result. Where it gives an array, a list becomes one.
    """

    def __init__(self, name: str, own: Callable | None, reference: Callable):
        functools.update_wrapper(self, own or reference)
        self._name, self._own, self._reference = name, own, reference
        self._given_up, self._calls, self._gives_arrays = own is None, 0, False
        self._seconds, self._beside = 0.0, 0.0  # of both, on the calls that both were given

    def __call__(self, *arguments, **keywords):
        if self._given_up:
            return self._reference(*arguments, **keywords)
        self._calls += 1
        expected = self._reference_beside(arguments, keywords)
        begin = time.perf_counter()
        try:
            result = self._own(*map(copied, arguments), **copied(keywords))
        except Exception as error:
            result = self._reference(*arguments, **keywords)  # raises too if the call is to blame
            return self._give_up(f"raised {type(error).__name__}: {error}", result)
        if expected is not None:
            self._seconds += time.perf_counter() - begin
            self._gives_arrays = isinstance(expected, np.ndarray)
            if words := unlike(result, expected):
                return self._give_up(words, expected)
            if self._seconds > GRACE + 5 * self._beside:
                return self._give_up("takes more than five times as long as the reference", result)
        listed = self._gives_arrays and isinstance(result, (list, tuple))
        return np.array(result) if listed else result

    def _reference_beside(self, arguments: tuple, keywords: dict) -> Any:
        """The reference's result on copies, or None: it is not run, or fails here."""
        values = (*arguments, *keywords.values())
        seldom = self._calls & (self._calls - 1) == 0 and self._beside <= GRACE
        if not seldom or not all(map(repeatable, values)):
            return None
        arguments, keywords = deepcopy((arguments, keywords))
        begin = time.perf_counter()
        try:
            return self._reference(*arguments, **keywords)
        except Exception:
            return None
        finally:
            self._beside += time.perf_counter() - begin

    def _give_up(self, words: str, result: Any) -> Any:
        self._given_up = True
        print(f"{self._name}: your function {words}.\nThe lesson goes on with the reference.")
        return result

    def _ipython_display_(self) -> None:
        pass


def unlike(result: Any, expected: Any) -> str:
    """How a result differs from the reference's in kind or shape, or by nan and inf; "" if it does
    not. An object of the learner's own making (a claim) may be another than the reference's.
    """
    if is_dataclass(expected):
        return ""
    problem = difference(result, as_floats(expected), np.inf)
    return f"gave this here: {problem.wrong}" if problem else ""


def as_floats(thing: Any) -> Any:
    """Whole numbers as floats: what the reference makes of integers need not be integers."""
    if isinstance(thing, (tuple, list)):
        return type(thing)(map(as_floats, thing))
    return thing.astype(float) if isinstance(thing, np.ndarray) else thing


def repeatable(thing: Any) -> bool:
    """Whether a second function may run on a copy without a trace: no models, no optimisers, no
    functions that hold something (a cache, a generator), for a copy of them holds the same.
    """
    if isinstance(thing, (tuple, list)):
        return all(map(repeatable, thing))
    if getattr(thing, "__closure__", None):
        return False
    plain = (np.ndarray, np.generic, np.random.Generator, int, float, str, type(None))
    return isinstance(thing, plain) or inspect.isroutine(thing)


def copied(thing: Any) -> Any:
    """A copy of arrays and of what holds them; generators, models and functions as they are."""
    if isinstance(thing, np.ndarray):
        return thing.copy()
    if type(thing) in (tuple, list):
        return type(thing)(map(copied, thing))
    if type(thing) is dict:
        return {key: copied(value) for key, value in thing.items()}
    return thing


class Unseen:
    """A value that a notebook does not print as the last of a cell: that would tell the answer."""

    _own = None

    def _ipython_display_(self) -> None:
        pass


class UnseenText(Unseen, str):
    pass


class UnseenNumber(Unseen, float):
    pass


class UnseenTuple(Unseen, tuple):
    pass


class UnseenArray(Unseen, np.ndarray):
    pass


def unseen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy().view(UnseenArray)
    for kind, quiet in ((str, UnseenText), (tuple, UnseenTuple), (float, UnseenNumber)):
        if isinstance(value, kind):
            return quiet(value)
    raise TypeError(
        f"the reference of an exercise is a function, text, tuple, float or array; got {value!r}"
    )
