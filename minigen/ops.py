"""Every differentiable primitive: the value and its vector-Jacobian products (vjp) on adjacent lines.

Names and meaning follow `torch.nn.functional`. In a rule, `g` is the gradient of the loss by the op's value; the rule
returns the gradient of the loss by one argument. Summing over broadcast axes is the engine's work, not the rule's.
A primitive is as large as an equation in a textbook: few passes over memory, and one derivation to read.
"""

import numpy as np

from minigen.tensor import Tensor, joint_op, op

# -- elementwise -------------------------------------------------------------------------------------------------------


@op
def add(x, y):
    return x + y, lambda g: g, lambda g: g


@op
def sub(x, y):
    return x - y, lambda g: g, lambda g: -g


@op
def mul(x, y):
    return x * y, lambda g: g * y, lambda g: g * x


@op
def div(x, y):
    return x / y, lambda g: g / y, lambda g: -g * x / (y * y)


@op
def neg(x):
    return -x, lambda g: -g


@op
def pow(x, exponent):
    """x to a constant power. (x ** 2 and x ** 3 are products: NumPy's own cube in float32 is 300 times slower.)"""
    if exponent == 2:
        return x * x, lambda g: 2 * g * x
    if exponent == 3:
        return x * x * x, lambda g: 3 * g * x * x
    return x**exponent, lambda g: g * exponent * x ** (exponent - 1)


@op
def exp(x):
    y = np.exp(x)
    return y, lambda g: g * y


@op
def log(x):
    return np.log(x), lambda g: g / x


@op
def sqrt(x):
    y = np.sqrt(x)
    return y, lambda g: g / (2 * y)


@op
def abs(x):
    return np.abs(x), lambda g: g * np.sign(x)


@op
def sin(x):
    return np.sin(x), lambda g: g * np.cos(x)


@op
def cos(x):
    return np.cos(x), lambda g: -g * np.sin(x)


@op
def tanh(x):
    y = np.tanh(x)
    return y, lambda g: g * (1 - y * y)


@op
def sigmoid(x):
    y = _sigmoid(x)
    return y, lambda g: g * y * (1 - y)


@op
def softplus(x):
    """log(1 + e^x), for any x."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), lambda g: g * _sigmoid(x)


@op
def relu(x):
    return np.maximum(x, 0), lambda g: g * (x > 0)


@op
def silu(x):
    """x sigmoid(x), also called swish (Ramachandran et al. 2017)."""
    s = _sigmoid(x)
    y = x * s

    def vjp(g):  # y' = s + x s (1 - s) = y + s (1 - y)
        d = 1 - y
        d *= s
        d += y
        d *= g
        return d

    return y, vjp


@op
def gelu(x):
    """GELU in its tanh form (Hendrycks & Gimpel 2016): x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3)."""
    c = 2 * (2 / np.pi) ** 0.5
    s = x * x
    s *= 0.044715 * c
    s += c
    s *= x  # 2u
    s = _sigmoid(s)
    y = x * s

    def vjp(g):  # y' = s + y (1 - s) 2u',  2u' = c (1 + 3 * 0.044715 x^2)
        d = x * x
        d *= 3 * 0.044715 * c
        d += c
        d *= y
        d *= 1 - s
        d += s
        d *= g
        return d

    return y, vjp


def _sigmoid(x):
    """1 / (1 + e^-x); where e^-x overflows, 1 / inf = 0 is the right answer."""
    with np.errstate(over="ignore"):
        s = np.exp(-x)
    s += 1
    return np.divide(1, s, out=s) if isinstance(s, np.ndarray) else 1 / s


@op
def maximum(x, y):
    """The larger one; where both are equal each gets half of the gradient."""
    share = (x > y) + (x == y) * np.asarray(0.5, np.result_type(x, y))
    return np.maximum(x, y), lambda g: g * share, lambda g: g * (1 - share)


@op
def clip(x, low, high):
    """x limited to [low, high]; no gradient outside."""
    return np.clip(x, low, high), lambda g: g * ((x >= low) & (x <= high))


@op
def where(condition, x, y):
    """x where condition holds, else y. Both are computed: `where(x > 0, log(x), 0)` has a NaN gradient at x = 0."""
    zero = np.zeros((), np.result_type(x, y))
    return (
        np.where(condition, x, y),
        None,
        lambda g: np.where(condition, g, zero),
        lambda g: np.where(condition, zero, g),
    )


@op
def dropout(x, p, rng):
    """Zero each element with probability p and scale the others by 1 / (1 - p)."""
    if not 0 <= p < 1:
        raise ValueError(f"p is a probability below 1, got {p}")
    keep = (rng.random(x.shape) >= p).astype(x.dtype) / x.dtype.type(1 - p)
    return x * keep, lambda g: g * keep


# -- reductions --------------------------------------------------------------------------------------------------------


@op
def sum(x, axis=None, keepdims=False):
    return x.sum(axis=axis, keepdims=keepdims), lambda g: _spread(g, x.shape, axis, keepdims)


@op
def mean(x, axis=None, keepdims=False):
    y = x.mean(axis=axis, keepdims=keepdims)
    if x.size == 0:
        raise ValueError("the mean of nothing")
    return y, lambda g: _spread(g * (np.size(y) / x.size), x.shape, axis, keepdims)


@op
def max(x, axis=None, keepdims=False):
    """Largest element along axis; equal ones share the gradient."""
    y = x.max(axis=axis, keepdims=True)
    chosen = (x == y).astype(x.dtype)
    chosen /= chosen.sum(axis=axis, keepdims=True)
    value = y if keepdims else x.max(axis=axis)
    return value, lambda g: chosen * _spread(g, x.shape, axis, keepdims)


def _spread(g, shape, axis, keepdims):
    """Repeat g along the axes that a reduction removed: the transpose of a sum."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


