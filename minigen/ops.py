"""Every differentiable primitive: the value and its vector-Jacobian products on adjacent lines.

Names and meaning follow `torch.nn.functional`; those of shaping follow NumPy. In a rule, `g` is the
gradient of the loss by the op's value; the rule returns the gradient of the loss by one argument.
Summing over broadcast axes is the engine's work, not the rule's. A primitive is as large as an
equation in a textbook: few passes over memory, and one derivation to read.
"""

import math

import numpy as np

# The larger primitives have a room of their own.
from minigen.kernels.attention import additive_mask, attention, attention_weights  # noqa: F401
from minigen.kernels.convolution import conv2d  # noqa: F401
from minigen.kernels.images import avg_pool2d, group_norm, interpolate  # noqa: F401
from minigen.kernels.winograd import upsample_conv2d  # noqa: F401
from minigen.tensor import Tensor, joint_op, ones, op

# -- elementwise -----------------------------------------------------------------------------------


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
    """x to a constant power.

    x ** 2 and x ** 3 are products: NumPy's own cube in float32 is 300 times slower.
    """
    if np.ndim(exponent):
        raise TypeError(f"pow: exponent is a number, got an array of shape {np.shape(exponent)}")
    if exponent == 2:
        return x * x, lambda g: 2 * g * x
    if exponent == 3:
        return x * x * x, lambda g: 3 * g * x * x
    if not exponent:  # the rule below has x^-1, infinite at x = 0
        return x**exponent, lambda g: 0 * g
    return x**exponent, lambda g: g * (exponent * x ** (exponent - 1))


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
def tanh(x):
    y = np.tanh(x)
    return y, lambda g: g - g * y * y


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
    return y, lambda g: g * (s + y * (1 - s))  # not y + s (1 - y): that cancels where x is large


@op
def gelu(x):
    """GELU in its tanh form (Hendrycks & Gimpel 2016).

    x s with s = (1 + tanh u) / 2 and u = sqrt(2 / pi) (x + 0.044715 x^3); s' = 2 s (1 - s) u'.
    In place, line by line, for these are the widest arrays of a Transformer.
    """
    c = math.sqrt(2 / math.pi)
    u = x * x
    u *= 0.044715 * c
    u += c
    u *= x
    s = np.tanh(u)
    s *= 0.5
    s += 0.5
    y = x * s

    def vjp(g):  # s + x s'
        d = x * x
        d *= 6 * 0.044715 * c
        d += 2 * c  # 2 u'
        d *= y
        d *= 1 - s
        d += s
        d *= g
        return d

    return y, vjp


def _sigmoid(x):
    """1 / (1 + e^-x); where e^-x overflows, infinity is the right thing to divide by."""
    y = np.negative(x, out=np.empty_like(x))  # an array also where x is a single number
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    y += 1
    return np.divide(1, y, out=y)


@op
def maximum(x, y):
    """The larger one; where both are equal each gets half of the gradient."""
    share = (x > y) + (x == y) * np.asarray(0.5, np.result_type(x, y))
    return np.maximum(x, y), lambda g: g * share, lambda g: g * (1 - share)


@op
def clip(x, low, high):
    """x limited to [low, high]; no gradient outside."""
    y = np.clip(x, low, high)
    return y, lambda g: g * (x == y)


@op
def where(condition, x, y):
    """x where condition holds, else y.

    Both are computed: `where(x > 0, log(x), 0)` has a NaN gradient at x = 0.
    """
    return (
        np.where(condition, x, y),
        None,
        lambda g: np.where(condition, g, 0),
        lambda g: np.where(condition, 0, g),
    )


@op
def dropout(x, p, rng):
    """Zero each element with probability p and scale the others by 1 / (1 - p)."""
    if not 0 <= p < 1:
        raise ValueError(f"p is a probability below 1, got {p}")
    keep = (rng.random(x.shape) >= p).astype(x.dtype) / x.dtype.type(1 - p)
    return x * keep, lambda g: g * keep


# -- reductions ------------------------------------------------------------------------------------


@op
def sum(x, axis=None, keepdims=False):
    return x.sum(axis=axis, keepdims=keepdims), lambda g: _spread(g, x.shape, axis, keepdims)


@op
def mean(x, axis=None, keepdims=False):
    if x.size == 0:
        raise ValueError("the mean of nothing")
    y = x.mean(axis=axis, keepdims=keepdims)
    return y, lambda g: _spread(g * (np.size(y) / x.size), x.shape, axis, keepdims)


@op
def max(x, axis=None, keepdims=False):
    """Largest element along axis; equal ones share the gradient."""
    y = x.max(axis=axis, keepdims=True)
    chosen = (x == y).astype(x.dtype)
    chosen /= chosen.sum(axis=axis, keepdims=True)
    value = y if keepdims else y.squeeze(axis)
    return value, lambda g: chosen * _spread(g, x.shape, axis, keepdims)


