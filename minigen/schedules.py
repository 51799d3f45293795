"""Noise schedules: how much signal alpha(t) and how much noise sigma(t) are left at time t.

Follows DDPM (Ho et al. 2020), Nichol & Dhariwal (2021), Song et al. (2021) and Variational Diffusion Models
(Kingma et al. 2021). One convention everywhere: t = 0 is clean, t = 1 is noise, and

    x_t = alpha(t) clean + sigma(t) noise,        noise ~ N(0, I).

The classes are in lower case because they read as functions: `schedules.cosine()`.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Where alpha reaches 0 (`flow` at t = 1) no signal is left to divide by: every division by alpha is clipped here.
SMALLEST_ALPHA = 1e-5


def spread(coefficient: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A scalar or (B,) coefficient as an array that multiplies x of shape (B, ...), in the dtype of x."""
    coefficient = np.asarray(coefficient)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(
            f"x must hold floats (scale integer images to [-1, 1] first), got {x.dtype}"
        )
    if coefficient.shape not in ((), x.shape[:1]):
        raise ValueError(
            f"t must be a scalar or one time per example, got shape {coefficient.shape} for x {x.shape}"
        )
    return coefficient.astype(x.dtype).reshape(
        coefficient.shape + (1,) * (x.ndim - coefficient.ndim)
    )


