"""Letters and figures in 21 typefaces, rendered at any size from the fonts that matplotlib brings along."""

import functools
import string
from pathlib import Path
from typing import NamedTuple

import numpy as np

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
STYLES = ("", "-Bold", "-Oblique", "-BoldOblique")
FACES = (
    *(f"DejaVuSans{style}" for style in STYLES),
    *(f"DejaVuSansMono{style}" for style in STYLES),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmmi10"),
)


class Glyphs(NamedTuple):
    """Images are uint8 levels 0..levels-1, ink high, of shape (1302, size, size); all arrays are read-only."""

    images: np.ndarray  # (1302, size, size)
    labels: np.ndarray  # (1302,) index into CHARACTERS
    faces: np.ndarray  # (1302,) index into FACES


@functools.cache
def glyphs(size: int = 16, levels: int = 17) -> Glyphs:
    """21 typefaces x 62 characters, each on its baseline in a square of `size` pixels. Takes about half a second.

    There is no split: hold out whole typefaces, for neighbours in weight or slant are near copies.
    """
    from matplotlib import get_data_path
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if size < 4 or not 2 <= levels <= 256:
        raise ValueError(f"glyphs: size must be 4 or more and levels lie in 2..256, got {size} and {levels}")
    rows, columns = len(FACES), len(CHARACTERS)
    figure = Figure((columns * size / 72, rows * size / 72), dpi=72)  # one sheet; a point is a pixel
    for i, face in enumerate(FACES):
        font = Path(get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"
        for j, character in enumerate(CHARACTERS):
            x, y = (j + 0.5) / columns, 1 - (i + 0.72) / rows
            figure.text(x, y, character, font=font, fontsize=0.75 * size, ha="center", va="baseline")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    ink = 255 - np.asarray(canvas.buffer_rgba())[..., 0]  # (rows * size, columns * size)
    images = ink.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(-1, size, size)
    images = np.rint(images / 255 * (levels - 1)).astype(np.uint8)
    faces, labels = np.divmod(np.arange(rows * columns), columns)
    for part in (images, labels, faces):
        part.setflags(write=False)
    return Glyphs(images, labels, faces)
