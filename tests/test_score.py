"""ScoreSDE: likelihood, samples and learned scores against mixtures of Gaussians, where all of them
are known.

Statistical tests use fixed seeds and allow 5 standard errors: a false alarm once in 1.7 million
comparisons.
"""

import concurrent.futures
import functools
import math
import threading

import numpy as np
import pytest

import minigen as mg
from minigen import evaluate, nn, ops, oracles, sampling, schedules
from minigen.models.ddpm import DDPM
from minigen.models.score import EXACT_DIMENSIONS, FIRST_TIME, ScoreSDE
from minigen.tensor import Tensor

VP = schedules.variance_preserving()
VE = schedules.variance_exploding()
LINEAR = schedules.linear()
SCHEDULES = pytest.mark.parametrize("schedule", [VP, VE, LINEAR], ids=["VP", "VE", "linear"])


def generator(seed=0):
    return np.random.default_rng(seed)


def mixture(schedule):
    """Three components, uncentred, one of them oblique."""
    means, oblique = [[2.0, 1.0], [-1.0, 0.5], [0.0, 2.5]], [[0.3, 0.2], [0.2, 0.25]]
    return oracles.GaussianMixture(
        means, [0.1 * np.eye(2), oblique, 0.2 * np.eye(2)], [0.5, 0.3, 0.2], schedule
    )


class NoiseOf:
    """A differentiable network for N(mean, variance I).

    The noise is sigma (x_t - alpha mean) / variance_t.
    """

    def __init__(self, schedule, mean, variance, shape=(2,)):
        self.schedule, self.mean, self.variance, self.shape = schedule, mean, variance, shape
        self.unused = Tensor(np.ones(3))

    def __call__(self, x, t, label=None):
        alpha, sigma = float(self.schedule.alpha(t)), float(self.schedule.sigma(t))
        scale = math.sqrt(alpha**2 + sigma**2)  # x came divided by it
        return ops.mul(
            ops.sub(ops.mul(x, scale), alpha * self.mean),
            sigma / (alpha**2 * self.variance + sigma**2),
        )


# -- likelihood ------------------------------------------------------------------------------------


@SCHEDULES
def test_with_the_exact_score_and_the_exact_prior_the_likelihood_is_exact(schedule):
    data = mixture(schedule)
    x = np.concatenate(
        [data.sample(100, generator()), [[3.0, -1.0], [-3.0, 3.0]]]
    )  # and two unlikely points
    log_prob = ScoreSDE(data, schedule).log_prob(x, prior=functools.partial(data.log_prob, t=1.0))
    assert log_prob.dtype == np.float64
    np.testing.assert_allclose(log_prob, data.log_prob(x), atol=1e-3)


@pytest.mark.filterwarnings("ignore:variance_exploding")
def test_what_the_approximate_prior_costs_apart_from_the_integrator():
    costs = {}
    for schedule in (LINEAR, VP, VE, schedules.variance_exploding(sigma_max=10.0)):
        data = mixture(schedule)
        x, model, std = data.sample(100, generator()), ScoreSDE(data, schedule), schedule.prior_std
        cost = model.log_prob(x, prior=functools.partial(data.log_prob, t=1.0)) - model.log_prob(x)
        x_1, _ = model._flow(x, np.eye(2)[None], 100, lambda x_1: x_1)
        assumed = -((x_1 / std) ** 2 / 2 + math.log(std * math.sqrt(2 * math.pi))).sum(axis=1)
        np.testing.assert_allclose(cost, data.log_prob(x_1, 1.0) - assumed, atol=1e-9)
        costs[str(schedule)] = np.abs(cost).max()
    linear, preserving, fifty, ten = costs.values()  # nats, the largest over the points
    assert max(linear, preserving) < 0.05 and 4 < ten / fifty < 6, (
        costs
    )  # exploding: about mean * x_1 / sigma^2


def test_the_integrator_is_of_fourth_order():
    data = mixture(VP)
    x, model, prior = (
        data.sample(50, generator()),
        ScoreSDE(data, VP),
        functools.partial(data.log_prob, t=1.0),
    )
    errors = [
        np.abs(model.log_prob(x, steps, prior) - data.log_prob(x)).max() for steps in (50, 100)
    ]
    assert 8 < errors[0] / errors[1] < 32


