"""Masked diffusion: its bound, its law and the price of haste, by enumeration in small worlds."""

import itertools
import math

import numpy as np
import pytest
from enumerated import any_world, chain_world, every, in_float64, mean_bound, parity_world, patterns

import minigen as mg
from minigen import nn


def small(vocab_size=3, context=4, seed=0, **how):
    """An arbitrary network, in float64."""
    rng = np.random.default_rng(seed)
    model = mg.MaskedDiffusion(vocab_size, context, 2, 2, 8, rng=rng, **how)
    for p in nn.parameters(model).values():
        p.data = p.data * np.float32(2)
    return in_float64(model)


def perfect(world):
    """A model whose network knows every conditional of the world."""
    model = mg.MaskedDiffusion(
        world.vocab_size, world.length, 1, 1, 2, rng=np.random.default_rng(0)
    )
    model.network = world
    return model


def in_order(model, x, groups):
    """log of the probability of x (B, L), groups of positions revealed in turn, each at once."""
    hidden, log_q = np.ones(x.shape, bool), np.zeros(len(x))
    for group in groups:
        log_p = mg.sampling.token_log_probs(model.predict(x, hidden).data, x)
        log_q += log_p[:, list(group)].sum(axis=1)
        hidden[:, list(group)] = False
    return log_q


def partitions(length, counts):
    """Every way to reveal `counts` positions in turn, all alike likely."""
    if not counts:
        yield ()
        return
    for places in itertools.combinations(length, counts[0]):
        for rest in partitions([i for i in length if i not in places], counts[1:]):
            yield (places, *rest)


def law(model, x, counts):
    """The probability of each of all strings x under a walk in random order: (B,)."""
    logs = [in_order(model, x, groups) for groups in partitions(list(range(x.shape[1])), counts)]
    return np.exp(logs).mean(axis=0)


def chi_square_z(counts, p):
    """Wilson & Hilferty: nearly standard normal if the counts were drawn from p."""
    expected = counts.sum() * p
    pooled = expected < 5
    counts = np.append(counts[~pooled], counts[pooled].sum())
    expected = np.append(expected[~pooled], expected[pooled].sum() + 1e-9)
    degrees = len(expected) - 1
    mean = ((counts - expected) ** 2 / expected).sum() / degrees
    return (mean ** (1 / 3) - (1 - 2 / (9 * degrees))) / np.sqrt(2 / (9 * degrees))


def count(drawn, vocab_size):
    digits = vocab_size ** np.arange(drawn.shape[1])[::-1]
    return np.bincount(drawn @ digits, minlength=vocab_size ** drawn.shape[1])


# -- the bound -------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [any_world(3, 3), any_world(2, 6), parity_world(5)])
def test_with_exact_conditionals_the_bound_is_log_p(world):
    bound = mean_bound(perfect(world), world.strings)
    assert np.abs(bound - np.log(world.p)).max() < 1e-10
    assert world.p @ bound == pytest.approx(world.p @ np.log(world.p), abs=1e-10)


def test_for_any_network_the_bound_is_the_mean_over_all_orders():
    model, x = small(), every(3, 4)
    orders = list(itertools.permutations(range(4)))
    by_order = np.array([in_order(model, x, [(i,) for i in order]) for order in orders])
    assert np.abs(mean_bound(model, x) - by_order.mean(axis=0)).max() < 1e-10
    left_to_right = mg.left_to_right(model, x)
    assert np.abs(left_to_right - by_order[orders.index((0, 1, 2, 3))]).max() < 1e-10
    assert np.exp(left_to_right).sum() == pytest.approx(1, abs=1e-10)
    # by Jensen's inequality below the log of the law that the sampler draws from
    assert (mean_bound(model, x) < np.log(np.exp(by_order).mean(axis=0))).all()
    assert np.exp(mean_bound(model, x)).sum() < 1


def test_the_estimate_is_unbiased_and_its_draws_are_independent():
    """Mean of 1,500 draws within four standard errors: fails once in 8,000 if right."""
    model, x = small(context=5), np.array([[0, 1, 2, 2, 0], [1, 1, 0, 2, 1]])
    draws = model.bounds(x, np.random.default_rng(1), draws=1500)
    assert draws.shape == (1500, 2)
    error = draws.std(axis=0) / np.sqrt(1500)
    assert (np.abs(draws.mean(axis=0) - mean_bound(model, x)) < 4 * error).all()
    assert abs(np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]) < 4 / np.sqrt(1500)
    few = model.bound(x, np.random.default_rng(1), draws=3)
    np.testing.assert_allclose(few, draws[:3].mean(axis=0))


