"""The course's tools: every check of every lesson is proved from its table; then the tools
themselves.
"""

import functools
import importlib
import inspect
import textwrap
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from wrong_answers import mistakes

from minigen import ops
from minigen.course import carry_on as carry
from minigen.course import (
    check,
    exercise,
    hint,
    predict,
    predictions,
    probes,
    read,
    reading,
    reveal,
)
from minigen.course.carry_on import carry_on
from minigen.course.checks import report
from minigen.course.exercise import Exercise, Verdict, judge, outcome, table
from minigen.tensor import Tensor

LESSONS = exercise.lessons()


# -- every check of every lesson -------------------------------------------------------------------


def prove(tested: Exercise) -> list[str]:
    """What is wrong with a check: empty if right answers pass, and wrong ones fail with the message
    meant for them.
    """
    faults = []
    valid = (tested.reference, *tested.alternatives)
    for index, answer in enumerate(valid):
        verdict = judge(tested, answer)
        if verdict.status != "passed":
            name = f"alternative {index - 1}" if index else "the reference"
            faults.append(f"{name} does not pass: {verdict.wrong or verdict.status}")
    for index, (answer, message) in enumerate(tested.wrong):
        verdict = judge(tested, answer)
        if verdict.status != "failed":
            faults.append(f"wrong answer {index} is {verdict.status}")
        elif verdict.think != message:
            faults.append(f"wrong answer {index} hears {verdict.think!r} instead of {message!r}")

    if callable(tested.reference):

        def stub(*arguments, **keywords):
            raise NotImplementedError

        first = outcome(tested, tested.reference, exercise.inputs_of(tested)[-1])
        hard_coded = replace(
            tested, run=lambda f, *a: first if f is hard_coder else tested.run(f, *a)
        )

        def hard_coder(*arguments):
            return first

        attempts = {
            "a stub": (tested, stub, "not attempted"),
            "None": (tested, None, "not attempted"),
        }
        attempts["a function without return"] = (tested, lambda *a, **k: None, "failed")
        attempts["a hard-coded example"] = (hard_coded, hard_coder, "failed")
        for name in tested.forbidden:
            module, _, attribute = name.rpartition(".")
            package = functools.partial(call_by_name, module, attribute)
            attempts[name] = (tested, package, "failed")
    else:
        attempts = {"None": (tested, None, "not attempted"), "...": (tested, ..., "not attempted")}
        told = " ".join([*tested.hints, *(message for _, message in tested.wrong)]).lower()
        if isinstance(tested.reference, str) and tested.reference.lower() in told:
            faults.append("a message or a hint tells the answer")
    for name, (tried, answer, wanted) in attempts.items():
        status = judge(tried, answer).status
        if status != wanted:
            faults.append(f"{name} is {status}")

    messages = [message for _, message in tested.wrong]
    if len(tested.alternatives) < 2 or len(messages) < 3 or len(tested.hints) < 2:
        faults.append("at least two alternatives, three wrong answers and two hints are needed")
    if len(set(messages)) < len(messages):
        faults.append("two wrong answers have the same message")
    return faults


def call_by_name(module: str, attribute: str, *arguments, **keywords):
    """Call the package's function as a learner would, looked up only now."""
    try:
        holder = importlib.import_module(module)
    except ModuleNotFoundError:  # a method: its class is an attribute of a module
        holder = getattr(
            importlib.import_module(module.rpartition(".")[0]), module.rpartition(".")[2]
        )
    return getattr(holder, attribute)(*arguments, **keywords)


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_check_of_the_lesson_is_proved(lesson, capsys):
    faults = {tested.id: prove(tested) for tested in table(lesson)}
    valid = sum(1 + len(tested.alternatives) for tested in table(lesson))
    wrong = sum(len(tested.wrong) for tested in table(lesson))
    count = sum(len(found) for found in faults.values())
    with capsys.disabled():
        print(
            f"\nlesson {lesson}: {len(faults)} checks, {valid} right and {wrong} wrong answers"
            f" tried, {count} faults"
        )
    assert not count, {name: found for name, found in faults.items() if found}
    assert all(name.startswith(f"{lesson}.") for name in faults)
    assert len(faults) == len(table(lesson)), "two exercises have the same id"
    few = [t.id for t in table(lesson) if callable(t.reference) and len(t.wrong) < 8]
    assert not few, "at least eight wrong answers to an exercise (a diagnosis has fewer)"


