"""DDPM: the chain against simulation and hand calculation, the bound term by term against closed
forms.

Statistical tests use fixed seeds and allow 5 standard errors: a false alarm once in 1.7 million
comparisons.
"""

import concurrent.futures
import math
import warnings

import numpy as np
import pytest

import minigen as mg
from minigen import evaluate, nn, oracles, schedules
from minigen.models.ddpm import DDPM, SHARE_WITHOUT_LABEL
from minigen.tensor import Tensor

PREDICTIONS = ("noise", "clean", "velocity")


def generator(seed=0):
    return np.random.default_rng(seed)


def assert_mean(draws, expected, allowed=0.0):
    """The mean of independent draws (N, ...) is `expected`, up to 5 standard errors and what else
    is allowed.
    """
    draws = np.asarray(draws, np.float64)
    mean, error = draws.mean(axis=0), draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert np.all(np.abs(mean - expected) <= 5 * error + allowed + 1e-12), (mean, expected, error)


class Net:
    """A network made of a NumPy function f(x, t, label) -> array.

    It remembers the labels it was given.
    """

    def __init__(self, function, shape=(1,), classes=None):
        self.function, self.shape, self.classes, self.labels = function, shape, classes, []

    def __call__(self, x, t, label=None):
        self.labels.append(label)
        return Tensor(np.asarray(self.function(x, t, label), np.float64))


def exact_net(oracle, schedule, predict):
    """The perfect network for each of the three predictions; it is shown x_t / scale."""

    def output(x, t, label):
        x = x.astype(np.float64) * schedules.spread(schedule.scale(t), x.astype(np.float64))
        clean = oracle.denoise(x, t)
        alpha, sigma = (
            schedules.spread(schedule.alpha(t), x),
            schedules.spread(schedule.sigma(t), x),
        )
        return schedule.target(clean, (x - alpha * clean) / sigma, t, predict)

    return Net(output, oracle.shape)


def gaussian(schedule, mean=0.4, variance=0.3):
    return oracles.GaussianMixture([[mean]], variance, schedule=schedule)


# -- the chain -------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [schedules.linear(steps=20, beta_end=0.6), schedules.cosine()])
def test_q_sample_has_the_marginals_of_the_simulated_chain(schedule):
    T, N, clean = 20, 20_000, 0.7
    rng = generator()
    ddpm = DDPM(Net(None), schedule, T)
    path = np.full(N, clean)
    for i, beta in enumerate(schedule.betas(T), start=1):
        path = np.sqrt(1 - beta) * path + np.sqrt(beta) * rng.standard_normal(N)  # eq. 2
        t = i / T
        mean, std = (
            ddpm.q_sample(np.full(1, clean), np.zeros(1), t)[0],
            ddpm.q_sample(np.zeros(1), np.ones(1), t)[0],
        )
        assert_mean(path, mean)
        assert_mean((path - mean) ** 2, std**2)


def test_posterior_against_the_paper_and_against_the_simulated_chain():
    T, clean, rng = 20, -0.6, generator(1)
    schedule = schedules.linear(steps=T, beta_start=0.05, beta_end=0.6)
    beta, alpha_bar = np.linspace(0.05, 0.6, T), np.cumprod(1 - np.linspace(0.05, 0.6, T))
    for i in (2, 7, 20):
        b, ab, before = beta[i - 1], alpha_bar[i - 1], alpha_bar[i - 2]
        x_t = np.array([1.3])
        mean, variance = schedule.posterior(np.array([clean]), x_t, i / T, (i - 1) / T)
        by_hand = (math.sqrt(before) * b * clean + math.sqrt(1 - b) * (1 - before) * x_t[0]) / (
            1 - ab
        )  # eq. 7
        assert mean[0] == pytest.approx(by_hand, rel=1e-12)
        assert variance == pytest.approx(b * (1 - before) / (1 - ab), rel=1e-12)
        path, earlier = np.full(200_000, clean), None
        for step in range(i):
            earlier = path
            path = math.sqrt(1 - beta[step]) * path + math.sqrt(beta[step]) * rng.standard_normal(
                len(path)
            )
        means, variance = schedule.posterior(np.full(len(path), clean), path, i / T, (i - 1) / T)
        residual = (
            earlier - means
        )  # the chain's own x_i-1 around the posterior mean: no bias at any x_i, this variance
        assert_mean(residual, 0)
        assert_mean(residual * path, 0)
        assert_mean(residual**2, variance)


