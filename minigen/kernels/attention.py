"""Attention: which positions look at which others, and what they see there.

Vaswani et al. 2017, section 3.2.
"""

import numpy as np

from minigen.tensor import ones, op, read_only

SHORT = 16  # of fewer queries the scores are not laid out by column: see `_pairs`


def attention_weights(qkv: np.ndarray, heads: int, mask: np.ndarray | None = None) -> np.ndarray:
    """softmax(q k^T / sqrt(D)), arguments as for `attention` -> (B, H, Q, L)."""
    q, k, _ = _heads(qkv, heads, mask)
    return _weights(q * q.shape[-1] ** -0.5, k, mask)


def _weights(q, k, mask):
    """softmax(q k^T): q is scaled already, which has fewer numbers than the scores."""
    weights = _pairs(q, k)  # (B, H, Q, L)
    if mask is not None:
        weights += mask if mask.dtype.kind == "f" else additive_mask(mask)
    weights -= np.maximum.reduce(weights, axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= (weights @ ones(weights.shape[-1], weights.dtype))[..., None]
    return weights


def _pairs(x, y):
    """x y^T, (B, H, Q, D) and (B, H, L, D) -> (B, H, Q, L).

    Column by column in memory, unless columns are short: what follows is done for every row, and
    NumPy does it faster to many rows at once than to one after the other.
    """
    if x.shape[-2] < SHORT:
        return x @ y.swapaxes(-1, -2)
    by_column = y @ x.swapaxes(-1, -2)
    return by_column.swapaxes(-1, -2)


def additive_mask(mask: np.ndarray) -> np.ndarray:
    """What to add to the scores: 0 where mask is True, else -inf; read-only, float32."""
    if mask.dtype != bool or not mask.any(axis=-1).all():
        raise ValueError(
            "mask holds True where a query may look, and lets every query look somewhere"
        )
    added = np.where(mask, np.float32(0), np.float32(-np.inf))
    by_column = np.ascontiguousarray(added.swapaxes(-1, -2))  # as the scores: see `_pairs`
    return read_only(by_column).swapaxes(-1, -2)


@op
def attention(qkv, heads, mask=None, queries=None):
    """Multi-head scaled dot-product attention, softmax(q k^T / sqrt(D)) v (eq. 1).

    Shapes: qkv (B, L, 3C) packed queries, keys and values; mask (..., Q, L) of booleans, True where
    a query may look, or of floats to add to the scores, unchecked, as `additive_mask` makes them
    (None: everywhere); the *last* Q = `queries` positions ask, so that with a cache only new ones
    do (None: as many as the mask has rows, all without a mask) -> (B, Q, C).
    """
    q, k, v = _heads(qkv, heads, mask, queries)
    B, H, Q, D = q.shape
    q = q * D**-0.5
    weights = _weights(q, k, mask)
    L, C = qkv.shape[1], H * D
    y = np.empty((B, Q, C), qkv.dtype)
    np.matmul(weights, v, out=_split(y, heads))

    def vjp(g):
        d_qkv = np.empty(qkv.shape, qkv.dtype)
        d_qkv[:, : L - Q, :C] = 0  # the queries of positions that did not ask
        d_q, d_k, d_v = _heads(d_qkv, heads, mask, queries)
        g_heads = _split(g, heads)
        np.matmul(weights.swapaxes(-1, -2), g_heads, out=d_v)
        # d, by the weights; next by the scores: w (d - <d, w>), where <d, w> = <g, y>
        d = _pairs(g_heads, v)
        gy = _split(g * y, heads)
        d -= (gy @ ones(D, y.dtype))[..., None]
        d *= weights
        np.matmul(d, k, out=d_q)
        d_q *= D**-0.5
        np.matmul(d.swapaxes(-1, -2), q, out=d_k)
        return d_qkv

    return y, vjp


def _split(x, heads):
    """(B, L, C) -> (B, H, L, D), a view."""
    B, L, C = x.shape
    by_head = x.reshape(B, L, heads, C // heads)
    return by_head.transpose(0, 2, 1, 3)


def _heads(qkv, heads, mask=None, queries=None):
    """(B, L, 3C) -> views of q, where positions ask, (B, H, Q, D), of k and v (B, H, L, D)."""
    B, L, packed = qkv.shape
    if packed % (3 * heads):
        expected = f"the last axis holds q, k and v of {heads} heads"
        raise ValueError(f"{expected}; {packed} does not divide by {3 * heads}")
    by_head = qkv.reshape(B, L, 3, heads, packed // (3 * heads))
    q, k, v = by_head.transpose(2, 0, 3, 1, 4)
    if queries is None:
        queries = L if mask is None else mask.shape[-2:][0]
    if queries > L or (mask is not None and mask.shape[-2:] != (queries, L)):
        raise ValueError(f"mask is (..., Q, {L}), Q = {queries} at most {L}")
    return q[:, :, L - queries :], k, v