NEVER_VARIES = {  # what an exercise fixes for good
    ("00.draw", "p axis 1"): "there are 17 grey levels",
    ("06.chain_rule", "joint axis 0"): "a symbol is 0 or 1",
    ("06.chain_rule", "joint axis 1"): "a symbol is 0 or 1",
    ("06.chain_rule", "joint axis 2"): "a symbol is 0 or 1",
    ("06.chain_rule", "joint axis 3"): "a symbol is 0 or 1",
    ("06.chain_rule", "joint axis 4"): "a symbol is 0 or 1",
    ("07.block", "numbers length"): "two norms and four linear layers",
}


def varied(name: str, thing) -> list[tuple[str, float]]:
    """The lengths of the axes of an array, a sequence's length and entries, or a number itself."""
    if isinstance(thing, np.ndarray) and thing.ndim:
        return [(f"{name} axis {k}", length) for k, length in enumerate(thing.shape)]
    if isinstance(thing, (tuple, list)):
        arrays = [x for x in thing if isinstance(x, np.ndarray)]
        inside = [pair for x in arrays for pair in varied(f"{name}[...]", x)]
        return [(f"{name} length", len(thing)), *inside]
    return [(name, float(thing))] if isinstance(thing, (int, float, np.generic)) else []


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_size_and_number_takes_two_values_at_least(lesson):
    for tested in filter(lambda tested: callable(tested.reference), table(lesson)):
        values = {}
        for arguments in exercise.inputs_of(tested):
            for name, argument in zip(exercise.names(tested), arguments, strict=True):
                for key, value in varied(name, argument):
                    values.setdefault(key, set()).add(value)
        constant = {key for key, found in values.items() if len(found) < 2}
        allowed = {key for name, key in NEVER_VARIES if name == tested.id}
        assert values and constant == allowed, (tested.id, constant)
        assert tested.edges, f"{tested.id} has no edges"


def as_lists(thing):
    if isinstance(thing, (tuple, list)):
        return [as_lists(part) for part in thing]
    return thing.tolist() if isinstance(thing, np.ndarray) else thing


def in_single_precision(thing):
    if isinstance(thing, (tuple, list)):
        return tuple(map(in_single_precision, thing))
    array = np.asarray(thing)
    return array.astype(np.float32) if array.dtype.kind == "f" else thing


NO_ARRAYS = {  # what these return must stay as it is: booleans; Tensors with their gradients
    "02.judge", "07.attention", "07.block", "11.training_loss", "14.hidden_set_loss",
}  # fmt: skip


@pytest.mark.parametrize("form", [as_lists, in_single_precision])
@pytest.mark.parametrize("lesson", LESSONS)
def test_one_policy_of_tolerance_in_all_exercises(lesson, form):
    for tested in filter(lambda tested: callable(tested.reference), table(lesson)):
        if tested.id in NO_ARRAYS:
            continue
        verdict = judge(tested, lambda *a, f=tested.reference: form(f(*a)))
        assert verdict.status == "passed", (tested.id, verdict)


def helps(verdict: Verdict) -> bool:
    basic = ("wrong type", "wrong shape", "wrong length", "your code raised")
    vague = ("Right on some inputs", "Everything that is wrong")
    named = bool(verdict.think) and not verdict.think.startswith(vague)
    return named or any(words in verdict.wrong for words in basic)


