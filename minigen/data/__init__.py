"""Real data for both families, loaded without a network: what each set is, and its traps, stands in DATASHEET.md."""

from minigen.data.batching import batches, crops
from minigen.data.densities import checkerboard, two_moons
from minigen.data.digits import Digits, digits, to_levels, to_signed
from minigen.data.images import Images, image_array, image_files
from minigen.data.installed import (
    Colours,
    Glyphs,
    Landscape,
    colours,
    fractal_landscape,
    glyphs,
    landscape,
)
from minigen.data.series import Series, series, series_file
from minigen.data.text import Text, as_text, drop_repeats, python_manual, text_file
