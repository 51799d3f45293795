"""What an exercise is, and how an answer to it is judged; nothing here prints (see checks.py).

An exercise is a small table: its reference, valid alternatives, wrong answers with the message each
deserves, hints, and inputs. An answer is judged in layers: its type, its shape, its values, what it
does to its arguments. If it agrees with one of the wrong answers, that misconception is named; if
with none, probes look for what is odd about it. The same table drives the learner's check and the
test that proves the check; how to write one stands in exercises/.
"""

import difflib
import importlib
import inspect
import pkgutil
import threading
import traceback
import types
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigen.course import exercises, probes
from minigen.course.comparing import (
    Difference,
    Layer,
    as_number,
    changed,
    difference,
    is_number,
    kind,
    named,
)

HERE = str(Path(__file__).parent)


def call(answer: Callable, *arguments) -> Any:
    return answer(*arguments)


@dataclass(frozen=True)
class Exercise:
    """One exercise. `reference` is a function, or the answer itself where the exercise asks for a
    number or a word.
    """

    id: str  # "02.multiply": the lesson, then a name
    title: str
    reference: Any
    alternatives: tuple  # at least two other right answers
    wrong: tuple[tuple[Any, str], ...]  # at least three pairs (wrong answer, its message)
    hints: tuple[str, ...]  # in steps, from a nudge to nearly there; never the answer
    inputs: Callable[[np.random.Generator], tuple] = lambda rng: ()  # fresh arguments for each try
    edges: tuple[tuple, ...] = ()  # arguments picked by hand, tried first
    run: Callable = call  # run(answer, *arguments) -> what is compared; for classes, samplers
    choices: tuple[str, ...] = ()  # the words that an answer may name, each as often as it likes
    forbidden: tuple[str, ...] = ()  # dotted names of functions that fail while the answer runs
    tolerance: float = 1e-5  # |got - expected| <= tolerance * (1 + |expected|)
    tries: int = 6  # on fresh inputs, after the edges
    minutes: int = 6  # of a learner: 3, 6 or 10


@dataclass(frozen=True)
class Verdict:
    """What a check found: status is "passed", "failed" or "not attempted"."""

    id: str
    status: str
    right: str = ""  # what is right
    wrong: str = ""  # what is wrong
    think: str = ""  # what to think about: the named misconception, or what a probe found


def find(exercise_id: str) -> Exercise:
    """The exercise of that id, from the table of its lesson; LookupError with the nearest names if
    there is none.
    """
    wanted = str(exercise_id)
    known = {exercise.id: exercise for exercise in table(wanted.partition(".")[0])}
    if wanted not in known:
        names = list(known) or [exercise.id for lesson in lessons() for exercise in table(lesson)]
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5) or names
        raise LookupError(f"No exercise is called {wanted!r}. Did you mean {' or '.join(near)}?")
    return known[wanted]


def lessons() -> list[str]:
    """The lessons that have a table, as "02"."""
    names = (module.name for module in pkgutil.iter_modules(exercises.__path__))
    return sorted(name[-2:] for name in names if name.startswith("lesson_"))


def table(lesson: str) -> tuple[Exercise, ...]:
    """All exercises of a lesson, given as "02"; empty if the lesson has no table."""
    name = f"minigen.course.exercises.lesson_{lesson}"
    try:
        return importlib.import_module(name).EXERCISES
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return ()


# -- judging ---------------------------------------------------------------------------------------


