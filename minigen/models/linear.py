"""LinearAR: the next value is a weighted sum of the last p values plus Gaussian noise (Yule 1927).

After Brockwell and Davis (BD), "Time Series: Theory and Methods" (2nd ed.); x_t = c + sum_k phi_k x_{t-k} + sigma e_t.
"""

from statistics import NormalDist

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigen.sampling import run


def as_series(series: np.ndarray, shortest: int) -> np.ndarray:
    """The series (L,) in float64, or a ValueError that says what is wrong with it."""
    values = np.ma.asarray(series, np.float64).filled(np.nan)  # a masked value is a missing one
    if values.ndim != 1 or len(values) < shortest:
        raise ValueError(
            f"series: expected one row of at least {shortest} values, got shape {values.shape}"
        )
    missing = np.flatnonzero(~np.isfinite(values))
    if len(missing):
        raise ValueError(
            f"series: {len(missing)} missing or infinite values, first at {missing[0]}; fill or cut them"
        )
    if np.ptp(values) == 0:
        raise ValueError(f"series: constant, all {len(values)} values are {values[0]}")
    return values


def autocovariance(series: np.ndarray, lags: int) -> np.ndarray:
    """gamma_k = 1/n sum_t (x_t - mean)(x_{t+k} - mean), k = 0..lags: (lags + 1,) (BD eq. 7.2.1).

    1/n, not 1/(n - k): only so is the matrix gamma_{|i-j|} positive definite and every Yule-Walker fit stationary.
    """
    x = as_series(series, lags + 1)
    x = x - x.mean()
    return np.array([x[: len(x) - k] @ x[k:] for k in range(lags + 1)]) / len(x)


