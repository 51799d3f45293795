"""Images that a user brings: an npz file, a PNG file, or a folder of PNG files."""

from pathlib import Path

import numpy as np


def image_files(path: str | Path, key: str | None = None) -> np.ndarray:
    """The array of an npz file as it is (`key` where there are several), or PNG files as greys uint8 (N, Y, X).

    Greys are 0..255, the mean of red, green and blue (transparency ignored); a folder is read in the order of its file
    names. Raises OSError for what cannot be found or is no image, ValueError for images of different shapes.
    """
    path = Path(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            if len(file.files) != 1 and key not in file.files:
                raise ValueError(f"image_files: {path} needs a key out of {file.files}, got {key!r}")
            return file[key or file.files[0]]
    from PIL import Image

    paths = sorted(path.glob("*.png")) if path.is_dir() else [path]
    if not paths:
        raise FileNotFoundError(f"image_files: no PNG file in the folder {path}")
    colours = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])  # (N, Y, X, 3)
    return np.rint(colours.mean(axis=-1)).astype(np.uint8)
