"""Networks that denoise: an MLP, a UNet, and what a denoiser is told besides the noisy thing.

A network that denoises is called as `net(x, t, label=None)`: x (B, *shape) noisy, t (B,) or one
number in [0, 1], label (B,) integers or None. It returns a Tensor shaped like x, and says the shape
of one example in `net.shape`.
"""

import math
from itertools import pairwise

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, nn, ops
from minigen.tensor import Tensor

GROUPS = 8  # of channels, in group normalisation


class Conditioning:
    """What a denoiser is told besides x: the time, and perhaps a class, as one vector (B, width).

    Class number `classes` stands for "no class was given", so that one network learns both
    (Ho & Salimans 2022).
    """

    __repr__ = nn.describe

    def __init__(self, features: int, width: int, classes: int | None = None, *, rng) -> None:
        if features < 2 or features % 2:
            came = f"expected an even number of at least 2, got {features}"
            raise ValueError(f"time_features (of a Transformer: its width): {came}")
        self.features, self.width, self.classes = features, width, classes
        self.time = nn.Linear(features, width, rng=rng)
        self.label = None
        if classes is not None:
            arguments.whole(1, classes=classes)
            self.label = nn.Embedding(classes + 1, width, rng=rng, std=0.02)

    def __call__(self, t, label, batch: int) -> Tensor:
        vector = self.time(nn.sinusoidal(checked_times(t, batch), self.features))
        if self.label is None:
            if label is not None:
                raise ValueError("label: this network was built without classes")
            return vector
        if label is None:
            label = self.classes
        return vector + self.label(arguments.labels(label, batch, self.classes + 1))


class MLP:
    """A multi-layer perceptron that denoises points or small images.

    [x, time] -> hidden layers with SiLU -> x.

    Args:
        shape: of one example, e.g. (2,).
        width, layers: size and number of hidden layers.
        time_features: numbers that stand for the time, an even number.
        classes: number of classes, if it should be told one.
    """

    __repr__ = nn.describe

    def __init__(
        self, shape: tuple, width: int = 128, layers: int = 3, time_features: int = 64,
        classes: int | None = None, *, rng: Generator,
    ) -> None:  # fmt: skip
        arguments.whole(1, layers=layers)
        self.shape, self.width, self.layers = example_shape(shape), width, layers
        self.time_features, self.classes = time_features, classes
        size = math.prod(self.shape)
        self.first = nn.Linear(size, width, bias=False, rng=rng)
        self.conditioning = Conditioning(time_features, width, classes, rng=rng)
        self.hidden = [nn.Linear(width, width, rng=rng) for _ in range(layers - 1)]
        self.last = nn.Linear(width, size, rng=rng)

    def __call__(self, x, t, label=None) -> Tensor:
        arguments.examples(x, self.shape)
        told = self.conditioning(t, label, len(x))
        h = self.first(ops.reshape(x, (len(x), -1))) + told  # W [x, time] in two parts
        for layer in self.hidden:
            h = layer(ops.silu(h))
        return self.last(ops.silu(h)).reshape(x.shape)


class ResidualBlock:
    """x + conv(norm(conv(norm(x)))) with SiLU, told the time and class in between.

    (B, in, Y, X) -> (B, out, Y, X).
    """

    __repr__ = nn.describe

    def __init__(self, in_channels: int, out_channels: int, width: int, *, rng) -> None:
        self.in_channels, self.out_channels, self.width = in_channels, out_channels, width
        self.norm1 = nn.GroupNorm(GROUPS, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, rng=rng)
        self.shift = nn.Linear(width, out_channels, rng=rng)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, rng=rng)
        self.shortcut = None
        if in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, rng=rng)

    def __call__(self, x: Tensor, vector: Tensor) -> Tensor:
        h = self.conv1(ops.silu(self.norm1(x)))
        h = h + self.shift(vector).reshape(len(vector), -1, 1, 1)
        h = self.conv2(ops.silu(self.norm2(h)))
        return h + (x if self.shortcut is None else self.shortcut(x))


class PixelAttention:
    """x + attention(norm(x)), where every pixel looks at every pixel: (B, C, Y, X) to the same."""

    __repr__ = nn.describe

    def __init__(self, channels: int, heads: int, *, rng) -> None:
        self.channels, self.heads = channels, heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.attention = nn.Attention(channels, heads, rng=rng)

    def __call__(self, x: Tensor) -> Tensor:
        B, C, Y, X = x.shape
        pixels = self.norm(x).transpose(0, 2, 3, 1).reshape(B, Y * X, C)
        return x + self.attention(pixels).reshape(B, Y, X, C).transpose(0, 3, 1, 2)