@pytest.mark.thorough
def test_wrong_answers_that_no_table_has_seen(capsys):
    """Mistakes planted in the references; what passes must agree with them in 60 more tries.

    A refusal helps if it names a misconception, what is odd, the type or the shape, or a line of
    the learner's that raised. One that can only say "too large" or "right on some inputs" does not.
    """
    refused = helped = 0
    passed = []
    lessons = [tested for lesson in LESSONS for tested in table(lesson)]
    for tested in filter(lambda tested: callable(tested.reference), lessons):
        source = textwrap.dedent(inspect.getsource(tested.reference))
        name = tested.reference.__name__
        for words, text in mistakes(source):
            names = dict(inspect.getmodule(tested.reference).__dict__)
            try:
                exec(compile(text, "<mistake>", "exec"), names)
            except Exception:  # no answer at all: a line that does not even define a function
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                verdict = judge(tested, names[name])
                more = replace(tested, id=f"{tested.id} again", tries=10 * tested.tries)
                if verdict.status == "passed" and judge(more, names[name]).status != "passed":
                    passed.append((tested.id, words))
            if verdict.status == "failed":
                refused, helped = refused + 1, helped + helps(verdict)
    with capsys.disabled():
        share, useful = refused / (refused + len(passed)), helped / refused
        print(
            f"\n{refused} wrong answers refused: {share:.1%}; {useful:.1%} of them helpfully;"
            f" passed: {passed}"
        )
    assert share >= 0.98 and useful >= 0.85


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda t: 1 - 1.01 * t, "does not end in noise"),
        (lambda t: np.exp(-t / 2), "does not end in noise"),
        (lambda t: np.clip(1.2 - 1.2 * t, 0, 1), "stays or rises"),
        (lambda t: 1 - t**8, "stays or rises"),
        (lambda t: 0.99 * np.cos(t * np.pi / 2) ** 2, "does not start clean"),
        (lambda t: t * np.nan, "finite numbers, got nan or inf"),
        (lambda t: t[1:], "got shape (3,) for t of shape (4,)"),
        (lambda t: None, "is a return missing?"),
        (lambda t: np.cos(t * np.pi / 2) ** 2, "14 steps: error 0.098, cosine 0.098"),
    ],
)
def test_a_schedule_of_ones_own_hears_what_is_wrong_with_it(answer, words):
    assert words in one_line(report(judge(exercise.find("10.schedule"), answer)))


def one_line(text: str) -> str:
    return " ".join(text.split())


# -- the proof can fail ----------------------------------------------------------------------------


def multiply(x, y, g):
    return g * y, g * x


EXAMPLE = Exercise(
    "99.multiply",
    "the product rule",
    multiply,
    alternatives=(
        lambda x, y, g: (y * g, x * g),
        lambda x, y, g: tuple(g * other for other in (y, x)),
    ),
    wrong=(
        (lambda x, y, g: (g * x, g * y), "the factors are swapped"),
        (lambda x, y, g: (y, x), "g is missing"),
        (lambda x, y, g: g * y + g * x, "one gradient an argument"),
    ),
    hints=("first", "second"),
    inputs=lambda rng: tuple(rng.normal(size=(3, 4)) for _ in range(3)),
    forbidden=("minigen.ops.mul",),
)


PASSED = Verdict(EXAMPLE.id, "passed")


def test_a_sound_check_has_no_faults():
    assert prove(EXAMPLE) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"reference": lambda x, y, g: (g * y, g * x * 1.01)}, "alternative 0 does not pass"),
        ({"alternatives": (multiply, EXAMPLE.wrong[0][0])}, "alternative 1 does not pass"),
        ({"alternatives": (multiply,)}, "at least two alternatives"),
        ({"wrong": (*EXAMPLE.wrong, (multiply, "right after all"))}, "wrong answer 3 is passed"),
        ({"wrong": (*EXAMPLE.wrong, EXAMPLE.wrong[1])}, "same message"),
        (
            {"wrong": (*EXAMPLE.wrong, (EXAMPLE.wrong[1][0], "other words"))},
            "wrong answer 3 hears 'g is missing'",
        ),
        (
            {"inputs": lambda rng: (np.ones(2), np.ones(2), np.ones(2))},
            "a hard-coded example is passed",
        ),
        ({"tolerance": 100.0}, "wrong answer 0 is passed"),
    ],
)
def test_the_proof_finds_an_unsound_check(change, fault):
    assert any(fault in found for found in prove(replace(EXAMPLE, **change)))


def test_the_proof_finds_a_package_function_that_passes():
    class_with_mul = replace(EXAMPLE, forbidden=())
    direct = judge(class_with_mul, lambda x, y, g: ((Tensor(g) * Tensor(y)).numpy(), g * x))
    assert direct.status == "passed", "with nothing switched off the package's function does pass"


# -- judging ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "right", "wrong"),
    [
        (lambda x, y, g: None, "", "wrong type: this is None (is a return missing?)"),
        (lambda x, y, g: {g.sum()}, "", "this is a set, where a tuple belongs"),
        (lambda x, y, g: (g * y,), "type", "wrong length: 1 entries, where 2 belong"),
        (
            lambda x, y, g: (g * y, (g * x).sum()),
            "entry 0",
            "entry 1: wrong type: this is a number, where a NumPy array",
        ),
        (
            lambda x, y, g: (g * y, (g * x).T),
            "entry 0, type",
            "entry 1: wrong shape: (4, 3), where (3, 4) belongs",
        ),
        (
            lambda x, y, g: (g * y, g * x + 1),
            "entry 0, type, shape (3, 4)",
            "entry 1: wrong values (12 of 12) in 6 of 6 tries",
        ),
        (
            lambda x, y, g: (g * y, Tensor(g * x)),
            "entry 0",
            "entry 1: wrong type: this is a Tensor, where a NumPy array",
        ),
        (3.0, "", "wrong type: this is a number, where a function belongs"),
    ],
)
def test_messages_come_in_layers(answer, right, wrong):
    verdict = judge(EXAMPLE, answer)
    assert verdict.status == "failed" and verdict.right == right and wrong in verdict.wrong


