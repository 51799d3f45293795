"""Images beyond the digits: letters and figures in 21 typefaces of matplotlib, and the files that a user brings."""

import functools
import string
from pathlib import Path
from typing import NamedTuple

import numpy as np

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
FACES = """
    DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSans-BoldOblique DejaVuSerif DejaVuSerif-Bold DejaVuSerif-Italic
    DejaVuSerif-BoldItalic DejaVuSansMono DejaVuSansMono-Bold DejaVuSansMono-Oblique DejaVuSansMono-BoldOblique
    STIXGeneral STIXGeneralBol STIXGeneralItalic STIXGeneralBolIta cmr10 cmb10 cmss10 cmtt10 cmmi10
""".split()


class Glyphs(NamedTuple):
    """1,302 images, 62 of each typeface in turn: uint8 levels 0..levels-1, ink high; both arrays are read-only."""

    images: np.ndarray  # (1302, size, size)
    labels: np.ndarray  # (1302,) index into CHARACTERS


@functools.cache
def glyphs(size: int = 16, levels: int = 17) -> Glyphs:
    """21 typefaces x 62 characters, each on its baseline in a square of `size` pixels. Takes about half a second.

    Below 12 pixels the widest touch their frame. There is no split: hold out whole families of typefaces, for
    neighbours in weight or slant are near copies.
    """
    from matplotlib import get_data_path
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if size < 4 or not 2 <= levels <= 256:
        raise ValueError(
            f"glyphs: size must be 4 or more and levels lie in 2..256, got {size} and {levels}"
        )
    rows, columns = len(FACES), len(CHARACTERS)
    sheet = FigureCanvasAgg(
        Figure((columns * size / 72, rows * size / 72), dpi=72)
    )  # a point is a pixel
    for i, j in np.ndindex(rows, columns):
        style = {
            "font": Path(get_data_path(), "fonts", "ttf", f"{FACES[i]}.ttf"),
            "fontsize": 0.7 * size,
        }
        sheet.figure.text(
            (j + 0.5) / columns, 1 - (i + 0.7) / rows, CHARACTERS[j], ha="center", **style
        )
    sheet.draw()
    ink = 1 - np.asarray(sheet.buffer_rgba())[..., 0] / 255  # (rows * size, columns * size)
    ink = ink.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(-1, size, size)
    parts = Glyphs(np.rint(ink * (levels - 1)).astype(np.uint8), np.tile(np.arange(columns), rows))
    for part in parts:
        part.setflags(write=False)
    return parts


def image_files(path: str | Path, key: str | None = None) -> np.ndarray:
    """The array of an npz file as it is (`key` where there are several), or PNG files as greys uint8 (N, Y, X).

    Greys are 0..255, the mean of red, green and blue (transparency ignored); a folder is read in the order of its file
    names. Raises OSError for what cannot be found or is no image, ValueError for images of different shapes.
    """
    path = Path(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            if len(file.files) != 1 and key not in file.files:
                raise ValueError(
                    f"image_files: {path} needs a key out of {file.files}, got {key!r}"
                )
            return file[key or file.files[0]]
    from PIL import Image

    paths = sorted(path.glob("*.png")) if path.is_dir() else [path]
    if not paths:
        raise FileNotFoundError(f"image_files: no PNG file in the folder {path}")
    colours = np.stack(
        [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    )  # (N, Y, X, 3)
    return np.rint(colours.mean(axis=-1)).astype(np.uint8)
