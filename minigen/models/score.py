"""ScoreSDE: which way is uphill in log density, at every noise level (Song et al. 2021; Song & Ermon 2019).

The continuous-time twin of `ddpm`: noise grows along the equation dx = f x dt + g dw, and the score, the gradient of
log p_t(x), is all it takes to go back: by a stochastic equation, by an ordinary one, or by Langevin steps. The ordinary
one moves every point without chance, so it also carries the density along: a likelihood. Equation numbers are those of
Song et al. (2021).
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from minigen import nn, ops, sampling
from minigen.schedules import Schedule, spread, variance_preserving
from minigen.tensor import Tensor, no_grad

FIRST_TIME = 1e-5  # where a network's training and likelihood start: at t = 0 the score of data may be infinite
EXACT_DIMENSIONS = 16  # up to here the divergence is computed exactly, one probe a dimension


class ScoreSDE:
    """A score-based model of densities, with the likelihood of its probability-flow ODE.

    Up to EXACT_DIMENSIONS dimensions there is `log_prob`, exact for this model up to the steps of the integrator.
    Beyond, the method is not there (`hasattr` is false), only its unbiased estimate: `bound`. For grey levels put
    `evaluate.Dequantized` around the model: then it is a bound on their probability.

    Args:
        net: called as net(x, t), see `minigen.networks`; x comes with variance near 1, and the output, scaled by
            -1 / sigma(t), is the score: so it is the noise that the network learns to see, as in a DDPM with
            predict="noise". `net.shape` is the shape of one example. Or an oracle with `score(x, t)` in its place.
        schedule: variance_preserving() if not given; or variance_exploding().
    """

    density = True

    def __init__(self, net, schedule: Schedule | None = None) -> None:
        self.net, self.schedule = net, schedule or variance_preserving()
        self._oracle = hasattr(net, "score")

    # -- training ------------------------------------------------------------------------------------------------------

    def loss(self, x: np.ndarray, rng: np.random.Generator, *, t=None, noise=None) -> Tensor:
        """Denoising score matching (eq. 7, weight sigma^2) of x (B, *shape): mean |sigma score(x_t) + noise|^2.

        The score of q(x_t | x) is -noise / sigma; its average over all x that could be behind x_t, which is what the
        least squares find, is the score of p_t (Vincent 2011). t (B,) and noise like x may be handed in.
        """
        if t is None:  # spread evenly over the batch
            t = FIRST_TIME + (1 - FIRST_TIME) * ((rng.random() + np.arange(len(x)) / len(x)) % 1)
        noise = rng.standard_normal(x.shape, np.float32) if noise is None else noise
        return ops.mse_loss(self._noise(self.schedule.noisy(x, noise, t), t), noise)

    def _noise(self, x, t) -> Tensor:
        """What the network sees as noise in x (B, *shape), -sigma score."""
        scale = (
            self.schedule.alpha(t) ** 2 + self.schedule.sigma(t) ** 2
        ) ** -0.5  # 1 for variance_preserving
        return self.net(
            x * np.reshape(scale, scale.shape + (1,) * (x.ndim - scale.ndim)).astype(x.dtype), t
        )

    def score(self, x: np.ndarray, t) -> np.ndarray:
        """Gradient of log p_t at x (B, *shape), t > 0 a scalar or (B,): shaped like x."""
        if self._oracle:
            return self.net.score(x, t)
        with no_grad():
            return self._noise(x.astype(np.float32), t).data / -spread(self.schedule.sigma(t), x)

    def denoise(self, x: np.ndarray, t) -> np.ndarray:
        """E[clean | x_t] by Tweedie's formula (x + sigma^2 score) / alpha: what `minigen.sampling` asks for."""
        return (x + spread(self.schedule.sigma(t) ** 2, x) * self.score(x, t)) / spread(
            self.schedule.alpha(t), x
        )

    # -- sampling ------------------------------------------------------------------------------------------------------

    def sample(self, n: int, rng: np.random.Generator, **how) -> np.ndarray:
        """n fresh examples, (n, *shape). The arguments in `how` are those of `sample_walk`."""
        *_, x = self.sample_walk(n, rng, **how)
        return x

    def sample_walk(
        self,
        n: int,
        rng: np.random.Generator,
        method: str = "ode",
        steps: int = 200,
        noise: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Every state from noise to the sample, each (n, *shape).

        Args:
            method: "ode" (eq. 13, by Heun's rule), "sde" (eq. 6, by Euler and Maruyama's), or "langevin".
            steps: of the walk, even in t.
            noise: (n, *shape) standard normal, to start from instead of drawing it.
        """
        rules = {
            "ode": lambda: sampling.heun(self.schedule, self.denoise),
            "sde": lambda: sampling.euler_maruyama(self.schedule, rng),
            "langevin": lambda: sampling.langevin(self.schedule, self.denoise, rng),
        }
        if method not in rules:
            raise ValueError(f"sample: method must be one of {sorted(rules)}, got {method!r}")
        x = rng.standard_normal((n, *self.net.shape)) if noise is None else noise
        x = x * x.dtype.type(self.schedule.prior_std)
        times = self.schedule.grid(steps)[::-1]
        yield x
        yield from sampling.walk(x, times, self.denoise, rules[method]())

    # -- likelihood by the ODE, eq. 39 ---------------------------------------------------------------------------------

    @property
    def log_prob(self) -> Callable:
        """log_prob(x, steps=100, prior=None): exact log density of x (B, *shape), (B,) nats.

        `prior(x_1)` (B,) is the log density at t = 1, N(0, prior_std^2) if not given; with the true one of an oracle,
        what is left of the error shows what that approximation costs.
        """
        D = int(np.prod(self.net.shape))
        if D > EXACT_DIMENSIONS:
            raise AttributeError(
                f"log_prob: exact up to {EXACT_DIMENSIONS} dimensions, these are {D}: see bound"
            )

        def log_prob(x: np.ndarray, steps: int = 100, prior: Callable | None = None) -> np.ndarray:
            at_one, gains = self._flow(x, np.eye(D)[None], steps, prior)
            return at_one + gains.sum(axis=1)  # the trace, one diagonal element after the other

        return log_prob

    def bound(self, x: np.ndarray, rng: np.random.Generator, steps: int = 30) -> np.ndarray:
        """An unbiased estimate of log p(x) itself, from two probes: (B,) nats. See `log_prob_estimate`."""
        return self.log_prob_estimate(x, rng, 2, steps)[0]

    def log_prob_estimate(
        self,
        x: np.ndarray,
        rng: np.random.Generator,
        probes: int = 10,
        steps: int = 100,
        prior: Callable | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """log p(x) with the divergence estimated by Hutchinson's trick (eq. 40), and its standard error: (B,), nats.

        For random signs e, the mean of e^T J e is the trace of J. Each probe is kept along the whole path.
        """
        if probes < 2:
            raise ValueError(
                f"log_prob_estimate: a standard error needs at least 2 probes, got {probes}"
            )
        signs = rng.choice([-1.0, 1.0], size=(len(x), probes, int(np.prod(self.net.shape))))
        at_one, gains = self._flow(x, signs, steps, prior)
        return at_one + gains.mean(axis=1), gains.std(axis=1, ddof=1) / np.sqrt(probes)

    def _flow(self, x, probes, steps, prior) -> tuple[np.ndarray, np.ndarray]:
        """Carry x to t = 1: the log density there (B,), and e^T (d slope / dx) e, integrated, for each probe e (B, P).

        It is the walk of sampling, from data to noise; its state is x (B, *shape) and, beside it, the integrals.
        """
        if x.dtype.kind != "f" or x.shape[1:] != tuple(self.net.shape):
            raise ValueError(
                f"x: expected floats of shape (B, *{tuple(self.net.shape)}), got {x.dtype} {x.shape}"
            )
        x, D = x.astype(np.float64), x[0].size

        def slope(state: np.ndarray, t: float) -> np.ndarray:
            at = state[:, :D].reshape(x.shape)
            f, half_g2 = self.schedule.f(t), self.schedule.g2(t) / 2
            score, curvature = self._score_and_curvature(at, t, probes)
            drift = f * state[:, :D] - half_g2 * score.reshape(len(x), D)  # eq. 13
            return np.concatenate(
                [drift, f * (probes**2).sum(axis=2) - half_g2 * curvature], axis=1
            )

        times = np.maximum(
            self.schedule.grid(steps) ** 2, 0 if self._oracle else FIRST_TIME
        )  # near 0, sigma ~ sqrt(t)
        state = np.concatenate(
            [x.reshape(len(x), D), np.zeros((len(x), probes.shape[1]))], axis=1
        )  # (B, D + P)
        state = sampling.run(state, times, slope, sampling.runge_kutta(slope))
        x_1 = state[:, :D]
        s2 = self.schedule.prior_std**2
        if prior is None:
            return -((x_1**2).sum(axis=1) / s2 + D * np.log(2 * np.pi * s2)) / 2, state[:, D:]
        return prior(x_1.reshape(x.shape)), state[:, D:]

    def _score_and_curvature(self, x, t, probes) -> tuple[np.ndarray, np.ndarray]:
        """The score at x, and e^T (d score / dx) e for each probe e, probes (B or 1, P, D): (B, P)."""
        P = probes.shape[1]
        many = np.repeat(
            x, P, axis=0
        )  # every example once a probe: the examples of a batch do not see each other
        e = np.broadcast_to(
            probes.reshape(len(probes), P, *x.shape[1:]), (len(x), P, *x.shape[1:])
        ).reshape(many.shape)
        if self._oracle:  # by central differences
            h = 1e-5 * (1 + np.sqrt(np.mean(x**2)))
            slopes = (self.score(many + h * e, t) - self.score(many - h * e, t)) / (2 * h)
            return self.score(x, t), (slopes * e).reshape(len(x), P, -1).sum(axis=2)
        leaf = Tensor(many.astype(np.float32))
        with _frozen(self.net):
            noise = self._noise(leaf, t)
            ops.sum(noise * e.astype(np.float32)).backward()
        sigma = float(self.schedule.sigma(t))
        curvature = (leaf.grad * e).reshape(len(x), P, -1).sum(axis=2) / -sigma
        return noise.data[::P] / -sigma, curvature


@contextlib.contextmanager
def _frozen(net) -> Iterator[None]:
    """Within this block the parameters count as constants: only the input gets a gradient."""
    nodes = {p: p.node for p in nn.parameters(net).values()}
    for p in nodes:
        p.node = None
    try:
        yield
    finally:
        for p, node in nodes.items():
            p.node = node
