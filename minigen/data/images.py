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
            if key is None and len(file.files) != 1 or key not in (None, *file.files):
                raise ValueError(f"image_files: key must be one of {file.files}, got {key!r}")
            return file[key or file.files[0]]
    from matplotlib.image import imread

    paths = sorted(path.glob("*.png")) if path.is_dir() else [path]
    if not paths:
        raise FileNotFoundError(f"image_files: no PNG file in the folder {path}")
    greys = []
    for file in paths:
        try:
            image = imread(file, format="png")  # floats in [0, 1], (Y, X) or (Y, X, 3 or 4)
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"image_files: {file} is not a PNG image ({error})") from error
        greys.append(image if image.ndim == 2 else image[..., :3].mean(axis=-1))
    if len({grey.shape for grey in greys}) > 1:
        raise ValueError(f"image_files: images must be of one shape, got {sorted({grey.shape for grey in greys})}")
    return np.rint(np.stack(greys) * 255).astype(np.uint8)