def test_autograd_and_differences_give_one_divergence():
    schedule, x = VP, generator().standard_normal((20, 2)) + 0.4
    by_autograd = ScoreSDE(NoiseOf(schedule, 0.4, 0.3), schedule)
    by_differences = ScoreSDE(
        oracles.GaussianMixture([[0.4, 0.4]], 0.3, schedule=schedule), schedule
    )
    np.testing.assert_allclose(by_autograd.score(x, 0.3), by_differences.score(x, 0.3), atol=1e-6)
    np.testing.assert_allclose(
        by_autograd.log_prob(x), by_differences.log_prob(x), atol=2e-4
    )  # one starts at 1e-5
    few, many = by_autograd.log_prob(x, steps=20), by_autograd.log_prob(x, steps=200)
    np.testing.assert_allclose(
        few, many, atol=1e-4
    )  # its steps are fine near t = 0, where sigma is steep


def test_the_divergence_of_a_network_is_the_trace_of_its_jacobian_and_leaves_no_gradients():
    net = mg.networks.MLP((3,), width=16, layers=2, rng=generator())
    model, x, parameters = (
        ScoreSDE(net, VP),
        generator(1).standard_normal((4, 3)),
        nn.parameters(net),
    )
    score, curvature = model._score_and_curvature(
        model._without_gradients(), x, 0.4, np.eye(3)[None]
    )
    np.testing.assert_allclose(score, model.score(x, 0.4), atol=1e-6)
    for j in range(3):
        step = 1e-2 * np.eye(3)[j]
        difference = (model.score(x + step, 0.4) - model.score(x - step, 0.4))[:, j] / 2e-2
        np.testing.assert_allclose(curvature[:, j], difference, atol=2e-3)
    assert all(p.grad is None and p.requires_grad for p in parameters.values())


def test_hutchinsons_estimate_is_unbiased_and_knows_its_error():
    data = oracles.GaussianMixture(generator(5).standard_normal((3, 4)), 0.1, schedule=VP)
    model, x = ScoreSDE(data, VP), data.sample(200, generator(1))
    exact = model.log_prob(x, steps=20)
    estimate, error = model.log_prob_estimate(x, generator(2), probes=20, steps=20)
    z = (estimate - exact) / error
    assert (
        error.min() > 0 and abs(z.mean()) < 5 / 14 and 0.8 < z.std() < 1.3
    )  # 200 values of Student's t
    from_two = model.bound(x, generator(3)) - model.log_prob(x, steps=30)
    assert abs(from_two.mean()) < 5 * from_two.std() / 14
    _, of_more = model.log_prob_estimate(x, generator(2), probes=80, steps=20)
    assert 1.6 < error.mean() / of_more.mean() < 2.4


def test_several_threads_may_use_one_network():
    """Likelihoods in four threads, while a fifth trains, equal those one after the other."""
    net = mg.networks.MLP((2,), width=16, layers=2, rng=generator())
    model, x = ScoreSDE(net, VP), generator(1).standard_normal((16, 3, 2))
    alone = [model.log_prob(part, steps=5) for part in x]
    before = [p.node for p in nn.parameters(net).values()]
    losses = []

    def train():
        for _ in range(50):
            loss = model.loss(x[0], generator())
            loss.backward()
            losses.append(loss.item())

    trainer = threading.Thread(target=train)
    trainer.start()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda part: model.log_prob(part, steps=5), x))
    trainer.join()
    np.testing.assert_array_equal(together, alone)
    assert [p.node for p in nn.parameters(net).values()] == before
    assert len(losses) == 50 and len(set(losses)) == 1
    assert all(p.grad is not None for p in nn.parameters(net).values())


def test_a_likelihood_needs_gradients():
    model = ScoreSDE(mg.networks.MLP((2,), width=8, rng=generator()), VP)
    with mg.no_grad():
        with pytest.raises(RuntimeError, match="outside no_grad"):
            model.log_prob(np.zeros((1, 2)))
        assert np.all(np.isfinite(model.sample(2, generator(), steps=3)))
        assert np.all(np.isfinite(ScoreSDE(mixture(VP), VP).log_prob(np.zeros((1, 2)), steps=3)))


@pytest.mark.parametrize("method", ScoreSDE.METHODS)
@SCHEDULES
def test_every_schedule_that_is_taken_gives_finite_samples(schedule, method):
    net = mg.networks.MLP((2,), width=8, rng=generator())  # untrained
    assert np.all(
        np.isfinite(ScoreSDE(net, schedule).sample(5, generator(), method=method, steps=20))
    )


