"""Masked diffusion: tokens hidden at random, and a network that says what stands there.

The absorbing state of D3PM (Austin et al. 2021), with the bound of Sahoo et al. (2024) and Shi et
al. (2024). Training hides random positions; one step of sampling commits to some of them.
"""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, nn, ops, sampling
from minigen.models.protocol import Walks
from minigen.networks import TokenTransformer
from minigen.schedules import even_draws
from minigen.tensor import Tensor, no_grad

ROWS_AT_ONCE = 64  # read in sampling: what is made of so many stays in the processor's cache
ORDERS = {"random": sampling.at_random, "confidence": sampling.by_confidence}


class MaskedDiffusion(Walks):
    """A diffusion model of sequences of tokens 0 .. vocab_size - 1; token vocab_size is the mask.

    Args:
        vocab_size: V, number of different tokens.
        context: L, how many positions there are.
        layers, heads, width: size of the Transformer.
        weighting: of the loss: "simple" (all hidden tokens alike) or "bound" (as they count there).
    """

    def __init__(
        self, vocab_size: int, context: int, layers: int = 4, heads: int = 4, width: int = 128,
        weighting: str = "simple", *, rng: Generator,
    ) -> None:  # fmt: skip
        arguments.one_of(("simple", "bound"), weighting=weighting)
        self.vocab_size, self.context, self.weighting = vocab_size, context, weighting
        self.layers, self.heads, self.width = layers, heads, width
        self.network = TokenTransformer(
            vocab_size, context, layers, heads, width, extra_tokens=1, rng=rng
        )

    __repr__ = nn.describe
    _part = "row"  # what is hidden, and weighted, by itself

    # -- hide: some positions ----------------------------------------------------------------------

    def q_sample(self, x: ndarray, hidden: ndarray) -> ndarray:
        """x (B, L), the mask token where `hidden` (B, L) is true."""
        return np.where(hidden, self.vocab_size, x)

    def hide(self, x: ndarray, rng: Generator) -> ndarray:
        """What to hide of x (B, L), booleans: k positions of each row, k uniform on 1 .. L.

        The k are spread evenly over the batch, and which positions are hidden is drawn.
        """
        B, L = x.shape
        u = arguments.generator(rng).permutation(even_draws(B, rng))  # permuted, for they rise
        k = 1 + np.floor(u * L)
        return sampling.ranks(rng.random((B, L))) < k[:, None]

    def weights(self, hidden: ndarray) -> ndarray:
        """L / k where hidden (B, L) is true, 0 elsewhere: how a token counts in the bound.

        Uniform k with L / k is uniform t with 1 / t, each position hidden with probability t,
        after integrating over t: the same mean and less variance.
        """
        k, L = hidden.sum(axis=1, keepdims=True), hidden.shape[1]
        if not k.all():
            none = f"got none in {(k == 0).sum()} of {len(k)}"
            raise ValueError(f"hidden: expected something in every {self._part}, {none}")
        return hidden * (L / k)

    def _given(self, x: ndarray, hidden: ndarray) -> ndarray:
        """The `hidden` that was handed in, for tokens x."""
        hidden = np.asarray(hidden)
        if hidden.dtype != bool or hidden.shape != x.shape:
            came = f"{hidden.dtype} {hidden.shape}"
            raise ValueError(f"hidden: expected booleans of shape {x.shape}, got {came}")
        self.weights(hidden)  # refuses one that hides nothing somewhere
        return hidden

    # -- predict -----------------------------------------------------------------------------------

    def predict(self, x: ndarray, hidden: ndarray) -> Tensor:
        """Logits (B, L, V) of every position, given x (B, L) where it is not hidden."""
        return self.network(self.q_sample(x, hidden))

    # -- loss --------------------------------------------------------------------------------------

    def loss(self, x: ndarray, rng: Generator, *, hidden=None) -> Tensor:
        """-log p of what is hidden, nats per token, weighted as `weighting` says.

        Args:
            x: (B, L) integer tokens, L <= context.
            hidden: (B, L) booleans, some true in every row, to use instead of drawing them.
        """
        x = self._checked(x)
        hidden = self.hide(x, rng) if hidden is None else self._given(x, hidden)
        logits, tokens = self.predict(x, hidden)[hidden], x[hidden]
        if self.weighting == "simple":
            return ops.cross_entropy(logits, tokens)
        log_p = ops.log_softmax(logits)[np.arange(len(tokens)), tokens]
        return ops.sum(log_p * (-self.weights(hidden)[hidden] / x.size))

    # -- sample_walk -------------------------------------------------------------------------------

    def sample_walk(
        self, n: int, rng: Generator, steps: int | None = None, order: str = "random",
        counts=None, known: ndarray | None = None, temperature: float = 1.0,
        top_k: int | None = None, top_p: float | None = None,
    ) -> Iterator[ndarray]:  # fmt: skip
        """Every state from all hidden to none, each (n, L), the mask token where hidden.

        Args:
            steps: of the walk. One token a step, if not given, is exact: autoregression in a random
                order. Several at once are drawn as if they were independent.
            order: "random", or "confidence": the likeliest of the drawn tokens first, which is no
                longer what the model says.
            counts: (steps,) or (n, steps) tokens to reveal in each step, in place of `steps`.
            known: (L,) or (n, L) tokens to keep, the mask token (vocab_size) where to fill in.
            temperature, top_k, top_p: see `sampling.draw`.
        """
        x = self._start(n, known, self.context)
        times = sampling.numbers_hidden(x == self.vocab_size, steps, counts)
        commit = self._commit(rng, order, temperature, top_k, top_p)

        def predict(x, now):
            parts = np.split(x, range(ROWS_AT_ONCE, n, ROWS_AT_ONCE))
            with no_grad():
                return np.concatenate([self.network(part).data for part in parts])

        yield x
        yield from sampling.walk(x, times, predict, commit)

    def _commit(self, rng, order, temperature, top_k, top_p) -> sampling.Commit:
        arguments.one_of(ORDERS, order=order)
        draw = sampling.draw(rng, temperature, top_k, top_p)
        return sampling.reveal(draw, rng, ORDERS[order])

    def _start(self, n: int, known, length: int) -> ndarray:
        known = np.full((1, length), self.vocab_size) if known is None else known
        known = arguments.tokens(known, self.vocab_size + 1)
        if n < 1 or known.shape not in ((1, length), (n, length)):
            expected = f"n >= 1, known ({length},) or (n, {length})"
            raise ValueError(f"sample: expected {expected}; got {n=}, known {known.shape}")
        return np.tile(known, (n // len(known), 1))

    # -- bound -------------------------------------------------------------------------------------

    def bound(self, x: ndarray, rng: Generator, draws: int = 8) -> ndarray:
        """An unbiased estimate of a lower bound on log p of each row of x (B, L): (B,) nats.

        It is the mean, over all orders, of the log-likelihood of drawing x one token at a time.

        Args:
            draws: how many independent `bounds` it is the mean of.
        """
        return self.bounds(x, rng, draws).mean(axis=0)

    def bounds(self, x: ndarray, rng: Generator, draws: int = 8) -> ndarray:
        """Independent estimates (draws, B): how they differ says how far to trust their mean."""
        arguments.whole(1, draws=draws)
        x = self._checked(x)
        return np.stack([self.bound_given(x, self.hide(x, rng)) for _ in range(draws)])

    def bound_given(self, x: ndarray, hidden: ndarray) -> ndarray:
        """(L / k) sum over hidden i of log p(x_i | what is shown): (B,); its mean is the bound."""
        x = self._checked(x)
        hidden = self._given(x, hidden)
        return (self.weights(hidden) * self.token_log_probs(x, hidden)).sum(axis=1)

    def token_log_probs(self, x: ndarray, hidden: ndarray) -> ndarray:
        """log p(x_i | what is not hidden), where i is hidden: (B, L) nats."""
        with no_grad():
            return sampling.token_log_probs(self.predict(x, hidden).data, x)

    def _checked(self, x: ndarray) -> ndarray:
        x = arguments.tokens(x, self.vocab_size)
        if not x.size or x.shape[1] > self.context:
            expected = f"tokens of shape (B, L), L at most {self.context}"
            raise ValueError(f"x: expected {expected}, got {x.shape}")
        return x


def left_to_right(model: MaskedDiffusion, x: ndarray) -> ndarray:
    """log p of each row of x (B, L) by the chain rule of the model's network: (B,) nats.

    Every token given those before it, with all others hidden. This is exact, but of another model
    than the one that `bound` is about: it shares the network, and knows only this one order.
    """
    x = model._checked(x)
    # In one pass the i-th token of each block (of BlockDiffusion; else all is one block).
    size = getattr(model, "block_size", x.shape[1])
    log_p = np.zeros(len(x))
    for i in range(size):
        hidden = np.tile(np.arange(size) >= i, (len(x), x.shape[1] // size))
        log_p += model.token_log_probs(x, hidden)[:, i::size].sum(axis=1)
    return log_p
