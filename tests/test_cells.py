"""Cells of an experiment: each once, two at a time, whatever stops it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minigen.compare.cells import Cell, compute_all, finished, place

HERE = "test_cells"  # what a child process imports: this file


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def square(x, log=None, wait=0.0):
    """A cell's work: notes that it ran, and what it saw."""
    time.sleep(wait)
    if x < 0:
        raise ValueError(f"x = {x}")
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{x}\n")
    return {"square": x * x, "threads": os.environ["OPENBLAS_NUM_THREADS"], "pid": os.getpid()}


def cells(log, numbers, wait=0.0):
    settings = [{"x": x, "log": str(log), "wait": wait} for x in numbers]
    return [Cell(f"cell{s['x']}", f"{HERE}:square", s) for s in settings]


def test_each_cell_is_computed_once_on_one_thread(tmp_path):
    log, folder = tmp_path / "log", tmp_path / "cells"
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    results, errors = compute_all(cells(log, [1, 2, 3]), folder)
    assert errors == {} and [results[f"cell{x}"]["square"] for x in (1, 2, 3)] == [1, 4, 9]
    assert {r["threads"] for r in results.values()} == {"1"}
    assert os.getpid() not in {r["pid"] for r in results.values()}
    again, _ = compute_all(cells(log, [1, 2, 3, 4]), folder)
    assert again.items() >= results.items()
    assert sorted(log.read_text().split()) == ["1", "2", "3", "4"]
    assert os.environ.get("OPENBLAS_NUM_THREADS") == before


def test_other_settings_are_another_cell(tmp_path):
    first, second = cells("", [2])[0], Cell("cell2", f"{HERE}:square", {"x": 2, "wait": 0.1})
    compute_all([first], tmp_path)
    assert finished(first, tmp_path) and finished(second, tmp_path) is None


def test_a_cell_that_fails_is_reported_and_the_others_go_on(tmp_path):
    results, errors = compute_all(cells(tmp_path / "log", [1, -1, 2]), tmp_path)
    assert set(results) == {"cell1", "cell2"} and errors == {"cell-1": "ValueError: x = -1"}


def test_half_a_file_is_no_result(tmp_path):
    (cell,) = cells(tmp_path / "log", [3])
    compute_all([cell], tmp_path)
    file = place(cell, tmp_path)
    file.write_text(file.read_text()[:-20])
    assert finished(cell, tmp_path) is None
    results, _ = compute_all([cell], tmp_path)
    assert results["cell3"]["square"] == 9 and json.loads(file.read_text())["key"] == cell.key


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="only POSIX has kill -9")
def test_an_experiment_killed_at_any_moment_goes_on(tmp_path):
    """Killed three times, with its children, at random moments.

    The result is that of a quiet run.
    """
    log, folder = tmp_path / "log", tmp_path / "cells"
    script = tmp_path / "run.py"
    script.write_text(
        "from test_cells import cells, compute_all, Path\n"
        "if __name__ == '__main__':\n"
        f"    compute_all(cells({str(log)!r}, range(6), 0.2), Path({str(folder)!r}))\n"
    )
    rng = np.random.default_rng(0)
    for _ in range(3):
        child = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
        time.sleep(rng.uniform(0.3, 1.5))
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    results, errors = compute_all(cells(log, range(6), 0.2), folder)
    assert errors == {} and [r["square"] for r in results.values()] == [0, 1, 4, 9, 16, 25]


def keeps(folder, x):
    """A cell that keeps a file, and one that reads it."""
    (folder / f"kept{x}").write_text(str(x))
    return {"folder": folder.name}


def test_a_function_that_takes_the_folder_is_told_it(tmp_path):
    cell = Cell("keeper", f"{HERE}:keeps", {"x": 5})
    results, errors = compute_all([cell], tmp_path / "place")
    assert not errors and results["keeper"] == {"folder": "place"}
    assert (tmp_path / "place" / "kept5").read_text() == "5" and "folder" not in cell.settings


def test_a_cell_depends_on_the_one_that_it_needs():
    first, other = (Cell("train", f"{HERE}:square", {"x": x}) for x in (1, 2))
    keys = {Cell("read", f"{HERE}:square", {"x": 3}, needs=cell).key for cell in (first, other)}
    assert len(keys) == 2
