"""predict and reveal: commit to an answer, then hold it against what was measured."""

from minigen.course.comparing import as_number

_predictions: dict[str, float | str | None] = {}
_right: dict[str, bool] = {}


def predict(name: str, answer: float | str | None, choices: tuple[str, ...] = ()) -> None:
    """Note your `answer` (a number, or one of `choices`) under `name`; None means no answer, and
    nothing stops you.

    24 and "24" are the same answer. What cannot be one is not noted: a sentence says what is
    expected.
    """
    said = None if answer is None or answer is ... else understood(answer, choices)
    _predictions[name] = said
    if said is not None:
        print(f"{name}: you say {said}. The next cells will show.")
    elif answer is None or answer is ...:
        print(f"{name}: no prediction yet. Put yours in place of None, or just go on.")
    else:
        expected = f"one of {', '.join(map(str, choices))}" if choices else "a number, say 0.6"
        print(f"{name}: {answer!r} is not noted. Expected is {expected}; or just go on.")


def understood(answer: float | str, choices: tuple[str, ...]) -> float | str | None:
    """The number, or the choice, that an answer means; None if it means none."""
    number = as_number(answer)
    if not choices:
        if isinstance(answer, str):
            return None if number is None else whole(number)
        return None if number is None else answer
    for choice in choices:
        same_word = str(answer).strip().lower() == str(choice).lower()
        if same_word or (number is not None and number == as_number(choice)):
            return choice
    return None


def whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


def reveal(
    name: str,
    truth: float | str,
    within: float | None = None,
    unit: str = "",
    think: str = "What did you leave out?",
) -> None:
    """Score the prediction `name` against `truth`, a measured number or the right choice.

    A number is right if it is at most `within` away (in the unit of the truth; default a tenth of
    it); `think` is what a learner hears whose number is not.
    """
    said = _predictions.get(name)
    number = None if isinstance(truth, str) else as_number(said)
    shown = truth if isinstance(truth, str) else digits(truth)
    message = f"{name}: it is {shown}{' ' + unit if unit else ''}."
    if said is not None:
        if number is None:
            _right[name] = understood(said, (truth,)) is not None
            verdict = "right." if _right[name] else "not this time."
        else:
            off = abs(number - truth)
            _right[name] = bool(off <= (abs(truth) / 10 if within is None else within))
            verdict = "right." if _right[name] else f"off by {digits(off)}. {think}"
        score = f"({sum(_right.values())} of {len(_right)} right so far)"
        message += f" You said {said}: {verdict} {score}"
    print(message)


def digits(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