def test_a_misconception_is_named_beside_the_layer():
    text = report(judge(EXAMPLE, lambda x, y, g: (x * g, y * g)))
    assert "not right yet" in text and "think: the factors are swapped" in text


def test_a_failing_check_never_tells_the_answer():
    lesson = replace(
        EXAMPLE, reference=lambda x: np.exp(x) * 3, inputs=lambda rng: (rng.normal(),), forbidden=()
    )
    for arguments in exercise.inputs_of(lesson):
        expected = lesson.reference(*arguments)
        text = report(judge(lesson, lambda x: x))
        assert (
            "gave" in text and probes.short(expected) not in text and f"{expected:.3f}" not in text
        )


def test_an_exception_comes_back_with_the_learners_line():
    def faulty(x, y, g):
        scale = 1.0
        return helper(scale), g

    def helper(scale):
        return [scale][3]  # the fault

    text = report(judge(EXAMPLE, faulty))
    assert "IndexError" in text and "return [scale][3]  # the fault" in text and "of helper" in text
    text = report(judge(EXAMPLE, lambda x: x))
    assert "TypeError" in text and "positional" in text


def test_a_branch_that_is_not_written_is_a_wrong_answer():
    def unfinished(x, y, g):
        if x.sum() > 0:
            raise NotImplementedError("later")
        return multiply(x, y, g)

    verdict = judge(EXAMPLE, unfinished)
    assert verdict.status == "failed" and "NotImplementedError: later" in verdict.wrong
    assert "x = " in verdict.wrong and "gave" not in verdict.wrong


def test_an_exception_can_be_the_right_answer():
    def checked(x):
        if x < 0:
            raise ValueError("x must not be negative")
        return x

    refusing = replace(
        EXAMPLE, reference=checked, inputs=lambda rng: (rng.normal(),), forbidden=(), tries=20
    )
    assert judge(refusing, checked).status == "passed"
    assert "no exception was raised" in judge(refusing, lambda x: x).wrong


def test_arguments_changed_in_place_do_not_pass():
    def in_place(x, y, g):
        x *= g
        y *= g
        return y, x

    verdict = judge(EXAMPLE, in_place)
    assert (
        verdict.status == "failed"
        and "in place" in verdict.wrong
        and "Work on a copy" in verdict.think
    )
    assert "Work on a copy" in judge(EXAMPLE, lambda x, y, g: (np.add(x, y, out=x), y)).think
    sampler = replace(EXAMPLE, reference=lambda rng: 1.0, inputs=lambda rng: (rng,), forbidden=())
    assert judge(sampler, lambda rng: float(rng.random() >= 0)).status == "passed", (
        "a generator may be used"
    )


@pytest.mark.parametrize(
    "package",
    [
        ops.mul,
        functools.partial(ops.mul),
        lambda x, y: ops.mul(x, y),
        lambda x, y: Tensor(x) * Tensor(y),
        {"alias": ops.mul}["alias"],
    ],
)
def test_the_packages_function_fails_while_the_check_runs(package):
    product = replace(
        EXAMPLE,
        reference=lambda x, y: Tensor(x * y),
        inputs=lambda rng: (rng.normal(), rng.normal()),
    )
    verdict = judge(product, package)
    assert verdict.status == "failed" and "switched off" in verdict.wrong
    assert ops.mul(Tensor(2.0), Tensor(3.0)).item() == 6, "and works again afterwards"


def test_other_threads_keep_what_a_check_switches_off():
    with exercise.switched_off(("minigen.ops.mul",)), ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: ops.mul(Tensor(2.0), Tensor(3.0)).item()).result() == 6
        with exercise.switched_off(("minigen.ops.mul",)), pytest.raises(RuntimeError, match="off"):
            ops.mul(2.0, 3.0)
        with pytest.raises(RuntimeError, match="switched off"):
            ops.mul(2.0, 3.0)
    assert ops.mul(Tensor(2.0), Tensor(3.0)).item() == 6


