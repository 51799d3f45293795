"""The laboratory: every claim in the one form, verdicts of made-up records, a run in small."""

import collections
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import minigen as mg
from minigen.compare import arms, claims, experiment, head_to_head, thorough, verdict
from minigen.compare.arms import ARMS, DIGITS, TEXT
from minigen.compare.cells import Cell
from minigen.compare.claims import c01, c04, c08, c11, c14, c16, c17, c18
from minigen.compare.verdict import CONTRARY, DEPENDS, HOLDS, SMALL, UNDECIDED

RESULTS = Path(thorough.__file__).parent / "results"
CLAIMS = {claim.id: claim for claim in claims.all_claims()}
NAMES = ("bits", "chain_bits", "precision", "recall", "one_nn_accuracy", "class_entropy")


def made_up(noise: float = 0.005, **better) -> list[dict]:
    """Records of every arm, size and seed: all alike but for a little noise, and for what
    `better` adds, {figure: {arm: by how much}}.
    """
    rng = np.random.default_rng(0)
    records = []
    for cell in experiment.on_digits():
        figures = {name: 0.5 + noise * rng.standard_normal() for name in NAMES}
        for name, by_arm in better.items():
            figures[name] += by_arm.get(cell.settings["arm"], 0.0)
        records.append({**cell.settings, **figures})
    return records


def verdict_of(name: str, records: list[dict]) -> str:
    return verdict.verdict(CLAIMS[name].effects(records, CLAIMS[name].delta))


DIFFUSION = ("DDPM", "U-Net", "masked")


@pytest.mark.parametrize(
    ("gain", "noise", "expected"),
    [(0.2, 0.005, HOLDS), (0.0, 0.005, SMALL), (-0.2, 0.005, CONTRARY), (0.03, 0.03, UNDECIDED)],
)
def test_quality_and_diversity_are_judged_with_their_sign(gain, noise, expected):
    alike = dict.fromkeys(DIFFUSION, gain)
    told_less = dict.fromkeys(DIFFUSION, -gain)
    quality = made_up(noise, precision=alike, one_nn_accuracy=told_less)
    diversity = made_up(noise, recall=alike, class_entropy=alike)
    assert verdict_of("C5", quality) == verdict_of("C6", diversity) == expected


def test_one_arm_alone_makes_it_depend():
    assert verdict_of("C5", made_up(precision={"U-Net": 0.3})) == DEPENDS


def test_ranks_of_bits_and_samples():
    """More bits, more easily told: in every kind of figure, or the other way round."""
    worse = {arm: 0.1 * k for k, arm in enumerate(DIGITS)}
    bits = {"bits": worse, "chain_bits": worse}
    assert verdict_of("C18", made_up(one_nn_accuracy=worse, **bits)) == HOLDS
    better = {arm: -more for arm, more in worse.items()}
    assert verdict_of("C18", made_up(one_nn_accuracy=better, **bits)) == CONTRARY