# -- the bound -------------------------------------------------------------------------------------


def gaussian_costs(schedule, T, x, mean, variance):
    """The costs at x when the denoiser of N(mean, variance) is exact, by hand.

    Prior, each of L_1 .. L_T-1, decoder.
    """

    def squared_error(t):  # of the linear denoiser, over the noise
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        gain = alpha * variance / (alpha**2 * variance + sigma**2)
        return (1 - gain * alpha) ** 2 * (x - mean) ** 2 + (gain * sigma) ** 2

    alpha, sigma, std = schedule.alpha(1.0), schedule.sigma(1.0), schedule.prior_std
    prior = 0.5 * (2 * math.log(std / sigma) + (sigma**2 + (alpha * x) ** 2) / std**2 - 1)
    i = np.arange(
        2, T + 1
    )  # the KL of two normals with the variance of eq. 7, whose means differ by weight * error
    weight, step_variance = schedule.posterior(np.ones(T - 1), np.zeros(T - 1), i / T, (i - 1) / T)
    steps = weight**2 * squared_error(i / T) / (2 * step_variance)
    decoder_variance = (schedule.sigma(1 / T) / schedule.alpha(1 / T)) ** 2
    decoder = squared_error(1 / T) / (2 * decoder_variance) + 0.5 * math.log(
        2 * math.pi * decoder_variance
    )
    return prior, steps, decoder


@pytest.mark.parametrize(
    "schedule", [schedules.cosine(), schedules.variance_exploding(0.1, 40.0)], ids=["VP", "VE"]
)
@pytest.mark.parametrize("predict", PREDICTIONS)
def test_every_term_of_the_bound_has_its_closed_form_on_gaussian_data(schedule, predict):
    T, x = 12, 0.9
    ddpm = DDPM(exact_net(gaussian(schedule), schedule, predict), schedule, T, predict)
    terms = ddpm.bound_terms(np.full((20_000, 1), x), generator(), times=T - 1)
    prior, steps, decoder = gaussian_costs(schedule, T, x, 0.4, 0.3)
    np.testing.assert_allclose(terms["prior"], prior, rtol=1e-6)
    assert terms["steps"].shape == (20_000, T - 1)
    near_noise = (
        1e-3 * steps if predict == "noise" else 0
    )  # in float32, noise / alpha loses digits where alpha is 1e-5
    assert_mean(terms["steps"], steps, allowed=near_noise)
    assert_mean(terms["decoder"], decoder)


@pytest.mark.parametrize("times", [1, 2, 4, 11])
def test_the_bound_is_unbiased_in_times(times):
    T, x, schedule = 12, -0.2, schedules.cosine()
    ddpm = DDPM(gaussian(schedule), schedule, T)
    prior, steps, decoder = gaussian_costs(schedule, T, x, 0.4, 0.3)
    assert_mean(
        ddpm.bound(np.full((20_000, 1), x), generator(times), times),
        -(prior + steps.sum() + decoder),
    )


def test_on_gaussian_data_the_bound_stays_below_log_p_by_the_stated_gap():
    """With a perfect denoiser, sigma^2 ~ t and beta tilde, step i has a variance too small by (i -
    1) / i: it costs (i / (i - 1) - 1 - log(i / (i - 1))) / 2, and the sum over i is gamma / 2 =
    0.2886 nats a dimension, at any T.
    """
    schedule = schedules.variance_preserving()
    data, entropy = gaussian(schedule), 0.5 * math.log(2 * math.pi * math.e * 0.3)

    def gap(T):  # the costs depend on (x - mean)^2: at one standard deviation they are the average
        prior, steps, decoder = gaussian_costs(schedule, T, 0.4 + math.sqrt(0.3), 0.4, 0.3)
        return prior + steps.sum() + decoder - entropy

    x = data.sample(20_000, generator())
    for T in (2, 20, 300):
        assert gap(T) > 0
        assert_mean(-DDPM(data, schedule, T).bound(x, generator(T), times=10) - entropy, gap(T))
    assert gap(300) > gap(3000) > gap(30_000) > np.euler_gamma / 2
    assert gap(1_000_000) == pytest.approx(np.euler_gamma / 2, abs=1e-3)


