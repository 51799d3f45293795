"""The rule of the laboratory: Student's table, every verdict, and how often the rule errs."""

import numpy as np
import pytest

from minigen.compare import verdict
from minigen.compare.verdict import CONTRARY, DEPENDS, HOLDS, SMALL, UNDECIDED, Effect, within

# Student's t, 97.5%: degrees of freedom and the printed quantile of any table.
TABLE = {1: 12.706, 2: 4.303, 4: 2.776, 8: 2.306, 30: 2.042}


@pytest.mark.parametrize("freedom", TABLE)
def test_students_quantile_is_that_of_the_tables(freedom):
    assert verdict.student(freedom) == pytest.approx(TABLE[freedom], abs=6e-4)


def test_welchs_interval_by_hand():
    """Variances 1 and 4 over three seeds each: 25 / 8.5 = 2.941 degrees of freedom."""
    effect = verdict.difference("", [1, 2, 3], [0, 2, 4], delta=0.1)
    half = verdict.student(25 / 8.5) * np.sqrt(5 / 3)
    assert (effect.low, effect.mean, effect.high) == pytest.approx((-half, 0, half), abs=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.06, 0.2, HOLDS), (0.05, 0.2, UNDECIDED), (-0.04, 0.04, SMALL), (0.01, 0.04, SMALL),
        (-0.2, -0.06, CONTRARY), (-0.2, 0.01, UNDECIDED), (-0.05, 0.01, UNDECIDED),
    ],
)  # fmt: skip
def test_the_interval_decides(low, high, expected):
    assert Effect("", (low + high) / 2, low, high, delta=0.05).verdict == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([HOLDS, HOLDS], HOLDS), ([HOLDS, SMALL], DEPENDS), ([HOLDS, CONTRARY], DEPENDS),
        ([HOLDS, UNDECIDED], UNDECIDED), ([HOLDS, CONTRARY, UNDECIDED], DEPENDS),
        ([SMALL, CONTRARY], CONTRARY), ([SMALL, UNDECIDED], UNDECIDED), ([SMALL], SMALL),
    ],
)  # fmt: skip
def test_a_claim_of_several_settings(settings, expected):
    intervals = {HOLDS: (1, 2), SMALL: (-0.1, 0.1), CONTRARY: (-2, -1), UNDECIDED: (-2, 2)}
    effects = [Effect("", 0, *intervals[name], delta=0.5) for name in settings]
    assert verdict.verdict(effects) == expected


def simulated(effect: float, tries: int = 4000, seeds: int = 5) -> list[str]:
    """Verdicts on two arms of five seeds each, their standard deviation half of delta (1)."""
    rng = np.random.default_rng(0)
    more, less = rng.normal(0, 0.5, (2, tries, seeds))
    return [verdict.difference("", a + effect, b, 1.0).verdict for a, b in zip(more, less)]


def test_equal_arms_are_rarely_told_apart():
    """At most 5% may be called; the interval must clear delta, so it is far fewer."""
    for seeds in (3, 5):
        found = simulated(0.0, seeds=seeds)
        assert np.mean([name in (HOLDS, CONTRARY) for name in found]) <= 0.05


def test_an_effect_of_two_and_a_quarter_deltas_is_found():
    """In 90% of tries with five seeds, in half of them with three; 4,000 tries have a standard
    error of at most 0.8%.
    """
    assert np.mean([name == HOLDS for name in simulated(2.25)]) >= 0.9
    assert 0.5 <= np.mean([name == HOLDS for name in simulated(2.25, seeds=3)]) <= 0.6


def test_at_delta_itself_the_rule_is_wrong_in_at_most_5_percent():
    found = simulated(1.0)
    assert np.mean([name == HOLDS for name in found]) <= 0.05


def test_arms_that_never_vary():
    assert verdict.difference("", [1, 1, 1], [0, 0, 0], 0.5).verdict == HOLDS


def test_within_a_tolerance():
    """Of a figure that should be 0: what is left of the tolerance, exact or over seeds."""
    assert within("x", 0.25, 1.0).mean == 0.75 and within("x", 0.25, 1.0).verdict == HOLDS
    assert within("x", 2.0, 1.0).verdict == CONTRARY
    assert within("x", [0.1, 0.11, 0.12], 0.2).verdict == HOLDS
    assert within("x", [0.1, 0.3, 0.2], 0.2).verdict == UNDECIDED
