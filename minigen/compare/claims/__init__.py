"""The claims of the usual comparison, one file each, in one form.

A claim says what is said, what would refute it, and what we expected before measuring (the history
shows it: the file is older than the results, unless it says otherwise). `cells` are what it needs
computed; claims share the trained models, and cells that are the same. From what the cells gave
come the effects, each with its sign taken so that the claim is positive; `delta` is the smallest
that would matter; and the verdict follows by rule (see `minigen.compare.verdict`).
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from minigen.compare.cells import Cell
from minigen.compare.verdict import Effect


@dataclass(frozen=True)
class Claim:
    """A statement, and how it is judged."""

    id: str
    title: str
    statement: str
    refuted: str  # by what
    expected: str  # written before measuring
    delta: float
    scope: str  # what the verdict is of
    cells: tuple[Cell, ...]
    effects: Callable[[list[dict], float], list[Effect]]  # of what the cells gave, and delta
    surprise: str = (
        ""  # what came out otherwise, what could have made it vanish, and whether it did
    )
    controls: Callable[[list[dict]], list[Effect]] | None = None  # no part of the verdict


def all_claims() -> list[Claim]:
    """In order of their numbers."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").CLAIM for name in names]


def figures(records: list[dict], name: str, **where) -> list[float]:
    """One figure of the records that have it and agree with `where`, in order of their seeds."""
    found = [r for r in records if name in r and where.items() <= r.items()]
    return [r[name] for r in sorted(found, key=lambda r: r["seed"])]
