"""Cells: the pieces of an experiment, two computed at a time, each once.

A cell is one run of one function with given settings (an arm, a size, a seed). It runs in a process
of its own on one thread, so that two of them side by side do not wait for each other, and what it
returns is written to a file of its own. A cell whose file is there is not computed again: an
experiment that was stopped, by Ctrl-C or by a power cut, goes on where it was.
"""

from __future__ import annotations  # a Cell may need a Cell

import hashlib
import importlib
import inspect
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "MKL", "OMP")}


@dataclass(frozen=True)
class Cell:
    """A call to be made: `function` as "module:name", and the keyword arguments that it gets.

    It returns what JSON can hold; `seconds` is what it is expected to take on one thread, and
    `needs` the cell whose files it reads.
    """

    name: str
    function: str
    settings: dict = field(hash=False)
    seconds: float = 0.0
    needs: Cell | None = None

    @property
    def key(self) -> str:
        """What the result depends on, but for the code: other settings, here or in the cell that
        is needed, never get an old file's figures.
        """
        made_from = [self.needs.key] if self.needs else []
        text = json.dumps([self.function, self.settings, *made_from], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def compute(self, folder: Path) -> dict:
        """Make the call here and now; a function that takes `folder` keeps files of its own there.

        These must be written, whole, before it returns.
        """
        module, name = self.function.split(":")
        function = getattr(importlib.import_module(module), name)
        place = {"folder": folder} if "folder" in inspect.signature(function).parameters else {}
        return function(**self.settings, **place)


def finished(cell: Cell, folder: Path) -> dict | None:
    """What the cell gave, if its file is there and whole."""
    try:
        record = json.loads(place(cell, folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record["result"] if record.get("key") == cell.key else None


def place(cell: Cell, folder: Path) -> Path:
    """The file of a cell."""
    return folder / f"{cell.name}.json"


def compute_all(cells: list[Cell], folder: Path, workers: int = 2) -> tuple[dict, dict]:
    """Compute the cells that have no file yet, `workers` at a time.

    Returns name -> result, and name -> error of the cells that failed: the others go on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = {cell.name: finished(cell, folder) for cell in cells}
    waiting = [cell for cell in cells if results[cell.name] is None]
    errors = {}
    if waiting:
        total = sum(cell.seconds for cell in waiting)
        print(
            f"{len(cells) - len(waiting)} of {len(cells)} cells are there; the others take about"
            f" {total / 60:.0f} minutes of one thread, {workers} at a time",
            flush=True,
        )
    bar = tqdm(total=len(waiting), unit="cell", leave=False, disable=None)
    with bar, one_thread(), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(compute_and_write, cell, folder): cell for cell in waiting}
        try:
            for future in as_completed(futures):
                name = futures[future].name
                error = future.exception()
                if error is None:
                    results[name] = future.result()
                else:
                    errors[name] = f"{type(error).__name__}: {error}"
                bar.update()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {name: result for name, result in results.items() if result is not None}, errors


def compute_and_write(cell: Cell, folder: Path) -> dict:
    """Compute a cell and write its file, whole or not at all."""
    start = time.perf_counter()
    record = {"key": cell.key, "settings": cell.settings, "result": cell.compute(folder)}
    record["seconds"] = round(time.perf_counter() - start, 1)
    target = place(cell, folder)
    part = target.with_suffix(f".part{os.getpid()}")
    part.write_text(json.dumps(record, indent=1), encoding="utf-8")
    os.replace(part, target)
    return json.loads(json.dumps(record["result"]))  # as a later reader gets it


@contextmanager
def one_thread() -> Iterator[None]:
    """Processes started within this block compute on one thread each."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