def test_it_has_a_bound_and_no_likelihood():
    model = small()
    assert not hasattr(model, "log_prob")
    bits = mg.evaluate.bits_per_dim(model, every(3, 4), np.random.default_rng(0))
    assert not bits.exact and str(bits).startswith("<=")


# -- what is hidden, and how it counts -------------------------------------------------------------


@pytest.mark.parametrize("B", [1, 3, 5, 14, 100])
def test_every_number_hidden_is_as_likely_for_every_batch_and_every_row(B):
    """3.72 is exceeded once in 10,000 seeds; 5 batch sizes."""
    model, rng, draws = small(context=7), np.random.default_rng(0), 7000
    hidden = np.array([model.hide(np.zeros((B, 7), int), rng)[-1] for _ in range(draws)])
    k = hidden.sum(axis=1)
    assert chi_square_z(np.bincount(k, minlength=8)[1:], np.full(7, 1 / 7)) < 3.72
    for share in hidden[k == 3].mean(axis=0):  # and every position alike
        assert abs(share - 3 / 7) < 5 * np.sqrt(12 / 49 / 1000)


@pytest.mark.parametrize("B", [1, 3, 7, 10, 14, 100])
def test_the_numbers_hidden_are_spread_evenly_over_a_batch(B):
    hidden = small(context=7).hide(np.zeros((B, 7), int), np.random.default_rng(0))
    counts = np.bincount(hidden.sum(axis=1), minlength=8)[1:]
    assert counts.sum() == B and np.ptp(counts) <= (2 if B % 7 else 0)


def test_q_sample_and_weights_by_hand():
    model = small(vocab_size=3, context=4)
    hidden = np.array([[1, 0, 0, 1], [0, 1, 0, 0]], bool)
    x = np.array([[0, 1, 2, 2], [1, 1, 0, 0]])
    np.testing.assert_array_equal(model.q_sample(x, hidden), [[3, 1, 2, 3], [1, 3, 0, 0]])
    np.testing.assert_array_equal(model.weights(hidden), [[2, 0, 0, 2], [0, 4, 0, 0]])


def test_the_two_losses_by_hand():
    hidden = np.array([[1, 0, 0, 1], [0, 1, 0, 0]], bool)
    x = np.array([[0, 1, 2, 2], [1, 1, 0, 0]])
    alike, weighted = small(), small(weighting="bound")
    cost = -mg.sampling.token_log_probs(alike.predict(x, hidden).data, x)
    expected = (cost[0, 0] + cost[0, 3] + cost[1, 1]) / 3
    assert alike.loss(x, None, hidden=hidden).item() == pytest.approx(expected, abs=1e-12)
    expected = (2 * (cost[0, 0] + cost[0, 3]) + 4 * cost[1, 1]) / 8
    assert weighted.loss(x, None, hidden=hidden).item() == pytest.approx(expected, abs=1e-12)
    bound = weighted.bound_given(x, hidden).mean() / 4
    assert weighted.loss(x, None, hidden=hidden).item() == pytest.approx(-bound, abs=1e-12)


@pytest.mark.parametrize("weighting", ["simple", "bound"])
def test_gradients_of_the_loss_against_finite_differences(weighting):
    model, x = small(weighting=weighting), every(3, 4)[::9]
    hidden = model.hide(x, np.random.default_rng(0))
    layer = model.network.blocks[0].down

    def loss(weight):
        layer.weight = weight
        return model.loss(x, None, hidden=hidden)

    rng = np.random.default_rng(1)
    mg.gradients.check_gradients(loss, layer.weight.data, rng=rng, tolerance=1e-6)


