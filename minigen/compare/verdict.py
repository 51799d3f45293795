"""From figures of several seeds to a verdict: an effect, its interval, and the rule that judges it.

An effect is a difference of means over training seeds with a 95% t-interval, its sign taken so that
the claim is positive. `delta` is the smallest effect that would matter, stated before measuring.
The rule, and how often it errs, is tried by simulation in tests/test_verdict.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HOLDS, SMALL, CONTRARY = "holds", "too small to matter", "the contrary"
DEPENDS, UNDECIDED = "depends", "not decided"


@dataclass(frozen=True)
class Effect:
    """One effect: what of (its scope), mean and interval, and the smallest that would matter."""

    about: str
    mean: float
    low: float
    high: float
    delta: float

    @property
    def verdict(self) -> str:
        """By the rule: where the interval lies, seen from plus and minus delta."""
        if self.low > self.delta:
            return HOLDS
        if self.high < -self.delta:
            return CONTRARY
        inside = -self.delta < self.low and self.high < self.delta
        return SMALL if inside else UNDECIDED

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def verdict(effects: Sequence[Effect]) -> str:
    """Of a claim with several settings: "depends" where one holds and another does not.

    Too small in some and the contrary in others is the contrary. Where none of this is the case,
    one setting that is not decided leaves the whole undecided.
    """
    found = {effect.verdict for effect in effects}
    if len(found) == 1:
        return found.pop()
    if HOLDS in found and found & {SMALL, CONTRARY}:
        return DEPENDS
    if found == {SMALL, CONTRARY}:
        return CONTRARY
    return UNDECIDED


# -- intervals -------------------------------------------------------------------------------------


def difference(about: str, more: Sequence, less: Sequence, delta: float) -> Effect:
    """mean(more) - mean(less) of two arms: Welch's interval over their seeds.

    It takes the arms for independent. Ours share the test images and, seed by seed, the order of
    the training images; what that has in common cancels in the difference or is left out.
    """
    more, less = np.asarray(more, float), np.asarray(less, float)
    parts = [x.var(ddof=1) / len(x) for x in (more, less)]
    each = [part**2 / (len(x) - 1) for part, x in zip(parts, (more, less))]
    freedom = sum(parts) ** 2 / sum(each) if any(each) else 1.0
    return around(about, more.mean() - less.mean(), math.sqrt(sum(parts)), freedom, delta)


def mean(about: str, values: Sequence, delta: float) -> Effect:
    """The mean over seeds, of what is an effect already (a difference within one model, say)."""
    values = np.asarray(values, float)
    error = values.std(ddof=1) / math.sqrt(len(values))
    return around(about, values.mean(), error, len(values) - 1, delta)


def within(about: str, off: Sequence, tolerance: float) -> Effect:
    """Of something that should be 0 and is off by so much: what is left of the tolerance.

    Above 0 it holds, below it does not; over seeds, or of one figure.
    """
    left = tolerance - np.atleast_1d(np.asarray(off, float))
    return mean(about, left, 0.0) if len(left) > 1 else around(about, left[0], 0.0, 1, 0.0)


def around(about: str, middle: float, error: float, freedom: float, delta: float) -> Effect:
    """The middle and a 95% interval around it: as many standard errors as Student's t says."""
    half = student(freedom) * error if error else 0.0
    return Effect(about, float(middle), float(middle - half), float(middle + half), delta)


def student(freedom: float, level: float = 0.95) -> float:
    """The quantile of Student's t that leaves (1 - level) / 2 above it, by its own integral.

    With x = sqrt(freedom) tan(angle) the density becomes cos(angle)^(freedom - 1).
    """
    angle = np.linspace(0, math.pi / 2, 20_001)
    mass = np.cos(angle) ** (freedom - 1)
    below = np.concatenate([[0.0], np.cumsum((mass[1:] + mass[:-1]) / 2)])
    return math.sqrt(freedom) * math.tan(np.interp(level, below / below[-1], angle))