# -- shaping -----------------------------------------------------------------------------------------------------------


@op
def reshape(x, shape):
    return x.reshape(shape), lambda g: g.reshape(x.shape)


@op
def transpose(x, axes=None):
    """Permute the axes as `numpy.transpose` does (torch's `permute`)."""
    order = tuple(range(x.ndim))[::-1] if axes is None else tuple(a % x.ndim for a in axes)
    return x.transpose(order), lambda g: g.transpose(np.argsort(order))


@op
def broadcast_to(x, shape):
    return np.broadcast_to(x, shape), lambda g: g


def concatenate(tensors, axis: int = 0) -> Tensor:
    """Join tensors along an axis."""
    return _concatenate(axis, *tensors)


@op
def _concatenate(axis, *arrays):
    ends = np.cumsum([a.shape[axis] for a in arrays])
    starts = [0, *ends[:-1]]

    def piece(start, end):
        return lambda g: np.moveaxis(np.moveaxis(g, axis, 0)[start:end], 0, axis)

    return np.concatenate(arrays, axis), None, *map(piece, starts, ends)


def split(x, sections: int, axis: int = 0) -> list[Tensor]:
    """Cut into `sections` equal parts along an axis."""
    size, rest = divmod(np.shape(x)[axis] if not isinstance(x, Tensor) else x.shape[axis], sections)
    if rest:
        raise ValueError(f"split: axis {axis} of shape {x.shape} does not divide into {sections} equal parts")
    before = (slice(None),) * (axis % x.ndim)
    return [getitem(x, (*before, slice(i * size, (i + 1) * size))) for i in range(sections)]


@op
def pad(x, widths, value=0.0):
    """Surround x with a constant; widths as for `numpy.pad`: ((before, after), ...) for every axis."""
    inside = tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape))
    return np.pad(x, widths, constant_values=value), lambda g: g[inside]


@op
def getitem(x, index):
    """x[index], for slices as well as for integer and boolean arrays; an element taken twice gets both gradients."""

    def vjp(g):
        places = np.arange(x.size).reshape(x.shape)[index]
        return np.bincount(places.ravel(), g.ravel(), x.size).reshape(x.shape)  # `out[index] += g` would lose repeats

    def vjp_slice(g):
        out = np.zeros(x.shape, g.dtype)
        out[index] = g
        return out

    basic = all(
        isinstance(i, (int, slice, type(None), type(...))) for i in (index if type(index) is tuple else (index,))
    )
    return x[index], vjp_slice if basic else vjp


def take(x, indices, axis: int = 0) -> Tensor:
    """The slices of x along an axis at integer `indices` (torch's `index_select`); repeats allowed."""
    return getitem(x, (slice(None),) * (axis % x.ndim) + (_indices("take", indices, x.shape[axis]),))


def _indices(name, indices, size):
    """Integer indices below size, or a clear error: a negative one would silently count from the end."""
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices have dtype {indices.dtype}, expected integers")
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        raise IndexError(f"{name}: indices from {indices.min()} to {indices.max()}, expected 0 to {size - 1}")
    return indices


# -- products ----------------------------------------------------------------------------------------------------------


@op
def matmul(x, y):
    """Matrix product of the last two axes; the others broadcast. Both need at least two axes."""
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError("both arguments need two axes or more")
    return x @ y, lambda g: g @ y.swapaxes(-1, -2), lambda g: x.swapaxes(-1, -2) @ g