def _spread(g, shape, axis, keepdims):
    """Repeat g along the axes that a reduction removed: the transpose of a sum."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


# -- shaping ---------------------------------------------------------------------------------------


@op
def reshape(x, shape):
    return x.reshape(shape), lambda g: g.reshape(x.shape)


@op
def transpose(x, axes=None):
    """Permute the axes as `numpy.transpose` does (torch's `permute`)."""
    back = None if axes is None else np.argsort([a % x.ndim for a in axes])
    return x.transpose(axes), lambda g: g.transpose(back)


def _by_number(axes: tuple):
    """The axes of x.transpose(1, 0) and x.transpose((1, 0)), as NumPy takes both; none: None."""
    together = len(axes) == 1 and isinstance(axes[0], (tuple, list))
    return axes[0] if together else axes or None


def concatenate(tensors, axis: int = 0) -> Tensor:
    """Join tensors along an axis."""
    return _concatenate(*tensors, axis=axis)


@op
def _concatenate(*arrays, axis):
    cuts = np.cumsum([a.shape[axis] for a in arrays])[:-1]
    return np.concatenate(arrays, axis), *(
        lambda g, i=i: np.split(g, cuts, axis)[i] for i in range(len(arrays))
    )


def split(x, sections: int, axis: int = 0) -> list[Tensor]:
    """Cut into `sections` equal parts along an axis."""
    size, rest = divmod(x.shape[axis], sections)
    if rest:
        raise ValueError(f"split: {x.shape} along axis {axis} does not divide into {sections}")
    before = (slice(None),) * (axis % x.ndim)
    starts = range(0, x.shape[axis], size)
    return [getitem(x, (*before, slice(start, start + size))) for start in starts]


@op
def pad(x, widths, value=0.0):
    """Surround x with a constant; widths as for `numpy.pad`: ((before, after), ...) for every axis.

    Also as there, one pair serves all axes, and one number both sides.
    """
    widths = np.broadcast_to(widths, (x.ndim, 2))
    inside = tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape))
    return np.pad(x, widths, constant_values=value), lambda g: g[inside]


@op
def getitem(x, index):
    """x[index], for slices as well as for integer and boolean arrays.

    An element taken twice gets both gradients.
    """
    parts = index if type(index) is tuple else (index,)
    repeats = any(isinstance(part, (np.ndarray, list, tuple, range)) for part in parts)

    def vjp(g):
        if repeats:  # `d[index] = g` would lose all but one
            places = np.arange(x.size).reshape(x.shape)[index]
            return np.bincount(places.ravel(), g.ravel(), x.size).reshape(x.shape)
        d = np.zeros(x.shape, g.dtype)
        d[index] = g
        return d

    return x[index], vjp


def take(x, indices, axis: int = 0) -> Tensor:
    """The slices of x along an axis at integer `indices`, repeats too (torch's `index_select`)."""
    before = (slice(None),) * (axis % x.ndim)
    return getitem(x, (*before, _indices("take", indices, x.shape[axis])))


def _indices(name, indices, size):
    """Integers below size, or a clear error: a negative one would silently count from the end."""
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices have dtype {indices.dtype}, expected integers")
    if (indices.astype(np.uint64) >= size).any():  # without a sign, a negative number is huge
        raise IndexError(f"{name}: {indices.min()} to {indices.max()}, expected 0 to {size - 1}")
    return indices


# -- products --------------------------------------------------------------------------------------


@op
def matmul(x, y):
    """Matrix product of the last two axes; the others broadcast. Both need at least two axes."""
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError("both arguments need two axes or more")
    return x @ y, lambda g: g @ y.swapaxes(-1, -2), lambda g: x.swapaxes(-1, -2) @ g


@op
def linear(x, weight, bias=None):
    """x W^T + b. Shapes: x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    if x.shape[-1:] != weight.shape[1:] or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("x is (..., in), weight (out, in), bias (out,)")
    rows = _rows(x)  # one flat product: NumPy loops over the leading axes otherwise
    # As `@`, and half a microsecond less, which counts where one token is sampled:
    y = rows.dot(weight.T)
    if bias is not None:
        y += bias
    return (
        y.reshape(x.shape[:-1] + weight.shape[:1]),
        lambda g: (_rows(g) @ weight).reshape(x.shape),
        lambda g: (rows.T @ _rows(g)).T,  # column by column, as the weight lies in memory
        lambda g: ones(len(rows), g.dtype) @ _rows(g),
    )


def _rows(x):
    """(..., C) -> (rows, C)."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


@op
def embedding(indices, weight):
    """Rows of a table: weight[indices]. Shapes: indices (...), weight (V, C) -> (..., C)."""
    if weight.ndim != 2:
        raise ValueError("weight is (V, C)")
    indices = _indices("embedding", indices, len(weight))

    def vjp_weight(g):  # add up the rows of g of one index: sort them, then sum each run
        order = np.argsort(indices, axis=None, kind="stable")
        chosen, starts = np.unique(indices.ravel()[order], return_index=True)
        out = np.zeros(weight.shape, g.dtype)
        if chosen.size:
            out[chosen] = np.add.reduceat(g.reshape(indices.size, -1)[order], starts)
        return out

    return weight[indices], None, vjp_weight