def test_methods_classes_and_numpy_functions_can_be_switched_off():
    with exercise.switched_off(
        ("minigen.tensor.Tensor.backward", "minigen.nn.Linear", "numpy.convolve")
    ):
        with pytest.raises(RuntimeError, match="switched off"):
            Tensor(1.0).backward()
        with pytest.raises(RuntimeError, match="switched off"):
            np.convolve([1.0], [1.0])
    assert np.convolve([1.0], [2.0]) == 2
    with (
        pytest.raises((AttributeError, ModuleNotFoundError)),
        exercise.switched_off(("minigen.ops.nothing",)),
    ):
        pass


def test_numbers_and_words_can_be_answers():
    number = replace(
        EXAMPLE, reference=0.25, wrong=((0.75, "the other one"),), forbidden=(), tolerance=0.01
    )
    assert judge(number, 1 / 4).status == judge(number, np.float32(0.25)).status == "passed"
    assert judge(number, 0.75).think == "the other one" and "0.25" not in report(judge(number, 0.6))
    assert (
        "this is a string" in judge(number, "a quarter").wrong
        or "a string" in judge(number, "a quarter").wrong
    )
    assert judge(number, "0,25").status == "passed" and judge(number, True).status == "failed"


WORDS = replace(
    EXAMPLE,
    reference=("leak", "wrong axis"),
    wrong=((("leak", "leak"), "twice"),),
    choices=("leak", "wrong axis", "healthy"),
)
DIGITS = replace(EXAMPLE, reference="231", wrong=(("123", "none"),), choices=("1", "2", "3"))


@pytest.mark.parametrize(
    ("tested", "answers"),
    [
        (WORDS, [("leak", "wrong axis"), ["Leak", " WRONG AXIS"], "leak; wrong_axis"]),
        (WORDS, ["leak/wrong-axis", "('leak', 'wrong axis')", np.array(["leak", "wrong axis"])]),
        (DIGITS, ["231", 231, np.int64(231), "2 3 1", "2,3,1", [2, 3, 1], ("2", "3", "1")]),
        (DIGITS, [np.array([2, 3, 1])]),
    ],
)  # fmt: skip
def test_spellings_that_mean_the_same_are_the_same(tested, answers):
    for answer in answers:
        assert judge(tested, answer).status == "passed", answer


def test_a_word_that_is_no_choice_is_answered_with_the_choices():
    for answer in ("leek, wrong axis", 3, ("leak",), ("leak", "leak", "leak"), len, ("leak", None)):
        verdict = judge(WORDS, answer)
        assert verdict.status == "failed" and "leak, wrong axis, healthy" in verdict.think
    assert "'4' is no choice" in judge(DIGITS, 234).wrong
    assert judge(WORDS, "leak, leak").think == "twice" and judge(DIGITS, 123).think == "none"
    told = report(judge(WORDS, ("leak", "healthy")))
    assert "entry" not in told and "wrong axis" not in told, "not told entry by entry"


def test_whole_numbers_nan_and_unsigned_integers_are_compared_with_care():
    def differs(got, expected):
        return exercise.difference(got, expected, 1e-5) is not None

    assert differs(np.array([1.0, 2.0]), np.array([1, 2])) and not differs(
        np.array([1, 2], np.uint8), np.array([1, 2])
    )
    assert differs(np.array([0], np.uint8), np.array([1], np.uint8))
    assert differs(np.array([True, False]), np.array([True, True]))
    assert exercise.difference(np.array([0], np.uint8), np.array([255], np.uint8), 0.5), (
        "unsigned: 0 - 255 would be 1"
    )
    assert not differs(np.array([np.nan, 1]), np.array([np.nan, 1])) and differs(
        np.array([np.nan]), np.array([1.0])
    )
    assert not differs(np.array([np.inf]), np.array([np.inf])) and differs(
        np.array([np.inf]), np.array([1.0])
    )
    assert (
        not differs(np.float32(1.0), 1)
        and not differs(np.array(2.0), 2.0)
        and differs(np.array([2.0]), 2.0)
    )
    assert differs(np.array(["a"], object), np.array([1.0]))


# -- where no misconception matches ----------------------------------------------------------------


SCALE = replace(
    EXAMPLE,
    reference=lambda x, n: np.cumsum(x, axis=0) * n + 1,
    inputs=lambda rng: (rng.normal(size=rng.integers(2, 5, size=2)), int(rng.integers(1, 20))),
    edges=((np.arange(4.0).reshape(2, 2), 3), (np.arange(9.0).reshape(3, 3), 2)),
    wrong=(),
    forbidden=(),
)


