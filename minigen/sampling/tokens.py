"""Tokens: functions on logits (..., V), the draw, and the commit that writes one."""

import numpy as np

from minigen.sampling.walk import Array, Commit


def temperature(logits: Array, tau: float) -> Array:
    """Logits / tau: below 1 sharper, above 1 flatter; 0 leaves only the largest (the first, if tied)."""
    logits = _valid(logits)
    if not 0 <= tau < np.inf:
        raise ValueError(f"tau must be a finite number >= 0, got {tau}")
    logits = logits - logits.max(-1, keepdims=True)
    return top_k(logits, 1) if tau == 0 else logits / tau


def top_k(logits: Array, k: int) -> Array:
    """All but the k largest logits become -inf (ties: the first stay); k beyond the vocabulary keeps all."""
    logits = _valid(logits)
    if k < 1 or k % 1:
        raise ValueError(f"k must be a whole number and at least 1, got {k}")
    return np.where(_ranks(logits) < k, logits, -np.inf)


def top_p(logits: Array, p: float) -> Array:
    """Only the fewest most likely tokens whose probabilities reach p stay (nucleus sampling, Holtzman et al. 2020)."""
    logits = _valid(logits)
    if not 0 < p <= 1:
        raise ValueError(f"p must lie in (0, 1], got {p}")
    sorted_probabilities = -np.sort(-probabilities(logits), axis=-1)
    before = np.cumsum(sorted_probabilities, axis=-1) - sorted_probabilities
    keep = np.sum((before < p) | (p == 1), axis=-1, keepdims=True)
    return np.where(_ranks(logits) < keep, logits, -np.inf)


def probabilities(logits: Array) -> Array:
    """softmax over the last axis, in float64."""
    weights = np.exp(_valid(logits).astype(np.float64) - np.max(logits, axis=-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def categorical(logits: Array, rng: np.random.Generator) -> Array:
    """One token for each row of logits (..., V): integers of shape (...), by inverting the cumulative distribution."""
    cumulative = np.cumsum(probabilities(logits), axis=-1)
    cumulative /= cumulative[
        ..., -1:
    ]  # ends in exactly 1, so that a draw below 1 always finds a token
    return np.sum(rng.random(cumulative.shape[:-1] + (1,)) >= cumulative, axis=-1)


def write(
    rng: np.random.Generator, tau: float = 1.0, k: int | None = None, p: float | None = None
) -> Commit:
    """The autoregressive commit: one token, drawn from the logits (B, V), goes to column `now` of x (B, L).

    First the temperature, then top-k, then top-p of what is left, as is usual.
    """

    def commit(x, logits, now, after):
        logits = temperature(logits, tau)
        logits = logits if k is None else top_k(logits, k)
        logits = logits if p is None else top_p(logits, p)
        x = x.copy()
        x[:, now] = categorical(logits, rng)
        return x

    return commit


def _ranks(logits):
    """Rank of each token, 0 the most likely; ties go to the first."""
    return np.argsort(np.argsort(-logits, axis=-1, kind="stable"), axis=-1)


def _valid(logits):
    logits = np.asarray(logits)
    if (
        logits.ndim == 0
        or not np.all(logits < np.inf)
        or not np.all(np.any(logits > -np.inf, axis=-1))
    ):
        raise ValueError(
            f"logits (..., V) must be numbers or -inf, one finite in each row, got {logits}"
        )
    return logits
