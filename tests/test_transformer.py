"""The Transformer: what a mask allows, its two doors, caches and positions, and what is refused."""

import tracemalloc

import numpy as np
import pytest

from minigen import gradients, networks, nn, ops
from minigen.networks import (
    PatchTransformer,
    TokenTransformer,
    Transformer,
    Window,
    block_mask,
    causal_mask,
)
from minigen.tensor import Tensor, no_grad


def generator(seed=0):
    return np.random.default_rng(seed)


def shake(net, seed=1, scale=0.1):
    rng = generator(seed)
    for p in nn.parameters(net).values():
        p.data = p.data + scale * rng.standard_normal(p.shape).astype(p.dtype)
    return net


def of_tokens(L=6, **how):
    return shake(TokenTransformer(7, L, layers=2, heads=2, width=8, rng=generator(), **how))


# -- masks -----------------------------------------------------------------------------------------


def test_masks_by_hand():
    np.testing.assert_array_equal(causal_mask(4), np.tri(4))
    expected = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    np.testing.assert_array_equal(block_mask(5, 2), expected)
    np.testing.assert_array_equal(block_mask(5, 5), np.ones((5, 5)))
    np.testing.assert_array_equal(block_mask(5, 2, start=3), expected[3:])
    np.testing.assert_array_equal(causal_mask(5, start=4), np.ones((1, 5)))


@pytest.mark.parametrize("block_size", [0, -1])
def test_an_impossible_block_is_refused(block_size):
    with pytest.raises(ValueError, match=f"block_size: .* got {block_size}"):
        block_mask(4, block_size)


