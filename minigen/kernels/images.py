"""What convolutional networks need besides convolutions: group_norm, up- and down-sampling.

Images have the shape (B, C, Y, X) of `torch.nn.functional`, but here the C numbers of a pixel lie
side by side in memory (PyTorch calls that layout channels_last). Every function begins with a
transpose to (B, Y, X, C), free for what another one made, and elementwise ops keep the layout.
"""

import functools
import math

import numpy as np

from minigen.tensor import joint_op, ones, op


@joint_op
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over each group of channels.

    There are num_groups of them (Wu & He 2018). Shapes: x (B, C, ...), weight (C,), bias (C,).
    """
    B, C = x.shape[:2]
    width, rest = divmod(C, num_groups)
    if rest:
        raise ValueError(f"{C} channels do not divide into {num_groups} groups")
    for parameter in (weight, bias):
        if parameter is not None and parameter.shape != (C,):
            raise ValueError(f"weight and bias are ({C},), one number a channel")
    last = np.moveaxis(x, 1, -1)
    z = last.reshape(B, math.prod(x.shape[2:]), C)
    pixels = ones(z.shape[1], x.dtype)
    scale = ones(C, x.dtype) if weight is None else weight

    def group_mean(totals):
        """(B, C), sums over pixels -> (B, 1, C), the same number for all channels of a group."""
        in_groups = totals.reshape(B * num_groups, width) @ ones(width, x.dtype)
        means = in_groups / max(1, width * len(pixels))
        return means.repeat(width).reshape(B, 1, C)

    firsts = z[:, :1, ::width].repeat(width, axis=2)
    z = z - firsts  # so that groups far from 0 lose no digits in their means
    z -= group_mean(pixels @ z)
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
        return d, None, gz_sum.sum(axis=0), g_sum.sum(axis=0)

    return np.moveaxis(y.reshape(last.shape), -1, 1), vjp, None, vjp, vjp


@op
def interpolate(x, scale_factor):
    """Nearest-neighbour upsampling: every pixel becomes scale_factor x scale_factor pixels.

    Shape: x (B, C, Y, X).
    """
    if scale_factor < 1:
        raise ValueError(f"scale_factor is at least 1, got {scale_factor}")
    return _repeat_pixels(x, scale_factor), lambda g: _sum_blocks(g, scale_factor)


@op
def avg_pool2d(x, kernel_size):
    """Mean of each block of kernel_size x kernel_size pixels, which divides Y and X.

    Shape: x (B, C, Y, X).
    """
    if kernel_size < 1 or x.shape[2] % kernel_size or x.shape[3] % kernel_size:
        raise ValueError(f"height and width divide by kernel_size, {kernel_size}")
    scale = x.dtype.type(kernel_size**-2)
    return _sum_blocks(x, kernel_size) * scale, lambda g: _repeat_pixels(g * scale, kernel_size)


def _repeat_pixels(x, n):
    """(B, C, Y, X) -> (B, C, Y n, X n): the transpose of `_sum_blocks`."""
    B, C, Y, X = x.shape
    blocks = x.transpose(0, 2, 3, 1)[:, :, None, :, None]
    blocks = np.broadcast_to(blocks, (B, Y, n, X, n, C))
    return blocks.reshape(B, Y * n, X * n, C).transpose(0, 3, 1, 2)


def _sum_blocks(x, n):
    """(B, C, Y n, X n) -> (B, C, Y, X)."""
    rows = functools.reduce(np.add, (x[:, :, i::n] for i in range(n)))
    return functools.reduce(np.add, (rows[:, :, :, i::n] for i in range(n)))