def test_the_other_signs():
    """Each with records in which the claim is plainly right: every effect above its delta."""
    wiggle = [0.0, 0.002, 0.004, 0.001, 0.003]
    records = {
        "C1": [
            {"arm": arm, "seed": k, "size": 30, "one_nn_accuracy": 0.6 + e}
            for arm in c01.WAYS
            for k, e in enumerate(wiggle)
        ]
        + [
            {"arm": arm, "seed": k, "ways": {way: {"one_nn_accuracy": 0.8 - e} for way in ways}}
            for arm, ways in c01.WAYS.items()
            for k, e in enumerate(wiggle)
        ],
        "C2": [
            {
                "length": 64,
                "seconds": [
                    {"autoregression": 1 + e}
                    | {f"diffusion, {steps} steps": 2.0 for steps in (10, 50, 1000)}
                    for e in wiggle
                ],
            }
        ],
        "C3": [
            {"arm": arm, "seed": k, "added": e + 0.2 * (arm != "GPT")}
            for arm in ("GPT", "DDPM", "U-Net")
            for k, e in enumerate(wiggle)
        ],
        "C4": [
            {"world": world, "arm": arm, "seed": k, "times": 1,
             "valid": 0.5 + e + 0.2 * (arm != "GPT")}
            for world in c04.WORLDS
            for arm in c04.ARMS
            for k, e in enumerate(wiggle)
        ],
        "C7": [
            {
                "arm": arm,
                "seed": k,
                "size": size,
                "exact_bits": 2 + e + ("GPT" not in arm),
                "words_known": 0.5 - e + 0.2 * ("GPT" in arm),
            }
            for arm in TEXT
            for size in experiment.TEXT_SIZES
            for k, e in enumerate(wiggle)
        ],
        "C11": [
            {
                "arm": arm,
                "seed": k,
                "kept": {side: 0.5 + e + 0.2 * ((arm == "GPT") == (side == "top"))
                         for side in c11.KNOWN},
            }
            for arm in c11.ARMS
            for k, e in enumerate(wiggle)
        ],
        "C14": [
            {
                "arm": arm,
                "seed": k,
                "one_nn_accuracy": 0.6 + e + 0.2 * (arm == "GPT" and "change" in which),
                **which,
            }
            for arm in c14.ARMS
            for which in ({"size": 30}, *({"change": change} for change in c14.CHANGES))
            for k, e in enumerate(wiggle)
        ],
        "C16": [
            {"data": data, "kind": kind, "seed": k, "best": 2 + e - (kind == "masked"),
             "end": 3 + e - (kind == "masked")}
            for data, rival in c16.RIVALS
            for kind in {rival, "masked"}
            for k, e in enumerate(wiggle)
        ],
        "C17": [
            {"exponent": a, "noise": noise, "seed": k, "slope": a + e}
            for a, noise in c17.SPECTRA
            for k, e in enumerate(wiggle)
        ]
        + [
            {"arm": arm, "seed": k, "at": [0.8 + e, 0.8, 0.8, 0.6]}
            for arm in ("DDPM", "U-Net")
            for k, e in enumerate(wiggle)
        ],
    }  # fmt: skip
    for name, made in records.items():
        effects = CLAIMS[name].effects(made, CLAIMS[name].delta)
        assert effects and {effect.verdict for effect in effects} == {HOLDS}, name


def test_every_claim_says_what_would_refute_it_and_what_was_expected():
    assert list(CLAIMS) == [f"C{k}" for k in range(1, 19) if k not in (12, 13)], "order"
    for claim in CLAIMS.values():
        texts = (claim.statement, claim.refuted, claim.expected, claim.scope)
        assert claim.delta > 0 and min(map(len, texts)) > 20, claim.id


def test_what_is_computed_costs_what_the_rules_allow():
    """At most 12,000 thread-seconds of training, and no two cells of one name that differ."""
    cells = [cell for claim in CLAIMS.values() for cell in claim.cells]
    cells += [cell.needs for cell in cells if cell.needs]
    keys = collections.defaultdict(set)
    for cell in cells:
        keys[cell.name].add(cell.key)
    assert all(len(found) == 1 for found in keys.values())
    shared, _ = thorough.stages(list(CLAIMS.values()))
    own = CLAIMS["C16"].cells + CLAIMS["C4"].cells + CLAIMS["C8"].cells  # train for themselves
    assert sum(cell.seconds for cell in (*shared, *own)) < 12_000


# -- the worlds and the ways -----------------------------------------------------------------------


def test_the_worlds_of_c4():
    """Their sizes are known: 2^7, 2^4, and Catalan's number times 2^4 of nested brackets."""
    assert [len(np.unique(make(), axis=0)) for make in c04.WORLDS.values()] == [128, 16, 14 * 16]
    for string in c04.brackets():
        open_ones = []
        for symbol in string:
            if symbol % 2 == 0:
                open_ones.append(symbol)
            else:
                assert open_ones.pop() == symbol - 1
        assert not open_ones


def test_the_bound_is_below_the_likelihood_of_what_is_drawn():
    """Enumerated over orders: the mean of logs is what `bound` estimates; the log of the mean sums
    to one over all strings.
    """
    rng = np.random.default_rng(0)
    model = mg.MaskedDiffusion(2, 3, layers=1, heads=1, width=8, rng=rng)
    strings = np.array([[i >> k & 1 for k in range(3)] for i in range(8)])
    drawn, bound = c08.by_orders(model, strings)
    assert np.exp(drawn).sum() == pytest.approx(1, abs=1e-5) and (drawn >= bound - 1e-6).all()
    estimates = model.bounds(strings, rng, draws=4000)
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert (np.abs(estimates.mean(axis=0) - bound) < 5 * error + 1e-6).all()  # 8 tries at 5 sigma


