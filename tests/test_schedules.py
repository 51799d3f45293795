"""Noise schedules against closed forms, the papers' recipes, quadrature and a simulated chain."""

import math
import warnings

import numpy as np
import pytest

import minigen as mg
from minigen import oracles, schedules
from minigen.schedules import cosine, flow, linear, variance_exploding, variance_preserving

ALL = [linear(), linear(0.01, 0.01), cosine(), variance_preserving(), variance_exploding(), flow()]
every = pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
INSIDE = np.linspace(0.001, 0.999, 999)


@pytest.mark.filterwarnings("ignore:.*does not end in noise")
@pytest.mark.parametrize(("steps", "published"), [(1000, 4.0e-5), (50, 0.603), (10, 0.904)])
def test_linear_is_the_product_of_one_minus_beta(steps, published):
    schedule = linear(steps=steps)
    product = np.cumprod(1 - np.linspace(1e-4, 0.02, steps))
    alpha_bar = schedule.alpha_bar(schedule.grid(steps))
    np.testing.assert_allclose(alpha_bar[1:], product, rtol=1e-13)
    np.testing.assert_allclose(1 - alpha_bar[1:], 1 - product, rtol=1e-11)
    np.testing.assert_allclose(schedule.betas(steps), np.linspace(1e-4, 0.02, steps), rtol=1e-10)
    assert alpha_bar[0] == 1 and alpha_bar[-1] == pytest.approx(published, rel=0.01)


def test_linear_between_the_grid_follows_the_ratio_of_gamma_functions():
    # The product of 1 - beta_j = step (top - j) continued to real i; the cubic may differ from it
    # only a little.
    schedule, step = linear(), (0.02 - 1e-4) / 999
    top = (1 - 1e-4) / step + 1
    for i in (1.5, 77.77, 500.5, 998.9):
        exact = i * math.log(step) + math.lgamma(top) - math.lgamma(top - i)
        assert math.log(schedule.alpha_bar(i / 1000)) == pytest.approx(
            exact, rel=1e-2 / i**2, abs=1e-9
        )


@pytest.mark.filterwarnings("ignore:.*does not end in noise")
@pytest.mark.parametrize("steps", [1, 2, 5, 50, 1000])
def test_linear_falls_with_a_continuous_slope(steps):
    schedule = linear(steps=steps)
    t = np.linspace(1e-6, 1, 20_001)
    assert np.all(np.diff(schedule.log_snr(t)) < 0) and np.all(schedule.g2(t) > 0)
    knots = schedule.grid(steps)[1:-1]
    np.testing.assert_allclose(schedule.f(knots * (1 - 1e-12)), schedule.f(knots), rtol=1e-9)


def test_cosine_is_nichol_and_dhariwal_with_their_clip():
    def alpha_bar(t):
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - alpha_bar((i + 1) / 1000) / alpha_bar(i / 1000), 0.999) for i in range(1000)]
    np.testing.assert_allclose(cosine().betas(1000), betas, rtol=1e-9)
    assert cosine().betas(1000)[-1] == pytest.approx(0.999, abs=1e-12)
    assert cosine(steps=50).betas(50)[-1] == pytest.approx(0.999, abs=1e-12)
    np.testing.assert_allclose(
        cosine().alpha_bar(INSIDE), [alpha_bar(t) / alpha_bar(0) for t in INSIDE], rtol=1e-12
    )