def test_a_schedule_that_ends_without_signal_is_refused():
    for schedule in (schedules.flow(), schedules.cosine()):
        for net in (mg.networks.MLP((2,), width=8, rng=generator()), mixture(schedule)):
            with pytest.raises(ValueError, match=r"too little signal.*variance_preserving.*serve"):
                ScoreSDE(net, schedule)


def test_log_prob_is_there_only_where_the_divergence_is_exact():
    few = ScoreSDE(mg.networks.MLP((EXACT_DIMENSIONS,), rng=generator()))
    many = ScoreSDE(mg.networks.UNet(channels=(8, 8), rng=generator()))
    assert hasattr(few, "log_prob") and not hasattr(many, "log_prob")
    with pytest.raises(AttributeError, match="64: see bound"):
        many.log_prob  # noqa: B018
    assert few.density and many.density


def test_a_density_of_grey_levels_is_a_bound_after_dequantisation():
    """Uniform levels in [-1, 1] have log p = -D log 17 and no density does better.

    A Gaussian one does worse.
    """
    levels, D = 17, 4
    x = mg.data.to_signed(generator().integers(0, levels, (64, D)))
    model = ScoreSDE(oracles.GaussianMixture(np.zeros((1, D)), 0.4, schedule=VP), VP)
    bits = evaluate.bits_per_dim(evaluate.Dequantized(model, 2 / 16), x, generator())
    assert str(bits).startswith("<= ") and "density" not in str(bits)
    assert math.log2(17) < bits.value < math.log2(17) + 0.6
    noisy = x + generator().uniform(-1 / 16, 1 / 16, x.shape)  # by hand
    by_hand = -(model.log_prob(noisy) / D + math.log(2 / 16)) / math.log(2)
    assert bits.value == pytest.approx(by_hand.mean(), abs=1e-6)
    alone = evaluate.bits_per_dim(model, x.astype(np.float64))
    assert "of a density" in str(alone) and str(alone).startswith("= ")


def test_images_get_an_estimate_of_their_bound():
    shape = (1, 8, 8)
    model = ScoreSDE(NoiseOf(VP, 0.1, 0.3, shape), VP)  # a Gaussian density of images, known
    x = np.round(generator().standard_normal((3, *shape)) * 4).clip(-8, 8).astype(np.float32) / 8
    u = generator(1).uniform(-1 / 16, 1 / 16, x.shape)
    known = -((x + u - 0.1) ** 2 / 0.6 + 0.5 * math.log(0.6 * math.pi)).reshape(3, -1).sum(axis=1)
    # a multiple of the identity: e^T J e is its trace for any signs, so the estimate has no error
    # but the integrator's
    bound = evaluate.Dequantized(model, 2 / 16).bound(x, generator(1))
    np.testing.assert_allclose(bound, known + 64 * math.log(2 / 16), atol=0.05)


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [VP, VE], ids=["VP", "VE"])
def test_the_loss_by_hand(schedule):
    x, noise, t = (
        generator().standard_normal((5, 2)),
        generator(1).standard_normal((5, 2)),
        np.linspace(0.1, 0.9, 5),
    )
    seen = {}

    class Net:
        shape = (2,)

        def __call__(self, x, t, label=None):
            seen.update(x=x, t=t)
            return Tensor(0.3 * np.asarray(x, np.float64))

    loss = ScoreSDE(Net(), schedule).loss(x, generator(), t=t, noise=noise).item()
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    x_t = alpha * x + sigma * noise
    scaled = x_t / np.sqrt(alpha**2 + sigma**2)
    np.testing.assert_allclose(seen["x"], scaled, rtol=1e-6)
    score = -0.3 * scaled / sigma
    assert loss == pytest.approx(np.mean((sigma * score + noise) ** 2), rel=1e-6)


def test_the_exact_score_has_the_least_loss():
    schedule, data = VP, oracles.GaussianMixture([[0.4, 0.4]], 0.3, schedule=VP)
    x, noise = data.sample(4000, generator()), generator(1).standard_normal((4000, 2))

    def loss(mean, variance):
        return (
            ScoreSDE(NoiseOf(schedule, mean, variance), schedule)
            .loss(x, generator(), t=0.2, noise=noise)
            .item()
        )

    assert loss(0.4, 0.3) < min(loss(0.5, 0.3), loss(0.3, 0.3), loss(0.4, 0.35), loss(0.4, 0.25))


