"""Tokens: what is drawn from logits (..., V), and where it is committed.

`draw` decides *what*: one token for each row of logits. `write` and `reveal` decide *where* it
goes: the next column (autoregression), or some of the hidden positions (masked diffusion).
"""

from collections.abc import Callable, Sequence

import numpy as np

from minigen.randomness import generator
from minigen.sampling.walk import Array, Commit

Draw = Callable[[Array], Array]  # logits (..., V) -> integers (...)
Where = Callable[[np.random.Generator, Array, Array], Array]  # see `at_random`

# -- logits ----------------------------------------------------------------------------------------


def temperature(logits: Array, temperature: float) -> Array:
    """Logits / temperature: below 1 sharper, above 1 flatter; 0 leaves the largest (the first)."""
    logits = _valid(logits)
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature must be a finite number >= 0, got {temperature}")
    logits = logits - logits.max(-1, keepdims=True)
    return top_k(logits, 1) if temperature == 0 else logits / temperature


def top_k(logits: Array, top_k: int) -> Array:
    """All but the k largest become -inf (ties: the first stay); k beyond V keeps all."""
    logits = _valid(logits)
    if top_k < 1 or top_k % 1:
        raise ValueError(f"top_k must be a whole number and at least 1, got {top_k}")
    return np.where(ranks(logits) < top_k, logits, -np.inf)


def top_p(logits: Array, top_p: float) -> Array:
    """The fewest most likely tokens that together reach p stay (nucleus, Holtzman et al. 2020)."""
    logits = _valid(logits)
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], got {top_p}")
    sorted_probabilities = -np.sort(-probabilities(logits), axis=-1)
    before = np.cumsum(sorted_probabilities, axis=-1) - sorted_probabilities
    keep = np.sum((before < top_p) | (top_p == 1), axis=-1, keepdims=True)
    return np.where(ranks(logits) < keep, logits, -np.inf)


def probabilities(logits: Array) -> Array:
    """softmax over the last axis, in float64."""
    weights = np.exp(_valid(logits).astype(np.float64) - np.max(logits, axis=-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def token_log_probs(logits: Array, tokens: Array) -> Array:
    """log softmax(logits)[token], of logits (..., V) and tokens (...): (...) nats, in float64."""
    shifted = _valid(logits).astype(np.float64) - np.max(logits, axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, tokens[..., None], axis=-1)[..., 0]
    return chosen - np.log(np.exp(shifted).sum(axis=-1))


# -- what is drawn ---------------------------------------------------------------------------------


def categorical(logits: Array, rng: np.random.Generator) -> Array:
    """One token for each row of logits (..., V), by the inverse of its distribution: (...)."""
    cumulative = np.cumsum(probabilities(logits), axis=-1)
    cumulative /= cumulative[..., -1:]  # ends in exactly 1: a draw below 1 always finds a token
    return np.sum(rng.random(cumulative.shape[:-1] + (1,)) >= cumulative, axis=-1)


def draw(
    rng: np.random.Generator, temperature: float = 1.0, top_k: int | None = None,
    top_p: float | None = None,
) -> Draw:  # fmt: skip
    """Draw tokens (...) from logits (..., V): temperature first, then top-k, then top-p."""
    generator(rng, "draw")
    _sharpened(np.zeros(1), temperature, top_k, top_p)  # bad settings are refused before any work
    return lambda logits: categorical(_sharpened(logits, temperature, top_k, top_p), rng)


def _sharpened(logits, at, k, p):
    logits = temperature(logits, at)
    logits = logits if k is None else top_k(logits, k)
    return logits if p is None else top_p(logits, p)


# -- where it is committed -------------------------------------------------------------------------


def write(draw: Draw) -> Commit:
    """The autoregressive commit: the token drawn from logits (B, V) goes to column `now` of x."""

    def commit(x, logits, now, after):
        x = x.copy()
        x[:, now] = draw(logits)
        return x

    return commit


def at_random(rng: np.random.Generator, logits: Array, drawn: Array) -> Array:
    """Any order alike: one position a step is then exact, several at once cost what they share."""
    return rng.random(drawn.shape)


def by_confidence(rng: np.random.Generator, logits: Array, drawn: Array) -> Array:
    """First where the drawn token is likeliest (Chang et al. 2022): leaves the model's law.

    What is revealed early is then more typical than what the model would draw.
    """
    return np.take_along_axis(probabilities(logits), drawn[..., None], axis=-1)[..., 0]


def reveal(draw: Draw, rng: np.random.Generator, where: Where = at_random) -> Commit:
    """The commit of masked diffusion: of the hidden positions of x (B, L), now - after are written.

    Logits are (B, L, V), and V in x marks what is hidden. now and after are the numbers hidden
    before and after the step: of all rows, or of each (B,).

    Args:
        where: which positions come first, `at_random` or `by_confidence`: merits (B, L).
    """

    def commit(x, logits, now, after):
        drawn, hidden = draw(logits), x == logits.shape[-1]
        merit = np.where(hidden, where(rng, logits, drawn), -np.inf)
        chosen = ranks(merit) < np.reshape(now - after, (-1, 1))
        return np.where(chosen & hidden, drawn, x)

    return commit


def numbers_hidden(
    hidden: Array, steps: int | None = None, counts: Sequence | None = None
) -> list[Array]:
    """Times of an unmasking walk: how many positions are hidden before each step, and at the end.

    Args:
        hidden: (B, L) booleans, what is hidden at the start; where nothing is, there is no step.
        steps: in how many steps, as even as can be; one position a step if not given.
        counts: (steps,) or (B, steps) positions to reveal in each step, instead.
    """
    left, L = hidden.sum(axis=1), hidden.shape[1]
    if steps is not None and counts is not None:
        raise ValueError(f"give steps or counts, not both; got steps={steps}, counts={counts}")
    if steps is not None and (steps % 1 or not 1 <= steps <= L):
        raise ValueError(f"steps: expected a whole number in 1 .. {L}, the positions, got {steps}")
    most = left.max(initial=0)
    if most == 0:
        return [left]
    if counts is None:
        steps = most if steps is None else min(int(steps), most)
        revealed = np.arange(steps + 1) * left[:, None] // steps  # (B, steps + 1)
    else:
        revealed = np.cumsum(np.insert(_checked_counts(counts, left), 0, 0, axis=1), axis=1)
    return list((left[:, None] - revealed).T)


def _checked_counts(counts, left):
    counts = np.atleast_2d(counts)
    whole = counts.ndim == 2 and counts.dtype.kind in "iu" and (counts >= 0).all()
    if not whole or len(counts) not in (1, len(left)) or (counts.sum(axis=1) != left).any():
        raise ValueError(
            f"counts: expected whole numbers (steps,) or (B, steps) that add up to "
            f"{np.unique(left)}, the positions to reveal, got {counts.tolist()}"
        )
    return counts


def ranks(scores: Array) -> Array:
    """Rank of each entry along the last axis, 0 the largest; ties go to the first."""
    return np.argsort(np.argsort(-scores, axis=-1, kind="stable"), axis=-1)


def _valid(logits):
    logits = np.asarray(logits)
    numbers = np.all(logits < np.inf)  # NaN is not below
    if logits.ndim == 0 or not numbers or not np.all(np.any(logits > -np.inf, axis=-1)):
        raise ValueError(
            f"logits (..., V) must be numbers or -inf, one finite in each row, got {logits}"
        )
    return logits