def test_drift_and_diffusion_against_closed_forms():
    t = INSIDE
    beta = 0.1 + 19.9 * t
    ratio = math.log(50 / 0.01)
    angle = math.pi / 2 / 1.008
    tangent = angle * np.tan((t + 0.008) * angle)
    for schedule, f, g2 in [
        (variance_preserving(), -beta / 2, beta),
        (variance_exploding(), 0 * t, 2 * ratio * (0.01 * np.exp(ratio * t)) ** 2),
        (cosine(), -tangent, 2 * tangent),
        (flow(), -1 / (1 - t), 2 * t / (1 - t)),
    ]:
        np.testing.assert_allclose(schedule.f(t), f, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(schedule.g2(t), g2, rtol=1e-10)


@every
def test_all_derived_quantities_agree_by_quadrature(schedule):
    # On the 998 steps from 0.001 to 0.999: int f = change of log alpha, -int g2/sigma^2 = change of
    # log-SNR.
    edges = np.arange(1, 1000) / 1000
    nodes, weights = np.polynomial.legendre.leggauss(12)
    width = np.diff(edges)[:, None]
    t = edges[:-1, None] + width * (nodes + 1) / 2

    def integral(values):
        return (values * weights * width / 2).sum(1)

    assert abs(integral(schedule.f(t)) - np.diff(np.log(schedule.alpha(edges)))).max() < 1e-12
    change = np.diff(schedule.log_snr(edges))
    np.testing.assert_allclose(
        integral(-schedule.g2(t) / schedule.sigma(t) ** 2), change, rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(schedule.alpha_bar(t), schedule.alpha(t) ** 2, rtol=1e-15)
    np.testing.assert_allclose(
        np.exp(schedule.log_snr(t)), (schedule.alpha(t) / schedule.sigma(t)) ** 2, rtol=1e-10
    )
    if not isinstance(schedule, (flow, variance_exploding)):
        np.testing.assert_allclose(schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2, 1, rtol=1e-14)


@every
def test_ends_and_monotone(schedule):
    assert schedule.alpha(0) == 1 and schedule.sigma(0) == 0 and schedule.log_snr(0) == np.inf
    assert np.all(np.diff(schedule.log_snr(np.linspace(0.001, 1, 2000))) < 0)
    assert np.all(np.isfinite([schedule.f(1.0), schedule.g2(1.0), *schedule.slopes(1.0)]))
    assert schedule.prior_std == pytest.approx(
        50.01 if isinstance(schedule, variance_exploding) else 1, rel=1e-4
    )


@every
def test_time_inverts_log_snr(schedule):
    np.testing.assert_allclose(schedule.time(schedule.log_snr(INSIDE)), INSIDE, rtol=1e-9)


@every
@pytest.mark.parametrize("predict", ["noise", "clean", "velocity"])
def test_clean_inverts_target(schedule, predict):
    rng = np.random.default_rng(0)
    clean, noise = rng.standard_normal((2, 9, 1, 4, 4))
    t = np.linspace(0.01, 0.97, 9)
    x_t = schedule.noisy(clean, noise, t)
    output = schedule.target(clean, noise, t, predict)
    np.testing.assert_allclose(schedule.clean(output, x_t, t, predict), clean, atol=1e-9)
    one_by_one = [schedule.noisy(clean[i : i + 1], noise[i : i + 1], float(t[i])) for i in range(9)]
    np.testing.assert_allclose(x_t, np.concatenate(one_by_one), atol=1e-14)
    small = [a.astype(np.float32) for a in (clean, noise)]
    assert schedule.noisy(*small, t).dtype == np.float32
    assert schedule.clean(small[1], small[0], 0.5, predict).dtype == np.float32


def test_velocity_by_hand():
    schedule = flow()  # alpha = 0.75, sigma = 0.25 at t = 1/4
    clean, noise = np.array([[2.0]]), np.array([[-1.0]])
    assert schedule.noisy(clean, noise, 0.25) == 0.75 * 2 - 0.25
    got = schedule.target(clean, noise, 0.25, "velocity")  # of x_t / sqrt(0.625), along its circle
    assert got[0, 0] == pytest.approx((0.75 * -1 - 0.25 * 2) / math.sqrt(0.625), rel=1e-12)


def test_without_signal_the_clean_prediction_stays_finite():
    x = np.ones((2, 3), dtype=np.float32)
    assert np.all(np.isfinite(flow().clean(x, x, 1.0, "noise")))


@pytest.mark.parametrize("schedule", [linear(), cosine()], ids=["linear", "cosine"])
def test_posterior_is_ddpm_equation_7(schedule):
    betas, alpha_bar = schedule.betas(1000), schedule.alpha_bar(schedule.grid(1000))
    x_t, clean = np.array([[0.7], [-0.2]]), np.array([[1.0], [0.5]])
    for i in (1, 2, 500, 999):
        before, now, beta = alpha_bar[i - 1], alpha_bar[i], betas[i - 1]
        by_hand = (
            np.sqrt(before) * beta / (1 - now) * clean
            + np.sqrt(1 - beta) * (1 - before) / (1 - now) * x_t
        )
        mean, variance = schedule.posterior(clean, x_t, i / 1000, (i - 1) / 1000)
        np.testing.assert_allclose(mean, by_hand, rtol=1e-9)
        np.testing.assert_allclose(variance, (1 - before) / (1 - now) * beta, rtol=1e-9)


@every
def test_posterior_is_bayes_rule(schedule):
    # q(x_s | clean) times q(x_t | x_s): precisions add, and means weigh by them.
    t, s, clean, x_t = (
        np.array([0.3, 0.9]),
        np.array([0.25, 0.1]),
        np.array([[1.5], [-0.4]]),
        np.array([[0.1], [2.0]]),
    )
    ratio = schedule.alpha(t) / schedule.alpha(s)
    step_variance = schedule.sigma(t) ** 2 - ratio**2 * schedule.sigma(s) ** 2
    precision = 1 / schedule.sigma(s) ** 2 + ratio**2 / step_variance
    mean = (
        schedule.alpha(s) * clean[:, 0] / schedule.sigma(s) ** 2 + ratio * x_t[:, 0] / step_variance
    ) / precision
    got_mean, got_variance = schedule.posterior(clean, x_t, t, s)
    np.testing.assert_allclose(got_mean[:, 0], mean, rtol=1e-9)
    np.testing.assert_allclose(got_variance, 1 / precision, rtol=1e-9)
    np.testing.assert_array_equal(schedule.fresh_noise(s, t), 0)  # backwards nothing is added
    np.testing.assert_allclose(
        schedule.fresh_noise(t, s) * schedule.sigma(t) ** 2, step_variance, rtol=1e-9
    )


def test_simulated_chain_has_the_closed_form_marginal():
    # 20,000 paths of x_i = sqrt(1 - beta_i) x_(i-1) + sqrt(beta_i) z. Two z-tests at each of four
    # times; |z| < 4 in all eight has a false-alarm rate of 5e-4 (the seed is fixed).
    rng, schedule, paths = np.random.default_rng(1), cosine(), 20_000
    x = np.full(paths, 1.3)
    for i, beta in enumerate(schedule.betas(100)[:-1], start=1):
        x = np.sqrt(1 - beta) * x + np.sqrt(beta) * rng.standard_normal(paths)
        if i in (1, 20, 60, 99):
            mean, variance = schedule.alpha(i / 100) * 1.3, schedule.sigma(i / 100) ** 2
            assert abs(x.mean() - mean) / np.sqrt(variance / paths) < 4
            assert abs(x.var() / variance - 1) / np.sqrt(2 / paths) < 4


def test_a_schedule_that_does_not_end_in_noise_warns_and_says_what_is_left():
    with pytest.warns(UserWarning, match=r"0\.603 of the variance and 0\.776 of the amplitude"):
        linear(steps=50)
    with pytest.warns(UserWarning, match=r"0\.010 of the variance"):
        variance_exploding(sigma_max=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in (linear, cosine, variance_preserving, variance_exploding, flow):
            make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: linear(-1e-3, 0.02),
        lambda: linear(0.5, 1.5),
        lambda: cosine(offset=-0.5),
        lambda: variance_preserving(-1, 20),
        lambda: variance_preserving(0, 0),
        lambda: variance_exploding(0, 50),
        lambda: variance_exploding(2, 1),
    ],
)
def test_impossible_values_are_refused(make):
    with pytest.raises(ValueError, match="log-SNR does not fall"):
        make()


def test_bad_arguments_are_named():
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"t must lie in \[0, 1\]"):
        cosine().alpha(1.0001)
    with pytest.raises(ValueError, match=r"t must lie in \[0, 1\]"):
        cosine().log_snr([0.5, np.nan])
    with pytest.raises(ValueError, match="predict: expected one of"):
        cosine().target(x, x, 0.5, "eps")
    with pytest.raises(ValueError, match="predict: expected one of"):
        cosine().clean(x, x, 0.5, "score")
    with pytest.raises(ValueError, match="one time per example"):
        cosine().noisy(x, x, np.array([0.1, 0.2]))
    with pytest.raises(TypeError, match="uint8"):
        cosine().noisy(np.zeros((3, 2), dtype=np.uint8), x, 0.5)
    with pytest.raises(ValueError, match="steps: expected a whole number in 1"):
        cosine().grid(0)
    with pytest.raises(ValueError, match="steps: expected a whole number in 1"):
        linear(steps=0)
    for steps in (10**12, 2.5, np.nan):  # counted before anything is built
        with pytest.raises(ValueError, match=r"whole number in 1\.\.1000000"):
            cosine().grid(steps)
        with pytest.raises(ValueError, match=r"whole number in 1\.\.1000000"):
            linear(steps=steps)


