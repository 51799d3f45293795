"""GPT: p(x) = prod_i p(x_i | x_<i), every factor from one causal Transformer (Radford et al. 2018; nanoGPT's layout).

Training hides everything to the right; one step of sampling commits to one position, exactly.
"""

from collections.abc import Callable, Iterator

import numpy as np

from minigen import ops, sampling
from minigen.models.markov import as_tokens
from minigen.networks import Transformer
from minigen.tensor import Tensor, no_grad


class GPT:
    """A Transformer language model over tokens 0 .. vocab_size - 1: characters, pixels, anything discrete.

    A start token precedes the first position, so the first token has a probability too. Beyond the context: when it is
    full, the last half is kept and re-encoded from position 0, in sampling (with a cache or without) and in `log_prob`.

    Args:
        vocab_size: number of different tokens.
        context: how many tokens it can look at.
        layers, heads, width: size of the Transformer.
    """

    def __init__(
        self, vocab_size: int, context: int, layers: int = 4, heads: int = 4, width: int = 128, *,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        if min(vocab_size, context, layers, heads, width) < 1:
            raise ValueError(
                f"GPT: {vocab_size=}, {context=}, {layers=}, {heads=}, {width=}: expected 1 or more"
            )
        self.vocab_size, self.context, self.layers, self.heads, self.width = (
            vocab_size,
            context,
            layers,
            heads,
            width,
        )
        self.network = Transformer(
            vocab_size, context, layers, heads, width, mask="causal", extra_tokens=1, rng=rng
        )

    def loss(self, x: np.ndarray, rng: np.random.Generator | None = None) -> Tensor:
        """Mean cross-entropy of the next token, nats per token.

        Args:
            x: (B, L) integer tokens. L <= context: every column is predicted, the first from the start token.
                L = context + 1: the columns from the second on are predicted, given the first.
            rng: unused; the loss has no randomness.
        """
        inputs, targets = self._teacher(x)
        if inputs.shape[1] > self.context:
            raise ValueError(
                f"loss: {x.shape[1]} columns, but the context is {self.context} (at most context + 1)"
            )
        return ops.cross_entropy(self.network(inputs), targets)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Exact log-probability of each row of x (B, L) -> (B,), nats. L = context + 1: given the first column."""
        return self.token_log_probs(x).sum(axis=1)

    def token_log_probs(self, x: np.ndarray) -> np.ndarray:
        """log p of every predicted token given what precedes it: (B, L), or (B, context) if L = context + 1; nats."""
        inputs, targets = self._teacher(x)
        log_p = ops.log_softmax(self._windowed(inputs).astype(np.float64)).data
        return np.take_along_axis(log_p, targets[:, :, None], axis=2)[:, :, 0]

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Logits of every token given those before it, without gradients: (B, L) -> (B, L, V), for any L."""
        return self._windowed(self._shifted(self._checked(x)))

    def attention_maps(self, x: np.ndarray) -> np.ndarray:
        """Where the network looks when it predicts each token of x (B, L): (B, layers, H, L, L), rows sum to 1.

        Row i predicts token i; column 0 is the start token, column j the token j - 1.
        """
        with no_grad():
            return self.network.attention_maps(self._shifted(self._checked(x)))

    def sample(self, n: int, rng: np.random.Generator, **how) -> np.ndarray:
        """n sequences, (n, length) integers: the last state of `sample_walk`, which says what `how` can be."""
        *_, x = self.sample_walk(n, rng, **how)
        return x

    def sample_walk(
        self, n: int, rng: np.random.Generator, prompt: np.ndarray | None = None, length: int | None = None,
        temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None, cache: bool = True,
    ) -> Iterator[np.ndarray]:  # fmt: skip
        """Draw n sequences one position at a time; yields every state: (n, length) tokens, 0 where nothing is written.

        Args:
            prompt: (P,) or (n, P) tokens that the sequences begin with; they count in `length`.
            length: tokens in all; the context if not given.
            temperature, top_k, top_p: see `sampling.temperature`, `sampling.top_k`, `sampling.top_p`.
            cache: keep keys and values of earlier positions instead of computing them anew; the result is the same.
        """
        length = self.context if length is None else length
        prompt = np.zeros((1, 0), np.int64) if prompt is None else self._checked(prompt)
        known = prompt.shape[1]
        if n < 1 or length < max(known, 1) or len(prompt) not in (1, n):
            came = f"got {n=}, {length=}, a prompt of shape {prompt.shape}"
            raise ValueError(
                f"sample: expected n >= 1, length >= 1 and >= the prompt's, 1 or n prompts; {came}"
            )
        x = np.zeros((n, length), np.int64)
        x[:, :known] = prompt
        yield x
        commit = sampling.write(rng, temperature, top_k, top_p)
        yield from sampling.walk(x, range(known, length + 1), self._reader(n, cache), commit)

    def _reader(self, n: int, cache: bool) -> Callable[[np.ndarray, int], np.ndarray]:
        """predict(x, position) -> logits (n, V) of the token at `position`, given the columns of x before it."""
        caches, window = None, None

        def predict(x, position):
            nonlocal caches, window
            inputs = self._shifted(x)
            start = self._window_start(position)
            if (
                cache and start != window
            ):  # the context is full: begin again with the half that is kept
                caches, window = self.network.new_caches(n), start
            seen = start + caches[0].seen if cache else start
            with no_grad():
                return self.network(inputs[:, seen : position + 1], caches=caches).data[:, -1]

        return predict

    def _windowed(self, inputs: np.ndarray) -> np.ndarray:
        """What the network says after each input, (B, L) -> (B, L, V), as `_reader` would say it step by step.

        The inputs are cut into windows of `context`, each beginning where the walk beyond the context re-encodes. All
        windows are computed side by side; zeros fill the last one, and what stands to the right changes nothing.
        """
        (B, L), c, keep = inputs.shape, self.context, self.context // 2
        starts = [0, *(self._window_start(p) for p in range(c, L, c - keep))]
        padded = np.pad(inputs, ((0, 0), (0, max(0, starts[-1] + min(c, L) - L))))
        windows = np.concatenate([padded[:, s : s + c] for s in starts])  # (windows * B, L)
        with no_grad():
            said = np.concatenate(
                [self.network(part).data for part in np.split(windows, range(64, len(windows), 64))]
            )
        said = said.reshape(len(starts), B, *said.shape[1:])
        return np.concatenate([said[0], *said[1:, :, keep:]], axis=1)[:, :L]

    def _window_start(self, position: int) -> int:
        """First input of the window from which the token at `position` is predicted."""
        step = self.context - self.context // 2
        return 0 if position < self.context else ((position - self.context) // step + 1) * step

    def _teacher(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of teacher forcing: every token is predicted from the true ones before it."""
        x = self._checked(x)
        return (x[:, :-1], x[:, 1:]) if x.shape[1] == self.context + 1 else (self._shifted(x), x)

    def _shifted(self, x: np.ndarray) -> np.ndarray:
        """The start token, then all columns but the last."""
        return np.concatenate([np.full((len(x), 1), self.vocab_size), x[:, :-1]], axis=1)

    def _checked(self, x: np.ndarray) -> np.ndarray:
        x = as_tokens(x, self.vocab_size)
        if not x.size:
            raise ValueError(f"GPT: expected tokens of shape (B, L), at least one, got {x.shape}")
        return x
