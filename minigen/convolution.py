"""What convolutional networks need: conv2d, group_norm, up- and down-sampling, as differentiable primitives.

Images have the shape (B, C, Y, X) of `torch.nn.functional`, but here the C numbers of a pixel lie side by side in
memory (PyTorch calls that layout channels_last): then a convolution is a matrix product of flat rows. Every function
below starts with a transpose to (B, Y, X, C), free for what another one made, and elementwise ops keep the layout.
"""

import functools
import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigen import winograd
from minigen.tensor import joint_op, ones, op


@op
def conv2d(x, weight, bias=None, stride=1, padding=0):
    """out[b, o, y, x] = bias[o] + sum_cij weight[o, c, i, j] padded[b, c, stride y + i, stride x + j].

    Shapes: x (B, C, Y, X), weight (out, C, k, k), bias (out,) -> (B, out, Y', X'),
    Y' = (Y + 2 padding - k) // stride + 1.
    """
    fits = x.ndim == weight.ndim == 4 and weight.shape[1:] == (
        x.shape[1],
        weight.shape[2],
        weight.shape[2],
    )
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("x is (B, C, Y, X), weight (out, C, k, k), bias (out,)")
    O, C, k, _ = weight.shape
    if min(x.shape[2:]) + 2 * padding < k:
        raise ValueError(
            f"a {k}x{k} filter does not fit into the image, with a padding of {padding}"
        )
    x, kernel = x.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0)  # (k, k, C, O)
    out = _convolve(x, kernel, stride, padding)
    if bias is not None:
        out += bias
    mirrored = (
        stride == 1 and padding < k
    )  # then x comes from out as out from x, with the kernel turned

    def vjp_x(g):
        g = g.transpose(0, 2, 3, 1)  # (B, Y', X', O)
        if mirrored:
            return _convolve(g, _turned(kernel), 1, k - 1 - padding).transpose(0, 3, 1, 2)
        return _scatter(g, kernel, stride, padding, x.shape[1:3]).transpose(0, 3, 1, 2)

    def vjp_weight(g):
        g = g.transpose(0, 2, 3, 1)
        if winograd.pays(x, kernel, stride, padding):
            d = winograd.correlate(x, g)
        elif mirrored and O < C:  # the patches of g are smaller than those of x
            d = _turned(_correlate(g, x, k, 1, k - 1 - padding))
        else:
            d = _correlate(x, g, k, stride, padding)
        return d.transpose(3, 2, 0, 1)

    def vjp_bias(g):
        return ones(g.size // O, g.dtype) @ g.transpose(0, 2, 3, 1).reshape(-1, O)

    return out.transpose(0, 3, 1, 2), vjp_x, vjp_weight, vjp_bias


def _turned(kernel):
    """The kernel of the transposed convolution: turned by half a circle, and both channels changed over."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _convolve(x, kernel, stride, padding):
    """(B, Y, X, C) with kernel (k, k, C, O) -> (B, Y', X', O)."""
    k, _, C, O = kernel.shape
    B, Y, X = x.shape[0], *((n + 2 * padding - k) // stride + 1 for n in x.shape[1:3])
    if winograd.pays(x, kernel, stride, padding):
        return winograd.convolve(x, kernel)
    if stride == 1 and padding < k and 8 * O <= C:  # few numbers to add up, instead of many to copy
        return _scatter(x, _turned(kernel), 1, k - 1 - padding, (Y, X))
    matrix = kernel.reshape(k * k * C, O)
    out = np.empty((B, Y, X, O), x.dtype)
    for some, patches in _patches(x, k, stride, padding, O):
        np.matmul(patches, matrix, out=out[some].reshape(-1, O))
    return out


def _scatter(g, kernel, stride, padding, size):
    """The transpose of `_convolve`: (B, Y', X', O) -> (B, *size, C). x[stride y + i] gets back what it gave out[y]."""
    B, Y, X, O = g.shape
    k, _, C, _ = kernel.shape
    x = np.zeros((B, size[0] + 2 * padding, size[1] + 2 * padding, C), g.dtype)
    for some in winograd.portions(B, Y * X * k * k * C, 0):
        patches = (g[some].reshape(-1, O) @ kernel.reshape(-1, O).T).reshape(-1, Y, X, k, k, C)
        for i, j in np.ndindex(k, k):
            x[some, i : i + stride * Y : stride, j : j + stride * X : stride] += patches[
                :, :, :, i, j
            ]
    return x[:, padding : padding + size[0], padding : padding + size[1]]


def _correlate(x, g, k, stride, padding):
    """The gradient by the kernel: d[i, j, c, o] = sum_byx padded[b, stride y + i, stride x + j, c] g[b, y, x, o]."""
    d = np.zeros((k * k * x.shape[3], g.shape[3]), x.dtype)
    for some, patches in _patches(x, k, stride, padding, g.shape[3]):
        d += patches.T @ g[some].reshape(len(patches), -1)
    return d.reshape(k, k, x.shape[3], g.shape[3])


def _patches(x, k, stride, padding, O):
    """The k x k patches of x (B, Y, X, C), a few images at a time: which images, and (images Y' X', k k C).

    The k pixels of a patch's row lie side by side in memory.
    """
    B, Y, X, C = x.shape
    padded = np.zeros((B, Y + 2 * padding, X + 2 * padding, C), x.dtype)
    padded[:, padding : padding + Y, padding : padding + X] = x
    image, row, column, number = padded.strides
    shape = B, (Y + 2 * padding - k) // stride + 1, (X + 2 * padding - k) // stride + 1, k, k * C
    patches = as_strided(
        padded, shape, (image, stride * row, stride * column, row, number), writeable=False
    )
    for some in winograd.portions(B, math.prod(shape[1:]), math.prod(shape[1:]) * O):
        yield some, patches[some].reshape(-1, k * k * C)


@joint_op("x", "weight", "bias")
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over each group of C / num_groups channels (Wu & He 2018).

    Shapes: x (B, C, ...), weight (C,), bias (C,).
    """
    B, C = x.shape[:2]
    width, rest = divmod(C, num_groups)
    if rest:
        raise ValueError(f"{C} channels do not divide into {num_groups} groups")
    last = np.moveaxis(x, 1, -1)
    z = last.reshape(B, math.prod(x.shape[2:]), C)
    pixels = ones(z.shape[1], x.dtype)
    scale = ones(C, x.dtype) if weight is None else weight

    def group_mean(
        totals,
    ):  # (B, C), sums over pixels -> (B, 1, C), the same number for the channels of a group
        means = (
            totals.reshape(B * num_groups, width)
            @ ones(width, x.dtype)
            / max(1, width * len(pixels))
        )
        return means.repeat(width).reshape(B, 1, C)

    z = z - group_mean(pixels @ z)
    inverse = 1 / np.sqrt(group_mean(pixels @ (z * z)) + x.dtype.type(eps))  # of the deviation
    y = z * (inverse * scale)
    if bias is not None:
        y += bias

    def vjp(g):
        g = np.moveaxis(g, 1, -1).reshape(z.shape)
        gz = g * z
        g_sum, gz_sum = pixels @ g, (pixels @ gz) * inverse[:, 0]  # (B, C), by normalised z
        # with h = g * weight and n = normalised z: (h - mean(h) - n mean(h n)) / deviation
        d = g * (inverse * scale)
        d -= inverse * group_mean(g_sum * scale)
        d -= np.multiply(z, inverse * inverse * group_mean(gz_sum * scale), out=gz)
        d = np.moveaxis(d.reshape(last.shape), -1, 1)
        return d, gz_sum.sum(axis=0), g_sum.sum(axis=0)

    return np.moveaxis(y.reshape(last.shape), -1, 1), vjp


@op
def interpolate(x, scale_factor):
    """Nearest-neighbour upsampling: every pixel becomes scale_factor x scale_factor pixels. x (B, C, Y, X)."""
    return _repeat_pixels(x, scale_factor), lambda g: _sum_blocks(g, scale_factor)


@op
def avg_pool2d(x, kernel_size):
    """Mean of each kernel_size x kernel_size block. x (B, C, Y, X); Y and X divide by kernel_size."""
    if x.shape[2] % kernel_size or x.shape[3] % kernel_size:
        raise ValueError(f"height and width divide by kernel_size, {kernel_size}")
    scale = x.dtype.type(kernel_size**-2)
    return _sum_blocks(x, kernel_size) * scale, lambda g: _repeat_pixels(g * scale, kernel_size)


def _repeat_pixels(x, n):
    """(B, C, Y, X) -> (B, C, Y n, X n): the transpose of `_sum_blocks`."""
    B, C, Y, X = x.shape
    blocks = np.broadcast_to(x.transpose(0, 2, 3, 1)[:, :, None, :, None], (B, Y, n, X, n, C))
    return blocks.reshape(B, Y * n, X * n, C).transpose(0, 3, 1, 2)


def _sum_blocks(x, n):
    """(B, C, Y n, X n) -> (B, C, Y, X)."""
    rows = functools.reduce(np.add, (x[:, :, i::n] for i in range(n)))
    return functools.reduce(np.add, (rows[:, :, :, i::n] for i in range(n)))
