"""Noise schedules: how much signal alpha(t) and how much noise sigma(t) are left at time t.

Follows DDPM (Ho et al. 2020), Nichol & Dhariwal (2021), Song et al. (2021) and Variational
Diffusion Models (Kingma et al. 2021). One convention everywhere: t = 0 is clean, t = 1 is noise,
and

    x_t = alpha(t) clean + sigma(t) noise,        noise ~ N(0, I).

The classes are in lower case because they read as functions: `schedules.cosine()`.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments

PREDICTIONS = ("velocity", "noise", "clean")  # what the output of a network may mean
# Where alpha reaches 0 (`flow` at t = 1) no signal is left to divide by: a divisor stops here.
SMALLEST_ALPHA = 1e-5
MOST_STEPS = 1_000_000  # of a grid: more would fill the memory before they did any good


def spread(coefficient: ndarray, x: ndarray) -> ndarray:
    """A scalar or (B,) coefficient as an array that multiplies x (B, ...), in the dtype of x."""
    coefficient, shape = np.asarray(coefficient), x.shape
    if not np.issubdtype(x.dtype, np.floating):
        hint = "scale integer images to [-1, 1] first"
        raise TypeError(f"x must hold floats ({hint}), got {x.dtype}")
    if coefficient.shape not in ((), shape[:1]):
        came = f"shape {coefficient.shape} for x {shape}"
        raise ValueError(f"t must be a scalar or one time per example, got {came}")
    ones = (1,) * (x.ndim - coefficient.ndim)
    return coefficient.astype(x.dtype).reshape(coefficient.shape + ones)


class Schedule:
    """A schedule defines `_alpha(t)` and `_sigma(t)`; everything else is derived from these two.

    They are written with functions that accept complex numbers, so that the derivatives are exact:
    f(t + ih) is f(t) + ih f'(t) up to h^2, and h = 1e-30 makes that last term vanish (the complex
    step). t is a scalar or an array.
    """

    def __post_init__(self):
        arguments.whole(1, MOST_STEPS, steps=getattr(self, "steps", 1))
        log_snr = self.log_snr(np.linspace(0, 1, 1001))
        with np.errstate(invalid="ignore"):  # inf - inf, refused below
            falls = np.all(np.diff(log_snr) <= 0)
        if not falls:
            what = "the log-SNR does not fall from t = 0 to t = 1"
            raise ValueError(f"{self}: with these values {what}")
        left = self.alpha_bar(1.0) / self.prior_std**2
        if left > 1e-3:
            still = f"{left:.3f} of the variance and {left**0.5:.3f} of the amplitude"
            message = f"{self} does not end in noise: at t = 1 the signal still has {still}"
            warnings.warn(message, UserWarning, stacklevel=3)

    def alpha(self, t) -> ndarray:
        """What multiplies the clean signal at time t."""
        return self._alpha(_time(t))

    def sigma(self, t) -> ndarray:
        """Standard deviation of the noise at time t."""
        return self._sigma(_time(t))

    def positive_sigma(self, t) -> ndarray:
        """sigma(t), to divide by: ValueError where there is no noise."""
        sigma = self.sigma(t)
        if not np.all(sigma > 0):
            raise ValueError(f"at t = {t} there is no noise to step from: start at a later time")
        return sigma

    def alpha_bar(self, t) -> ndarray:
        """alpha^2, the papers' product of (1 - beta) (DDPM eq. 4)."""
        return self.alpha(t) ** 2

    def log_snr(self, t) -> ndarray:
        """log alpha^2 / sigma^2, nats: inf where there is no noise (t = 0), -inf without signal."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * (np.log(self.alpha(t)) - np.log(self.sigma(t)))

    def f(self, t) -> ndarray:
        """Rate d log alpha / dt of the drift of dx = f x dt + g dw (Song et al. eq. 5)."""
        return _slope(self.alpha, t) / np.maximum(self.alpha(t), SMALLEST_ALPHA)

    def g2(self, t) -> ndarray:
        """Squared diffusion g^2: how fast noise comes in, d sigma^2 / dt less 2 f sigma^2.

        (The rate f shrinks the noise that is there along with the signal.)
        """
        return _slope(lambda s: self.sigma(s) ** 2, t) - 2 * self.f(t) * self.sigma(t) ** 2

    def slopes(self, t) -> tuple[ndarray, ndarray]:
        """d alpha / dt and d sigma / dt."""
        return _slope(self.alpha, t), _slope(self.sigma, t)

    def scale(self, t) -> ndarray:
        """Standard deviation of x_t for data of variance 1: 1 where alpha^2 + sigma^2 = 1."""
        return np.hypot(self.alpha(t), self.sigma(t))

    @property
    def prior_std(self) -> float:
        """Standard deviation to start sampling with, `scale` at t = 1 (1 for all but exploding)."""
        return float(self.scale(1.0))

    def grid(self, steps: int) -> ndarray:
        """The times t_i = i / steps of a discrete chain, i = 0 .. steps: (steps + 1,)."""
        arguments.whole(1, MOST_STEPS, steps=steps)
        return np.arange(steps + 1) / steps

    def betas(self, steps: int) -> ndarray:
        """beta_i = 1 - alpha_bar(t_i) / alpha_bar(t_(i-1)), i = 1 .. steps (DDPM eq. 2)."""
        alpha_bar = self.alpha_bar(self.grid(steps))
        return 1 - alpha_bar[1:] / alpha_bar[:-1]

    def time(self, level) -> ndarray:
        """The t at which the log-SNR has this level, by bisection: the log-SNR only falls."""
        t = np.full(np.shape(level), 0.5)
        for step in 0.5 ** np.arange(2, 60):
            t = np.where(self.log_snr(t) > level, t + step, t - step)
        return t

    def at(self, t, x: ndarray) -> tuple[ndarray, ndarray]:
        """alpha and sigma at t, a scalar or (B,), as arrays that multiply x (B, ...)."""
        return spread(self.alpha(t), x), spread(self.sigma(t), x)

    def noisy(self, clean: ndarray, noise: ndarray, t) -> ndarray:
        """x_t = alpha clean + sigma noise (DDPM eq. 4); clean, noise (B, ...), t scalar or (B,)."""
        alpha, sigma = self.at(t, clean)
        return alpha * clean + sigma * noise

    def scaled(self, x_t: ndarray, t) -> ndarray:
        """x_t / scale: what a network is shown, of variance near 1 at every t if the data's is."""
        return spread(1 / self.scale(t), x_t) * x_t

    def target(self, clean: ndarray, noise: ndarray, t, predict: str) -> ndarray:
        """What a network learns to output: "noise", "clean" or "velocity".

        As t runs, x_t / scale = cos(angle) clean + sin(angle) noise with tan(angle) = sigma /
        alpha, and the velocity is the derivative of that by the angle (Salimans & Ho 2022, appendix
        D, for any schedule; with variance_exploding the preconditioning of Karras et al. 2022,
        table 1).
        """
        scale = self.scale(t)
        cos, sin = self.alpha(t) / scale, self.sigma(t) / scale
        velocity = spread(cos, clean) * noise - spread(sin, clean) * clean
        return _choose(predict, noise=noise, clean=clean, velocity=velocity)

    def clean_from(self, t, predict: str) -> tuple[ndarray, ndarray]:
        """The two numbers a, b of clean = a x_t + b output: `target` and `noisy`, solved for clean.

        From "noise" b is -sigma / alpha: where little signal is left, an error of the network
        counts for far more than the data. From "velocity" and "clean" it never counts for more than
        once.
        """
        alpha, sigma, scale = self.alpha(t), self.sigma(t), self.scale(t)
        divisor, none = np.maximum(alpha, SMALLEST_ALPHA), np.zeros_like(alpha)
        return _choose(
            predict,
            noise=(1 / divisor, -sigma / divisor),
            clean=(none, none + 1),
            velocity=(alpha / scale**2, -sigma / scale),
        )

    def clean(self, output: ndarray, x_t: ndarray, t, predict: str) -> ndarray:
        """The clean thing that an output of the network means, shaped like x_t."""
        of_x, of_output = self.clean_from(t, predict)
        return spread(of_x, x_t) * x_t + spread(of_output, x_t) * output

    def fresh_noise(self, now, after) -> ndarray:
        """Share of the noise variance at `now` that was added since `after`: in [0, 1].

        As everywhere, a step of sampling goes from `now` to `after`, the smaller t of the two: less
        noise. sigma^2(now | after) / sigma^2(now) = 1 - SNR(now) / SNR(after) (Kingma et al. 2021,
        appendix A).
        """
        return -np.expm1(np.minimum(self.log_snr(now) - self.log_snr(after), 0))

    def posterior(self, clean: ndarray, x_t: ndarray, now, after) -> tuple:
        """Mean (like x_t) and variance (scalar or (B,)) of q(x_after | x_now, clean), after < now.

        DDPM eq. 7 for any pair of times and any schedule. The variance is DDPM's small one, beta
        tilde.
        """
        fresh = self.fresh_noise(now, after)
        noise_now, noise_after = self.positive_sigma(now) ** 2, self.sigma(after) ** 2
        of_clean = self.alpha(after) * fresh
        of_x = self.alpha(now) * noise_after / (self.alpha(after) * noise_now)
        mean = spread(of_clean, x_t) * clean + spread(of_x, x_t) * x_t
        return mean, noise_after * fresh


