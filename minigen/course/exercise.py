"""What an exercise is, and how an answer to it is judged; nothing here prints (see checks.py).

An exercise is a small table: its reference, valid alternatives, wrong answers with the message each deserves, and
hints. An answer is judged in layers: its type, its shape, its values; and if it agrees with one of the wrong answers,
that misconception is named. The same table drives the learner's check and the test that proves the check.
"""

import importlib
import inspect
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = str(Path(__file__).parent)


def call(answer: Callable, *arguments) -> Any:
    return answer(*arguments)


@dataclass(frozen=True)
class Exercise:
    """One exercise. `reference` is a function, or the answer itself where the exercise asks for a number or a word."""

    id: str  # "02.multiply": the lesson, then a name
    title: str
    reference: Any
    alternatives: tuple  # at least two other right answers
    wrong: tuple[
        tuple[Any, str], ...
    ]  # at least three pairs (wrong answer, the message it deserves)
    hints: tuple[str, ...]  # in steps, from a nudge to nearly there; never the answer
    inputs: Callable[[np.random.Generator], tuple] = (
        lambda rng: ()
    )  # fresh arguments, one call for each try
    run: Callable = call  # run(answer, *arguments) -> what is compared; for classes, samplers, functions in results
    tidy: Callable = lambda answer: (
        answer
    )  # for a number or a word: spellings that mean the same, made the same
    forbidden: tuple[str, ...] = ()  # dotted names of functions that fail while the answer runs
    tolerance: float = 1e-5  # |got - expected| <= tolerance * (1 + |expected|)
    tries: int = 5
    minutes: int = 6  # of a learner's time: 3, 6 or 10


@dataclass(frozen=True)
class Verdict:
    """What a check found: status is "passed", "failed" or "not attempted"."""

    id: str
    status: str
    right: str = ""  # what is right
    wrong: str = ""  # what is wrong
    think: str = ""  # what to think about: the named misconception, if the answer has one


def find(exercise_id: str) -> Exercise:
    """The exercise of that id, from the table of its lesson."""
    lesson = str(exercise_id).partition(".")[0]
    known = {exercise.id: exercise for exercise in table(lesson)}
    if exercise_id not in known:
        raise KeyError(
            f"no exercise {exercise_id!r}; lesson {lesson!r} has {', '.join(known) or 'none'}"
        )
    return known[exercise_id]


def table(lesson: str) -> tuple[Exercise, ...]:
    """All exercises of a lesson, given as "02"; empty if the lesson has no table."""
    name = f"minigen.course.exercises.lesson_{lesson}"
    try:
        return importlib.import_module(name).EXERCISES
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return ()


# -- judging ---------------------------------------------------------------------------------------------------------


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Try `answer` on fresh inputs, hold what it gives against the reference, and say in layers what is right."""
    if answer is None or answer is ...:
        return Verdict(exercise.id, "not attempted")
    asks_for_function = callable(exercise.reference)
    if asks_for_function and not callable(answer):
        return Verdict(
            exercise.id,
            "failed",
            "",
            f"wrong type: this is {kind(answer)}, where a function belongs",
            "Give check the function itself, by its name, without calling it.",
        )
    tries = exercise.tries if asks_for_function else 1
    gots, problems, in_place = [], [], False
    for k in range(tries):
        arguments = arguments_of(exercise, k)
        given = deepcopy(arguments)
        expected = outcome(exercise, exercise.reference, deepcopy(arguments))
        with switched_off(exercise.forbidden):
            got = outcome(exercise, answer, given)
        if isinstance(got, NotImplementedError):
            return Verdict(exercise.id, "not attempted")
        problem = difference(got, expected, exercise.tolerance)
        in_place = in_place or changed(given, arguments)
        if problem is None and in_place:
            problem = Difference(
                Layer.IN_PLACE,
                "what your function returns",
                "it also changes its arguments in place",
            )
        gots.append(got)
        if problem is not None:
            problems.append((problem, arguments, got))
    if not problems:
        return Verdict(
            exercise.id, "passed", f"{tries} fresh inputs" if asks_for_function else "your answer"
        )
    problem, arguments, got = min(
        problems, key=lambda found: found[0].layer
    )  # the most basic problem is told
    wrong, think = problem.wrong, misconception(exercise, gots)
    if problem.layer == Layer.VALUES and asks_for_function:
        wrong += f" in {len(problems)} of {tries} tries{example(exercise, arguments, got)}"
    if in_place and not think:
        think = "Which line writes into an argument? Work on a copy: whoever calls your function keeps their data."
    return Verdict(exercise.id, "failed", problem.right, wrong, think)


def arguments_of(exercise: Exercise, k: int) -> tuple:
    """The arguments of try k: the same on every machine, new ones for every try."""
    return exercise.inputs(np.random.default_rng([zlib.crc32(exercise.id.encode()), k]))


def outcome(exercise: Exercise, answer: Any, arguments: tuple) -> Any:
    """What an answer gives on these arguments: a value, or the exception it raises."""
    if not callable(exercise.reference):
        return answer if callable(answer) else exercise.tidy(answer)
    if not callable(answer):
        return answer
    try:
        return exercise.run(answer, *arguments)
    except Exception as error:
        return error


def misconception(exercise: Exercise, gots: list) -> str:
    """The message of the first known wrong answer that gives what the learner's answer gives, on every input."""
    for wrong, message in exercise.wrong:
        for k, got in enumerate(gots):
            if (
                difference(
                    got, outcome(exercise, wrong, arguments_of(exercise, k)), exercise.tolerance
                )
                is not None
            ):
                break
        else:
            return message
    return ""


