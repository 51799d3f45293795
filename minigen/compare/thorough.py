"""`python -m minigen compare`: claims about the two families, measured, each with a verdict.

  python -m minigen compare --claims C5 C6

Every arm learns the digits with five seeds, on one thread, two at a time; what is finished is never
computed again, so the command may be stopped at any moment and goes on where it was. The learning
rates come from `--tune`: five trials for every arm, on images kept out of the training part.
"""

import json
import os
import platform
from pathlib import Path

import numpy as np

from minigen.compare import claims
from minigen.compare.arms import DIGITS, REFERENCE
from minigen.compare.cells import Cell, compute_all
from minigen.compare.experiment import TRIALS, branch_seconds
from minigen.compare.terminal import Parser, say
from minigen.compare.verdict import verdict

RESULT = "claims.json"
MEASURING = {"GPT": 15, "masked": 250, "block": 40, "DDPM": 40, "U-Net": 60}  # seconds a cell


def digits_cells() -> list[Cell]:
    """Every arm on digits with every seed."""
    training = max(claims.SIZES) + sum(branch_seconds(size) for size in claims.SIZES)
    return [
        Cell(
            f"digits_{arm}_seed{seed}".replace("-", ""),
            "minigen.compare.experiment:digits",
            {"arm": arm, "seed": seed, "sizes": claims.SIZES, "lr": DIGITS[arm].lr},
            training + MEASURING[arm] * len(claims.SIZES) / 2,
        )
        for arm in DIGITS
        for seed in claims.SEEDS
    ]


def tuning_cells() -> list[Cell]:
    """Five trials of every arm's learning rate."""
    return [
        Cell(
            f"tuning_{arm}_{trial}".replace("-", ""),
            "minigen.compare.experiment:tuning",
            {"arm": arm, "lr": DIGITS[arm].first_lr * trial},
            20 + branch_seconds(20),
        )
        for arm in DIGITS
        for trial in TRIALS
    ]


# -- what it says ----------------------------------------------------------------------------------


def judged(records: list[dict], wanted: list[str] | None = None) -> list[dict]:
    """Each claim with its effects and its verdict."""
    found = []
    for claim in claims.all_claims():
        if wanted is None or claim.id in wanted:
            effects = claim.effects(records, claim.delta)
            found.append(
                {
                    "claim": claim.id,
                    "statement": claim.statement,
                    "expected": claim.expected,
                    "scope": claim.scope,
                    "delta": claim.delta,
                    "effects": {e.about: [e.mean, e.low, e.high, e.verdict] for e in effects},
                    "verdict": verdict(effects),
                }
            )
    return found


def said(one: dict) -> str:
    """A claim as text: the statement, the verdict with its scope, every effect."""
    lines = [f"{one['claim']}  {one['statement']}"]
    lines += [f"    verdict: {one['verdict']} ({one['scope']}; delta {one['delta']})"]
    for about, (mean, low, high, word) in one["effects"].items():
        lines.append(f"    {about:44} {mean:+.3f} [{low:+.3f}, {high:+.3f}]  {word}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Compute what is missing, then judge, print and write the results."""
    parser = Parser("compare", __doc__)
    known = [claim.id for claim in claims.all_claims()]
    about = f"which to judge, of {', '.join(known)}"
    parser.add_argument("--claims", nargs="+", metavar="C", help=about)
    parser.add_argument("--tune", action="store_true", help="try the learning rates, and stop")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"), help="runs/compare")
    options = parser.parse_args(argv)
    unknown = set(options.claims or ()) - set(known)
    if unknown:
        parser.error(f"no claim {', '.join(sorted(unknown))}; expected some of {', '.join(known)}")
    parser.folder(options.out)
    results, errors = compute_all(
        tuning_cells() if options.tune else digits_cells(), options.out / "cells"
    )
    for name, error in errors.items():
        say(f"{name} failed: {error}")
    records = [results[name] for name in sorted(results)]
    if options.tune:
        for one in records:
            say(f"{one['arm']:8} rate {one['lr']:.2e}  {one['bits']:.4f} bits")
        return int(bool(errors))
    if errors:
        return 1
    found = judged(records, options.claims)
    record = {
        "claims": found,
        "cells": records,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread a cell",
        "steps": f"so many as take their seconds on {REFERENCE}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    (options.out / RESULT).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    say("\n\n".join(map(said, found)))
    return 0
