"""Convolution with 3 x 3 filters in fewer multiplications (Winograd 1980; Lavin & Gray 2016).

In one dimension, two neighbouring results of the filter w on d0 ... d3 take six multiplications:

    y0 = d0 w0 + d1 w1 + d2 w2        y1 = d1 w0 + d2 w1 + d3 w2

Four are enough, if sums of numbers and of weights are multiplied:

    m0 = (d0 - d2) w0                     y0 = m0 + m1 + m2
    m1 = (d1 + d2) (w0 + w1 + w2) / 2     y1 = m1 - m2 - m3
    m2 = (d2 - d1) (w0 - w1 + w2) / 2
    m3 = (d1 - d3) w2

Where every pixel was doubled before, d1 = d2: m2 is 0, and three are enough. An image is cut into tiles of 4 x 4
pixels, one every 2 pixels, and both axes are treated so: 16 (or 9) matrix products over all tiles give 2 x 2 results a
tile, for which a plain convolution takes 36.

Images are (B, Y, X, C), unless a docstring says (B, C, Y, X), and surrounded by one row of zeros. Where a shape begins
with (y, x, ...) or (x, y, ...), these are the places within a tile. Then come the tiles, and the batch after them:
one NumPy call adds up long stretches of memory when neighbouring tiles of all images lie side by side.
"""

import numpy as np

from minigen.tensor import ones, op

NUMBERS = (
    2**19
)  # in the tiles or patches worked on at a time: 2 MB of float32, so that they stay in the cache
PRODUCT = (
    10**6
)  # multiplications: up to here OpenBLAS (on AVX-512) has kernels for small matrices, in one thread
WIDE = 24  # channels
FILTER = np.array(
    [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
)  # from w to what multiplies the sums of d
FILTER_ON_DOUBLED = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 1]])


def pays(image: np.ndarray, kernel: np.ndarray, stride: int, padding: int) -> bool:
    """Whether this is the way to go: it fits, and matrices are wide, for the sums of pixels cost time as well."""
    same = kernel.shape[0] == 3 and stride == 1 and padding == 1
    return same and min(kernel.shape[2:]) >= WIDE and image.shape[1] % 2 == image.shape[2] % 2 == 0


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(B, Y, X, C), Y and X even, with kernel (3, 3, C, O) -> (B, Y, X, O)."""
    O = kernel.shape[3]
    filters = _widen(kernel, FILTER)
    out = np.empty((*image.shape[:3], O), image.dtype)
    for some in _portions(image, O):
        results = _quarters(out[some])  # (y, x, Y / 2, X / 2, images, O)
        products = (_tiles(image[some]) @ filters).reshape(4, 4, *results.shape[2:])  # (x, y, ...)
        _both_axes(_add_products, 2, products, results)
    return out


def correlate(image: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The gradient by the kernel (3, 3, C, O), where g (B, Y, X, O) is the one by the result of `convolve`."""
    C, O = image.shape[3], g.shape[3]
    total = np.zeros((16, C, O), image.dtype)
    for some in _portions(image, O):
        results = _quarters(g[some])
        products = np.empty((4, 4, *results.shape[2:]), g.dtype)
        _both_axes(_give_to_products, 4, results, products)
        total += _tiles(image[some]).swapaxes(1, 2) @ products.reshape(16, -1, O)
    return _narrow(total, FILTER)