def test_training_times_cover_the_whole_walk():
    seen = []

    class Net:
        shape = (1,)

        def __call__(self, x, t, label=None):
            seen.append(t)
            return Tensor(x)

    rng = generator()
    for _ in range(500):
        ScoreSDE(Net(), VP).loss(np.zeros((8, 1)), rng)
    t = np.concatenate(seen)
    assert t.min() >= FIRST_TIME and t.min() < 0.001 and 0.999 < t.max() <= 1
    assert abs(t.mean() - 0.5) < 5 * math.sqrt(1 / 12 / len(t))


@functools.cache
def learned(schedule):
    """A small network after some seconds of training on the mixture."""
    rng, data = generator(), mixture(schedule)
    net = mg.networks.MLP((2,), width=96, rng=rng)
    model, parameters = ScoreSDE(net, schedule), nn.parameters(net)
    batches = (data.sample(512, rng).astype(np.float32) for _ in range(800))
    how = {"learning_rate": mg.optim.warmup_cosine(4e-3, floor=0.01), "progress": False}
    for _ in mg.train(model, batches, 800, mg.AdamW(parameters, 4e-3), rng, **how):
        pass
    return model


@pytest.mark.parametrize("schedule", [VP, VE], ids=["VP", "VE"])
def test_the_learned_score_comes_near_the_exact_one(schedule):
    data, model, rng = mixture(schedule), learned(schedule), generator(1)
    x = data.sample(2000, rng)
    for t in (0.1, 0.3, 0.6, 0.9):
        x_t = schedule.noisy(x, rng.standard_normal(x.shape), t)
        error = schedule.sigma(t) ** 2 * np.mean((model.score(x_t, t) - data.score(x_t, t)) ** 2)
        assert error < 0.05 * schedule.sigma(t) ** 2 * np.mean(data.score(x_t, t) ** 2) + 0.02, t


@pytest.mark.parametrize("schedule", [VP, VE], ids=["VP", "VE"])
def test_the_learned_density_is_one_that_integrates_to_1_and_loses_little(schedule):
    data, model = mixture(schedule), learned(schedule)
    x = data.sample(400, generator(2))
    lost = data.log_prob(x) - model.log_prob(
        x, steps=60
    )  # its mean is the Kullback-Leibler divergence
    assert -5 * lost.std() / 20 < lost.mean() < 0.3
    axis = np.linspace(-4.5, 5.5, 41)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = np.exp(model.log_prob(grid, steps=40)).sum() * (axis[1] - axis[0]) ** 2
    assert mass == pytest.approx(1, abs=0.03)


# -- sampling --------------------------------------------------------------------------------------

HOW = [("ode", 100), ("sde", 400), ("langevin", 200)]


@pytest.mark.parametrize("schedule", [VP, VE], ids=["VP", "VE"])
@pytest.mark.parametrize("method, steps", HOW)
def test_samples_with_the_exact_score_are_the_data(schedule, method, steps):
    data, N = mixture(schedule), 1000
    x = ScoreSDE(data, schedule).sample(N, generator(), method=method, steps=steps)
    real = data.sample(100_000, generator(1))
    nearest = np.linalg.norm(x[:, None] - data.means, axis=2).argmin(axis=1)
    expected = np.bincount(np.linalg.norm(real[:, None] - data.means, axis=2).argmin(axis=1)) / len(
        real
    )
    bias = 0.15 if method == "langevin" else 0.03  # of the spread, for the finite steps
    for statistic, truth in [(x, real), (x**2, real**2), (x.prod(axis=1), real.prod(axis=1))]:
        error = statistic.std(axis=0) / math.sqrt(N)
        difference = np.abs(statistic.mean(axis=0) - truth.mean(axis=0))
        assert np.all(difference < 5 * error + bias * truth.std(axis=0)), difference
    share = np.bincount(nearest, minlength=3) / N
    assert np.all(np.abs(share - expected) < 5 * np.sqrt(expected / N) + 0.03)


@pytest.mark.parametrize("method, steps", HOW)
def test_samples_of_the_learned_score(method, steps):
    data = mixture(VP)
    x = learned(VP).sample(500, generator(), method=method, steps=steps)
    assert x.shape == (500, 2)
    real = data.log_prob(data.sample(1000, generator(1)))
    assert abs(data.log_prob(x).mean() - real.mean()) < 0.8  # nats; noise alone loses more than 3:
    assert data.log_prob(generator().standard_normal((1000, 2))).mean() < real.mean() - 3


def test_the_ode_there_and_back_is_one_path():
    data = mixture(VP)
    model, x = ScoreSDE(data, VP), mixture(VP).sample(10, generator())
    x_1, _ = model._flow(x, np.eye(2)[None], 200, lambda x_1: x_1)
    back = model.sample(10, generator(), method="ode", steps=1000, noise=x_1)
    np.testing.assert_allclose(back, x, atol=2e-3)