def right(x, n):
    return SCALE.reference(x, n)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x, n: -right(x, n), "Every sign is turned"),
        (lambda x, n: right(x, n) * 3, "off by one factor"),
        (lambda x, n: right(x, n) * n * 1.1, "in another by another"),
        (lambda x, n: right(x, n) + 0.3 * n, "the same amount"),
        (lambda x, n: right(x, n) - 1, "off by exactly one"),
        (lambda x, n: right(x, n).T, "transposed"),
        (lambda x, n: right(x, n)[::-1], "reverse"),
        (lambda x, n: right(x, n)[:-1], "one entry at an end is missing"),
        (lambda x, n: right(x, n) * np.r_[np.ones(len(x) - 1), 2][:, None], "one end"),
        (lambda x, n: np.sort(right(x, n), axis=None).reshape(x.shape), "wrong places"),
        (lambda x, n: right(x, n).ravel(), "another shape"),
        (lambda x, n: right(x, n) ** 2, "last operation"),
        (lambda x, n: right(x, n) * 1.001 + 0.001, "less than 2%"),
        (lambda x, n: right(x, n) / 0, "nan or inf"),
        (lambda x, n: right(x, 7), "whatever n is"),
        (lambda x, n: right(x, min(n, 5)), "n is 3 or less"),
        (lambda x, n: np.cumsum(x.T, axis=1).T @ np.eye(len(x)) * n + 1, "sizes are equal"),
        (lambda x, n: right(x, n) if len(x) < 4 else x, "axis 0 of x is 3 or less"),
        (lambda x, n: right(x, n) + (x == 8), "wrong on an edge"),
    ],
)
def test_a_probe_says_what_is_odd(answer, words):
    verdict = judge(SCALE, answer)
    assert verdict.status == "failed" and words in verdict.think, verdict
    assert "for example" in verdict.wrong and "x = " in verdict.wrong


def test_a_misconception_may_match_on_the_failing_tries_and_on_what_it_writes():
    def writes(x, n):
        x *= n
        return np.cumsum(x, axis=0) + 1

    table = replace(SCALE, wrong=((lambda x, n: right(x, n) - n, "n"), (writes, "writes")))
    assert judge(table, writes).think == "writes"
    assert judge(table, lambda x, n: right(x, n) - n * (n > 2)).think == "n"
    assert judge(table, lambda x, n: right(x, n) - n * (n == 2)).think != "n", "in too few tries"


# -- what a learner calls --------------------------------------------------------------------------


@pytest.fixture
def lesson_99(monkeypatch):
    known = exercise.table
    monkeypatch.setattr(
        exercise, "table", lambda lesson: (EXAMPLE,) if lesson == "99" else known(lesson)
    )


def test_check_prints_and_hint_goes_on(lesson_99, capsys):
    def todo(x, y, g):
        raise NotImplementedError

    assert check("99.multiply", todo)(1, 2, 3) == (6, 3), "the lesson goes on with the reference"
    check("99.multiply", multiply)
    for _ in range(3):
        hint("99.multiply")
    assert capsys.readouterr().out.splitlines() == [
        "99.multiply: not attempted yet",
        "  goes on with: the reference",
        "99.multiply: passed (6 inputs)",
        "  goes on with: your function",
        "99.multiply, hint 1 of 2: first",
        "99.multiply, hint 2 of 2: second",
        "99.multiply, hint 2 of 2: second",
    ]


def test_a_mistyped_exercise_is_a_sentence_with_the_nearest_names(lesson_99, capsys):
    assert check("99.mulitply", multiply) is multiply
    hint("99.mulitply")
    sentence = "No exercise is called '99.mulitply'. Did you mean 99.multiply?"
    assert capsys.readouterr().out.splitlines() == [sentence] * 2
    check("relu_std", multiply)
    check(3, multiply)
    assert "Did you mean 03.relu_std" in capsys.readouterr().out


def test_the_lesson_goes_on_with_the_learners_function(lesson_99, capsys):
    def mine(x, y, g):
        return y * g, x * g

    carried = check("99.multiply", mine)
    assert carried(1, 2, 3) == (6, 3) and carried.__wrapped__ is mine
    check("99.multiply", carried)
    assert "your function" in capsys.readouterr().out.splitlines()[-1], "given back, it is the same"
    reference = check("99.multiply", lambda x, y, g: (x, y))
    capsys.readouterr()
    check("99.multiply", reference)
    assert capsys.readouterr().out.startswith("99.multiply: not attempted yet"), "not the learner's"