def _portions(image, O):
    B, Y, X, C = image.shape
    return portions(B, 4 * Y * X * max(C, O), Y * X * C * O // 4)


def portions(images: int, numbers: int, multiplications: int) -> list[slice]:
    """Slices of as many images, of so many numbers and multiplications each, as stay within NUMBERS and PRODUCT.

    At least one image each.
    """
    step = max(1, min(NUMBERS // max(1, numbers), PRODUCT // max(1, multiplications)))
    return [slice(start, start + step) for start in range(0, images, step)]


def _widen(kernel, matrix):
    """(3, 3, C, O) -> (16 or 9, C, O): the matrix along both axes, in the order (x, y)."""
    matrix = matrix.astype(kernel.dtype)
    return np.tensordot(matrix, np.tensordot(matrix, kernel, (1, 0)), (1, 1)).reshape(
        -1, *kernel.shape[2:]
    )


def _narrow(total, matrix):
    """The transpose of `_widen`."""
    square = total.reshape(len(matrix), len(matrix), *total.shape[1:])
    matrix = matrix.astype(total.dtype)
    return np.tensordot(matrix, np.tensordot(matrix, square, (0, 0)), (0, 1))


def _tiles(image):
    """The sums of pixels that are multiplied: (B, Y, X, C) -> (16, tiles, C), the 16 in the order (x, y)."""
    B, Y, X, C = image.shape
    planes = np.zeros(
        (2, 2, Y // 2 + 1, X // 2 + 1, B, C), image.dtype
    )  # rows by parity, columns by parity
    half = np.empty((4, 2, Y // 2 + 1, X // 2, B, C), image.dtype)
    tiles = np.empty((4, 4, Y // 2, X // 2, B, C), image.dtype)
    quarters = _quarters(image)  # with the row of zeros, an even row becomes an odd one
    planes[1, 1, :-1, :-1], planes[1, 0, :-1, 1:] = quarters[0]
    planes[0, 1, 1:, :-1], planes[0, 0, 1:, 1:] = quarters[1]
    even, odd = planes[:, 0], planes[:, 1]
    _subtract_pixels(even[:, :, :-1], odd[:, :, :-1], even[:, :, 1:], odd[:, :, 1:], half)
    even, odd = half[:, 0], half[:, 1]
    _subtract_pixels(even[:, :-1], odd[:, :-1], even[:, 1:], odd[:, 1:], tiles.swapaxes(0, 1))
    return tiles.reshape(16, -1, C)


def _quarters(image):
    """(B, Y, X, C) -> a view (2, 2, Y / 2, X / 2, B, C): rows by parity, columns by parity."""
    B, Y, X, C = image.shape
    return image.reshape(B, Y // 2, 2, X // 2, 2, C).transpose(2, 4, 1, 3, 0, 5)


def _both_axes(step, n, source, out):
    """`step` along the first axis of source, which makes n of it, then along the second; out has the axes exchanged."""
    half = np.empty((n, *source.shape[1:]), source.dtype)
    step(source, half)
    step(half.swapaxes(0, 1), out)


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


# -- every pixel doubled before ----------------------------------------------------------------------------------------
# Without m2, so that m[2] is m3; and m1 = d1 (w0 + w1 + w2), for the 2 of d1 + d2 and the half of the filter cancel.


@op
def upsample_conv2d(x, weight, bias=None):
    """conv2d(interpolate(x, 2), weight, bias, padding=1) in a quarter of the multiplications.

    Shapes: x (B, C, Y, X), weight (out, C, 3, 3), bias (out,) -> (B, out, 2 Y, 2 X). Faster from a few channels on.
    """
    fits = (
        x.ndim == 4
        and weight.shape[1:] == (x.shape[1], 3, 3)
        and 0 not in (*x.shape[1:], len(weight))
    )
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError(
            "x is (B, C, Y, X) and not without pixels, weight (out, C, 3, 3), bias (out,)"
        )
    x, kernel = x.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0)
    (B, Y, X, C), O = x.shape, len(weight)
    some_images = portions(B, 9 * Y * X * max(C, O), Y * X * C * O)
    filters = _widen(kernel, FILTER_ON_DOUBLED)
    out = np.empty((B, 2 * Y, 2 * X, O), x.dtype)
    for some in some_images:
        results = _quarters(out[some])
        products = (_tiles_of_doubled(x[some]) @ filters).reshape(
            3, 3, *results.shape[2:]
        )  # (x, y, ...)
        _both_axes(_add_three, 2, products, results)
    if bias is not None:
        out += bias

    def vjp_x(g):
        padded = np.zeros((B, Y + 2, X + 2, C), g.dtype)
        for some in some_images:
            d = padded[some].transpose(1, 2, 0, 3)
            tiles = (_give_to_nine(g[some]) @ filters.swapaxes(1, 2)).reshape(
                3, 3, Y, X, *d.shape[2:]
            )
            half = np.zeros((3, Y, *d.shape[1:]), g.dtype)
            _give_to_neighbours(tiles, half[:, :, :-2], half[:, :, 1:-1], half[:, :, 2:])
            _give_to_neighbours(half, d[:-2], d[1:-1], d[2:])
        return padded[:, 1:-1, 1:-1].transpose(0, 3, 1, 2)

    def vjp_weight(g):
        total = np.zeros((9, C, O), x.dtype)
        for some in some_images:
            total += _tiles_of_doubled(x[some]).swapaxes(1, 2) @ _give_to_nine(g[some])
        return _narrow(total, FILTER_ON_DOUBLED).transpose(3, 2, 0, 1)

    def vjp_bias(g):
        return ones(g.size // O, g.dtype) @ g.transpose(0, 2, 3, 1).reshape(-1, O)

    return out.transpose(0, 3, 1, 2), vjp_x, vjp_weight, vjp_bias


def _tiles_of_doubled(image):
    """(B, Y, X, C) -> (9, Y X B, C), the 9 in the order (x, y)."""
    B, Y, X, C = image.shape
    padded = np.zeros((Y + 2, X + 2, B, C), image.dtype)
    half = np.empty((3, Y, X + 2, B, C), image.dtype)
    tiles = np.empty((3, 3, Y, X, B, C), image.dtype)
    padded[1:-1, 1:-1] = image.transpose(1, 2, 0, 3)
    _subtract_neighbours(padded[:-2], padded[1:-1], padded[2:], half)
    _subtract_neighbours(half[:, :, :-2], half[:, :, 1:-1], half[:, :, 2:], tiles)
    return tiles.reshape(9, -1, C)


def _give_to_nine(g):
    """The gradient (B, O, 2 Y, 2 X) by the results, given on to the products: (9, Y X B, O)."""
    results = _quarters(g.transpose(0, 2, 3, 1))
    products = np.empty((3, 3, *results.shape[2:]), g.dtype)
    _both_axes(_give_to_three, 3, results, products)
    return products.reshape(9, -1, g.shape[1])


def _subtract_neighbours(before, here, after, out):
    np.subtract(before, here, out=out[0])
    out[1] = here
    np.subtract(here, after, out=out[2])


def _give_to_neighbours(out, before, here, after):
    """The transpose of `_subtract_neighbours`."""
    before += out[0]
    here += out[1]
    here -= out[0]
    here += out[2]
    after -= out[2]


def _add_three(m, out):
    np.add(m[0], m[1], out=out[0])
    np.subtract(m[1], m[2], out=out[1])


def _give_to_three(y, out):
    """The transpose of `_add_three`."""
    out[0] = y[0]
    np.add(y[0], y[1], out=out[1])
    np.negative(y[1], out=out[2])
