"""Would the gradient check notice? Plants wrong gradients in the ops, counts how many it finds.

Each mistake is a substitution in the text of one op: a missing factor, a transposed argument, a
dropped term, a lost duplicate. The changed text is compiled into a module of its own, beside the
real one.
"""

import ast
import types
from pathlib import Path

import numpy as np
import pytest
from op_cases import CASES

import minigen
from minigen import ops
from minigen.gradients import check_gradients
from minigen.kernels import portions, winograd

# op, what stands there, what is put there
MISTAKES = [
    ("add", "lambda g: g, lambda g: g", "lambda g: g, lambda g: -g"),
    ("add", "lambda g: g, lambda g: g", "lambda g: 2 * g, lambda g: g"),
    ("sub", "lambda g: -g", "lambda g: g"),
    ("mul", "lambda g: g * y, lambda g: g * x", "lambda g: g * x, lambda g: g * y"),
    ("mul", "lambda g: g * y", "lambda g: g"),
    ("div", "lambda g: g / y", "lambda g: g * y"),
    ("div", "-g * x / (y * y)", "-g * x / y"),
    ("div", "-g * x / (y * y)", "g * x / (y * y)"),
    ("neg", "lambda g: -g", "lambda g: g"),
    ("pow", "2 * g * x", "g * x"),
    ("pow", "3 * g * x * x", "3 * g * x"),
    ("pow", "exponent * x ** (exponent - 1)", "x ** (exponent - 1)"),
    ("pow", "x ** (exponent - 1)", "x ** exponent"),
    ("exp", "g * y", "g"),
    ("log", "g / x", "g * x"),
    ("sqrt", "g / (2 * y)", "g / y"),
    ("abs", "g * np.sign(x)", "g"),
    ("tanh", "g - g * y * y", "g - g * y"),
    ("sigmoid", "g * y * (1 - y)", "g * y"),
    ("softplus", "g * _sigmoid(x)", "g * _sigmoid(-x)"),
    ("relu", "g * (x > 0)", "g"),
    ("relu", "g * (x > 0)", "g * (x < 0)"),
    ("silu", "s + y * (1 - s)", "y * (1 - s)"),
    ("silu", "s + y * (1 - s)", "s + (1 - s)"),
    ("gelu", "6 * 0.044715 * c", "4 * 0.044715 * c"),
    ("gelu", "        d += s\n", ""),
    ("gelu", "        d += 2 * c  # 2 u'\n", ""),
    ("gelu", "        d *= y\n", ""),
    ("gelu", "        d *= 1 - s\n", ""),
    ("maximum", "g * (1 - share)", "g * share"),
    ("maximum", "lambda g: g * share", "lambda g: g"),
    ("clip", "g * (x == y)", "g"),
    ("clip", "(x == y)", "(x >= y)"),
    ("where", "np.where(condition, 0, g)", "np.where(condition, g, 0)"),
    ("where", "np.where(condition, g, 0)", "g"),
    ("sum", "lambda g: _spread(g", "lambda g: 2 * _spread(g"),
    ("mean", " / x.size", " / len(np.atleast_1d(x))"),
    ("mean", "g * (np.size(y) / x.size)", "g"),
    ("max", "chosen * _spread", "_spread"),
    ("_spread", "np.broadcast_to(g, shape)", "np.broadcast_to(np.flip(g), shape)"),
    ("reshape", "g.reshape(x.shape)", "g.ravel()[::-1].reshape(x.shape)"),
    ("reshape", "g.reshape(x.shape)", "g.reshape(x.shape, order='F')"),
    ("transpose", "np.argsort([a % x.ndim for a in axes])", "[a % x.ndim for a in axes]"),
    ("_concatenate", "axis)[i]", "axis)[0]"),
    ("pad", "slice(before, before + n)", "slice(0, n)"),
    (
        "getitem",
        "np.bincount(places.ravel(), g.ravel(), x.size)",
        "_set(np.zeros(x.size), places.ravel(), g.ravel())",
    ),
    ("getitem", "np.bincount(places.ravel(), g", "np.bincount(places.ravel()[::-1], g"),
    ("getitem", "        d[index] = g\n", "        d[index] = 2 * g\n"),
    ("matmul", "g @ y.swapaxes(-1, -2)", "g @ y"),
    ("matmul", "x.swapaxes(-1, -2) @ g", "x @ g"),
    ("matmul", "x.swapaxes(-1, -2) @ g", "2 * (x.swapaxes(-1, -2) @ g)"),
    ("linear", "(_rows(g) @ weight)", "(2 * _rows(g) @ weight)"),
    ("linear", "rows.T @ _rows(g)", "rows.T @ _rows(g)[::-1]"),
    ("linear", "ones(len(rows), g.dtype) @ _rows(g)", "_rows(g)[0]"),
    (
        "embedding",
        "np.add.reduceat(g.reshape(indices.size, -1)[order], starts)",
        "g.reshape(indices.size, -1)[order][starts]",
    ),
    ("embedding", "[order], starts)", ", starts)"),
    ("softmax", " - (g * y).sum(axis=axis, keepdims=True)", ""),
    ("softmax", "(g * y).sum", "g.sum"),
    ("log_softmax", "g - np.exp(y) * g.sum(axis=axis, keepdims=True)", "g"),
    ("log_softmax", "np.exp(y) * g.sum", "y * g.sum"),
    ("dropout", "lambda g: g * keep", "lambda g: g * (keep > 0)"),
    ("dropout", "lambda g: g * keep", "lambda g: g"),
    ("cross_entropy", "        d[places] -= each\n", ""),
    ("cross_entropy", "(each / total)", "each"),
    ("mse_loss", "(-2 * g / x.size)", "(2 * g / x.size)"),
    ("mse_loss", "difference * (2 * g / x.size)", "difference * (g / x.size)"),
    ("layer_norm", "        d -= z * gz.dot(scale[:, None] * average)\n", ""),
    ("layer_norm", "        d -= d.dot(average)\n", ""),
    ("layer_norm", "        d /= deviation\n", ""),
    ("layer_norm", "over_rows @ gz", "over_rows @ g"),
    ("layer_norm", "d = g * scale", "d = g * 1"),
    ("attention", "        d *= weights\n", ""),
    ("attention", "        d -= (gy @ ones(D, y.dtype))[..., None]\n", ""),
    ("attention", "        d_q *= D**-0.5\n", ""),
    ("attention", "np.matmul(d.swapaxes(-1, -2), q, out=d_k)", "np.matmul(d, q, out=d_k)"),
    (
        "attention",
        "np.matmul(weights.swapaxes(-1, -2), g_heads, out=d_v)",
        "np.matmul(weights, g_heads, out=d_v)",
    ),
    ("conv2d", "d.transpose(3, 2, 0, 1)", "d.transpose(3, 2, 1, 0)"),
    ("conv2d", "@ pixels", "@ pixels * 2"),
    ("fastest_transposed", "turned(kernel), 1", "kernel.swapaxes(2, 3), 1"),
    ("correlate_patches_of_results", "turned(correlate", "(correlate"),
    ("turned", "kernel[::-1, ::-1]", "kernel[::-1]"),
    ("convolve_transposed", "+= patches[:, :, :, i, j]", "= patches[:, :, :, i, j]"),
    ("convolve_transposed", "patches[:, :, :, i, j]", "patches[:, :, :, j, i]"),
    ("correlate", "d += patches.T", "d = patches.T"),
    ("correlate", "total += ", "total = "),  # from here on in Winograd's way
    ("_along_both_axes", "half.swapaxes(0, 1)", "half[:, ::-1].swapaxes(0, 1)"),
    (
        "_results_from_products_transposed",
        "np.subtract(y[0], y[1], out=out[2])",
        "np.subtract(y[1], y[0], out=out[2])",
    ),
    ("_results_from_products_transposed", "np.negative(y[1], out=out[3])", "out[3] = y[1]"),
    ("_results_from_products", "out[1] -= m[3]", "out[1] += m[3]"),
    ("_sums_of_pixels", "np.subtract(d1, d3, out=out[3])", "np.subtract(d3, d1, out=out[3])"),
    ("upsample_conv2d", "total += ", "total = "),
    ("upsample_conv2d", "filters.swapaxes(1, 2)", "filters[::-1].swapaxes(1, 2)"),
    ("_tiles_of_doubled_transposed", "(half, *_three(d))", "(half, *_three(d)[::-1])"),
    ("upsample_conv2d", "transpose(3, 2, 0, 1)", "transpose(3, 2, 1, 0)"),
    ("_sums_of_doubled_transposed", "    here -= out[0]\n", ""),
    ("_sums_of_doubled_transposed", "after -= out[2]", "after += out[2]"),
    ("upsample_conv2d", "@ pixels", "@ pixels * 2"),
    (
        "_products_from_results",
        "_by_parity(g.transpose(0, 2, 3, 1))",
        "_by_parity(g.transpose(0, 2, 3, 1))[::-1]",
    ),
    ("_results_of_doubled_transposed", "np.negative(y[1], out=out[2])", "out[2] = y[1]"),
    (
        "_results_of_doubled",
        "np.subtract(m[1], m[2], out=out[1])",
        "np.add(m[1], m[2], out=out[1])",
    ),
    ("_transform_weights_transposed", "(0, 0)", "(0, 1)"),
    ("group_norm", "        d -= inverse * group_mean(g_sum * scale)\n", ""),
    (
        "group_norm",
        "inverse * inverse * group_mean(gz_sum * scale)",
        "inverse * group_mean(gz_sum * scale)",
    ),
    ("group_norm", "d = g * (inverse * scale)", "d = g * inverse"),
    ("group_norm", "gz_sum.sum(axis=0), g_sum.sum(axis=0)", "g_sum.sum(axis=0), g_sum.sum(axis=0)"),
    (
        "interpolate",
        "lambda g: _sum_blocks(g, scale_factor)",
        "lambda g: g[:, :, ::scale_factor, ::scale_factor]",
    ),
    ("avg_pool2d", "_repeat_pixels(g * scale, kernel_size)", "_repeat_pixels(g, kernel_size)"),
]
USERS = {"_spread": ("sum", "mean", "max"), "_concatenate": ("concatenate",)}
USERS |= dict.fromkeys(
    "turned convolve_transposed correlate correlate_patches_of_results fastest_transposed "
    "_sums_of_pixels _results_from_products _results_from_products_transposed".split(),
    ("conv2d",),
)
USERS |= dict.fromkeys(
    "_sums_of_doubled_transposed _results_of_doubled _results_of_doubled_transposed "
    "_products_from_results _tiles_of_doubled_transposed".split(),
    ("upsample_conv2d",),
)
USERS |= dict.fromkeys(
    ("_transform_weights_transposed", "_along_both_axes"), ("conv2d", "upsample_conv2d")
)
ROOMS = ("ops", "kernels/attention", "kernels/images", "kernels/convolution", "kernels/winograd")


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch):
    """As in test_ops: convolve one image at a time, and take few channels for wide."""
    monkeypatch.setattr(portions, "NUMBERS_AT_ONCE", 50)
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)