class Try(NamedTuple):
    """One try of an answer: its arguments, what it gave, what belonged there, and how the two
    differ.
    """

    arguments: tuple
    got: Any
    expected: Any
    problem: Difference | None
    wrote: tuple[str, ...]  # the arguments that it changed in place
    edge: bool


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Hold `answer` against the reference, on edges and on fresh inputs, and say in layers what is
    right.
    """
    if answer is None or answer is ...:
        return Verdict(exercise.id, "not attempted")
    if not callable(exercise.reference):
        return judge_words(exercise, answer) if exercise.choices else judge_value(exercise, answer)
    if not callable(answer):
        words = f"wrong type: this is {kind(answer)}, where a function belongs"
        think = "Give check the function itself, by its name, without calling it."
        return Verdict(exercise.id, "failed", "", words, think)
    tries = tries_of(exercise, answer)
    if all(isinstance(one.got, NotImplementedError) for one in tries):  # the stub as given
        return Verdict(exercise.id, "not attempted")
    failing = [one for one in tries if one.problem is not None]
    if not failing:
        return Verdict(exercise.id, "passed", f"{len(tries)} inputs")
    worst = min(failing, key=lambda one: (one.problem.layer, probes.size(one.arguments)))
    wrong = f"{worst.problem.wrong} in {len(failing)} of {len(tries)} tries"
    if worst.got is not None and worst.problem.layer != Layer.IN_PLACE:
        wrong += example(exercise, worst)
    think = misconception(exercise, tries)
    if not think and worst.wrote:
        think = (
            "Which line writes into an argument? Work on a copy: "
            "whoever calls your function keeps their data."
        )
    return Verdict(
        exercise.id, "failed", worst.problem.right, wrong, think or odd(exercise, answer, tries)
    )


def odd(exercise: Exercise, answer: Callable, tries: list[Try]) -> str:
    """What the probes find."""

    def again(function: Callable, arguments: tuple) -> Any:
        return outcome(exercise, function, deepcopy(arguments))

    try:
        with np.errstate(all="ignore"):  # an answer may be infinite
            return probes.speak(tries, names(exercise), answer, exercise.reference, again)
    except (TypeError, ValueError, ArithmeticError):  # results that no probe thought of
        return ""


def judge_words(exercise: Exercise, answer: Any) -> Verdict:
    """An answer that names choices, like "312" or ("leak", "healthy"): right as a whole or wrong as
    a whole.
    """
    given, right = named(answer, exercise.choices), named(exercise.reference, exercise.choices)
    known = {" ".join(named(choice, exercise.choices)): choice for choice in exercise.choices}
    if given == right:
        return Verdict(exercise.id, "passed", "your answer")
    strange = [word for word in given if word not in known]
    if strange or len(given) != len(right):
        count = "one" if len(right) == 1 else str(len(right))
        wrong = f"{strange[0]!r} is no choice" if strange else f"{len(given)} names"
        think = f"Name {count} of these, in order: {', '.join(exercise.choices)}."
        return Verdict(exercise.id, "failed", "", wrong, think)
    told = [m for wrong, m in exercise.wrong if named(wrong, exercise.choices) == given]
    return Verdict(exercise.id, "failed", "type", "another answer belongs here", "".join(told[:1]))


def judge_value(exercise: Exercise, answer: Any) -> Verdict:
    """An answer that is a number or an array; "0.5" is a number too."""
    value = as_number(answer) if isinstance(answer, str) and is_number(exercise.reference) else None
    value = answer if value is None else value
    problem = difference(value, exercise.reference, exercise.tolerance)
    if problem is None:
        return Verdict(exercise.id, "passed", "your answer")
    told = [
        m for wrong, m in exercise.wrong if difference(value, wrong, exercise.tolerance) is None
    ]
    return Verdict(exercise.id, "failed", problem.right, problem.wrong, "".join(told[:1]))


def inputs_of(exercise: Exercise) -> list[tuple]:
    """The arguments of all tries, edges first: the same on every machine, new ones for every
    try.
    """
    seed = zlib.crc32(exercise.id.encode())
    fresh = (exercise.inputs(np.random.default_rng([seed, k])) for k in range(exercise.tries))
    return [*deepcopy(exercise.edges), *fresh]


def tries_of(exercise: Exercise, answer: Callable, against: Callable | None = None) -> list[Try]:
    """`answer` tried on all inputs and compared with the reference (or with what `against`
    gives).
    """
    tries = []
    for k, arguments in enumerate(inputs_of(exercise)):
        expected = outcome(exercise, against or exercise.reference, deepcopy(arguments))
        given = deepcopy(arguments)
        with switched_off(exercise.forbidden):
            got = outcome(exercise, answer, given)
        problem = difference(got, expected, exercise.tolerance)
        if isinstance(got, Exception) and problem is not None:
            problem = problem._replace(wrong=raised(got))
        wrote = tuple(n for n, a, b in zip(names(exercise), given, arguments) if changed(a, b))
        if problem is None and wrote:
            words = f"it also changes its argument {' and '.join(wrote)} in place"
            problem = Difference(Layer.IN_PLACE, "what your function returns", words)
        tries.append(Try(arguments, got, expected, problem, wrote, k < len(exercise.edges)))
    return tries


def outcome(exercise: Exercise, answer: Any, arguments: tuple) -> Any:
    """What an answer gives on these arguments: a value, or the exception it raises; None if it
    returned that.
    """
    empty = []

    def watched(*args, **keywords):
        result = answer(*args, **keywords)
        empty.append(result is None)
        return result

    try:
        result = exercise.run(answer if inspect.isclass(answer) else watched, *arguments)
    except Exception as error:
        result = error
    return None if any(empty) else result  # looked at before `run` made something else of it


def misconception(exercise: Exercise, tries: list[Try]) -> str:
    """The message of the wrong answer that does what the learner's does wherever that fails.

    It must agree in at least half of all tries; the one that agrees most often is meant.
    """
    best, told = (len(tries) - 1) // 2, ""
    inputs = inputs_of(exercise)
    for wrong, message in exercise.wrong:
        agreed = 0
        for one, arguments in zip(tries, inputs):
            given = deepcopy(arguments)
            does = outcome(exercise, wrong, given)
            same = difference(one.got, does, exercise.tolerance) is None
            if same and one.problem is not None and one.problem.layer == Layer.IN_PLACE:
                same = changed(given, arguments)
            if not same and one.problem is not None:
                break
            agreed += same
        else:
            if agreed > best:
                best, told = agreed, message
    return told


# -- the package's own functions, switched off -----------------------------------------------------

_one_at_a_time = threading.RLock()
_originals: dict[str, list[Callable]] = {}  # while switched off: what runs in other threads


@contextmanager
def switched_off(names: tuple[str, ...]) -> Iterator[None]:
    """While this runs, the functions of these dotted names raise in this thread, under whatever
    name they are known.

    The code object of the function itself is exchanged: an alias, a partial or a wrapper reaches
    the same code.
    """

    def refuse(*arguments, **keywords):  # runs with another function's globals: built-ins only
        from minigen.course import exercise

        return exercise.elsewhere("NAME")(*arguments, **keywords)

    with _one_at_a_time:
        functions = {name: code_holder(name) for name in names if name not in _originals}
        codes = {name: function.__code__ for name, function in functions.items()}
        try:
            for name, function in functions.items():
                _originals[name] = [copy_of(function), threading.get_ident()]
                constants = tuple(name if c == "NAME" else c for c in refuse.__code__.co_consts)
                function.__code__ = refuse.__code__.replace(co_consts=constants)
            yield
        finally:
            for name, function in functions.items():
                function.__code__ = codes[name]
                _originals.pop(name, None)


def elsewhere(name: str) -> Callable:
    """The function itself for any thread but the one whose check is running."""
    original, thread = _originals[name]
    if thread == threading.get_ident():
        raise RuntimeError(
            "the package's own function is switched off while this check runs: build it yourself"
        )
    return original


def copy_of(function: Callable) -> Callable:
    parts = function.__code__, function.__globals__, function.__name__
    copied = types.FunctionType(*parts, function.__defaults__, function.__closure__)
    copied.__kwdefaults__ = function.__kwdefaults__
    return copied


def code_holder(name: str) -> Callable:
    """The plain Python function that runs when `name`, say "minigen.ops.softmax", is called; a
    class's __init__.
    """
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


# -- words for the learner -------------------------------------------------------------------------


def raised(error: Exception) -> str:
    """The learner's exception with the last line of their own code that it passed through."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(HERE)
    ]
    own = [f for f in frames if f.filename == frames[0].filename] if frames else []
    where = f"\n    line {own[-1].lineno} of {own[-1].name}:  {own[-1].line}\n   " if own else ""
    return f"your code raised {type(error).__name__}: {error}{where}"


def names(exercise: Exercise) -> list[str]:
    """What the arguments of a try are called: by `run` if it names them, else by the reference."""
    own = list(inspect.signature(exercise.run).parameters.values())[1:]
    if any(parameter.kind == parameter.VAR_POSITIONAL for parameter in own):
        own = list(inspect.signature(exercise.reference).parameters.values())
    return [parameter.name for parameter in own]


def example(exercise: Exercise, one: Try) -> str:
    """One failing try: its arguments and what came; not what belongs there."""
    pairs = zip(names(exercise), one.arguments)
    given = "".join(f"\n    {name} = {probes.short(value)}" for name, value in pairs)
    gave = "" if isinstance(one.got, Exception) else f"\n    gave {probes.short(one.got)}"
    return f"; for example{given}{gave}"