def test_a_passed_function_that_fails_later_is_replaced_once_and_said(capsys):
    def mine(x, y, g):
        x *= 1.0
        if np.size(x) > 1000:
            raise MemoryError("too large")
        return (g * y, g * x) if np.size(x) < 100 else None

    x = np.arange(5)
    carried = carry_on(EXAMPLE, lambda x, y, g: mine(x.astype(float), y, g), PASSED)
    assert carried(x, x, x)[0].tolist() == [0, 1, 4, 9, 16] and capsys.readouterr().out == ""
    large = np.ones(2000)
    for _ in range(3):
        assert carried(large, large, 2 * large)[0].sum() == 4000
    said = capsys.readouterr().out
    assert said.count("MemoryError: too large") == said.count("goes on with the reference") == 1
    middle = np.ones(200)
    carried = carry_on(EXAMPLE, mine, PASSED)
    assert (
        carried(middle, middle, middle)[0].sum() == 200
        and "return missing" in capsys.readouterr().out
    )
    assert middle.sum() == 200
    carried = carry_on(EXAMPLE, multiply, PASSED)
    with pytest.raises(ValueError, match="broadcast"):
        carried(np.ones(3), np.ones(2), np.ones(3))
    assert capsys.readouterr().out == "", "the call was to blame, not the function"


def test_a_passed_function_may_write_into_its_copies_only_and_uses_the_generator(capsys):
    def spoil(x, rng):
        x[:] = rng.normal(size=x.shape)
        return x

    sampler = replace(EXAMPLE, reference=lambda x, rng: rng.normal(size=x.shape))
    carried, x, rng = carry_on(sampler, spoil, PASSED), np.zeros(3), np.random.default_rng(0)
    draws = [carried(x, rng) for _ in range(3)]
    right = np.random.default_rng(0).normal(size=(3, 3))
    assert not x.any() and np.array_equal(draws, right) and capsys.readouterr().out == ""