def test_k_draws_and_time_draws_have_one_mean_and_k_draws_the_smaller_variance():
    """t uniform, each position hidden with probability t, weight 1 / t (Sahoo et al. 2024).

    Given t, a set of k positions has probability t^k (1 - t)^(L - k): over t, with weight 1 / t,
    the Beta integral (k - 1)! (L - k)! / L! = 1 / (k C(L, k)); no cut at small t.
    """
    model, L = small(context=5), 5
    t, w = np.polynomial.legendre.leggauss(400)  # over log t in (log eps, 0)
    eps = 1e-3
    t = np.exp((t - 1) / 2 * -np.log(eps))
    w = w / 2 * -np.log(eps) * t / (1 - eps)  # of the density of t, uniform on (eps, 1)
    for x in every(3, 5)[::40, None]:
        by_k, by_t = np.zeros(2), np.zeros(3)
        for hidden, p in patterns(L):
            k = hidden.sum()
            value = -model.bound_given(x, hidden[None])[0]  # (L / k) c
            c = value * k / L
            by_k += p * np.array([value, value**2])
            beta = math.factorial(k - 1) * math.factorial(L - k) / math.factorial(L)
            second = (w * t ** (k - 2.0) * (1 - t) ** (L - k)).sum() * c**2
            cut = (w * t ** (k - 1.0) * (1 - t) ** (L - k)).sum() * c
            by_t += [beta * c, cut, second]
        assert by_k[0] == pytest.approx(by_t[0], rel=1e-12)
        assert by_k[1] - by_k[0] ** 2 < by_t[2] - by_t[1] ** 2


def test_a_constant_cost_has_no_variance_with_k_and_much_with_t():
    L, eps = 64, 1e-3
    rng = np.random.default_rng(0)
    k = small(context=L).hide(np.zeros((500, L), int), rng).sum(axis=1)
    np.testing.assert_allclose((L / k) * k, L, rtol=1e-14)
    t = rng.uniform(eps, 1, 400_000)
    of_t = rng.binomial(L, t) / t
    expected = L * (np.log(1 / eps) - 1)  # 5.9 L
    assert expected / L == pytest.approx(5.9, abs=0.02)
    # the fourth moment is large: the standard error of this variance is about 2%
    assert of_t.var() == pytest.approx(expected, rel=0.1)


# -- sampling --------------------------------------------------------------------------------------


def test_one_token_a_step_draws_the_random_order_law_of_any_network():
    """A right sampler exceeds 3.72 once in 10,000 seeds; one that goes left to right is found."""
    model, x = small(), every(3, 4)
    drawn = model.sample(20_000, np.random.default_rng(0))
    p = law(model, x, [1, 1, 1, 1])
    assert p.sum() == pytest.approx(1, abs=1e-10)
    assert chi_square_z(count(drawn, 3), p) < 3.72
    assert chi_square_z(count(drawn, 3), np.exp(mg.left_to_right(model, x))) > 3.72


@pytest.mark.parametrize("counts", [[3, 1], [1, 3], [2, 2], [4]])
def test_several_tokens_a_step_draw_the_law_of_their_schedule(counts):
    """4 schedules, each exceeds 3.72 once in 10,000 seeds."""
    model = small()
    drawn = model.sample(30_000, np.random.default_rng(1), counts=counts)
    assert chi_square_z(count(drawn, 3), law(model, every(3, 4), counts)) < 3.72


def mean_entropy(world):
    """h(k): the mean entropy of a position given k random others, k = 0 .. L - 1."""
    h, L = np.zeros(world.length), world.length
    for shown in itertools.product([False, True], repeat=L):
        if (k := sum(shown)) < L:
            log_p = world.conditionals(np.where(shown, world.strings, world.vocab_size))
            log_p = np.where(log_p > -np.inf, log_p, 0)  # 0 log 0 = 0
            entropy = -(np.exp(log_p) * log_p).sum(axis=2)[:, ~np.array(shown)].mean(axis=1)
            h[k] += world.p @ entropy / math.comb(L, k)
    return h


def price(h, counts):
    """sum over steps, over i = 0 .. j - 1, of h(k) - h(k + i): k are known before the step of j."""
    known = np.cumsum([0, *counts])
    return sum(h[k] - h[k + i] for k, j in zip(known, counts) for i in range(j))


SCHEDULES = [[2, 2, 2], [3, 3], [6], [3, 2, 1], [1, 2, 3]]


@pytest.mark.parametrize("make", [any_world, chain_world, parity_world])
def test_what_haste_costs_a_perfect_network(make):
    """E KL between the world and what is drawn in given groups, over all ways to group."""
    world = make(2, 6) if make is any_world else make()
    model, h = perfect(world), mean_entropy(world)
    for counts in SCHEDULES:
        logs = [in_order(model, world.strings, g) for g in partitions(list(range(6)), counts)]
        kl = world.p @ (np.log(world.p)[:, None] - np.transpose(logs)).mean(axis=1)
        assert kl == pytest.approx(price(h, counts), abs=1e-10)
    assert price(h, [1] * 6) == 0


