"""DDPM: data under noise of every strength, and a network that predicts the clean thing (Ho, Jain & Abbeel 2020).

Training hides a little precision everywhere; one step of sampling commits to a little precision everywhere.
Equation numbers are those of the DDPM paper. Step i of its chain of T stands at time t_i = i / T.
"""

import math
from collections.abc import Iterator

import numpy as np

from minigen import ops, sampling
from minigen.schedules import SMALLEST_ALPHA, Schedule, cosine, spread
from minigen.tensor import Tensor, no_grad

SHARE_WITHOUT_LABEL = (
    0.1  # of the training examples: classifier-free guidance needs a network that knows both
)


class DDPM:
    """A discrete diffusion model.

    Args:
        net: called as net(x, t, label=None), see `minigen.networks`; `net.shape` is the shape of one example. Or an
            oracle of `minigen.oracles` in its place: then `denoise` is exact, and there is nothing to train.
        schedule: a Gaussian noise schedule; cosine if not given.
        steps: length T of the chain.
        predict: what the network's output means: "noise", "clean" or "velocity".
        levels: number of grey levels, if the data are integers mapped to [-1, 1] (`data.to_signed`): `bound` then
            speaks of probabilities, and predictions are clipped to [-1, 1]. None: real data, and `bound` of densities.
        weighting: of the loss over t: "simple" (eq. 14, all t alike) or "bound" (eq. 12, as they count in the bound:
            the loss is then in nats per dimension, less what no network can change).
    """

    def __init__(
        self, net, schedule: Schedule | None = None, steps: int = 1000, predict: str = "noise",
        levels: int | None = None, weighting: str = "simple",
    ) -> None:  # fmt: skip
        if steps < 2 or (levels is not None and levels < 2):
            raise ValueError(
                f"DDPM: steps and levels must be at least 2, got steps={steps}, levels={levels}"
            )
        if predict not in ("noise", "clean", "velocity"):
            raise ValueError(
                f'DDPM: predict must be "noise", "clean" or "velocity", got {predict!r}'
            )
        if weighting not in ("simple", "bound"):
            raise ValueError(f'DDPM: weighting must be "simple" or "bound", got {weighting!r}')
        self.net, self.schedule, self.steps, self.predict = (
            net,
            schedule or cosine(),
            steps,
            predict,
        )
        self.levels, self.weighting = levels, weighting
        self.density = (
            levels is None
        )  # whether `bound` is about densities of real data or probabilities of grey levels

    # -- training ------------------------------------------------------------------------------------------------------

    def q_sample(self, clean: np.ndarray, noise: np.ndarray, t) -> np.ndarray:
        """x_t = alpha(t) clean + sigma(t) noise: the forward chain in one jump (eq. 4)."""
        return self.schedule.noisy(clean, noise, t)

    def loss(
        self, x: np.ndarray, rng: np.random.Generator, label=None, *, t=None, noise=None
    ) -> Tensor:
        """Mean squared error of the network's output at random t: a scalar, per dimension.

        Args:
            x: (B, *shape) floats, clean.
            label: (B,) classes, for a network that has them; a tenth is hidden from it.
            t: (B,) times on the grid i / T, and
            noise: like x, to use instead of drawing them.
        """
        x = self._checked(x)
        if (
            t is None
        ):  # each step alike likely, but spread evenly over the batch: a less noisy loss than B draws
            place = (rng.random() + np.arange(len(x)) / len(x)) % 1
            t = (1 + np.floor(place * self.steps)) / self.steps
        noise = rng.standard_normal(x.shape, np.float32) if noise is None else noise
        if label is not None:
            hidden = rng.random(len(x)) < SHARE_WITHOUT_LABEL
            label = np.where(hidden, self.net.classes, self._checked_label(label, len(x)))
        output = self.net(self.q_sample(x, noise, t), t, label)
        target = self.schedule.target(x, noise, t, self.predict)
        if self.weighting == "simple":
            return ops.mse_loss(output, target)
        root = spread(np.sqrt(self.steps * self._step_weight(t)) * self._clean_per_output(t), x)
        return ops.mse_loss(output * root, target * root)

    def _clean_per_output(self, t) -> np.ndarray:
        """How far the clean thing moves when the network's output, which stands for it, moves by one."""
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        if self.predict == "noise":
            return sigma / np.maximum(alpha, SMALLEST_ALPHA)
        return np.ones_like(alpha) if self.predict == "clean" else sigma / (alpha**2 + sigma**2)

    # -- sampling ------------------------------------------------------------------------------------------------------

    def denoise(self, x: np.ndarray, t, label: np.ndarray | None = None) -> np.ndarray:
        """The clean thing that the network sees in x (B, *shape) at time t, a scalar or (B,); shaped like x."""
        if hasattr(self.net, "denoise"):  # an oracle
            return self.net.denoise(x, t)
        with no_grad():
            output = self.net(x.astype(np.float32), t, label).data
        return self._clipped(self.schedule.clean(output.astype(x.dtype), x, t, self.predict))

    def sample(self, n: int, rng: np.random.Generator, **how) -> np.ndarray:
        """n fresh examples, (n, *shape). The arguments in `how` are those of `sample_walk`."""
        *_, x = self.sample_walk(n, rng, **how)
        return x

    def sample_walk(
        self, n: int, rng: np.random.Generator, method: str = "ancestral", steps: int | None = None, eta: float = 0.0,
        label: int | np.ndarray | None = None, guidance_scale: float = 1.0, noise: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:  # fmt: skip
        """Every state from pure noise to the sample, each (n, *shape).

        Args:
            method: "ancestral" (eq. 11, small variance), "ancestral-large", "ddim", "heun" or "multistep".
            steps: of the walk; the whole chain if not given.
            eta: of "ddim", how much noise it draws: 0 none, 1 as much as "ancestral".
            label: class or classes (n,) to draw from.
            guidance_scale: with a label: 1 obeys it, more exaggerates it (`sampling.guidance`).
            noise: (n, *shape) standard normal, to start from instead of drawing it.
        """
        denoise = (
            self.denoise
            if label is None
            else self._guided(self._checked_label(label, n), guidance_scale)
        )
        rules = {
            "ancestral": lambda: sampling.ancestral(self.schedule, rng),
            "ancestral-large": lambda: sampling.ancestral(self.schedule, rng, variance="large"),
            "ddim": lambda: sampling.ddim(self.schedule, rng, eta),
            "heun": lambda: sampling.heun(self.schedule, denoise),
            "multistep": lambda: sampling.multistep(self.schedule),
        }
        if method not in rules:
            raise ValueError(f"sample: method must be one of {sorted(rules)}, got {method!r}")
        x = rng.standard_normal((n, *self.net.shape), np.float32) if noise is None else noise
        x = x * x.dtype.type(self.schedule.prior_std)
        times = self.schedule.grid(self.steps if steps is None else steps)[::-1]
        yield x
        yield from sampling.walk(x, times, denoise, rules[method]())

    def _guided(self, label: np.ndarray, guidance_scale: float) -> sampling.Denoise:
        def conditional(x, t):
            return self.denoise(x, t, label)

        guided = sampling.guidance(conditional, self.denoise, guidance_scale)
        return conditional if guidance_scale == 1 else lambda x, t: self._clipped(guided(x, t))

    def _clipped(self, clean: np.ndarray) -> np.ndarray:
        return clean if self.levels is None else np.clip(clean, -1, 1)

    # -- likelihood: the variational bound, eq. 5 ----------------------------------------------------------------------

    def bound(self, x: np.ndarray, rng: np.random.Generator, times: int = 50) -> np.ndarray:
        """An unbiased estimate of a lower bound on log p(x), for each example of x (B, *shape): (B,), nats.

        On grey levels a perfect denoiser closes the gap as T grows; a trained one is often best in a chain of 20 to 50
        steps, `DDPM(net, ..., steps=20)`, where the decoder does the rounding to levels. On densities Euler's gamma / 2
        = 0.29 nats stay for each dimension: in the first steps, where sigma^2 ~ t, beta tilde is too small for any T.

        Args:
            times: how many of the T - 1 middle steps to evaluate for each example, spread evenly from a random one on.
        """
        terms = self.bound_terms(x, rng, min(times, self.steps - 1))
        return -(terms["prior"] + terms["steps"].sum(axis=1) + terms["decoder"])

    def bound_terms(
        self, x: np.ndarray, rng: np.random.Generator, times: int
    ) -> dict[str, np.ndarray]:
        """What the bound costs, in nats by name: "prior" L_T (B,), "decoder" L_0 (B,) and "steps" (B, times).

        "steps" divides L_1 + ... + L_T-1 into `times` equal stretches of the chain and estimates each from one of its
        steps; with times = T - 1, column k is L_k+1, the cost of step i = k + 2.
        """
        x = self._checked(x)
        if not 1 <= times < self.steps:
            raise ValueError(f"bound: times must lie in 1..{self.steps - 1}, got {times}")
        stretch, start = (self.steps - 1) / times, rng.random(len(x))
        chosen = [
            2 + np.floor((start + k) * stretch) for k in range(times)
        ]  # each of 2 .. T alike likely
        return {
            "prior": self._prior_cost(x),
            "steps": stretch
            * np.stack([self._step_cost(x, i / self.steps, rng) for i in chosen], axis=1),
            "decoder": self._decoder_cost(x, rng),
        }

    def _prior_cost(self, x: np.ndarray) -> np.ndarray:
        """KL of q(x_T | x) = N(alpha x, sigma^2) from the prior N(0, s^2)."""
        alpha, sigma, s = (
            self.schedule.alpha(1.0),
            self.schedule.sigma(1.0),
            self.schedule.prior_std,
        )
        ratio = (sigma / s) ** 2
        return _per_example(ratio + (alpha / s * x.astype(np.float64)) ** 2 - 1 - np.log(ratio)) / 2

    def _step_cost(self, x: np.ndarray, t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """KL(q(x_after | x_now, x) || p(x_after | x_now)), now = t = i / T, after = t - 1 / T (eq. 8).

        Both have the variance beta tilde, so it is w |x - denoised|^2.
        """
        x_t = self.q_sample(x, rng.standard_normal(x.shape, np.float32), t)
        return self._step_weight(t) * _per_example(
            (x.astype(np.float64) - self.denoise(x_t, t)) ** 2
        )

    def _step_weight(self, t) -> np.ndarray:
        """w = (SNR(t - 1/T) - SNR(t)) / 2; for the first step SNR(t) / 2, as the decoder has the variance 1 / SNR."""
        i = np.round(np.asarray(t) * self.steps)
        after, now = (
            np.exp(self.schedule.log_snr((i - 1) / self.steps)),
            np.exp(self.schedule.log_snr(t)),
        )
        return np.where(i == 1, now, after - now) / 2

    def _decoder_cost(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """-log p(x | x_1): normal around the denoised x_1, integrated over the width of the grey level (eq. 13)."""
        t = 1 / self.steps
        mean = self.denoise(
            self.q_sample(x, rng.standard_normal(x.shape, np.float32), t), t
        ).astype(np.float64)
        std = float(self.schedule.sigma(t) / self.schedule.alpha(t))
        if self.levels is None:
            return _per_example(
                ((x - mean) / std) ** 2 / 2 + math.log(std * math.sqrt(2 * math.pi))
            )
        half = 1 / (
            self.levels - 1
        )  # of the width of a level in [-1, 1]; the outermost levels reach to infinity
        low = np.where(x < -1 + half, -np.inf, (x - half - mean) / std)
        high = np.where(x > 1 - half, np.inf, (x + half - mean) / std)
        return _per_example(-_log_normal_mass(low, high))

    # -- bad input -----------------------------------------------------------------------------------------------------

    def _checked(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        if x.dtype.kind != "f":
            raise TypeError(
                f"DDPM: x has dtype {x.dtype}, expected floats (data.to_signed maps levels to [-1, 1])"
            )
        if x.shape[1:] != tuple(self.net.shape) or not len(x):
            raise ValueError(
                f"DDPM: expected one or more examples of shape {tuple(self.net.shape)}, got {x.shape}"
            )
        return x

    def _checked_label(self, label: int | np.ndarray, n: int) -> np.ndarray:
        label, classes = np.broadcast_to(label, n), getattr(self.net, "classes", None) or 0
        if label.dtype.kind not in "iu" or label.min() < 0 or label.max() >= classes:
            raise IndexError(
                f"label: expected integers below {classes}, the classes of this network; got {label}"
            )
        return label


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
    near, far = np.maximum(z, -20), np.minimum(z, -20)
    body = np.log(np.vectorize(math.erfc, otypes=[float])(-near / math.sqrt(2)) / 2)
    tail = (
        -(far**2) / 2
        - np.log(-far * math.sqrt(2 * math.pi))
        + np.log1p(-1 / far**2 + 3 / far**4 - 15 / far**6)
    )
    return np.where(z > -20, body, tail)
