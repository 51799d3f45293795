"""Convolution with 3 x 3 filters in fewer multiplications (Winograd 1980; Lavin & Gray 2016).

In one dimension, two neighbouring results of the filter w on d0 ... d3 take six multiplications:

    y0 = d0 w0 + d1 w1 + d2 w2        y1 = d1 w0 + d2 w1 + d3 w2

Four are enough, if sums of numbers and of weights are multiplied:

    m0 = (d0 - d2) w0                     y0 = m0 + m1 + m2
    m1 = (d1 + d2) (w0 + w1 + w2) / 2     y1 = m1 - m2 - m3
    m2 = (d2 - d1) (w0 - w1 + w2) / 2
    m3 = (d1 - d3) w2

An image is cut into tiles of 4 x 4 pixels, one every 2 pixels, and both axes are treated so: 16
matrix products over all tiles give 2 x 2 results a tile, for which a plain convolution takes 36.
Where every pixel was doubled before, d1 = d2: m2 is 0, and three (or 9) are enough.

What it gains: a third of the time of the benchmark's W3, whose layers have 32 and 64 channels, but
2 to 5% on the course's own UNet: the sums of pixels cost time as well, and its layers are narrow.

Images are (B, Y, X, C), unless a docstring says (B, C, Y, X), and surrounded by one row of zeros.
Where a shape begins with (y, x, ...) or (x, y, ...), these are the places within a tile. Then come
the tiles, and the batch after them: one NumPy call adds up long stretches of memory when
neighbouring tiles of all images lie side by side.
"""

import numpy as np

from minigen.kernels.portions import portions
from minigen.tensor import ones, op

FEWEST_CHANNELS = 24  # from here on the products saved cost more than the sums of pixels
# From the weights to what multiplies the sums of pixels:
OF_WEIGHTS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
# Without m2, so that its third row is m3; the 2 of d1 + d2 and the half of the weights cancel.
OF_WEIGHTS_ON_DOUBLED = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 1]])


def pays(image: np.ndarray, kernel_shape: tuple, stride: int, padding: int) -> bool:
    """Whether the 16 products fit this convolution, and it is wide enough to be faster so."""
    k, _, C, O = kernel_shape
    fits = k == 3 and stride == 1 and padding == 1
    even = image.shape[1] % 2 == image.shape[2] % 2 == 0
    return fits and even and min(C, O) >= FEWEST_CHANNELS


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(B, Y, X, C), Y and X even, with kernel (3, 3, C, O) -> (B, Y, X, O)."""
    O = kernel.shape[3]
    filters = _transform_weights(kernel, OF_WEIGHTS)
    out = np.empty((*image.shape[:3], O), image.dtype)
    for some in _portions(image, O):
        results = _by_parity(out[some])  # (y, x, Y / 2, X / 2, images, O)
        products = _tiles(image[some]) @ filters  # (16, tiles, O)
        products = products.reshape(4, 4, *results.shape[2:])  # (x, y, ...)
        _along_both_axes(_results_from_products, 2, products, results)
    return out


def correlate(image: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The gradient by the kernel (3, 3, C, O), where g (B, Y, X, O) is that by the results."""
    C, O = image.shape[3], g.shape[3]
    total = np.zeros((16, C, O), image.dtype)
    for some in _portions(image, O):
        results = _by_parity(g[some])
        products = np.empty((4, 4, *results.shape[2:]), g.dtype)
        _along_both_axes(_results_from_products_transposed, 4, results, products)
        tiles = _tiles(image[some])
        total += tiles.swapaxes(1, 2) @ products.reshape(16, -1, O)
    return _transform_weights_transposed(total, OF_WEIGHTS)


def _portions(image, O):
    B, Y, X, C = image.shape
    numbers = 4 * Y * X * max(C, O)
    multiplications = Y * X * C * O // 4
    return portions(B, numbers, multiplications)


def _transform_weights(kernel, matrix):
    """(3, 3, C, O) -> (16 or 9, C, O): the matrix along both axes, in the order (x, y)."""
    matrix = matrix.astype(kernel.dtype)
    along_y = np.tensordot(matrix, kernel, (1, 0))
    along_both = np.tensordot(matrix, along_y, (1, 1))
    return along_both.reshape(-1, *kernel.shape[2:])


