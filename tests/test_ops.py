"""Every op against finite differences: scalar, (1,), broadcast, empty and non-contiguous.

And float32 against float64.
"""

import inspect

import numpy as np
import pytest
from op_cases import CASES

import minigen as mg
from minigen import ops
from minigen.gradients import check_gradients, dependency_matrix
from minigen.kernels import portions, winograd

BY_LABEL = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)


def test_every_op_has_cases():
    public = {
        name
        for name, value in vars(ops).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__module__.startswith("minigen.")
    }
    helpers = {"additive_mask", "attention_weights", "op", "joint_op", "ones"}
    assert public - helpers == {case.op for case in CASES}


@BY_LABEL
def test_gradient(case, monkeypatch):
    # One image at a time, so that sums over several parts are seen; and few channels are enough.
    monkeypatch.setattr(portions, "NUMBERS_AT_ONCE", 50)
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)
    check_gradients(lambda *x: case.function(ops, *x), *case.arrays, rng=np.random.default_rng(1))


@BY_LABEL
def test_gradient_where_nothing_is_contiguous(case):
    """Arguments arrive as transposed views, and so does the gradient."""

    def transposed(*leaves):
        return ops.transpose(case.function(ops, *[ops.transpose(leaf) for leaf in leaves]))

    check_gradients(
        transposed, *[np.ascontiguousarray(a.T) for a in case.arrays], rng=np.random.default_rng(2)
    )


@BY_LABEL
def test_float32_agrees_with_float64(case):
    results = []
    for dtype in (np.float32, np.float64):
        tensors = [mg.Tensor(a.astype(dtype)) for a in case.arrays]
        value = case.function(ops, *tensors)
        cotangent = np.random.default_rng(3).standard_normal(value.shape)
        (value * cotangent).sum().backward()
        assert value.dtype == dtype and all(
            t.grad.dtype == dtype and type(t.grad) is np.ndarray for t in tensors
        )
        results.append([value.data, *[t.grad for t in tensors]])
    for single, double in zip(*results):
        np.testing.assert_allclose(single, double, rtol=2e-4, atol=2e-5)


@BY_LABEL
def test_value_does_not_depend_on_recording(case):
    with mg.no_grad():
        silent = case.function(ops, *[mg.Tensor(a) for a in case.arrays])
    recorded = case.function(ops, *[mg.Tensor(a) for a in case.arrays])
    assert silent.node is None and recorded.node is not None
    assert np.array_equal(silent.data, recorded.data)


# -- values that a hand can check ------------------------------------------------------------------


def test_extreme_values_stay_finite():
    x = mg.Tensor(np.array([-1e4, -100.0, 0.0, 100.0, 1e4], np.float32))
    for function in (
        ops.sigmoid,
        ops.softplus,
        ops.silu,
        ops.gelu,
        ops.softmax,
        ops.log_softmax,
        ops.tanh,
    ):
        x.grad = None
        y = function(x)
        y.sum().backward()
        assert np.isfinite(y.data).all() and np.isfinite(x.grad).all(), function.__name__


# Where the parts of a formula are large and their sum is not: float32, far from 0.


def gradient_of(function, x):
    leaf = mg.Tensor(np.asarray(x, np.float32))
    value = function(leaf)
    value.sum().backward()
    return value.data, leaf.grad


FAR = [-2e7, -1e5, -1e3, -30.0, 30.0, 1e3, 1e5, 2e7, 1e9]
RAMPS = {"silu": ops.silu, "gelu": ops.gelu, "softplus": ops.softplus, "relu": ops.relu}


