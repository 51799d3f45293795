"""Sampling: the one loop that both families share, and what each of its steps can commit to.

Gaussian steps follow DDPM (Ho et al. 2020), DDIM (Song, Meng & Ermon 2021), the probability-flow ODE (Song et al.
2021; Karras et al. 2022) and DPM-Solver++ (Lu et al. 2022). Plain NumPy: a sampler only ever sees `denoise(x, t)`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from .schedules import Schedule, spread

Array = np.ndarray
Denoise = Callable[[Array, float], Array]  # (B, ...) and a time -> the clean thing, (B, ...)
Commit = Callable[[Array, Array, float, float], Array]  # x, prediction, now, after -> the next x


def walk(x: Array, times: Sequence, predict: Callable, commit: Commit) -> Iterator[Array]:
    """Generate: predict the clean thing, commit to a little more of it; yields every state after x.

    Diffusion walks from t = 1 down to 0 and predicts the clean x; autoregression walks along the positions, predicts
    the logits of the next token and commits to one position.
    """
    for now, after in pairwise(times):
        x = commit(x, predict(x, now), now, after)
        yield x


def run(x: Array, times: Sequence, predict: Callable, commit: Commit) -> Array:
    """The last state of the walk."""
    for x in walk(x, times, predict, commit):  # noqa: B007, B020
        pass
    return x


# -- Gaussian steps: each returns commit(x, clean, now, after) ------------------------------------------------------


def ancestral(
    schedule: Schedule, rng=None, variance: str = "small", noise: Iterable[Array] | None = None
) -> Commit:
    """Draw x_after from q(x_after | x_now, clean) with the predicted clean x (DDPM eq. 7 and 11), on any grid.

    variance "small" is beta tilde, right if the data were one point; "large" is beta, right if they were N(0, I).
    The last step, to t = 0, adds no noise. `noise`: the arrays to use instead of drawing, one for each other step.
    """
    if variance not in ("small", "large"):
        raise ValueError(f'variance must be "small" or "large", got {variance!r}')
    draw = _normals(rng, noise)

    def commit(x, clean, now, after):
        mean, small = schedule.posterior(clean, x, now, after)
        large = schedule.sigma(now) ** 2 * schedule.fresh_noise(now, after)
        std = np.sqrt(small if variance == "small" else large)
        return mean if after == 0 else mean + spread(std, x) * draw(x)

    return commit


def ddim(
    schedule: Schedule, rng=None, eta: float = 0.0, noise: Iterable[Array] | None = None
) -> Commit:
    """Point back at the noise x came from and go along it (DDIM eq. 12).

    eta = 0 draws nothing and is first-order accurate; eta = 1 is `ancestral` with the small variance (eq. 16).
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie in [0, 1], got {eta}")
    draw = _normals(rng, noise) if eta > 0 else None

    def commit(x, clean, now, after):
        variance = eta**2 * schedule.sigma(after) ** 2 * schedule.fresh_noise(now, after)
        kept = np.sqrt(schedule.sigma(after) ** 2 - variance)
        moved = spread(schedule.alpha(after), x) * clean + spread(kept, x) * _noise_in(
            schedule, x, clean, now
        )
        return moved if variance == 0 else moved + spread(np.sqrt(variance), x) * draw(x)

    return commit


def ode_slope(schedule: Schedule, x: Array, clean: Array, t) -> Array:
    """dx/dt of the probability-flow ODE: alpha' clean + sigma' noise.

    The same as f x - g^2 score / 2 (Song et al. 2021, eq. 13) with score = -noise / sigma, but finite where alpha is 0.
    """
    alpha_slope, sigma_slope = (spread(slope, x) for slope in schedule.slopes(t))
    return alpha_slope * clean + sigma_slope * _noise_in(schedule, x, clean, t)


def euler(schedule: Schedule) -> Commit:
    """One step along the slope of the ODE: first order."""

    def commit(x, clean, now, after):
        return x + spread(after - now, x) * ode_slope(schedule, x, clean, now)

    return commit


def euler_maruyama(schedule: Schedule, rng=None, noise: Iterable[Array] | None = None) -> Commit:
    """One step of the reverse-time SDE dx = (f x - g^2 score) dt + g dw (Song et al. 2021, eq. 6).

    The last step, to t = 0, adds no noise. Made for linear, variance_preserving and variance_exploding: with cosine and
    flow f grows without bound towards t = 1, where the walk must then start a little later.
    """
    draw = _normals(rng, noise)

    def commit(x, clean, now, after):
        f, g2 = spread(schedule.f(now), x), spread(schedule.g2(now), x)
        score = -_noise_in(schedule, x, clean, now) / spread(schedule.sigma(now), x)
        x = x + spread(after - now, x) * (f * x - g2 * score)
        return x if after == 0 else x + np.sqrt(spread(now - after, x) * g2) * draw(x)

    return commit


