"""The laboratory: every claim in the one form, verdicts of made-up records, a run in small."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from minigen.compare import claims, experiment, thorough
from minigen.compare.arms import DIGITS
from minigen.compare.verdict import CONTRARY, DEPENDS, HOLDS, SMALL, UNDECIDED

TUNING = Path(thorough.__file__).parent / "results" / "tuning.json"  # what --tune printed
CLAIMS = {claim.id: claim for claim in claims.all_claims()}
NAMES = ("bits", "chain_bits", "precision", "recall", "one_nn_accuracy", "class_entropy")


def made_up(**better) -> list[dict]:
    """Records of every arm, size and seed: all alike but for a little noise, and for what
    `better` adds, {figure: {arm: by how much}}.
    """
    rng = np.random.default_rng(0)
    records = []
    for arm in DIGITS:
        for seed in claims.SEEDS:
            sizes = {}
            for size in claims.SIZES:
                figures = {name: 0.5 + 0.005 * rng.standard_normal() for name in NAMES}
                for name, by_arm in better.items():
                    figures[name] += by_arm.get(arm, 0.0)
                sizes[str(size)] = figures
            records.append({"arm": arm, "seed": seed, "sizes": sizes})
    return records


def verdict_of(name: str, records: list[dict]) -> str:
    (found,) = thorough.judged(records, [name])
    return found["verdict"]


DIFFUSION = ("DDPM", "U-Net", "masked")


@pytest.mark.parametrize(
    ("gain", "expected"), [(0.2, HOLDS), (0.0, SMALL), (-0.2, CONTRARY), (0.05, UNDECIDED)]
)
def test_quality_and_diversity_are_judged_with_their_sign(gain, expected):
    alike = dict.fromkeys(DIFFUSION, gain)
    told_less = dict.fromkeys(DIFFUSION, -gain)
    assert verdict_of("C5", made_up(precision=alike, one_nn_accuracy=told_less)) == expected
    assert verdict_of("C6", made_up(recall=alike, class_entropy=alike)) == expected


def test_one_arm_alone_makes_it_depend():
    assert verdict_of("C5", made_up(precision={"U-Net": 0.3})) == DEPENDS


def test_ranks_of_bits_and_samples():
    """More bits, more easily told: in every kind of figure, or the other way round."""
    worse = {arm: 0.1 * k for k, arm in enumerate(DIGITS)}
    bits = {"bits": worse, "chain_bits": worse}
    assert verdict_of("C18", made_up(one_nn_accuracy=worse, **bits)) == HOLDS
    better = {arm: -more for arm, more in worse.items()}
    assert verdict_of("C18", made_up(one_nn_accuracy=better, **bits)) == CONTRARY


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_says_what_would_refute_it_and_what_was_expected(claim):
    assert claim.delta > 0 and min(map(len, (claim.statement, claim.refuted, claim.expected))) > 30
    text = thorough.said(thorough.judged(made_up(), [claim.id])[0])
    assert claim.statement in text and "verdict" in text


# -- the runs --------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """Arms that take two steps for ten seconds' worth, one sample set."""
    tiny = {name: dataclasses.replace(arm, steps=5) for name, arm in DIGITS.items()}
    monkeypatch.setattr(experiment, "DIGITS", tiny)
    monkeypatch.setattr(experiment, "SETS", 1)
    return tiny


@pytest.mark.parametrize("name", ["GPT", "DDPM"])
def test_a_branch_leaves_the_run_as_it_would_be_without(name, small):
    """The model at the second size is the same, bit for bit, whether there was a first or not."""
    arm, data = small[name], experiment.mg.data.digits()
    x = arm.examples(data.train)
    *_, (_, branched, _) = experiment.grown(arm, x, [10, 20], seed=3)
    *_, (_, alone, _) = experiment.grown(arm, x, [20], seed=3)
    one, other = (experiment.mg.nn.state(model) for model in (branched, alone))
    assert all(np.array_equal(one[key], other[key]) for key in one)


def test_a_cell_gives_every_figure_that_the_claims_read(small):
    record = json.loads(json.dumps(experiment.digits("GPT", 0, [10])))
    figures = record["sizes"]["10"]
    assert set(NAMES) - {"chain_bits"} <= set(figures) and figures["exact"]
    assert 0 <= figures["class_entropy"] <= np.log(10) + 1e-9


def test_rates_are_tried_on_images_kept_out(small):
    """No trial sees the images that it is judged on, nor test images."""
    found = experiment.tuning("GPT", 1e-3, size=10)
    assert found["bits"] > 1 and experiment.TUNING_SEED not in claims.SEEDS
    cells = thorough.tuning_cells()
    assert len(cells) == 5 * len(DIGITS) == len({cell.name for cell in cells})


def test_every_arm_is_given_the_best_of_its_five_trials():
    trials = json.loads(TUNING.read_text("utf-8"))["trials"]
    for name, arm in DIGITS.items():
        bits = {trial["lr"]: trial["bits"] for trial in trials if trial["arm"] == name}
        assert len(bits) == 5 and arm.lr == pytest.approx(min(bits, key=bits.get))


def test_an_unknown_claim_is_refused(capsys):
    with pytest.raises(SystemExit):
        thorough.main(["--claims", "C99"])
    assert "C99" in capsys.readouterr().err
