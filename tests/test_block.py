"""Block diffusion: its two ends by enumeration; the pass over two copies; cache and context."""

import itertools

import numpy as np
import pytest
from enumerated import any_world, chain_world, every, in_float64, mean_bound

import minigen as mg
from minigen import nn
from minigen.networks import Window, block_mask


def small(block_size, vocab_size=3, context=6, seed=0, width=8, **how):
    """An arbitrary network."""
    rng = np.random.default_rng(seed)
    return mg.BlockDiffusion(
        vocab_size, context, 2, 2, width, block_size=block_size, rng=rng, **how
    )


def perfect(world, block_size):
    rng = np.random.default_rng(0)
    model = mg.BlockDiffusion(
        world.vocab_size, world.length, 1, 1, 2, block_size=block_size, rng=rng
    )
    model.network = world
    return model


def same_weights(block):
    how = {"rng": np.random.default_rng(9), "weighting": block.weighting}
    sizes = (block.vocab_size, block.context, block.layers, block.heads, block.width)
    masked = mg.MaskedDiffusion(*sizes, **how)
    nn.load_state(masked, nn.state(block))
    return masked


# -- the two ends, and between them ----------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 6])
@pytest.mark.parametrize("make", [any_world, chain_world])
def test_with_exact_conditionals_the_bound_is_log_p_for_every_block_size(make, size):
    world = make(2, 6) if make is any_world else make()
    bound = mean_bound(perfect(world, size), world.strings)
    assert np.abs(bound - np.log(world.p)).max() < 1e-10
    chain_rule = mg.left_to_right(perfect(world, size), world.strings)
    assert np.abs(chain_rule - np.log(world.p)).max() < 1e-10


def test_blocks_of_one_token_are_the_chain_rule_without_variance():
    model, x = in_float64(small(1)), every(3, 6)[::7]
    draws = model.bounds(x, np.random.default_rng(0), draws=3)
    np.testing.assert_array_equal(draws[0], draws[2])
    assert np.abs(draws[0] - mg.left_to_right(model, x)).max() < 1e-10


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_the_chain_rule_of_every_block_size_is_a_probability(size):
    model = small(size)
    assert np.exp(mg.left_to_right(model, every(3, 6))).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("weighting", ["simple", "bound"])
