"""Time series: six classics that ship with the package, from Yule's sunspots (1927) on, and any CSV file."""

import csv
import functools
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent


class Series(NamedTuple):
    """Values at equally spaced times; both arrays are float64, read-only, and of shape (L,). NaN is a missing value."""

    time: np.ndarray  # years; a month is a twelfth, so 1949-03 is 1949.1667
    values: np.ndarray
    source: str


@functools.cache
def series(name: str) -> Series:
    """One of "yule", "sunspots", "nile", "lynx", "air_passengers", "co2": see DATASHEET.md for units and traps."""
    names = sorted(path.stem for path in FOLDER.glob("*.csv"))
    if name not in names:
        raise ValueError(f"series: name must be one of {names}, got {name!r}")
    return series_file(FOLDER / f"{name}.csv")


def series_file(path: str | Path, encoding: str = "utf-8-sig") -> Series:
    """A CSV file with a header: times (numbers, or dates like 1949-03 or 1949-03-31), then values; empty is missing.

    Lines that begin with # say where the data came from. Raises OSError, or ValueError naming the line.
    """
    lines = Path(path).read_text(encoding=encoding).splitlines()
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")][1:]
    time, values = np.empty(len(rows)), np.empty(len(rows))
    for i, (number, line) in enumerate(rows):
        try:
            when, value = next(csv.reader([line]))[:2]
            time[i], values[i] = _year(when), float(value or "nan")
        except ValueError as error:
            raise ValueError(f"series_file: {path} line {number} is not time,value: {line!r}") from error
    if len(rows) == 0:
        raise ValueError(f"series_file: {path} holds no line of time,value below its header")
    time.setflags(write=False)
    values.setflags(write=False)
    return Series(time, values, " ".join(line.lstrip("# ") for line in lines if line.startswith("#")) or str(path))


def _year(text: str) -> float:
    if "-" not in text.strip()[1:]:
        return float(text)
    day = date.fromisoformat(text if text.count("-") == 2 else f"{text}-01")
    return day.year + (day.month - 1) / 12 + (day.day - 1) / 365.25