class _Preserving(Schedule):
    """alpha^2 + sigma^2 = 1: data of variance 1 keeps it. The subclass gives log alpha."""

    def _alpha(self, t):
        return np.exp(self._log_alpha(t))

    def scale(self, t):
        return np.ones(np.shape(t))

    def _sigma(self, t):
        minus_sigma2 = np.expm1(2 * self._log_alpha(t))  # alpha^2 - 1, exact where alpha is near 1
        return np.sqrt(0.0 - minus_sigma2)  # 0.0 - x, for -x would be -0 at t = 0


@dataclass(frozen=True)
class linear(_Preserving):
    """beta_i grows linearly from beta_start to beta_end over `steps` steps (DDPM, section 4).

    At t = i / steps, alpha_bar is the product of the first i factors 1 - beta; between, its
    logarithm is the cubic through these with continuous slope that always falls (Fritsch & Butland
    1984). The two betas belong to 1000 steps: with fewer, less noise is added (alpha_bar(1) =
    4.0e-5 becomes 0.603 at 50).
    """

    beta_start: float = 1e-4
    beta_end: float = 0.02
    steps: int = 1000

    def _log_alpha(self, t):
        falls, at_grid, slopes = self._curve
        i = np.minimum(np.floor(t.real * self.steps).astype(int), self.steps - 1)
        u, fall, first, last = t * self.steps - i, falls[i], slopes[i], slopes[i + 1]
        cubic = u * (first + u * (3 * fall - 2 * first - last + u * (first + last - 2 * fall)))
        return (at_grid[i] + cubic) / 2

    @cached_property
    def _curve(self):
        """log alpha_bar: its fall in each step, its value and its slope at each t of the grid."""
        falls = np.log1p(-np.linspace(self.beta_start, self.beta_end, self.steps))
        before, after = np.insert(falls, 0, falls[0]), np.append(falls, falls[-1])
        slopes = 2 / (1 / before + 1 / after)  # harmonic means keep the curve falling
        return falls, np.insert(np.cumsum(falls), 0, 0), slopes


