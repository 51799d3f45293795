"""Time series: six classics that ship with the package, from Yule's sunspots (1927) on, and any CSV file."""

import csv
import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Series(NamedTuple):
    """A time series; both arrays are float64, read-only, and of shape (L,). NaN is a missing value."""

    time: np.ndarray  # years; a month is a twelfth, so March 1949 is 1949.1667
    values: np.ndarray
    source: str


@functools.cache
def series(name: str) -> Series:
    """One of "yule", "sunspots", "nile", "lynx", "air_passengers", "co2": see DATASHEET.md for units and traps."""
    files = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.csv"))}
    if name not in files:
        raise ValueError(f"series: name must be one of {list(files)}, got {name!r}")
    return series_file(files[name])


def series_file(path: str | Path, encoding: str = "utf-8-sig") -> Series:
    """A CSV file with a header: times (numbers, or months like 1949-03), then values; an empty value is missing.

    Lines that begin with # say where the data came from. Raises OSError, or ValueError showing the line.
    """
    lines = [line for line in Path(path).read_text(encoding=encoding).splitlines() if line.strip()]
    comments = [line.lstrip("# ") for line in lines if line.startswith("#")]
    pairs = []
    for row in list(csv.reader(line for line in lines if not line.startswith("#")))[1:]:
        try:
            pairs.append((_year(row[0]), float(row[1].strip() or "nan")))
        except (ValueError, IndexError) as error:
            raise ValueError(
                f"series_file: {path} holds a line that is not time,value: {row}"
            ) from error
    if not pairs:
        raise ValueError(f"series_file: {path} holds no line of time,value below its header")
    array = np.array(pairs)
    array.setflags(write=False)
    return Series(array[:, 0], array[:, 1], " ".join(comments) or str(path))


def _year(text: str) -> float:
    year, _, month = text.partition("-")
    return float(year) + (int(month or 1) - 1) / 12