@pytest.mark.parametrize("side", c11.KNOWN)
def test_what_is_known_stays(side):
    rng, x = np.random.default_rng(0), mg.data.digits().test[:3]
    known = c11.KNOWN[side]
    for arm, how in (("GPT", c11.by_gpt), ("masked", c11.by_masked), ("DDPM", c11.by_ddpm)):
        kind = DIGITS[arm]
        filled = kind.levels(how(kind.build(rng), kind.examples(x), known, rng))
        assert (filled == x)[:, known].all() and not (filled == x)[:, ~known].all()


def test_a_fitted_temperature(tmp_path, monkeypatch):
    """At temperature 1 the bits are the model's own; the choice is never worse where it is made."""
    monkeypatch.setattr(experiment, "SIZES", [10])
    gpt = DIGITS["GPT"].build(np.random.default_rng(0))
    mg.save(experiment.weights(tmp_path, "GPT", 0, 10), gpt)
    found = c18.tempered(tmp_path, "GPT", 0)
    scored = mg.data.digits().test[c18.HALF :].reshape(-1, 64).astype(np.int64)
    own = mg.evaluate.bits_per_dim(gpt, scored).value
    assert found["as_trained"]["10"] == pytest.approx(own, rel=1e-5)
    assert 1 <= found["temperature"]["10"] <= 2.5


