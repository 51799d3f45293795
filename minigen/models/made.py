"""MADE: every factor of p(x) = prod_i p(x_i | x_before) from one masked network (Germain et al. 2015).

Without hidden layers it is one logistic regression per dimension: the fully visible sigmoid belief network, FVSBN
(Neal 1992; Frey 1998), where every autoregressive network of today comes from.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from minigen import nn, ops, sampling
from minigen.models.markov import as_tokens
from minigen.tensor import Tensor, no_grad, read_only


class MADE:
    """An autoregressive network over D dimensions of integer levels 0 .. V - 1, in any order of the dimensions.

    A level enters as V - 1 indicators, "at least 1" to "at least V - 1", so that neighbouring grey levels look alike
    (one-hot inputs overfit: 2.35 bits/dim on the digits instead of 2.18), and leaves as V - 1 logits beside a 0 for
    level 0. Binary data is thus one input and one logistic output for each dimension.

    Args:
        dimensions: D.
        levels: V, 2 for binary data.
        hidden: sizes of the hidden layers; () is FVSBN.
        order: the dimensions in the order in which they are generated; 0, 1, 2, ... if not given.
        penalty: L2 penalty: the loss of one example, in nats, grows by penalty / 2 times the sum of squared weights.
    """

    def __init__(
        self, dimensions: int, levels: int = 2, hidden: Sequence[int] = (512,), order: Sequence[int] | None = None,
        penalty: float = 0.0, *, rng: np.random.Generator,
    ) -> None:  # fmt: skip
        if dimensions < 1 or levels < 2 or min(hidden, default=1) < 1 or penalty < 0:
            came = f"got {dimensions}, {levels}, {hidden}, {penalty}"
            raise ValueError(
                f"MADE: expected dimensions >= 1, levels >= 2, hidden sizes >= 1, penalty >= 0; {came}"
            )
        order = range(dimensions) if order is None else order
        if sorted(order) != list(range(dimensions)):
            raise ValueError(f"order: expected each of 0 .. {dimensions - 1} once, got {order}")
        self.dimensions, self.levels, self.hidden, self.penalty = (
            dimensions,
            levels,
            tuple(hidden),
            penalty,
        )
        self.order = tuple(int(i) for i in order)
        self._masks = masks(self.order, levels - 1, self.hidden)
        self.layers = [nn.Linear(mask.shape[1], mask.shape[0], rng=rng) for mask in self._masks]

    def network(self, indicators) -> Tensor:
        """Indicators (B, D (V - 1)), floats -> logits of levels 1 .. V - 1: (B, D (V - 1))."""
        h = indicators
        for i, (layer, mask) in enumerate(zip(self.layers, self._masks)):
            h = ops.linear(ops.relu(h) if i else h, layer.weight * mask, layer.bias)
        return h

    def logits(self, x: np.ndarray) -> Tensor:
        """(B, D) integers -> (B, D, V): the logits of each dimension given those before it in the order."""
        x = self._checked(x)
        indicators = (x[:, :, None] >= np.arange(1, self.levels)).astype(
            np.float32
        )  # (B, D, V - 1)
        others = self.network(indicators.reshape(len(x), -1)).reshape(indicators.shape)
        return ops.concatenate([np.zeros((*x.shape, 1), np.float32), others], axis=2)

    def loss(self, x: np.ndarray, rng: np.random.Generator | None = None) -> Tensor:
        """Mean of -log p(x_i | x_before) over the dimensions, nats, and the penalty; rng is unused."""
        loss = ops.cross_entropy(self.logits(x), x)
        if self.penalty:
            squares = [
                ops.sum((layer.weight * mask) ** 2) for layer, mask in zip(self.layers, self._masks)
            ]
            loss = loss + sum(squares[1:], squares[0]) * (self.penalty / 2 / self.dimensions)
        return loss

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Exact log-probability of x (B, D): (B,) nats. One pass gives all factors."""
        with no_grad():
            log_p = ops.log_softmax(self.logits(x).data.astype(np.float64)).data
        return np.take_along_axis(log_p, np.asarray(x)[:, :, None], axis=2).sum(axis=(1, 2))

    def sample(self, n: int, rng: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        """n draws (n, D), one dimension a pass: D passes."""
        *_, x = self.sample_walk(n, rng, temperature)
        return x

    def sample_walk(
        self, n: int, rng: np.random.Generator, temperature: float = 1.0
    ) -> Iterator[np.ndarray]:
        """The walk of `sample`, state by state: (n, D), dimensions not yet drawn are 0."""
        if n < 1:
            raise ValueError(f"sample: n={n}, expected at least 1")
        x = np.zeros((n, self.dimensions), np.int64)
        yield x

        def predict(x, dimension):
            with no_grad():
                return self.logits(x).data[:, dimension]

        commit = sampling.write(sampling.draw(rng, temperature))
        yield from sampling.walk(x, (*self.order, None), predict, commit)

    def _checked(self, x: np.ndarray) -> np.ndarray:
        x = as_tokens(x, self.levels)
        if x.shape[1] != self.dimensions or not len(x):
            raise ValueError(
                f"MADE: expected x of shape (B, {self.dimensions}), B >= 1, got {x.shape}"
            )
        return x


def masks(order: Sequence[int], copies: int, hidden: Sequence[int]) -> list[np.ndarray]:
    """One 0/1 mask (out, in) for each layer; inputs and outputs have `copies` units for each dimension.

    Every unit has a degree: a dimension its place in the order; a hidden unit the place of the last dimension that it
    may see. A hidden unit looks at degrees up to its own (eq. 12), an output at degrees below its own (eq. 13), so no
    path leads from a dimension to itself or to an earlier one. Hidden degrees are dealt in turn, not drawn.
    """
    places = np.repeat(np.argsort(order), copies)
    degrees = [places, *(np.arange(size) % max(len(order) - 1, 1) for size in hidden)]
    pairs = [after[:, None] >= before for before, after in pairwise(degrees)]
    return [read_only(mask.astype(np.float32)) for mask in (*pairs, places[:, None] > degrees[-1])]