@pytest.mark.parametrize(
    "mask, looks",
    [
        (causal_mask(6), lambda i, j: j <= i),
        (block_mask(6, 3), lambda i, j: j // 3 <= i // 3),
        (None, lambda i, j: True),
        (np.eye(6, dtype=bool)[::-1], lambda i, j: j in (i, 5 - i)),  # and itself: x + attention
    ],
    ids=["causal", "block", "full", "any other"],
)
def test_a_transformer_looks_only_where_its_mask_allows(mask, looks):
    net = shake(Transformer(6, layers=1, heads=2, width=8, rng=generator()), scale=0.5)
    h = generator(5).standard_normal((6, 8)).astype(np.float32)
    seen = gradients.dependency_matrix(
        lambda h: ops.sum(net(h.reshape(1, 6, 8), mask), axis=(0, 2)), h
    )
    seen = seen.reshape(6, 6, 8).max(axis=2) > 1e-7
    np.testing.assert_array_equal(seen, [[looks(i, j) for j in range(6)] for i in range(6)])


# -- tokens ----------------------------------------------------------------------------------------


def test_cached_tokens_give_the_logits_of_all_at_once():
    net, tokens = of_tokens(), generator().integers(0, 7, (3, 6))
    caches = net.new_caches(3)
    with no_grad():
        steps = [net(tokens[:, :2], causal_mask(2), caches=caches).data]
        for i in range(2, 6):
            steps.append(net(tokens[:, i : i + 1], causal_mask(i + 1, start=i), caches=caches).data)
    together = net(tokens, causal_mask(6)).data
    np.testing.assert_allclose(np.concatenate(steps, axis=1), together, atol=1e-5)


def test_one_token_after_a_cache_needs_no_mask():
    net, tokens = of_tokens(), generator().integers(0, 7, (3, 6))
    caches = net.new_caches(3)
    with no_grad():
        steps = [net(tokens[:, i : i + 1], caches=caches).data for i in range(6)]
    together = net(tokens, causal_mask(6)).data
    np.testing.assert_allclose(np.concatenate(steps, axis=1), together, atol=1e-5)


def test_positions_are_where_the_caller_says():
    net, tokens = of_tokens(), generator().integers(0, 7, (2, 4))
    order = np.array([3, 0, 5, 1])
    shuffled = np.array([2, 0, 1, 3])
    here = net(tokens, positions=order).data
    there = net(tokens[:, shuffled], positions=order[shuffled]).data  # a full mask knows no order
    np.testing.assert_allclose(there, here[:, shuffled], atol=1e-5)
    np.testing.assert_array_equal(net(tokens, positions=np.arange(4)).data, net(tokens).data)
    assert np.abs(here - net(tokens).data).max() > 1e-3
    twice = net(np.hstack([tokens, tokens]), np.eye(8, dtype=bool), np.tile(order, 2)).data
    np.testing.assert_allclose(twice[:, :4], twice[:, 4:], atol=1e-6)


def test_extra_tokens_are_read_and_never_predicted():
    net = of_tokens(extra_tokens=2)
    assert net(np.array([[7, 8, 0]])).shape == (1, 3, 7)
    with pytest.raises(IndexError, match="expected 0 to 8"):
        net(np.array([[9]]))
    ops.sum(net(np.array([[7, 0]]))).backward()
    assert np.abs(net.tokens.weight.grad[7]).max() > 0  # read, so learned


def test_attention_maps_are_distributions_over_the_past():
    net, tokens = shake(of_tokens(), scale=0.5), generator().integers(0, 7, (3, 6))
    maps = net.attention_maps(tokens, causal_mask(6))
    assert maps.shape == (3, 2, 2, 6, 6)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    assert not np.triu(maps, 1).any()
    assert net.attention_maps(tokens).min() > 0


def test_the_names_of_what_is_learned_are_those_of_checkpoints_made_before():
    names = set(nn.parameters(of_tokens()))
    assert {"tokens.weight", "positions.weight", "blocks.1.attention.qkv.weight"} < names
    names = set(nn.parameters(PatchTransformer(layers=1, width=8, rng=generator())))
    assert {"inputs.bias", "outputs.weight", "conditioning.time.weight", "norm.weight"} < names


# -- beyond the context ----------------------------------------------------------------------------


@pytest.mark.parametrize("context, size", [(1, 1), (2, 1), (5, 1), (6, 1), (6, 2), (6, 3), (9, 3)])
def test_the_window_keeps_the_last_half_in_whole_blocks(context, size):
    window, start = Window(TokenTransformer(3, context, 1, 1, 2, rng=generator()), size), 0
    keep = context // 2 // size * size
    for position in range(40):
        if position - start >= context:  # full: the last half stays
            start = position - keep
        assert window.start(position) == start


@pytest.mark.parametrize("length", [1, 4, 6, 7, 8, 9, 23])
def test_cut_windows_joined_again_are_what_was_cut(length):
    window = Window(TokenTransformer(3, 6, 1, 1, 2, rng=generator()))
    x = generator().integers(0, 99, (5, length))
    np.testing.assert_array_equal(window.join(window.cut(x), x.shape), x)
    assert window.cut(x).shape[1] == min(length, 6)


# -- patches ---------------------------------------------------------------------------------------


def test_patches_come_back_to_their_place():
    net = PatchTransformer([2, 4, 6], patch=2, layers=1, heads=1, width=8, rng=generator())
    assert net.shape == (2, 4, 6)
    x = generator().standard_normal((3, 2, 4, 6), np.float32)
    patches = net._cut(x)
    assert patches.shape == (3, 6, 8)
    np.testing.assert_array_equal(patches.data[1, 4].reshape(2, 2, 2), x[1, :, 2:4, 2:4])
    np.testing.assert_array_equal(net._joined(patches).data, x)


# -- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build, error, words",
    [
        (lambda: Transformer(shape=(1, 8, 8), rng=generator()), TypeError, "PatchTransformer"),
        (lambda: Transformer(vocab_size=10, rng=generator()), TypeError, "TokenTransformer"),
        (lambda: Transformer(rng=generator()), TypeError, "context=None"),
        (lambda: TokenTransformer(vocab_size=10, rng=generator()), TypeError, "context"),
        (lambda: TokenTransformer(0, 4, rng=generator()), ValueError, "vocab_size: .* got 0"),
        (lambda: TokenTransformer(5, 0, rng=generator()), ValueError, "context: .* got 0"),
        (lambda: TokenTransformer(5, 4, width=0, rng=generator()), ValueError, "width: .* got 0"),
        (lambda: TokenTransformer(5, 4, heads=3, width=8, rng=generator()), ValueError, "3 heads"),
        (lambda: PatchTransformer((1, 8, 8), patch=3, rng=generator()), ValueError, "do not tile"),
        (lambda: PatchTransformer((8, 8), rng=generator()), ValueError, "do not tile"),
        (lambda: PatchTransformer(patch=0, rng=generator()), ValueError, "side 0"),
        (
            lambda: PatchTransformer(width=33, rng=generator()),
            ValueError,
            "its width.*even number.*got 33",
        ),
        (
            lambda: PatchTransformer(width=8, rng=generator())(np.zeros((1, 1, 8, 8), np.float32)),
            TypeError,
            "'t'",
        ),
        (
            lambda: PatchTransformer(width=8, rng=generator())(np.zeros((1, 1, 8, 8), "f4"), None),
            ValueError,
            "t: expected a time",
        ),
        (lambda: of_tokens(4)(np.zeros((1, 5), int)), ValueError, "5 positions, .* context is 4"),
        (lambda: of_tokens(4)(np.zeros((1, 2), int), positions=[0, 4]), ValueError, "context is 4"),
        (lambda: of_tokens(4)(np.zeros((1, 2), int), positions=[0]), ValueError, "expected 2"),
    ],
)
def test_bad_input_is_named(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_no_mask_is_built_for_a_context_that_nobody_uses():
    """L x L booleans of a context of a million would be a terabyte."""
    tracemalloc.start()
    net = TokenTransformer(2, 10**6, layers=1, heads=1, width=2, rng=generator())
    assert net(np.array([[0, 1]]), causal_mask(2)).shape == (1, 2, 2)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_a_network_says_what_it_is():
    net = networks.TokenTransformer(5, 4, 1, 1, 2, extra_tokens=1, rng=generator())
    expected = "vocab_size=5, context=4, layers=1, heads=1, width=2, extra_tokens=1"
    assert repr(net) == f"TokenTransformer({expected}), 74 parameters"
    assert isinstance(net(np.array([[5]])), Tensor)
