"""The one Transformer of all families: the mask says who may look at whom (Vaswani et al. 2017)."""

import numpy as np

from minigen import nn, ops
from minigen.networks.denoisers import Conditioning, check_examples
from minigen.tensor import Tensor


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
        check_examples(x, self.shape)
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
