"""Convolution with 3 x 3 filters by 16 multiplications for every 4 results instead of 36 (Lavin & Gray 2016).

In one dimension, two neighbouring results of the filter w on d0 ... d3 take six multiplications:

    y0 = d0 w0 + d1 w1 + d2 w2        y1 = d1 w0 + d2 w1 + d3 w2

Four are enough (Winograd 1980), if sums of numbers and of weights are multiplied:

    m0 = (d0 - d2) w0                     y0 = m0 + m1 + m2
    m1 = (d1 + d2) (w0 + w1 + w2) / 2     y1 = m1 - m2 - m3
    m2 = (d2 - d1) (w0 - w1 + w2) / 2
    m3 = (d1 - d3) w2

An image is cut into tiles of 4 x 4 pixels, one every 2 pixels, and both axes are treated so: 4 x 4 products a tile and
pair of channels, which are 16 matrix products over all tiles, give 2 x 2 results. Images here are (B, Y, X, C) with
even Y and X, surrounded by one row of zeros. Where a shape begins with (y, x, ...) or (x, y, ...), these are the places
within a tile.
"""

import numpy as np

NUMBERS = 2**18  # in the tiles or patches worked on at a time: a megabyte, so that they stay in the cache
PRODUCT = 10**6  # multiplications: up to here OpenBLAS (on AVX-512) has kernels for small matrices, in one thread
WIDE = 32  # channels
FILTER = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])  # from w to what multiplies the sums of d


def pays(image: np.ndarray, kernel: np.ndarray, stride: int, padding: int) -> bool:
    """Whether this is the way to go: it fits, and matrices are wide, for the sums of pixels cost time as well."""
    same = kernel.shape[0] == 3 and stride == 1 and padding == 1
    return same and min(kernel.shape[2:]) >= WIDE and image.shape[1] % 2 == image.shape[2] % 2 == 0


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(B, Y, X, C) with kernel (3, 3, C, O) -> (B, Y, X, O)."""
    C, O = kernel.shape[2:]
    matrix = FILTER.astype(kernel.dtype)
    filters = np.tensordot(matrix, np.tensordot(matrix, kernel, (1, 0)), (1, 1)).reshape(16, C, O)
    out = np.empty((*image.shape[:3], O), image.dtype)
    for some in _portions(image, O):
        results = _quarters(out[some])  # (y, x, images, Y / 2, X / 2, O)
        products = (_tiles(image[some]) @ filters).reshape(4, 4, *results.shape[2:])  # (x, y, ...)
        half = np.empty((2, *products.shape[1:]), out.dtype)
        _add_products(products, half)
        _add_products(half.swapaxes(0, 1), results)
    return out


def correlate(image: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The gradient by the kernel (3, 3, C, O), where g (B, Y, X, O) is the one by the result of `convolve`."""
    C, O = image.shape[3], g.shape[3]
    total = np.zeros((16, C, O), image.dtype)
    for some in _portions(image, O):
        results = _quarters(g[some])
        half = np.empty((4, *results.shape[1:]), g.dtype)
        products = np.empty((4, 4, *results.shape[2:]), g.dtype)
        _give_to_products(results, half)
        _give_to_products(half.swapaxes(0, 1), products)
        total += _tiles(image[some]).swapaxes(1, 2) @ products.reshape(16, -1, O)
    matrix = FILTER.astype(image.dtype)
    return np.tensordot(matrix, np.tensordot(matrix, total.reshape(4, 4, C, O), (0, 0)), (0, 1))


def _portions(image, O):
    B, Y, X, C = image.shape
    return portions(B, 4 * Y * X * max(C, O), Y * X * C * O // 4)


def portions(images: int, numbers: int, multiplications: int) -> list[slice]:
    """Slices of so many images, of so many numbers and multiplications each, that NUMBERS and PRODUCT are kept."""
    step = max(1, min(NUMBERS // max(1, numbers), PRODUCT // max(1, multiplications)))
    return [slice(start, start + step) for start in range(0, images, step)]


def _tiles(image):
    """The sums of pixels that are multiplied: (B, Y, X, C) -> (16, tiles, C), the 16 in the order (x, y)."""
    B, Y, X, C = image.shape
    planes = np.zeros((2, 2, B, Y // 2 + 1, X // 2 + 1, C), image.dtype)  # rows by parity, columns by parity
    half = np.empty((4, 2, B, Y // 2 + 1, X // 2, C), image.dtype)
    tiles = np.empty((4, 4, B, Y // 2, X // 2, C), image.dtype)
    quarters = _quarters(image)  # with the row of zeros, an even row becomes an odd one
    planes[1, 1, :, :-1, :-1], planes[1, 0, :, :-1, 1:] = quarters[0]
    planes[0, 1, :, 1:, :-1], planes[0, 0, :, 1:, 1:] = quarters[1]
    even, odd = planes[:, 0], planes[:, 1]
    _subtract_pixels(even[..., :-1, :], odd[..., :-1, :], even[..., 1:, :], odd[..., 1:, :], half)
    even, odd = half[:, 0], half[:, 1]
    _subtract_pixels(even[:, :, :-1], odd[:, :, :-1], even[:, :, 1:], odd[:, :, 1:], tiles.swapaxes(0, 1))
    return tiles.reshape(16, -1, C)


def _quarters(image):
    """(B, Y, X, C) -> a view (2, 2, B, Y / 2, X / 2, C): rows by parity, columns by parity."""
    B, Y, X, C = image.shape
    return image.reshape(B, Y // 2, 2, X // 2, 2, C).transpose(2, 4, 0, 1, 3, 5)


def _subtract_pixels(d0, d1, d2, d3, out):
    np.subtract(d0, d2, out=out[0])
    np.add(d1, d2, out=out[1])
    np.subtract(d2, d1, out=out[2])
    np.subtract(d1, d3, out=out[3])


def _add_products(m, out):
    np.add(m[0], m[1], out=out[0])
    out[0] += m[2]
    np.subtract(m[1], m[2], out=out[1])
    out[1] -= m[3]


def _give_to_products(y, out):
    """The transpose of `_add_products`."""
    out[0] = y[0]
    np.add(y[0], y[1], out=out[1])
    np.subtract(y[0], y[1], out=out[2])
    np.negative(y[1], out=out[3])
