"""Tokens: what is drawn from logits (..., V), and where it is committed.

`draw` decides *what*: one token for each row of logits. `write` and `reveal` decide *where* it
goes: the next column (autoregression), or some of the hidden positions (masked diffusion).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments
from minigen.sampling.walk import Commit

Draw = Callable[[ndarray], ndarray]  # logits (..., V) -> integers (...)
Where = Callable[[Generator, ndarray, ndarray], ndarray]  # see `at_random`

# -- logits ----------------------------------------------------------------------------------------


def temperature(logits: ndarray, temperature: float) -> ndarray:
    """Logits / temperature: below 1 sharper, above 1 flatter; 0 leaves the largest (the first)."""
    logits = _valid(logits)
    arguments.within("[0, inf)", temperature=temperature)
    logits = logits - logits.max(-1, keepdims=True)
    return top_k(logits, 1) if temperature == 0 else logits / temperature


def top_k(logits: ndarray, top_k: int) -> ndarray:
    """All but the k largest become -inf (ties: the first stay); k beyond V keeps all."""
    logits = _valid(logits)
    arguments.whole(1, top_k=top_k)
    return np.where(ranks(logits) < top_k, logits, -np.inf)


def top_p(logits: ndarray, top_p: float) -> ndarray:
    """The fewest most likely tokens that together reach p stay (nucleus, Holtzman et al. 2020)."""
    logits = _valid(logits)
    arguments.within("(0, 1]", top_p=top_p)
    sorted_probabilities = -np.sort(-probabilities(logits), axis=-1)
    before = np.cumsum(sorted_probabilities, axis=-1) - sorted_probabilities
    keep = np.sum((before < top_p) | (top_p == 1), axis=-1, keepdims=True)
    return np.where(ranks(logits) < keep, logits, -np.inf)


def probabilities(logits: ndarray) -> ndarray:
    """softmax over the last axis, in float64."""
    weights = np.exp(_valid(logits).astype(np.float64) - np.max(logits, axis=-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def token_log_probs(logits: ndarray, tokens: ndarray) -> ndarray:
    """log softmax(logits)[token], of logits (..., V) and tokens (...): (...) nats, in float64."""
    shifted = _valid(logits).astype(np.float64) - np.max(logits, axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, tokens[..., None], axis=-1)[..., 0]
    return chosen - np.log(np.exp(shifted).sum(axis=-1))


# -- what is drawn ---------------------------------------------------------------------------------


def categorical(logits: ndarray, rng: Generator) -> ndarray:
    """One token for each row of logits (..., V), by the inverse of its distribution: (...)."""
    cumulative = np.cumsum(probabilities(logits), axis=-1)
    cumulative /= cumulative[..., -1:]  # ends in exactly 1, which no draw reaches
    return np.sum(rng.random(cumulative.shape[:-1] + (1,)) >= cumulative, axis=-1)


def draw(
    rng: Generator, temperature: float = 1.0, top_k: int | None = None,
    top_p: float | None = None,
) -> Draw:  # fmt: skip
    """Draw tokens (...) from logits (..., V): temperature first, then top-k, then top-p."""
    arguments.generator(rng)
    _sharpened(np.zeros(1), temperature, top_k, top_p)  # bad settings are refused before any work
    return lambda logits: categorical(_sharpened(logits, temperature, top_k, top_p), rng)


def _sharpened(logits, at, k, p):
    logits = logits if at == 1 else temperature(logits, at)
    logits = logits if k is None else top_k(logits, k)
    return logits if p is None else top_p(logits, p)


# -- where it is committed -------------------------------------------------------------------------


def begun(n: int, length: int, prompt: ndarray | None, vocab_size: int) -> tuple[ndarray, int]:
    """x (n, length) that begins with the prompt, (P,) or (n, P), and how many columns it has."""
    prompt = arguments.tokens(np.zeros((1, 0), int) if prompt is None else prompt, vocab_size)
    known = prompt.shape[1]
    if n < 1 or length < max(known, 1) or len(prompt) not in (1, n):
        expected = "n >= 1, length >= 1 and >= the prompt's, 1 or n prompts"
        raise ValueError(f"expected {expected}; got {n=}, {length=}, prompt {prompt.shape}")
    x = np.zeros((n, length), np.int64)
    x[:, :known] = prompt
    return x, known


def write(draw: Draw) -> Commit:
    """The autoregressive commit: the token drawn from logits (B, V) goes to column `now` of x."""

    def commit(x, logits, now, after):
        x = x.copy()
        x[:, now] = draw(logits)
        return x

    return commit


def at_random(rng: Generator, logits: ndarray, drawn: ndarray) -> ndarray:
    """Any order alike. One position a step is exact; several at once are drawn as if independent.

    What they tell of each other is then lost.
    """
    return rng.random(drawn.shape)


def by_confidence(rng: Generator, logits: ndarray, drawn: ndarray) -> ndarray:
    """First where the drawn token is likeliest (Chang et al. 2022): leaves the model's law.

    What is revealed early is then more typical than what the model would draw.
    """
    return np.take_along_axis(probabilities(logits), drawn[..., None], axis=-1)[..., 0]


def reveal(draw: Draw, rng: Generator, where: Where = at_random) -> Commit:
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
    hidden: ndarray, steps: int | None = None, counts: Sequence | None = None
) -> list[ndarray]:
    """Times of an unmasking walk: how many positions are hidden before each step, and at the end.

    Args:
        hidden: (B, L) booleans, what is hidden at the start; where nothing is, there is no step.
        steps: in how many steps, as even as can be; one position a step if not given.
        counts: (steps,) or (B, steps) positions to reveal in each step, instead.
    """
    left, L = hidden.sum(axis=1), hidden.shape[1]
    if steps is not None and counts is not None:
        raise ValueError(f"give steps or counts, not both; got steps={steps}, counts={counts}")
    if steps is not None:
        arguments.whole(1, L, steps=steps)
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
        expected = f"whole numbers (steps,) or (B, steps) that add up to {np.unique(left)}"
        raise ValueError(f"counts: expected {expected}, what is hidden, got {counts.tolist()}")
    return counts


def ranks(scores: ndarray) -> ndarray:
    """Rank of each entry along the last axis, 0 the largest; ties go to the first."""
    return np.argsort(np.argsort(-scores, axis=-1, kind="stable"), axis=-1)


def _valid(logits):
    logits = np.asarray(logits)
    # (the largest of a row is NaN if one of its numbers is)
    if not logits.shape or not logits.shape[-1] or not np.isfinite(logits.max(-1)).all():
        expected = "numbers or -inf, one finite in each row"
        raise ValueError(f"logits (..., V): expected {expected}, got {logits}")
    return logits
