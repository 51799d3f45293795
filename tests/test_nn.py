"""Layers against torch's formulas in loops (and torch, if installed); finding and loading state."""

import math
import tracemalloc
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

import minigen as mg
from minigen import nn


def rng(seed=0):
    return np.random.default_rng(seed)


def normal(*shape, seed=1):
    return rng(seed).standard_normal(shape).astype(np.float32)


def shake(layer, seed=2):
    """Replace initial zeros and ones, which would hide a forgotten bias or scale."""
    for place, parameter in enumerate(nn.parameters(layer).values()):
        parameter.data = normal(*parameter.shape, seed=seed + place)
    return layer


def close(came, expected, tolerance=2e-5):
    assert came.dtype == np.float32
    assert came.shape == np.shape(expected)
    assert np.abs(came.data - expected).max() < tolerance


# -- layers by hand ------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias):
    layer = shake(nn.Linear(3, 4, bias, rng=rng()))
    x = normal(2, 5, 3)
    w, b = layer.weight.data, layer.bias.data if bias else np.zeros(4)
    assert w.shape == (4, 3)  # (out, in), as in torch
    expected = [
        [[sum(w[o, i] * v[i] for i in range(3)) + b[o] for o in range(4)] for v in row] for row in x
    ]
    close(layer(x), expected)


def test_embedding():
    layer = nn.Embedding(6, 3, rng=rng())
    indices = np.array([[0, 5], [2, 2]])
    assert (layer(indices).data == layer.weight.data[indices]).all()
    for bad in ([6], [-1]):
        with pytest.raises(IndexError, match="0 to 5"):
            layer(np.array(bad))
    with pytest.raises(TypeError, match="expected integers"):
        layer(np.array([1.0]))


@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm(bias):
    layer = shake(nn.LayerNorm(5, eps=0.1, bias=bias))
    x = normal(2, 3, 5)
    expected = np.empty(x.shape)
    for place in np.ndindex(2, 3):
        v = x[place].astype(float)
        variance = sum((v - sum(v) / 5) ** 2) / 5  # the biased estimate, as in torch
        expected[place] = (v - sum(v) / 5) / math.sqrt(variance + 0.1) * layer.weight.data
        expected[place] += layer.bias.data if bias else 0
    close(layer(x), expected)


def test_group_norm():
    layer = shake(nn.GroupNorm(2, 6, eps=0.1))
    x = normal(2, 6, 3, 4)
    expected = np.empty(x.shape)
    for b in range(2):
        for channels in (slice(0, 3), slice(3, 6)):
            group = x[b, channels].astype(float)
            z = (group - group.mean()) / math.sqrt(group.var() + 0.1)
            expected[b, channels] = (
                z * layer.weight.data[channels, None, None] + layer.bias.data[channels, None, None]
            )
    close(layer(x), expected)


