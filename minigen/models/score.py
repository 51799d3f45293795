"""ScoreSDE: which way is uphill in log density, at every noise level (Song et al. 2021).

The continuous-time twin of `ddpm`, after Song & Ermon (2019): noise grows along dx = f x dt + g dw,
and the score, the gradient of log p_t(x), is all it takes to go back: by a stochastic equation, by
an ordinary one, or by Langevin steps. The ordinary one moves every point without chance, so it also
carries the density along: a likelihood. Equation numbers are those of Song et al. (2021).
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, nn, ops, sampling
from minigen.models.protocol import Walks
from minigen.schedules import Schedule, agreed, even_draws, log_normal, spread, variance_preserving
from minigen.tensor import Tensor, no_grad

FIRST_TIME = 1e-5  # of a network's training and likelihood: at t = 0 the score may be infinite
LEAST_SIGNAL = 1e-3  # alpha at t = 1, which the score is divided by to see the clean thing
EXACT_DIMENSIONS = 16  # up to here the divergence is exact, one probe a dimension


class ScoreSDE(Walks):
    """A score-based model of densities, with the likelihood of its probability-flow ODE.

    Up to EXACT_DIMENSIONS dimensions there is `log_prob`, exact for this model up to the steps of
    the integrator (and FIRST_TIME). Beyond, the method is not there (`hasattr` is false), only its
    unbiased estimate: `bound`. For grey levels put `evaluate.Dequantized` around the model: then it
    is a bound on their probability.

    Args:
        net: called as net(x, t), see `minigen.networks`; x comes with variance near 1, and the
            output, scaled by -1 / sigma(t), is the score: so it is the noise that the network
            learns to see, as in a DDPM with predict="noise". `net.shape` is the shape of one
            example. Or an oracle with `score(x, t)` in its place.
        schedule: if not given, the oracle's own, or variance_preserving(). There are also
            variance_exploding() and linear(). Not cosine() or flow(): they end with (almost) no
            signal, where the drift f = d log alpha / dt has no limit, and the score, which is
            divided by alpha, tells nothing of the clean thing.
    """

    METHODS = ("ode", "sde", "langevin")
    density = True

    def __init__(self, net, schedule: Schedule | None = None) -> None:
        if hasattr(net, "denoise") and not hasattr(net, "score"):
            came = f"an oracle needs score(x, t), and {type(net).__name__} has only denoise"
            raise TypeError(f"net: {came}: DDPM takes it")
        schedule = agreed(schedule, net, default=variance_preserving())
        if schedule.alpha(1.0) < LEAST_SIGNAL:
            serve = "variance_preserving, variance_exploding and linear serve"
            raise ValueError(f"ScoreSDE: {schedule} ends with too little signal: {serve}")
        self.net, self.schedule = net, schedule
        self._oracle = hasattr(net, "score")

    __repr__ = nn.describe

    # -- hide: a little precision everywhere -------------------------------------------------------

    def q_sample(self, clean: ndarray, noise: ndarray, t) -> ndarray:
        """x_t = alpha(t) clean + sigma(t) noise: the forward equation at t (eq. 29)."""
        return self.schedule.noisy(clean, noise, t)

    # -- predict -----------------------------------------------------------------------------------

    def denoise(self, x: ndarray, t) -> ndarray:
        """E[clean | x_t] by Tweedie's formula, (x + sigma^2 score) / alpha, shaped like x."""
        noise = -spread(self.schedule.sigma(t), x) * self.score(x, t)
        return self.schedule.clean(noise, x, t, "noise")

    def score(self, x: ndarray, t) -> ndarray:
        """Gradient of log p_t at x (B, *shape), t > 0 a scalar or (B,): shaped like x."""
        if self._oracle:
            return self.net.score(x, t)
        if not np.all(np.asarray(t) > 0):
            raise ValueError(f"score: a network knows it for t > 0 only, got t = {t}")
        with no_grad():
            noise = self._noise(self.net, x.astype(np.float32), t).data
        return noise / -spread(self.schedule.sigma(t), x)

    def _noise(self, net, x_t, t) -> Tensor:
        """What the network sees as noise in x_t (B, *shape), array or Tensor: -sigma score."""
        return net(self.schedule.scaled(x_t, t), t)

    # -- loss --------------------------------------------------------------------------------------

    def loss(self, x: ndarray, rng: Generator, *, t=None, noise=None) -> Tensor:
        """Denoising score matching (eq. 7, weight sigma^2): mean |sigma score(x_t) + noise|^2.

        The score of q(x_t | x) is -noise / sigma; its average over all x that could be behind x_t,
        which is what the least squares find, is the score of p_t (Vincent 2011). x is (B, *shape);
        t (B,) and noise like x may be handed in.
        """
        arguments.generator(rng)
        if self._oracle:
            raise TypeError(f"loss: {type(self.net).__name__} is an oracle: nothing to train")
        if t is None:
            t = FIRST_TIME + (1 - FIRST_TIME) * even_draws(len(x), rng)
        noise = rng.standard_normal(x.shape, np.float32) if noise is None else noise
        return ops.mse_loss(self._noise(self.net, self.q_sample(x, noise, t), t), noise)

    # -- sample_walk -------------------------------------------------------------------------------

    def sample_walk(
        self, n: int, rng: Generator, method: str = "ode", steps: int = 200,
        noise: ndarray | None = None,
    ) -> Iterator[ndarray]:  # fmt: skip
        """Every state from noise to the sample, each (n, *shape).

        Args:
            method: "ode" (eq. 13, by Heun's rule), "sde" (eq. 6, Euler and Maruyama's) or
                "langevin".
            steps: of the walk, even in t.
            noise: (n, *shape) standard normal, to start from instead of drawing it.
        """
        return sampling.from_noise(
            (n, *self.net.shape), self.schedule, self.denoise, rng,
            method=method, offered=self.METHODS, steps=steps, noise=noise, dtype=np.float64,
        )  # fmt: skip

    # -- log_prob, bound: by the ODE, eq. 39 -------------------------------------------------------

    @property
    def log_prob(self) -> Callable:
        """log_prob(x, steps=100, prior=None): exact log density of x (B, *shape), (B,) nats.

        `prior(x_1)` (B,) is the log density at t = 1, N(0, prior_std^2) if not given; with the true
        one of an oracle, what is left of the error shows what that approximation costs.
        """
        D = int(np.prod(self.net.shape))
        if D > EXACT_DIMENSIONS:
            limit = f"exact up to {EXACT_DIMENSIONS} dimensions, these are {D}"
            raise AttributeError(f"log_prob: {limit}: see bound")

        def log_prob(x: ndarray, steps: int = 100, prior: Callable | None = None) -> ndarray:
            at_one, gains = self._flow(x, np.eye(D)[None], steps, prior)
            return at_one + gains.sum(axis=1)  # the trace, one diagonal element after the other

        return log_prob

    def bound(self, x: ndarray, rng: Generator, steps: int = 30) -> ndarray:
        """An unbiased estimate of log p(x) itself, the tightest lower bound there is: (B,) nats.

        `log_prob_estimate` of two probes.
        """
        return self.log_prob_estimate(x, rng, 2, steps)[0]

    def log_prob_estimate(
        self, x: ndarray, rng: Generator, probes: int = 10, steps: int = 100,
        prior: Callable | None = None,
    ) -> tuple[ndarray, ndarray]:  # fmt: skip
        """log p(x), the divergence by Hutchinson's trick (eq. 40), and its standard error: (B,).

        For random signs e, the mean of e^T J e is the trace of J. Each probe is kept along the
        path.
        """
        arguments.whole(2, probes=probes)  # fewer have no standard error
        size = (len(x), probes, int(np.prod(self.net.shape)))
        signs = arguments.generator(rng).choice([-1.0, 1.0], size=size)
        at_one, gains = self._flow(x, signs, steps, prior)
        return at_one + gains.mean(axis=1), gains.std(axis=1, ddof=1) / np.sqrt(probes)

    def _flow(self, x, probes, steps, prior) -> tuple[ndarray, ndarray]:
        """Carry x to t = 1: the log density there (B,), integrals of e^T (d slope / dx) e (B, P).

        It is the walk of sampling, from data to noise; its state is x (B, *shape) and, beside it,
        the integrals, one for each probe e.
        """
        shape = tuple(self.net.shape)
        arguments.examples(x, shape)
        B, P, D = len(x), probes.shape[1], int(np.prod(shape))
        net, length2 = self._without_gradients(), (probes**2).sum(axis=2)

        def slope(state: ndarray, t: float) -> ndarray:
            x = state[:, :D]
            f, half_g2 = self.schedule.f(t), self.schedule.g2(t) / 2
            score, curvature = self._score_and_curvature(net, x.reshape(-1, *shape), t, probes)
            drift = f * x - half_g2 * score.reshape(B, D)  # eq. 13
            return np.concatenate([drift, f * length2 - half_g2 * curvature], axis=1)

        first = 0 if self._oracle else FIRST_TIME
        times = np.maximum(self.schedule.grid(steps) ** 2, first)  # near 0, sigma ~ sqrt(t)
        state = np.concatenate([x.astype(np.float64).reshape(B, D), np.zeros((B, P))], axis=1)
        state = sampling.run(state, times, slope, sampling.runge_kutta(slope))
        x_1, gains = state[:, :D], state[:, D:]
        if prior is not None:
            return prior(x_1.reshape(x.shape)), gains
        return log_normal(x_1, 0, self.schedule.prior_std).sum(axis=1), gains

    def _score_and_curvature(self, net, x, t, probes) -> tuple[ndarray, ndarray]:
        """The score at x, and e^T (d score / dx) e for each probe e, probes (B or 1, P, D): (B, P).

        Every example stands once a probe in one batch: the examples of a batch do not see each
        other.
        """
        B, P = len(x), probes.shape[1]
        many = np.repeat(x, P, axis=0)
        e = np.broadcast_to(probes, (B, P, probes.shape[2])).reshape(many.shape)
        if self._oracle:  # by central differences
            h = 1e-5 * (1 + np.sqrt(np.mean(x**2)))
            slopes = (self.score(many + h * e, t) - self.score(many - h * e, t)) / (2 * h)
            return self.score(x, t), (slopes * e).reshape(B, P, -1).sum(axis=2)
        leaf = Tensor(many.astype(np.float32))
        noise = self._noise(net, leaf, t)
        if not noise.requires_grad:
            raise RuntimeError("the likelihood needs a gradient by x: ask for it outside no_grad()")
        ops.sum(noise * e.astype(np.float32)).backward()
        sigma = float(self.schedule.sigma(t))
        curvature = (leaf.grad * e).reshape(B, P, -1).sum(axis=2) / -sigma
        return noise.data[::P] / -sigma, curvature

    def _without_gradients(self):
        """A copy of the network with constants for parameters: only its input gets a gradient."""
        if self._oracle:
            return self.net
        parameters = nn.parameters(self.net).values()
        constants = {id(p): Tensor(p.data, requires_grad=False) for p in parameters}
        return copy.deepcopy(self.net, constants)  # which takes them for copies already made
