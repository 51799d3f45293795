"""What convolutional networks need: conv2d, group_norm, up- and down-sampling, as differentiable primitives.

Images have the shape (B, C, Y, X) of `torch.nn.functional`, but here the C numbers of a pixel lie side by side in
memory (PyTorch calls that layout channels_last): then a convolution is a matrix product of flat rows. Every function
below starts with a transpose to (B, Y, X, C), free for what another one made, and elementwise ops keep the layout.
"""

import functools
import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigen.tensor import joint_op, ones, op

COLUMNS = 2**18  # numbers in the patches multiplied at a time: a megabyte, so that they stay in the cache


@op
def conv2d(x, weight, bias=None, stride=1, padding=0):
    """out[b, o, y, x] = bias[o] + sum_cij weight[o, c, i, j] padded[b, c, stride y + i, stride x + j].

    Shapes: x (B, C, Y, X), weight (out, C, k, k), bias (out,) -> (B, out, Y', X'),
    Y' = (Y + 2 padding - k) // stride + 1.
    """
    if x.ndim != 4 or weight.ndim != 4 or weight.shape[1] != x.shape[1] or weight.shape[2] != weight.shape[3]:
        raise ValueError("x is (B, C, Y, X), weight (out, C, k, k)")
    O, C, k, _ = weight.shape
    if min(x.shape[2:]) + 2 * padding < k:
        raise ValueError(f"a {k}x{k} filter does not fit into the image, with a padding of {padding}")
    kernel = weight.transpose(2, 3, 1, 0)  # (k, k, C, O)
    x = x.transpose(0, 2, 3, 1)
    padded = _pad(x, padding)
    out = _convolve(padded, kernel, stride)
    if bias is not None:
        out += bias

    turned = stride == 1 and padding < k  # then x and out may change places in the formula

    def vjp_x(g):
        g = g.transpose(0, 2, 3, 1)  # (B, Y', X', O)
        if turned:  # a convolution with the kernel turned by half a circle
            d = _convolve(_pad(g, k - 1 - padding), kernel[::-1, ::-1].swapaxes(2, 3), 1)
            return d.transpose(0, 3, 1, 2)
        d = np.zeros(padded.shape, g.dtype)
        for i, j in np.ndindex(k, k):  # what out[y, x] saw through weight[i, j] was padded[stride y + i, stride x + j]
            d[:, i:, j:][:, ::stride, ::stride][:, : g.shape[1], : g.shape[2]] += g @ kernel[i, j].T
        _, Y, X, _ = x.shape
        return d[:, padding : padding + Y, padding : padding + X].transpose(0, 3, 1, 2)

    def vjp_weight(g):
        g = g.transpose(0, 2, 3, 1)
        if turned and O < C:  # the patches of g are smaller than those of x
            return _correlate(_pad(g, k - 1 - padding), k, 1, x)[::-1, ::-1].transpose(2, 3, 0, 1)
        return _correlate(padded, k, stride, g).transpose(3, 2, 0, 1)

    def vjp_bias(g):
        rows = g.transpose(0, 2, 3, 1).reshape(-1, O)
        return ones(len(rows), g.dtype) @ rows

    return out.transpose(0, 3, 1, 2), vjp_x, vjp_weight, vjp_bias


def _pad(x, padding):
    """(B, Y, X, C) with zeros around Y and X, contiguous."""
    if padding == 0:
        return np.ascontiguousarray(x)
    B, Y, X, C = x.shape
    padded = np.zeros((B, Y + 2 * padding, X + 2 * padding, C), x.dtype)
    padded[:, padding:-padding, padding:-padding] = x
    return padded


