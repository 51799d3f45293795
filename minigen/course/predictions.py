"""predict and reveal: commit to an answer before the decisive cell runs, then hold it against what was measured."""

from numbers import Real

_predictions: dict[str, float | str | None] = {}
_right: dict[str, bool] = {}


def predict(name: str, answer: float | str | None, choices: tuple[str, ...] = ()) -> None:
    """Note your `answer` (a number, or one of `choices`) under `name`; None means no answer, and nothing stops you."""
    answer = (
        None if answer is ... else answer.lower() if choices and isinstance(answer, str) else answer
    )
    if answer is not None and choices and answer not in choices:
        raise ValueError(f"answer must be one of {', '.join(choices)}; got {answer!r}")
    if answer is not None and not choices and not isinstance(answer, Real):
        raise TypeError(f"answer must be a number (or None); got {answer!r}")
    _predictions[name] = answer
    if answer is None:
        print(f"{name}: no prediction yet. Put yours in place of None, or just go on.")
    else:
        print(f"{name}: you say {answer}. The next cells will show.")


def reveal(
    name: str,
    truth: float | str,
    within: float | None = None,
    unit: str = "",
    think: str = "What did you leave out?",
) -> None:
    """Score the prediction `name` against `truth`, a measured number or the right choice.

    A number is right if it is at most `within` away (in the unit of the truth; default a tenth of it); `think` is
    what a learner hears whose number is not.
    """
    said = _predictions.get(name)
    message = f"{name}: it is {truth if isinstance(truth, str) else digits(truth)}{' ' + unit if unit else ''}."
    if said is not None:
        if isinstance(truth, str):
            _right[name] = said == truth
            verdict = "right." if _right[name] else "not this time."
        else:
            off = abs(said - truth)
            _right[name] = bool(off <= (abs(truth) / 10 if within is None else within))
            verdict = "right." if _right[name] else f"off by {digits(off)}. {think}"
        message += (
            f" You said {said}: {verdict} ({sum(_right.values())} of {len(_right)} right so far)"
        )
    print(message)


def digits(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
