"""DDPM: data under noise of every strength, and a network that predicts the clean thing (Ho, Jain & Abbeel 2020).

Training hides a little precision everywhere; one step of sampling commits to a little precision everywhere.
Equation numbers are those of the DDPM paper. Step i of its chain of T stands at time t_i = i / T.
"""

import math
from collections.abc import Iterator

import numpy as np

from minigen import ops, sampling
from minigen.schedules import Schedule, cosine, spread
from minigen.tensor import Tensor, no_grad

SHARE_WITHOUT_LABEL = 0.1  # of the training examples: for classifier-free guidance the network must know both


class DDPM:
    """A discrete diffusion model.

    Args:
        net: called as net(x, t, label=None), see `minigen.networks`; `net.shape` is the shape of one example.
        schedule: a Gaussian noise schedule; cosine if not given.
        steps: length T of the chain.
        predict: what the network's output means: "noise", "clean" or "velocity".
        levels: number of grey levels, if the data are integers mapped to [-1, 1] (`data.to_signed`): `bound` then
            speaks of probabilities, and predictions are clipped to [-1, 1]. None: real data, and `bound` of densities.
        weighting: of the loss over t: "simple" (eq. 14, all t alike) or "bound" (eq. 12, as they count in the bound).
    """

    def __init__(
        self,
        net,
        schedule: Schedule | None = None,
        steps: int = 1000,
        predict: str = "noise",
        levels: int | None = None,
        weighting: str = "simple",
    ) -> None:
        if steps < 2:
            raise ValueError(f"DDPM: steps must be at least 2, got {steps}")
        if predict not in ("noise", "clean", "velocity"):
            raise ValueError(f'DDPM: predict must be "noise", "clean" or "velocity", got {predict!r}')
        if weighting not in ("simple", "bound"):
            raise ValueError(f'DDPM: weighting must be "simple" or "bound", got {weighting!r}')
        self.net, self.schedule, self.steps, self.predict = net, schedule or cosine(), steps, predict
        self.levels, self.weighting = levels, weighting

    @property
    def density(self) -> bool:
        """Whether `bound` is about densities (of real data) instead of probabilities (of grey levels)."""
        return self.levels is None

    # -- training ------------------------------------------------------------------------------------------------------

    def loss(
        self, x: np.ndarray, rng: np.random.Generator, label: np.ndarray | None = None, *, t=None, noise=None
    ) -> Tensor:
        """Mean squared error of the network's output at random t: a scalar, per dimension.

        Args:
            x: (B, *shape) floats, clean.
            label: (B,) classes, for a network that has them; a tenth is hidden from it.
            t: (B,) times on the grid, and
            noise: like x, to use instead of drawing them.
        """
        x = self._checked(x)
        if (
            t is None
        ):  # a random offset, then evenly spread over the batch: each t alike likely, less noise than B draws
            t = (1 + np.floor((rng.random() + np.arange(len(x)) / len(x)) % 1 * self.steps)) / self.steps
        noise = rng.standard_normal(x.shape, np.float32) if noise is None else noise
        if label is not None:
            label = np.where(rng.random(len(x)) < SHARE_WITHOUT_LABEL, self.net.classes, label)
        output = self.net(self.q_sample(x, t, noise), t, label)
        target = self.schedule.target(x, noise, t, self.predict)
        if self.weighting == "simple":
            return ops.mse_loss(output, target)
        root = spread(np.sqrt(self.steps * self._step_weight(t)) * self._clean_per_output(t), x)
        return ops.mse_loss(output * root, target * root)

    def q_sample(self, clean: np.ndarray, t, noise: np.ndarray) -> np.ndarray:
        """x_t = alpha(t) clean + sigma(t) noise: the forward chain in one jump (eq. 4)."""
        return self.schedule.noisy(clean, noise, t)

    def _clean_per_output(self, t) -> np.ndarray:
        """How far the meant clean thing moves when the network's output moves by one."""
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return {"noise": sigma / alpha, "clean": np.ones_like(alpha), "velocity": sigma / (alpha**2 + sigma**2)}[
            self.predict
        ]

    # -- sampling ------------------------------------------------------------------------------------------------------

    def denoise(self, x: np.ndarray, t, label: np.ndarray | None = None) -> np.ndarray:
        """The clean thing that the network sees in x at time t (a scalar or (B,)), shaped like x."""
        with no_grad():
            output = self.net(x.astype(np.float32), t, label).data
        clean = self.schedule.clean(output.astype(x.dtype), x, t, self.predict)
        return clean if self.levels is None else np.clip(clean, -1, 1)

    def sample(self, n: int, rng: np.random.Generator, **how) -> np.ndarray:
        """n fresh examples, (n, *shape). The arguments in `how` are those of `sample_walk`."""
        *_, x = self.sample_walk(n, rng, **how)
        return x

    def sample_walk(
        self,
        n: int,
        rng: np.random.Generator,
        method: str = "ancestral",
        steps: int | None = None,
        label: int | np.ndarray | None = None,
        guidance_scale: float = 1.0,
        noise: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Every state from pure noise to the sample, each (n, *shape).

        Args:
            method: "ancestral" (eq. 11, small variance), "ancestral-large", "ddim", "euler", "heun" or "multistep".
            steps: of the walk; the whole chain if not given.
            label: class or classes (n,) to draw from.
            guidance_scale: with a label: 1 obeys it, more exaggerates it (`sampling.guidance`).
            noise: (n, *shape) standard normal, to start from instead of drawing it.
        """
        steps = self.steps if steps is None else steps
        if n < 1 or steps < 1:
            raise ValueError(f"sample: n={n}, steps={steps}: expected at least 1 of each")
        denoise = self.denoise if label is None else self._denoise_with(np.broadcast_to(label, n), guidance_scale)
        rules = {
            "ancestral": lambda: sampling.ancestral(self.schedule, rng),
            "ancestral-large": lambda: sampling.ancestral(self.schedule, rng, variance="large"),
            "ddim": lambda: sampling.ddim(self.schedule),
            "euler": lambda: sampling.euler(self.schedule),
            "heun": lambda: sampling.heun(self.schedule, denoise),
            "multistep": lambda: sampling.multistep(self.schedule),
        }
        if method not in rules:
            raise ValueError(f"sample: method must be one of {sorted(rules)}, got {method!r}")
        x = rng.standard_normal((n, *self.net.shape), np.float32) if noise is None else noise
        x = x * np.float32(self.schedule.prior_std)
        yield x
        yield from sampling.walk(x, self.schedule.grid(steps)[::-1], denoise, rules[method]())

    def _denoise_with(self, label: np.ndarray, guidance_scale: float) -> sampling.Denoise:
        def conditional(x, t):
            return self.denoise(x, t, label)

        return conditional if guidance_scale == 1 else sampling.guidance(conditional, self.denoise, guidance_scale)

    # -- likelihood: the variational bound, eq. 5 ----------------------------------------------------------------------

    def bound(self, x: np.ndarray, rng: np.random.Generator, times: int = 50) -> np.ndarray:
        """An unbiased estimate of a lower bound on log p(x), for each example of x (B, *shape): (B,), nats.

        Args:
            times: how many of the T - 1 middle steps to evaluate for each example, spread evenly from a random one on.
        """
        return -sum(self.bound_terms(x, rng, times).values())

    def bound_terms(self, x: np.ndarray, rng: np.random.Generator, times: int = 50) -> dict[str, np.ndarray]:
        """The bound's costs by name, each (B,) in nats: "prior" L_T, "steps" L_2 + ... + L_T-1, "decoder" L_0."""
        x = self._checked(x)
        if not 1 <= times <= self.steps - 1:
            raise ValueError(f"bound: times must lie in 1..{self.steps - 1}, got {times}")
        return {
            "prior": self._prior_cost(x),
            "steps": self._steps_cost(x, rng, times),
            "decoder": self._decoder_cost(x, rng),
        }

    def _prior_cost(self, x: np.ndarray) -> np.ndarray:
        """KL of q(x_T | x) = N(alpha x, sigma^2) from the prior N(0, s^2)."""
        s2 = self.schedule.prior_std**2
        variance = self.schedule.sigma(1.0) ** 2 / s2
        mean_square = self.schedule.alpha_bar(1.0) * x.astype(np.float64) ** 2 / s2
        return _per_example((variance + mean_square - 1 - np.log(variance)) / 2)

    def _steps_cost(self, x: np.ndarray, rng: np.random.Generator, times: int) -> np.ndarray:
        """Sum over i = 2 .. T of KL(q(x_i-1 | x_i, x) || p(x_i-1 | x_i)) (eq. 8), estimated from `times` of them.

        Both are normal with the small variance, so each is (SNR(t_i-1) - SNR(t_i)) / 2 times |x - denoised|^2.
        """
        total = np.zeros(len(x))
        start = rng.random(len(x))
        for k in range(times):
            i = 2 + np.floor((start + k) / times * (self.steps - 1))  # each of 2 .. T alike likely
            t = i / self.steps
            x_t = self.q_sample(x, t, rng.standard_normal(x.shape, np.float32))
            total += self._step_weight(t) * _per_example(np.square(x - self.denoise(x_t, t), dtype=np.float64))
        return total * (self.steps - 1) / times

    def _step_weight(self, t) -> np.ndarray:
        """(SNR(t - 1/T) - SNR(t)) / 2; SNR(t) / 2 for the first step, where the decoder's variance is 1 / SNR."""
        snr = np.exp(self.schedule.log_snr(t))
        before = np.where(
            t * self.steps > 1.5, np.exp(self.schedule.log_snr(np.maximum(t - 1 / self.steps, 1 / self.steps))), 2 * snr
        )
        return (before - snr) / 2

    def _decoder_cost(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """-log p(x | x_1): normal around the denoised x_1, integrated over the width of the grey level (eq. 13)."""
        t = 1 / self.steps
        mean = self.denoise(self.q_sample(x, t, rng.standard_normal(x.shape, np.float32)), t).astype(np.float64)
        std = float(self.schedule.sigma(t) / self.schedule.alpha(t))
        if self.levels is None:
            return _per_example(np.square((x - mean) / std) / 2 + math.log(std * math.sqrt(2 * math.pi)))
        half = 1 / (self.levels - 1)  # of the width of a level in [-1, 1]; the outermost levels reach to infinity
        low = np.where(x < -1 + half, -np.inf, (x - half - mean) / std)
        high = np.where(x > 1 - half, np.inf, (x + half - mean) / std)
        return _per_example(-_log_normal_mass(low, high))

    def _checked(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        if x.dtype.kind != "f":
            raise TypeError(
                f"DDPM: x has dtype {x.dtype}, expected floats (data.to_signed maps grey levels to [-1, 1])"
            )
        if x.shape[1:] != tuple(self.net.shape) or not len(x):
            raise ValueError(f"DDPM: expected one or more examples of shape {tuple(self.net.shape)}, got {x.shape}")
        return x.astype(np.float32)


def _per_example(x: np.ndarray) -> np.ndarray:
    """Sum over all axes but the first."""
    return x.reshape(len(x), -1).sum(axis=1)


def _log_normal_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """log of the mass of N(0, 1) between low and high, also far out in a tail where the mass itself is 0 in float64."""
    flip = low + high > 0  # the mirror image in the lower tail keeps its digits
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    log_high = _log_normal_cdf(high)
    return log_high + np.log1p(-np.exp(_log_normal_cdf(low) - log_high))


def _log_normal_cdf(z: np.ndarray) -> np.ndarray:
    """log Phi(z); below -20 by its asymptotic series (Abramowitz & Stegun 26.2.12)."""
    z = np.asarray(z, np.float64)
    near = np.log(np.vectorize(math.erfc, otypes=[float])(-np.maximum(z, -20) / math.sqrt(2)) / 2)
    far = np.minimum(z, -20)
    with np.errstate(invalid="ignore"):
        tail = -(far**2) / 2 - np.log(-far * math.sqrt(2 * math.pi)) + np.log1p(-1 / far**2 + 3 / far**4 - 15 / far**6)
    return np.where(z > -20, near, np.where(np.isneginf(z), -np.inf, tail))