def _patches(x, k, stride):
    """The k x k patches of x (B, Y, X, C), a few images at a time: which images, and (images Y' X', k k C)."""
    B, Y, X, C = x.shape
    image, row, column, number = x.strides
    shape = B, (Y - k) // stride + 1, (X - k) // stride + 1, k, k * C  # k neighbours in a row lie side by side
    patches = as_strided(x, shape, (image, stride * row, stride * column, row, number), writeable=False)
    step = max(1, COLUMNS // max(1, shape[1] * shape[2] * k * k * C))
    for start in range(0, B, step):
        some = slice(start, start + step)
        yield some, patches[some].reshape(-1, k * k * C)


def _convolve(x, kernel, stride):
    """(B, Y, X, C) with kernel (k, k, C, O) -> (B, Y', X', O)."""
    k, _, C, O = kernel.shape
    matrix = kernel.reshape(k * k * C, O)
    out = np.empty((len(x), (x.shape[1] - k) // stride + 1, (x.shape[2] - k) // stride + 1, O), x.dtype)
    for some, columns in _patches(x, k, stride):
        np.matmul(columns, matrix, out=out[some].reshape(-1, O))
    return out


def _correlate(x, k, stride, y):
    """d[i, j, c, o] = sum_byx x[b, stride y + i, stride x + j, c] y[b, y, x, o]: (k, k, C, O)."""
    C, O = x.shape[3], y.shape[3]
    d = np.zeros((k * k * C, O), x.dtype)
    for some, columns in _patches(x, k, stride):
        d += columns.T @ y[some].reshape(-1, O)
    return d.reshape(k, k, C, O)


@joint_op
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over each group of C / num_groups channels (Wu & He 2018).

    Shapes: x (B, C, ...), weight (C,), bias (C,).
    """
    B, C = x.shape[:2]
    if C % num_groups:
        raise ValueError(f"{C} channels do not divide into {num_groups} groups")
    last = np.moveaxis(x, 1, -1)
    rows = B, math.prod(x.shape[2:]), C
    z = last.reshape(rows)
    pixels = ones(z.shape[1], x.dtype)
    scale = ones(C, x.dtype) if weight is None else weight

    def group_mean(totals):  # (B, C), sums over pixels -> (B, 1, C), the same number for the channels of a group
        groups = totals.reshape(B, num_groups, C // num_groups)
        means = groups.sum(axis=2, keepdims=True) / max(1, groups.shape[2] * len(pixels))
        return np.broadcast_to(means, groups.shape).reshape(B, 1, C)

    z = z - group_mean(pixels @ z)
    inverse = 1 / np.sqrt(group_mean(pixels @ (z * z)) + x.dtype.type(eps))  # of the deviation
    y = z * (inverse * scale)
    if bias is not None:
        y += bias

    def vjp(g):
        g = np.moveaxis(g, 1, -1).reshape(rows)
        gz = g * z
        g_sum, gz_sum = pixels @ g, (pixels @ gz) * inverse[:, 0]  # (B, C), by normalised z
        # with h = g * weight and n = normalised z: (h - mean(h) - n mean(h n)) / deviation
        d = g * (inverse * scale)
        d -= inverse * group_mean(g_sum * scale)
        d -= np.multiply(z, inverse * inverse * group_mean(gz_sum * scale), out=gz)
        d = np.moveaxis(d.reshape(last.shape), -1, 1)
        return d, None, gz_sum.sum(axis=0), g_sum.sum(axis=0)

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
    """(B, C, Y, X) -> (B, C, Y n, X n), and its transpose:"""
    B, C, Y, X = x.shape
    blocks = np.broadcast_to(x.transpose(0, 2, 3, 1)[:, :, None, :, None], (B, Y, n, X, n, C))
    return blocks.reshape(B, Y * n, X * n, C).transpose(0, 3, 1, 2)


def _sum_blocks(x, n):
    """(B, C, Y n, X n) -> (B, C, Y, X)."""
    rows = functools.reduce(np.add, (x[:, :, i::n] for i in range(n)))
    return functools.reduce(np.add, (rows[:, :, :, i::n] for i in range(n)))
