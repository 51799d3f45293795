"""The walk and its steps against closed forms: exact solutions, exact variances, hand calculation.

With Gaussian data every step is linear in the start and in the noise handed in, so a batch that
holds one unit noise each gives the exact distribution of the sample without any randomness.
"""

import numpy as np
import pytest

from minigen import data, sampling, schedules
from minigen.oracles import GaussianMixture
from minigen.sampling import (
    ancestral,
    ddim,
    euler,
    euler_maruyama,
    heun,
    langevin,
    multistep,
    run,
    runge_kutta,
    walk,
)

SCHEDULES = [
    schedules.linear(),
    schedules.cosine(),
    schedules.variance_preserving(),
    schedules.variance_exploding(),
    schedules.flow(),
]
every = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
MEAN, STD = 0.3, 0.5


def gaussian(schedule, mean=MEAN, std=STD):
    """The exact denoiser of N(mean, std^2)."""
    return GaussianMixture([[mean]], std**2, schedule=schedule).denoise


def exact_ode(schedule, x, start, t):
    """Where the probability-flow ODE of N(MEAN, STD^2) carries x from `start` to t.

    Its quantile never changes.
    """

    def marginal(t):
        return schedule.alpha(t) * MEAN, np.sqrt(
            schedule.alpha(t) ** 2 * STD**2 + schedule.sigma(t) ** 2
        )

    (from_mean, from_std), (to_mean, to_std) = marginal(start), marginal(t)
    return to_mean + (x - from_mean) * to_std / from_std


def exact_variance(schedule, make, steps, std):
    """Variance of the sample of `make(noise)` for data N(0, std^2).

    Row j has the j-th unit noise and no other.
    """
    unit = np.eye(steps)[:, :, None]  # [which noise, row, 1]
    x = run(
        schedule.prior_std * unit[0],
        schedule.grid(steps)[::-1],
        gaussian(schedule, 0, std),
        make(unit[1:]),
    )
    return float((x**2).sum())


# -- The walk --------------------------------------------------------------------------------------


def test_walk_yields_every_state_and_run_the_last():
    def predict(x, now):
        return 10 * now

    def commit(x, prediction, now, after):
        return x + [(prediction, after)]

    states = list(walk([], [1.0, 0.5, 0.0], predict, commit))
    assert states == [[(10, 0.5)], [(10, 0.5), (5, 0.0)]]
    assert run([], [1.0, 0.5, 0.0], predict, commit) == states[-1]
    assert run("x", [1.0], predict, commit) == "x"


# -- Deterministic solvers -------------------------------------------------------------------------


@every
@pytest.mark.parametrize(
    ("name", "order"), [("ddim", 1), ("euler", 1), ("heun", 2), ("multistep", 2)]
)
def test_order_of_convergence(schedule, name, order):
    # The walk starts inside the range, at 0.99, so that no clip at t = 1 enters; multistep walks
    # evenly in log-SNR.
    denoise = gaussian(schedule)
    make = {
        "ddim": lambda: ddim(schedule),
        "euler": lambda: euler(schedule),
        "heun": lambda: heun(schedule, denoise),
        "multistep": lambda: multistep(schedule),
    }[name]
    x = np.linspace(-2, 2, 11)[:, None] * schedule.sigma(0.99)
    errors = []
    for steps in (200, 400):
        if name == "multistep":
            times = schedule.time(
                np.linspace(schedule.log_snr(0.99), schedule.log_snr(0.01), steps + 1)
            )
        else:
            times = 0.99 * schedule.grid(steps)[::-1]
        result = run(x, times, denoise, make())
        errors.append(abs(result - exact_ode(schedule, x, times[0], times[-1])).mean())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)
    assert errors[1] < 0.1


def test_runge_kutta_is_of_order_four():
    # dx/dt = x cos t from 0 to 3: x = exp(sin t).
    def slope(x, t):
        return x * np.cos(t)

    errors = [
        abs(run(np.ones(1), np.linspace(0, 3, n), slope, runge_kutta(slope))[0] - np.exp(np.sin(3)))
        for n in (81, 161)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.1)


@every
def test_from_pure_noise_to_data(schedule):
    x = schedule.prior_std * np.linspace(-2, 2, 11)[:, None]
    denoise, times = gaussian(schedule), schedule.grid(400)[::-1]
    exact = exact_ode(schedule, x, 1.0, 0.0)
    bounds = {
        ddim(schedule): 1e-2,
        euler(schedule): 1e-1,
        heun(schedule, denoise): 5e-4,
        multistep(schedule): 5e-4,
    }
    for commit, bound in bounds.items():
        assert abs(run(x, times, denoise, commit) - exact).max() < bound