# -- normalisation and probabilities ---------------------------------------------------------------


@op
def softmax(x, axis=-1):
    """e^x / sum e^x along an axis."""
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    y /= y.sum(axis=axis, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(axis=axis, keepdims=True))  # J^T g = y (g - <g, y>)


@op
def log_softmax(x, axis=-1):
    """x - log sum e^x along an axis."""
    y = x - x.max(axis=axis, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return y, lambda g: g - np.exp(y) * g.sum(axis=axis, keepdims=True)


@op
def cross_entropy(logits, targets):
    """Mean of -log softmax(logits)[target], in nats, a scalar.

    Shapes: logits (..., V), targets (...) of integers.
    """
    targets = _indices("targets", targets, logits.shape[-1])
    if targets.shape != logits.shape[:-1] or not targets.size:
        raise ValueError("targets have the shape of logits but its last axis, and are not empty")
    rows = _rows(logits)
    places = np.arange(len(rows)), targets.ravel()
    shifted = rows - rows.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p @ ones(p.shape[1], p.dtype)

    def vjp(g):  # (softmax - one-hot) / n
        each = g / len(p)
        d = p * (each / total)[:, None]
        d[places] -= each
        return d.reshape(logits.shape)

    return (np.log(total) - shifted[places]).mean(), vjp


@op
def mse_loss(x, target):
    """Mean of (x - target)^2. Both of one shape."""
    if x.shape != np.shape(target) or not x.size:
        raise ValueError("x and target have one shape, and are not empty")
    difference = x - target
    flat = difference.ravel()
    return (
        flat @ flat / x.size,
        lambda g: difference * (2 * g / x.size),
        lambda g: difference * (-2 * g / x.size),
    )


@joint_op
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axis (Ba et al. 2016).

    Shapes: x (..., C), normalized_shape C or (C,), weight (C,), bias (C,).
    """
    C = x.shape[-1] if x.ndim else 0
    if normalized_shape not in (C, (C,)):
        raise ValueError(f"normalized_shape is the last axis, {C}; got {normalized_shape}")
    for parameter in (weight, bias):
        if parameter is not None and parameter.shape != (C,):
            raise ValueError(f"weight and bias are ({C},), as the last axis")
    rows, average = _rows(x), ones((C, 1), x.dtype, 1 / (C or 1))
    z = rows - rows[:, :1]  # so that a row far from 0 loses no digits in its mean
    z -= z.dot(average)
    deviation = np.sqrt((z * z).dot(average) + eps)
    z /= deviation
    scale = ones(C, x.dtype) if weight is None else weight
    y = z * scale if bias is None else z * scale + bias

    def vjp(g):
        g, over_rows = _rows(g), ones(len(rows), g.dtype)
        gz = g * z
        d = g * scale  # with h = g * weight: (h - mean(h) - z mean(h z)) / deviation
        d -= d.dot(average)
        d -= z * gz.dot(scale[:, None] * average)
        d /= deviation
        return d.reshape(x.shape), None, over_rows @ gz, over_rows @ g

    return y.reshape(x.shape), vjp, None, vjp, vjp


# -- what Tensor can do: the same functions as operators and methods -------------------------------

Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = mul
Tensor.__sub__, Tensor.__rsub__ = sub, lambda x, y: sub(y, x)
Tensor.__truediv__, Tensor.__rtruediv__ = div, lambda x, y: div(y, x)
Tensor.__matmul__, Tensor.__rmatmul__ = matmul, lambda x, y: matmul(y, x)
Tensor.__neg__, Tensor.__pow__, Tensor.__getitem__, Tensor.__abs__ = neg, pow, getitem, abs
Tensor.exp, Tensor.log, Tensor.sqrt, Tensor.abs, Tensor.pow = exp, log, sqrt, abs, pow
Tensor.tanh, Tensor.sigmoid, Tensor.relu = tanh, sigmoid, relu
Tensor.sum, Tensor.mean, Tensor.max = sum, mean, max
Tensor.reshape = lambda x, *shape: reshape(x, shape[0] if len(shape) == 1 else shape)
Tensor.transpose = lambda x, *axes: transpose(x, _by_number(axes))
Tensor.T = property(transpose)

_IN_TORCH = {
    "view": "ops.reshape",
    "flatten": "ops.reshape",
    "squeeze": "ops.reshape",
    "permute": "ops.transpose",
    "clamp": "ops.clip",
    "cat": "ops.concatenate",
    "chunk": "ops.split",
    "index_select": "ops.take",
    "detach": "Tensor(x, requires_grad=False), and x.data for the value",
}


def _no_such_method(x, name):
    """What a Tensor has no method for may be an op, or have another name here."""
    is_op = callable(globals().get(name)) and not name.startswith("_")
    here = f"ops.{name}" if is_op else _IN_TORCH.get(name)
    hint = f"; there is minigen.{here}" if here else ""
    raise AttributeError(f"a Tensor has no {name!r}{hint}")


Tensor.__getattr__ = _no_such_method
