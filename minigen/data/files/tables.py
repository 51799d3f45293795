"""Time series from CSV files of times and values."""

import calendar
import csv
import datetime
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigen.data.files.text import read_text

MOST_CHARACTERS = 10_000_000  # some 500,000 rows; they take 300 MB while they are read
MISSING = {"", "na", "n/a", "nan", "null", "none"}


class Series(NamedTuple):
    """A time series: read-only float64 arrays of shape (L,). NaN is a missing value."""

    time: np.ndarray  # years; March 1949 is 1949.1667
    values: np.ndarray
    source: str


def series_file(
    path: str | Path,
    column: str | int | None = None,
    time: str | int | None = None,
    encoding: str = "utf-8-sig",
) -> Series:
    """A CSV file of times and values, with or without a header, put in the order of its times.

    Times are numbers, 1949-03, 2024-01-31 or 2024-01-31 12:00. Fields are parted by semicolons,
    tabs or commas; where commas do not part them, 1,5 is read as 1.5. Empty, NA, NaN, null and None
    are missing values. Lines that begin with # say where the data came from.

    Args:
        column: name of the values (a position from 0 where there is no header); needed beyond two
            columns.
        time: name or position of the times; the first column if not given.

    Raises OSError, or ValueError showing the row; for more than 10,000,000 characters too.
    """
    text = read_text(path, encoding, MOST_CHARACTERS)
    lines = [line for line in text.split("\n") if line.strip()]
    comments = [line.lstrip("# ") for line in lines if line.startswith("#")]
    rows = list(_rows([line for line in lines if not line.startswith("#")], path))
    if not rows:
        raise ValueError(f"series_file: {path} holds no line of time,value")
    has_header = _first_field_is_no_time(rows, time)
    names = rows.pop(0) if has_header else list(range(len(rows[0])))
    at, of = _choose(names, column, time, path)
    pairs = [_pair(row, at, of, len(names), path) for row in rows]
    if not pairs:
        raise ValueError(f"series_file: {path} holds no line of time,value below its header")
    array = np.array(sorted(pairs, key=lambda pair: pair[0]))
    if (repeats := np.diff(array[:, 0]) == 0).any():
        again = array[1:][repeats][0, 0]
        raise ValueError(f"series_file: {path} holds the time {again:.4f} more than once")
    array.setflags(write=False)
    return Series(array[:, 0], array[:, 1], " ".join(comments) or str(path))


def _rows(lines: list[str], path) -> Iterator[list[str]]:
    head = lines[0] if lines else ""
    delimiter = next((mark for mark in ";\t" if mark in head), ",")
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            fields = [field.strip() for field in row]
            yield fields if delimiter == "," else [field.replace(",", ".") for field in fields]
    except csv.Error as error:
        raise ValueError(f"series_file: {path}: {error}") from error


def _first_field_is_no_time(rows: list, time: str | int | None) -> bool:
    position = time if isinstance(time, int) else 0
    try:
        _year(rows[0][position])
    except (ValueError, IndexError):
        return True
    return False


def _choose(names: list, column: str | int | None, time: str | int | None, path) -> tuple[int, int]:
    """Positions of the times and of the values."""
    time = names[0] if time is None else time
    others = [name for name in names if name != time]
    if column is None and len(others) == 1:
        column = others[0]
    for argument, name in (("time", time), ("column", column)):
        if names.count(name) != 1:
            raise ValueError(
                f"series_file: {path} has the columns {names}; column= chooses the values, time="
                f" the times (the first if not given), got {argument}={name!r}"
            )
    return names.index(time), names.index(column)


def _pair(row: list[str], at: int, of: int, width: int, path) -> tuple[float, float]:
    try:
        if len(row) != width:
            raise ValueError(f"expected {width} fields")
        return _year(row[at]), math.nan if row[of].lower() in MISSING else _number(row[of])
    except ValueError as error:
        raise ValueError(
            f"series_file: {path} holds a line that is not time,value ({error}): {row}"
        ) from error


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or "_" in text:  # float() would take 1_000
        raise ValueError(f"{text!r} is no number")
    return number


def _year(text: str) -> float:
    """A number as it is; a date in years: a month is a twelfth, a day its share of the month."""
    if not re.match(r"\d{4}[-/]", text):
        return _number(text)
    iso = text.replace("/", "-")
    moment = datetime.datetime.fromisoformat(iso + "-01" if len(iso) == 7 else iso)
    start = datetime.datetime(moment.year, moment.month, 1)
    days = calendar.monthrange(moment.year, moment.month)[1]
    share = (moment.replace(tzinfo=None) - start) / datetime.timedelta(days)
    return moment.year + (moment.month - 1 + share) / 12