def test_schedules_are_values():
    assert cosine() == cosine() and cosine() != cosine(steps=50) and hash(flow()) == hash(flow())
    assert repr(linear()) == "linear(beta_start=0.0001, beta_end=0.02, steps=1000)"
    with pytest.raises(AttributeError):
        cosine().offset = 0.1
    assert schedules.Schedule in type(flow()).__mro__
    np.testing.assert_array_equal(flow().grid(4), [0, 0.25, 0.5, 0.75, 1])


def test_a_model_takes_the_schedule_that_its_oracle_was_made_for():
    flow, exploding = schedules.flow(), schedules.variance_exploding()
    points = np.array([[0.0, 1.0], [1.0, 0.0]])
    for oracle in (
        oracles.GaussianMixture(points, 0.1, schedule=flow),
        oracles.IdealDenoiser(points, flow),
    ):
        assert mg.DDPM(oracle).schedule is flow
        assert mg.DDPM(oracle, schedules.flow()).schedule == flow  # an equal one
        with pytest.raises(ValueError, match=r"was made for flow\(\), got cosine\("):
            mg.DDPM(oracle, schedules.cosine())
        with pytest.raises(TypeError, match="call the class"):
            mg.DDPM(oracle, schedules.flow)
    mixture = oracles.GaussianMixture(points, 0.1, schedule=exploding)
    assert mg.ScoreSDE(mixture).schedule is exploding
    with pytest.raises(ValueError, match=r"made for variance_exploding\(.*, got linear\("):
        mg.ScoreSDE(mixture, schedules.linear())
    with pytest.raises(ValueError, match="too little signal"):
        mg.ScoreSDE(oracles.GaussianMixture(points, 0.1, schedule=flow))
    timeless = oracles.GaussianMixture(points, 0.1)  # of no schedule: the model's default
    assert mg.DDPM(timeless).schedule == schedules.cosine()
    assert mg.ScoreSDE(timeless).schedule == schedules.variance_preserving()
