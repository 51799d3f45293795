"""GPT: p(x) = prod_i p(x_i | x_<i), every factor from one causal Transformer.

After Radford et al. (2018), in nanoGPT's layout. Training hides everything to the right; one step
of sampling commits to one position, exactly.
"""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, nn, ops, sampling
from minigen.models.protocol import Walks
from minigen.networks import TokenTransformer, Window, causal_mask
from minigen.tensor import Tensor, no_grad


class GPT(Walks):
    """A language model over tokens 0 .. vocab_size - 1: characters, pixels, anything discrete.

    A start token precedes the first position, so the first token has a probability too. Beyond the
    context: when it is full, the last half is kept and re-encoded from position 0, in sampling
    (with a cache or without) and in `log_prob`.

    Args:
        vocab_size: V, number of different tokens.
        context: how many tokens it can look at.
        layers, heads, width: size of the Transformer.
    """

    def __init__(
        self, vocab_size: int, context: int, layers: int = 4, heads: int = 4, width: int = 128, *,
        rng: Generator,
    ) -> None:  # fmt: skip
        self.vocab_size, self.context = vocab_size, context
        self.layers, self.heads, self.width = layers, heads, width
        self.network = TokenTransformer(
            vocab_size, context, layers, heads, width, extra_tokens=1, rng=rng
        )

    __repr__ = nn.describe

    # -- hide: everything to the right -------------------------------------------------------------

    def q_sample(self, x: ndarray) -> ndarray:
        """What each position of x (B, L) sees last: the start token, then all columns but one."""
        start = np.full((len(x), 1), self.vocab_size)
        return np.concatenate([start, x[:, :-1]], axis=1)

    # -- predict -----------------------------------------------------------------------------------

    def predict(self, inputs: ndarray) -> Tensor:
        """Logits (B, L, V) of what follows each of the inputs (B, L), L <= context."""
        return self.network(inputs, causal_mask(inputs.shape[1]))

    def logits(self, x: ndarray) -> ndarray:
        """Logits of every token given those before it, without gradients: (B, L, V), for any L."""
        inputs, window = self.q_sample(self._checked(x)), self._window()
        with no_grad():
            said = [self.predict(part).data for part in window.parts(window.cut(inputs))]
        return window.join(np.concatenate(said), inputs.shape)

    def attention_maps(self, x: ndarray) -> ndarray:
        """Where it looks to predict each token of x (B, L): (B, layers, H, L, L), rows sum to 1.

        Row i predicts token i; column 0 is the start token, column j the token j - 1.
        """
        inputs = self.q_sample(self._checked(x))
        with no_grad():
            return self.network.attention_maps(inputs, causal_mask(inputs.shape[1]))

    # -- loss --------------------------------------------------------------------------------------

    def loss(self, x: ndarray, rng: Generator | None = None) -> Tensor:
        """Mean cross-entropy of the next token, nats per token.

        Args:
            x: (B, L) integer tokens. L <= context: every column is predicted, the first from the
                start token. L = context + 1: from the second column on, given the first.
            rng: unused; the loss has no randomness.
        """
        inputs, targets = self._teacher(x)
        if inputs.shape[1] > self.context:
            expected = f"at most context + 1 = {self.context + 1} columns"
            raise ValueError(f"x: expected {expected}, got shape {x.shape}")
        return ops.cross_entropy(self.predict(inputs), targets)

    # -- sample_walk -------------------------------------------------------------------------------

    def sample_walk(
        self, n: int, rng: Generator, prompt: ndarray | None = None,
        length: int | None = None, temperature: float = 1.0, top_k: int | None = None,
        top_p: float | None = None, cache: bool = True,
    ) -> Iterator[ndarray]:  # fmt: skip
        """Draw one position at a time; yields every state (n, length), 0 where nothing is written.

        Args:
            prompt: (P,) or (n, P) tokens that the sequences begin with; they count in `length`.
            length: tokens in all; the context if not given.
            temperature, top_k, top_p: see `sampling.draw`.
            cache: keep keys and values of earlier positions; the result is the same without.
        """
        length = self.context if length is None else length
        x, known = sampling.begun(n, length, prompt, self.vocab_size)
        commit = sampling.write(sampling.draw(rng, temperature, top_k, top_p))
        read = self._window().reader(n, cache)

        def predict(x, now):
            return read(self.q_sample(x), settled=now + 1, end=now + 1)[:, -1]

        yield x
        yield from sampling.walk(x, range(known, x.shape[1] + 1), predict, commit)

    # -- log_prob ----------------------------------------------------------------------------------

    def log_prob(self, x: ndarray) -> ndarray:
        """Exact log p of the tokens that it scores of x (B, L), (B,) nats: see `scored`.

        They are all; but of context + 1 columns, as `loss` takes them, the first is only given.
        """
        return self.token_log_probs(x).sum(axis=1)

    def scored(self, x: ndarray) -> int:
        """Number of tokens that `log_prob` scores: all; of context + 1 the first is only given."""
        return self._teacher(x)[1].shape[1]

    def token_log_probs(self, x: ndarray) -> ndarray:
        """log p of every scored token given what precedes it: (B, scored), nats."""
        inputs, targets = self._teacher(x)
        window = self._window()
        parts = [window.parts(window.cut(tokens)) for tokens in (inputs, targets)]
        with no_grad():
            log_p = [sampling.token_log_probs(self.predict(i).data, t) for i, t in zip(*parts)]
        return window.join(np.concatenate(log_p), targets.shape)

    def _teacher(self, x: ndarray) -> tuple[ndarray, ndarray]:
        """Inputs and targets: every token is predicted from the true ones before it."""
        x = self._checked(x)
        if x.shape[1] == self.context + 1:
            return x[:, :-1], x[:, 1:]
        return self.q_sample(x), x

    def _window(self) -> Window:
        return Window(self.network)

    def _checked(self, x: ndarray) -> ndarray:
        x = arguments.tokens(x, self.vocab_size)
        if not x.size:
            raise ValueError(f"x: expected tokens of shape (B, L), at least one, got {x.shape}")
        return x