@contextmanager
def switched_off(names: tuple[str, ...]) -> Iterator[None]:
    """While this runs, the functions of these dotted names raise, under whatever name they were imported.

    The code object of the function itself is exchanged: an alias, a partial or a wrapper reaches the same code.
    """

    def refuse(
        *arguments, **keywords
    ):  # runs with the globals of the function it replaces: built-ins only
        raise RuntimeError(
            "the package's own function is switched off while this check runs: build it yourself"
        )

    functions = [code_holder(name) for name in names]
    codes = [function.__code__ for function in functions]
    try:
        for function in functions:
            function.__code__ = refuse.__code__
        yield
    finally:
        for function, code in zip(functions, codes):
            function.__code__ = code


def code_holder(name: str) -> Callable:
    """The plain Python function that runs when `name`, say "minigen.ops.softmax", is called; a class's __init__."""
    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):  # the longest prefix that is a module
        try:
            found = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            found = getattr(found, part)
        found = inspect.unwrap(found.__init__ if inspect.isclass(found) else found)
        return getattr(found, "__func__", found)  # a classmethod's function
    raise ModuleNotFoundError(f"no module in {name!r}")


# -- comparing -------------------------------------------------------------------------------------------------------


class Layer(IntEnum):
    """From the most basic problem to the last."""

    TYPE, SHAPE, VALUES, IN_PLACE = range(4)


class Difference(NamedTuple):
    """How two results differ: what is right so far, and what is wrong."""

    layer: Layer
    right: str
    wrong: str