@pytest.mark.parametrize("name", RAMPS)
def test_far_from_zero_a_ramp_is_a_ramp(name):
    """Value x and gradient 1 on the right, 0 and 0 on the left."""
    value, gradient = gradient_of(RAMPS[name], FAR)
    positive = np.array(FAR) > 0
    np.testing.assert_allclose(gradient, positive, atol=1e-6)
    np.testing.assert_allclose(value, np.where(positive, FAR, 0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["silu", "softplus", "sigmoid", "tanh"])
def test_single_precision_is_that_of_the_formula(name):
    """Everywhere, against float64: to ten roundings of the largest gradient, 1."""
    x = np.linspace(-40, 40, 1281)  # in steps that float32 holds exactly
    leaf = mg.Tensor(x)
    value = getattr(ops, name)(leaf)
    value.sum().backward()
    single, gradient = gradient_of(getattr(ops, name), x)
    np.testing.assert_allclose(gradient, leaf.grad, atol=1.2e-6)
    np.testing.assert_allclose(single, value.data, rtol=5e-6, atol=5e-7)


@pytest.mark.parametrize("value", [1e3, 1e5, 1e5 + 1 / 3, -1e5 - 1 / 3, 1e7, 0.1])
@pytest.mark.parametrize("width", [1, 2, 7, 33, 384])
def test_the_norm_of_what_is_flat_is_zero(value, width):
    row, image = np.full((3, width), value), np.full((2, 2 * width, 5, 3), value)
    for function, x in [
        (lambda x: ops.layer_norm(x, width), row),
        (lambda x: ops.group_norm(x, 2), image),
        (lambda x: ops.group_norm(x, 1), image),
    ]:
        normalised, gradient = gradient_of(function, x)
        assert not normalised.any()
        # Divided by the deviation, which is sqrt(eps), a rounding of g becomes 300 of them.
        np.testing.assert_allclose(gradient, 0, atol=1e-3)


@pytest.mark.parametrize("offset", [0.0, 1e2, 1e5, -1e5])
def test_a_norm_does_not_see_an_offset(offset):
    """x in steps that float32 holds exactly so far from 0: only the op can err."""
    x = np.round(np.random.default_rng(0).standard_normal((4, 8, 3, 3)) * 16) / 16
    rows = x.reshape(4, 72)
    for function, values in [
        (lambda x: ops.layer_norm(x, 72), rows),
        (lambda x: ops.group_norm(x, 2), x),
    ]:
        exact = function(values).data
        single = function((values + offset).astype(np.float32)).data
        np.testing.assert_allclose(single, exact, atol=2e-6)


@pytest.mark.parametrize("offset", [0.0, 1e5, -1e7])
def test_softmax_and_its_kin_do_not_see_an_offset(offset):
    x = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, -8.0]])
    targets = np.array([2, 1])
    for function in (
        ops.softmax,
        lambda x: ops.log_softmax(x) * np.array([1.0, 2.0, 3.0]),
        lambda x: ops.cross_entropy(x, targets),
    ):
        (value, gradient), (there, same) = (
            gradient_of(function, x),
            gradient_of(function, x + offset),
        )
        np.testing.assert_allclose(there, value, atol=1e-6)
        np.testing.assert_allclose(same, gradient, atol=1e-6)


def test_a_mean_far_from_zero():
    value, gradient = gradient_of(ops.mean, np.full(70_000, 1e5 + 1 / 3))
    np.testing.assert_allclose(value, np.float32(1e5 + 1 / 3), rtol=2e-7)
    np.testing.assert_allclose(gradient, 1 / 70_000, rtol=1e-6)


@pytest.mark.parametrize("exponent", [0, 0.0, np.float64(0), 1, 2, 3, 4])
def test_powers_at_zero(exponent):
    """Their gradients are finite: 0, but 1 for the first power."""
    value, gradient = gradient_of(lambda x: ops.pow(x, exponent), [0.0, 0.0])
    assert (value == float(exponent == 0)).all() and (gradient == float(exponent == 1)).all()


@pytest.mark.parametrize(
    "widths", [((1, 1),), 1, (1, 2), ((1, 2), (0, 3)), ((1,), (2,)), np.array([[0, 1], [2, 0]])]
)
def test_padding_is_given_as_to_numpy(widths):
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(ops.pad(x, widths, 7.0).data, np.pad(x, widths, constant_values=7.0))
    check_gradients(lambda x: ops.pad(x, widths, 7.0), x, rng=np.random.default_rng(0))


def test_ties_share_the_gradient():
    x, y = mg.Tensor([1.0, 2.0]), mg.Tensor([1.0, 1.0])
    ops.maximum(x, y).sum().backward()
    assert x.grad.tolist() == [0.5, 1.0] and y.grad.tolist() == [0.5, 0.0]
    x = mg.Tensor([2.0, 2.0, 1.0])
    ops.max(x).backward()
    assert x.grad.tolist() == [0.5, 0.5, 0.0]


