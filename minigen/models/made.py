"""MADE: every factor of p(x) = prod_i p(x_i | x_before) from one masked network.

Germain et al. (2015). Without hidden layers it is one logistic regression per dimension: the fully
visible sigmoid belief network, FVSBN (Neal 1992; Frey 1998), where every autoregressive network of
today comes from.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, nn, ops, sampling
from minigen.models.protocol import Walks
from minigen.tensor import Tensor, no_grad, read_only


class MADE(Walks):
    """An autoregressive network over D dimensions of integer levels 0 .. V - 1, in any order.

    A level enters as V - 1 indicators, "at least 1" to "at least V - 1", so that neighbouring grey
    levels look alike (one-hot inputs overfit: 2.35 bits/dim on the digits instead of 2.18), and
    leaves as V - 1 logits beside a 0 for level 0. Binary data is thus one input and one logistic
    output for each dimension.

    Args:
        dimensions: D.
        levels: V, 2 for binary data.
        hidden: sizes of the hidden layers; () is FVSBN.
        order: the dimensions in the order in which they are generated; 0, 1, 2, ... if not given.
        penalty: the loss of one example, in nats, grows by penalty / 2 times the sum of squared
            weights.
    """

    def __init__(
        self, dimensions: int, levels: int = 2, hidden: Sequence[int] = (512,),
        order: Sequence[int] | None = None, penalty: float = 0.0, *, rng: Generator,
    ) -> None:  # fmt: skip
        arguments.whole(1, dimensions=dimensions, hidden=min(hidden, default=1))
        arguments.whole(2, levels=levels)
        arguments.within("[0, inf)", penalty=penalty)
        self.dimensions, self.levels, self.penalty = dimensions, levels, penalty
        self.hidden = tuple(hidden)
        units = dimensions * (levels - 1)
        # The layers first: they refuse a size that is too large before masks of that size are made.
        self.layers = [
            nn.Linear(before, after, rng=rng)
            for before, after in pairwise([units, *self.hidden, units])
        ]
        places = list(range(dimensions))
        self.order = tuple(places if order is None else map(int, order))
        if sorted(self.order) != places:
            raise ValueError(f"order: expected each of 0 .. {dimensions - 1} once, got {order}")
        self._masks = masks(self.order, levels - 1, self.hidden)

    __repr__ = nn.describe

    # -- hide: all that follows in the order, by masks on the weights ------------------------------

    def _weights(self) -> list[Tensor]:
        return [layer.weight * mask for layer, mask in zip(self.layers, self._masks)]

    # -- predict -----------------------------------------------------------------------------------

    def logits(self, x: ndarray) -> Tensor:
        """(B, D) integers -> (B, D, V): the logits of each dimension given those before it."""
        x = self._checked(x)
        at_least = x[:, :, None] >= np.arange(1, self.levels)  # (B, D, V - 1)
        indicators = at_least.reshape(len(x), -1).astype(np.float32)
        above_0 = self.network(indicators).reshape(at_least.shape)
        level_0 = np.zeros((*x.shape, 1), np.float32)
        return ops.concatenate([level_0, above_0], axis=2)

    def network(self, indicators) -> Tensor:
        """Indicators (B, D (V - 1)), floats -> logits of levels 1 .. V - 1: (B, D (V - 1))."""
        h = indicators
        for i, (layer, weight) in enumerate(zip(self.layers, self._weights())):
            h = ops.linear(ops.relu(h) if i else h, weight, layer.bias)
        return h

    # -- loss --------------------------------------------------------------------------------------

    def loss(self, x: ndarray, rng: Generator | None = None) -> Tensor:
        """Mean of -log p(x_i | x_before) over the dimensions, nats, plus the penalty."""
        loss = ops.cross_entropy(self.logits(x), x)
        if self.penalty:
            factor = self.penalty / 2 / self.dimensions
            for weight in self._weights():
                loss = loss + factor * ops.sum(weight**2)
        return loss

    # -- sample_walk -------------------------------------------------------------------------------

    def sample_walk(self, n: int, rng: Generator, temperature: float = 1.0) -> Iterator[ndarray]:
        """Draw one dimension a pass; yields every state (n, D), 0 where nothing is drawn yet."""
        arguments.whole(1, n=n)

        def predict(x, dimension):
            with no_grad():
                return self.logits(x).data[:, dimension]

        x = np.zeros((n, self.dimensions), np.int64)
        yield x
        commit = sampling.write(sampling.draw(rng, temperature))
        order = (*self.order, None)  # nothing comes after the last
        yield from sampling.walk(x, order, predict, commit)

    # -- log_prob ----------------------------------------------------------------------------------

    def log_prob(self, x: ndarray) -> ndarray:
        """Exact log-probability of x (B, D): (B,) nats. One pass gives all factors."""
        x = self._checked(x)
        with no_grad():
            return sampling.token_log_probs(self.logits(x).data, x).sum(axis=1)

    def _checked(self, x: ndarray) -> ndarray:
        x = arguments.tokens(x, self.levels)
        if x.shape[1] != self.dimensions or not len(x):
            raise ValueError(f"x: expected shape (B, {self.dimensions}), B >= 1, got {x.shape}")
        return x


def masks(order: Sequence[int], copies: int, hidden: Sequence[int]) -> list[ndarray]:
    """One 0/1 mask (out, in) for each layer; inputs and outputs have `copies` units a dimension.

    Every unit has a degree: a dimension its place in the order; a hidden unit the place of the last
    dimension that it may see. A hidden unit looks at degrees up to its own (eq. 12), an output at
    degrees below its own (eq. 13), so no path leads from a dimension to itself or to an earlier
    one. Hidden degrees are not drawn but spread evenly from D - 2 down to 0: the highest is always
    there, so that however narrow a layer is, every dimension but the last has a path to an output.
    """
    places = np.repeat(np.argsort(order), copies)
    highest = max(len(order) - 2, 0)
    degrees = [places]
    degrees += [np.rint(np.linspace(highest, 0, size)) for size in hidden]
    allowed = [after[:, None] >= before for before, after in pairwise(degrees)]
    allowed.append(places[:, None] > degrees[-1])
    return [read_only(mask.astype(np.float32)) for mask in allowed]