@dataclass(frozen=True)
class cosine(_Preserving):
    """alpha = cos of an angle that grows evenly (Nichol & Dhariwal 2021, eq. 17).

    There alpha reaches 0 at t = 1. Their clip, beta <= 0.999 in a chain of `steps` steps, is kept
    as a smallest value: alpha_bar(t) >= (1 - 0.999) alpha_bar(1 - 1 / steps), reached only at the
    very end (t > 0.9999 for 1000 steps). Only the value is clipped; the slope stays that of the
    cosine.
    """

    offset: float = 0.008
    steps: int = 1000

    def _log_alpha(self, t):
        def ratio(t):  # alpha
            per_t = np.pi / 2 / (1 + self.offset)
            return np.cos((t + self.offset) * per_t) / np.cos(self.offset * per_t)

        alpha, smallest = ratio(t), np.sqrt(1 - 0.999) * ratio(1 - 1 / self.steps)
        return np.log(alpha + np.maximum(smallest - alpha.real, 0))


@dataclass(frozen=True)
class variance_preserving(_Preserving):
    """`linear` in continuous time, beta from beta_min to beta_max (Song et al. 2021, eq. 32-33)."""

    beta_min: float = 0.1
    beta_max: float = 20.0

    def _log_alpha(self, t):
        return -(self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2) / 2