def test_fields_have_the_spectrum_that_is_asked_for():
    rng = np.random.default_rng(0)
    power = np.mean([c17.spectrum(c17.field(2, rng)) for _ in range(20)], axis=0)
    slope = np.polyfit(np.log(c17.CYCLES), np.log(power[c17.CYCLES - 1]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.05)  # 20 fields: standard deviation 0.01


def test_training_variants_change_only_what_they_say():
    """Dropout and hidden inputs draw with the generator that they are given; evaluation does not
    know them.
    """
    x = mg.data.digits().train[:8].reshape(8, 64).astype(np.int64)
    plain, *changed = (
        kind(17, 64, layers=1, heads=2, width=16, rng=np.random.default_rng(1))
        for kind in (mg.GPT, c16.WithDropout, c16.WithHiddenInputs)
    )
    for model in changed:
        assert np.array_equal(model.log_prob(x), plain.log_prob(x))
        losses = [float(model.loss(x, np.random.default_rng(seed)).data) for seed in (2, 2, 3)]
        assert losses[0] == losses[1] != losses[2]
    c16.WithDropout.loss.__globals__["DROPPED"] = 0.0
    try:
        same = float(changed[0].loss(x, np.random.default_rng(2)).data)
    finally:
        c16.WithDropout.loss.__globals__["DROPPED"] = 0.1
    assert same == pytest.approx(float(plain.loss(x).data), rel=1e-6)


def test_a_tenth_is_shuffled_and_the_rest_is_not():
    whole = experiment.to_learn(DIGITS["GPT"])
    spoiled = experiment.to_learn(DIGITS["GPT"], "a tenth shuffled")
    same = (whole == spoiled).all(axis=1)
    assert 0.89 < same.mean() < 0.91
    assert np.array_equal(np.sort(whole, axis=1), np.sort(spoiled, axis=1))
    assert len(experiment.to_learn(DIGITS["DDPM"], "400 images")) == 400


# -- the runs --------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """Arms that take two steps for ten seconds' worth, one sample set."""
    for table in (arms.ARMS, arms.DIGITS, arms.TEXT):
        for name, arm in table.items():
            monkeypatch.setitem(table, name, dataclasses.replace(arm, steps=5))
    monkeypatch.setattr(experiment, "SETS", 1)
    return arms.ARMS


@pytest.mark.parametrize("name", ["GPT", "DDPM"])
def test_a_branch_leaves_the_run_as_it_would_be_without(name, small):
    """The model at the second size is the same, bit for bit, whether there was a first or not."""
    arm = small[name]
    x = experiment.to_learn(arm)
    *_, (_, branched, _) = experiment.grown(arm, x, [10, 20], seed=3)
    *_, (_, alone, _) = experiment.grown(arm, x, [20], seed=3)
    one, other = (mg.nn.state(model) for model in (branched, alone))
    assert all(np.array_equal(one[key], other[key]) for key in one)


def test_a_cell_gives_every_figure_that_the_claims_read(small, tmp_path):
    assert experiment.train(tmp_path, "GPT", 0, [10], 1e-3)["seconds"] > 0
    figures = json.loads(json.dumps(experiment.digits(tmp_path, "GPT", 0, 10)))
    assert set(NAMES) - {"chain_bits"} <= set(figures) and figures["exact"]
    assert 0 <= figures["class_entropy"] <= np.log(10) + 1e-9
    images = experiment.read(figures["samples"])
    assert images.shape == (experiment.SHOWN, 8, 8) and 0 <= images.min() <= images.max() <= 16
    assert np.array_equal(experiment.read(experiment.written(images)), images)


def test_rates_are_tried_on_examples_kept_out(small):
    """No trial sees the examples that it is judged on, nor test examples."""
    for arm in ("GPT", "GPT on text"):
        assert experiment.tuning(arm, 1e-3, size=10)["bits"] > 1
    assert experiment.TUNING_SEED not in experiment.SEEDS
    cells = experiment.tuning_cells()
    assert len(cells) == 5 * len(ARMS) == len({cell.name for cell in cells})


def test_every_arm_is_given_the_best_of_its_five_trials():
    trials = json.loads((RESULTS / "tuning.json").read_text("utf-8"))["trials"]
    for name, arm in ARMS.items():
        bits = {trial["lr"]: trial["bits"] for trial in trials if trial["arm"] == name}
        assert len(bits) == 5 and arm.lr == pytest.approx(min(bits, key=bits.get)), name


def test_an_unknown_claim_is_refused(capsys, tmp_path):
    with pytest.raises(SystemExit):
        thorough.main(["--claims", "C99", "--out", str(tmp_path)])
    assert "C99" in capsys.readouterr().err


def test_cells_of_another_version_are_refused(capsys, tmp_path):
    (tmp_path / "laboratory.json").write_text('{"version": 0}')
    with pytest.raises(SystemExit):
        thorough.main(["--thorough", "--claims", "C10", "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert "'version': 0" in said and "expected" in said and not (tmp_path / "cells").exists()
    (tmp_path / "laboratory.json").write_text("half a fi")
    with pytest.raises(SystemExit):
        thorough.main(["--thorough", "--claims", "C10", "--out", str(tmp_path)])
    assert "unknown origin" in capsys.readouterr().err


def test_too_little_room_is_said_before_anything_is_computed(capsys, tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1e9, 9.9e8, 1e7))
    with pytest.raises(SystemExit):
        thorough.main(["--thorough", "--claims", "C10", "--out", str(tmp_path)])
    assert "10 MB are free, 250 are needed" in capsys.readouterr().err


def test_a_run_in_small_and_a_cell_that_fails(capsys, tmp_path, monkeypatch):
    """C10 is judged; a claim whose cell fails is not, and the command says so."""
    command = ["--thorough", "--claims", "c10", "C15", "C10", "--out", str(tmp_path)]
    assert thorough.main(command) == 0
    record = json.loads((tmp_path / "claims.json").read_text("utf-8"))
    assert [one["claim"] for one in record["claims"]] == ["C10", "C15"]
    assert record["claims"][0]["verdict"] == DEPENDS and set(record["cells"]) == {
        "chain_ddpm",
        "chain_ddim",
    }
    broken = Cell("broken", "minigen.compare.claims.c10:chain", {"unknown": 1})
    claim = dataclasses.replace(CLAIMS["C10"], cells=(broken,))
    both = [claim, CLAIMS["C15"]]
    monkeypatch.setattr(claims, "all_claims", lambda: both)
    assert thorough.main(command) == 1
    assert "broken failed: TypeError" in capsys.readouterr().out
    record = json.loads((tmp_path / "claims.json").read_text("utf-8"))
    assert [one["claim"] for one in record["claims"]] == ["C15"]


def test_the_committed_result_is_what_the_claims_say_of_its_cells():
    """Judged anew from the committed cells: the same effects and verdicts, of every claim."""
    record = thorough.measured()
    assert [one["claim"] for one in record["claims"]] == list(CLAIMS)
    for one in record["claims"]:
        again = json.loads(json.dumps(thorough.judged(CLAIMS[one["claim"]], record["cells"])))
        assert again["verdict"] == one["verdict"] and len(again["effects"]) == len(one["effects"])
        for new, old in zip(again["effects"], one["effects"]):
            assert new[0] == old[0] and new[1:4] == pytest.approx(old[1:4], abs=1e-9)


def test_the_main_job_ends_with_the_evidence():
    said = head_to_head.evidence()
    for one in thorough.measured()["claims"]:
        assert f"{one['claim']:4}{one['title']}" in said and one["verdict"] in said