@op
def linear(x, weight, bias=None):
    """x W^T + b. Shapes: x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    rows = x.reshape(-1, weight.shape[1]) if x.shape[-1:] == weight.shape[1:] else _mismatch(x, weight)
    y = rows @ weight.T  # one flat product: NumPy loops over the leading axes otherwise
    if bias is not None:
        y += bias

    def vjp_weight(g):
        return g.reshape(-1, len(weight)).T @ rows

    def vjp_bias(g):
        return np.ones(len(rows), g.dtype) @ g.reshape(-1, len(weight))

    return (
        y.reshape(*x.shape[:-1], len(weight)),
        lambda g: (g.reshape(-1, len(weight)) @ weight).reshape(x.shape),
        vjp_weight,
        vjp_bias,
    )


def _mismatch(x, weight):
    raise ValueError(
        f"the last axis of x has {x.shape[-1] if x.ndim else 'no'} elements, weight expects {weight.shape[1]}"
    )


@op
def embedding(indices, weight):
    """Rows of a table: weight[indices]. Shapes: indices (...) of integers, weight (V, C) -> (..., C)."""
    indices = _indices("indices", indices, len(weight))

    def vjp_weight(g):  # add up the rows of g that belong to the same index: sort them, then sum each run
        order = np.argsort(indices, axis=None, kind="stable")
        chosen, starts = np.unique(indices.ravel()[order], return_index=True)
        out = np.zeros(weight.shape, g.dtype)
        if chosen.size:
            out[chosen] = np.add.reduceat(g.reshape(indices.size, -1)[order], starts)
        return out

    return weight[indices], None, vjp_weight


# -- normalisation and probabilities -----------------------------------------------------------------------------------


@op
def softmax(x, axis=-1):
    """e^x / sum e^x along an axis."""
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    y /= y.sum(axis=axis, keepdims=True)

    def vjp(g):  # J^T g = y (g - <g, y>)
        d = g * y
        d -= y * d.sum(axis=axis, keepdims=True)
        return d

    return y, vjp


@op
def log_softmax(x, axis=-1):
    """x - log sum e^x along an axis."""
    y = x - x.max(axis=axis, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return y, lambda g: g - np.exp(y) * g.sum(axis=axis, keepdims=True)


@op
def cross_entropy(logits, targets):
    """Mean of -log softmax(logits)[target]. Shapes: logits (..., V), targets (...) of integers -> scalar, nats."""
    targets = _indices("targets", targets, logits.shape[-1])
    if targets.shape != logits.shape[:-1] or not targets.size:
        raise ValueError("targets need the shape of logits without its last axis, and at least one element")
    p = logits.reshape(-1, logits.shape[-1])
    places = np.arange(len(p)), targets.ravel()
    p = p - p.max(axis=1, keepdims=True)
    chosen = p[places]
    np.exp(p, out=p)
    total = p @ np.ones(p.shape[1], p.dtype)

    def vjp(g):  # (softmax - one-hot) / n
        scale = g / len(p)
        d = p * (scale / total)[:, None]
        d[places] -= scale
        return d.reshape(logits.shape)

    return (np.log(total) - chosen).mean(), vjp


@op
def mse_loss(x, target):
    """Mean of (x - target)^2. Both of one shape."""
    if x.shape != target.shape or not x.size:
        raise ValueError("x and target need the same shape, and at least one element")
    difference = x - target
    flat = difference.ravel()
    scale = 2 / x.size
    return flat @ flat / x.size, lambda g: difference * (scale * g), lambda g: difference * (-scale * g)


@joint_op
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axis (Ba et al. 2016).

    Shapes: x (..., C), normalized_shape C or (C,), weight (C,), bias (C,).
    """
    C = x.shape[-1] if x.ndim else 0
    if np.ravel(normalized_shape).tolist() != [C]:
        raise ValueError(f"normalized_shape is the size of the last axis, {C}; got {normalized_shape}")
    ones = np.ones(C, x.dtype)
    rows = x.reshape(-1, C)
    z = rows - (rows @ ones / C)[:, None]
    deviation = 1 / np.sqrt(np.square(z) @ ones / C + x.dtype.type(eps))
    z *= deviation[:, None]
    y = z * weight if weight is not None else z
    if bias is not None:
        y = y + bias

    def vjp(g):
        g = g.reshape(-1, C)
        gz = g * z
        over_rows = np.ones(len(rows), g.dtype)
        g_weight = over_rows @ gz if weight is not None else None
        g_bias = over_rows @ g if bias is not None else None
        scale = ones if weight is None else weight
        # with h = g * weight: (h - mean(h) - z mean(h z)) / deviation
        d = g * scale
        d -= (d @ ones / C)[:, None]
        np.multiply(z, (gz @ scale / C)[:, None], out=gz)
        d -= gz
        d *= deviation[:, None]
        return d.reshape(x.shape), None, g_weight, g_bias

    return y.reshape(x.shape), vjp