@pytest.mark.parametrize("T, preserving, cosine", [(50, 0.96, 0.93), (1000, 0.45, 0.41)])
def test_the_gap_of_the_bound_on_standard_normal_data_is_what_the_docstring_says(
    T, preserving, cosine
):
    entropy = 0.5 * math.log(2 * math.pi * math.e)
    for schedule, stated in [
        (schedules.variance_preserving(), preserving),
        (schedules.cosine(), cosine),
    ]:
        prior, steps, decoder = gaussian_costs(schedule, T, 1.0, 0.0, 1.0)
        assert prior + steps.sum() + decoder - entropy == pytest.approx(stated, abs=0.006)
        assert f"{stated}" in DDPM.bound.__doc__


def test_on_grey_levels_the_bound_stays_below_log_p_and_comes_to_it_with_the_steps():
    counts = np.array([5, 1, 0, 2, 4])  # of 5 grey levels: their probabilities are known
    levels, seen, p = np.linspace(-1, 1, 5), counts > 0, counts[counts > 0] / counts.sum()
    schedule, N = schedules.cosine(), 2000
    ideal = oracles.IdealDenoiser(np.repeat(levels, counts)[:, None], schedule)
    gaps = []
    for T in (2, 8, 32, 128, 1000):
        x = np.repeat(levels[seen], N)[:, None]
        bound = (
            DDPM(ideal, schedule, T, levels=5)
            .bound(x, generator(T), times=min(T - 1, 50))
            .reshape(-1, N)
        )
        gaps.append(p @ (np.log(p) - bound.mean(axis=1)))
        error = math.sqrt(p**2 @ bound.var(axis=1) / N)
        assert gaps[-1] > -5 * error
    assert (
        gaps[1] > gaps[2] > gaps[3] > gaps[4] and abs(gaps[4]) < 0.01 + 5 * error and error < 0.02
    ), (gaps, error)


@pytest.mark.parametrize("T", [2, 50, 1000])
@pytest.mark.parametrize("answer", [-1.0, -0.99, 0.03, 0.5, 1.0])
def test_the_decoder_divides_a_probability_of_one_between_17_levels(T, answer):
    ddpm = DDPM(
        Net(lambda x, t, label: np.full(x.shape, answer)), schedules.cosine(), T, "clean", levels=17
    )
    costs = ddpm._decoder_cost(np.linspace(-1, 1, 17)[:, None], generator())
    assert np.all(np.isfinite(costs)) and np.all(costs >= 0)
    assert np.exp(-costs).sum() == pytest.approx(1, abs=1e-9)


def test_log_normal_mass_keeps_its_digits_in_the_tails():
    def by_quadrature(low, high):  # low >= 0: exp(-low^2 / 2) goes out of the integral
        nodes, weights = np.polynomial.legendre.leggauss(100)
        u = (nodes + 1) / 2 * (high - low)
        inner = np.sum(weights / 2 * (high - low) * np.exp(-low * u - u**2 / 2))
        return -(low**2) / 2 + math.log(inner / math.sqrt(2 * math.pi))

    for low, high in [
        (0.0, 0.5),
        (0.3, 1.1),
        (4.0, 4.2),
        (19.9, 20.1),
        (21.0, 21.5),
        (60.0, 60.1),
        (300.0, 300.02),
    ]:
        expected = by_quadrature(low, high)
        got = schedules.log_normal_mass(np.array([low, -high]), np.array([high, -low]))
        np.testing.assert_allclose(got, expected, rtol=1e-10)
    np.testing.assert_allclose(
        schedules.log_normal_mass(np.array([-np.inf, -1.0]), np.array([0.0, np.inf])),
        np.log([0.5, 0.8413447]),
        atol=1e-7,
    )


