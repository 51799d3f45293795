"""check_gradients finds wrong rules; who depends on whom, for the families of models."""

import numpy as np
import pytest

import minigen as mg
from minigen import ops
from minigen.gradients import check_gradients, dependencies, dependency_matrix
from minigen.tensor import op


def test_check_gradients_finds_a_wrong_rule_and_names_the_place():
    @op
    def wrong(x, y):
        return x * y, lambda g: g * y, lambda g: g * x * 1.001

    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match=r"argument 1, element \(0,\)"):
        check_gradients(wrong, np.array([1.0]), np.array([2.0]), rng=rng)
    with pytest.raises(TypeError, match="float32"):
        check_gradients(ops.exp, np.zeros(2, np.float32), rng=rng)
    with pytest.raises(AssertionError, match="no gradient arrived at argument 1"):
        check_gradients(lambda x, y: x * 1.0, np.ones(1), np.ones(1), rng=rng)


def test_dependency_matrix():
    matrix = dependency_matrix(lambda x: x[1:] * x[:2], np.array([2.0, 3.0, 5.0]))
    assert matrix.tolist() == [[3, 2, 0], [0, 5, 3]]
    assert dependency_matrix(lambda x: x[:1] * 0.0, np.ones(2)).tolist() == [[0, 0]]


# -- who depends on whom ---------------------------------------------------------------------------

L, C = 6, 4
PLACES = np.arange(L)
MASKS = {
    "causal": PLACES[:, None] >= PLACES,
    "block-causal": PLACES[:, None] // 3 >= PLACES // 3,
    "full": np.ones((L, L), bool),
}
BY_MASK = pytest.mark.parametrize("name", MASKS)


def attention(name):
    """Tokens (B, L) or vectors (B, L, C) -> (B, L, C): two layers of attention under a mask."""
    rng = np.random.default_rng(0)
    table = mg.nn.Embedding(7, C, rng=rng)
    layers = [mg.nn.Attention(C, 2, rng=rng) for _ in range(2)]

    def predict(x):
        h = x if isinstance(x, mg.Tensor) else table(x) + np.eye(L, C)
        for layer in layers:
            h = h + layer(h, MASKS[name])
        return h

    return predict


@BY_MASK
def test_real_inputs_depend_as_the_mask_allows(name):
    x = np.random.default_rng(1).standard_normal((L, C)).astype(np.float32)
    assert np.array_equal(dependencies(attention(name), x) > 0, MASKS[name])


@BY_MASK
@pytest.mark.parametrize("kind", [np.asarray, lambda logits: logits], ids=["array", "Tensor"])
def test_tokens_depend_as_the_mask_allows(name, kind):
    tokens, predict = np.random.default_rng(1).integers(0, 7, L), attention(name)
    seen = dependencies(lambda x: kind(predict(x)), tokens)
    assert np.array_equal(seen > 0, MASKS[name])


def test_a_gpt_is_triangular_and_a_denoiser_full():
    rng = np.random.default_rng(0)
    gpt = mg.GPT(7, context=L, layers=1, heads=2, width=8, rng=rng)
    tokens = np.array([1, 2, 0, 5, 5, 3])

    def nats(x):
        """log p(x_i | x_<i) of every position, by what each one adds to the whole."""
        return np.stack([gpt.log_prob(x[:, : i + 1]) for i in range(L)], axis=1)

    seen = dependencies(nats, tokens) > 0
    assert np.array_equal(seen, MASKS["causal"])
    net = mg.networks.MLP((L,), width=16, layers=2, rng=rng)
    for p in mg.nn.parameters(net).values():  # its last layer starts at 0
        p.data = rng.standard_normal(p.shape).astype(np.float32)
    point = rng.standard_normal(L).astype(np.float32)
    assert (dependencies(lambda x: net(x, 0.5), point) > 0).all()


def test_dependencies_are_derivatives():
    """The largest one between two positions: d tanh(W x) / d x = (1 - tanh^2) W."""
    x = np.random.default_rng(2).standard_normal((3, 2))
    w = np.random.default_rng(3).standard_normal((8, 6))

    def predict(x):  # (B, 3, 2) -> (B, 4, 2)
        return ops.tanh(ops.linear(x.reshape(-1, 6), w)).reshape(-1, 4, 2)

    slope = 1 - np.tanh(w @ x.ravel()) ** 2
    jacobian = np.abs(slope[:, None] * w)
    expected = jacobian.reshape(4, 2, 3, 2).max(axis=(1, 3))
    np.testing.assert_allclose(dependencies(predict, x), expected, rtol=1e-12)


def test_what_depends_on_nothing_is_zero():
    assert not dependencies(lambda x: np.zeros((len(x), 2)), np.array([0, 1, 2])).any()
    constant = mg.Tensor(np.ones(2))
    seen = dependencies(lambda x: ops.reshape(x.sum(1), (-1, 1)) * 0 + constant, np.ones(3))
    assert seen.shape == (2, 3) and not seen.any()
    assert not dependencies(lambda x: np.ones((len(x), 1)) * constant[:1], np.ones(3)).any()


def test_dependencies_of_what_it_cannot_change():
    with pytest.raises(ValueError, match="one symbol"):
        dependencies(lambda x: x, np.zeros(4, int))
    with pytest.raises(TypeError, match="complex128"):
        dependencies(lambda x: x, np.zeros(4, complex))