def runge_kutta(slope: Callable[[Array, float], Array]) -> Commit:
    """The classical rule of fourth order for dx/dt = slope(x, t), which is also what the walk should `predict`."""

    def commit(x, first, now, after):
        h, middle = spread(after - now, x), (now + after) / 2
        second = slope(x + h / 2 * first, middle)
        third = slope(x + h / 2 * second, middle)
        fourth = slope(x + h * third, after)
        return x + h / 6 * (first + 2 * second + 2 * third + fourth)

    return commit


def heun(schedule: Schedule, denoise: Denoise) -> Commit:
    """Euler's step, corrected by the slope at its end: second order, two predictions a step (Karras et al. 2022).

    The last step, to sigma = 0 where that slope has no noise to divide by, is Euler's.
    """

    def commit(x, clean, now, after):
        first, h = ode_slope(schedule, x, clean, now), spread(after - now, x)
        ahead = x + h * first
        if schedule.sigma(after) == 0:
            return ahead
        return x + h / 2 * (first + ode_slope(schedule, ahead, denoise(ahead, after), after))

    return commit


def multistep(schedule: Schedule) -> Commit:
    """DPM-Solver++(2M): second order from the previous prediction, one prediction a step (Lu et al. 2022, algorithm 2).

    It steps in half the log-SNR, best in even steps of that (`schedule.time` finds them). The first step, and the last
    one to sigma = 0 (an infinite step), are DDIM's.
    """
    memory = {"until": None}

    def commit(x, clean, now, after):
        h = float(schedule.log_snr(after) - schedule.log_snr(now)) / 2
        ahead = clean
        if memory["until"] == now and np.isfinite(h):
            ahead = clean + (clean - memory["clean"]) * spread(h / (2 * memory["h"]), x)
        memory.update(until=after, clean=clean, h=h)
        shrink = spread(schedule.sigma(after) / schedule.sigma(now), x)
        return shrink * x - spread(schedule.alpha(after) * np.expm1(-h), x) * ahead

    return commit


def langevin(
    schedule: Schedule, denoise: Denoise, rng=None, repeats: int = 10, step: float = 0.1, noise=None
) -> Commit:
    """Annealed Langevin dynamics (Song & Ermon 2019, algorithm 1): `repeats` noisy steps uphill at each noise level.

    x + (step sigma^2 / 2) score + sqrt(step) sigma z, where sigma^2 score = alpha clean - x. Each level goes on from
    where the one before ended; t = 0 takes the last prediction.
    """
    draw = _normals(rng, noise)

    def commit(x, clean, now, after):
        alpha, sigma = spread(schedule.alpha(now), x), spread(schedule.sigma(now), x)
        for _ in range(repeats):
            x = x + (alpha * clean - x) * (step / 2) + step**0.5 * sigma * draw(x)
            clean = denoise(x, now)
        return clean if after == 0 else x

    return commit


def _noise_in(schedule, x, clean, t):
    return (x - spread(schedule.alpha(t), x) * clean) / spread(schedule.sigma(t), x)


def _normals(rng, noise):
    """draw(x): fresh standard normal noise like x, or the next of the arrays handed in."""
    if noise is not None:
        handed_in = iter(noise)
        return lambda x: next(handed_in)
    if rng is None:
        raise TypeError("this step draws noise: it needs rng, a numpy.random.Generator, or noise")
    return lambda x: rng.standard_normal(x.shape).astype(x.dtype)


# -- Control ----------------------------------------------------------------------------------------------------------


def guidance(conditional: Denoise, unconditional: Denoise, guidance_scale: float) -> Denoise:
    """Classifier-free guidance (Ho & Salimans 2022): 0 ignores the condition, 1 obeys it, more exaggerates it."""

    def denoise(x, t):
        without = unconditional(x, t)
        return without + guidance_scale * (conditional(x, t) - without)

    return denoise


def inpaint(
    commit: Commit, schedule: Schedule, known: Array, mask: Array, rng=None, noise=None
) -> Commit:
    """Any step rule, after which the known pixels (mask true) are put back, noised to the level just reached.

    What RePaint does without its resampling (Lugmayr et al. 2022, eq. 8). At t = 0 they are put back exactly.
    """
    draw = _normals(rng, noise)

    def commit_known(x, clean, now, after):
        x = commit(x, clean, now, after)
        return np.where(mask, schedule.noisy(known, draw(x), after), x)

    return commit_known