def test_a_bound_worse_than_independent_pixels_is_reported_as_it_is():
    digits = mg.data.digits()
    x = mg.data.to_signed(digits.test[:100])[:, None]
    ddpm = DDPM(
        mg.networks.UNet(channels=(8, 8), rng=generator()), predict="velocity", levels=17
    )  # untrained
    bits = evaluate.bits_per_dim(ddpm, x, generator())
    assert (
        bits.value > 2.430
        and not bits.exact
        and not bits.density
        and 0 < bits.standard_error < 0.1 * bits.value
    )
    assert str(bits).startswith("<= ") and str(bits).endswith(" bits/dim")
    assert evaluate.bits_per_dim(
        DDPM(gaussian(schedules.cosine())), np.zeros((3, 1)), generator()
    ).density


# -- the loss --------------------------------------------------------------------------------------


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_both_losses_by_hand_with_the_noise_handed_in(predict):
    T, schedule = 8, schedules.cosine()
    rng = generator()
    x, noise = rng.standard_normal((T, 2)), rng.standard_normal((T, 2))
    t = np.arange(1, T + 1) / T  # every step once
    net = Net(lambda x, t, label: 0.3 * x + t[:, None], (2,))
    x_t = schedule.alpha(t)[:, None] * x + schedule.sigma(t)[:, None] * noise
    targets = {
        "noise": noise,
        "clean": x,
        "velocity": schedule.alpha(t)[:, None] * noise - schedule.sigma(t)[:, None] * x,
    }
    simple = DDPM(net, schedule, T, predict).loss(x, rng, t=t, noise=noise).item()
    assert simple == pytest.approx(
        np.mean((0.3 * x_t + t[:, None] - targets[predict]) ** 2), rel=1e-6
    )

    weighted = DDPM(net, schedule, T, predict, weighting="bound")
    clean = schedule.clean(0.3 * x_t + t[:, None], x_t, t, predict)
    snr = schedule.alpha_bar(t) / schedule.sigma(t) ** 2
    weights = (
        np.append(snr[0], snr[:-1] - snr[1:]) / 2
    )  # L_0 as a density of variance 1 / SNR, then L_1 .. L_T-1
    expected = np.sum(weights[:, None] * (clean - x) ** 2) / 2  # nats per dimension
    assert weighted.loss(x, rng, t=t, noise=noise).item() == pytest.approx(expected, rel=1e-6)


def test_the_weighted_loss_is_the_bound_less_what_no_network_can_change():
    T, x, schedule = 12, 0.9, schedules.variance_preserving()
    _, steps, decoder = gaussian_costs(schedule, T, x, 0.4, 0.3)
    net = exact_net(gaussian(schedule), schedule, "noise")
    ddpm = DDPM(net, schedule, T, "noise", weighting="bound")
    losses = [ddpm.loss(np.full((T, 1), x), rng).item() for rng in map(generator, range(2000))]
    decoder_constant = 0.5 * math.log(
        2 * math.pi * (schedule.sigma(1 / T) / schedule.alpha(1 / T)) ** 2
    )
    assert_mean(losses, steps.sum() + decoder - decoder_constant)


def test_every_step_is_trained_and_alike_often():
    T, seen = 7, []
    net = Net(lambda x, t, label: seen.append(t) or x)
    ddpm, rng = DDPM(net, schedules.cosine(), T), generator()
    for _ in range(2000):
        ddpm.loss(np.zeros((5, 1)), rng)
    step = np.concatenate(seen) * T
    np.testing.assert_allclose(step, np.round(step), atol=1e-9)
    assert_mean(np.round(step)[:, None] == np.arange(T + 2), [0] + [1 / T] * T + [0])


