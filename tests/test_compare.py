"""The main job, in seconds instead of minutes: the files are there, and the table says what was measured."""

import json

import numpy as np
import pytest

import minigen as mg
from minigen.__main__ import COMMANDS, main
from minigen.compare import ddim_sweep, head_to_head


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One short run by the command line: its folder."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["--seconds", "1", "--text-seconds", "1", "--out", str(folder)]) == 0
    return folder


def test_the_main_job_writes_what_it_promises(run):
    record = json.loads((run / "results.json").read_text(encoding="utf-8"))
    gpt, ddpm = record["models"]
    assert gpt["bits_exact"] and not ddpm["bits_exact"]
    assert gpt["passes"] == 64 and ddpm["passes"] == head_to_head.CHAIN
    assert gpt["training_steps"] == len(record["losses"]["gpt"])
    assert (
        0 < gpt["bits"] < np.log2(17) + 0.1
    )  # after a second of training at most a little worse than uniform
    assert record["text"]["ngram_bits"][3] < record["text"]["ngram_bits"][1]
    table = (run / "table.txt").read_text(encoding="utf-8")
    assert f"= {gpt['bits']:.3f}" in table and f"<= {ddpm['bits']:.3f}" in table
    samples = np.load(run / "samples.npz")
    assert sorted(samples.files) == ["ddpm", "gpt"]
    assert all(
        samples[name].shape == (360, 8, 8) and samples[name].max() <= 16 for name in samples.files
    )
    assert (run / "digits.png").read_bytes()[:4] == b"\x89PNG" and (run / "walk.gif").read_bytes()[
        :3
    ] == b"GIF"


def test_both_families_have_the_same_body():
    rng = np.random.default_rng(0)
    sizes = [
        sum(p.size for p in mg.nn.parameters(model).values())
        for model in (head_to_head.build_gpt(rng), head_to_head.build_ddpm(rng))
    ]
    assert abs(sizes[0] / sizes[1] - 1) < 0.05


def test_independent_pixels_is_the_published_baseline():
    digits = mg.data.digits()
    assert abs(head_to_head.independent_pixels(digits.train, digits.test) - 2.430) < 0.005


def test_bad_arguments_end_before_anything_is_written(tmp_path, capsys):
    for argv in (
        ["--seconds", "0"],
        ["--text-seconds", "-1"],
        ["digits", "--seconds", "x"],
        ["nothing"],
    ):
        with pytest.raises(SystemExit) as stop:
            main([*argv, "--out", str(tmp_path / "out")] if argv != ["nothing"] else argv)
        assert stop.value.code == 2
        assert capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "digits"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_the_sweep_trains_for_so_many_seconds_and_gives_a_row_for_each_rule(tmp_path, capsys):
    out = tmp_path / "sweep.json"
    ddim_sweep.main(["--train-seconds", "0.5", "--steps", "2", "--out", str(out)])
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert [(row["rule"], row["steps"]) for row in rows] == [(rule, 2) for rule in ddim_sweep.RULES]
    assert (
        1 <= int(capsys.readouterr().out.split()[2]) < 100
    )  # "trained for 8 steps", not the default of 1,700
    with pytest.raises(ValueError, match="seconds=0"):
        ddim_sweep.main(["--train-seconds", "0", "--out", str(out)])
