"""Images that a user brings: an npz file, a PNG file, or a folder of PNG files."""

from pathlib import Path

import numpy as np


def image_files(path: str | Path, key: str | None = None) -> np.ndarray:
    """The array of an npz file as it is (`key` where there are several), or PNG files as greys uint8 (N, Y, X).

    Greys are 0..255, the mean of red, green and blue (transparency ignored); a folder is read in the order of its file
    names. Raises OSError for what cannot be found, ValueError for what is not an image or not of one shape.
    """
    path = Path(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            if len(file.files) != 1 and key not in file.files:
                raise ValueError(f"image_files: {path} needs a key out of {file.files}, got {key!r}")
            return file[key or file.files[0]]
    from matplotlib.image import imread

    paths = sorted(path.glob("*.png")) if path.is_dir() else [path]
    if not paths:
        raise FileNotFoundError(f"image_files: no PNG file in the folder {path}")
    try:
        images = [imread(path, format="png") for path in paths]  # floats in [0, 1], (Y, X) or (Y, X, 3 or 4)
    except SyntaxError as error:
        raise ValueError(f"image_files: not every file of {path} is a PNG image ({error})") from error
    greys = np.stack([image if image.ndim == 2 else image[..., :3].mean(axis=-1) for image in images])
    return np.rint(255 * greys).astype(np.uint8)