def denoise_image(
    denoise: Denoise, schedule: Schedule, observed: Array, noise_std: float, steps=1, commit=None
) -> Array:
    """Clean an image that was observed with Gaussian noise of known standard deviation.

    Enter the walk at the t where sigma / alpha = noise_std. One step gives the posterior mean, the least squared error;
    more steps go on along `commit` (DDIM by default; `ancestral` draws from the posterior).
    """
    if not noise_std > 0:
        raise ValueError(f"noise_std must be above 0, got {noise_std}")
    start = float(schedule.time(-2 * np.log(noise_std)))
    x = spread(schedule.alpha(start), observed) * observed
    return run(x, start * schedule.grid(steps)[::-1], denoise, commit or ddim(schedule))


def encode(denoise: Denoise, schedule: Schedule, clean: Array, steps: int) -> Array:
    """The latent at t = 1 that DDIM decodes to `clean`: DDIM backwards, from the first time above 0 (section 5.3)."""
    return run(clean, schedule.grid(steps)[1:], denoise, ddim(schedule))


def interpolate(
    denoise: Denoise, schedule: Schedule, start: Array, end: Array, fractions: Sequence, steps: int
) -> Array:
    """DDIM from latents on the great circle between two latents (DDIM eq. 67): (len(fractions), *start.shape)."""
    cosine = np.vdot(start, end) / np.sqrt(np.vdot(start, start) * np.vdot(end, end))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:
        raise ValueError(
            "start and end lie on one line through 0: no single great circle joins them"
        )
    between = [
        (np.sin((1 - f) * angle) * start + np.sin(f * angle) * end) / np.sin(angle)
        for f in fractions
    ]
    return run(
        np.stack(between).astype(start.dtype), schedule.grid(steps)[::-1], denoise, ddim(schedule)
    )


# -- Tokens: functions on logits (..., V), and the commit that writes one -------------------------------------------


def temperature(logits: Array, tau: float) -> Array:
    """Logits / tau: below 1 sharper, above 1 flatter; 0 leaves only the largest (the first, if tied)."""
    logits = _valid(logits)
    if not 0 <= tau < np.inf:
        raise ValueError(f"tau must be a finite number >= 0, got {tau}")
    logits = logits - logits.max(-1, keepdims=True)
    return top_k(logits, 1) if tau == 0 else logits / tau


def top_k(logits: Array, k: int) -> Array:
    """All but the k largest logits become -inf (ties: the first stay); k beyond the vocabulary keeps all."""
    logits = _valid(logits)
    if k < 1 or k % 1:
        raise ValueError(f"k must be a whole number and at least 1, got {k}")
    return np.where(_ranks(logits) < k, logits, -np.inf)


def top_p(logits: Array, p: float) -> Array:
    """Only the fewest most likely tokens whose probabilities reach p stay (nucleus sampling, Holtzman et al. 2020)."""
    logits = _valid(logits)
    if not 0 < p <= 1:
        raise ValueError(f"p must lie in (0, 1], got {p}")
    sorted_probabilities = -np.sort(-probabilities(logits), axis=-1)
    before = np.cumsum(sorted_probabilities, axis=-1) - sorted_probabilities
    keep = np.sum((before < p) | (p == 1), axis=-1, keepdims=True)
    return np.where(_ranks(logits) < keep, logits, -np.inf)


def probabilities(logits: Array) -> Array:
    """softmax over the last axis, in float64."""
    weights = np.exp(_valid(logits).astype(np.float64) - np.max(logits, axis=-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def categorical(logits: Array, rng: np.random.Generator) -> Array:
    """One token for each row of logits (..., V): integers of shape (...), by inverting the cumulative distribution."""
    cumulative = np.cumsum(probabilities(logits), axis=-1)
    cumulative /= cumulative[
        ..., -1:
    ]  # ends in exactly 1, so that a draw below 1 always finds a token
    return np.sum(rng.random(cumulative.shape[:-1] + (1,)) >= cumulative, axis=-1)


def write(
    rng: np.random.Generator, tau: float = 1.0, k: int | None = None, p: float | None = None
) -> Commit:
    """The autoregressive commit: one token, drawn from the logits (B, V), goes to column `now` of x (B, L).

    First the temperature, then top-k, then top-p of what is left, as is usual.
    """

    def commit(x, logits, now, after):
        logits = temperature(logits, tau)
        logits = logits if k is None else top_k(logits, k)
        logits = logits if p is None else top_p(logits, p)
        x = x.copy()
        x[:, now] = categorical(logits, rng)
        return x

    return commit


def _ranks(logits):
    """Rank of each token, 0 the most likely; ties go to the first."""
    return np.argsort(np.argsort(-logits, axis=-1, kind="stable"), axis=-1)


def _valid(logits):
    logits = np.asarray(logits)
    if (
        logits.ndim == 0
        or not np.all(logits < np.inf)
        or not np.all(np.any(logits > -np.inf, axis=-1))
    ):
        raise ValueError(
            f"logits (..., V) must be numbers or -inf, one finite in each row, got {logits}"
        )
    return logits
