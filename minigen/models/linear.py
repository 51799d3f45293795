"""LinearAR: the next value is a weighted sum of the last p values plus Gaussian noise (Yule 1927).

After Brockwell and Davis (BD), "Time Series: Theory and Methods" (2nd ed.):
x_t = c + sum_k phi_k x_{t-k} + sigma e_t.
"""

from statistics import NormalDist

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator

from minigen import arguments, sampling

# -- reading a series ------------------------------------------------------------------------------


def as_series(series: ndarray, shortest: int) -> ndarray:
    """The series (L,) in float64, or an error that says what is wrong with it."""
    values = arguments.numbers("series", series)
    if values.ndim != 1 or len(values) < shortest:
        expected = f"one row of at least {shortest} values"
        raise ValueError(f"series: expected {expected}, got shape {values.shape}")
    if np.ptp(values) == 0:
        raise ValueError(f"series: constant, all {len(values)} values are {values[0]}")
    return values


def autocovariance(series: ndarray, lags: int) -> ndarray:
    """gamma_k = 1/n sum_t (x_t - mean)(x_{t+k} - mean), k = 0..lags: (lags + 1,) (BD eq. 7.2.1).

    1/n, not 1/(n - k): only so is the matrix gamma_{|i-j|} positive definite and every Yule-Walker
    fit stationary.
    """
    x = as_series(series, lags + 1)
    x = x - x.mean()
    return np.array([x[: len(x) - k] @ x[k:] for k in range(lags + 1)]) / len(x)


def autocorrelation(series: ndarray, lags: int) -> tuple[ndarray, ndarray]:
    """r_k, k = 0..lags, and the half-width of its 95% band if the truth were zero from lag k on.

    Both (lags + 1,). Bartlett: var r_k = (1 + 2 sum_{0 < j < k} r_j^2) / n (BD theorem 7.2.1).
    """
    gamma = autocovariance(series, lags)
    r = gamma / gamma[0]
    squares = 2 * np.cumsum(r[:-1] ** 2) - 1  # r_0 = 1 counts twice in the sum, less 1
    variance = np.insert(squares, 0, 0) / len(series)
    return r, 1.96 * np.sqrt(variance)


def partial_autocorrelation(series: ndarray, lags: int) -> tuple[ndarray, ndarray]:
    """Correlation at lag k with what lies between taken out, and the half-width of its 95% band.

    Both (lags + 1,). It is the last coefficient of the AR(k); for white noise its variance is 1/n
    (BD theorem 8.1.2).
    """
    _, partial, _ = levinson_durbin(autocovariance(series, lags))
    band = np.full(lags + 1, 1.96 / np.sqrt(len(series)))
    band[0] = 0
    return partial, band


# -- estimating ------------------------------------------------------------------------------------


