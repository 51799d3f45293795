"""Steering the walk of a diffusion model: to guide, inpaint, clean, encode and interpolate."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from minigen import arguments
from minigen.sampling.gaussian import ddim, normals
from minigen.sampling.walk import Commit, Denoise, run
from minigen.schedules import Schedule, spread


def guidance(conditional: Denoise, unconditional: Denoise, guidance_scale: float) -> Denoise:
    """Classifier-free guidance (Ho & Salimans 2022).

    A scale of 0 ignores the condition, 1 obeys it, more exaggerates it.
    """

    def denoise(x, t):
        without = unconditional(x, t)
        return without + guidance_scale * (conditional(x, t) - without)

    return denoise


def inpaint(
    commit: Commit, schedule: Schedule, known: ndarray, mask: ndarray, rng=None, noise=None
) -> Commit:
    """Any step rule, after which the known pixels (mask true) are put back, noised alike.

    What RePaint does without its resampling (Lugmayr et al. 2022, eq. 8). At t = 0 they are put
    back exactly.
    """
    draw = normals(rng, noise)

    def commit_known(x, clean, now, after):
        x = commit(x, clean, now, after)
        return np.where(mask, schedule.noisy(known, draw(x), after), x)

    return commit_known


def denoise_image(
    denoise: Denoise, schedule: Schedule, observed: ndarray, noise_std: float, steps=1, commit=None
) -> ndarray:
    """Clean an image that was observed with Gaussian noise of known standard deviation.

    Enter the walk at the t where sigma / alpha = noise_std. One step gives the posterior mean, the
    least squared error; more steps go on along `commit` (DDIM by default; `ancestral` draws from
    the posterior).
    """
    arguments.within("(0, inf)", noise_std=noise_std)
    start = float(schedule.time(-2 * np.log(noise_std)))
    x = spread(schedule.alpha(start), observed) * observed
    return run(x, start * schedule.grid(steps)[::-1], denoise, commit or ddim(schedule))


def encode(denoise: Denoise, schedule: Schedule, clean: ndarray, steps: int) -> ndarray:
    """The latent at t = 1 that DDIM decodes to `clean`: DDIM backwards, from the first t above 0.

    Song, Meng & Ermon (2021), section 5.4.
    """
    return run(clean, schedule.grid(steps)[1:], denoise, ddim(schedule))


def interpolate(
    denoise: Denoise,
    schedule: Schedule,
    start: ndarray,
    end: ndarray,
    fractions: Sequence,
    steps: int,
) -> ndarray:
    """DDIM from latents on the great circle between two latents (DDIM eq. 67).

    Returns (len(fractions), *start.shape).
    """
    cosine = np.vdot(start, end) / np.sqrt(np.vdot(start, start) * np.vdot(end, end))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if not np.sin(angle) >= 1e-6:
        raise ValueError("start and end lie on one line through 0: no great circle joins them")

    def between(fraction):
        first, second = np.sin((1 - fraction) * angle), np.sin(fraction * angle)
        return (first * start + second * end) / np.sin(angle)

    x = np.stack([between(fraction) for fraction in fractions]).astype(start.dtype)
    return run(x, schedule.grid(steps)[::-1], denoise, ddim(schedule))