@every
def test_slope_of_the_ode_is_drift_and_score(schedule):
    world, x = (
        GaussianMixture([[0.3], [-1.0]], 0.2, schedule=schedule),
        np.linspace(-2, 2, 9)[:, None],
    )
    for t in (0.01, 0.3, 0.8, 0.99):
        expected = schedule.f(t) * x - schedule.g2(t) / 2 * world.score(x, t)
        scale = abs(schedule.f(t) * x).max() + abs(expected).max()
        np.testing.assert_allclose(
            sampling.ode_slope(schedule, x, world.denoise(x, t), t), expected, atol=1e-9 * scale
        )


def test_a_commit_of_multistep_can_walk_twice():
    schedule, x = schedules.cosine(), np.ones((2, 1))
    denoise, commit = gaussian(schedule), multistep(schedule)
    for times in (
        schedule.grid(10)[::-1],
        schedule.grid(10)[:4:-1],
    ):  # to t = 0, and only to t = 1/2
        first = run(x, times, denoise, commit)
        np.testing.assert_array_equal(run(x, times, denoise, commit), first)


# -- Noisy steps -----------------------------------------------------------------------------------


def test_ancestral_is_ddpm_equation_11():
    schedule, i = schedules.linear(), 300
    beta, alpha_bar = schedule.betas(1000)[i - 1], schedule.alpha_bar(i / 1000)
    x, predicted_noise, z = np.random.default_rng(0).standard_normal((3, 4, 2))
    by_hand = (x - beta / np.sqrt(1 - alpha_bar) * predicted_noise) / np.sqrt(1 - beta)
    clean = schedule.clean(predicted_noise, x, i / 1000, "noise")
    for variance, value in [
        ("large", beta),
        ("small", beta * (1 - schedule.alpha_bar((i - 1) / 1000)) / (1 - alpha_bar)),
    ]:
        got = ancestral(schedule, variance=variance, noise=[z])(x, clean, i / 1000, (i - 1) / 1000)
        np.testing.assert_allclose(got, by_hand + np.sqrt(value) * z, rtol=1e-9)


def test_ddim_by_hand():
    schedule = (
        schedules.flow()
    )  # from t = 1/2 to 1/4 with x = 1, clean = 0.5: noise = (1 - 0.25) / 0.5
    x, clean = np.array([[1.0]]), np.array([[0.5]])
    assert ddim(schedule)(x, clean, 0.5, 0.25) == pytest.approx(0.75 * 0.5 + 0.25 * 1.5)
    variance = (
        0.25 * (0.25 / 0.5) ** 2 * (0.5**2 - (0.5 / 0.75) ** 2 * 0.25**2)
    )  # eta^2 sigma_s^2/sigma_t^2 sigma_ts^2
    kept = np.sqrt(0.25**2 - variance)
    got = ddim(schedule, eta=0.5, noise=[np.array([[2.0]])])(x, clean, 0.5, 0.25)
    assert got == pytest.approx(0.75 * 0.5 + kept * 1.5 + np.sqrt(variance) * 2)


@every
def test_ddim_with_eta_1_is_ancestral_with_the_small_variance(schedule):
    rng = np.random.default_rng(0)
    x, noise, times = (
        rng.standard_normal((5, 1)),
        rng.standard_normal((19, 5, 1)),
        schedule.grid(20)[::-1],
    )
    one = run(x, times, gaussian(schedule), ddim(schedule, eta=1.0, noise=noise))
    other = run(x, times, gaussian(schedule), ancestral(schedule, noise=noise))
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@every
@pytest.mark.parametrize("variance", ["small", "large"])
def test_variance_of_ancestral_samples_tends_to_that_of_the_data(schedule, variance):
    def make(noise):
        return ancestral(schedule, variance=variance, noise=noise)

    errors = [exact_variance(schedule, make, steps, STD) / STD**2 - 1 for steps in (250, 500)]
    assert abs(errors[1]) < 0.05 and errors[0] / errors[1] == pytest.approx(2, abs=0.3)
    assert errors[1] > 0 if variance == "large" else errors[1] < 0


@pytest.mark.parametrize("schedule", SCHEDULES[:1] + SCHEDULES[2:4], ids=lambda s: type(s).__name__)
def test_variance_of_the_reverse_sde_tends_to_that_of_the_data(schedule):
    first, second = (
        exact_variance(schedule, lambda noise: euler_maruyama(schedule, noise=noise), steps, STD)
        / STD**2
        - 1
        for steps in (250, 500)
    )
    assert abs(second) < 2e-3 and abs(second) < 0.7 * abs(first)