def source_of(room: str) -> str:
    source = Path(minigen.__file__).parent.joinpath(f"{room}.py").read_text(encoding="utf-8")
    return source.split("# -- what Tensor can do")[0]


def with_mistake(op: str, old: str, new: str) -> types.SimpleNamespace:
    """A copy of minigen.ops in which `old` is replaced by `new` in the source of one op."""
    for room in ROOMS:
        source = source_of(room)
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name == op:
                text = ast.get_source_segment(source, node)
                if old not in text and room == "kernels/convolution":
                    continue  # winograd.py has a function of that name too
                assert text.count(old) == 1, (
                    f"{op}: {old!r} stands {text.count(old)} times in the source"
                )
                names = {"_set": lambda d, places, g: (d.__setitem__(places, g), d)[1]}
                changed = source.replace(text, text.replace(old, new))
                exec(compile(changed, f"{room}.py with a mistake", "exec"), names)
                if room == "kernels/winograd":  # a true conv2d, which finds the wrong one there
                    wrong = types.SimpleNamespace(**names | {"pays": winograd.pays})
                    names = {"upsample_conv2d": wrong.upsample_conv2d}
                    exec(compile(source_of("kernels/convolution"), "a copy", "exec"), names)
                    names |= {"winograd": wrong}
                return types.SimpleNamespace(**{**vars(ops), **names})
    raise AssertionError(f"no op {op}")


