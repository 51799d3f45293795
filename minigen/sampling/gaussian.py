"""Gaussian steps: what one step of diffusion commits to, each a commit(x, clean, now, after).

They follow DDPM (Ho et al. 2020), DDIM (Song, Meng & Ermon 2021), the probability-flow ODE (Song et
al. 2021; Karras et al. 2022) and DPM-Solver++ (Lu et al. 2022). Where a step draws, it takes `rng`,
or `noise`: the arrays to use instead, one a draw.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments
from minigen.sampling.walk import Commit, Denoise, walk
from minigen.schedules import Schedule, spread


def from_noise(
    shape: tuple, schedule: Schedule, denoise: Denoise, rng: Generator, *, method: str,
    offered: tuple, steps: int, eta: float = 0.0, noise: ndarray | None = None, dtype=np.float32,
) -> Iterator[ndarray]:  # fmt: skip
    """The walk of DDPM and ScoreSDE: every state from pure noise to the sample, each of `shape`.

    offered: the names that `method` may have. steps: of the walk, even in t. eta: of "ddim".
    noise: standard normal, of `shape`, to start from instead of drawing it.
    """
    # One rule of Heun's under two names: DDPM has it as a method among others (Karras et al.),
    # ScoreSDE as "ode" beside "sde", the two equations of Song et al.
    rules = {
        "ancestral": lambda: ancestral(schedule, rng),
        "ancestral-large": lambda: ancestral(schedule, rng, variance="large"),
        "ddim": lambda: ddim(schedule, rng, eta),
        "heun": lambda: heun(schedule, denoise),
        "multistep": lambda: multistep(schedule),
        "ode": lambda: heun(schedule, denoise),
        "sde": lambda: euler_maruyama(schedule, rng),
        "langevin": lambda: langevin(schedule, denoise, rng),
    }
    arguments.one_of(offered, method=method)
    if eta and method != "ddim":
        raise ValueError(f'{eta=} has a meaning for method="ddim" only, not {method!r}')
    times, commit = schedule.grid(steps)[::-1], rules[method]()
    arguments.generator(rng)
    noise = rng.standard_normal(shape, dtype) if noise is None else like(noise, shape)
    start = noise.dtype.type(schedule.prior_std) * noise
    return chain([start], walk(start, times, denoise, commit))


def ancestral(
    schedule: Schedule, rng=None, variance: str = "small", noise: Iterable[ndarray] | None = None
) -> Commit:
    """Draw x_after from q(x_after | x_now, clean) with the predicted clean x (DDPM eq. 7 and 11).

    variance "small" is beta tilde, right if the data were one point; "large" is beta, right if they
    were N(0, I). The last step, to t = 0, adds no noise.
    """
    arguments.one_of(("small", "large"), variance=variance)
    draw = normals(rng, noise)

    def commit(x, clean, now, after):
        mean, small = schedule.posterior(clean, x, now, after)
        large = schedule.sigma(now) ** 2 * schedule.fresh_noise(now, after)
        std = np.sqrt(small if variance == "small" else large)
        return mean if after == 0 else mean + spread(std, x) * draw(x)

    return commit


def ddim(
    schedule: Schedule, rng=None, eta: float = 0.0, noise: Iterable[ndarray] | None = None
) -> Commit:
    """Point back at the noise x came from and go along it (DDIM eq. 12).

    eta = 0 draws nothing and is first-order accurate; eta = 1 is `ancestral` with the small
    variance (eq. 16).
    """
    arguments.within("[0, 1]", eta=eta)
    if eta == 0 and noise is not None:
        raise ValueError("eta = 0 draws nothing: the noise handed in would have no effect")
    draw = normals(rng, noise) if eta > 0 else None

    def commit(x, clean, now, after):
        noise_after = schedule.sigma(after) ** 2
        variance = eta**2 * noise_after * schedule.fresh_noise(now, after)
        kept = spread(np.sqrt(noise_after - variance), x) * noise_in(schedule, x, clean, now)
        moved = spread(schedule.alpha(after), x) * clean + kept
        return moved if variance == 0 else moved + spread(np.sqrt(variance), x) * draw(x)

    return commit


def ode_slope(schedule: Schedule, x: ndarray, clean: ndarray, t) -> ndarray:
    """dx/dt of the probability-flow ODE: alpha' clean + sigma' noise.

    The same as f x - g^2 score / 2 (Song et al. 2021, eq. 13) with score = -noise / sigma, but
    finite where alpha is 0.
    """
    alpha_slope, sigma_slope = (spread(slope, x) for slope in schedule.slopes(t))
    return alpha_slope * clean + sigma_slope * noise_in(schedule, x, clean, t)


def euler(schedule: Schedule) -> Commit:
    """One step along the slope of the ODE: first order."""

    def commit(x, clean, now, after):
        return x + spread(after - now, x) * ode_slope(schedule, x, clean, now)

    return commit


def euler_maruyama(schedule: Schedule, rng=None, noise: Iterable[ndarray] | None = None) -> Commit:
    """One step of the reverse-time SDE dx = (f x - g^2 score) dt + g dw (Song et al. 2021, eq. 6).

    The last step, to t = 0, adds no noise. Made for linear, variance_preserving and
    variance_exploding: with cosine and flow f grows without bound towards t = 1, where the walk
    must then start a little later.
    """
    draw = normals(rng, noise)

    def commit(x, clean, now, after):
        f, g2 = spread(schedule.f(now), x), spread(schedule.g2(now), x)
        score = -noise_in(schedule, x, clean, now) / spread(schedule.positive_sigma(now), x)
        x = x + spread(after - now, x) * (f * x - g2 * score)
        return x if after == 0 else x + np.sqrt(spread(now - after, x) * g2) * draw(x)

    return commit


def runge_kutta(slope: Callable[[ndarray, float], ndarray]) -> Commit:
    """The classical rule of fourth order for dx/dt = slope(x, t): `predict` is that slope."""

    def commit(x, first, now, after):
        h, middle = spread(after - now, x), (now + after) / 2
        second = slope(x + h / 2 * first, middle)
        third = slope(x + h / 2 * second, middle)
        fourth = slope(x + h * third, after)
        return x + h / 6 * (first + 2 * second + 2 * third + fourth)

    return commit


def heun(schedule: Schedule, denoise: Denoise) -> Commit:
    """Euler's step, corrected by the slope at its end: second order (Karras et al. 2022).

    Two predictions a step. The last step, to sigma = 0 where that slope has no noise to divide by,
    is Euler's.
    """

    def commit(x, clean, now, after):
        first, h = ode_slope(schedule, x, clean, now), spread(after - now, x)
        ahead = x + h * first
        if schedule.sigma(after) == 0:
            return ahead
        second = ode_slope(schedule, ahead, denoise(ahead, after), after)
        return x + h / 2 * (first + second)

    return commit


def multistep(schedule: Schedule) -> Commit:
    """DPM-Solver++(2M): second order by the prediction before (Lu et al. 2022, algorithm 2).

    It steps in half the log-SNR, best in even steps of that (`schedule.time` finds them). The first
    step, and the last one to sigma = 0 (an infinite step), are DDIM's.
    """
    memory = {"until": None}  # where the step before ended: a second walk begins with a first step

    def commit(x, clean, now, after):
        h = float(schedule.log_snr(after) - schedule.log_snr(now)) / 2
        extrapolated = clean
        if memory["until"] == now and np.isfinite(h):
            extrapolated = clean + (clean - memory["clean"]) * spread(h / (2 * memory["h"]), x)
        memory.update(until=after, clean=clean, h=h)
        shrink = spread(schedule.sigma(after), x) / spread(schedule.positive_sigma(now), x)
        return shrink * x - spread(schedule.alpha(after) * np.expm1(-h), x) * extrapolated

    return commit


def langevin(
    schedule: Schedule, denoise: Denoise, rng=None, repeats: int = 10, step: float = 0.1, noise=None
) -> Commit:
    """Annealed Langevin dynamics (Song & Ermon 2019, algorithm 1): noisy steps uphill.

    `repeats` of them at each noise level: x + (step sigma^2 / 2) score + sqrt(step) sigma z, where
    sigma^2 score = alpha clean - x. Each level goes on from where the one before ended; t = 0 takes
    the last prediction.
    """
    arguments.whole(1, repeats=repeats)
    arguments.within("(0, inf)", step=step)
    draw = normals(rng, noise)

    def commit(x, clean, now, after):
        alpha, sigma = schedule.at(now, x)
        for _ in range(repeats):
            x = x + (alpha * clean - x) * (step / 2) + step**0.5 * sigma * draw(x)
            clean = denoise(x, now)
        return clean if after == 0 else x

    return commit


def noise_in(schedule: Schedule, x: ndarray, clean: ndarray, t) -> ndarray:
    """The noise that x holds if this is its clean thing: (x - alpha clean) / sigma."""
    return (x - spread(schedule.alpha(t), x) * clean) / spread(schedule.positive_sigma(t), x)


def normals(rng, noise) -> Callable[[ndarray], ndarray]:
    """draw(x): fresh standard normal noise like x, or the next of the arrays handed in."""
    if noise is None:
        arguments.generator(rng)
        return lambda x: rng.standard_normal(x.shape).astype(x.dtype)
    if rng is not None:
        raise TypeError("give rng or noise: with both, rng would have no effect")
    handed_in = iter(noise)

    def draw(x):
        try:
            return like(next(handed_in), x.shape)
        except StopIteration:
            raise ValueError("noise: too few arrays for the steps of this walk") from None

    return draw


def like(noise: ndarray, shape: tuple) -> ndarray:
    """The noise itself, if it is floats of this shape."""
    noise = np.asarray(noise)
    if noise.shape != tuple(shape) or noise.dtype.kind != "f":
        came = f"{noise.dtype} {noise.shape}"
        raise ValueError(f"noise: expected floats of shape {tuple(shape)}, got {came}")
    return noise
