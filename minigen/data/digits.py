"""The UCI optical digits (Alpaydin & Kaynak 1998): 1,797 images of 8 x 8 pixels, 17 grey levels."""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from minigen import arguments

FILE = Path(__file__).parent / "digits.npz"
SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"


class Digits(NamedTuple):
    """Images are uint8 levels 0..16, labels uint8 0..9; all arrays are read-only."""

    train: ndarray  # (1437, 8, 8)
    test: ndarray  # (360, 8, 8)
    train_labels: ndarray  # (1437,)
    test_labels: ndarray  # (360,)


@functools.cache
def digits() -> Digits:
    """The digits in one fixed random split, from the file that ships (CC BY 4.0: DATASHEET.md).

    The file's own order must not be the split: its last 360 images come from other writers, and
    real training images would then differ from real test images. Raises OSError where the file is
    missing or damaged.
    """
    if not FILE.exists() or hashlib.sha256(FILE.read_bytes()).hexdigest() != SHA256:
        raise OSError(f"{FILE} is missing or damaged (sha256 {SHA256}): reinstall minigen")
    with np.load(FILE, allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    train, test = np.split(np.random.default_rng(0).permutation(len(images)), [1437])
    parts = Digits(images[train], images[test], labels[train], labels[test])
    for part in parts:
        part.setflags(write=False)  # cached: nobody may change what the next caller gets
    return parts


def to_signed(x: ndarray, levels: int = 17) -> ndarray:
    """Integer levels 0..levels-1 of any shape -> float32 in [-1, 1], as for Gaussian models."""
    arguments.whole(2, 65536, levels=levels)
    x = np.asarray(x)
    if x.dtype.kind not in "ui":
        raise TypeError(f"to_signed: x must hold integer levels, got dtype {x.dtype}")
    if x.size and (x.min() < 0 or x.max() >= levels):
        raise ValueError(f"to_signed: x must lie in 0..{levels - 1}, got {x.min()}..{x.max()}")
    return (x / (levels - 1) * 2 - 1).astype(np.float32)


def to_levels(x: ndarray, levels: int = 17) -> ndarray:
    """Floats, nominally in [-1, 1] -> the nearest level 0..levels-1; what lies outside is clipped.

    uint8 up to 256 levels, uint16 above. Raises TypeError for integers, which are levels already.
    """
    arguments.whole(2, 65536, levels=levels)
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise TypeError(f"to_levels: x must hold floats in [-1, 1], got dtype {x.dtype}")
    if not np.isfinite(x).all():
        raise ValueError("to_levels: x holds NaN or infinity, which is no grey level")
    shade = (x.astype(np.float64) + 1) / 2
    level = np.rint(shade * (levels - 1))
    return np.clip(level, 0, levels - 1).astype(np.min_scalar_type(levels - 1))
