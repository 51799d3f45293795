"""What matplotlib brings, read when asked for: 21 typefaces, 949 named colours, a landscape."""

import functools
import string
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigen.data.digits import to_signed

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
FACES = """
    DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSans-BoldOblique
    DejaVuSerif DejaVuSerif-Bold DejaVuSerif-Italic DejaVuSerif-BoldItalic
    DejaVuSansMono DejaVuSansMono-Bold DejaVuSansMono-Oblique DejaVuSansMono-BoldOblique
    STIXGeneral STIXGeneralBol STIXGeneralItalic STIXGeneralBolIta cmr10 cmb10 cmss10 cmtt10 cmmi10
""".split()


class Glyphs(NamedTuple):
    """1,302 images, 62 of each typeface in turn: levels 0..levels-1, ink high; read-only."""

    images: np.ndarray  # (1302, size, size) uint8
    labels: np.ndarray  # (1302,) index into CHARACTERS


@functools.cache
def glyphs(size: int = 16, levels: int = 17) -> Glyphs:
    """21 typefaces x 62 characters, each on its baseline in a square of `size` pixels.

    Takes about half a second. Below 12 pixels the widest touch their frame. There is no split: hold
    out whole families of typefaces, for neighbours in weight or slant are near copies.
    """
    from matplotlib import get_data_path
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if size < 4 or not 2 <= levels <= 256:
        raise ValueError(
            f"glyphs: size must be 4 or more and levels lie in 2..256, got {size} and {levels}"
        )
    rows, columns = len(FACES), len(CHARACTERS)
    points = (columns * size / 72, rows * size / 72)  # at 72 dots an inch a point is a pixel
    sheet = FigureCanvasAgg(Figure(points, dpi=72))
    for i, j in np.ndindex(rows, columns):
        font = Path(get_data_path(), "fonts", "ttf", f"{FACES[i]}.ttf")
        x, y = (j + 0.5) / columns, 1 - (i + 0.7) / rows
        sheet.figure.text(x, y, CHARACTERS[j], ha="center", font=font, fontsize=0.7 * size)
    sheet.draw()
    ink = 1 - np.asarray(sheet.buffer_rgba())[..., 0] / 255  # (rows * size, columns * size)
    ink = ink.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(-1, size, size)
    images = np.rint(ink * (levels - 1)).astype(np.uint8)
    labels = np.tile(np.arange(columns), rows)
    return _kept(Glyphs(images, labels))


class Colours(NamedTuple):
    """The 949 names that the XKCD colour survey (2010) agreed on; the array is read-only."""

    rgb: np.ndarray  # (949, 3) float32 in [-1, 1]: red, green, blue
    names: tuple[str, ...]


@functools.cache
def colours() -> Colours:
    """Points in the cube of colours, each with its name, from matplotlib's table (CC0)."""
    from matplotlib.colors import XKCD_COLORS

    names = tuple(name.removeprefix("xkcd:") for name in XKCD_COLORS)
    codes = [list(bytes.fromhex(code.removeprefix("#"))) for code in XKCD_COLORS.values()]
    return _kept(Colours(to_signed(np.array(codes), levels=256), names))


class Landscape(NamedTuple):
    """Heights in metres, read-only, and where they came from."""

    heights: np.ndarray  # (344, 403) float32
    source: str


@functools.cache
def landscape() -> Landscape:
    """The elevation map among matplotlib's sample files; where it is left out, a computed one.

    `source` says which. From 4 to 86 cycles across, the map's power falls as f^-3.98 (least squares
    under a Hann window; -3.3 up to 43 cycles, steeper above), the other's as f^-4 by construction.
    """
    from matplotlib.cbook import get_sample_data

    try:
        with get_sample_data("jacksboro_fault_dem.npz") as file:
            heights, source = file["elevation"], "matplotlib's sample file jacksboro_fault_dem.npz"
    except OSError:
        heights, source = fractal_landscape(344, 403, 4.0), "computed: power f^-4, seed 0"
    return _kept(Landscape(heights.astype(np.float32), source))


def fractal_landscape(height: int, width: int, exponent: float, seed: int = 0) -> np.ndarray:
    """A Gaussian field (height, width) whose power falls as frequency^-exponent.

    Mean 531 and standard deviation 162 are the map's. The field is periodic, which a map is not.
    """
    noise = np.random.default_rng(seed).standard_normal((height, width))
    across = np.fft.rfftfreq(width)
    down = np.fft.fftfreq(height)[:, None]
    frequency = np.hypot(across, down)
    frequency[0, 0] = np.inf  # no mean
    field = np.fft.irfft2(np.fft.rfft2(noise) * frequency ** (-exponent / 2), (height, width))
    return 531 + 162 * field / field.std()


def _kept(parts: NamedTuple) -> NamedTuple:
    """The result of a cached loader: nobody may change what the next caller gets."""
    for part in parts:
        if isinstance(part, np.ndarray):
            part.setflags(write=False)
    return parts