# -- attention ---------------------------------------------------------------------------------------------------------


def attention_weights(qkv: np.ndarray, heads: int, mask: np.ndarray | None = None) -> np.ndarray:
    """softmax(q k^T / sqrt(D)) of packed qkv (B, L, 3C); mask (..., Q, L), True where it may look -> (B, H, Q, L)."""
    q, k, _ = _heads(qkv, heads)
    if mask is not None:
        if mask.dtype != bool or not mask.any(axis=-1).all():
            raise ValueError("mask holds True where a query may look, and lets every query look somewhere")
        q = q[:, :, -mask.shape[-2] :]
    weights = q @ k.swapaxes(-1, -2)  # (B, H, Q, L)
    weights *= weights.dtype.type(q.shape[-1] ** -0.5)
    if mask is not None:
        weights += np.where(mask, weights.dtype.type(0), weights.dtype.type(-np.inf))
    weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= (weights @ np.ones(weights.shape[-1], weights.dtype))[..., None]
    return weights


@op
def attention(qkv, heads, mask=None):
    """Multi-head scaled dot-product attention, softmax(q k^T / sqrt(D)) v (Vaswani et al. 2017, eq. 1).

    Shapes: qkv (B, L, 3C) packed queries, keys and values; mask (..., Q, L) of booleans, True where a query may look
    (None: everywhere); the *last* Q positions ask, so that with a cache only new positions do -> (B, Q, C).
    """
    B, L, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    weights = attention_weights(qkv, heads, mask)
    Q = weights.shape[2]
    q, k, v = _heads(qkv, heads)  # views (B, H, L, D): no copies
    q = q[:, :, L - Q :]
    y = np.empty((B, Q, C), qkv.dtype)
    np.matmul(weights, v, out=_split(y, heads))

    def vjp(g):
        d_qkv = np.empty(qkv.shape, qkv.dtype) if Q == L else np.zeros(qkv.shape, qkv.dtype)
        d_q, d_k, d_v = _heads(d_qkv, heads)
        g_heads = _split(g, heads)
        np.matmul(weights.swapaxes(-1, -2), g_heads, out=d_v)
        d = g_heads @ v.swapaxes(-1, -2)  # by the weights; next by the scores: w (d - <d, w>), and <d, w> = <g, y>
        d -= (_split(g * y, heads) @ np.ones(C // heads, y.dtype))[..., None]
        d *= weights
        d *= d.dtype.type((C // heads) ** -0.5)
        np.matmul(d, k, out=d_q[:, :, L - Q :])
        np.matmul(d.swapaxes(-1, -2), q, out=d_k)
        return d_qkv

    return y, vjp


def _split(x, heads):
    """(B, L, C) -> (B, H, L, D), a view."""
    B, L, C = x.shape
    return x.reshape(B, L, heads, C // heads).transpose(0, 2, 1, 3)


def _heads(qkv, heads):
    """(B, L, 3C) -> three views (B, H, L, D)."""
    B, L, packed = qkv.shape
    if packed % (3 * heads):
        raise ValueError(f"the last axis holds q, k and v of {heads} heads; {packed} does not divide by {3 * heads}")
    return qkv.reshape(B, L, 3, heads, -1).transpose(2, 0, 3, 1, 4)


# -- what Tensor can do: the same functions as operators and methods ---------------------------------------------------

for _name, _function in {
    "__add__": add,
    "__radd__": add,
    "__sub__": sub,
    "__rsub__": lambda x, y: sub(y, x),
    "__mul__": mul,
    "__rmul__": mul,
    "__truediv__": div,
    "__rtruediv__": lambda x, y: div(y, x),
    "__neg__": neg,
    "__pow__": pow,
    "__matmul__": matmul,
    "__rmatmul__": lambda x, y: matmul(y, x),
    "__getitem__": getitem,
    "sum": sum,
    "mean": mean,
    "reshape": lambda x, *shape: reshape(x, shape[0] if len(shape) == 1 else shape),
    "transpose": lambda x, *axes: transpose(x, axes or None),
}.items():
    setattr(Tensor, _name, _function)