def levinson_durbin(gamma: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Solve Yule-Walker, gamma_k = sum_j phi_j gamma_{|k-j|}, one order at a time (BD prop. 5.2.1).

    gamma (p + 1,) -> phi (p,); the partial autocorrelations (p + 1,); the noise variances of
    orders 0..p (p + 1,).
    """
    gamma = np.asarray(gamma, np.float64)
    phi, partial, variance = np.zeros(0), [1.0], [gamma[0]]
    for k in range(1, len(gamma)):
        left = gamma[k] - phi @ gamma[k - 1 : 0 : -1]
        reflection = left / variance[-1]
        phi = np.append(phi - reflection * phi[::-1], reflection)
        partial.append(reflection)
        variance.append(variance[-1] * (1 - reflection**2))
    return phi, np.array(partial), np.array(variance)


def least_squares(x: ndarray, order: int, skip: int) -> tuple[ndarray, float, float]:
    """Regress x[skip:] on its p = `order` lags: phi (p,), c and the noise variance (1/n).

    Solved for (x - mean) / scale: beside a large mean the lags of x itself all look alike.
    """
    mean = x.mean()
    scale = np.abs(x - mean).max()
    windows = sliding_window_view((x - mean) / scale, order + 1)  # oldest first
    newest_first = windows[skip - order :, ::-1]  # (L - skip, order + 1)
    target, lags = newest_first[:, 0], newest_first[:, 1:]
    design = np.column_stack([np.ones(len(lags)), lags])
    solution, _, rank, _ = np.linalg.lstsq(design, target, rcond=None)
    if rank < order + 1:
        why = "it follows a smaller rule without noise"
        raise ValueError(f"series: its {order} lags are linearly dependent: {why}")
    c, phi = solution[0], solution[1:]
    residual = scale * (target - design @ solution)
    return phi, mean * (1 - phi.sum()) + scale * c, np.mean(residual**2)


def order_criteria(series: ndarray, largest: int) -> dict[str, ndarray]:
    """AIC, BIC and HQIC of the AR(0..largest), each (largest + 1,): best is `["BIC"].argmin()`.

    log sigma_p^2 + (p + 1) penalty / n with penalty 2, log n, 2 log log n (BD section 9.3; Hannan
    and Quinn 1979), by least squares on the same n = L - largest values for every order: sums over
    different years cannot be compared.
    """
    x = as_series(series, 2 * largest + 2)
    n, orders = len(x) - largest, np.arange(largest + 1)
    variances = [least_squares(x, order, skip=largest)[2] for order in orders]
    penalties = {"AIC": 2.0, "BIC": np.log(n), "HQIC": 2 * np.log(np.log(n))}
    return {
        name: np.log(variances) + (orders + 1) * penalty / n for name, penalty in penalties.items()
    }


class LinearAR:
    """AR(p) with an intercept, p = order: `LinearAR(order=2).fit(series)`.

    coefficients (p,), lag 1 first; intercept and noise_std in the units of the series; history
    (p,), its last values, from where forecasts go on: all NaN before `fit`, where every method that
    needs them raises RuntimeError. observations: the equations of the fit, inf if none.

    A *density* (nats, and dependent on the units of x): never compare it with a probability of
    discrete data as it is.
    """

    density = True

    def __init__(self, order: int):
        arguments.whole(1, order=order)
        self.order = order
        self.coefficients = np.full(order, np.nan)
        self.intercept = np.array(np.nan)
        self.noise_std = np.array(np.nan)
        self.history = np.full(order, np.nan)
        self.observations = np.array(np.inf)

    @classmethod
    def known(
        cls, coefficients: ndarray, intercept: float = 0.0, noise_std: float = 1.0
    ) -> "LinearAR":
        """The model with these parameters, nothing estimated; it needs a `history` to forecast."""
        model = cls(len(coefficients))
        model.coefficients = arguments.numbers("coefficients", coefficients).copy()
        model.intercept = arguments.numbers("intercept", intercept).copy()
        model.noise_std = arguments.numbers("noise_std", noise_std).copy()
        arguments.within("(0, inf)", noise_std=model.noise_std)
        return model

    def __repr__(self) -> str:
        fitted = np.isfinite(self.coefficients).all()
        state = f"{self.order + 2} parameters" if fitted else "not fitted"
        return f"LinearAR(order={self.order}), {state}"

    # -- fit ---------------------------------------------------------------------------------------

    def fit(self, series=None, method: str = "least-squares", **misplaced) -> "LinearAR":
        """Estimate from one series (L,); returns self. noise_std^2 is the mean squared residual.

        "least-squares" regresses x_t on its lags; "yule-walker" matches the autocovariances: always
        stationary, and a little shrunk.

        Raises:
            ValueError: missing values, a constant series, or fewer than 2 order + 2 values.
        """
        if misplaced or series is None or not isinstance(self, LinearAR):
            came = ", ".join(misplaced) or "no model or no series"
            raise TypeError(f"fit: expected LinearAR(order=13).fit(series), got {came}")
        x = as_series(series, 2 * self.order + 2)
        arguments.one_of(("least-squares", "yule-walker"), method=method)
        if method == "least-squares":
            phi, intercept, variance = least_squares(x, self.order, skip=self.order)
        else:
            phi, _, variances = levinson_durbin(autocovariance(x, self.order))
            intercept, variance = x.mean() * (1 - phi.sum()), variances[-1]
        self.coefficients = phi
        self.intercept = np.array(intercept)
        self.noise_std = np.array(np.sqrt(variance))
        self.history = x[-self.order :].copy()
        self.observations = np.array(float(len(x) - self.order))
        return self

    # -- what the coefficients say -----------------------------------------------------------------

    def roots(self) -> ndarray:
        """The p roots of z^p - phi_1 z^{p-1} - ... - phi_p, largest first.

        The process is stationary if all lie inside |z| = 1.
        """
        roots = np.roots(np.append(1.0, -self._fitted().coefficients))
        return roots[np.argsort(-np.abs(roots), kind="stable")]

    def is_stationary(self) -> bool:
        """Do shocks die out? (BD theorem 3.1.1, there with 1/z)"""
        return bool((np.abs(self.roots()) < 1).all())

    def period(self) -> float:
        """Steps per cycle of the slowest-dying complex pair, 2 pi / angle; inf if all are real."""
        turning = [root for root in self.roots() if root.imag != 0]
        return float(2 * np.pi / np.abs(np.angle(turning[0]))) if turning else np.inf

    def mean(self) -> float:
        """The mean of the stationary process, c / (1 - sum phi)."""
        return float(self._fitted().intercept / (1 - self.coefficients.sum()))

    def autocovariance(self, lags: int) -> ndarray:
        """gamma_0 .. gamma_lags of the stationary process; ValueError if it is not stationary.

        gamma_k - sum_j phi_j gamma_{|k-j|} = sigma^2 for k = 0, else 0 (BD section 3.3): p + 1
        equations, then onwards.
        """
        if not self.is_stationary():
            largest = np.abs(self.roots()[0])
            raise ValueError(f"coefficients: not stationary, largest root {largest:.4f}")
        p = self.order
        equations = np.eye(p + 1)
        for k, j in np.ndindex(p + 1, p):
            equations[k, abs(k - (j + 1))] -= self.coefficients[j]
        noise = np.zeros(p + 1)
        noise[0] = self.noise_std**2
        gamma = list(np.linalg.solve(equations, noise))
        while len(gamma) <= lags:
            gamma.append(self.coefficients @ gamma[: -p - 1 : -1])
        return np.array(gamma[: lags + 1])

    def spectrum(self, frequency: ndarray) -> ndarray:
        """Variance per unit of frequency, at -1/2..1/2 cycles a step (BD theorem 4.4.2).

        Its integral is gamma_0.
        """
        lags = np.arange(1, self._fitted().order + 1)
        wave = np.exp(-2j * np.pi * np.multiply.outer(frequency, lags))
        return self.noise_std**2 / np.abs(1 - wave @ self.coefficients) ** 2

    # -- predict -----------------------------------------------------------------------------------

    def one_step(self, x: ndarray) -> ndarray:
        """E[x_t | the `order` values before it] for x (..., L): (..., L - order)."""
        x = arguments.numbers("x", x)
        if x.ndim == 0 or x.shape[-1] <= self.order:
            expected = f"more than order = {self.order} values along L"
            raise ValueError(f"x: expected {expected}, got shape {x.shape}")
        return self._next_mean(sliding_window_view(x[..., :-1], self.order, axis=-1))

    def point_forecast(self, steps: int, history: ndarray | None = None) -> ndarray:
        """E[x_{T+h} | history], h = 1..steps: the walk without noise, (steps,)."""
        return self._walk(self._past(history), np.zeros((1, steps)))[0]

    def interval(self, steps: int, level: float = 0.9, history: ndarray | None = None) -> ndarray:
        """Lower and upper ends (steps, 2) that should hold x_{T+h} with probability `level`.

        var = sigma^2 sum_{j<h} psi_j^2, psi the response to a unit shock (BD section 5.5), times
        Akaike's (1969) (n + p + 1) / (n - p - 1): the residuals of a fit are too small, and its
        coefficients are uncertain. Coverage measured for an AR(2) of period 11, level 0.9, 1 to 10
        steps: 0.86-0.89 at n = 50, 0.88-0.90 at n = 100.
        """
        arguments.within("(0, 1)", level=level)
        center = self.point_forecast(steps, history)
        shock = LinearAR.known(self.coefficients)
        psi = shock._walk(np.zeros((1, self.order)), np.eye(1, steps))[0]
        used = self.order + 1
        # = (n + p + 1) / (n - p - 1), and 1 for a known model, whose n is infinite
        inflate = 1 + 2 * used / (self.observations - used)
        std = self.noise_std * np.sqrt(inflate * np.cumsum(psi**2))
        half = NormalDist().inv_cdf((1 + level) / 2) * std
        return np.stack([center - half, center + half], axis=1)

    # -- sample ------------------------------------------------------------------------------------

    def sample(self, n: int, rng: Generator, length: int) -> ndarray:
        """n series (n, length) of the stationary process.

        The first p values come from their joint Gaussian, the others one by one.
        """
        gamma = self.autocovariance(self.order - 1)
        places = np.arange(self.order)
        covariance = gamma[np.abs(np.subtract.outer(places, places))]
        mean = np.full(self.order, self.mean())
        start = arguments.generator(rng).multivariate_normal(
            mean, covariance, size=n, method="cholesky"
        )
        noise = rng.standard_normal((n, max(length - self.order, 0)))
        return np.hstack([start, self._walk(start, noise)])[:, :length]

    def forecast(self, steps: int, rng: Generator, paths: int, history=None, noise=None) -> ndarray:
        """A fan of simulated futures (paths, steps), from the end of `history` (>= order values).

        history None is the end of the fitted series; noise (paths, steps), of unit variance, can be
        handed in.
        """
        if noise is None:
            noise = arguments.generator(rng).standard_normal((paths, steps))
        elif np.shape(noise) != (paths, steps):
            raise ValueError(f"noise: expected shape {(paths, steps)}, got {np.shape(noise)}")
        return self._walk(np.tile(self._past(history), (paths, 1)), noise)

    def _walk(self, past: ndarray, noise: ndarray) -> ndarray:
        """Go on from past (n, p), x_t = its conditional mean + sigma noise_t: (n, steps).

        The state of the walk is the last p values; one step forgets the oldest of them.
        """

        def commit(state, mean, step, _):
            value = mean + self.noise_std * noise[:, step]
            return np.column_stack([state[:, 1:], value])

        steps = noise.shape[1]
        values = np.empty((len(past), steps))
        states = sampling.walk(past, range(steps + 1), lambda x, _: self._next_mean(x), commit)
        for step, state in enumerate(states):
            values[:, step] = state[:, -1]
        return values

    # -- log_prob ----------------------------------------------------------------------------------

    def log_prob(self, x: ndarray) -> ndarray:
        """log p(x_{p+1}, ..., x_L | x_1, ..., x_p) of each row of x (B, L): (B,), nats.

        Exact, and a density: conditional on the first p = order values, which it does not score.
        """
        x = np.atleast_2d(arguments.numbers("x", x))
        z = (x[:, self.order :] - self.one_step(x)) / self.noise_std
        return -0.5 * (z**2 + np.log(2 * np.pi * self.noise_std**2)).sum(axis=1)

    def scored(self, x: ndarray) -> int:
        """How many values of one row `log_prob` scores: L - order."""
        return np.shape(x)[-1] - self.order

    # -- what all of them need ---------------------------------------------------------------------

    def _next_mean(self, past: ndarray) -> ndarray:
        """c + sum_k phi_k x_{t-k} from the p values before t, oldest first: (..., p) -> (...)."""
        return self.intercept + past @ self._fitted().coefficients[::-1]

    def _past(self, history: ndarray | None) -> ndarray:
        self._fitted()
        if history is None and not np.isfinite(self.history).all():
            raise ValueError("history: a known model has none, give at least `order` values")
        past = self.history if history is None else arguments.numbers("history", history)
        if past.ndim != 1 or len(past) < self.order:
            expected = f"at least {self.order} values in a row"
            raise ValueError(f"history: expected {expected}, got shape {past.shape}")
        return past[None, -self.order :]  # (1, p)

    def _fitted(self) -> "LinearAR":
        if not np.isfinite(self.coefficients).all():
            raise RuntimeError(f"{self}: call .fit(series) first")
        return self
