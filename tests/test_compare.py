"""The main job in seconds: the files are there, and the table says what was measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigen as mg
from minigen.compare import arms, ddim_sweep, measure


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One short run by the command line, its stdout an ASCII file: its folder."""
    folder = tmp_path_factory.mktemp("runs")
    argv = ["--seconds", "0.3", "--text-seconds", "0.3", "--out", str(folder)]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "ascii"}
    with open(folder / "log.txt", "wb") as log:
        job = subprocess.run([sys.executable, "-m", "minigen", *argv], stdout=log, env=environment)
    assert job.returncode == 0
    return folder


def test_what_is_said_fits_80_columns_and_points_to_what_is_there(run):
    lines = (run / "log.txt").read_text(encoding="ascii").splitlines()
    table = (run / "table.txt").read_text(encoding="utf-8").splitlines()
    assert set(table) <= set(lines) and max(map(len, table)) <= 80
    commands = [line.split() for line in lines if line.startswith("  ") and "%" not in line]
    typed = [words for words in commands if Path(words[0]).name.startswith(("python", "jupyter"))]
    assert len(typed) == 4
    (_, *evidence), (python, *_, checkpoint, _), (_, *work), (jupyter, *lab) = typed
    assert all(Path(path).exists() for path in (python, checkpoint, jupyter))
    assert work == ["-m", "minigen", "work"] and lab == ["lab", "work"]
    assert evidence == ["-m", "minigen", "compare"]


def test_the_main_job_writes_what_it_promises(run):
    record = json.loads((run / "results.json").read_text(encoding="utf-8"))
    gpt, masked, ddpm = record["models"]
    assert gpt["bits_exact"] and not masked["bits_exact"] and not ddpm["bits_exact"]
    assert gpt["passes"] == masked["passes"] == 64 and ddpm["passes"] == arms.CHAIN
    assert gpt["training_steps"] == len(record["losses"]["gpt"]) and not record["interrupted"]
    for model in (gpt, masked, ddpm):  # what was taken, to the end of the last step
        assert 0.3 <= model["training_seconds"] != 0.3
    assert (
        0 < gpt["bits"] < np.log2(17) + 0.5
    )  # after so little training at most a little worse than uniform
    assert record["text"]["ngram_bits"][3] < record["text"]["ngram_bits"][1]
    table = (run / "table.txt").read_text(encoding="utf-8")
    assert f"= {gpt['bits']:.3f}" in table and f"<= {ddpm['bits']:.3f}" in table
    samples = np.load(run / "samples.npz")
    assert sorted(samples.files) == ["ddpm", "gpt", "masked"]
    assert all(
        samples[name].shape == (360, 8, 8) and samples[name].max() <= 16 for name in samples.files
    )
    assert (run / "digits.png").read_bytes()[:4] == b"\x89PNG" and (run / "walk.gif").read_bytes()[
        :3
    ] == b"GIF"


def test_what_was_trained_is_kept_with_its_averaged_weights(run):
    record = json.loads((run / "results.json").read_text(encoding="utf-8"))
    pixels = mg.data.digits().test.reshape(-1, 64)
    bits = mg.evaluate.bits_per_dim(mg.load(run / "gpt.npz"), pixels).value
    assert bits == pytest.approx(record["models"][0]["bits"], rel=1e-5)
    assert mg.load(run / "ddpm.npz").steps == arms.CHAIN
    manual = mg.data.python_manual("a-z")
    bits = mg.evaluate.bits_per_dim(mg.load(run / "text.npz"), manual.test).value
    assert bits == pytest.approx(record["text"]["bits_per_character"], rel=1e-5)
    files = {
        "gpt.npz",
        "masked.npz",
        "ddpm.npz",
        "text.npz",
        "samples.npz",
        "table.txt",
        "digits.png",
        "walk.gif",
    }
    assert set(record["files"]) == files and all((run / name).exists() for name in files)


def test_both_families_have_the_same_body():
    rng = np.random.default_rng(0)
    sizes = [
        sum(p.size for p in mg.nn.parameters(model).values())
        for model in (arms.gpt(rng), arms.ddpm(rng))
    ]
    assert abs(sizes[0] / sizes[1] - 1) < 0.05


def test_independent_pixels_is_the_published_baseline():
    digits = mg.data.digits()
    assert abs(measure.independent_pixels(digits.train, digits.test) - 2.430) < 0.005


def test_the_sweep_trains_for_so_many_seconds_and_gives_a_row_for_each_rule(tmp_path, capsys):
    argv = ["--train-seconds", "0.2", "--steps", "2", "--out", str(tmp_path)]
    assert ddim_sweep.main(argv) == 0
    rows = json.loads((tmp_path / "ddim_sweep.json").read_text(encoding="utf-8"))
    assert [(row["rule"], row["steps"]) for row in rows] == [(rule, 2) for rule in ddim_sweep.RULES]
    steps = int(capsys.readouterr().out.split()[2])
    assert 1 <= steps < 100  # "trained for 8 steps", not the default of 1,700
    assert mg.load(tmp_path / "ddpm.npz").levels == 17
