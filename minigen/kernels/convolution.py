"""Convolution of images: the definition, the textbook way to compute it, and faster ways beside it.

Images have the shape (B, C, Y, X) of `torch.nn.functional`, but here the C numbers of a pixel lie
side by side in memory (PyTorch calls that layout channels_last): then a convolution is a matrix
product of flat rows. Below `conv2d`, images are (B, Y, X, C) and filters are (k, k, C, O), the
*kernel*; results are (B, Y', X', O), Y' = (Y + 2 padding - k) // stride + 1.

The textbook way takes the patch of k x k pixels under the filter for a row of a matrix. It gives
three functions: `convolve`; its transpose, which takes the gradient back to the image; and
`correlate`, which takes it to the kernel. Each has a chooser, which knows when another way pays.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigen.kernels import winograd
from minigen.kernels.portions import portions
from minigen.tensor import ones, op


@op
def conv2d(x, weight, bias=None, stride=1, padding=0):
    """out[b, o, y, x] = bias[o] + sum_cij weight[o, c, i, j] padded[b, c, s y + i, s x + j].

    s is the stride. Shapes: x (B, C, Y, X), weight (out, C, k, k), bias (out,) -> (B, out, Y', X').
    """
    _refuse_shapes(x, weight, bias, stride, padding)
    O, _, k, _ = weight.shape
    size = x.shape[2:]
    image = x.transpose(0, 2, 3, 1)
    kernel = weight.transpose(2, 3, 1, 0)
    out = fastest_convolve(image, kernel, stride, padding)
    if bias is not None:
        out += bias

    def vjp_x(g):
        d = fastest_transposed(g.transpose(0, 2, 3, 1), kernel, stride, padding, size)
        return d.transpose(0, 3, 1, 2)

    def vjp_weight(g):
        d = fastest_correlate(image, g.transpose(0, 2, 3, 1), k, stride, padding)
        return d.transpose(3, 2, 0, 1)

    def vjp_bias(g):
        pixels = g.transpose(0, 2, 3, 1).reshape(-1, O)
        return ones(len(pixels), g.dtype) @ pixels

    return out.transpose(0, 3, 1, 2), vjp_x, vjp_weight, vjp_bias


def _refuse_shapes(x, weight, bias, stride, padding):
    fits = x.ndim == weight.ndim == 4 and x.shape[1] == weight.shape[1]
    fits = fits and weight.shape[2] == weight.shape[3]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("x is (B, C, Y, X), weight (out, C, k, k), bias (out,)")
    if stride < 1 or padding < 0:
        raise ValueError(f"stride is at least 1 and padding at least 0, got {stride} and {padding}")
    k = weight.shape[2]
    if min(x.shape[2:]) + 2 * padding < k:
        raise ValueError(
            f"a {k}x{k} filter does not fit into the image, with a padding of {padding}"
        )


# -- the textbook way ------------------------------------------------------------------------------


def convolve(image, kernel, stride, padding):
    """Every patch times the kernel."""
    k, _, C, O = kernel.shape
    size = _size(image, k, stride, padding)
    out = np.empty((len(image), *size, O), image.dtype)
    matrix = kernel.reshape(k * k * C, O)
    for some, patches in _patches(image, k, stride, padding, O):
        np.matmul(patches, matrix, out=out[some].reshape(-1, O))
    return out


def convolve_transposed(g, kernel, stride, padding, size):
    """Every g gives its patch back: pixel (stride y + i, stride x + j) gets kernel[i, j] g[y, x].

    Results g (B, Y', X', O) -> images (B, *size, C).
    """
    B, Y, X, O = g.shape
    k, _, C, _ = kernel.shape
    height, width = size
    image = np.zeros((B, height + 2 * padding, width + 2 * padding, C), g.dtype)
    matrix = kernel.reshape(-1, O)
    for some in portions(B, Y * X * k * k * C):
        rows = g[some].reshape(-1, O) @ matrix.T
        patches = rows.reshape(-1, Y, X, k, k, C)
        for i, j in np.ndindex(k, k):
            under_y = slice(i, i + stride * Y, stride)
            under_x = slice(j, j + stride * X, stride)
            image[some, under_y, under_x] += patches[:, :, :, i, j]
    return image[:, padding : padding + height, padding : padding + width]


def correlate(image, g, k, stride, padding):
    """Every patch of the image times the g that it led to, summed: the gradient by the kernel."""
    C, O = image.shape[3], g.shape[3]
    d = np.zeros((k * k * C, O), image.dtype)
    for some, patches in _patches(image, k, stride, padding, O):
        d += patches.T @ g[some].reshape(len(patches), -1)
    return d.reshape(k, k, C, O)


def _size(image, k, stride, padding):
    """(Y', X')."""
    return tuple((n + 2 * padding - k) // stride + 1 for n in image.shape[1:3])


def _patches(image, k, stride, padding, O):
    """The patches, a few images at a time: which images, and rows (images Y' X', k k C).

    The k pixels of a patch's row lie side by side in memory.
    """
    B, Y, X, C = image.shape
    padded = np.zeros((B, Y + 2 * padding, X + 2 * padding, C), image.dtype)
    padded[:, padding : padding + Y, padding : padding + X] = image
    shape = (B, *_size(image, k, stride, padding), k, k * C)
    to_image, to_row, to_column, to_number = padded.strides
    strides = (to_image, stride * to_row, stride * to_column, to_row, to_number)
    patches = as_strided(padded, shape, strides, writeable=False)
    numbers = math.prod(shape[1:])
    for some in portions(B, numbers, numbers * O):
        yield some, patches[some].reshape(-1, k * k * C)


# -- faster ways to the same numbers ---------------------------------------------------------------
# With stride 1 and padding < k, an image comes from its results as the results come from an image:
# the transpose is a convolution too, with the kernel turned and a padding of k - 1 - padding.


def fastest_convolve(image, kernel, stride, padding):
    k, _, C, O = kernel.shape
    if winograd.pays(image, kernel.shape, stride, padding):
        return winograd.convolve(image, kernel)
    if stride == 1 and padding < k and 8 * O <= C:
        return convolve_by_adding(image, kernel, padding)
    return convolve(image, kernel, stride, padding)


def fastest_transposed(g, kernel, stride, padding, size):
    k = len(kernel)
    if stride == 1 and padding < k:  # always pays: nothing to add up
        return fastest_convolve(g, turned(kernel), 1, k - 1 - padding)
    return convolve_transposed(g, kernel, stride, padding, size)


def fastest_correlate(image, g, k, stride, padding):
    C, O = image.shape[3], g.shape[3]
    if winograd.pays(image, (k, k, C, O), stride, padding):
        return winograd.correlate(image, g)
    if stride == 1 and padding < k and O < C:
        return correlate_patches_of_results(image, g, k, padding)
    return correlate(image, g, k, stride, padding)


def convolve_by_adding(image, kernel, padding):
    """Pixels give to results, as in `convolve_transposed`.

    Pays where results have 8 times fewer channels: then there are few numbers to add up, and many
    would have to be copied into patches.
    """
    k = len(kernel)
    return convolve_transposed(
        image, turned(kernel), 1, k - 1 - padding, _size(image, k, 1, padding)
    )


def correlate_patches_of_results(image, g, k, padding):
    """As `correlate`, with patches of g; pays where results have fewer channels than the image."""
    return turned(correlate(g, image, k, 1, k - 1 - padding))


def turned(kernel):
    """The kernel of the transpose: turned by half a circle, and both channels changed over."""
    return kernel[::-1, ::-1].swapaxes(2, 3)
