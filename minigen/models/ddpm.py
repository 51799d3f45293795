"""DDPM: data under noise of every strength, and a network that predicts the clean thing.

Training hides a little precision everywhere; one step of sampling commits to a little precision
everywhere. Equation numbers are those of Ho, Jain & Abbeel (2020). Step i of its chain of T stands
at time t_i = i / T.
"""

import warnings
from collections.abc import Iterator

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, nn, ops, sampling
from minigen.models.protocol import Walks
from minigen.schedules import (
    PREDICTIONS,
    Schedule,
    agreed,
    cosine,
    even_draws,
    log_normal,
    log_normal_mass,
    spread,
)
from minigen.tensor import Tensor, no_grad

# Of the training examples: classifier-free guidance needs a network that knows both.
SHARE_WITHOUT_LABEL = 0.1
# The largest factor by which the first step of a walk may multiply an error of predicted noise: a
# step that draws afresh forgets it, the others carry it to the end.
MOST_FORGOTTEN, MOST_CARRIED = 1000, 10


class DDPM(Walks):
    """A discrete diffusion model.

    Why velocity is the default. Noise is easy to see where there is much of it, the clean thing
    where there is little; to tell the clean thing from the noise one divides by alpha, which is
    near 0 where the walk begins. The ancestral sampler forgets that error in some hundred steps; in
    ten it is the sample, and the other samplers carry it to the end: two moons by "noise" under
    `cosine` end 52 away from the data (sliced Wasserstein, ddim in 10 steps; 0.10 by "velocity").
    The velocity is the noise at t = 0 and, but for its sign, the clean thing at t = 1, and nothing
    small divides it. `sample` warns of walks that "noise" cannot serve; `flow`, which ends without
    signal, refuses it.

    Args:
        net: called as net(x, t, label=None), see `minigen.networks`; x comes with variance near 1
            (`schedule.scaled`), and `net.shape` is the shape of one example. Or an oracle of
            `minigen.oracles` in its place: then `denoise` is exact, and there is nothing to train.
        schedule: a Gaussian noise schedule; if not given, the oracle's own, or cosine().
        steps: length T of the chain.
        predict: what the network's output means: "velocity", "noise" or "clean".
        levels: number of grey levels, if the data are integers mapped to [-1, 1]
            (`data.to_signed`): `bound` then speaks of probabilities, and predictions are clipped to
            [-1, 1]. None: real data, and `bound` of densities.
        weighting: of the loss over t: "simple" (eq. 14, all t alike) or "bound" (eq. 12, as they
            count in the bound: the loss is then in nats per dimension, less what no network can
            change).
    """

    METHODS = ("ancestral", "ancestral-large", "ddim", "heun", "multistep")

    def __init__(
        self, net, schedule: Schedule | None = None, steps: int = 1000, predict: str = "velocity",
        levels: int | None = None, weighting: str = "simple",
    ) -> None:  # fmt: skip
        arguments.whole(2, steps=steps, levels=2 if levels is None else levels)
        arguments.one_of(PREDICTIONS, predict=predict)
        arguments.one_of(("simple", "bound"), weighting=weighting)
        schedule = agreed(schedule, net, default=cosine())
        self._oracle = hasattr(net, "denoise")
        if predict == "noise" and schedule.alpha(1.0) == 0 and not self._oracle:
            why = f"predict='noise' divides by the signal, and {schedule} ends with none"
            raise ValueError(f'DDPM: {why}: predict "velocity" or "clean"')
        self.net, self.schedule, self.steps = net, schedule, steps
        self.predict, self.levels, self.weighting = predict, levels, weighting
        self.density = levels is None  # whether `bound` is of densities or of probabilities

    __repr__ = nn.describe

    # -- hide: a little precision everywhere -------------------------------------------------------

    def q_sample(self, clean: ndarray, noise: ndarray, t) -> ndarray:
        """x_t = alpha(t) clean + sigma(t) noise: the forward chain in one jump (eq. 4)."""
        return self.schedule.noisy(clean, noise, t)

    # -- predict -----------------------------------------------------------------------------------

    def denoise(self, x: ndarray, t, label: ndarray | None = None) -> ndarray:
        """The clean thing that the network sees in x (B, *shape) at t, a number or (B,); like x."""
        if self._oracle:
            if label is not None:
                raise ValueError("label: an oracle knows no classes")
            return self.net.denoise(x, t)
        with no_grad():
            output = self._output(x.astype(np.float32), t, label).data
        return self._clipped(self.schedule.clean(output.astype(x.dtype), x, t, self.predict))

    def _output(self, x_t: ndarray, t, label) -> Tensor:
        return self.net(self.schedule.scaled(x_t, t), t, label)

    def _clipped(self, clean: ndarray) -> ndarray:
        return clean if self.levels is None else np.clip(clean, -1, 1)

    # -- loss --------------------------------------------------------------------------------------

    def loss(self, x: ndarray, rng: Generator, label=None, *, t=None, noise=None) -> Tensor:
        """Mean squared error of the network's output at random t: a scalar, per dimension.

        Args:
            x: (B, *shape) floats, clean.
            label: (B,) classes, for a network that has them; a tenth is hidden from it.
            t: (B,) times on the grid i / T, and
            noise: like x, to use instead of drawing them.
        """
        x, rng = self._checked(x), arguments.generator(rng)
        if self._oracle:
            raise TypeError(f"loss: {type(self.net).__name__} is an oracle: nothing to train")
        if t is None:  # each step alike likely
            t = (1 + np.floor(even_draws(len(x), rng) * self.steps)) / self.steps
        noise = rng.standard_normal(x.shape, np.float32) if noise is None else noise
        if label is not None:
            hidden = rng.random(len(x)) < SHARE_WITHOUT_LABEL
            label = np.where(hidden, self.net.classes, self._labels(label, len(x)))
        output = self._output(self.q_sample(x, noise, t), t, label)
        target = self.schedule.target(x, noise, t, self.predict)
        if self.weighting == "simple":
            return ops.mse_loss(output, target)
        _, clean_per_output = self.schedule.clean_from(t, self.predict)
        root = spread(np.sqrt(self.steps * self._step_weight(t)) * clean_per_output, x)
        return ops.mse_loss(output * root, target * root)

    # -- sample_walk -------------------------------------------------------------------------------

    def sample_walk(
        self, n: int, rng: Generator, method: str = "ancestral", steps: int | None = None,
        eta: float = 0.0, label: int | ndarray | None = None, guidance_scale: float = 1.0,
        noise: ndarray | None = None,
    ) -> Iterator[ndarray]:  # fmt: skip
        """Every state from pure noise to the sample, each (n, *shape).

        Where the velocity is predicted, ten steps are enough for every method and schedule, but for
        "heun" under variance_exploding, which wants 20 (two moons, sliced Wasserstein: 0.24 to 0.31
        at 10 steps, 0.07 at 20). Where the noise is, see the class.

        Args:
            method: "ancestral" (eq. 11, small variance), "ancestral-large", "ddim", "heun" or
                "multistep".
            steps: of the walk; the whole chain if not given.
            eta: of "ddim", how much noise it draws: 0 none, 1 as much as "ancestral".
            label: class or classes (n,) to draw from.
            guidance_scale: with a label: 1 obeys it, more exaggerates it (`sampling.guidance`).
            noise: (n, *shape) standard normal, to start from instead of drawing it.
        """
        steps = self.steps if steps is None else steps
        if label is None and guidance_scale != 1:
            raise ValueError(f"{guidance_scale=} has no effect without a label")
        denoise = self.denoise
        if label is not None:
            denoise = self._guided(self._labels(label, n), guidance_scale)
        walk = sampling.from_noise(
            (n, *self.net.shape), self.schedule, denoise, rng,
            method=method, offered=self.METHODS, steps=steps, eta=eta, noise=noise,
        )  # fmt: skip
        if self.predict == "noise" and not self._oracle:
            self._warn(steps, forgets=method.startswith("ancestral") or eta == 1)
        return walk

    def _warn(self, steps: int, forgets: bool) -> None:
        """Say it where the first step makes too much of the errors of predicted noise."""
        now, after = self.schedule.alpha([1.0, 1 - 1 / steps])
        if after > (MOST_FORGOTTEN if forgets else MOST_CARRIED) * now:
            first = f"the first step multiplies errors of predicted noise by {after / now:.0f}"
            better = 'expect bad samples, and train DDPM(net, predict="velocity")'
            warnings.warn(f"sample: {first}: {better}", UserWarning, stacklevel=3)

    def _guided(self, label: ndarray, guidance_scale: float) -> sampling.Denoise:
        def conditional(x, t):
            return self.denoise(x, t, label)

        guided = sampling.guidance(conditional, self.denoise, guidance_scale)
        return conditional if guidance_scale == 1 else lambda x, t: self._clipped(guided(x, t))

    # -- bound: eq. 5 ------------------------------------------------------------------------------

    def bound(self, x: ndarray, rng: Generator, times: int = 50) -> ndarray:
        """An unbiased estimate of a lower bound on log p(x), x (B, *shape): (B,) nats.

        On grey levels a perfect denoiser closes the gap as T grows; a trained one is often best in
        a chain of 20 to 50 steps, `DDPM(net, ..., steps=20)`, where the decoder does the rounding
        to levels. On densities a gap stays even for the exact denoiser: in the first steps, where
        sigma^2 ~ t, beta tilde is too small for any T. For N(0, 1) it is, a dimension, 0.96 nats
        (variance_preserving) and 0.93 (cosine) at T = 50, 0.45 and 0.41 at T = 1000, and in the
        limit half of Euler's gamma, 0.29.

        Args:
            times: how many of the T - 1 middle steps to evaluate for each example, spread evenly
                from a random one on.
        """
        terms = self.bound_terms(x, rng, min(times, self.steps - 1))
        return -(terms["prior"] + terms["steps"].sum(axis=1) + terms["decoder"])

    def bound_terms(self, x: ndarray, rng: Generator, times: int) -> dict:
        """What the bound costs, in nats: "prior" L_T (B,), "decoder" L_0 (B,), "steps" (B, times).

        "steps" divides L_1 + ... + L_T-1 into `times` equal stretches of the chain and estimates
        each from one of its steps; with times = T - 1, column k is L_(k+1), the cost of step k + 2.
        """
        x, rng = self._checked(x), arguments.generator(rng)
        arguments.whole(1, self.steps - 1, times=times)
        stretch, start = (self.steps - 1) / times, rng.random(len(x))
        chosen = [2 + np.floor((start + k) * stretch) for k in range(times)]  # each of 2 .. T alike
        costs = [self._step_cost(x, i / self.steps, rng) for i in chosen]
        return {
            "prior": self._prior_cost(x),
            "steps": stretch * np.stack(costs, axis=1),
            "decoder": self._decoder_cost(x, rng),
        }

    def _prior_cost(self, x: ndarray) -> ndarray:
        """KL of q(x_T | x) = N(alpha x, sigma^2) from the prior N(0, s^2)."""
        alpha, sigma = self.schedule.alpha(1.0), self.schedule.sigma(1.0)
        s = self.schedule.prior_std
        ratio = (sigma / s) ** 2
        return _per_example(ratio + (alpha / s * x.astype(np.float64)) ** 2 - 1 - np.log(ratio)) / 2

    def _step_cost(self, x: ndarray, t: ndarray, rng: Generator) -> ndarray:
        """KL(q(x_after | x_now, x) || p(x_after | x_now)), now = t, after = t - 1 / T (eq. 8).

        Both have the variance beta tilde, so it is w |x - denoised|^2.
        """
        error = x.astype(np.float64) - self._seen_again(x, t, rng)
        return self._step_weight(t) * _per_example(error**2)

    def _seen_again(self, x: ndarray, t, rng: Generator) -> ndarray:
        """What is denoised of x after noise was put on it."""
        x_t = self.q_sample(x, rng.standard_normal(x.shape, np.float32), t)
        return self.denoise(x_t, t)

    def _step_weight(self, t) -> ndarray:
        """w = (SNR(after) - SNR(now)) / 2, now = t, after = t - 1 / T.

        In step 1, to the data, SNR(after) is infinite: there w is SNR(now) / 2, as the decoder has
        the variance 1 / SNR(now).
        """
        i = np.round(np.asarray(t) * self.steps)
        now, after = self.schedule.log_snr(t), self.schedule.log_snr((i - 1) / self.steps)
        return np.where(i == 1, np.exp(now), np.exp(after) - np.exp(now)) / 2

    def _decoder_cost(self, x: ndarray, rng: Generator) -> ndarray:
        """-log p(x | x_1): normal around the denoised x_1, over the width of a level (eq. 13)."""
        t = 1 / self.steps
        mean = self._seen_again(x, t, rng).astype(np.float64)
        std = float(self.schedule.sigma(t) / self.schedule.alpha(t))
        if self.levels is None:
            return -_per_example(log_normal(x, mean, std))
        half = 1 / (self.levels - 1)  # of the width of a level; the outermost reach to infinity
        low = np.where(x < -1 + half, -np.inf, (x - half - mean) / std)
        high = np.where(x > 1 - half, np.inf, (x + half - mean) / std)
        return -_per_example(log_normal_mass(low, high))

    def _checked(self, x: ndarray) -> ndarray:
        x = np.asarray(x)
        arguments.examples(x, self.net.shape)
        return x

    def _labels(self, label: int | ndarray, n: int) -> ndarray:
        if not getattr(self.net, "classes", None):
            raise ValueError("label: this network was built without classes")
        return arguments.labels(label, n, self.net.classes)


def _per_example(x: ndarray) -> ndarray:
    """Sum over all axes but the first."""
    return x.reshape(len(x), -1).sum(axis=1)
