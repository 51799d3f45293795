"""The claims of the usual comparison, one file each, in one form.

A claim says what is said, what would refute it, and what we expected before measuring (the history
shows it: the file is older than the results). `delta` is the smallest effect that would matter, the
effects have their sign taken so that the claim is positive, and the verdict follows by rule (see
`minigen.compare.verdict`).
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from minigen.compare.verdict import Effect

SIZES = [10, 30]  # seconds' worth of training: see `minigen.compare.arms`
SEEDS = range(5)


@dataclass(frozen=True)
class Claim:
    """A statement, and how it is judged."""

    id: str
    statement: str
    refuted: str  # by what
    expected: str  # written before measuring
    delta: float
    effects: Callable[[list[dict], float], list[Effect]]  # from the digits' records
    scope: str = "8 x 8 digits; 10 and 30 seconds' worth of one thread; five seeds"


def all_claims() -> list[Claim]:
    """In order of their numbers."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").CLAIM for name in names]


def figures(records: list[dict], arm: str, size: int, name: str) -> list[float]:
    """One figure of one arm at one size, seed by seed."""
    return [r["sizes"][str(size)][name] for r in records if r["arm"] == arm]
