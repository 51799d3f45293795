"""Networks: an MLP, a UNet, and the one Transformer, whose mask decides which family it serves.

A network that denoises is called as `net(x, t, label=None)`: x (B, *shape) noisy, t (B,) or one number in [0, 1],
label (B,) integers or None. It returns a Tensor shaped like x, and says the shape of one example in `net.shape`.
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
        _check_examples(x, self.shape)
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
        _check_examples(x, self.shape)
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


class Block:
    """One Transformer layer, normalised first: x + attention(norm(x)), then x + mlp(norm(x)) (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, layers: int, *, rng) -> None:
        std = (
            0.6 * width**-0.5
        )  # GPT-2's 0.02 at its width of 768; at ours, 0.02 learns far more slowly
        out_std = std * (2 * layers) ** -0.5  # as GPT-2: 2 layers additions to the residual stream
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.attention = nn.Attention(width, heads, rng=rng, std=std, out_std=out_std)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False, rng=rng, std=std)
        self.down = nn.Linear(4 * width, width, bias=False, rng=rng, std=out_std)

    def __call__(self, x, mask, cache=None) -> Tensor:
        x = x + self.attention(self.norm1(x), mask, cache)
        return x + self.down(ops.gelu(self.up(self.norm2(x))))


class Transformer:
    """The one Transformer of both families: of tokens, or of image patches; the mask says who may look at whom.

    Args:
        vocab_size: number of tokens it predicts (for tokens), with the output tied to the embedding; or
        shape, patch: of one image (C, Y, X) and the side of the square patches it is cut into (for images).
        context: most positions it can see (for tokens; an image has one position a patch).
        layers, heads, width: size of the body.
        mask: "causal" (a position looks at itself and to its left: autoregression), "full" (everywhere: diffusion),
            "block" (at its own block of `block_size` positions and the blocks to its left: the hybrid).
        extra_tokens: tokens that are read but never predicted (a start token, a mask token), numbered from vocab_size.
        time: whether it is told the time (always for images).
        classes: number of classes, if it should be told one.
    """

    def __init__(
        self, vocab_size: int | None = None, context: int | None = None, layers: int = 4, heads: int = 4,
        width: int = 128, mask: str = "causal", *, shape: tuple | None = None, patch: int = 2, block_size: int = 1,
        extra_tokens: int = 0, time: bool = False, classes: int | None = None, rng: np.random.Generator,
    ) -> None:  # fmt: skip
        if (vocab_size is None) == (shape is None):
            raise ValueError(
                "Transformer: give vocab_size (tokens) or shape (images), one of the two"
            )
        if shape is not None and (shape[1] % patch or shape[2] % patch):
            raise ValueError(
                f"Transformer: patches of side {patch} do not tile an image of shape {shape}"
            )
        self.vocab_size, self.layers, self.heads, self.width, self.mask = (
            vocab_size,
            layers,
            heads,
            width,
            mask,
        )
        self.shape, self.patch, self.block_size, self.extra_tokens = (
            shape,
            patch,
            block_size,
            extra_tokens,
        )
        self.time, self.classes = time, classes
        if shape is None:
            self.context = context
            self.tokens = nn.Embedding(vocab_size + extra_tokens, width, rng=rng, std=width**-0.5)
        else:
            self.context = shape[1] * shape[2] // patch**2
            self.inputs = nn.Linear(shape[0] * patch**2, width, rng=rng)
            self.outputs = nn.Linear(width, shape[0] * patch**2, rng=rng, std=0.02)
        self.positions = nn.Embedding(self.context, width, rng=rng, std=width**-0.5)
        self.conditioning = (
            Conditioning(width, width, classes, rng=rng) if time or classes or shape else None
        )
        self.blocks = [Block(width, heads, layers, rng=rng) for _ in range(layers)]
        self.norm = nn.LayerNorm(width, bias=False)
        self._mask = ops.additive_mask(attention_mask(mask, self.context, block_size))

    def __call__(
        self, x, t=None, label=None, caches: list[nn.KeyValueCache] | None = None
    ) -> Tensor:
        """Tokens (B, L) -> logits (B, L, V); images (B, C, Y, X) -> images. Given caches, x holds the new tokens."""
        if self.shape is None:
            h = self.body(self.tokens(x), t, label, caches)
            head = (
                self.tokens.weight[: self.vocab_size] if self.extra_tokens else self.tokens.weight
            )
            return ops.linear(h, head)
        _check_examples(x, self.shape)
        (C, Y, X), p = self.shape, self.patch
        grid = (len(x), C, Y // p, p, X // p, p)
        patches = ops.transpose(ops.reshape(x, grid), (0, 2, 4, 1, 3, 5)).reshape(
            len(x), self.context, -1
        )
        out = self.outputs(self.body(self.inputs(patches), t, label))  # (B, L, C p p)
        out = out.reshape(len(x), Y // p, X // p, C, p, p)
        return out.transpose(0, 3, 1, 4, 2, 5).reshape(x.shape)

    def body(self, h: Tensor, t=None, label=None, caches=None, maps: list | None = None) -> Tensor:
        """Positions, layers and the last norm: (B, L, C) -> (B, L, C). Adds every layer's attention weights to maps."""
        start = caches[0].seen if caches else 0
        end = start + h.shape[1]
        if end > self.context:
            raise ValueError(f"Transformer: {end} positions, but its context is {self.context}")
        h = h + self.positions.weight[start:end]
        if self.conditioning is not None:
            h = h + self.conditioning(t, label, len(h)).reshape(len(h), 1, -1)
        mask = None if self.mask == "full" else self._mask[start:end, :end]
        for i, block in enumerate(self.blocks):
            if maps is not None:
                maps.append(block.attention.weights(block.norm1(h), mask))
            h = block(h, mask, caches[i] if caches else None)
        return self.norm(h)

    def new_caches(self, batch: int) -> list[nn.KeyValueCache]:
        """Empty caches, one a layer."""
        return [nn.KeyValueCache(batch, self.context, self.width) for _ in self.blocks]

    def attention_maps(self, x: np.ndarray) -> np.ndarray:
        """Who looks at whom, for tokens x (B, L): (B, layers, H, L, L)."""
        maps = []
        self.body(self.tokens(x), maps=maps)
        return np.stack(maps, axis=1)


def attention_mask(kind: str, length: int, block_size: int = 1) -> np.ndarray:
    """(L, L) booleans, True where position i (row) may look at position j: "causal", "full" or "block"."""
    sizes = {
        "causal": 1,
        "block": block_size,
        "full": length,
    }  # blocks of one position, and all in one block
    if kind not in sizes or block_size < 1:
        raise ValueError(
            f'mask: expected "causal", "full" or "block" and block_size >= 1, got {kind!r}, {block_size}'
        )
    block = np.arange(length) // sizes[kind]
    return block <= block[:, None]


def _check_examples(x, shape: tuple) -> None:
    if x.shape[1:] != tuple(shape) or not len(x):
        raise ValueError(
            f"x: expected one or more examples of shape {tuple(shape)}, got an array of shape {x.shape}"
        )