def test_the_loss_falls_and_samples_come_to_the_data():
    rng = generator()
    data = oracles.GaussianMixture([[1.0, 1.0], [-1.0, 0.0]], 0.05)
    net = mg.networks.MLP((2,), width=64, layers=3, rng=rng)
    ddpm = DDPM(net, schedules.cosine(), steps=50)
    optimizer = mg.AdamW(nn.parameters(net), lr=3e-3)
    batches = (data.sample(256, rng).astype(np.float32) for _ in range(400))
    losses = [loss for _, loss in mg.train(ddpm, batches, 400, optimizer, rng, progress=False)]
    assert np.mean(losses[-50:]) < 0.85 * np.mean(losses[:10])  # what stays is not to be predicted
    samples = ddpm.sample(1000, rng)
    assert samples.dtype == np.float32
    nearest = np.linalg.norm(samples[:, None] - data.means, axis=2)
    assert np.mean(nearest.min(axis=1) < 1) > 0.9 and 0.3 < np.mean(nearest.argmin(axis=1)) < 0.7


def moons(schedule, seed=0, **how):
    """A DDPM with no argument but the schedule, after 1,500 steps of an MLP on two moons.

    5 seconds.
    """
    rng = generator(seed)
    net = mg.networks.MLP((2,), rng=rng)
    ddpm, optimizer = DDPM(net, schedule, **how), mg.AdamW(nn.parameters(net), 2e-3)
    batches = (mg.data.densities.two_moons(256, rng) for _ in range(1500))
    rate = mg.optim.warmup_cosine(2e-3)
    for _ in mg.train(ddpm, batches, 1500, optimizer, rng, learning_rate=rate, progress=False):
        pass
    return ddpm


def distance(ddpm, **how):
    """Sliced Wasserstein distance of 1,000 samples from two moons."""
    real = mg.data.densities.two_moons(1000, generator(99))
    return evaluate.sliced_wasserstein(ddpm.sample(1000, generator(5), **how), real, generator())


def test_ddpm_works_as_it_comes():
    """At most 0.3 in ten steps. Over three seeds the worst method gave 0.118, 0.126 and 0.12: no
    false alarm is to be expected from another machine's rounding (15 times that spread).
    """
    ddpm = moons(None)
    assert ddpm.predict == "velocity" and ddpm.schedule == schedules.cosine()
    for method in DDPM.METHODS:
        assert distance(ddpm, method=method, steps=10) < 0.3, method


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", ["linear", "cosine", "variance_preserving", "flow", "variance_exploding"]
)
def test_ddpm_works_as_it_comes_with_every_schedule(name):
    """Largest of 2 to 5 seeds at 10 steps.

    0.20, and heun with variance_exploding 0.31, at 20 steps 0.07.
    """
    for seed in (0, 1, 2):
        ddpm = moons(getattr(schedules, name)(), seed)
        for steps in (10, 20, 50):
            for method in DDPM.METHODS:
                if (name, method, steps) != ("variance_exploding", "heun", 10):
                    assert distance(ddpm, method=method, steps=steps) < 0.3, (method, steps, seed)


def test_predicted_noise_says_where_it_cannot_work():
    net = mg.networks.MLP((2,), 8, 1, 8, rng=generator())
    with pytest.raises(ValueError, match=r"flow.*ends with none.*velocity"):
        DDPM(net, schedules.flow(), predict="noise")
    for method, steps in [("ddim", 10), ("heun", 100), ("multistep", 1000), ("ancestral", 10)]:
        with pytest.warns(UserWarning, match="multiplies errors of predicted noise by"):
            DDPM(net, predict="noise").sample_walk(2, generator(), method=method, steps=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DDPM(net, predict="noise").sample_walk(2, generator())  # 1,000 ancestral steps
        DDPM(net, schedules.linear(), predict="noise").sample_walk(2, generator(), steps=10)
        DDPM(net).sample_walk(2, generator(), method="ddim", steps=10)
        DDPM(gaussian(schedules.flow()), schedules.flow(), predict="noise")  # an oracle


@pytest.mark.parametrize(
    "schedule", [schedules.cosine(), schedules.variance_exploding(), schedules.flow()]
)
def test_the_network_is_shown_data_of_one_variance(schedule):
    seen, x = [], generator().standard_normal((4000, 1))
    ddpm = DDPM(Net(lambda x, t, label: seen.append(x) or x), schedule)
    t = np.tile([0.001, 0.2, 0.7, 1.0], 1000)
    loss = ddpm.loss(x, generator(1), t=t)
    ddpm.denoise(ddpm.q_sample(x, generator(1).standard_normal(x.shape, np.float32), t), t)
    for shown in seen:  # a variance of 1,000 draws: 5 standard errors are 0.22
        np.testing.assert_allclose(np.var(shown.reshape(1000, 4), axis=0), 1, atol=0.22)
    assert 0.5 < loss.item() < 3  # and so is what it should answer


# -- predictions and samples -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule", [schedules.linear(), schedules.cosine(), schedules.variance_exploding()]
)
def test_the_three_predictions_are_one_denoiser(schedule):
    mixture = oracles.GaussianMixture([[0.5, 0.0], [-0.5, 0.8]], 0.02, schedule=schedule)
    models = [DDPM(exact_net(mixture, schedule, p), schedule, predict=p) for p in PREDICTIONS]
    rng = generator()
    for t in (0.01, 0.3, 0.7):
        x = schedule.noisy(mixture.sample(50, rng), rng.standard_normal((50, 2)), t)
        for model in models:  # the network sees float32
            np.testing.assert_allclose(model.denoise(x, t), mixture.denoise(x, t), atol=3e-4)


