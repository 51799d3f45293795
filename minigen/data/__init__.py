"""Real data for both families, without a network; DATASHEET.md tells their origins and traps."""

from minigen.data.batching import batches, crops
from minigen.data.densities import two_moons
from minigen.data.digits import Digits, digits, to_levels, to_signed
from minigen.data.files.images import Images, image_array, image_files
from minigen.data.files.installed import (
    Colours,
    Glyphs,
    Landscape,
    colours,
    fractal_landscape,
    glyphs,
    landscape,
)
from minigen.data.files.tables import Series, series_file
from minigen.data.files.text import text_file
from minigen.data.series import series
from minigen.data.text import Text, as_text, drop_repeats, python_manual