def autocorrelation(series: np.ndarray, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """r_k, k = 0..lags, and the half-width of its 95% band if the truth were zero from lag k on: both (lags + 1,).

    Bartlett: var r_k = (1 + 2 sum_{0 < j < k} r_j^2) / n (BD theorem 7.2.1).
    """
    gamma = autocovariance(series, lags)
    r = gamma / gamma[0]
    variance = np.insert(2 * np.cumsum(r[:-1] ** 2) - 1, 0, 0) / len(
        series
    )  # r_0 = 1 counts twice in the sum, less 1
    return r, 1.96 * np.sqrt(variance)


def partial_autocorrelation(series: np.ndarray, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlation at lag k with what lies between taken out, and the half-width of its 95% band: both (lags + 1,).

    It is the last coefficient of the AR(k); for white noise its variance is 1/n (BD theorem 8.1.2).
    """
    _, partial, _ = levinson_durbin(autocovariance(series, lags))
    return partial, 1.96 * (np.arange(lags + 1) > 0) / np.sqrt(len(series))


def levinson_durbin(gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve gamma_k = sum_j phi_j gamma_{|k-j|}, k = 1..p (Yule-Walker), one order at a time (BD proposition 5.2.1).

    gamma (p + 1,) -> phi (p,); the partial autocorrelations (p + 1,); the noise variances of orders 0..p (p + 1,).
    """
    gamma = np.asarray(gamma, np.float64)
    phi, partial, variance = np.zeros(0), [1.0], [gamma[0]]
    for k in range(1, len(gamma)):
        reflection = (gamma[k] - phi @ gamma[k - 1 : 0 : -1]) / variance[-1]
        phi = np.append(phi - reflection * phi[::-1], reflection)
        partial.append(reflection)
        variance.append(variance[-1] * (1 - reflection**2))
    return phi, np.array(partial), np.array(variance)


def least_squares(x: np.ndarray, order: int, skip: int) -> tuple[np.ndarray, float]:
    """(c, phi_1, ..., phi_p) and noise variance (1/n) of the regression of x[skip:] on its `order` predecessors."""
    rows = sliding_window_view(x, order + 1)[skip - order :]  # (L - skip, order + 1), oldest first
    design = np.column_stack([np.ones(len(rows)), rows[:, :-1][:, ::-1]])
    solution, _, rank, _ = np.linalg.lstsq(design, rows[:, -1], rcond=None)
    if rank < order + 1:
        raise ValueError(
            f"series: its {order} lags are linearly dependent (it follows a smaller rule without noise)"
        )
    return solution, float(np.mean((rows[:, -1] - design @ solution) ** 2))


def order_criteria(series: np.ndarray, largest: int) -> dict[str, np.ndarray]:
    """AIC, BIC and HQIC of the AR(0..largest), each (largest + 1,): the best order is `["BIC"].argmin()`.

    log sigma_p^2 + (p + 1) penalty / n with penalty 2, log n, 2 log log n (BD section 9.3; Hannan and Quinn 1979), by
    least squares on the same n = L - largest values for every order: sums over different years cannot be compared.
    """
    x = as_series(series, 2 * largest + 2)
    n, orders = len(x) - largest, np.arange(largest + 1)
    fit = np.log([least_squares(x, order, skip=largest)[1] for order in orders])
    penalties = {"AIC": 2.0, "BIC": np.log(n), "HQIC": 2 * np.log(np.log(n))}
    return {name: fit + (orders + 1) * penalty / n for name, penalty in penalties.items()}


class LinearAR:
    """AR(p) with an intercept, p = order: coefficients (p,), lag 1 first; noise_std in the units of the series.

    A *density* (nats, and dependent on the units of x): never compare it with a probability of discrete data as it is.
    """

    density = True

    def __init__(self, order: int):
        if order < 1:
            raise ValueError(f"order: expected at least 1, got {order}")
        self.order = order
        self.coefficients, self.intercept, self.noise_std = (
            np.full(order, np.nan),
            np.array(np.nan),
            np.array(np.nan),
        )
        self.history = np.full(
            order, np.nan
        )  # the last values of the series: forecasts go on from here
        self.observations = np.array(np.inf)  # equations in the fit; inf: known, not estimated

    @classmethod
    def known(
        cls, coefficients: np.ndarray, intercept: float = 0.0, noise_std: float = 1.0
    ) -> "LinearAR":
        """The model with these parameters, nothing estimated; it needs a `history` to forecast."""
        model = cls(len(coefficients))
        model.coefficients = np.array(coefficients, np.float64)
        model.intercept, model.noise_std = np.array(float(intercept)), np.array(float(noise_std))
        return model

    def fit(self, series: np.ndarray, method: str = "least-squares") -> "LinearAR":
        """Estimate from one series (L,); returns self. noise_std^2 is the mean squared residual (1/n).

        "least-squares" regresses x_t on its lags; "yule-walker" matches the autocovariances: always stationary, and
        a little shrunk. ValueError for missing values, a constant series, or fewer than 2 order + 2 values.
        """
        x = as_series(series, 2 * self.order + 2)
        if method == "least-squares":
            solution, variance = least_squares(x, self.order, skip=self.order)
            intercept, phi = solution[0], solution[1:]
        elif method == "yule-walker":
            phi, _, variances = levinson_durbin(autocovariance(x, self.order))
            intercept, variance = x.mean() * (1 - phi.sum()), variances[-1]
        else:
            raise ValueError(f"method: expected 'least-squares' or 'yule-walker', got {method!r}")
        self.coefficients, self.intercept, self.noise_std = (
            phi,
            np.array(intercept),
            np.array(np.sqrt(variance)),
        )
        self.history, self.observations = (
            x[-self.order :].copy(),
            np.array(float(len(x) - self.order)),
        )
        return self

    # What the coefficients say -----------------------------------------------------------------------

    def roots(self) -> np.ndarray:
        """The p roots of z^p - phi_1 z^{p-1} - ... - phi_p, largest first; stationary if all lie inside |z| = 1."""
        roots = np.roots(np.append(1.0, -self.coefficients))
        return roots[np.argsort(-np.abs(roots), kind="stable")]

    def is_stationary(self) -> bool:
        """Do shocks die out? (BD theorem 3.1.1, there with 1/z)"""
        return bool((np.abs(self.roots()) < 1).all())

    def period(self) -> float:
        """Steps per cycle of the slowest-dying complex pair, 2 pi / angle; inf if all roots are real."""
        angles = np.abs(np.angle([root for root in self.roots() if root.imag != 0]))
        return float(2 * np.pi / angles[0]) if len(angles) else np.inf

    def mean(self) -> float:
        """The mean of the stationary process, c / (1 - sum phi)."""
        return float(self.intercept / (1 - self.coefficients.sum()))

    def autocovariance(self, lags: int) -> np.ndarray:
        """gamma_0 .. gamma_lags of the stationary process; ValueError if it is not stationary.

        gamma_k - sum_j phi_j gamma_{|k-j|} = sigma^2 for k = 0, else 0 (BD section 3.3): p + 1 equations, then onwards.
        """
        if not self.is_stationary():
            raise ValueError(
                f"coefficients: not stationary, largest root {np.abs(self.roots()[0]):.4f}"
            )
        p = self.order
        equations = np.eye(p + 1)
        for k, j in np.ndindex(p + 1, p):
            equations[k, abs(k - (j + 1))] -= self.coefficients[j]
        gamma = list(np.linalg.solve(equations, self.noise_std**2 * (np.arange(p + 1) == 0)))
        while len(gamma) <= lags:
            gamma.append(self.coefficients @ gamma[: -p - 1 : -1])
        return np.array(gamma[: lags + 1])

    def spectrum(self, frequency: np.ndarray) -> np.ndarray:
        """Variance per unit of frequency, at -1/2..1/2 cycles a step (BD theorem 4.4.2): its integral is gamma_0."""
        wave = np.exp(-2j * np.pi * np.multiply.outer(frequency, np.arange(1, self.order + 1)))
        return self.noise_std**2 / np.abs(1 - wave @ self.coefficients) ** 2

    # Scoring and generating ---------------------------------------------------------------------------

    def one_step(self, x: np.ndarray) -> np.ndarray:
        """E[x_t | the `order` values before it] for x (..., L): (..., L - order)."""
        if np.shape(x)[-1] <= self.order:
            raise ValueError(
                f"x: expected more than order = {self.order} values along L, got shape {np.shape(x)}"
            )
        past = sliding_window_view(np.asarray(x, np.float64)[..., :-1], self.order, axis=-1)
        return self.intercept + past @ self.coefficients[::-1]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """log p(x_{p+1}, ..., x_L | x_1, ..., x_p) of each row of x (B, L): (B,), nats.

        Exact, and a density: conditional on the first p = order values, which it does not score.
        """
        x = np.atleast_2d(np.asarray(x, np.float64))
        z = (x[:, self.order :] - self.one_step(x)) / self.noise_std
        return -0.5 * (z**2 + np.log(2 * np.pi * self.noise_std**2)).sum(axis=1)

    def _walk(self, past: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Go on from past (n, p) one position at a time, x_t = its conditional mean + sigma noise_t: (n, p + steps)."""
        x = np.concatenate([past, np.zeros_like(noise)], axis=1)

        def commit(x, mean, t, _):
            x[:, t] = mean[:, 0] + self.noise_std * noise[:, t - self.order]
            return x

        positions = range(self.order, x.shape[1] + 1)
        return run(x, positions, lambda x, t: self.one_step(x[:, t - self.order : t + 1]), commit)

    def sample(self, n: int, rng: np.random.Generator, length: int) -> np.ndarray:
        """n series (n, length) of the stationary process: p values from their joint Gaussian, then one by one."""
        gamma = self.autocovariance(self.order - 1)
        lag = np.abs(np.subtract.outer(np.arange(self.order), np.arange(self.order)))
        start = rng.multivariate_normal(
            np.full(self.order, self.mean()), gamma[lag], size=n, method="cholesky"
        )
        return self._walk(start, rng.standard_normal((n, max(length - self.order, 0))))[:, :length]

    def forecast(
        self, steps: int, rng: np.random.Generator, paths: int, history=None, noise=None
    ) -> np.ndarray:
        """A fan of simulated futures (paths, steps), from the end of `history` (at least `order` values).

        history None is the end of the fitted series; noise (paths, steps), of unit variance, can be handed in.
        """
        noise = rng.standard_normal((paths, steps)) if noise is None else noise
        return self._walk(np.tile(self._past(history), (paths, 1)), noise)[:, self.order :]

    def point_forecast(self, steps: int, history: np.ndarray | None = None) -> np.ndarray:
        """E[x_{T+h} | history], h = 1..steps: the walk without noise, (steps,)."""
        return self._walk(self._past(history), np.zeros((1, steps)))[0, self.order :]

    def interval(
        self, steps: int, level: float = 0.9, history: np.ndarray | None = None
    ) -> np.ndarray:
        """Lower and upper ends (steps, 2) that should hold x_{T+h} with probability `level`.

        var = sigma^2 sum_{j<h} psi_j^2, psi the response to a unit shock (BD section 5.5), times Akaike's (1969)
        (n + p + 1) / (n - p - 1): the residuals of a fit are too small, and its coefficients are uncertain. Coverage
        measured for an AR(2) of period 11, level 0.9, 1 to 10 steps: 0.86-0.89 at n = 50, 0.88-0.90 at n = 100.
        """
        used, response = self.order + 1, LinearAR.known(self.coefficients)
        psi = response._walk(np.zeros((1, self.order)), np.eye(1, steps))[0, self.order :]
        inflate = 1 + 2 * used / (
            self.observations - used
        )  # = (n + p + 1) / (n - p - 1); 1 for a known model
        half = (
            NormalDist().inv_cdf((1 + level) / 2)
            * self.noise_std
            * np.sqrt(inflate * np.cumsum(psi**2))
        )
        return self.point_forecast(steps, history)[:, None] + np.stack([-half, half], axis=1)

    def _past(self, history: np.ndarray | None) -> np.ndarray:
        past = np.asarray(self.history if history is None else history, np.float64)[-self.order :]
        if past.shape != (self.order,) or not np.isfinite(past).all():
            raise ValueError(
                f"history: fit first, or give at least {self.order} finite values; got {past}"
            )
        return past[None]  # (1, p)
