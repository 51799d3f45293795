"""`python -m minigen compare`: the claims about the two families, each with its evidence.

  python -m minigen compare                           what was measured, as a table and a report
  python -m minigen compare --thorough                measure all of it anew
  python -m minigen compare --thorough --claims C5    ... or a part

Cells run two at a time, on one thread each; what is finished is never computed again, so that the
command may be stopped at any moment and goes on where it was. `--tune` tries the learning rates:
five trials for every arm, on examples kept out of the training part.
"""

import json
import os
import platform
import shutil
from importlib import resources
from pathlib import Path

import numpy as np

from minigen.compare import claims
from minigen.compare.arms import REFERENCE
from minigen.compare.cells import Cell, compute_all
from minigen.compare.claims import Claim
from minigen.compare.experiment import tuning_cells
from minigen.compare.terminal import Parser, say, typed
from minigen.compare.verdict import verdict

RESULT = "claims.json"  # of the thorough edition, also beside this file
VERSION = 1  # of the experiments: cells of another one are of other experiments
ROOM = 250e6  # bytes that weights and results of all cells need, with a margin


# -- cells and verdicts ----------------------------------------------------------------------------


def stages(wanted: list[Claim]) -> list[list[Cell]]:
    """What the claims need computed: first the cells that others read, then these; each once."""
    cells = {cell.name: cell for claim in wanted for cell in claim.cells}
    needs = {cell.needs.name: cell.needs for cell in cells.values() if cell.needs}
    return [list(needs.values()), list(cells.values())]


def judged(claim: Claim, results: dict) -> dict:
    """The claim with its effects and its verdict, from name -> result of its cells."""
    records = [results[cell.name] for cell in claim.cells]
    effects = claim.effects(records, claim.delta)
    controls = claim.controls(records) if claim.controls else []
    return {
        "claim": claim.id,
        "title": claim.title,
        "statement": claim.statement,
        "refuted": claim.refuted,
        "expected": claim.expected,
        "scope": claim.scope,
        "delta": claim.delta,
        "effects": [[e.about, e.mean, e.low, e.high, e.verdict, e.delta] for e in effects],
        "verdict": verdict(effects),
        "surprise": claim.surprise,
        "controls": [[e.about, e.mean, e.low, e.high, e.verdict, e.delta] for e in controls],
    }


def said(one: dict) -> str:
    """A claim as text: the statement, the verdict with its scope, every effect."""
    lines = [f"{one['claim']}  {one['statement']}"]
    lines += [f"    verdict: {one['verdict']} ({one['scope']}; delta {one['delta']:.3g})"]
    lines += [f"    would refute it: {one['refuted']}", f"    expected: {one['expected']}"]
    lines += map(row, one["effects"])
    if one["surprise"]:
        lines.append(f"    surprise: {one['surprise']}")
    lines += [row([*effect[:4], ""]) for effect in one["controls"]]  # no part of the verdict
    return "\n".join(lines)


def row(effect: list) -> str:
    about, mean, low, high, word = effect[:5]
    return f"    {about:52} {mean:+.3g} [{low:+.3g}, {high:+.3g}]  {word}".rstrip()


def measured() -> dict:
    """The committed result of the thorough edition."""
    text = resources.files("minigen.compare").joinpath("results", RESULT).read_text("utf-8")
    return json.loads(text)


# -- the command -----------------------------------------------------------------------------------


def here() -> dict:
    """What the figures depend on besides the code of a cell."""
    return {"version": VERSION, "numpy": np.__version__, "machine": platform.machine()}


def opened(folder: Path) -> Path:
    """The folder for cells, if it is of this version and there is room; otherwise a ValueError."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "laboratory.json"
    if file.exists() or (folder / "cells").exists():
        try:
            found = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            found = "unknown origin"
        if found != here():
            why = f"--out {folder} holds cells of {found}; expected {here()}"
            raise ValueError(f"{why}: give another folder")
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise ValueError(
            f"--out {folder}: {free / 1e6:.0f} MB are free, {ROOM / 1e6:.0f} are needed"
        )
    file.write_text(json.dumps(here()), encoding="utf-8")
    return folder / "cells"


def compute(wanted: list[list[Cell]], folder: Path) -> tuple[dict, dict]:
    """All stages: name -> result, and name -> error."""
    training = sum(cell.seconds for cell in wanted[0])
    rest = sum(cell.seconds for stage in wanted[1:] for cell in stage)
    say(
        f"In all {sum(map(len, wanted))} cells: {training:,.0f} thread-seconds of shared training,"
        f" {rest:,.0f} of all else, two threads at a time."
    )
    results, errors = {}, {}
    for stage in wanted:
        done, failed = compute_all(stage, folder)
        results |= done
        errors |= failed
    for name, error in errors.items():
        say(f"{name} failed: {error}")
    return results, errors


def main(argv: list[str] | None = None) -> int:
    """Returns 0; 1 if a cell failed: what could be judged without it is."""
    parser = Parser("compare", __doc__)
    known = {claim.id: claim for claim in claims.all_claims()}
    about = f"only these, of {', '.join(known)}"
    parser.add_argument("--thorough", action="store_true", help="measure anew (about two hours)")
    parser.add_argument("--claims", nargs="+", metavar="C", default=list(known), help=about)
    parser.add_argument("--tune", action="store_true", help="try the learning rates, and stop")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"), help="runs/compare")
    options = parser.parse_args(argv)
    options.claims = list(dict.fromkeys(name.upper() for name in options.claims))
    unknown = set(options.claims) - set(known)
    if unknown:
        parser.error(f"no claim {', '.join(sorted(unknown))}; expected some of {', '.join(known)}")
    parser.folder(options.out)
    if not (options.thorough or options.tune):
        record = measured()
        record["claims"] = [one for one in record["claims"] if one["claim"] in options.claims]
        return shown(record, options.out)
    try:
        folder = opened(options.out)
    except ValueError as error:
        parser.error(str(error))
    if options.tune:
        return tune(folder)
    wanted = [known[name] for name in options.claims]
    results, errors = compute(stages(wanted), folder)
    whole = [c for c in wanted if all(cell.name in results for cell in c.cells)]
    record = {
        "claims": [judged(claim, results) for claim in whole],
        "cells": {cell.name: results[cell.name] for claim in whole for cell in claim.cells},
        "training_seconds": {
            cell.needs.name: results[cell.needs.name]["seconds"]
            for claim in whole
            for cell in claim.cells
            if cell.needs
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread a cell",
        "steps": f"so many as take their seconds on {REFERENCE}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    (options.out / RESULT).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    shown(record, options.out)
    return int(bool(errors))


def shown(record: dict, folder: Path) -> int:
    """Print the claims, and write the report."""
    from minigen.compare import report  # it draws, which takes a second to import

    say("\n\n".join(map(said, record["claims"])))
    try:
        say(f"\nTo read and to print: {typed(report.write(record, folder))}")
    except ModuleNotFoundError as error:
        say(f"\nNo report was written: {error}, which comes with Jupyter (or: pip install jinja2)")
    return 0


def tune(folder: Path) -> int:
    """Five rates an arm: printed, and written to tuning.json."""
    results, errors = compute([tuning_cells()], folder)
    trials = [results[name] for name in sorted(results)]
    for one in trials:
        say(f"{one['arm']:16} rate {one['lr']:.2e}  {one['bits']:.4f} bits")
    record = {"about": TUNED, "trials": trials}
    (folder.parent / "tuning.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return int(bool(errors))


TUNED = "python -m minigen compare --tune: bits of examples kept out, at 20 seconds' worth"