def test_whether_large_steps_should_come_first_depends_on_the_world():
    parity, chain = mean_entropy(parity_world()), mean_entropy(chain_world())
    assert abs(price(parity, [3, 2, 1])) < 1e-10 < 0.3 < price(parity, [1, 2, 3])
    assert price(chain, [3, 2, 1]) > price(chain, [1, 2, 3]) + 0.2


@pytest.mark.parametrize("make", [any_world, chain_world, parity_world])
def test_total_variation_falls_with_the_number_of_steps_and_ends_at_none(make):
    world = make(2, 5) if make is any_world else make(5)
    model = perfect(world)
    far = []
    for steps in range(1, 6):
        counts = -np.diff(np.ravel(mg.sampling.numbers_hidden(np.ones((1, 5), bool), steps)))
        q = law(model, world.strings, counts.tolist())
        far.append(np.abs(q - world.p).sum() / 2)
    assert (np.diff(far) < 1e-12).all(), far  # never rises; a parity falls at the last step only
    assert far[-1] < 1e-12 < 0.05 < far[0]


def test_what_is_known_stays_and_the_rest_follows_it():
    """Exact conditionals, one a step: what fills in is drawn from p(x | known); once in 10,000."""
    world = any_world(3, 4)
    known = np.array([3, 1, 3, 0])
    drawn = perfect(world).sample(20_000, np.random.default_rng(0), known=known)
    assert (drawn[:, [1, 3]] == [1, 0]).all()
    p = world.p * (world.strings[:, [1, 3]] == [1, 0]).all(axis=1)
    assert chi_square_z(count(drawn, 3), p / p.sum()) < 3.72


def test_rows_may_know_different_numbers_of_tokens():
    model = small()
    known = np.array([[3, 3, 3, 3], [3, 1, 3, 0], [0, 1, 2, 0]])
    for how in ({}, {"steps": 2}, {"order": "confidence"}, {"counts": [[1, 3], [0, 2], [0, 0]]}):
        walk = list(model.sample_walk(3, np.random.default_rng(0), known=known, **how))
        assert (walk[0] == known).all() and (walk[-1] < 3).all()
        assert (walk[-1][known < 3] == known[known < 3]).all()
    for before, after in itertools.pairwise(walk):
        assert (before[before < 3] == after[before < 3]).all()  # what is revealed stays
    left = [(state == 3).sum(axis=1).tolist() for state in walk]
    assert left == [[4, 2, 0], [3, 2, 0], [0, 0, 0]]


def test_steps_are_passes_of_the_network():
    model, passes = small(), []
    network = model.network
    model.network = lambda x: passes.append(1) or network(x)
    for steps in (1, 3, 4):
        passes.clear()
        assert len(list(model.sample_walk(2, np.random.default_rng(0), steps=steps))) == steps + 1
        assert len(passes) == steps


def test_confidence_leaves_the_law_of_the_model():
    """One token a step by a perfect network is exact in any order, but not in one that looks."""
    world = any_world(2, 4, seed=3)
    model = perfect(world)
    exact = model.sample(30_000, np.random.default_rng(0))
    confident = model.sample(30_000, np.random.default_rng(0), order="confidence")
    assert chi_square_z(count(exact, 2), world.p) < 3.72
    assert chi_square_z(count(confident, 2), world.p) > 10


def test_temperature_top_k_and_top_p_reach_the_draw():
    model, rng = small(), np.random.default_rng(0)
    first = mg.sampling.probabilities(model.network(np.full((1, 4), 3)).data)[0]
    cold = model.sample(200, rng, steps=1, temperature=0)
    assert (cold == first.argmax(axis=1)).all()
    for how in ({"top_k": 2}, {"top_p": 0.6}):
        drawn = model.sample(500, rng, steps=1, **how)
        kept = (
            mg.sampling.top_k(np.log(first), 2)
            if "top_k" in how
            else mg.sampling.top_p(np.log(first), 0.6)
        )
        for i in range(4):
            assert set(drawn[:, i]) <= set(np.flatnonzero(kept[i] > -np.inf))


# -- learning --------------------------------------------------------------------------------------