def test_one_step_of_euler_and_maruyama_by_hand():
    x, clean, z, now, after = np.array([[0.7]]), np.array([[0.2]]), np.array([[-1.1]]), 0.5, 0.4
    for schedule in (VP, VE):
        f, g2 = schedule.f(now), schedule.g2(now)
        score = -(x - schedule.alpha(now) * clean) / schedule.sigma(now) ** 2
        expected = x - 0.1 * (f * x - g2 * score) + math.sqrt(0.1 * g2) * z
        np.testing.assert_allclose(
            sampling.euler_maruyama(schedule, noise=[z])(x, clean, now, after), expected, rtol=1e-9
        )
        last = sampling.euler_maruyama(schedule, noise=[])(x, clean, now, 0.0)  # draws nothing
        np.testing.assert_allclose(last, x - 0.5 * (f * x - g2 * score), rtol=1e-9)


def test_runge_kutta_is_exact_for_a_cubic_and_of_fourth_order():
    step = sampling.runge_kutta(lambda x, t: 4 * t**3 + 0 * x)
    assert step(np.zeros(1), np.zeros(1), 0.0, 1.0)[0] == pytest.approx(1, abs=1e-12)
    errors = []
    for steps in (10, 20):
        x = sampling.run(
            np.ones(1),
            np.linspace(0, 1, steps + 1),
            lambda x, t: x,
            sampling.runge_kutta(lambda x, t: x),
        )
        errors.append(abs(x[0] - math.e))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.1)


def test_a_ddpm_that_predicts_noise_is_a_score_model():
    net = mg.networks.MLP((2,), width=16, rng=generator())
    ddpm, model, x = (
        DDPM(net, VP, predict="noise"),
        ScoreSDE(net, VP),
        generator(1).standard_normal((5, 2)),
    )
    np.testing.assert_allclose(model.denoise(x, 0.4), ddpm.denoise(x, 0.4), rtol=1e-5)


def test_the_denoiser_of_an_oracle_is_its_own():
    data, x = mixture(VE), generator().standard_normal((5, 2))
    np.testing.assert_allclose(ScoreSDE(data, VE).denoise(x, 0.4), data.denoise(x, 0.4), atol=1e-9)


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda m: m.loss(np.zeros((3, 2), int), generator()), TypeError, "floats"),
        (lambda m: m.loss(np.zeros((3, 3)), generator()), ValueError, r"\(2,\).*\(3, 3\)"),
        (lambda m: m.log_prob(np.zeros((3, 3))), ValueError, r"\(2,\).*\(3, 3\)"),
        (lambda m: m.log_prob(np.zeros((3, 2), int)), TypeError, "expected floats.*int64"),
        (lambda m: m.log_prob(np.zeros((3, 2)), steps=0), ValueError, "steps"),
        (
            lambda m: m.log_prob_estimate(np.zeros((3, 2)), generator(), probes=1),
            ValueError,
            "probes: .*at least 2, got 1",
        ),
        (lambda m: m.sample(3, generator(), method="pc"), ValueError, "method.*'pc'"),
        (lambda m: m.sample(3, generator(), steps=0), ValueError, "steps"),
        (lambda m: m.sample(3, 0), TypeError, "rng: .* got int 0"),
        (lambda m: m.loss(np.zeros((3, 2)), 0), TypeError, "rng: .* got int 0"),
        (lambda m: m.bound(np.zeros((3, 2)), 0), TypeError, "rng: .* got int 0"),
        (lambda m: m.sample(3, generator(), noise=np.zeros((2, 2))), ValueError, r"\(3, 2\), got"),
        (lambda m: m.score(np.zeros((3, 2)), 0.0), ValueError, "t > 0 only"),
        (lambda m: ScoreSDE(m.net, schedules.linear), TypeError, r"call the class"),
        (
            lambda m: ScoreSDE(mixture(VP), VP).loss(np.zeros((3, 2)), generator()),
            TypeError,
            "oracle",
        ),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(ScoreSDE(mg.networks.MLP((2,), width=8, rng=generator()), VP))


def test_an_oracle_without_a_score_is_refused():
    ideal = oracles.IdealDenoiser(np.eye(2), VP)
    with pytest.raises(TypeError, match=r"needs score\(x, t\), and IdealDenoiser has only denoise"):
        ScoreSDE(ideal)