METHODS = [
    {"method": "ancestral"},
    {"method": "ancestral-large"},
    {"method": "ddim", "eta": 1.0},
    {"method": "ddim"},
    {"method": "heun", "steps": 60},
    {"method": "multistep"},
]


@pytest.mark.parametrize("how", METHODS)
def test_every_method_draws_the_data_when_the_denoiser_is_exact(how):
    schedule, N = schedules.cosine(), 4000
    mixture = oracles.GaussianMixture(
        [[0.5, 0.0], [-0.5, 0.8]], [0.04, 0.02], weights=[0.3, 0.7], schedule=schedule
    )
    x = DDPM(mixture, schedule, steps=200).sample(N, generator(3), **how)
    real = mixture.sample(200_000, generator(4))
    for statistic in (lambda x: x, np.square, lambda x: x.prod(axis=1), lambda x: x[:, 0] > 0):
        got, expected = statistic(x), statistic(real)
        error = got.std(axis=0) / math.sqrt(
            N
        )  # and 3% of the spread for the finite number of steps
        assert np.all(
            np.abs(got.mean(axis=0) - expected.mean(axis=0))
            < 5 * error + 0.03 * expected.std(axis=0)
        )


def test_eta_1_with_the_same_noise_is_the_ancestral_sampler_and_eta_0_draws_nothing():
    schedule = schedules.cosine()
    ddpm, noise = DDPM(gaussian(schedule), schedule, 20), generator().standard_normal((30, 1))
    ancestral = ddpm.sample(30, generator(1), noise=noise)
    np.testing.assert_allclose(
        ddpm.sample(30, generator(1), method="ddim", eta=1.0, noise=noise), ancestral, atol=1e-9
    )
    first, second = (
        ddpm.sample(30, generator(seed), method="ddim", noise=noise) for seed in (1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - ancestral).max() > 0.1


def test_the_large_variance_is_the_one_of_the_forward_chain():
    schedule, x, noise = schedules.cosine(), np.array([[0.3]]), np.zeros((4000, 1))
    ddpm = DDPM(gaussian(schedule), schedule, 10)
    for method, by_hand in [
        ("ancestral", schedule.posterior(x, x, 1.0, 0.9)[1]),
        ("ancestral-large", 1 - schedule.alpha_bar(1.0) / schedule.alpha_bar(0.9)),  # beta
    ]:
        _, second, *_ = ddpm.sample_walk(4000, generator(), method=method, noise=noise)
        assert_mean((second - second.mean()) ** 2, by_hand)


def test_the_walk_yields_every_state_and_starts_from_the_noise_handed_in():
    schedule = schedules.variance_exploding()
    ddpm, noise = DDPM(gaussian(schedule), schedule, 20), generator().standard_normal((3, 1))
    states = list(ddpm.sample_walk(3, generator(), steps=7, noise=noise))
    assert len(states) == 8
    np.testing.assert_allclose(states[0], noise * math.sqrt(1 + schedule.sigma(1.0) ** 2))


def test_grey_level_predictions_stay_in_range():
    ddpm = DDPM(Net(lambda x, t, label: 5 * x), schedules.cosine(), 10, "clean", levels=17)
    assert np.abs(ddpm.denoise(np.array([[3.0], [-3.0], [0.1]]), 0.5)).max() == 1


# -- classes ---------------------------------------------------------------------------------------


def class_net(schedule):
    """Classes 0 and 1 are normal around -1 and +1, class 2 stands for both: all exact."""
    both = oracles.GaussianMixture([[-1.0], [1.0]], 0.04, schedule=schedule)
    one = [gaussian(schedule, mean, 0.04) for mean in (-1.0, 1.0)]

    def clean(x, t, label):
        x = x.astype(np.float64)
        answers = [one[0].denoise(x, t), one[1].denoise(x, t), both.denoise(x, t)]
        return answers[2] if label is None else np.choose(np.reshape(label, (-1, 1)), answers)

    return Net(clean, (1,), classes=2)


def test_a_tenth_of_the_labels_is_hidden_in_training():
    net = class_net(schedules.cosine())
    label = np.arange(4000) % 2
    DDPM(net, predict="clean").loss(np.zeros((4000, 1)), generator(), label)
    seen = net.labels[-1]
    assert_mean(seen == 2, SHARE_WITHOUT_LABEL)
    np.testing.assert_array_equal(seen[seen != 2], label[seen != 2])


def test_samples_of_a_class_are_of_that_class_and_guidance_goes_beyond():
    schedule = schedules.cosine()
    ddpm = DDPM(class_net(schedule), schedule, 100, "clean")
    assert_mean(ddpm.sample(1000, generator(), label=1)[:, 0], 1.0)
    label = np.arange(1000) % 2
    np.testing.assert_array_equal(ddpm.sample(1000, generator(), label=label)[:, 0] > 0, label == 1)
    assert 0.4 < np.mean(ddpm.sample(1000, generator())[:, 0] > 0) < 0.6
    x = np.array([[0.2]])
    with_label, without = ddpm.denoise(x, 0.5, np.array([1])), ddpm.denoise(x, 0.5)
    guided = ddpm._guided(np.array([1]), 3.0)(x, 0.5)
    np.testing.assert_allclose(guided, without + 3 * (with_label - without), rtol=1e-6)
    x_1 = generator(7).standard_normal((1, 1))
    scales = [
        ddpm.sample(1, generator(), label=1, guidance_scale=s, noise=x_1, method="ddim", steps=1)
        for s in (0, 1, 3)
    ]
    np.testing.assert_allclose(scales[2] - scales[0], 3 * (scales[1] - scales[0]), rtol=1e-5)


def test_sampling_in_several_threads_equals_one_after_the_other():
    ddpm = DDPM(mg.networks.MLP((2,), 16, 2, 8, rng=generator()))

    def sample(seed):
        return ddpm.sample(5, generator(seed), method="heun", steps=10)

    alone = [sample(seed) for seed in range(8)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(list(pool.map(sample, range(8))), alone)


def test_a_model_says_in_one_line_what_it_is():
    text = repr(DDPM(mg.networks.MLP((2,), 8, 1, 8, rng=generator()), schedules.linear(), steps=50))
    assert "\n" not in text and text.startswith("DDPM(net=") and "parameters" in text
    assert "schedule=linear(" in text and "steps=50, predict='velocity'" in text


# -- bad input -------------------------------------------------------------------------------------


def oracle():
    return DDPM(gaussian(schedules.cosine()))


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda d: DDPM(d.net, steps=1), ValueError, "steps"),
        (lambda d: DDPM(d.net, steps=10.5), ValueError, r"steps: .*whole number.* got 10\.5"),
        (lambda d: DDPM(d.net, levels=1), ValueError, "levels"),
        (lambda d: DDPM(d.net, predict="score"), ValueError, "predict.*'score'"),
        (lambda d: DDPM(d.net, weighting="vlb"), ValueError, "weighting.*'vlb'"),
        (
            lambda d: d.loss(np.zeros((3, 1), int), generator()),
            TypeError,
            "expected floats.* got int64",
        ),
        (lambda d: d.loss(np.zeros((3, 2)), generator()), ValueError, r"\(1,\), got .*\(3, 2\)"),
        (lambda d: d.loss(np.zeros((0, 1)), generator()), ValueError, "one or more"),
        (
            lambda d: d.loss(np.zeros((3, 1)), generator(), np.array([0, 1, 2])),
            IndexError,
            r"label: .* 0\.\.1, got",
        ),
        (lambda d: d.sample(2, generator(), label=-1), IndexError, r"label: .* 0\.\.1, got"),
        (lambda d: d.sample(2, generator(), method="magic"), ValueError, "method.*'magic'"),
        (lambda d: d.sample(2, generator(), steps=0), ValueError, "steps"),
        (lambda d: d.sample(2, generator(), method="ddim", eta=1.5), ValueError, "eta"),
        (
            lambda d: d.bound_terms(np.zeros((3, 1)), generator(), 100),
            ValueError,
            r"times.*1\.\.99, got 100",
        ),
        (lambda d: d.bound(np.zeros((3, 1)), generator(), 0), ValueError, "times"),
        (
            lambda d: DDPM(d.net, schedules.cosine),
            TypeError,
            r"schedule: .*cosine\(\), got .*call the class",
        ),
        (lambda d: DDPM(d.net, "cosine"), TypeError, "schedule: .* got 'cosine'"),
        (
            lambda d: d.loss(np.zeros((3, 1)), 0),
            TypeError,
            "rng: expected a numpy.random.* got int 0",
        ),
        (lambda d: d.bound(np.zeros((3, 1)), 0), TypeError, "rng: .* got int 0"),
        (lambda d: d.sample(2, 0), TypeError, "rng: .* got int 0"),
        (lambda d: d.sample(2, np.random), TypeError, "rng: .* got module"),
        (lambda d: d.sample(2, generator(), guidance_scale=3), ValueError, "without a label"),
        (lambda d: d.sample(2, generator(), method="heun", eta=0.5), ValueError, "eta=0.5.*'heun'"),
        (
            lambda d: d.sample(2, generator(), noise=np.zeros((3, 1))),
            ValueError,
            r"\(2, 1\), got .*3",
        ),
        (lambda d: d.sample(2, generator(), noise=np.zeros((2, 1), int)), ValueError, "int64"),
        (lambda d: d.sample(2, generator(), steps=10**12), ValueError, "1000000, got"),
        (lambda d: d.sample(2, generator(), steps=2.5), ValueError, "whole number"),
        (lambda d: d.sample_walk(2, generator(), method="magic"), ValueError, "method"),  # at once
        (lambda d: oracle().denoise(np.zeros((1, 1)), 0.5, [1]), ValueError, "label.*oracle"),
        (
            lambda d: oracle().sample(2, generator(), label=0),
            ValueError,
            "label: .* without classes",
        ),
        (
            lambda d: oracle().loss(np.zeros((3, 1)), generator()),
            TypeError,
            "oracle: nothing to train",
        ),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(DDPM(class_net(schedules.cosine()), steps=100, predict="clean"))


# -- digits ----------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_the_unet_draws_digits_after_a_minute_of_training():
    """1,700 steps, about 110 seconds. Figures of the first run: 0.55, 0.91, 0.83."""
    from minigen.compare.ddim_sweep import trained_ddpm

    ddpm, ema = trained_ddpm(generator(), steps=1700)
    digits = mg.data.digits()
    with ema.applied():
        samples = mg.data.to_levels(ddpm.sample(360, generator(1), steps=200)[:, 0])
    metrics, floor = evaluate.sample_metrics(samples, digits.test, digits.train, generator(2))
    assert metrics.one_nn_accuracy <= 0.65 and metrics.precision >= 0.7 and metrics.recall >= 0.7
    assert (
        metrics.nearest_training_distance > 0.9 * floor.nearest_training_distance
    )  # not memorised
