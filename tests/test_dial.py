"""The dial: a cell in small, what is said of its figures, and README's tables as they are made."""

import numpy as np
import pytest

from minigen.compare import dial, pictures


def test_a_cell_measures_one_block_size(monkeypatch):
    monkeypatch.setattr(dial, "SAMPLE_SETS", 1)
    small = dial.mg.data.digits()
    small = small._replace(train=small.train[:40], test=small.test[:12])
    monkeypatch.setattr(dial.mg.data, "digits", lambda: small)
    one, row = dial.cell(1, seed=0, steps=2), dial.cell(8, seed=0, steps=2)
    assert one["one_pixel_a_pass"]["passes"] == row["one_pixel_a_pass"]["passes"] == 64
    assert row["four_pixels_a_pass"]["passes"] == 16
    assert one["bound_bits"] == pytest.approx(one["chain_rule_bits"], abs=1e-5)  # one order only
    assert 3 < row["bound_bits"] < 5 and row["bound_bits"] != row["chain_rule_bits"]
    assert dial.cell(8, seed=0, steps=2)["bound_bits"] == row["bound_bits"]


def test_means_and_standard_errors_are_over_seeds():
    run = {"one_nn_accuracy": 0.5, "passes": 64, "seconds_per_sample": 0.001}
    cells = [
        {"block_size": size, "bound_bits": bits, "chain_rule_bits": bits, **dict.fromkeys(
            ("one_pixel_a_pass", "four_pixels_a_pass"), run)}
        for size, bits in ((1, 1.0), (1, 2.0), (1, 3.0), (8, 4.0), (8, 4.0), (8, 4.0))
    ]  # fmt: skip
    mean, error = dial.column({"cells": cells}, 1, "bound_bits")
    assert (mean, error) == (2.0, pytest.approx(1 / np.sqrt(3)))
    first, second = dial.table({"cells": cells}).splitlines()[2:]
    assert first.startswith("| 1 | = 2.000 ± 0.577 |") and first.endswith("| 0.500 ± 0.000 |  |")
    assert second.startswith("| 8 | <= 4.000 ± 0.000 | = 4.000 ± 0.000 | 64 | 1.0 |")


def test_unknown_sizes_are_refused(capsys):
    for wrong in (["--sizes", "3"], ["--steps", "0"], ["--seeds", "-1"]):
        with pytest.raises(SystemExit):
            dial.main(wrong)
        assert "expected sizes among" in capsys.readouterr().err


def test_the_committed_result_is_whole():
    cells = dial.measured()["cells"]
    pairs = [(run["block_size"], run["seed"]) for run in cells]
    assert sorted(pairs) == [(size, seed) for size in dial.SIZES for seed in dial.SEEDS]
    assert {run["steps"] for run in cells} == {dial.STEPS}


def test_readme_shows_what_is_made():
    text = pictures.README.read_text(encoding="utf-8")
    made = pictures.with_parts(text, pictures.parts())
    assert made == text, "make it anew: python -m minigen pictures"
    for name in ("families", "dial", "compare", *(path.stem[:2] for path in pictures.lessons())):
        assert (pictures.PICTURES / f"{name}.png").exists()


def test_who_looks_at_whom_is_what_the_masks_say():
    seen = {k: v > 0 for k, v in pictures.families(np.random.default_rng(1)).items()}
    gpt, block, masked, ddpm = seen.values()
    before = np.tri(16, k=-1, dtype=bool)
    own = np.kron(np.eye(4, dtype=bool), np.ones((4, 4), bool))
    np.testing.assert_array_equal(gpt, before)
    np.testing.assert_array_equal(block, (before | own) & ~np.eye(16, dtype=bool))
    np.testing.assert_array_equal(masked, ~np.eye(16, dtype=bool))
    assert ddpm.all()