def difference(got: Any, expected: Any, tolerance: float) -> Difference | None:
    """None if they agree; otherwise in which layer they differ. The expected values are never told."""
    if isinstance(got, Exception) or isinstance(expected, Exception):
        if type(got) is type(expected):
            return None
        words = (
            raised(got)
            if isinstance(got, Exception)
            else "no exception was raised where one belongs"
        )
        return Difference(Layer.TYPE, "", words)
    if kind(got) != kind(expected):
        forgotten = " (is a return missing?)" if got is None else ""
        return Difference(
            Layer.TYPE,
            "",
            f"wrong type: this is {kind(got)}{forgotten}, where {kind(expected)} belongs",
        )
    if isinstance(expected, str):
        agree = got.strip().lower() == expected.strip().lower()
        return None if agree else Difference(Layer.VALUES, "type", "another answer belongs here")
    if isinstance(expected, (tuple, list)):
        if len(got) != len(expected):
            words = f"wrong length: {len(got)} entries, where {len(expected)} belong"
            return Difference(Layer.SHAPE, "type", words)
        for index, (part, expected_part) in enumerate(zip(got, expected)):
            problem = difference(part, expected_part, tolerance)
            if problem is not None:
                before = [f"entry {k}" for k in range(index)] + [problem.right] * bool(
                    problem.right
                )
                return Difference(
                    problem.layer, ", ".join(before), f"entry {index}: {problem.wrong}"
                )
        return None
    if (
        not is_number(expected)
        and not isinstance(expected, np.ndarray)
        and not hasattr(expected, "numpy")
    ):
        return None if got == expected else Difference(Layer.VALUES, "type", "wrong values")
    got, expected = plain(got), plain(expected)
    if got.dtype.kind not in "iufc":
        return Difference(
            Layer.TYPE, "", f"wrong type inside: {got.dtype} entries, where numbers belong"
        )
    if got.shape != expected.shape:
        return Difference(
            Layer.SHAPE, "type", f"wrong shape: {got.shape}, where {expected.shape} belongs"
        )
    if expected.ndim and expected.dtype.kind in "iub" and got.dtype.kind not in "iub":
        words = f"wrong type inside: {got.dtype} entries, where whole numbers belong"
        return Difference(Layer.SHAPE, "type, shape", words)
    with np.errstate(invalid="ignore"):
        agree = (np.abs(got - expected) <= tolerance * (1 + np.abs(expected))) | (got == expected)
    agree |= (got != got) & (expected != expected)  # NaN where NaN belongs
    if agree.all():
        return None
    if not expected.ndim:
        return Difference(Layer.VALUES, "type", "wrong value")
    return Difference(
        Layer.VALUES, f"type, shape {got.shape}", f"wrong values ({np.sum(~agree)} of {agree.size})"
    )


def kind(thing: Any) -> str:
    """A word for the type, as coarse as the comparison: all numbers are one kind, all callables are one kind."""
    if is_number(thing):
        return "a number"
    if hasattr(thing, "backward"):
        return "a Tensor"
    if callable(thing):
        return "a function"
    names = {np.ndarray: "a NumPy array", type(None): "None", str: "a string"}
    return names.get(type(thing), f"a {type(thing).__name__}")


def is_number(thing: Any) -> bool:
    return isinstance(thing, (bool, int, float, complex, np.number, np.bool_)) or (
        isinstance(thing, np.ndarray) and thing.ndim == 0
    )


def plain(thing: Any) -> np.ndarray:
    array = np.asarray(thing.numpy() if hasattr(thing, "numpy") else thing)
    return (
        array.astype(np.int64) if array.dtype.kind in "ub" else array
    )  # unsigned differences would wrap around


def changed(after: Any, before: Any) -> bool:
    """Whether arrays and lists among the arguments were written to; a generator may of course have been used."""
    if isinstance(before, (tuple, list)):
        return len(after) != len(before) or any(changed(a, b) for a, b in zip(after, before))
    return isinstance(before, np.ndarray) and not np.array_equal(
        after, before, equal_nan=before.dtype.kind == "f"
    )


# -- words for the learner -------------------------------------------------------------------------------------------


def raised(error: Exception) -> str:
    """The learner's exception with the last line of their own code that it passed through."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(HERE)
    ]
    own = [f for f in frames if f.filename == frames[0].filename] if frames else []
    where = f"\n    line {own[-1].lineno} of {own[-1].name}:  {own[-1].line}" if own else ""
    return f"your code raised {type(error).__name__}: {error}{where}"


def example(exercise: Exercise, arguments: tuple, got: Any) -> str:
    """One failing try in full, if it is small enough to be read."""
    names = inspect.signature(exercise.reference).parameters
    given = "".join(f"\n    {name} = {short(value)}" for name, value in zip(names, arguments))
    text = f"; for example{given}\n    gave {short(got)}"
    return text if "..." not in text else ""


def short(thing: Any) -> str:
    """A value in one line; "..." if it is too long for that."""
    if isinstance(thing, (tuple, list)):
        text = "(" + ", ".join(map(short, thing)) + ")"
    elif isinstance(thing, np.random.Generator):
        text = "a random generator"
    elif isinstance(thing, (np.ndarray, np.generic, float)):
        text = np.array2string(np.asarray(thing), precision=4, separator=", ").replace("\n", "")
    else:
        text = repr(thing)
    return text if len(text) <= 90 else "..."