@pytest.mark.parametrize("steps", [3, 10, 50])
def test_the_two_variances_are_exact_for_the_data_they_are_made_for(steps):
    # DDPM section 3.2: large if the data are N(0, I), small if they are one point.
    schedule = schedules.cosine()
    got = exact_variance(
        schedule, lambda noise: ancestral(schedule, variance="large", noise=noise), steps, 1.0
    )
    assert got == pytest.approx(
        schedule.alpha_bar(1 / steps), rel=1e-9
    )  # the last step adds nothing
    point = np.array([[0.7]])
    rng = np.random.default_rng(0)
    states = walk(
        rng.standard_normal((1, 1)),
        schedule.grid(steps)[::-1],
        lambda x, t: point,
        ancestral(schedule, rng),
    )
    assert list(states)[-1] == pytest.approx(0.7)


@every
def test_the_last_step_adds_no_noise(schedule):
    class Forbidden(np.random.Generator):
        def standard_normal(self, shape):
            raise AssertionError("noise drawn")

    x, clean = np.ones((2, 1)), np.full((2, 1), 0.25)
    for commit in (
        ancestral(schedule, Forbidden(np.random.PCG64())),
        ancestral(schedule, Forbidden(np.random.PCG64()), "large"),
        ddim(schedule, Forbidden(np.random.PCG64()), 1.0),
    ):
        np.testing.assert_allclose(commit(x, clean, 0.1, 0.0), clean, rtol=1e-12)
        with pytest.raises(AssertionError, match="noise drawn"):
            commit(x, clean, 0.2, 0.1)
    euler_maruyama(schedule, Forbidden(np.random.PCG64()))(x, clean, 0.1, 0.0)


def test_langevin_settles_in_its_exact_stationary_distribution():
    # At one noise level and for Gaussian data each step is an AR(1): phi = 1 - step sigma^2 / (2
    # S^2), S^2 the variance of x_t. 4000 chains, two z-tests below 4: false-alarm rate 1.3e-4 (the
    # seed is fixed).
    schedule, t, step, chains = schedules.cosine(), 0.5, 0.4, 4000
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    denoise, x = gaussian(schedule), np.zeros((chains, 1))
    x = langevin(schedule, denoise, np.random.default_rng(0), repeats=100, step=step)(
        x, denoise(x, t), t, t
    )
    marginal = alpha**2 * STD**2 + sigma**2
    variance = step * sigma**2 / (1 - (1 - step * sigma**2 / (2 * marginal)) ** 2)
    assert abs(x.mean() - alpha * MEAN) < 4 * np.sqrt(variance / chains)
    assert abs(x.var() / variance - 1) < 4 * np.sqrt(2 / chains)
    assert variance / marginal - 1 < 0.15  # the price of a finite step


def test_langevin_ends_with_the_last_prediction():
    schedule, asked = schedules.flow(), []

    def denoise(x, t):
        asked.append(t)
        return np.full_like(x, len(asked))

    x = run(
        np.ones((2, 1)),
        [0.8, 0.4, 0.0],
        denoise,
        langevin(schedule, denoise, np.random.default_rng(0), repeats=3),
    )
    assert asked == [0.8] * 4 + [0.4] * 4
    np.testing.assert_array_equal(x, 8)


def test_annealed_langevin_finds_both_modes():
    # Mixture of weights 0.3 and 0.7 at -2 and 2. The share at -2 of 2000 draws: 0.3 within 0.08.
    schedule = schedules.variance_exploding()
    world = GaussianMixture([[-2.0], [2.0]], 0.04, [0.3, 0.7], schedule)
    rng = np.random.default_rng(0)
    x = schedule.prior_std * rng.standard_normal((2000, 1))
    x = run(
        x,
        schedule.grid(60)[::-1],
        world.denoise,
        langevin(schedule, world.denoise, rng, repeats=20, step=0.3),
    )
    assert np.mean(x < 0) == pytest.approx(0.3, abs=0.08)
    assert np.all(abs(abs(x) - 2) < 1.2)


@every
def test_every_step_keeps_float32(schedule):
    rng, x = np.random.default_rng(0), np.ones((2, 1, 3, 3), dtype=np.float32)

    def denoise(x, t):
        return 0.5 * x

    for commit in (
        ancestral(schedule, rng),
        ancestral(schedule, rng, "large"),
        ddim(schedule),
        ddim(schedule, rng, 0.5),
        euler(schedule),
        heun(schedule, denoise),
        multistep(schedule),
        euler_maruyama(schedule, rng),
        langevin(schedule, denoise, rng),
        sampling.inpaint(ddim(schedule), schedule, x, x > 0, rng),
    ):
        for state in walk(
            x, schedule.grid(3)[::-1], sampling.guidance(denoise, denoise, 1.5), commit
        ):
            assert (
                state.dtype == np.float32 and state.shape == x.shape and np.all(np.isfinite(state))
            )


