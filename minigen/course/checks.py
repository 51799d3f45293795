"""check and hint: what a learner calls in an exercise cell. The judging is in exercise.py."""

from typing import Any

from minigen.course.exercise import Verdict, find, judge

VERDICTS: dict[str, Verdict] = {}  # the last verdict of each exercise checked in this process
_hints_shown: dict[str, int] = {}


def check(exercise_id: str, answer: Any) -> None:
    """Print what is right in `answer`, what is wrong, and what to think about; never the answer itself.

    `answer` is what the exercise asks for, usually your function: `check("02.multiply", multiply)`. A stub that raises
    NotImplementedError counts as not attempted. Raises KeyError if no exercise has this id.
    """
    verdict = VERDICTS[exercise_id] = judge(find(exercise_id), answer)
    print(report(verdict))


def hint(exercise_id: str) -> None:
    """Print the next hint; each call goes one step further."""
    hints = find(exercise_id).hints
    shown = _hints_shown[exercise_id] = min(_hints_shown.get(exercise_id, 0) + 1, len(hints))
    print(f"{exercise_id}, hint {shown} of {len(hints)}: {hints[shown - 1]}")


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
    if verdict.think or not verdict.wrong.startswith("wrong type"):  # a wrong type says it all
        lines.append(
            f"  think: {verdict.think or f'no common mistake looks like this; hint({verdict.id!r}) helps.'}"
        )
    return "\n".join(lines)
