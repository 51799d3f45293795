"""Small worlds of tokens in which every question has an answer by summing, in float64."""

import itertools
import math
from types import SimpleNamespace

import numpy as np

from minigen import nn
from minigen.tensor import Tensor


class World:
    """Any probabilities of all V^L strings; as a network it gives exact conditionals."""

    def __init__(self, probabilities: np.ndarray) -> None:
        """probabilities (V, V, ..., V), one axis a position."""
        self.length, self.vocab_size = probabilities.ndim, probabilities.shape[0]
        self.context = self.length
        self.strings = every(self.vocab_size, self.length)
        self.p = probabilities.ravel() / probabilities.sum()
        self.one_hot = np.eye(self.vocab_size)[self.strings]  # (V^L, L, V)

    def conditionals(self, x: np.ndarray) -> np.ndarray:
        """log p(x_i = v | what x (B, L) shows, V where it hides): (B, L, V)."""
        x, back = np.unique(x, axis=0, return_inverse=True)
        fits = (x[:, None] == self.strings) | (x[:, None] == self.vocab_size)
        mass = np.einsum("bs,s,siv->biv", fits.all(axis=2), self.p, self.one_hot)
        with np.errstate(divide="ignore"):
            log_p = np.log(mass) - np.log(mass.sum(axis=2, keepdims=True))
        return log_p[back.ravel()]

    def new_caches(self, batch: int) -> list:
        return [SimpleNamespace(seen=0)]

    def __call__(self, x, mask=None, positions=None, caches=None) -> Tensor:
        """A perfect network: every position knows exactly what its row of the mask allows."""
        if mask is None:  # all may look at all that is there; what follows is not known
            follows = np.full((len(x), self.length - x.shape[1]), self.vocab_size)
            return Tensor(self.conditionals(np.hstack([x, follows]))[:, : x.shape[1]])
        positions = np.arange(x.shape[1]) if positions is None else positions
        logits = np.empty((*x.shape, self.vocab_size))
        for i, looks in enumerate(mask):
            given = np.full((len(x), self.length), self.vocab_size)
            for j in np.flatnonzero(looks):
                shown = x[:, j] < self.vocab_size
                given[shown, positions[j]] = x[shown, j]
            logits[:, i] = self.conditionals(given)[:, positions[i]]
        return Tensor(logits)


def every(vocab_size: int, length: int) -> np.ndarray:
    """All strings, (V^L, L)."""
    return np.array(list(itertools.product(range(vocab_size), repeat=length)))


def any_world(vocab_size: int, length: int, seed: int = 0) -> World:
    rng = np.random.default_rng(seed)
    return World(rng.dirichlet(np.full(vocab_size**length, 0.7)).reshape((vocab_size,) * length))


def chain_world(length: int = 6, stay: float = 0.95) -> World:
    """Bits that mostly repeat the one before."""
    x = every(2, length)
    p = np.where(x[:, 1:] == x[:, :-1], stay, 1 - stay).prod(axis=1)
    return World(p.reshape((2,) * length))


def parity_world(length: int = 6, even: float = 0.98) -> World:
    """Bits of which nothing is known but that their sum is mostly even."""
    p = np.where(every(2, length).sum(axis=1) % 2, 1 - even, even)
    return World(p.reshape((2,) * length))


def in_float64(model):
    """The model, its numbers no longer float32: identities then hold to many more digits."""
    for _, owner, key, value in list(nn._walk(model)):
        if isinstance(value, Tensor):
            owner[key] = Tensor(value.data.astype(np.float64))
    return model


def patterns(length: int):
    """Every set that can be hidden of `length` positions (booleans), and how likely it is drawn."""
    for hidden in itertools.product([False, True], repeat=length):
        if k := sum(hidden):
            yield np.array(hidden), 1 / (length * math.comb(length, k))


def mean_bound(model, x: np.ndarray) -> np.ndarray:
    """The expectation of `model.bound(x)`, all sets enumerated: (B,).

    The blocks of a block diffusion model are hidden independently and add up, so one pattern may
    stand in all of them.
    """
    size = getattr(model, "block_size", x.shape[1])
    total = 0
    for hidden, p in patterns(size):
        total = total + p * model.bound_given(x, np.tile(hidden, (len(x), x.shape[1] // size)))
    return total