def test_steps_refuse_bad_arguments():
    schedule = schedules.cosine()
    with pytest.raises(ValueError, match="variance: expected one of"):
        ancestral(schedule, variance="learned")
    with pytest.raises(ValueError, match="eta: expected a number in"):
        ddim(schedule, eta=1.5)
    for make in (ancestral, lambda s: ddim(s, eta=0.5), lambda s: langevin(s, gaussian(s))):
        with pytest.raises(TypeError, match=r"rng: expected a numpy.random.Generator"):
            make(schedule)


@every
def test_where_there_is_no_noise_no_step_begins(schedule):
    x = np.ones((2, 1))
    for commit in (
        ddim(schedule),
        euler(schedule),
        heun(schedule, gaussian(schedule)),
        multistep(schedule),
        ancestral(schedule, np.random.default_rng(0)),
        euler_maruyama(schedule, np.random.default_rng(0)),
    ):
        with pytest.raises(ValueError, match=r"at t = 0.0 there is no noise"):
            commit(x, x, 0.0, 0.5)


def test_no_argument_of_a_step_is_ignored():
    schedule, rng, x = schedules.cosine(), np.random.default_rng(0), np.ones((2, 1))
    with pytest.raises(TypeError, match="rng or noise"):
        ancestral(schedule, rng, noise=[x])
    with pytest.raises(ValueError, match="eta = 0 draws nothing"):
        ddim(schedule, noise=[x])
    with pytest.raises(TypeError, match=r"rng: .* got int 0"):
        ancestral(schedule, 0)
    with pytest.raises(ValueError, match=r"expected floats of shape \(2, 1\), got float64 \(1,\)"):
        ancestral(schedule, noise=[np.ones(1)])(x, x, 0.5, 0.4)
    with pytest.raises(ValueError, match="too few arrays"):
        run(x, [0.5, 0.4, 0.3, 0.2], gaussian(schedule), ancestral(schedule, noise=[x]))
    for how in ({"repeats": 0}, {"step": 0.0}):
        with pytest.raises(ValueError, match=r"(repeats|step): expected"):
            langevin(schedule, gaussian(schedule), rng, **how)


# -- Control ---------------------------------------------------------------------------------------


def test_guidance_goes_from_one_prediction_through_the_other():
    def at(scale):
        return sampling.guidance(lambda x, t: x + 2, lambda x, t: x, scale)(np.zeros(1), 0.5)

    assert at(0.0) == 0 and at(1.0) == 2 and at(3.0) == 6


def test_inpainting_keeps_the_known_and_follows_it():
    # Correlation 0.95; the first coordinate is known to be 1.5. Without RePaint's resampling the
    # other one follows too little, but it does follow: its mean is 0 without, 1.425 in truth.
    schedule, rng = schedules.cosine(), np.random.default_rng(0)
    world = GaussianMixture([[0.0, 0.0]], [[[1.0, 0.95], [0.95, 1.0]]], schedule=schedule)
    known, mask = np.array([[1.5, np.nan]]), np.array([[True, False]])
    commit = sampling.inpaint(ancestral(schedule, rng), schedule, known, mask, rng)
    states = list(
        walk(rng.standard_normal((2000, 2)), schedule.grid(100)[::-1], world.denoise, commit)
    )
    np.testing.assert_array_equal(states[-1][:, 0], 1.5)
    assert 0.9 < states[-1][:, 1].mean() < 1.5
    level = states[49][:, 0]  # t = 0.5: five standard errors
    assert abs(level.mean() - 1.5 * schedule.alpha(0.5)) < 5 * schedule.sigma(0.5) / np.sqrt(2000)


@every
def test_denoising_in_one_step_is_the_posterior_mean(schedule):
    observed, noise_std = np.linspace(-1, 2, 7)[:, None], 0.7
    posterior_mean = MEAN + STD**2 / (STD**2 + noise_std**2) * (observed - MEAN)
    got = sampling.denoise_image(gaussian(schedule), schedule, observed, noise_std)
    np.testing.assert_allclose(got, posterior_mean, rtol=1e-9)