def test_it_learns_a_world_nearly_down_to_its_entropy():
    world = chain_world(6, stay=0.9)
    rng = np.random.default_rng(0)
    model = mg.MaskedDiffusion(2, 6, 1, 2, 16, rng=rng)
    optimizer = mg.AdamW(nn.parameters(model), lr=1e-2)
    rows = (world.strings[rng.choice(64, 64, p=world.p)] for _ in itertools.count())
    schedule = mg.optim.warmup_cosine(1e-2)
    for _ in mg.train(model, rows, 300, optimizer, rng, learning_rate=schedule, progress=False):
        pass
    gap = world.p @ (np.log(world.p) - mean_bound(model, world.strings))
    assert 0 < gap < 0.15, gap  # independent bits lose 1.84 nats


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda m, r: m.loss(np.array([[0, 3]]), r), IndexError, r"integers in 0\.\.2, got 0\.\.3"),
        (lambda m, r: m.bound(np.array([[0, -1]]), r), IndexError, "-1"),
        (lambda m, r: m.loss(np.zeros((2, 3)), r), TypeError, "expected integers"),
        (lambda m, r: m.loss(np.zeros((2, 5), int), r), ValueError, r"L at most 4, got \(2, 5\)"),
        (lambda m, r: m.bound(np.zeros((0, 4), int), r), ValueError, r"\(0, 4\)"),
        (lambda m, r: mg.left_to_right(m, np.zeros((2, 5), int)), ValueError, "L at most 4"),
        (lambda m, r: m.loss(np.zeros((2, 4), int), 0), TypeError, "expected a numpy"),
        (lambda m, r: m.bound(np.zeros((2, 4), int), r, draws=0), ValueError, "draws: .* got 0"),
        (lambda m, r: m.sample(2, 0), TypeError, "expected a numpy"),
        (lambda m, r: m.sample(0, r), ValueError, "n=0"),
        (lambda m, r: m.sample(2, r, order="left"), ValueError, "order: .*'left'"),
        (lambda m, r: m.sample(2, r, steps=5), ValueError, r"steps: .* 1\.\.4, got 5"),
        (lambda m, r: m.sample(2, r, steps=0), ValueError, "steps: .* got 0"),
        (lambda m, r: m.sample(2, r, counts=[2, 1]), ValueError, r"counts: .* got \[\[2, 1\]\]"),
        (lambda m, r: m.sample(2, r, steps=1, counts=[4]), ValueError, "not both"),
        (lambda m, r: m.sample(2, r, known=[0, 1, 2]), ValueError, r"known \(1, 3\)"),
        (lambda m, r: m.sample(2, r, known=[[3] * 4] * 3), ValueError, r"known \(3, 4\)"),
        (lambda m, r: m.sample(2, r, known=[0, 4, 3, 3]), IndexError, r"integers in 0\.\.3"),
        (lambda m, r: m.sample(2, r, temperature=-1), ValueError, "temperature: expected"),
        (lambda m, r: m.sample(2, r, top_k=0), ValueError, "top_k: .* got 0"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(small(), np.random.default_rng(0))


@pytest.mark.parametrize(
    "how, words",
    [
        ({"weighting": "elbo"}, "weighting: .*'elbo'"),
        ({"vocab_size": 0}, "vocab_size: .* got 0"),
        ({"context": 0}, "context: .* got 0"),
        ({"layers": 0}, "layers: .* got 0"),
        ({"heads": 3}, "3 heads"),
    ],
)
def test_impossible_models_are_refused(how, words):
    sizes = {"vocab_size": 3, "context": 4, "layers": 1, "heads": 1, "width": 8}
    with pytest.raises(ValueError, match=words):
        mg.MaskedDiffusion(**{**sizes, **how}, rng=np.random.default_rng(0))


def test_what_is_handed_in_as_hidden_must_hide_something_everywhere():
    x = np.zeros((2, 4), int)
    nothing = np.zeros((2, 4), bool)
    in_one_row = np.array([[1, 0, 0, 1], [0, 0, 0, 0]], bool)
    for weighting in ("simple", "bound"):
        model = small(weighting=weighting)
        for hidden, why in [
            (nothing, "every row, got none in 2 of 2"),
            (in_one_row, "every row, got none in 1 of 2"),
            (np.ones((2, 3), bool), r"shape \(2, 4\), got bool \(2, 3\)"),
            (np.ones((2, 4), np.int64), r"booleans of shape \(2, 4\), got int64"),
        ]:
            with pytest.raises(ValueError, match="hidden: expected .*" + why):
                model.loss(x, None, hidden=hidden)
            with pytest.raises(ValueError, match="hidden: expected .*" + why):
                model.bound_given(x, hidden)
