"""The one Transformer of all families; the mask says who may look at whom (Vaswani et al. 2017).

One body and two doors into it: tokens, or patches of an image. A mask is handed in at every call:
nothing ("full": everywhere, diffusion), `causal_mask` (to the left: autoregression), or
`block_mask` (own block and blocks to the left: what lies between the two).
"""

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, nn, ops
from minigen.networks.denoisers import Conditioning
from minigen.tensor import Tensor

# -- who may look at whom --------------------------------------------------------------------------


def causal_mask(length: int, start: int = 0) -> ndarray:
    """(L - start, L) booleans: position i = start, ... (row) may look at itself and to its left."""
    return block_mask(length, 1, start)


def block_mask(length: int, block_size: int, start: int = 0) -> ndarray:
    """(L - start, L) booleans: position i may look at its own block and the blocks to its left.

    Blocks of one position give the causal mask, one block of all L the full one.
    """
    arguments.whole(1, block_size=block_size)
    block = np.arange(length) // block_size
    return block <= block[start:, None]


# -- the body --------------------------------------------------------------------------------------


class Layer:
    """Normalised first (Xiong et al. 2020): x + attention(norm(x)), x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, layers: int, *, rng) -> None:
        # GPT-2's 0.02 at its width of 768; here 0.02 learns far more slowly
        std = 0.6 * width**-0.5
        out_std = std * (2 * layers) ** -0.5  # as GPT-2: 2 layers additions to the residual stream
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.attention = nn.Attention(width, heads, rng=rng, std=std, out_std=out_std)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False, rng=rng, std=std)
        self.down = nn.Linear(4 * width, width, bias=False, rng=rng, std=out_std)

    def __call__(self, x, mask=None, cache=None) -> Tensor:
        x = x + self.attention(self.norm1(x), mask, cache)
        return x + self.down(ops.gelu(self.up(self.norm2(x))))


class Transformer:
    """The body: says where each vector stands, then layers that look where the mask allows.

    Args:
        context: number of different positions.
        layers, heads, width: size.
    """

    def __init__(
        self, context: int | None = None, layers: int = 4, heads: int = 4, width: int = 128, *,
        rng: Generator, **door,
    ) -> None:  # fmt: skip
        if door or context is None:
            raise TypeError(
                "Transformer is the body alone: TokenTransformer(vocab_size, context, ...) is for "
                f"tokens, PatchTransformer(shape, ...) for images; got {context=}, {door}"
            )
        arguments.whole(1, context=context, layers=layers, heads=heads, width=width)
        self.context, self.layers, self.heads, self.width = context, layers, heads, width
        self.positions = nn.Embedding(context, width, rng=rng, std=width**-0.5)
        self.blocks = [Layer(width, heads, layers, rng=rng) for _ in range(layers)]
        self.norm = nn.LayerNorm(width, bias=False)

    __repr__ = nn.describe

    def __call__(self, h, mask=None, positions=None, caches=None) -> Tensor:
        """Vectors (B, L, C) -> (B, L, C).

        Args:
            mask: (L, L) booleans, True where a position (row) may look; None: everywhere.
            positions: (L,) integers, where each vector stands; 0, 1, 2, ... if not given.
            caches: of `new_caches`; h then holds what follows what they have seen, and the mask
                has a row for each new position, a column for each one seen or new.
        """
        h = self._placed(h, positions, caches)
        mask = None if mask is None else ops.additive_mask(mask)
        for layer, cache in zip(self.blocks, caches or [None] * self.layers):
            h = layer(h, mask, cache)
        return self.norm(h)

    def _placed(self, h, positions=None, caches=None) -> Tensor:
        """h, and beside each vector where it stands."""
        start = caches[0].seen if caches else 0
        end = start + h.shape[1]
        if positions is None:
            positions = slice(start, end)
        elif len(positions) == h.shape[1]:
            end = np.max(positions) + 1
        else:
            raise ValueError(f"positions: expected {h.shape[1]} of them, got {len(positions)}")
        if end > self.context:
            name = type(self).__name__
            raise ValueError(f"{name}: {end} positions, but its context is {self.context}")
        return h + self.positions.weight[positions]  # a slice, as a rule: no need to look up

    def new_caches(self, batch: int) -> list[nn.KeyValueCache]:
        """Empty caches, one a layer."""
        return [nn.KeyValueCache(batch, self.context, self.width) for _ in self.blocks]

    def attention_maps(self, h, mask=None) -> ndarray:
        """Who looks at whom, in every layer: (B, layers, H, L, L), rows sum to 1."""
        h, maps = self._placed(h), []
        for layer in self.blocks:
            maps.append(layer.attention.weights(layer.norm1(h), mask))
            h = layer(h, mask)
        return np.stack(maps, axis=1)


# -- the doors -------------------------------------------------------------------------------------


class TokenTransformer(Transformer):
    """Tokens (B, L) -> logits (B, L, V); the output is tied to the embedding.

    Args:
        vocab_size: V, number of tokens that it predicts.
        context, layers, heads, width: of the body.
        extra_tokens: tokens that are read but never predicted (a start token, a mask token),
            numbered from vocab_size on.
    """

    def __init__(
        self, vocab_size: int, context: int, layers: int = 4, heads: int = 4, width: int = 128,
        extra_tokens: int = 0, *, rng: Generator,
    ) -> None:  # fmt: skip
        arguments.whole(1, vocab_size=vocab_size, width=width)
        self.vocab_size, self.extra_tokens = vocab_size, extra_tokens
        self.tokens = nn.Embedding(vocab_size + extra_tokens, width, rng=rng, std=width**-0.5)
        super().__init__(context, layers, heads, width, rng=rng)

    def __call__(self, x, mask=None, positions=None, caches=None) -> Tensor:
        h = super().__call__(self.tokens(x), mask, positions, caches)
        predicted = self.tokens.weight[: self.vocab_size]
        return ops.linear(h, predicted)

    def attention_maps(self, x, mask=None) -> ndarray:
        return super().attention_maps(self.tokens(x), mask)


class PatchTransformer(Transformer):
    """Images (B, C, Y, X), a time and perhaps a class -> images: a denoiser, see `denoisers`.

    Args:
        shape: of one image (C, Y, X).
        patch: side of the square patches it is cut into; each is one position.
        layers, heads, width: of the body; width is even, for the sines and cosines of the time.
        classes: number of classes, if it should be told one.
    """

    def __init__(
        self, shape: tuple = (1, 8, 8), patch: int = 2, layers: int = 4, heads: int = 4,
        width: int = 128, classes: int | None = None, *, rng: Generator,
    ) -> None:  # fmt: skip
        if len(shape) != 3 or patch < 1 or shape[1] % patch or shape[2] % patch:
            raise ValueError(f"patch: squares of side {patch} do not tile an image of {shape}")
        self.shape, self.patch, self.classes = tuple(shape), patch, classes
        C, Y, X = shape
        self.inputs = nn.Linear(C * patch**2, width, rng=rng)
        self.outputs = nn.Linear(width, C * patch**2, rng=rng, std=0.02)
        self.conditioning = Conditioning(width, width, classes, rng=rng)
        super().__init__((Y // patch) * (X // patch), layers, heads, width, rng=rng)

    def __call__(self, x, t, label=None) -> Tensor:
        arguments.examples(x, self.shape)
        vector = self.conditioning(t, label, len(x))  # (B, C)
        h = self.inputs(self._cut(x)) + vector.reshape(len(x), 1, -1)
        return self._joined(self.outputs(super().__call__(h)))

    def _cut(self, x) -> Tensor:
        """Images (B, C, Y, X) -> patches as vectors (B, L, C p p)."""
        (C, Y, X), p = self.shape, self.patch
        grid = ops.reshape(x, (len(x), C, Y // p, p, X // p, p))
        return grid.transpose(0, 2, 4, 1, 3, 5).reshape(len(x), self.context, -1)

    def _joined(self, patches: Tensor) -> Tensor:
        """The inverse of `_cut`."""
        (C, Y, X), p = self.shape, self.patch
        grid = patches.reshape(len(patches), Y // p, X // p, C, p, p)
        return grid.transpose(0, 3, 1, 4, 2, 5).reshape(len(patches), C, Y, X)
