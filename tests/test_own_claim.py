"""Lesson 17: a claim of the learner's own, and the laboratories that it asks to name."""

from dataclasses import replace

import numpy as np
import pytest

from minigen.course.carry_on import carry_on
from minigen.course.exercise import Verdict, find, judge
from minigen.course.exercises import lesson_17


@pytest.mark.parametrize(
    ("sentence", "meant"),
    [
        ("DDPM has higher precision than GPT.", ("DDPM", "GPT", "precision", 1)),
        ("gpt has LOWER recall than u-net, drawn", ("GPT", "U-Net", "recall", -1)),
        ("The block has lower 1-NN accuracy than the masked",
         ("block", "masked", "one_nn_accuracy", -1)),
        (" masked has higher class entropy than DDPM ", ("masked", "DDPM", "class_entropy", 1)),
    ],
)  # fmt: skip
def test_a_sentence_is_read(sentence, meant):
    assert lesson_17.parsed(sentence) == meant


def told(claim) -> str:
    return judge(find("17.claim"), lambda: claim).wrong


@pytest.fixture
def quick(monkeypatch):
    """Cells that take no time, and no memory of what earlier tests measured."""
    monkeypatch.setattr(lesson_17, "_seen", {})
    monkeypatch.setattr(lesson_17, "small", lambda arm, seed: {"arm": arm, "seed": seed})


def test_an_expectation_is_not_written_after_measuring(quick, capsys):
    claim = lesson_17.example()
    results = lesson_17.measure(claim)
    assert set(results) == {cell.name for cell in claim.cells}
    assert claim.expected.split()[0] in capsys.readouterr().out
    assert told(claim) == "", "the same claim may be checked again"
    for late in (
        replace(claim, expected="The contrary, for other reasons."),
        replace(claim, delta=2 * claim.delta),
        replace(claim, statement="GPT has lower precision than DDPM"),
    ):
        assert "measured before this was written" in told(late)
    assert told(lesson_17.example_by_loops()) == "", "of other arms nothing is known yet"


def test_the_cells_of_a_claim_are_measured_in_small(monkeypatch):
    """Every figure of the list is there, of an arm that took next to no steps."""
    tiny = replace(lesson_17.DIGITS["DDPM"], steps=5)
    monkeypatch.setitem(lesson_17.DIGITS, "DDPM", tiny)
    record = lesson_17.small_cells("DDPM")[0].compute(None)
    assert set(record) == {"arm", "seed", *lesson_17.FIGURES.values()}


def test_the_learners_claim_goes_on(capsys):
    """It differs from the reference's in every text."""
    exercise = find("17.claim")
    carried = carry_on(exercise, lesson_17.example_by_loops, Verdict("17.claim", "passed"))
    for _ in range(3):
        assert carried().statement == lesson_17.example_by_loops().statement
    assert capsys.readouterr().out == ""


def test_each_laboratory_has_its_own_fault_and_no_other():
    """300 studies: a mean of effects has a standard error of 0.0008, for C 0.0018; 5% of misses
    one of 1.3%. At four of these a false alarm is to be expected in 1 of 16,000 for each.
    """
    centre, missed = {}, {}
    for name in lesson_17.LABORATORIES:
        for scoring, studies in lesson_17.laboratory(name).items():
            mean, low, high = studies.T
            centre[name, scoring] = mean.mean()
            missed[name, scoring] = np.mean((low > 0) | (high < 0))
    published, others, exact = lesson_17.SCORINGS
    shifted = {("A", published), ("A", exact), ("B", published), ("B", others)}
    for place, effect in centre.items():
        if place in shifted:
            assert effect > 0.01
        else:
            assert abs(effect) < (0.0072 if place[0] == "C" else 0.0032)
        if place[0] == "C":
            assert missed[place] > 0.3
        elif place not in shifted:
            assert missed[place] < 0.102
