"""Pictures that a user brings: PNG and JPEG files of any size and mode, or an array in an npz."""

import contextlib
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigen.data.digits import to_signed

SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_PIXELS = 50_000_000  # of one file: as many as a good camera takes
MOST_VALUES = 2**27  # of all pictures together; up to 16 bytes each while they are read: 2 GiB


class Images(NamedTuple):
    """Pictures as integers, for models of tokens, and as floats; C is 1 (grey) or 3 (colour)."""

    levels: np.ndarray  # (N, C, Y, X) uint8, 0..levels-1, light is high
    signed: np.ndarray  # (N, C, Y, X) float32 in [-1, 1]


def image_files(
    path: str | Path, size: int | None = None, colour: bool | None = None, levels: int = 256
) -> Images:
    """The PNG and JPEG files of a folder in the order of their names, or one such file.

    Pictures are turned upright as their camera says, laid on white where they are transparent, and
    brought to 8 bits a colour. What else the folder holds, folders too, is left out with a warning.

    Args:
        size: cut out the middle square and average it down to size x size pixels; needed where
            sizes differ.
        colour: None keeps three channels where any picture has colour; False takes the mean of red,
            green and blue.
        levels: 2..256, for example 17 for models of tokens.

    Raises OSError for what cannot be found or is no image, ValueError for pictures that differ in
    size, have more than 50,000,000 pixels or together more than 2^27 values, and for bad arguments.
    """
    if size is not None and not 1 <= size <= 4096:
        raise ValueError(f"image_files: size must lie in 1..4096, got {size}")
    if not 2 <= levels <= 256:
        raise ValueError(f"image_files: levels must lie in 2..256, got {levels}")
    pictures = _read(_picture_paths(Path(path)), size)  # N Y X 3
    is_grey = (pictures == pictures[..., :1]).all()
    if colour is False or (colour is None and is_grey):
        pictures = pictures.mean(axis=-1, keepdims=True, dtype=np.float32)
    scaled = pictures * np.float32((levels - 1) / 255)
    chosen = np.moveaxis(np.rint(scaled).astype(np.uint8), -1, 1)
    return Images(chosen, to_signed(chosen, levels))


def image_array(path: str | Path, key: str | None = None, levels: int = 256) -> Images:
    """The array of an npz file (`key` where it holds several): uint8, 0..levels-1.

    Its shape is (N, Y, X), (N, 1 or 3, Y, X) or (N, Y, X, 1 or 3). Raises OSError for what is no
    npz file, ValueError for another array, or one of more than 2^27 values.
    """
    with _decoding(path, "npz"), zipfile.ZipFile(path) as archive:
        sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
    if key is None and len(sizes) == 1:
        (key,) = sizes
    if key not in sizes:
        raise ValueError(f"image_array: {path} needs a key out of {list(sizes)}, got {key!r}")
    _check_values(sizes[key], str(path))
    with _decoding(path, "npz"), np.load(path, allow_pickle=False) as file:
        array = np.asarray(file[key])  # of a member without NumPy's first bytes: bytes
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[1] not in (1, 3):
        array = np.moveaxis(array, -1, 1)
    if array.ndim != 4 or array.shape[1] not in (1, 3) or array.dtype != np.uint8:
        raise ValueError(
            f"image_array: {path} must hold uint8 (N, Y, X), or 1 or 3 channels beside Y, X;"
            f" got shape {array.shape}, dtype {array.dtype}"
        )
    return Images(array, to_signed(array, levels))


def _picture_paths(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    seen = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    paths = [file for file in seen if file.suffix.lower() in SUFFIXES]
    others = [file.name for file in seen if file not in paths]
    if not paths:
        raise FileNotFoundError(
            f"image_files: no PNG or JPEG file in the folder {path}, only {others[:5]}"
        )
    if others:
        warnings.warn(
            f"image_files: left out {len(others)} of {path}, no PNG or JPEG files: {others[:5]}",
            stacklevel=3,
        )
    return paths


def _read(paths: list[Path], size: int | None) -> np.ndarray:
    """All files as uint8 (N, Y, X, 3), into memory that was counted first."""
    first = _picture(paths[0], size)
    _check_values(len(paths) * first.size, f"{len(paths)} pictures of shape {first.shape}")
    pictures = np.empty((len(paths), *first.shape), np.uint8)
    for index, path in enumerate(paths):
        picture = _picture(path, size)
        if picture.shape != first.shape:
            sizes = f"{paths[0].name} {first.shape[:2]}, {path.name} {picture.shape[:2]}"
            raise ValueError(
                f"image_files: pictures differ in size ({sizes}): give one, such as size=16"
            )
        pictures[index] = picture
    return pictures


def _picture(path: Path, size: int | None) -> np.ndarray:
    """One file as uint8 (Y, X, 3)."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # pixels are counted here
        with _decoding(path, "PNG or JPEG"):
            file = Image.open(path, formats=("PNG", "JPEG"))
    with file:
        pixels = file.width * file.height
        if pixels > MOST_PIXELS:
            raise ValueError(f"image_files: {path} has {pixels:,} pixels, above {MOST_PIXELS:,}")
        with _decoding(path, "PNG or JPEG"):
            picture = _eight_bits(file)
    return np.asarray(picture if size is None else _resized(picture, size))


@contextlib.contextmanager
def _decoding(path: str | Path, kind: str) -> Iterator[None]:
    """One OSError that names the file, for whatever its decoder stumbles on."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise OSError(f"{path} cannot be read as {kind}: {error}") from error


def _check_values(count: int, what: str) -> None:
    if count > MOST_VALUES:
        raise ValueError(f"{what} would be {count:,} values, above {MOST_VALUES:,}: use a size=")


def _eight_bits(picture):
    """A picture of PIL upright, in RGB, on white paper."""
    from PIL import Image, ImageOps

    is_deep = picture.mode.startswith("I")  # 16 bits of grey, which PIL would cut off at 255
    is_see_through = "transparency" in picture.info or "A" in picture.getbands()
    if "transparency" in picture.info and picture.mode not in ("P", picture.tile[0][3]):
        raise ValueError("one transparent colour, in a picture of 2, 4 or 16 bits a colour")
    picture = ImageOps.exif_transpose(picture)
    if is_deep:
        grey = np.rint(np.asarray(picture).astype(np.float32) / 257)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if not is_see_through:
        return picture.convert("RGB")
    rgba = picture.convert("RGBA")
    paper = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(paper, rgba).convert("RGB")


def _resized(picture, size: int):
    """The middle square, each new pixel the mean of the area that it covers."""
    from PIL import Image

    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    middle = (left, top, left + side, top + side)
    return picture.resize((size, size), Image.Resampling.BOX, box=middle)