def test_an_element_taken_twice_gets_both_gradients():
    x = mg.Tensor([1.0, 2.0, 3.0])
    (x[np.array([0, 0, 2])] * np.array([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [11.0, 0.0, 100.0]


def test_attention_weights_sum_to_one_and_obey_the_mask():
    qkv = np.random.default_rng(0).standard_normal((2, 4, 12)).astype(np.float32)
    mask = np.tril(np.ones((4, 4), bool))
    weights = ops.attention_weights(qkv, 2, mask)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    assert (weights[:, :, ~mask] == 0).all()


def test_a_mask_may_be_what_is_added_to_the_scores():
    qkv = mg.Tensor(np.random.default_rng(0).standard_normal((2, 4, 12)))
    mask = np.tril(np.ones((4, 4), bool))
    added = ops.additive_mask(mask)
    assert added.dtype == np.float32 and not added.flags.writeable
    np.testing.assert_array_equal(
        ops.attention(qkv, 2, added).data, ops.attention(qkv, 2, mask).data
    )


def test_the_last_positions_ask():
    """With `queries` and no mask they look everywhere; as many rows of a mask say the same."""
    qkv = mg.Tensor(np.random.default_rng(0).standard_normal((2, 4, 12)))
    whole = ops.attention(qkv, 2)
    for queries in (0, 1, 3, 4):
        last = ops.attention(qkv, 2, queries=queries).data
        np.testing.assert_allclose(last, whole.data[:, 4 - queries :], rtol=1e-6)
        masked = ops.attention(qkv, 2, np.ones((queries, 4), bool), queries).data
        np.testing.assert_array_equal(last, masked)
    check_gradients(
        lambda x: ops.attention(x, 2, queries=2), qkv.data, rng=np.random.default_rng(0)
    )
    for mask, queries in ((None, 5), (np.ones((4, 4), bool), 1)):
        with pytest.raises(ValueError, match="attention: mask is"):
            ops.attention(qkv, 2, mask, queries)


def test_causal_attention_depends_on_the_past_only():
    mask = np.tril(np.ones((3, 3), bool))
    matrix = dependency_matrix(
        lambda x: ops.attention(x, 1, mask), np.random.default_rng(0).standard_normal((1, 3, 6))
    )
    looks = matrix.reshape(3, 2, 3, 6).max(axis=(1, 3))
    assert (looks[~mask] == 0).all() and (looks[mask] > 0).all()


def images(n, channels=16, size=8):
    """(n, channels, size, size), and as many filters as channels."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, channels, size, size)).astype(np.float32)
    return x, rng.standard_normal((channels, channels, 3, 3)).astype(np.float32)


CONVOLUTIONS = pytest.mark.parametrize(
    ("convolution", "channels"),
    [
        (lambda x, w: ops.conv2d(x, w, padding=1), 16),
        (lambda x, w: ops.conv2d(x, w, padding=1), winograd.FEWEST_CHANNELS),
        (ops.upsample_conv2d, 16),
    ],
    ids=["patches", "Winograd", "doubled"],
)


@CONVOLUTIONS
def test_an_image_does_not_depend_on_its_batch(convolution, channels):
    """Up to rounding: three alone, and as the last of 400, in portions."""
    x, w = images(400, channels)
    assert len(portions.portions(400, 4 * 64 * channels)) > 1
    whole = convolution(x, w).data
    for some in (slice(0, 3), slice(-3, None)):
        np.testing.assert_allclose(whole[some], convolution(x[some], w).data, rtol=1e-4, atol=1e-4)


@CONVOLUTIONS
def test_a_nan_stays_in_its_image(convolution, channels):
    x, w = images(3, channels)
    x[1] = np.nan
    finite = np.isfinite(convolution(x, w).data).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(finite, [True, False, True])


def test_a_nan_stays_in_its_group_of_channels():
    x, _ = images(2)
    x[1, 5] = np.inf
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(ops.group_norm(x, 4).data).all(axis=(2, 3))
    expected = np.ones((2, 16), bool)
    expected[1, 4:8] = False
    np.testing.assert_array_equal(finite, expected)


@pytest.mark.parametrize("value", [1e3, 1e5])
def test_group_norm_of_a_flat_image_is_zero(value):
    assert not ops.group_norm(np.full((1, 6, 5, 5), value, np.float32), 1).data.any()


@pytest.mark.parametrize(
    ("numbers", "multiplications", "expected"),
    [(10, 10, 5), (25, 0, 4), (200, 1, 1), (1, 100, 1), (0, 0, 7)],
)
def test_portions_cover_all_images_within_both_limits(
    numbers, multiplications, expected, monkeypatch
):
    monkeypatch.setattr(portions, "NUMBERS_AT_ONCE", 100)
    monkeypatch.setattr(portions, "MULTIPLICATIONS_AT_ONCE", 50)
    parts = [np.arange(7)[some] for some in portions.portions(7, numbers, multiplications)]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(7))
    assert len(parts[0]) == expected


def test_doubling_and_convolving_in_one_is_the_same_as_one_after_the_other():
    """Rounding differs; in float32, at the size of real networks, in several portions."""
    rng = np.random.default_rng(0)
    x = mg.Tensor(rng.standard_normal((70, 24, 8, 8)).astype(np.float32))
    w = mg.Tensor(rng.standard_normal((16, 24, 3, 3)).astype(np.float32))
    cotangent = rng.standard_normal((70, 16, 16, 16)).astype(np.float32)
    results = []
    for value in (ops.upsample_conv2d(x, w), ops.conv2d(ops.interpolate(x, 2), w, padding=1)):
        x.grad = w.grad = None
        (value * cotangent).sum().backward()
        results.append((value.data, x.grad, w.grad))
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


# -- bad input -------------------------------------------------------------------------------------

A, W = mg.Tensor(np.zeros((2, 3), np.float32)), mg.Tensor(np.zeros((4, 5), np.float32))
IMAGE = mg.Tensor(np.zeros((1, 2, 5, 5), np.float32))
K = mg.Tensor(np.zeros((3, 2, 3, 3), np.float32))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: A + W, ValueError, ["add", "(2, 3)", "(4, 5)"]),
        (lambda: A @ W, ValueError, ["matmul", "(2, 3)", "(4, 5)"]),
        (lambda: ops.linear(A, W), ValueError, ["linear", "(2, 3)", "(4, 5)"]),
        (lambda: ops.matmul(A, np.zeros(3, np.float32)), ValueError, ["matmul", "(2, 3)", "(3,)"]),
        (lambda: A.reshape(4, 2), ValueError, ["reshape", "(2, 3)"]),
        (lambda: ops.concatenate([A, W]), ValueError, ["concatenate", "(2, 3)", "(4, 5)"]),
        (lambda: ops.mse_loss(A, W), ValueError, ["mse_loss", "(2, 3)", "(4, 5)"]),
        (lambda: ops.layer_norm(A, 4), ValueError, ["layer_norm", "(2, 3)", "4"]),
        (lambda: ops.attention(A.reshape(1, 2, 3), 2), ValueError, ["attention", "2 heads"]),
        (
            lambda: ops.attention(mg.Tensor(np.zeros((1, 2, 6))), 1, np.zeros((2, 2), bool)),
            ValueError,
            ["mask"],
        ),
        (
            lambda: ops.attention(mg.Tensor(np.zeros((1, 2, 6))), 1, np.ones((2, 2), int)),
            ValueError,
            ["mask"],
        ),
        (lambda: ops.conv2d(IMAGE, W), ValueError, ["conv2d", "(1, 2, 5, 5)", "(4, 5)"]),
        (
            lambda: ops.conv2d(IMAGE, K, np.zeros((1, 3), np.float32)),
            ValueError,
            ["conv2d", "bias", "(1, 3)"],
        ),
        (
            lambda: ops.upsample_conv2d(IMAGE, W),
            ValueError,
            ["upsample_conv2d", "(1, 2, 5, 5)", "(4, 5)"],
        ),
        (
            lambda: ops.upsample_conv2d(IMAGE, K, np.zeros(2, np.float32)),
            ValueError,
            ["upsample_conv2d", "(2,)"],
        ),
        (
            lambda: ops.upsample_conv2d(IMAGE, K[:, :, :1, :1]),
            ValueError,
            ["upsample_conv2d", "3, 3", "(3, 2, 1, 1)"],
        ),
        (
            lambda: ops.upsample_conv2d(np.zeros((1, 2, 0, 3), np.float32), K),
            ValueError,
            ["upsample_conv2d", "pixels"],
        ),
        (
            lambda: ops.linear(A, np.zeros((4, 3)), np.zeros((2, 4))),
            ValueError,
            ["linear", "bias", "(2, 4)"],
        ),
        (lambda: ops.group_norm(IMAGE, 0), ValueError, ["group_norm", "(1, 2, 5, 5)"]),
        (lambda: ops.group_norm(A[0], 1), ValueError, ["group_norm", "(3,)"]),
        (lambda: ops.transpose(A, (3, 2)), ValueError, ["transpose", "(2, 3)"]),
        (lambda: ops.pow(A, [1, 2]), TypeError, ["pow", "(2,)"]),
        (lambda: ops.mse_loss(A, 0.0), ValueError, ["mse_loss", "(2, 3)"]),
        (
            lambda: ops.conv2d(IMAGE, np.zeros((1, 2, 7, 7), np.float32)),
            ValueError,
            ["conv2d", "7x7"],
        ),
        (lambda: ops.conv2d(IMAGE, K, stride=0), ValueError, ["conv2d", "stride", "0"]),
        (lambda: ops.conv2d(IMAGE, K, padding=-1), ValueError, ["conv2d", "padding", "-1"]),
        (lambda: ops.interpolate(IMAGE, 0), ValueError, ["interpolate", "scale_factor", "0"]),
        (lambda: ops.avg_pool2d(IMAGE, 0), ValueError, ["avg_pool2d", "kernel_size", "0"]),
        (lambda: ops.avg_pool2d(IMAGE, -5), ValueError, ["avg_pool2d", "kernel_size", "-5"]),
        (lambda: ops.layer_norm(A, 3, np.ones((2, 3))), ValueError, ["layer_norm", "(3,)"]),
        (lambda: ops.layer_norm(A, 3, None, np.ones(1)), ValueError, ["layer_norm", "(3,)"]),
        (lambda: ops.group_norm(IMAGE, 1, np.ones((5, 2))), ValueError, ["group_norm", "(2,)"]),
        (lambda: ops.group_norm(IMAGE, 1, None, np.ones(1)), ValueError, ["group_norm", "(2,)"]),
        (lambda: ops.embedding(np.array([0]), A[0]), ValueError, ["embedding", "(V, C)", "(3,)"]),
        (lambda: ops.pad(A, ((1, 1),) * 3), ValueError, ["pad", "(2, 3)"]),
        (lambda: ops.pad(A, -1), ValueError, ["pad", "(2, 3)"]),
        (lambda: A * np.arange(3), TypeError, ["mul", "float64", "float32", "astype"]),
        (
            lambda: ops.attention(mg.Tensor(np.zeros((1, 2, 6))), 1, np.ones(2, bool)),
            ValueError,
            ["attention", "mask", "(2,)"],
        ),
        (
            lambda: ops.attention(mg.Tensor(np.zeros((1, 2, 6))), 1, np.ones((3, 2), bool)),
            ValueError,
            ["attention", "mask", "(3, 2)"],
        ),
        (lambda: ops.group_norm(IMAGE, 3), ValueError, ["group_norm", "3 groups"]),
        (lambda: ops.avg_pool2d(IMAGE, 2), ValueError, ["avg_pool2d", "2"]),
        (lambda: ops.mean(np.zeros((0, 3), np.float32)), ValueError, ["mean"]),
        (
            lambda: ops.cross_entropy(A, np.array([0, 3])),
            IndexError,
            ["cross_entropy", "0 to 3", "0 to 2"],
        ),
        (lambda: ops.cross_entropy(A, np.array([-1, 0])), IndexError, ["cross_entropy", "-1"]),
        (lambda: ops.cross_entropy(A, np.array([0.0, 1.0])), TypeError, ["targets", "float"]),
        (
            lambda: ops.cross_entropy(A, np.array([0])),
            ValueError,
            ["cross_entropy", "(2, 3)", "(1,)"],
        ),
        (lambda: ops.embedding(np.array([4]), W), IndexError, ["embedding", "4", "0 to 3"]),
        (lambda: ops.embedding(np.array([-1]), W), IndexError, ["embedding", "-1"]),
        (lambda: A[5], IndexError, ["getitem", "(2, 3)"]),
        (lambda: ops.pow(A, A), TypeError, ["pow", "(2, 3)"]),
        (lambda: ops.abs(np.array([1, 2])), TypeError, ["abs", "int64"]),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_dropout_keeps_the_mean_and_follows_its_generator():
    x = np.ones(100_000, np.float32)
    y = ops.dropout(x, 0.25, np.random.default_rng(0)).data
    assert set(np.unique(y)) == {0.0, np.float32(1) / np.float32(0.75)}
    error = (1 / 3 / 100_000) ** 0.5  # within 5 of them: a false alarm in 2 million
    assert abs(y.mean() - 1) < 5 * error
    assert np.array_equal(y, ops.dropout(x, 0.25, np.random.default_rng(0)).data)
    with pytest.raises(ValueError, match="dropout"):
        ops.dropout(x, 1.0, np.random.default_rng(0))


def test_split_and_take_refuse_by_name():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"split.*\(2, 3\)"):
        ops.split(x, 2, axis=1)
    with pytest.raises(IndexError, match=r"take.*3.*0 to 2"):
        ops.take(x, np.array([3]), 1)
