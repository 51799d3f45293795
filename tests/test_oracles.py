"""The exact answers, themselves held against numerical integration, finite differences and
brute-force sums.
"""

import itertools
import tracemalloc

import numpy as np
import pytest

from minigen import sampling, schedules
from minigen.oracles import EnumerableWorld, GaussianMixture, IdealDenoiser

SCHEDULES = [
    schedules.linear(),
    schedules.cosine(),
    schedules.variance_exploding(),
    schedules.flow(),
]
TIMES = (0.001, 0.2, 0.6, 0.95, np.array([0.01, 0.3, 0.5, 0.7, 0.99]))


def mixture(schedule=None):
    full = [[[1.0, 0.5], [0.5, 1.0]], [[0.2, 0.0], [0.0, 0.1]], [[0.5, -0.3], [-0.3, 0.4]]]
    return GaussianMixture([[0, 0], [3, 1], [-2, 2]], full, [0.3, 0.5, 0.2], schedule)


def line(schedule):
    return GaussianMixture([[-1.0], [2.0]], [0.3, 0.05], [0.25, 0.75], schedule)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mixture().sample(3, 0), TypeError, "rng: .* got int 0"),
        (lambda: EnumerableWorld(3).sample(3, None), TypeError, "rng: .* got NoneType"),
        (lambda: mixture(schedules.cosine), TypeError, "call the class"),
        (lambda: mixture().score(np.zeros((3, 2), int)), TypeError, "floats, got int64"),
        (lambda: mixture().log_prob(np.zeros((3, 1))), ValueError, r"2 numbers an example.*3, 1"),
        (lambda: IdealDenoiser(np.zeros((2, 2)), schedules.cosine), TypeError, "call the class"),
        (lambda: IdealDenoiser(np.zeros((0, 2)), schedules.cosine()), ValueError, "got none"),
        (lambda: GaussianMixture(np.zeros((2, 30_000)), 1.0), ValueError, "K D.2 may be at most"),
    ],
)
def test_bad_input_is_named_before_anything_is_built(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_many_strings_are_taken_in_pieces():
    world = EnumerableWorld(14)
    x, known = world.strings[:: 2**14 // 200], np.arange(14) % 3 > 0
    tracemalloc.start()
    conditionals = world.conditionals(x, known)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # bytes; at once they take above 80e6
    # Products round by their size: equal to the last digits, on one thread or two.
    alone = world.conditionals(x[150:], known)
    np.testing.assert_allclose(conditionals[150:], alone, rtol=1e-13, atol=1e-13)


# -- Gaussian mixture ------------------------------------------------------------------------------


def test_density_by_hand():
    x = np.array([[0.5]])
    one = 0.25 * np.exp(-(1.5**2) / 0.6) / np.sqrt(2 * np.pi * 0.3)
    two = 0.75 * np.exp(-(1.5**2) / 0.1) / np.sqrt(2 * np.pi * 0.05)
    np.testing.assert_allclose(line(None).log_prob(x), np.log(one + two), rtol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("t", [0.05, 0.4, 0.9])
def test_noisy_density_and_denoiser_by_integration(schedule, t):
    # log p_t and E[clean | x_t] from p_0 alone: sums over a fine grid of clean values.
    world, alpha, sigma = line(schedule), schedule.alpha(t), schedule.sigma(t)
    clean = np.linspace(-8, 8, 160_001)
    prior = np.exp(world.log_prob(clean[:, None])) * (clean[1] - clean[0])
    assert prior.sum() == pytest.approx(1, abs=1e-10)
    for x in (-1.2, 0.4, 2.5):
        joint = (
            prior
            * np.exp(-((x - alpha * clean) ** 2) / (2 * sigma**2))
            / np.sqrt(2 * np.pi * sigma**2)
        )
        assert world.log_prob(np.array([[x]]), t)[0] == pytest.approx(np.log(joint.sum()), abs=1e-8)
        assert world.denoise(np.array([[x]]), t)[0, 0] == pytest.approx(
            joint @ clean / joint.sum(), abs=1e-8
        )


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_score_is_the_slope_of_log_prob_and_tweedie_gives_the_denoiser(schedule):
    world, x, h = mixture(schedule), np.random.default_rng(0).standard_normal((5, 2)), 1e-5
    for t in TIMES:
        slopes = [
            (world.log_prob(x + h * e, t) - world.log_prob(x - h * e, t)) / (2 * h)
            for e in np.eye(2)
        ]
        np.testing.assert_allclose(
            world.score(x, t), np.stack(slopes, axis=-1), atol=1e-6, rtol=1e-6
        )
        alpha, sigma = (
            schedules.spread(schedule.alpha(t), x),
            schedules.spread(schedule.sigma(t), x),
        )
        np.testing.assert_allclose(
            alpha * world.denoise(x, t), x + sigma**2 * world.score(x, t), atol=1e-9
        )


def test_one_time_for_each_example_is_the_same_as_one_by_one():
    world, x, t = (
        mixture(schedules.cosine()),
        np.random.default_rng(0).standard_normal((5, 2)),
        TIMES[-1],
    )
    for method in (world.log_prob, world.score, world.denoise):
        singly = np.concatenate([method(x[i : i + 1], float(t[i])) for i in range(5)])
        np.testing.assert_allclose(method(x, t), singly, rtol=1e-12)


def test_where_no_signal_is_left_the_answer_is_the_mean():
    world = mixture(schedules.flow())
    np.testing.assert_allclose(
        world.denoise(np.array([[5.0, -5.0]]), 1.0), [world.weights @ world.means]
    )
    np.testing.assert_allclose(world.denoise(np.array([[2.0, 1.0]]), 0.0), [[2.0, 1.0]])


def test_isotropic_variances_are_the_same_as_matrices():
    means, x = [[0.0, 1.0], [2.0, 2.0]], np.random.default_rng(0).standard_normal((4, 2))
    by_matrix = GaussianMixture(means, [0.3 * np.eye(2), 2.0 * np.eye(2)])
    np.testing.assert_allclose(
        GaussianMixture(means, [0.3, 2.0]).log_prob(x), by_matrix.log_prob(x)
    )
    same = GaussianMixture(means, 0.5).log_prob(x)
    np.testing.assert_allclose(same, GaussianMixture(means, [0.5, 0.5]).log_prob(x))


def test_mixture_samples_have_its_moments():
    # Five z-tests of 40,000 draws; |z| < 4 in all five has a false-alarm rate of 3e-4 (the seed is
    # fixed).
    world, n = mixture(), 40_000
    x = world.sample(n, np.random.default_rng(2))
    mean = world.weights @ world.means
    second = np.einsum(
        "k,kde->de",
        world.weights,
        world.covariances + world.means[:, :, None] * world.means[:, None],
    )
    products = x[:, [0, 0, 1]] * x[:, [0, 1, 1]]
    expected = second[[0, 0, 1], [0, 1, 1]]
    assert np.all(abs(x.mean(0) - mean) < 4 * x.std(0) / np.sqrt(n))
    assert np.all(abs(products.mean(0) - expected) < 4 * products.std(0) / np.sqrt(n))


def test_images_keep_their_shape_and_dtype():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 1, 2, 2)).astype(np.float32)
    world = GaussianMixture(rng.standard_normal((5, 4)), 0.2, schedule=schedules.cosine())
    ideal = IdealDenoiser(rng.standard_normal((7, 1, 2, 2)), schedules.cosine())
    for answer in (world.denoise(x, 0.5), world.score(x, 0.5), ideal.denoise(x, 0.5)):
        assert answer.shape == x.shape and answer.dtype == np.float32


def test_mixture_refuses_what_is_none():
    with pytest.raises(ValueError, match="means must be"):
        GaussianMixture([0.0, 1.0], 1.0)
    with pytest.raises(ValueError, match="weights must be 2 positive numbers"):
        GaussianMixture([[0.0], [1.0]], 1.0, [0.5, 0.6])
    with pytest.raises(ValueError, match="covariances must be a number"):
        GaussianMixture([[0.0], [1.0]], np.ones((2, 2)))
    with pytest.raises(ValueError, match="positive definite"):
        GaussianMixture([[0.0, 0.0]], [[[1.0, 2.0], [2.0, 1.0]]])
    with pytest.raises(ValueError, match="without a schedule"):
        line(None).score(np.zeros((1, 1)), 0.5)


# -- Ideal denoiser --------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_ideal_denoiser_is_the_limit_of_narrow_gaussians(schedule):
    rng = np.random.default_rng(0)
    points, x = rng.standard_normal((20, 3)), rng.standard_normal((5, 3))
    narrow = GaussianMixture(points, 1e-12, schedule=schedule)
    ideal = IdealDenoiser(points, schedule)
    for t in (0.1, 0.5, 0.9, TIMES[-1]):
        np.testing.assert_allclose(ideal.denoise(x, t), narrow.denoise(x, t), atol=1e-6)


def test_ideal_denoiser_at_both_ends():
    points = np.random.default_rng(0).standard_normal((20, 3))
    ideal, x = (
        IdealDenoiser(points, schedules.flow()),
        np.random.default_rng(1).standard_normal((6, 3)),
    )
    nearest = points[((x[:, None] - points) ** 2).sum(-1).argmin(-1)]
    np.testing.assert_allclose(ideal.denoise(x, 0.0), nearest, atol=1e-12)
    np.testing.assert_allclose(ideal.denoise(x, 1.0), np.tile(points.mean(0), (6, 1)), atol=1e-12)
    np.testing.assert_allclose(ideal.posterior(x, 0.5).sum(-1), 1)


def test_sampling_with_the_ideal_denoiser_returns_the_data():
    schedule, rng = schedules.cosine(), np.random.default_rng(0)
    points = rng.standard_normal((10, 4))
    start = rng.standard_normal((50, 4))
    x = sampling.run(
        start,
        schedule.grid(50)[::-1],
        IdealDenoiser(points, schedule).denoise,
        sampling.ddim(schedule),
    )
    distance = np.sqrt(((x[:, None] - points) ** 2).sum(-1)).min(-1)
    assert np.quantile(distance, 0.9) < 1e-3


# -- The enumerable world --------------------------------------------------------------------------


def test_world_of_two_symbols_by_hand():
    world = EnumerableWorld(2, coupling=0.5, mirror=0.25, parity=1.0, field=-0.1)
    weights = np.exp([0.5 + 0.25 + 1.0, -0.1, -0.1, 0.5 + 0.25 + 1.0 - 0.2])  # 00 01 10 11
    np.testing.assert_allclose(world.probabilities, weights / weights.sum(), rtol=1e-14)
    np.testing.assert_array_equal(world.strings, [[0, 0], [0, 1], [1, 0], [1, 1]])


def test_world_probabilities_sum_to_one_and_follow_the_energy():
    world = EnumerableWorld()
    assert world.probabilities.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(world.index(world.strings), np.arange(256))
    flat, palindrome, broken = np.array(
        [[0] * 8, [1, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 1, 0]]
    )
    log_p = world.log_prob(np.stack([flat, palindrome, broken]))
    assert log_p[0] - log_p[1] == pytest.approx(2 * 0.4 + 2 * 0.2)  # two neighbours, two ones
    assert log_p[1] - log_p[2] == pytest.approx(0.4 + 2 * 1.0)  # one neighbour, two mirrored pairs


def test_every_order_gives_the_same_likelihood():
    small = EnumerableWorld(4)
    for order in itertools.permutations(range(4)):
        np.testing.assert_allclose(
            small.chain_rule(small.strings, order).sum(-1), small.log_prob(small.strings)
        )
    world, rng = EnumerableWorld(), np.random.default_rng(0)
    for order in [None, *(rng.permutation(8) for _ in range(10))]:
        np.testing.assert_allclose(
            world.chain_rule(world.strings, order).sum(-1), world.log_prob(world.strings)
        )


def test_conditionals_by_brute_force():
    world, rng = EnumerableWorld(5), np.random.default_rng(0)
    x, known = rng.integers(0, 2, (20, 5)), rng.random((20, 5)) < 0.5
    answer = world.conditionals(np.where(known, x, 99), known)  # what is not known is not read
    for b, i, v in itertools.product(range(20), range(5), range(2)):
        fits = [
            p for s, p in zip(world.strings, world.probabilities) if np.all((s == x[b]) | ~known[b])
        ]
        with_v = [
            p
            for s, p in zip(world.strings, world.probabilities)
            if np.all((s == x[b]) | ~known[b]) and s[i] == v
        ]
        assert np.exp(answer[b, i, v]) == pytest.approx(sum(with_v) / sum(fits), abs=1e-12)


def markov_model(world, order):
    """Probabilities of all strings under the chain that sees only the last `order` symbols."""
    rows, log_q = np.arange(len(world.strings)), 0
    for i in range(world.length):
        known = (np.arange(world.length) < i) & (np.arange(world.length) >= i - order)
        log_q = log_q + world.conditionals(world.strings, known)[rows, i, world.strings[:, i]]
    return np.exp(log_q)


def test_neighbours_alone_make_a_memoryless_chain_and_the_mirror_does_not():
    chain = EnumerableWorld(mirror=0, parity=0)
    assert chain.kl(markov_model(chain, 1)) == pytest.approx(0, abs=1e-12)
    assert chain.kl(markov_model(chain, 0)) > 0.1
    kl = [EnumerableWorld().kl(markov_model(EnumerableWorld(), order)) for order in range(8)]
    assert np.all(np.diff(kl) < 0) and kl[6] > 0.1 and kl[7] == pytest.approx(0, abs=1e-12)


def test_parity_is_seen_by_all_symbols_together_only():
    world = EnumerableWorld(4, coupling=0, mirror=0, parity=1.0, field=0)
    for known in itertools.product([False, True], repeat=4):
        answer = np.exp(world.conditionals(world.strings, np.array(known)))
        if sum(known) < 3:
            np.testing.assert_allclose(answer[:, ~np.array(known)], 0.5)
    assert np.exp(world.conditionals(np.zeros((1, 4), int), np.array([1, 1, 1, 0], bool)))[
        0, 3, 0
    ] == pytest.approx(np.e / (np.e + 1))


def test_entropy_kl_and_total_variation():
    world, uniform = EnumerableWorld(), np.full(256, 1 / 256)
    assert EnumerableWorld(8, 0, 0, 0, 0).entropy() == pytest.approx(8 * np.log(2))
    assert world.kl(uniform) == pytest.approx(8 * np.log(2) - world.entropy())
    assert world.kl(world) == 0 and world.total_variation(world) == pytest.approx(0, abs=1e-15)
    point = np.eye(256)[3]
    assert world.total_variation(point) == pytest.approx(1 - world.probabilities[3])
    assert world.kl(point) == np.inf
    assert world.total_variation(uniform) < np.sqrt(world.kl(uniform) / 2)  # Pinsker

    class Model:
        def log_prob(self, x):
            return np.full(len(x), -8 * np.log(2), dtype=np.float32)

    assert world.kl(Model()) == pytest.approx(world.kl(uniform), rel=1e-6)


def test_world_samples_are_from_the_world():
    # Chi-square of 50,000 draws over 256 strings: mean 255, s.d. 22.6. Above 366 by chance: 1 in
    # 200,000.
    world, n = EnumerableWorld(), 50_000
    counts = np.bincount(world.index(world.sample(n, np.random.default_rng(0))), minlength=256)
    expected = n * world.probabilities
    assert ((counts - expected) ** 2 / expected).sum() < 366


def test_world_refuses_what_is_no_string():
    world = EnumerableWorld()
    with pytest.raises(ValueError, match="shape"):
        world.log_prob(np.zeros((2, 7), int))
    with pytest.raises(ValueError, match="0 and 1"):
        world.log_prob(np.full((2, 8), 2))
    with pytest.raises(ValueError, match="permutation"):
        world.chain_rule(world.strings, [0] * 8)
    with pytest.raises(ValueError, match="256 probabilities"):
        world.kl(np.ones(256))
    with pytest.raises(ValueError, match="length: expected"):
        EnumerableWorld(17)