def _transform_weights_transposed(total, matrix):
    n = len(matrix)
    square = total.reshape(n, n, *total.shape[1:])
    matrix = matrix.astype(total.dtype)
    along_x = np.tensordot(matrix, square, (0, 0))
    return np.tensordot(matrix, along_x, (0, 1))


def _tiles(image):
    """The sums of pixels that are multiplied: (B, Y, X, C) -> (16, tiles, C), ordered (x, y)."""
    quarters = _by_parity(image)
    _, _, Y, X, B, C = quarters.shape
    padded = np.zeros((2, 2, Y + 1, X + 1, B, C), image.dtype)
    # Rows and columns by parity; with the row of zeros before them, an even one becomes an odd one.
    padded[1, 1, :-1, :-1] = quarters[0, 0]
    padded[1, 0, :-1, 1:] = quarters[0, 1]
    padded[0, 1, 1:, :-1] = quarters[1, 0]
    padded[0, 0, 1:, 1:] = quarters[1, 1]
    half = np.empty((4, 2, Y + 1, X, B, C), image.dtype)
    even, odd = padded.swapaxes(0, 1)
    here, after = np.s_[:, :, :-1], np.s_[:, :, 1:]
    _sums_of_pixels(even[here], odd[here], even[after], odd[after], half)
    tiles = np.empty((4, 4, Y, X, B, C), image.dtype)
    even, odd = half.swapaxes(0, 1)
    here, after = np.s_[:, :-1], np.s_[:, 1:]
    _sums_of_pixels(even[here], odd[here], even[after], odd[after], tiles.swapaxes(0, 1))
    return tiles.reshape(16, -1, C)