def test_one_block_of_all_is_masked_diffusion_with_the_same_weights(weighting):
    block, x = small(6, weighting=weighting), every(3, 6)[::50]
    masked = same_weights(block)

    def both(call):
        return [call(model, np.random.default_rng(1)) for model in (block, masked)]

    one, other = both(lambda model, rng: model.loss(x, rng).item())
    assert one == pytest.approx(other, abs=1e-6)
    np.testing.assert_allclose(*both(lambda model, rng: model.bounds(x, rng)), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(*both(lambda model, rng: model.sample(50, rng, steps=3)))
    np.testing.assert_allclose(*(mg.left_to_right(m, x) for m in (block, masked)), atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_for_any_network_the_bound_is_the_mean_over_orders_within_blocks(size):
    model, x = in_float64(small(size)), every(3, 6)[::60]
    orders = list(itertools.permutations(range(size)))
    total = np.zeros(len(x))
    for order in orders:
        for i in range(size):
            hidden = np.tile(np.isin(np.arange(size), order[i:]), (len(x), 6 // size))
            log_p = mg.sampling.token_log_probs(model.predict(x, hidden).data, x)
            total += log_p[:, order[i] :: size].sum(axis=1)
    assert np.abs(mean_bound(model, x) - total / len(orders)).max() < 1e-10


def test_it_has_a_bound_and_no_likelihood():
    assert not hasattr(small(1), "log_prob")


# -- the training pass -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_one_pass_over_both_copies_is_the_loop_over_blocks(size):
    """Block after block: the clean blocks before it, the hidden block, nothing else."""
    model, rng = in_float64(small(size)), np.random.default_rng(0)
    x = rng.integers(0, 3, (20, 6))
    hidden = model.hide(x, rng)
    together = model.predict(x, hidden).data
    for start in range(0, 6, size):
        end = start + size
        own = model.q_sample(x, hidden)[:, start:end]
        seen = np.concatenate([x[:, :start], own], axis=1)
        alone = model.network(seen, block_mask(end, size)).data[:, start:]
        assert np.abs(alone - together[:, start:end]).max() < 1e-6


@pytest.mark.parametrize("size", [1, 2, 3])
def test_who_depends_on_whom(size):
    """By changing one token at a time: own block where it is shown, and every block before."""
    model, rng = in_float64(small(size)), np.random.default_rng(0)
    x = rng.integers(0, 3, (1, 6))
    hidden = np.array([[1, 0, 0, 1, 1, 0]], bool)
    before = model.predict(x, hidden).data
    for j in range(6):
        other = x.copy()
        other[0, j] = (x[0, j] + 1) % 3
        moved = np.abs(model.predict(other, hidden).data - before).max(axis=(0, 2)) > 1e-9
        for i in range(6):
            own = j // size == i // size and not hidden[0, j]
            assert moved[i] == (own or j // size < i // size)


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_every_block_hides_every_number_alike(size):
    """600 rows of a batch of 1 and of 7: five standard deviations of each share."""
    model, rng = small(size), np.random.default_rng(0)
    for B in (1, 7):
        hidden = np.concatenate([model.hide(np.zeros((B, 6), int), rng) for _ in range(600)])
        k = hidden.reshape(len(hidden), -1, size).sum(axis=2)
        assert k.min() >= 1
        for number in range(1, size + 1):
            tolerance = 5 * np.sqrt(1 / size * (1 - 1 / size) / len(k)) + 1e-12
            assert np.abs((k == number).mean(axis=0) - 1 / size).max() <= tolerance


def test_the_blocks_of_one_row_hide_numbers_of_their_own():
    """Were they alike, a row's bound would swing. 2,000 rows: five standard errors of 0."""
    hidden = small(3).hide(np.zeros((2000, 6), int), np.random.default_rng(0))
    k = hidden.reshape(2000, 2, 3).sum(axis=2)
    assert abs(np.corrcoef(k.T)[0, 1]) < 5 / np.sqrt(2000)


def test_weights_by_hand():
    hidden = np.array([[1, 0, 1, 1, 0, 1]], bool)
    np.testing.assert_array_equal(small(2).weights(hidden), [[2, 0, 1, 1, 0, 2]])
    np.testing.assert_array_equal(small(3).weights(hidden), [[1.5, 0, 1.5, 1.5, 0, 1.5]])


def test_gradients_reach_every_parameter():
    model = small(2)
    model.loss(every(3, 6)[::30], np.random.default_rng(0)).backward()
    assert all(np.any(p.grad) for p in nn.parameters(model).values())


# -- sampling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("length", [6, 24])
def test_with_a_cache_or_without_the_logits_agree_and_so_do_the_samples(size, length):
    model = small(size)
    known = np.full((3, length), 3)
    known[:, :size] = 1  # a block that is known
    known[1, -1] = 2
    for how in ({}, {"steps": 1}, {"known": known}, {"order": "confidence", "top_k": 2}):
        with_cache, without = (
            model.sample(3, np.random.default_rng(1), length=length, cache=cache, **how)
            for cache in (True, False)
        )
        np.testing.assert_array_equal(with_cache, without)
    reads = [Window(model.network, size).reader(3, cache) for cache in (True, False)]
    x = with_cache
    for start in range(0, length, size):
        seen = np.concatenate([x[:, :start], np.full((3, size), 3)], axis=1)
        logits = [read(seen, settled=start, end=start + size)[:, -size:] for read in reads]
        assert np.abs(logits[0] - logits[1]).max() < 1e-5


def by_the_book(model, x):
    """Logits of every block of x, all of it hidden: at a full context the last half is kept."""
    size, held, said = model.block_size, x[:, :0], []
    for start in range(0, x.shape[1], size):
        if held.shape[1] == model.context:
            held = held[:, model.context - model.context // 2 // size * size :]
        blank = np.full((len(x), size), model.vocab_size)
        seen = np.concatenate([held, blank], axis=1)
        said.append(model.network(seen, block_mask(seen.shape[1], size)).data[:, -size:])
        held = np.concatenate([held, x[:, start : start + size]], axis=1)
    return np.concatenate(said, axis=1)


@pytest.mark.parametrize("context, size", [(6, 1), (6, 2), (6, 3), (10, 2), (4, 2)])
def test_beyond_the_context_the_last_half_in_whole_blocks_is_kept(context, size):
    model = small(size, context=context)
    x = np.random.default_rng(0).integers(0, 3, (2, 5 * context))
    read, said = Window(model.network, size).reader(2, cache=True), []
    for start in range(0, x.shape[1], size):
        seen = np.concatenate([x[:, :start], np.full((2, size), 3)], axis=1)
        said.append(read(seen, settled=start, end=start + size)[:, -size:])
    assert np.abs(np.concatenate(said, axis=1) - by_the_book(model, x)).max() < 1e-5


@pytest.mark.parametrize("context, size", [(6, 1), (6, 2), (6, 3), (10, 2)])
def test_a_long_sequence_is_scored_as_it_is_sampled(context, size):
    """All of a block hidden: block after block, as the sampler reads, and all windows at once."""
    model = small(size, context=context)
    for length in (size, context, context + size, 5 * context):
        x = np.random.default_rng(0).integers(0, 3, (2, length))
        expected = mg.sampling.token_log_probs(by_the_book(model, x), x)
        log_p = model.token_log_probs(x, np.ones(x.shape, bool))
        np.testing.assert_allclose(log_p, expected, rtol=0, atol=1e-5)
        weighted = model.bound_given(x, np.ones(x.shape, bool))
        np.testing.assert_allclose(weighted, expected.sum(axis=1), rtol=0, atol=1e-4)
        assert np.isfinite(model.bound(x, np.random.default_rng(0))).all()
    chain_rule = mg.left_to_right(model, x)
    if size == 1:
        np.testing.assert_allclose(chain_rule, expected.sum(axis=1), rtol=0, atol=1e-4)


def reads_of(model, **how):
    network, read = model.network, []

    class Counting:
        context, new_caches = network.context, network.new_caches

        def __call__(self, x, mask, caches):
            read.append(x.shape[1])
            return network(x, mask, caches=caches)

    model.network = Counting()
    model.sample(2, np.random.default_rng(0), **how)
    model.network = network
    return read


def test_a_cache_reads_each_finished_block_once_and_that_costs_less():
    """Positions read: a finished block once more, clean, with the first step of the next."""
    model = small(2, context=8)
    assert reads_of(model, cache=True) == [2, 2, 4, 2, 4, 2, 4, 2]
    assert reads_of(model, cache=False) == [2, 2, 4, 4, 6, 6, 8, 8]
    assert reads_of(model, cache=True, steps=1) == [2, 4, 4, 4]
    assert reads_of(model, cache=True, length=12) == [2, 2, 4, 2, 4, 2, 4, 2, 6, 2, 4, 2]


@pytest.mark.parametrize("size", [2, 3])
def test_one_token_a_step_draws_the_law_of_random_orders_within_blocks(size):
    """20,000 samples of a perfect network; 16 or more cells; 2 sizes, each once in 10,000 seeds."""
    world = any_world(2, 6)
    drawn = perfect(world, size).sample(20_000, np.random.default_rng(0), cache=False)
    expected = 20_000 * world.p
    counts = np.bincount(drawn @ 2 ** np.arange(6)[::-1], minlength=64)
    pooled = expected < 5
    counts = np.append(counts[~pooled], counts[pooled].sum())
    expected = np.append(expected[~pooled], expected[pooled].sum() + 1e-9)
    degrees = len(expected) - 1
    mean = ((counts - expected) ** 2 / expected).sum() / degrees
    z = (mean ** (1 / 3) - (1 - 2 / (9 * degrees))) / np.sqrt(2 / (9 * degrees))
    assert degrees > 15 and z < 3.72


def test_the_walk_goes_block_by_block_and_what_is_revealed_stays():
    states = list(small(3).sample_walk(4, np.random.default_rng(0), counts=[1, 2]))
    assert len(states) == 1 + 2 * 2
    hidden = [(state == 3).sum(axis=1).tolist() for state in states]
    assert hidden == [[left] * 4 for left in (6, 5, 3, 2, 0)]
    for before, after in itertools.pairwise(states):
        assert (before[before < 3] == after[before < 3]).all()
    assert all((state[:, 3:] == 3).all() for state in states[:3])


def test_what_is_known_stays_and_known_blocks_cost_nothing():
    model, known = small(2), np.array([0, 1, 3, 2, 3, 3])
    walk = list(model.sample_walk(3, np.random.default_rng(0), known=known, steps=2))
    assert len(walk) == 1 + 1 + 2  # the first block is known, of the second one token
    assert (walk[-1][:, [0, 1, 3]] == [0, 1, 2]).all() and (walk[-1] < 3).all()
    by_row = np.array([[0, 3, 3, 3, 3, 3], [3, 3, 3, 3, 3, 3]])
    assert (model.sample(2, np.random.default_rng(0), known=by_row)[0, 0]) == 0


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda m, r: m.loss(np.zeros((2, 5), int), r), ValueError, "whole blocks.* got 5, in"),
        (lambda m, r: m.loss(np.zeros((2, 8), int), r), ValueError, "8 positions, .*context is 6"),
        (lambda m, r: m.bound(np.zeros((0, 6), int), r), ValueError, "got 0"),
        (lambda m, r: m.loss(np.array([[0, 3]]), r), IndexError, r"integers in 0\.\.2"),
        (lambda m, r: m.sample(2, r, length=7), ValueError, "length: .*got 7, in blocks of 2"),
        (lambda m, r: m.sample(2, r, length=0), ValueError, "length: .*got 0"),
        (lambda m, r: m.sample(2, r, steps=3), ValueError, r"steps: .* 1\.\.2, got 3"),
        (lambda m, r: m.sample(2, r, steps=0), ValueError, "steps: .*got 0"),
        (lambda m, r: m.sample(2, r, counts=[1]), ValueError, "counts: "),
        (
            lambda m, r: next(m.sample_walk(2, r, known=[3, 3, 3, 3, 3, 0], counts=[2])),
            ValueError,
            r"add up to \[1\]",  # of the last block, before any work
        ),
        (lambda m, r: m.sample(2, r, order="best"), ValueError, "order: .*'best'"),
        (lambda m, r: m.sample(2, r, known=[0, 1, 2]), ValueError, r"known \(1, 3\)"),
        (lambda m, r: m.sample(2, 0), TypeError, "expected a numpy"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(small(2), np.random.default_rng(0))


@pytest.mark.parametrize("size", [0, 4, 7])
def test_a_block_size_that_does_not_divide_the_context_is_refused(size):
    with pytest.raises(ValueError, match=f"block_size={size} does not divide context=6"):
        small(size)


def test_a_context_of_one_block_refuses_to_go_on():
    model = small(6)
    assert model.sample(1, np.random.default_rng(0), length=6).shape == (1, 6)
    for long in (
        lambda: model.sample(1, np.random.default_rng(0), length=12),
        lambda: model.bound(np.zeros((1, 12), int), np.random.default_rng(0)),
    ):
        with pytest.raises(ValueError, match="one kept beyond the context"):
            long()


def test_what_is_handed_in_as_hidden_must_hide_something_in_every_block():
    x, hidden = np.zeros((1, 6), int), np.array([[1, 0, 1, 1, 0, 0]], bool)
    assert np.isfinite(small(3).bound_given(x, np.roll(hidden, 1)))
    for weighting in ("simple", "bound"):
        model = small(2, weighting=weighting)
        with pytest.raises(ValueError, match=r"hidden: .* every block, got none in 1 of 3"):
            model.loss(x, None, hidden=hidden)
        with pytest.raises(ValueError, match=r"hidden: .* every block, got none in 1 of 3"):
            model.bound_given(x, hidden)