@pytest.mark.parametrize("kernel, stride, padding", [(3, 1, 1), (3, 2, 1), (1, 1, 0), (2, 2, 0)])
def test_conv2d(kernel, stride, padding):
    layer = shake(nn.Conv2d(2, 3, kernel, stride, padding, rng=rng()))
    x = normal(2, 2, 6, 4)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height, width = ((size + 2 * padding - kernel) // stride + 1 for size in (6, 4))
    expected = np.empty((2, 3, height, width))
    for b, o, i, j in np.ndindex(expected.shape):
        window = padded[b, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
        expected[b, o, i, j] = (window * layer.weight.data[o]).sum() + layer.bias.data[o]
    close(layer(x), expected, 1e-4)


def test_upsample_conv2d():
    layer = shake(nn.UpsampleConv2d(2, 3, rng=rng()))
    x = normal(2, 2, 3, 2)
    padded = np.zeros((2, 2, 8, 6))
    for i, j in np.ndindex(6, 4):
        padded[:, :, 1 + i, 1 + j] = x[:, :, i // 2, j // 2]
    expected = np.empty((2, 3, 6, 4))
    for b, o, i, j in np.ndindex(expected.shape):
        window = padded[b, :, i : i + 3, j : j + 3]
        expected[b, o, i, j] = (window * layer.weight.data[o]).sum() + layer.bias.data[o]
    close(layer(x), expected, 1e-4)


def attend(layer, x, may_look):
    """Vaswani et al. (2017), eq. 1, one head and one query at a time, in float64."""
    B, L, C = x.shape
    D = C // layer.heads
    qkv = x.astype(float) @ layer.qkv.weight.data.T
    joined, weights = np.zeros((B, L, C)), np.zeros((B, layer.heads, L, L))
    for b, h, i in np.ndindex(B, layer.heads, L):
        part = slice(h * D, (h + 1) * D)
        q, k, v = (qkv[b, :, n * C : (n + 1) * C][:, part] for n in range(3))
        score = np.array([math.exp(q[i] @ k[j] / math.sqrt(D)) * may_look[i, j] for j in range(L)])
        weights[b, h, i] = score / score.sum()
        joined[b, i, part] = weights[b, h, i] @ v
    return joined @ layer.out.weight.data.T, weights


@pytest.mark.parametrize("causal", [True, False])
def test_attention(causal):
    layer = shake(nn.Attention(6, 2, rng=rng()))
    x = 0.3 * normal(2, 4, 6)
    mask = np.tri(4, dtype=bool)
    expected, weights = attend(layer, x, mask if causal else np.ones((4, 4)))
    close(layer(x, mask if causal else None), expected)
    assert np.abs(layer.weights(x, mask if causal else None) - weights).max() < 1e-5


def test_attention_with_a_cache_gives_the_same_rows():
    layer = shake(nn.Attention(6, 2, rng=rng()))
    x, mask = 0.3 * normal(2, 5, 6), np.tri(5, dtype=bool)
    whole = layer(x, mask).data
    cache = nn.KeyValueCache(2, 5, 6)
    with mg.no_grad():
        for start, end in ((0, 2), (2, 3), (3, 5)):
            part = layer(x[:, start:end], mask[start:end, :end], cache).data
            assert np.abs(part - whole[:, start:end]).max() < 1e-5
    assert cache.seen == 5


def test_attention_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="width 6 does not divide into 4 heads"):
        nn.Attention(6, 4, rng=rng())


def test_sinusoidal():
    came = nn.sinusoidal(np.array([0.0, 0.25, 1.0]), 4)
    expected = [
        [math.sin(1000 * t), math.sin(10 * t), math.cos(1000 * t), math.cos(10 * t)]
        for t in (0, 0.25, 1)
    ]
    assert came.dtype == np.float32
    assert np.abs(came - expected).max() < 1e-4


def test_initial_values_are_torchs():
    """Uniform in +-1/sqrt(fan in), so std 1/sqrt(3 fan in); embeddings normal; norms 1 and 0."""
    for layer, fan_in in (
        (nn.Linear(300, 200, rng=rng()), 300),
        (nn.Conv2d(30, 200, 3, rng=rng()), 270),
    ):
        weight, bias = layer.weight.data, layer.bias.data
        assert np.abs(weight).max() <= fan_in**-0.5 and np.abs(bias).max() <= fan_in**-0.5
        assert weight.std() == pytest.approx((3 * fan_in) ** -0.5, rel=0.02)
        assert abs(weight.mean()) < 0.01 * fan_in**-0.5
    assert nn.Embedding(300, 200, rng=rng()).weight.data.std() == pytest.approx(1, rel=0.02)
    assert nn.Linear(300, 200, rng=rng(), std=0.02).weight.data.std() == pytest.approx(
        0.02, rel=0.02
    )
    assert (nn.Linear(3, 2, rng=rng(), std=0.02).bias.data == 0).all()
    norm = nn.LayerNorm(4)
    assert (norm.weight.data == 1).all() and (norm.bias.data == 0).all()


@pytest.mark.parametrize(
    "build",
    [
        lambda r: nn.Linear(3, 4, rng=r),
        lambda r: nn.Embedding(3, 4, rng=r),
        lambda r: nn.Conv2d(2, 3, 3, rng=r),
        lambda r: nn.Attention(4, 2, rng=r),
    ],
)
def test_the_generator_alone_decides_the_initial_values(build):
    one, same, other = (nn.state(build(rng(seed))) for seed in (0, 0, 1))
    assert all((one[name] == same[name]).all() for name in one)
    assert all((one[name] != other[name]).any() for name in one)


def test_layers_agree_with_torch():
    torch = pytest.importorskip("torch")
    images, vectors = normal(2, 4, 6, 6), normal(3, 5, 4)
    pairs = [
        (nn.Linear(4, 7, rng=rng()), torch.nn.Linear(4, 7), vectors),
        (nn.LayerNorm(4), torch.nn.LayerNorm(4), vectors),
        (nn.GroupNorm(2, 4), torch.nn.GroupNorm(2, 4), images),
        (nn.Conv2d(4, 3, 3, 2, 1, rng=rng()), torch.nn.Conv2d(4, 3, 3, 2, 1), images),
    ]
    for ours, theirs, x in pairs:
        shake(ours)
        theirs.load_state_dict(
            {name: torch.tensor(array.copy()) for name, array in nn.state(ours).items()}
        )
        value, expected = ours(x), theirs(torch.tensor(x))
        close(value, expected.detach().numpy(), 1e-4)
        cotangent = normal(*value.shape, seed=9)
        (value * cotangent).sum().backward()
        (expected * torch.tensor(cotangent)).sum().backward()
        for name, parameter in theirs.named_parameters():
            assert np.abs(nn.parameters(ours)[name].grad - parameter.grad.numpy()).max() < 1e-3


# -- finding and loading what was learned --------------------------------------------------------


class Model:
    """All that can hold a tensor: attributes, lists, tuples, dicts, objects; one weight twice."""

    def __init__(self, seed=0):
        r = rng(seed)
        self.first = nn.Linear(3, 4, rng=r)
        self.blocks = [nn.LayerNorm(4), (nn.Linear(4, 4, bias=False, rng=r),)]
        self.by_name = {"a": mg.Tensor(np.zeros(2, np.float32)), "b": nn.Embedding(5, 4, rng=r)}
        self.head = self.by_name["b"].weight  # tied
        self.again = self.first  # a whole layer tied
        self.counts = np.arange(3) + seed
        self.frozen = mg.Tensor(np.full(2, seed, np.float32), requires_grad=False)
        self._cache = np.zeros(7)
        self.name, self.function, self.nothing = "model", math.sin, None
        self.me = self  # a cycle


LEARNED = [
    "first.weight",
    "first.bias",
    "blocks.0.weight",
    "blocks.0.bias",
    "blocks.1.0.weight",
    "by_name.a",
]
LEARNED = [*LEARNED, "by_name.b.weight"]


def test_parameters_are_found_by_name_each_once():
    model = Model()
    found = nn.parameters(model)
    assert list(found) == LEARNED
    assert found["by_name.b.weight"] is model.head
    assert nn.parameters(model.blocks).keys() == {"0.weight", "0.bias", "1.0.weight"}


def test_state_has_tensors_and_arrays_but_nothing_underscored():
    state = nn.state(Model(seed=4))
    assert set(state) == {*LEARNED, "counts", "frozen"}
    assert (state["counts"] == [4, 5, 6]).all()
    assert all(isinstance(array, np.ndarray) for array in state.values())


def test_state_goes_from_one_model_into_another_and_tied_weights_stay_tied():
    one, other = Model(0), Model(7)
    nn.load_state(other, nn.state(one))
    assert all((nn.state(other)[name] == array).all() for name, array in nn.state(one).items())
    assert other.head is other.by_name["b"].weight
    assert (other.head.data == one.head.data).all()
    assert (other.counts == [0, 1, 2]).all()


def test_loaded_arrays_are_copies():
    model = Model()
    arrays = {name: array.copy() for name, array in nn.state(model).items()}
    nn.load_state(model, arrays)
    arrays["first.weight"][:] = 99
    arrays["counts"][:] = 99
    assert (model.first.weight.data != 99).all() and (model.counts != 99).all()


def test_load_state_takes_arrays_not_parameters_and_state_is_a_snapshot():
    model, other = Model(), Model()
    before = nn.state(model)
    with pytest.raises(ValueError, match="got a Tensor, no array"):
        nn.load_state(model, nn.state(other) | nn.parameters(other))
    assert all(np.array_equal(before[name], array) for name, array in nn.state(model).items())
    adam = mg.Adam({"w": mg.Tensor(np.ones(2, np.float32))})
    before = nn.state(adam)
    adam.step()
    assert before["steps"] == 0


def test_load_state_lists_every_difference_and_changes_nothing():
    model = Model()
    before = {name: array.copy() for name, array in nn.state(model).items()}
    arrays = {name: array + 1 for name, array in before.items()}
    del arrays["by_name.a"]
    arrays["stranger"] = np.zeros(3)
    arrays["first.bias"] = np.zeros(5, np.float32)
    arrays["blocks.0.weight"] = arrays["blocks.0.weight"].astype(np.float64)
    with pytest.raises(ValueError) as error:
        nn.load_state(model, arrays)
    message = str(error.value)
    assert "missing: by_name.a" in message
    assert "unexpected: stranger" in message
    assert "first.bias: expected float32 (4,), got float32 (5,)" in message
    assert "blocks.0.weight: expected float32 (4,), got float64 (4,)" in message
    assert message.count("\n") == 4  # one line each
    assert all((nn.state(model)[name] == array).all() for name, array in before.items())


def test_the_parameters_of_a_gpt_are_counted_by_arithmetic():
    """V + 1 rows of embeddings tied to the output, positions, 12 width^2 a layer, and the norms."""
    V, L, layers, C = 65, 64, 4, 128
    gpt = mg.GPT(V, L, layers, 4, C, rng=rng())
    size = sum(parameter.size for parameter in nn.parameters(gpt).values())
    assert size == (V + 1) * C + L * C + layers * (12 * C * C + 2 * C) + C


# -- nothing learned is lost without a word ------------------------------------------------------


class Slotted:
    __slots__ = ("_cache", "unset", "weight")

    def __init__(self):
        self.weight, self._cache = mg.Tensor([1.0, 2.0]), None


class SlottedOnce:
    __slots__ = "counts"

    def __init__(self):
        self.counts = np.arange(2)


@dataclass(frozen=True)
class Frozen:
    table: np.ndarray


class Holder:
    def __init__(self, **parts):
        vars(self).update(parts)


def test_tensors_in_slots_are_found_and_loaded():
    model, other = ([Slotted(), SlottedOnce(), Frozen(np.zeros(1))] for _ in range(2))
    assert list(nn.parameters(model)) == ["0.weight"]
    other[0].weight.data = np.array([3, 4], np.float32)
    other[1].counts = np.arange(5, 7)
    nn.load_state(model, nn.state(other) | {"2.table": np.ones(1)})
    assert model[0].weight.data.tolist() == [3, 4]
    assert model[1].counts.tolist() == [5, 6] and model[2].table.tolist() == [1]


@pytest.mark.parametrize(
    "parts, name",
    [
        (lambda w: {"_hidden": w}, "_hidden"),
        (lambda w: {"parts": {"_hidden": [w]}}, "parts._hidden.0"),
        (lambda w: {"layers": {w}}, "layers.0"),
        (lambda w: {"layers": frozenset([nn.LayerNorm(2)])}, "layers.0.weight"),
        (lambda w: {"layers": deque([w])}, "layers.0"),
    ],
)
def test_a_tensor_that_trains_without_a_public_name_is_refused(parts, name):
    model = Holder(weight=mg.Tensor([1.0]), **parts(mg.Tensor([2.0])))
    with pytest.raises(ValueError, match=f"{name} trains, but has no public name"):
        nn.parameters(model)


def test_private_constants_aliases_and_computed_values_are_no_parameters():
    weight = mg.Tensor([1.0])
    model = Holder(
        weight=weight,
        _alias=weight,
        _constant=mg.Tensor([2.0], requires_grad=False),
        _last_loss=weight * 2,
        _mask=np.ones(3),
        module=math,
    )
    assert list(nn.parameters(model)) == ["weight"] and list(nn.state(model)) == ["weight"]


def test_two_parts_of_one_name_are_refused():
    model = Holder(parts={1: mg.Tensor([1.0]), "1": mg.Tensor([2.0])})
    for find in (nn.parameters, nn.state, lambda m: nn.load_state(m, {})):
        with pytest.raises(ValueError, match=r"one name: parts\.1"):
            find(model)


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"pair.0": np.ones(2)}, "pair.0: an array in a tuple cannot be replaced"),
        ({"scale": np.float32(3)}, r"scale: expected float32 \(\), got a float32, no array"),
        ({"first": [9.0]}, r"first: expected float32 \(1,\), got a list, no array"),
    ],
)
def test_load_state_replaces_all_or_nothing(arrays, words):
    scale = mg.Tensor(np.array(1, np.float32))
    model = Holder(first=mg.Tensor([1.0]), scale=scale, numbers=np.zeros(2))
    if "pair.0" in arrays:
        model.pair = (np.zeros(2),)
    before = nn.state(model)
    with pytest.raises(ValueError, match=words):
        nn.load_state(model, {name: a + 1 for name, a in before.items()} | arrays)
    after = nn.state(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_cache_is_refused_while_gradients_are_recorded():
    layer, cache = nn.Attention(6, 2, rng=rng()), nn.KeyValueCache(2, 5, 6)
    with pytest.raises(RuntimeError, match="no_grad"):
        layer(normal(2, 1, 6), None, cache)
    assert cache.seen == 0


@pytest.mark.parametrize("shape", [(1, 2, 18), (2, 6, 18), (2, 2, 6)])
def test_a_cache_takes_only_what_fits_it(shape):
    cache = nn.KeyValueCache(2, 5, 6)
    with pytest.raises(ValueError, match="KeyValueCache"):
        cache.extend(normal(*shape))
    assert cache.seen == 0


# -- bad sizes, counted before they are built ----------------------------------------------------


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: nn.Linear(0, 3, rng=rng()), r"\(3, 0\)"),
        (lambda: nn.Linear(3, -1, rng=rng()), r"\(-1, 3\)"),
        (lambda: nn.Embedding(0, 3, rng=rng()), r"\(0, 3\)"),
        (lambda: nn.LayerNorm(0), r"\(0,\)"),
        (lambda: nn.GroupNorm(4, 6), "6 channels do not divide into 4"),
        (lambda: nn.GroupNorm(0, 6), "into 0 groups"),
        (lambda: nn.Attention(6, 0, rng=rng()), "0 heads"),
        (lambda: nn.Conv2d(1, 1, 3, stride=0, rng=rng()), "stride: .*at least 1, got 0"),
        (lambda: nn.Conv2d(1, 1, 3, padding=-1, rng=rng()), "padding: .*at least 0, got -1"),
        (lambda: nn.Conv2d(1, 1, 0, rng=rng()), r"\(1, 1, 0, 0\)"),
        (lambda: nn.sinusoidal(np.zeros(2), 7), "even.*got 7"),
        (lambda: nn.sinusoidal(np.zeros(2), 0), "at least 2, got 0"),
    ],
)
def test_impossible_sizes_are_refused_at_construction(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("bad", [0, None, np.random, "seed"])
def test_what_is_no_generator_is_named(bad):
    with pytest.raises(TypeError, match=r"rng: .*default_rng.*, got"):
        nn.Linear(2, 2, rng=bad)


def test_within_at_most_nothing_larger_is_built():
    small = [np.zeros(9, np.float32)]
    builds = (
        lambda: nn.Linear(10**6, 10**6, rng=rng()),
        lambda: nn.Linear(2**33, 2**33, rng=rng()),
        lambda: nn.Embedding(10**6, 10**4, rng=rng()),
        lambda: nn.Conv2d(10**4, 10**4, 3, rng=rng()),
        lambda: nn.LayerNorm(10**10),
        lambda: nn.GroupNorm(1, 10**10),
        lambda: [nn.LayerNorm(1) for _ in range(10**6)],  # objects count, too
    )
    for build in builds:
        tracemalloc.start()
        with pytest.raises(ValueError, match="more than may be built"), nn.at_most(small):
            build()
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()
    with nn.at_most(small):
        nn.Linear(3, 2, rng=rng())
    nn.Linear(300, 200, rng=rng())  # afterwards, and in other threads, no limit holds
    with nn.at_most(small), ThreadPoolExecutor(1) as pool:
        pool.submit(nn.Linear, 300, 200, rng=rng()).result()


# -- one line for a prompt -----------------------------------------------------------------------


def test_every_layer_and_network_says_what_it_is_in_one_line():
    layers = {
        nn.Linear(3, 4, rng=rng()): "Linear(in_features=3, out_features=4), 16 parameters",
        nn.Linear(3, 4, False, rng=rng()): "Linear(in_features=3, out_features=4), 12 parameters",
        nn.Embedding(
            5, 2, rng=rng()
        ): "Embedding(num_embeddings=5, embedding_dim=2), 10 parameters",
        nn.LayerNorm(4): "LayerNorm(normalized_shape=4, eps=1e-05), 8 parameters",
        nn.GroupNorm(2, 4): "GroupNorm(num_groups=2, num_channels=4, eps=1e-05), 8 parameters",
        nn.UpsampleConv2d(1, 2, rng=rng()): "UpsampleConv2d(in_channels=1, out_channels=2), "
        "20 parameters",
        nn.Attention(4, 2, rng=rng()): "Attention(width=4, heads=2), 64 parameters",
    }
    for layer, words in layers.items():
        assert repr(layer) == words
    conv = repr(nn.Conv2d(1, 2, 3, rng=rng()))
    assert conv.startswith("Conv2d(in_channels=1, out_channels=2, kernel_size=3, stride=1, padd")
    layers = [c for c in vars(nn).values() if isinstance(c, type) and c.__module__ == nn.__name__]
    assert {c for c in layers if c.__repr__ is not nn.describe} == {nn.KeyValueCache}  # no layer


def test_long_and_nested_arguments_are_kept_short():
    class Model:
        __repr__ = nn.describe

        def __init__(self, order, table, net, text):
            self.order, self.table, self.net, self.text = order, table, net, text

    model = Model(tuple(range(1000)), np.zeros((50, 50)), nn.LayerNorm(2), "a\nb" * 100)
    line = repr(model)
    assert "\n" not in line and len(line) < 160
    assert "order=(0, 1, 2, 3, 4, 5, ...)" in line and "table=array(50, 50)" in line
    assert "net=LayerNorm(...)" in line and line.endswith("2,504 parameters")