def test_a_passed_function_that_is_slow_is_replaced(capsys, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(carry.time, "perf_counter", lambda: next(clock) * 1.0)
    carried = carry_on(
        EXAMPLE, lambda *a: [multiply(*a), [next(clock) for _ in range(9)]][0], PASSED
    )
    for _ in range(9):
        assert carried(1, 2, 3) == (6, 3)
    assert capsys.readouterr().out.count("more than five times") == 1


def test_time_is_compared_call_by_call(capsys, monkeypatch):
    """Slow calls that the reference was never given are not held against the learner."""
    clock = [0.0]
    monkeypatch.setattr(carry.time, "perf_counter", lambda: clock[0])

    def takes(x):
        clock[0] += float(x[0])
        return x

    carried = carry_on(replace(EXAMPLE, reference=takes), lambda x: takes(x), PASSED)
    for seconds in (0.1, 0.1, 90.0, 0.1, 90.0, 90.0):  # beside it: calls 1, 2 and 4
        carried(np.array([seconds]))
    assert capsys.readouterr().out == ""


def test_a_list_becomes_the_array_that_the_lesson_needs(capsys):
    carried = carry_on(replace(EXAMPLE, reference=lambda x: 2 * x), lambda x: list(2 * x), PASSED)
    for _ in range(5):
        assert carried(np.arange(3.0)).std() > 0
    assert capsys.readouterr().out == ""


def test_a_model_that_is_trained_is_not_trained_twice():
    class Model:
        steps = 0

    def step(model, x):
        model.steps += 1
        return float(x)

    carried, model = (
        carry_on(replace(EXAMPLE, reference=step), lambda m, x: step(m, x), PASSED),
        Model(),
    )
    assert [carried(model, k) for k in range(5)] == [0, 1, 2, 3, 4] and model.steps == 5


def test_an_answer_in_words_comes_back_and_is_not_printed(capsys, monkeypatch):
    monkeypatch.setattr(exercise, "table", lambda lesson: (replace(WORDS, id="99.words"),))
    back = check("99.words", ("leak", "leak"))
    assert back == ("leak", "wrong axis") and back._ipython_display_() is None
    check("99.words", back)
    assert capsys.readouterr().out.splitlines()[-1] == "99.words: not attempted yet"
    for value in (0.25, "231", np.arange(3.0)):
        kept = carry.unseen(value)
        assert np.array_equal(kept, value) and kept._ipython_display_() is None


def test_a_prediction_is_scored_and_a_missing_one_stops_nobody(capsys, monkeypatch):
    monkeypatch.setattr(predictions, "_predictions", {})
    monkeypatch.setattr(predictions, "_right", {})
    predict("99.a", 0.6)
    reveal("99.a", 0.62)
    predict("99.b", 10)
    reveal("99.b", np.float64(228), unit="MiB")
    predict("99.c", None)
    reveal("99.c", "b")
    predict("99.d", "a", choices=("a", "b"))
    reveal("99.d", "a")
    reveal("99.never_asked", 1.5)
    predict("99.e", 5)
    reveal("99.e", 10, think="Nobody could know.")
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "99.a: it is 0.62. You said 0.6: right. (1 of 1 right so far)"
    assert (
        out[3] == "99.b: it is 228 MiB. You said 10: off by 218. What did you leave out? "
        "(1 of 2 right so far)"
    )
    assert "no prediction yet" in out[4] and out[5] == "99.c: it is b."
    assert (
        out[7].endswith("right. (2 of 3 right so far)") and out[8] == "99.never_asked: it is 1.5."
    )
    assert (
        out[10] == "99.e: it is 10. You said 5: off by 5. Nobody could know. (2 of 4 right so far)"
    )


@pytest.mark.parametrize(
    ("answer", "choices", "truth", "said"),
    [
        (24, ("12", "24", "another"), "24", "right."),
        ("24", ("12", "24"), 24, "right."),
        (24.0, (12, 24), 24, "right."),
        ("24", (), 24.0, "right."),
        (" 0,6 ", (), 0.6, "right."),
        (np.float32(0.5), (), 0.5, "right."),
        (np.array(0.5), (), 0.5, "right."),
        ("B ", ("a", "b"), "b", "right."),
        (25, (), "24", "not this time."),
        (24, (), "24", "right."),
        ("c", ("a", "b"), "b", "Expected is one of a, b"),
        ("many", (), 3, "Expected is a number"),
        ([1, 2], (), 3, "Expected is a number"),
        (1 + 2j, (), 3, "Expected is a number"),
        (True, (), 1, "Expected is a number"),
    ],
)
def test_a_prediction_is_understood_or_hears_what_is_expected(answer, choices, truth, said, capsys):
    predict("99.x", answer, choices)
    reveal("99.x", truth)
    out = capsys.readouterr().out
    assert said in out and ("You said" in out) == ("Expected" not in said)


def test_read_prints_source_in_a_terminal(capsys):
    for thing, line in [
        (ops.mul, "def mul(x, y):"),
        (Tensor(1.0), "class Tensor:"),
        (Tensor.backward, "def backward"),
    ]:
        read(thing)
        assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    ("formula", "typeset"),
    [
        ("x_t = sqrt(alpha_bar_t) x_0", r"x_{t} = \sqrt {\bar \alpha_{t}} x_{0}"),
        ("dx = f(t) x dt + g(t) dw", r"\mathrm{dx} = f(t) x \mathrm{dt} + g(t) \mathrm{dw}"),
        ("noise ~ N(0, I)", r"\mathrm{noise} \sim N(0, I)"),
        ("p_k(w) = gain_k p_{k-1}(w)", r"p_{k}(w) = \mathrm{gain}_{k} p_{k-1}(w)"),
        ("(Ho et al. 2020)", r"\text{(Ho et al. 2020)}"),
        ("y = x**2 * 3", r"y = x^{2} \,  3"),
    ],
)  # fmt: skip
def test_formulas_become_latex(formula, typeset):
    assert " ".join(reading.latex(formula).split()) == " ".join(typeset.split())


def test_documentation_and_code_are_shown_once_each():
    source = 'def f(x):\n    """Twice.\n\n        y = 2 x\n    """\n    return 2 * x\n'
    assert reading.without_docstring(source) == "def f(x):\n    return 2 * x"
    shown = reading.typeset(
        "Twice alpha_bar_t, `x_0`, x*.\n\n    y = 2 x_0    (Ho 2020)\n\nArgs:\n    x: default = 3"
    )
    assert r"$$y = 2 x_{0} \qquad \text{(Ho 2020)}$$" in shown and shown.count("$$") == 2
    assert r"Twice $\bar \alpha_{t}$, `x_0`, x\*." in shown
    assert not reading.is_formula(
        "    L = context + 1: all columns from the second on are predicted"
    )