class UNet:
    """A convolutional denoiser of images, shaped like a U.

    (Ronneberger et al. 2015; DDPM, appendix B.)

    Down: at each resolution a residual block, then half the size. At the lowest: block, attention,
    block. Up: twice the size by doubled pixels and a convolution, joined with what the way down
    knew at that size (so that detail need not pass the bottom), a block.

    Args:
        shape: of one image (C, Y, X); Y and X are halved len(channels) - 1 times.
        channels: at each resolution, from the full one down; multiples of 8, the groups of group
            normalisation.
        heads: of the attention at the lowest resolution.
        classes: number of classes, if it should be told one.
    """

    __repr__ = nn.describe

    def __init__(
        self, shape: tuple = (1, 8, 8), channels: tuple = (24, 48), heads: int = 4,
        classes: int | None = None, *, rng: Generator,
    ) -> None:  # fmt: skip
        if not channels or any(c < 1 or c % GROUPS for c in channels):
            raise ValueError(f"UNet: channels must be multiples of {GROUPS}, got {channels}")
        self.shape, smallest = example_shape(shape), 2 ** (len(channels) - 1)
        if len(shape) != 3 or shape[1] % smallest or shape[2] % smallest:
            expected = f"(C, Y, X) with Y and X multiples of {smallest}"
            raise ValueError(f"shape: expected {expected}, got {shape}")
        self.channels, self.heads, self.classes = tuple(channels), heads, classes
        width = 4 * channels[0]  # of the vector that tells time and class
        self.conditioning = Conditioning(width, width, classes, rng=rng)
        self.first = nn.Conv2d(shape[0], channels[0], 3, padding=1, rng=rng)
        steps_down = pairwise((channels[0], *channels))
        *self.down, self.middle1 = [ResidualBlock(i, o, width, rng=rng) for i, o in steps_down]
        self.attention = PixelAttention(channels[-1], heads, rng=rng)
        self.middle2 = ResidualBlock(channels[-1], channels[-1], width, rng=rng)
        enlarge = [nn.UpsampleConv2d(below, c, rng=rng) for c, below in pairwise(channels)]
        self.enlarge = enlarge[::-1]
        self.up = [ResidualBlock(2 * c, c, width, rng=rng) for c in channels[-2::-1]]
        self.norm = nn.GroupNorm(GROUPS, channels[0])
        # std=0: the untrained network answers 0
        self.last = nn.Conv2d(channels[0], shape[0], 3, padding=1, rng=rng, std=0.0)

    def __call__(self, x, t, label=None) -> Tensor:
        """Images (B, C, Y, X), times (B,) or a number, classes (B,) or None -> images."""
        arguments.examples(x, self.shape)
        vector = ops.silu(self.conditioning(t, label, len(x)))
        h = self.first(x)
        skips = []
        for block in self.down:
            skips.append(block(h, vector))
            h = ops.avg_pool2d(skips[-1], 2)
        h = self.middle2(self.attention(self.middle1(h, vector)), vector)
        for enlarge, block in zip(self.enlarge, self.up):
            h = block(ops.concatenate([enlarge(h), skips.pop()], axis=1), vector)
        return self.last(ops.silu(self.norm(h)))


# -- what may come in ----------------------------------------------------------------------------


def checked_times(t, batch: int) -> ndarray:
    """One time in [0, 1] for each example: (batch,)."""
    if t is None or np.shape(t) not in ((), (1,), (batch,)):
        came = "None" if t is None else f"an array of shape {np.shape(t)}"
        expected = f"a time for each of {batch} examples or one number"
        raise ValueError(f"t: expected {expected}, got {came}")
    times = np.broadcast_to(np.asarray(t, np.float64), batch)
    if not ((times >= 0) & (times <= 1)).all():
        raise ValueError(f"t: expected times in [0, 1], got {t}")
    return times


def example_shape(shape) -> tuple[int, ...]:
    """The shape of one example, as positive integers."""
    sides = shape if isinstance(shape, (tuple, list)) else ()
    if not sides or not all(isinstance(n, (int, np.integer)) and n > 0 for n in sides):
        raise ValueError(f"shape: expected that of one example, such as (2,), got {shape!r}")
    return tuple(int(n) for n in sides)
