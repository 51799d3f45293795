"""Networks that denoise: an MLP, a UNet, and what a denoiser is told besides the noisy thing.

A network that denoises is called as `net(x, t, label=None)`: x (B, *shape) noisy, t (B,) or one
number in [0, 1], label (B,) integers or None. It returns a Tensor shaped like x, and says the shape
of one example in `net.shape`.
"""

from itertools import pairwise

import numpy as np

from minigen import nn, ops
from minigen.tensor import Tensor

GROUPS = 8  # of channels, in group normalisation


class Conditioning:
    """What a denoiser is told besides x: the time, and perhaps a class, as one vector (B, width).

    Class number `classes` stands for "no class was given", so that one network learns both (Ho & Salimans 2022).
    """

    def __init__(self, features: int, width: int, classes: int | None = None, *, rng) -> None:
        self.features, self.classes = features, classes
        self.time = nn.Linear(features, width, rng=rng)
        self.label = nn.Embedding(classes + 1, width, rng=rng, std=0.02) if classes else None

    def __call__(self, t, label, batch: int) -> Tensor:
        vector = self.time(nn.sinusoidal(np.broadcast_to(t, batch), self.features))
        if self.label is None:
            if label is not None:
                raise ValueError("label: this network was built without classes")
            return vector
        return vector + self.label(
            np.full(batch, self.classes) if label is None else np.broadcast_to(label, batch)
        )


class MLP:
    """A multi-layer perceptron that denoises points or small images: [x, time] -> hidden layers with SiLU -> x.

    Args:
        shape: of one example, e.g. (2,).
        width, layers: size and number of hidden layers.
        time_features: numbers that stand for the time.
        classes: number of classes, if it should be told one.
    """

    def __init__(
        self,
        shape,
        width: int = 128,
        layers: int = 3,
        time_features: int = 64,
        classes=None,
        *,
        rng,
    ) -> None:
        self.shape, self.width, self.layers = shape, width, layers
        self.time_features, self.classes = time_features, classes
        size = int(np.prod(shape))
        self.first = nn.Linear(size, width, bias=False, rng=rng)
        self.conditioning = Conditioning(time_features, width, classes, rng=rng)
        self.hidden = [nn.Linear(width, width, rng=rng) for _ in range(layers - 1)]
        self.last = nn.Linear(width, size, rng=rng)

    def __call__(self, x, t, label=None) -> Tensor:
        check_examples(x, self.shape)
        h = self.first(ops.reshape(x, (len(x), -1))) + self.conditioning(
            t, label, len(x)
        )  # W [x, time] in two parts
        for layer in self.hidden:
            h = layer(ops.silu(h))
        return self.last(ops.silu(h)).reshape(x.shape)


class ResidualBlock:
    """x + conv(norm(conv(norm(x)))) with SiLU, told the time and class in between: (B, in, Y, X) -> (B, out, Y, X)."""

    def __init__(self, in_channels: int, out_channels: int, width: int, *, rng) -> None:
        self.norm1 = nn.GroupNorm(GROUPS, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, rng=rng)
        self.shift = nn.Linear(width, out_channels, rng=rng)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, rng=rng)
        self.shortcut = (
            nn.Conv2d(in_channels, out_channels, 1, rng=rng)
            if in_channels != out_channels
            else None
        )

    def __call__(self, x: Tensor, vector: Tensor) -> Tensor:
        h = self.conv1(ops.silu(self.norm1(x)))
        h = h + self.shift(vector).reshape(len(vector), -1, 1, 1)
        h = self.conv2(ops.silu(self.norm2(h)))
        return h + (x if self.shortcut is None else self.shortcut(x))


class PixelAttention:
    """x + attention(norm(x)), where every pixel looks at every pixel: (B, C, Y, X) -> (B, C, Y, X)."""

    def __init__(self, channels: int, heads: int, *, rng) -> None:
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.attention = nn.Attention(channels, heads, rng=rng)

    def __call__(self, x: Tensor) -> Tensor:
        B, C, Y, X = x.shape
        pixels = self.norm(x).transpose(0, 2, 3, 1).reshape(B, Y * X, C)
        return x + self.attention(pixels).reshape(B, Y, X, C).transpose(0, 3, 1, 2)


class UNet:
    """A convolutional denoiser of images, shaped like a U (Ronneberger et al. 2015; DDPM, appendix B).

    Down: at each resolution a residual block, then half the size. At the lowest: block, attention, block. Up: twice the
    size by doubled pixels and a convolution, joined with what the way down knew at that size (so that detail need not
    pass the bottom), a block.

    Args:
        shape: of one image (C, Y, X); Y and X are halved len(channels) - 1 times.
        channels: at each resolution, from the full one down; multiples of 8, the groups of group normalisation.
        heads: of the attention at the lowest resolution.
        classes: number of classes, if it should be told one.
    """

    def __init__(
        self, shape: tuple = (1, 8, 8), channels: tuple = (24, 48), heads: int = 4, classes: int | None = None, *,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        smallest = 2 ** (len(channels) - 1)
        if len(shape) != 3 or shape[1] % smallest or shape[2] % smallest:
            raise ValueError(
                f"UNet: shape must be (C, Y, X) with Y and X multiples of {smallest}, got {shape}"
            )
        if any(c % GROUPS for c in channels) or channels[-1] % heads:
            raise ValueError(
                f"UNet: channels must be multiples of {GROUPS}, the last one of heads; got {channels}"
            )
        self.shape, self.channels, self.heads, self.classes = shape, channels, heads, classes
        width = 4 * channels[0]  # of the vector that tells time and class
        self.conditioning = Conditioning(width, width, classes, rng=rng)
        self.first = nn.Conv2d(shape[0], channels[0], 3, padding=1, rng=rng)
        *self.down, self.middle1 = [
            ResidualBlock(i, o, width, rng=rng) for i, o in pairwise((channels[0], *channels))
        ]
        self.attention = PixelAttention(channels[-1], heads, rng=rng)
        self.middle2 = ResidualBlock(channels[-1], channels[-1], width, rng=rng)
        self.enlarge = [nn.UpsampleConv2d(below, c, rng=rng) for c, below in pairwise(channels)][
            ::-1
        ]
        self.up = [ResidualBlock(2 * c, c, width, rng=rng) for c in channels[-2::-1]]
        self.norm = nn.GroupNorm(GROUPS, channels[0])
        self.last = nn.Conv2d(
            channels[0], shape[0], 3, padding=1, rng=rng, std=0.0
        )  # starts with the answer 0

    def __call__(self, x, t, label=None) -> Tensor:
        """Images (B, C, Y, X), times (B,) or a number, classes (B,) or None -> images (B, C, Y, X)."""
        check_examples(x, self.shape)
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


def check_examples(x, shape: tuple) -> None:
    if x.shape[1:] != tuple(shape) or not len(x):
        raise ValueError(
            f"x: expected one or more examples of shape {tuple(shape)}, got an array of shape {x.shape}"
        )
