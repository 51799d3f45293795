"""check and hint: what a learner calls in an exercise cell. The judging is in exercise.py."""

import textwrap
from typing import Any

from minigen.course.carry_on import carry_on, own
from minigen.course.exercise import Verdict, find, judge

VERDICTS: dict[str, Verdict] = {}  # the last verdict of each exercise checked in this process
_hints_shown: dict[str, int] = {}


def check(exercise_id: str, answer: Any) -> Any:
    """Print what is right in `answer`, what is wrong, and what to think about; never the answer
    itself.

    `answer` is what the exercise asks for, usually your function. A stub that raises
    NotImplementedError counts as not attempted. Returns what the lesson goes on with, your answer
    if it passed and the reference if it did not:

        multiply = check("02.multiply", multiply)
    """
    try:
        exercise = find(exercise_id)
    except LookupError as error:
        print(*error.args)
        return answer
    answer = own(answer)
    verdict = VERDICTS[exercise_id] = judge(exercise, answer)
    print(report(verdict))
    if callable(exercise.reference):
        whose = "your function" if verdict.status == "passed" else "the reference"
        print(f"  goes on with: {whose}")
    return carry_on(exercise, answer, verdict)


def hint(exercise_id: str) -> None:
    """Print the next hint; each call goes one step further."""
    try:
        hints = find(exercise_id).hints
    except LookupError as error:
        print(*error.args)
        return
    shown = _hints_shown[exercise_id] = min(_hints_shown.get(exercise_id, 0) + 1, len(hints))
    print(wrapped(f"{exercise_id}, hint {shown} of {len(hints)}: {hints[shown - 1]}"))


def report(verdict: Verdict) -> str:
    """The verdict in the words that a learner reads."""
    if verdict.status == "not attempted":
        return f"{verdict.id}: not attempted yet"
    if verdict.status == "passed":
        return f"{verdict.id}: passed ({verdict.right})"
    lines = [f"{verdict.id}: not right yet"]
    if verdict.right:
        lines.append(f"  right: {verdict.right}")
    lines.append(f"  wrong: {verdict.wrong}")
    nothing = f"no common mistake looks like this; hint({verdict.id!r}) helps."
    says_it_all = verdict.wrong.startswith(("wrong type", "your code raised"))
    if verdict.think or not says_it_all:
        lines.append(f"  think: {verdict.think or nothing}")
    return wrapped("\n".join(lines))


def wrapped(text: str) -> str:
    """Lines of at most 80 columns; what continues a line stands a little to the right."""
    indented = (
        textwrap.wrap(line, 80, subsequent_indent="    ", break_on_hyphens=False)
        for line in text.splitlines()
    )
    return "\n".join(line for lines in indented for line in lines)