class Schedule:
    """A schedule defines `_alpha(t)` and `_sigma(t)`; everything else is derived from these two.

    They are written with functions that accept complex numbers, so that the derivatives are exact: f(t + ih) is
    f(t) + ih f'(t) up to h^2, and h = 1e-30 makes that last term vanish (the complex step). t is a scalar or an array.
    """

    def __post_init__(self):
        self.grid(getattr(self, "steps", 1))  # refuses a chain of no steps
        if not np.all(np.diff(self.log_snr(np.linspace(0, 1, 1001))) <= 0):
            raise ValueError(
                f"{self}: with these values the log-SNR does not fall from t = 0 to t = 1"
            )
        left = self.alpha_bar(1.0) / self.prior_std**2
        if left > 1e-3:
            message = f"{self} does not end in noise: at t = 1 the signal still has {left:.3f} of the variance"
            warnings.warn(
                f"{message} and {left**0.5:.3f} of the amplitude", UserWarning, stacklevel=3
            )

    def alpha(self, t) -> np.ndarray:
        """What multiplies the clean signal at time t."""
        return self._alpha(_time(t))

    def sigma(self, t) -> np.ndarray:
        """Standard deviation of the noise at time t."""
        return self._sigma(_time(t))

    def alpha_bar(self, t) -> np.ndarray:
        """alpha^2, the papers' product of (1 - beta) (DDPM eq. 4)."""
        return self.alpha(t) ** 2

    def log_snr(self, t) -> np.ndarray:
        """log alpha^2 / sigma^2, nats: inf where there is no noise (t = 0), -inf where there is no signal."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * (np.log(self.alpha(t)) - np.log(self.sigma(t)))

    def f(self, t) -> np.ndarray:
        """Drift of the forward equation dx = f x dt + g dw: d log alpha / dt (Song et al. 2021, eq. 5)."""
        return _slope(self.alpha, t) / np.maximum(self.alpha(t), SMALLEST_ALPHA)

    def g2(self, t) -> np.ndarray:
        """Squared diffusion g^2: what d sigma^2 / dt is more than the drift alone would make it."""
        return _slope(lambda s: self.sigma(s) ** 2, t) - 2 * self.f(t) * self.sigma(t) ** 2

    def slopes(self, t) -> tuple[np.ndarray, np.ndarray]:
        """d alpha / dt and d sigma / dt."""
        return _slope(self.alpha, t), _slope(self.sigma, t)

    @property
    def prior_std(self) -> float:
        """Standard deviation to start sampling with: that of x_1 for data of variance 1 (1 for all but exploding)."""
        return float(np.sqrt(self.alpha(1.0) ** 2 + self.sigma(1.0) ** 2))

    def grid(self, steps: int) -> np.ndarray:
        """The times t_i = i / steps of a discrete chain, i = 0 .. steps: (steps + 1,)."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        return np.arange(steps + 1) / steps

    def betas(self, steps: int) -> np.ndarray:
        """beta_i = 1 - alpha_bar(t_i) / alpha_bar(t_(i-1)) of the discrete chain (DDPM eq. 2), i = 1 .. steps."""
        alpha_bar = self.alpha_bar(self.grid(steps))
        return 1 - alpha_bar[1:] / alpha_bar[:-1]

    def time(self, log_snr) -> np.ndarray:
        """The t at which the log-SNR has a given value, by bisection: the log-SNR only falls."""
        t = np.full(np.shape(log_snr), 0.5)
        for step in 0.5 ** np.arange(2, 60):
            t = np.where(self.log_snr(t) > log_snr, t + step, t - step)
        return t

    def noisy(self, clean: np.ndarray, noise: np.ndarray, t) -> np.ndarray:
        """x_t = alpha clean + sigma noise (DDPM eq. 4). clean, noise: (B, ...); t: scalar or (B,)."""
        return spread(self.alpha(t), clean) * clean + spread(self.sigma(t), clean) * noise

    def target(self, clean: np.ndarray, noise: np.ndarray, t, predict: str) -> np.ndarray:
        """What a network learns to output: "noise", "clean" or "velocity" (Salimans & Ho 2022, appendix D)."""
        velocity = spread(self.alpha(t), clean) * noise - spread(self.sigma(t), clean) * clean
        return _choose(predict, noise=noise, clean=clean, velocity=velocity)

    def clean(self, output: np.ndarray, x_t: np.ndarray, t, predict: str) -> np.ndarray:
        """The clean thing that an output of the network means: the inverse of `target` and `noisy` together.

        From "noise" it divides by alpha, so an error of the network grows by sigma / alpha; below SMALLEST_ALPHA the
        divisor stops, and the answer is a finite number that knows nothing, as it should where no signal is left.
        """
        alpha, sigma = spread(self.alpha(t), x_t), spread(self.sigma(t), x_t)
        of_noise = (x_t - sigma * output) / np.maximum(alpha, x_t.dtype.type(SMALLEST_ALPHA))
        of_velocity = (alpha * x_t - sigma * output) / (alpha**2 + sigma**2)
        return _choose(predict, noise=of_noise, clean=output, velocity=of_velocity)

    def fresh_noise(self, now, after) -> np.ndarray:
        """Share of the noise variance at `now` that was added since the earlier time `after`, in [0, 1] (0 if later).

        sigma^2(now | after) / sigma^2(now) = 1 - SNR(now) / SNR(after) (Kingma et al. 2021, appendix A).
        """
        return -np.expm1(np.minimum(self.log_snr(now) - self.log_snr(after), 0))

    def posterior(
        self, clean: np.ndarray, x_t: np.ndarray, now, after
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean, shaped like x_t, and variance (scalar or (B,)) of q(x_after | x_now, clean), after < now.

        DDPM eq. 7 for any pair of times and any schedule. The variance is DDPM's small one, beta tilde.
        """
        fresh = self.fresh_noise(now, after)
        of_clean = self.alpha(after) * fresh
        of_x = self.alpha(now) * self.sigma(after) ** 2 / (self.alpha(after) * self.sigma(now) ** 2)
        return spread(of_clean, x_t) * clean + spread(of_x, x_t) * x_t, self.sigma(
            after
        ) ** 2 * fresh


class _Preserving(Schedule):
    """alpha^2 + sigma^2 = 1: data of variance 1 keeps it at every t. The subclass gives log alpha."""

    def _alpha(self, t):
        return np.exp(self._log_alpha(t))

    def _sigma(self, t):
        return np.sqrt(
            0.0 - np.expm1(2 * self._log_alpha(t))
        )  # sqrt(1 - alpha^2), exact also where alpha is near 1


@dataclass(frozen=True)
class linear(_Preserving):
    """beta_i grows linearly from beta_start to beta_end over `steps` steps (DDPM, section 4).

    At t = i / steps, alpha_bar is the product of the first i factors 1 - beta; between, its logarithm is the cubic
    through these with continuous slope that always falls (Fritsch & Butland 1984).
    The two betas belong to 1000 steps: with fewer, less noise is added (alpha_bar(1) = 4.0e-5 becomes 0.603 at 50).
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
        """log alpha_bar: its fall in each step, its value and its slope at each time of the grid."""
        falls = np.log1p(-np.linspace(self.beta_start, self.beta_end, self.steps))
        before, after = np.insert(falls, 0, falls[0]), np.append(falls, falls[-1])
        slopes = 2 / (1 / before + 1 / after)  # harmonic means keep the curve falling
        return falls, np.insert(np.cumsum(falls), 0, 0), slopes


@dataclass(frozen=True)
class cosine(_Preserving):
    """alpha = cos of an angle that grows evenly (Nichol & Dhariwal 2021, eq. 17).

    There alpha reaches 0 at t = 1. Their clip, beta <= 0.999 in a chain of `steps` steps, is kept as a smallest value:
    alpha_bar(t) >= (1 - 0.999) alpha_bar(1 - 1 / steps), reached only at the very end (t > 0.9999 for 1000 steps).
    Only the value is clipped; the slope stays that of the cosine.
    """

    offset: float = 0.008
    steps: int = 1000

    def _log_alpha(self, t):
        angle = np.pi / 2 / (1 + self.offset)  # per unit of t
        ratio = np.cos((t + self.offset) * angle) / np.cos(self.offset * angle)
        smallest = (
            np.sqrt(1 - 0.999)
            * np.cos((1 - 1 / self.steps + self.offset) * angle)
            / np.cos(self.offset * angle)
        )
        return np.log(ratio + np.maximum(smallest - ratio.real, 0))


@dataclass(frozen=True)
class variance_preserving(_Preserving):
    """The linear schedule in continuous time: beta(t) from beta_min to beta_max (Song et al. 2021, eq. 32-33)."""

    beta_min: float = 0.1
    beta_max: float = 20.0

    def _log_alpha(self, t):
        return -(self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2) / 2


@dataclass(frozen=True)
class variance_exploding(Schedule):
    """The signal stays, the noise grows from 0 to about sigma_max (Song et al. 2021, eq. 29-31).

    sigma^2(t) = s^2(t) - s^2(0) with s(t) = sigma_min (sigma_max / sigma_min)^t: exactly what the equation adds by t.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def _alpha(self, t):
        return t * 0 + 1.0

    def _sigma(self, t):
        return self.sigma_min * np.sqrt(
            np.expm1(2 * t * (np.log(self.sigma_max) - np.log(self.sigma_min)))
        )


@dataclass(frozen=True)
class flow(Schedule):
    """The straight line between data and noise: alpha = 1 - t, sigma = t (flow matching, Lipman et al. 2023)."""

    def _alpha(self, t):
        return 1 - t

    def _sigma(self, t):
        return t * 1.0


def _time(t) -> np.ndarray:
    t = np.asarray(t, dtype=np.complex128 if np.iscomplexobj(t) else np.float64)
    if not np.all((t.real >= 0) & (t.real <= 1)):
        raise ValueError(f"t must lie in [0, 1], got {t}")
    return t


def _slope(function, t) -> np.ndarray:
    return function(np.asarray(t, dtype=np.float64) + 1e-30j).imag / 1e-30


def _choose(predict: str, **meanings: np.ndarray) -> np.ndarray:
    if predict not in meanings:
        raise ValueError(f"predict must be one of {list(meanings)}, got {predict!r}")
    return meanings[predict]