@dataclass(frozen=True)
class variance_exploding(Schedule):
    """The signal stays, the noise grows from 0 to about sigma_max (Song et al. 2021, appendix C).

    sigma^2(t) = s^2(t) - s^2(0), s(t) = sigma_min (sigma_max / sigma_min)^t: what the equation adds
    by t, as their eq. 29 has it. Their eq. 31 does not subtract: there sigma(t) = s(t), but
    sigma(0) = 0.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def _alpha(self, t):
        return t * 0 + 1.0

    def _sigma(self, t):
        log_ratio = np.log(self.sigma_max) - np.log(self.sigma_min)
        return self.sigma_min * np.sqrt(np.expm1(2 * t * log_ratio))


@dataclass(frozen=True)
class flow(Schedule):
    """The straight line between data and noise, of flow matching (Lipman et al. 2023)."""

    def _alpha(self, t):
        return 1 - t

    def _sigma(self, t):
        return t * 1.0


def checked(schedule: Schedule) -> Schedule:
    """The schedule itself, or an error that says what came instead."""
    if not isinstance(schedule, Schedule):
        called = "; call the class" if isinstance(schedule, type) else ""
        expected = "expected a noise schedule such as schedules.cosine()"
        raise TypeError(f"schedule: {expected}, got {schedule!r}{called}")
    return schedule


def agreed(schedule: Schedule | None, net, default: Schedule) -> Schedule:
    """The schedule of a model: as given, else that of an oracle in place of its net, else default.

    ValueError if the oracle was made for another one than is given: its answers would be wrong.
    """
    own = getattr(net, "schedule", None)
    if schedule is None:
        return default if own is None else own
    if own is not None and own != checked(schedule):
        made = f"{type(net).__name__} was made for {own}"
        raise ValueError(f"schedule: {made}, got {schedule}; leave it out, or make one for it")
    return checked(schedule)


# -- random times ---------------------------------------------------------------------------------


def even_draws(n: int, rng: Generator) -> ndarray:
    """n numbers in [0, 1), each alike likely to lie anywhere, but spread evenly: (n,).

    A mean over them, such as a loss over random times, is less noisy than over n draws (Kingma et
    al. 2021, appendix I.1).
    """
    return (rng.random() + np.arange(n) / n) % 1


# -- normal densities ----------------------------------------------------------------------------


def log_normal(x: ndarray, mean, std) -> ndarray:
    """log N(x; mean, std^2), each number for itself: shaped like x, nats."""
    return -(((x - mean) / std) ** 2) / 2 - np.log(std * math.sqrt(2 * math.pi))


def log_normal_mass(low: ndarray, high: ndarray) -> ndarray:
    """log of the mass of N(0, 1) between low and high, also where the mass is 0 in float64."""
    flip = low + high > 0  # the mirror image in the lower tail keeps its digits
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    log_high = _log_normal_cdf(high)
    return log_high + np.log1p(-np.exp(_log_normal_cdf(low) - log_high))


def _log_normal_cdf(z: ndarray) -> ndarray:
    """log Phi(z); below -20 by its asymptotic series (Abramowitz & Stegun 26.2.12)."""
    near, far = np.maximum(z, -20), np.minimum(z, -20)
    twice = np.vectorize(math.erfc, otypes=[float])(-near / math.sqrt(2))
    series = np.log1p(-1 / far**2 + 3 / far**4 - 15 / far**6)
    tail = log_normal(far, 0, 1) - np.log(-far) + series
    return np.where(z > -20, np.log(twice / 2), tail)


# -- shared --------------------------------------------------------------------------------------


def _time(t) -> ndarray:
    t = np.asarray(t, dtype=np.complex128 if np.iscomplexobj(t) else np.float64)
    if not np.all((t.real >= 0) & (t.real <= 1)):
        raise ValueError(f"t must lie in [0, 1], got {t}")
    return t


def _slope(function, t) -> ndarray:
    return function(np.asarray(t, dtype=np.float64) + 1e-30j).imag / 1e-30


def _choose(predict: str, **meanings):
    arguments.one_of(meanings, predict=predict)
    return meanings[predict]