def test_denoising_in_many_ancestral_steps_draws_from_the_posterior():
    # 20,000 draws; five standard errors plus the bias of 400 steps (2% of the variance).
    schedule, n, noise_std = schedules.cosine(), 20_000, 0.7
    commit = ancestral(schedule, np.random.default_rng(0))
    x = sampling.denoise_image(
        gaussian(schedule), schedule, np.ones((n, 1)), noise_std, 400, commit
    )
    gain = STD**2 / (STD**2 + noise_std**2)
    assert x.mean() == pytest.approx(MEAN + gain * (1 - MEAN), abs=5 * STD / np.sqrt(n))
    assert x.var() / (gain * noise_std**2) == pytest.approx(1, abs=0.02 + 5 * np.sqrt(2 / n))


def test_posterior_mean_has_the_least_error_and_more_steps_pay_for_sharpness():
    schedule, rng, n = schedules.cosine(), np.random.default_rng(0), 4000
    world = GaussianMixture([[-1.0], [1.0]], 0.01, schedule=schedule)
    clean = world.sample(n, rng)
    observed = clean + 0.8 * rng.standard_normal((n, 1))
    one, many = (
        sampling.denoise_image(world.denoise, schedule, observed, 0.8, steps) for steps in (1, 50)
    )
    error = [((x - clean) ** 2).mean() for x in (observed, one, many)]
    assert error[1] < error[2] < error[0]
    assert (
        np.mean(abs(abs(many) - 1) < 0.4) > np.mean(abs(abs(one) - 1) < 0.4) + 0.2
    )  # sharp: near a mode
    with pytest.raises(ValueError, match="noise_std: expected a number in"):
        sampling.denoise_image(world.denoise, schedule, observed, 0.0)


def test_denoising_real_digits_beats_the_best_linear_filter():
    # The posterior mean of one Gaussian is the best linear (Wiener) filter; ten Gaussians, one for
    # each digit, know more. 360 test images, peak-to-peak 2; measured 16.2 and 17.8 dB where the
    # noise alone has 10.4.
    digits, schedule, noise_std = data.digits(), schedules.cosine(), 0.6
    train, test = (
        data.to_signed(x).reshape(len(x), -1).astype(np.float64)
        for x in (digits.train, digits.test)
    )
    observed = test + noise_std * np.random.default_rng(0).standard_normal(test.shape)

    def psnr(groups, ridge):
        means, covariances = zip(*[(x.mean(0), np.cov(x.T) + ridge * np.eye(64)) for x in groups])
        denoise = GaussianMixture(means, covariances, schedule=schedule).denoise
        error = sampling.denoise_image(denoise, schedule, observed, noise_std) - test
        return 10 * np.log10(2**2 / np.mean(error**2))

    linear = psnr([train], 1e-4)
    assert linear > 15.5
    assert psnr([train[digits.train_labels == label] for label in range(10)], 1e-2) > linear + 1


@every
def test_encoding_and_decoding_returns_the_image_to_first_order(schedule):
    x, denoise = np.linspace(-1, 1, 5)[:, None], gaussian(schedule)
    errors = []
    for steps in (200, 400):
        latent = sampling.encode(denoise, schedule, x, steps)
        errors.append(
            abs(run(latent, schedule.grid(steps)[::-1], denoise, ddim(schedule)) - x).max()
        )
    assert errors[1] < 0.02 and errors[0] / errors[1] == pytest.approx(2, abs=0.3)


def test_interpolation_starts_and_ends_at_the_two_samples():
    schedule, rng = schedules.cosine(), np.random.default_rng(0)
    start, end = rng.standard_normal((2, 3, 4))
    world = GaussianMixture(rng.standard_normal((2, 12)), 0.2, schedule=schedule)
    path = sampling.interpolate(world.denoise, schedule, start, end, [0, 0.5, 1], 20)
    assert path.shape == (3, 3, 4)
    ends = run(np.stack([start, end]), schedule.grid(20)[::-1], world.denoise, ddim(schedule))
    np.testing.assert_allclose(path[[0, 2]], ends, atol=1e-12)
    with pytest.raises(ValueError, match="great circle"):
        sampling.interpolate(world.denoise, schedule, start, -start, [0.5], 20)


def test_points_between_latents_of_one_length_keep_that_length():
    start, end, seen = np.array([3.0, 0.0]), np.array([0.0, 3.0]), []

    def denoise(x, t):
        seen.append(x)
        return x

    sampling.interpolate(denoise, schedules.flow(), start, end, np.linspace(0, 1, 5), 1)
    np.testing.assert_allclose(np.linalg.norm(seen[0], axis=-1), 3)
    np.testing.assert_allclose(seen[0][2], 3 / np.sqrt(2))