def is_found(op: str, old: str, new: str) -> bool:
    changed = with_mistake(op, old, new)
    for case in CASES:
        if case.op in USERS.get(op, (op,)):
            try:
                check_gradients(
                    lambda *x, f=case.function: f(changed, *x),
                    *case.arrays,
                    rng=np.random.default_rng(1),
                )
            except (AssertionError, ValueError, TypeError, IndexError):
                return True
    return False


def test_every_op_has_a_mistake():
    with_helpers = {name for op, _, _ in MISTAKES for name in USERS.get(op, (op,))}
    assert with_helpers == {case.op for case in CASES} - {"take", "split"}  # these are getitem


def test_planted_mistakes_are_found(capsys):
    missed = [mistake for mistake in MISTAKES if not is_found(*mistake)]
    with capsys.disabled():
        print(f"\n{len(MISTAKES) - len(missed)} of {len(MISTAKES)} planted mistakes found")
    assert len(missed) <= 0.01 * len(MISTAKES), missed


@pytest.mark.thorough
def test_mistakes_found_by_machine(capsys):
    """Every product, quotient, sum and difference inside a rule is changed in turn."""
    swaps = {
        ast.Mult: ast.Add,
        ast.Add: ast.Sub,
        ast.Sub: ast.Add,
        ast.Div: ast.Mult,
        ast.MatMult: ast.Mult,
    }
    mutants = []
    for room in ROOMS:
        source = source_of(room)
        for function in ast.parse(source).body:
            if not isinstance(function, ast.FunctionDef):
                continue
            text = ast.get_source_segment(source, function)
            rules = [
                node
                for node in ast.walk(function)
                if isinstance(node, ast.Lambda)
                or (isinstance(node, ast.FunctionDef) and node.name.startswith("vjp"))
            ]
            for rule in rules:
                for node in ast.walk(rule):
                    if isinstance(node, ast.BinOp) and type(node.op) in swaps:
                        old = ast.get_source_segment(source, node)
                        node.op, before = swaps[type(node.op)](), node.op
                        new = ast.unparse(node)
                        node.op = before
                        if text.count(old) == 1:
                            mutants.append((function.name, old, f"({new})"))
    missed = [
        mutant for mutant in mutants if mutant[0] in {c.op for c in CASES} and not is_found(*mutant)
    ]
    with capsys.disabled():
        found = f"{len(mutants) - len(missed)} of {len(mutants)}"
        print(f"\n{found} machine-made mistakes found; not found: {missed}")
    assert len(missed) <= 0.05 * len(mutants), missed
