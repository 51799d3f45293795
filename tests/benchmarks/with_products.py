"""The floor: the matrix products of each training step alone, into memory that is there already."""

import numpy as np


def products(shapes):
    """A step that computes, for every (M, K, N) or (batch, M, K, N), a product.

    And those of its two gradients.
    """
    rng = np.random.default_rng(0)
    jobs = []
    for *batch, M, K, N in shapes:
        a, b, c = (
            rng.standard_normal((*batch, *s), dtype=np.float32) for s in ((M, K), (K, N), (M, N))
        )
        jobs.append((a, b, c, *(np.empty_like(part) for part in (a, b, c))))

    def step():
        for a, b, c, da, db, dc in jobs:
            np.matmul(a, b, out=dc)
            np.matmul(c, b.swapaxes(-1, -2), out=da)
            np.matmul(a.swapaxes(-1, -2), c, out=db)
        return 0.0

    return step


def W1():
    return products([(512, 66, 128), (512, 128, 128), (512, 128, 128), (512, 128, 2)])


def transformer(layers, width, batch, length, heads, ends):
    rows, D = batch * length, width // heads
    attention = [(batch * heads, length, D, length), (batch * heads, length, length, D)]
    linear = [
        (rows, width, 3 * width),
        (rows, width, width),
        (rows, width, 4 * width),
        (rows, 4 * width, width),
    ]
    return products(layers * (attention + linear) + ends)


def W2():
    return transformer(4, 128, 12, 64, 4, [(12 * 64, 128, 65)])


def W3():
    pixels = 64 * 64
    shapes = [
        (4 * pixels, 9, 32),
        (pixels, 288, 64),
        (pixels, 576, 64),
        (4 * pixels, 576, 32),
        (4 * pixels, 288, 1),
    ]
    return products(shapes)


def W4():
    return transformer(3, 96, 128, 16, 4, [(128 * 16, 4, 96), (128 * 16, 96, 4)])


def W8():
    return transformer(3, 96, 16, 48, 4, [(16 * 48, 96, 27)])
