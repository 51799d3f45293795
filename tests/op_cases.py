"""The table of cases for every op: how to call it, on which arrays, and what PyTorch calls it.

`o` is the namespace that holds the op: `minigen.ops`, or a copy with a mistake planted in it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    op: str
    function: Callable  # (o, *tensors) -> Tensor
    arrays: list[np.ndarray]  # float64
    torch: Callable | None  # (torch, *tensors) -> torch tensor

    @property
    def label(self) -> str:
        return f"{self.op} {' '.join(str(a.shape) for a in self.arrays)}"


def all_cases() -> list[Case]:
    rng = np.random.default_rng(0)
    normal = rng.standard_normal
    found = []

    def add(op, function, torch, *shapes, draw=normal):
        found.append(Case(op, function, [np.asarray(draw(shape)) for shape in shapes], torch))

    def positive(shape):
        return rng.uniform(0.5, 2, shape)

    def distinct(shape):  # no two numbers closer than a difference step: no ties
        return rng.permutation(int(np.prod(shape))).reshape(shape) / 3.0 - 1.1

    for shape in [(), (1,), (2, 3), (0, 3), (2, 1, 3)]:
        add("neg", lambda o, x: o.neg(x), lambda t, x: -x, shape)
        add("exp", lambda o, x: o.exp(x), lambda t, x: x.exp(), shape)
        add("log", lambda o, x: o.log(x), lambda t, x: x.log(), shape, draw=positive)
        add("sqrt", lambda o, x: o.sqrt(x), lambda t, x: x.sqrt(), shape, draw=positive)
        add("abs", lambda o, x: o.abs(x), lambda t, x: x.abs(), shape, draw=distinct)
        add("tanh", lambda o, x: o.tanh(x), lambda t, x: x.tanh(), shape)
        add("sigmoid", lambda o, x: o.sigmoid(x), lambda t, x: x.sigmoid(), shape)
        add("softplus", lambda o, x: o.softplus(x), lambda t, x: t.nn.functional.softplus(x), shape)
        add("relu", lambda o, x: o.relu(x), lambda t, x: x.relu(), shape, draw=distinct)
        add("silu", lambda o, x: o.silu(x), lambda t, x: t.nn.functional.silu(x), shape)
        add(
            "gelu",
            lambda o, x: o.gelu(x),
            lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
            shape,
        )
        add(
            "clip",
            lambda o, x: o.clip(x, -0.5, 0.2),
            lambda t, x: x.clip(-0.5, 0.2),
            shape,
            draw=distinct,
        )
        for exponent in (0, 1, 2, 3, -1, 0.5):
            add(
                "pow",
                lambda o, x, e=exponent: o.pow(x, e),
                lambda t, x, e=exponent: x**e,
                shape,
                draw=positive,
            )

    pairs = [
        ((), ()),
        ((1,), (1,)),
        ((2, 3), (2, 3)),
        ((2, 3), ()),
        ((), (2, 3)),
        ((3,), (2, 3)),
        ((2, 1), (1, 3)),
    ]
    pairs += [((0, 3), (3,)), ((1, 3), (0, 3)), ((2, 1, 3), (4, 1)), ((1,), (2, 2))]
    for pair in pairs:
        add("add", lambda o, x, y: o.add(x, y), lambda t, x, y: x + y, *pair)
        add("sub", lambda o, x, y: o.sub(x, y), lambda t, x, y: x - y, *pair)
        add("mul", lambda o, x, y: o.mul(x, y), lambda t, x, y: x * y, *pair)
        add("div", lambda o, x, y: o.div(x, y), lambda t, x, y: x / y, *pair, draw=positive)
        add("maximum", lambda o, x, y: o.maximum(x, y), lambda t, x, y: t.maximum(x, y), *pair)
        condition = rng.random(np.broadcast_shapes(*pair)) < 0.5
        add(
            "where",
            lambda o, x, y, c=condition: o.where(c, x, y),
            lambda t, x, y, c=condition: t.where(t.from_numpy(np.array(c)), x, y),
            *pair,
        )

    for shape in [(1,), (2, 3), (0, 3), (2, 3, 2)]:
        keep = np.random.default_rng(5).random(shape) >= 0.3
        add(
            "dropout",
            lambda o, x: o.dropout(x, 0.3, np.random.default_rng(5)),
            lambda t, x, keep=keep: x * t.from_numpy(keep / 0.7).to(x.dtype),
            shape,
        )

    for shape, axis in [
        ((), None),
        ((1,), 0),
        ((2, 3), None),
        ((2, 3), 0),
        ((2, 3, 2), -1),
        ((2, 3, 2), (0, 2)),
    ]:
        for keep in (False, True):
            torch_axis = tuple(range(len(shape))) if axis is None else axis
            options = {"axis": axis, "keepdims": keep}
            add(
                "sum",
                lambda o, x, k=options: o.sum(x, **k),
                lambda t, x, a=torch_axis, k=keep: x.sum(a, keepdim=k) if a != () else x,
                shape,
            )
            add(
                "mean",
                lambda o, x, k=options: o.mean(x, **k),
                lambda t, x, a=torch_axis, k=keep: x.mean(a, keepdim=k) if a != () else x,
                shape,
            )
            add(
                "max",
                lambda o, x, k=options: o.max(x, **k),
                lambda t, x, a=torch_axis, k=keep: x.amax(a, keepdim=k) if a != () else x,
                shape,
                draw=distinct,
            )
    add("sum", lambda o, x: o.sum(x, axis=0), lambda t, x: x.sum(0), (0, 3))
    add("sum", lambda o, x: o.sum(x), lambda t, x: x.sum(), (0, 3))
    add("mean", lambda o, x: o.mean(x, axis=1), lambda t, x: x.mean(1), (2, 0, 3)[::2])
    add("max", lambda o, x: o.max(x, axis=1), lambda t, x: x.amax(1), (0, 3))

    add("reshape", lambda o, x: o.reshape(x, (3, -1)), lambda t, x: x.reshape(3, -1), (2, 3))
    add("reshape", lambda o, x: o.reshape(x, (1, 1)), lambda t, x: x.reshape(1, 1), ())
    add("reshape", lambda o, x: o.reshape(x, (3, 0)), lambda t, x: x.reshape(3, 0), (0, 2))
    add("transpose", lambda o, x: o.transpose(x), lambda t, x: x.permute(2, 1, 0), (2, 3, 4))
    add(
        "transpose",
        lambda o, x: o.transpose(x, (1, -1, 0)),
        lambda t, x: x.permute(1, 2, 0),
        (2, 3, 4),
    )
    add("transpose", lambda o, x: o.transpose(x, (1, 0)), lambda t, x: x.permute(1, 0), (0, 3))
    add("transpose", lambda o, x: o.transpose(x), lambda t, x: x, ())
    for axis in (0, -1):
        parts = [(2, 3), (1, 3), (0, 3)] if axis == 0 else [(2, 1), (2, 3)]
        add(
            "concatenate",
            lambda o, *x, a=axis: o.concatenate(x, a),
            lambda t, *x, a=axis: t.cat(x, a),
            *parts,
        )
        add(
            "split",
            lambda o, x, a=axis: o.sub(o.split(x, 2, a)[1], o.mul(o.split(x, 2, a)[0], 3.0)),
            lambda t, x, a=axis: x.chunk(2, a)[1] - 3 * x.chunk(2, a)[0],
            (4, 6),
        )
    add(
        "pad",
        lambda o, x: o.pad(x, ((1, 2), (0, 3))),
        lambda t, x: t.nn.functional.pad(x, (0, 3, 1, 2)),
        (2, 3),
    )
    add(
        "pad",
        lambda o, x: o.pad(x, ((0, 0), (1, 0)), value=2.0),
        lambda t, x: t.nn.functional.pad(x, (1, 0), value=2.0),
        (0, 3),
    )
    rows = np.array([2, 0, 2, 2])
    indices = [
        ((0, 0), slice(None)),
        (0,),
        (slice(1, 3),),
        (slice(None), None, 1),
        (..., slice(None, None, 2)),
        (rows,),
        (rows, rows % 2),
    ]
    indices += [
        (slice(None), rows % 2),
        (np.array([[0, 1], [1, 1]]),),
        (np.arange(12).reshape(3, 4) % 5 < 2,),
    ]
    for index in indices:
        get = index if len(index) > 1 else index[0]
        add("getitem", lambda o, x, i=get: o.getitem(x, i), lambda t, x, i=get: x[i], (3, 4))
    add("getitem", lambda o, x: o.getitem(x, slice(0, 2)), lambda t, x: x[0:2], (0, 3))
    add(
        "take",
        lambda o, x: o.take(x, rows, 0),
        lambda t, x: x.index_select(0, t.from_numpy(rows)),
        (3, 2),
    )
    add(
        "take",
        lambda o, x: o.take(x, rows, -1),
        lambda t, x: x.index_select(-1, t.from_numpy(rows)),
        (2, 3),
    )

    for pair in [
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 1, 2, 3), (4, 3, 1)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
    ]:
        add("matmul", lambda o, x, y: o.matmul(x, y), lambda t, x, y: x @ y, *pair)
    for shape in [(3,), (1, 3), (2, 4, 3), (0, 3), (2, 0, 3)]:
        linear = lambda t, *args: t.nn.functional.linear(*args)  # noqa: E731
        add("linear", lambda o, x, w, b: o.linear(x, w, b), linear, shape, (2, 3), (2,))
        add("linear", lambda o, x, w: o.linear(x, w), linear, shape, (2, 3))
    add("linear", lambda o, x, w, b: o.linear(x, w, b), linear, (2, 3), (0, 3), (0,))
    add("linear", lambda o, x, w: o.linear(x, w), linear, (2, 0), (3, 0))
    for chosen in [np.array(1), rows, np.array([[0, 2], [2, 2]]), np.zeros((0, 2), np.int64)]:
        add(
            "embedding",
            lambda o, w, i=chosen: o.embedding(i, w),
            lambda t, w, i=chosen: t.nn.functional.embedding(t.from_numpy(np.array(i)), w),
            (3, 2),
        )

    for shape, axis in [((1,), 0), ((2, 3), -1), ((2, 3), 0), ((0, 3), -1), ((2, 3, 2), 1)]:
        add(
            "softmax",
            lambda o, x, a=axis: o.softmax(x, a),
            lambda t, x, a=axis: x.softmax(a),
            shape,
        )
        add(
            "log_softmax",
            lambda o, x, a=axis: o.log_softmax(x, a),
            lambda t, x, a=axis: x.log_softmax(a),
            shape,
        )
    for shape in [(3,), (4, 3), (2, 2, 3)]:
        targets = rng.integers(0, 3, shape[:-1])
        add(
            "cross_entropy",
            lambda o, x, y=targets: o.cross_entropy(x, y),
            lambda t, x, y=targets: t.nn.functional.cross_entropy(
                x.reshape(-1, 3), t.from_numpy(np.array(y)).reshape(-1)
            ),
            shape,
        )
    for shape in [(), (1,), (2, 3)]:
        add(
            "mse_loss",
            lambda o, x, y: o.mse_loss(x, y),
            lambda t, x, y: ((x - y) ** 2).mean(),
            shape,
            shape,
        )
    for shape in [(4,), (2, 4), (2, 3, 4), (0, 4)]:
        norm = lambda t, x, *p: t.nn.functional.layer_norm(x, (4,), *p)  # noqa: E731
        add("layer_norm", lambda o, x, w, b: o.layer_norm(x, 4, w, b), norm, shape, (4,), (4,))
        add("layer_norm", lambda o, x, w: o.layer_norm(x, (4,), w), norm, shape, (4,))
        add("layer_norm", lambda o, x: o.layer_norm(x, 4), norm, shape)

    def reference(t, qkv, heads, mask=None):
        B, L, _ = qkv.shape
        q, k, v = (part.reshape(B, L, heads, -1).transpose(1, 2) for part in qkv.chunk(3, -1))
        if mask is not None:
            q, mask = q[:, :, L - mask.shape[-2] :], t.from_numpy(np.array(mask))
        y = t.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return y.transpose(1, 2).reshape(B, q.shape[2], -1)

    causal = np.tril(np.ones((3, 3), bool))
    for shape, mask in [
        ((2, 3, 12), None),
        ((2, 3, 12), causal),
        ((2, 3, 12), causal[1:]),  # the last two positions ask: a cache
        ((1, 3, 12), causal[2:]),
        ((2, 3, 12), (rng.random((2, 1, 3, 3)) < 0.5) | np.eye(3, dtype=bool)),
        ((1, 1, 6), None),
        ((0, 3, 12), causal),
    ]:
        add(
            "attention",
            lambda o, x, m=mask: o.attention(x, 2, m),
            (lambda t, x, m=mask: reference(t, x, 2, m)) if shape[0] else None,
            shape,
        )

    for size, k, stride, padding in [
        ((5, 4), 3, 1, 1),
        ((4, 6), 3, 1, 1),  # even sizes: Winograd's way, once so few channels count as wide
        ((6, 5), 3, 2, 1),
        ((5, 4), 3, 2, 1),
        ((3, 3), 1, 1, 0),
        ((4, 5), 2, 2, 0),
        ((4, 4), 3, 1, 0),
        ((2, 2), 1, 1, 1),
        ((4, 6), 4, 2, 1),
        ((5, 5), 3, 3, 2),
    ]:
        options = {"stride": stride, "padding": padding}
        shapes = (2, 3, *size), (4, 3, k, k), (4,)
        conv = lambda t, *args, k=options: t.nn.functional.conv2d(*args, **k)  # noqa: E731
        add("conv2d", lambda o, x, w, b, k=options: o.conv2d(x, w, b, **k), conv, *shapes)
        add("conv2d", lambda o, x, w, k=options: o.conv2d(x, w, **k), conv, shapes[0], (2, 3, k, k))
    add("conv2d", lambda o, x, w: o.conv2d(x, w, padding=1), conv, (0, 1, 2, 2), (1, 1, 3, 3))
    wide = lambda t, x, w: t.nn.functional.conv2d(x, w, padding=1)  # noqa: E731
    add(
        "conv2d", lambda o, x, w: o.conv2d(x, w, padding=1), wide, (1, 8, 3, 2), (1, 8, 3, 3)
    )  # added up, not copied
    doubled = lambda t, x, *p: t.nn.functional.conv2d(  # noqa: E731
        t.nn.functional.interpolate(x, scale_factor=2), *p, padding=1
    )
    for size in [(2, 3), (1, 1), (3, 2)]:
        shapes = (2, 3, *size), (4, 3, 3, 3), (4,)
        add("upsample_conv2d", lambda o, x, w, b: o.upsample_conv2d(x, w, b), doubled, *shapes)
        add(
            "upsample_conv2d",
            lambda o, x, w: o.upsample_conv2d(x, w),
            doubled,
            shapes[0],
            (2, 3, 3, 3),
        )
    add(
        "upsample_conv2d", lambda o, x, w: o.upsample_conv2d(x, w), None, (0, 1, 2, 2), (1, 1, 3, 3)
    )
    for shape, groups in [
        ((2, 4, 3, 2), 2),
        ((2, 4, 2, 2), 4),
        ((2, 4, 3), 1),
        ((2, 4), 2),
        ((0, 4, 2, 2), 2),
    ]:
        norm = (
            (lambda t, x, *p, n=groups: t.nn.functional.group_norm(x, n, *p)) if shape[0] else None
        )
        add(
            "group_norm",
            lambda o, x, w, b, n=groups: o.group_norm(x, n, w, b),
            norm,
            shape,
            (4,),
            (4,),
        )
        add("group_norm", lambda o, x, n=groups: o.group_norm(x, n), norm, shape)
    for shape, n in [((1, 1, 1, 1), 2), ((2, 3, 2, 4), 2), ((1, 2, 3, 3), 3), ((0, 1, 2, 2), 2)]:
        up = (
            (lambda t, x, n=n: t.nn.functional.interpolate(x, scale_factor=n)) if shape[0] else None
        )
        down = (lambda t, x, n=n: t.nn.functional.avg_pool2d(x, n)) if shape[0] else None
        add("interpolate", lambda o, x, n=n: o.interpolate(x, n), up, shape)
        add(
            "avg_pool2d",
            lambda o, x, n=n: o.avg_pool2d(x, n),
            down,
            (*shape[:2], shape[2] * n, shape[3] * n),
        )
    return found


CASES = all_cases()
