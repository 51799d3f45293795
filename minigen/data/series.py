"""Six classic time series that ship, from Yule's sunspots (1927) on: see DATASHEET.md."""

import functools
from pathlib import Path

from minigen import arguments
from minigen.data.files.tables import Series, series_file


@functools.cache
def series(name: str) -> Series:
    """One of "yule", "sunspots", "nile", "lynx", "air_passengers", "co2"."""
    files = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.csv"))}
    arguments.one_of(list(files), name=name)
    return series_file(files[name])