def _by_parity(image):
    """(B, Y, X, C) -> a view (2, 2, Y / 2, X / 2, B, C): rows by parity, columns by parity."""
    B, Y, X, C = image.shape
    pairs = image.reshape(B, Y // 2, 2, X // 2, 2, C)
    return pairs.transpose(2, 4, 1, 3, 0, 5)


def _along_both_axes(step, n, source, out):
    """`step` along the first axis of source, making n of it, then along the second.

    out has the two axes exchanged.
    """
    half = np.empty((n, *source.shape[1:]), source.dtype)
    step(source, half)
    step(half.swapaxes(0, 1), out)


# The two other lines of the scheme above, in one dimension: what is multiplied, and what comes out.


def _sums_of_pixels(d0, d1, d2, d3, out):
    np.subtract(d0, d2, out=out[0])
    np.add(d1, d2, out=out[1])
    np.subtract(d2, d1, out=out[2])
    np.subtract(d1, d3, out=out[3])


def _results_from_products(m, out):
    np.add(m[0], m[1], out=out[0])
    out[0] += m[2]
    np.subtract(m[1], m[2], out=out[1])
    out[1] -= m[3]


def _results_from_products_transposed(y, out):
    out[0] = y[0]
    np.add(y[0], y[1], out=out[1])
    np.subtract(y[0], y[1], out=out[2])
    np.negative(y[1], out=out[3])


# -- every pixel doubled before --------------------------------------------------------------------


@op
def upsample_conv2d(x, weight, bias=None):
    """conv2d(interpolate(x, 2), weight, bias, padding=1) in a quarter of the multiplications.

    Always taken; it pays from a few channels on, and with one channel it is slower than two ops.
    Shapes: x (B, C, Y, X), weight (out, C, 3, 3), bias (out,) -> (B, out, 2 Y, 2 X).
    """
    fits = x.ndim == 4 and weight.shape[1:] == (x.shape[1], 3, 3)
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("x is (B, C, Y, X), weight (out, C, 3, 3), bias (out,)")
    if 0 in (*x.shape[1:], len(weight)):
        raise ValueError("images have pixels and channels, and so have results")
    image = x.transpose(0, 2, 3, 1)
    kernel = weight.transpose(2, 3, 1, 0)
    B, Y, X, C = image.shape
    O = len(weight)
    numbers = 9 * Y * X * max(C, O)
    some_images = portions(B, numbers, multiplications=Y * X * C * O)
    filters = _transform_weights(kernel, OF_WEIGHTS_ON_DOUBLED)
    out = np.empty((B, 2 * Y, 2 * X, O), x.dtype)
    for some in some_images:
        results = _by_parity(out[some])
        products = _tiles_of_doubled(image[some]) @ filters  # (9, pixels, O)
        products = products.reshape(3, 3, *results.shape[2:])  # (x, y, ...)
        _along_both_axes(_results_of_doubled, 2, products, results)
    if bias is not None:
        out += bias

    def vjp_x(g):
        padded = np.zeros((B, Y + 2, X + 2, C), g.dtype)
        for some in some_images:
            tiles = _products_from_results(g[some]) @ filters.swapaxes(1, 2)
            _tiles_of_doubled_transposed(tiles, padded[some])
        d = padded[:, 1:-1, 1:-1]
        return d.transpose(0, 3, 1, 2)

    def vjp_weight(g):
        total = np.zeros((9, C, O), x.dtype)
        for some in some_images:
            tiles = _tiles_of_doubled(image[some])
            total += tiles.swapaxes(1, 2) @ _products_from_results(g[some])
        d = _transform_weights_transposed(total, OF_WEIGHTS_ON_DOUBLED)
        return d.transpose(3, 2, 0, 1)

    def vjp_bias(g):
        pixels = g.transpose(0, 2, 3, 1).reshape(-1, O)
        return ones(len(pixels), g.dtype) @ pixels

    return out.transpose(0, 3, 1, 2), vjp_x, vjp_weight, vjp_bias


def _tiles_of_doubled(image):
    """(B, Y, X, C) -> (9, Y X B, C), the 9 in the order (x, y)."""
    B, Y, X, C = image.shape
    padded = np.zeros((Y + 2, X + 2, B, C), image.dtype)
    half = np.empty((3, Y, X + 2, B, C), image.dtype)
    tiles = np.empty((3, 3, Y, X, B, C), image.dtype)
    padded[1:-1, 1:-1] = image.transpose(1, 2, 0, 3)
    _sums_of_doubled(*_three(padded), half)
    _sums_of_doubled(*_three(half, axis=2), tiles)
    return tiles.reshape(9, -1, C)


def _tiles_of_doubled_transposed(tiles, padded):
    """(9, Y X B, C) added to images with their row of zeros, (B, Y + 2, X + 2, C)."""
    d = padded.transpose(1, 2, 0, 3)
    Y, X, B, C = d.shape
    tiles = tiles.reshape(3, 3, Y - 2, X - 2, B, C)
    half = np.zeros((3, Y - 2, X, B, C), tiles.dtype)
    _sums_of_doubled_transposed(tiles, *_three(half, axis=2))
    _sums_of_doubled_transposed(half, *_three(d))


def _three(padded, axis=0):
    """Views of the pixels before, here and after, along an axis with a zero at both ends."""
    n = padded.shape[axis] - 2
    rest = (slice(None),) * axis
    return [padded[(*rest, slice(start, start + n))] for start in range(3)]


def _products_from_results(g):
    """The gradient (B, O, 2 Y, 2 X) by the results, given on to the products: (9, Y X B, O)."""
    results = _by_parity(g.transpose(0, 2, 3, 1))
    products = np.empty((3, 3, *results.shape[2:]), g.dtype)
    _along_both_axes(_results_of_doubled_transposed, 3, results, products)
    return products.reshape(9, -1, g.shape[1])


def _sums_of_doubled(before, here, after, out):
    np.subtract(before, here, out=out[0])
    out[1] = here
    np.subtract(here, after, out=out[2])


def _sums_of_doubled_transposed(out, before, here, after):
    before += out[0]
    here += out[1]
    here -= out[0]
    here += out[2]
    after -= out[2]


def _results_of_doubled(m, out):
    np.add(m[0], m[1], out=out[0])
    np.subtract(m[1], m[2], out=out[1])


def _results_of_doubled_transposed(y, out):
    out[0] = y[0]
    np.add(y[0], y[1], out=out[1])
    np.negative(y[1], out=out[2])
