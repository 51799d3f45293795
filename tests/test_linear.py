"""LinearAR against Yule's printed figures, other software, closed forms and simulation."""

from types import SimpleNamespace

import numpy as np
import pytest

from minigen import data, evaluate, nn, sampling
from minigen.models import linear
from minigen.models.linear import (
    LinearAR,
    autocorrelation,
    autocovariance,
    levinson_durbin,
    order_criteria,
    partial_autocorrelation,
)

YULE, SUNSPOTS, LYNX = (data.series(name).values for name in ("yule", "sunspots", "lynx"))
CYCLE = LinearAR.known([1.35, -0.65], intercept=14.0, noise_std=15.0)  # much like the sunspots


def printed(values, decimals: int) -> list[str]:
    return [f"{value:.{decimals}f}" for value in np.atleast_1d(values)]


# -- The table of published figures ----------------------------------------------------------------


def test_yule_1927_as_he_computed_it():
    """Table IV and section III.

    Deviations from the mean rounded to integers, Pearson correlation of lagged pairs.
    """
    deviations = np.round(YULE - YULE.mean())
    r = [1.0] + [np.corrcoef(deviations[lag:], deviations[:-lag])[0, 1] for lag in (1, 2)]
    assert printed(r[1:], 6) == ["0.811180", "0.433998"]
    phi, _, _ = levinson_durbin(r)
    assert printed(phi, 5) == ["1.34253", "-0.65504"]  # he printed 1.34254
    model = LinearAR.known(phi, intercept=YULE.mean() * (1 - phi.sum()))
    assert printed(model.period(), 3) == ["10.600"]
    assert printed(np.std(YULE[2:] - model.one_step(YULE)), 2) == ["15.41"]


def test_yule_series_by_both_methods():
    model = LinearAR(2).fit(YULE, method="least-squares")
    assert printed(model.coefficients, 5) == ["1.33633", "-0.65037"]
    assert printed([model.intercept, model.noise_std], 3) == ["13.941", "15.409"]
    assert printed(LinearAR(2).fit(YULE, method="yule-walker").coefficients, 5) == [
        "1.32663",
        "-0.64239",
    ]


def test_sunspots_1700_to_2008():
    assert len(SUNSPOTS) == 309
    assert printed(LinearAR(2).fit(SUNSPOTS).coefficients, 5) == ["1.39181", "-0.69029"]
    chosen = {name: values.argmin() for name, values in order_criteria(SUNSPOTS, 20).items()}
    assert chosen == {"AIC": 9, "BIC": 9, "HQIC": 9}


def test_log_lynx():
    assert printed(LinearAR(2).fit(np.log10(LYNX)).coefficients, 5) == ["1.38424", "-0.74778"]
    expected = [
        1.139,
        -0.508,
        0.213,
        -0.270,
        0.113,
        -0.124,
        0.068,
        -0.040,
        0.134,
        0.185,
        -0.311,
    ]  # Tong 1977
    assert (
        LinearAR(11).fit(np.log10(LYNX), method="yule-walker").coefficients.round(3).tolist()
        == expected
    )


@pytest.mark.parametrize(("order", "early", "late"), [(1, 580, 1400), (2, 283, 674), (9, 189, 524)])
def test_one_step_forecasts_of_the_sunspots(order, early, late):
    year = data.series("sunspots").time
    model = LinearAR(order).fit(SUNSPOTS[year <= 1920])
    squares = (SUNSPOTS[order:] - model.one_step(SUNSPOTS)) ** 2
    year = year[order:]
    assert round(squares[(year >= 1921) & (year <= 1955)].mean()) == early
    assert round(squares[(year >= 1956) & (year <= 1979)].mean()) == late


# -- Estimation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 5, 12])
def test_levinson_durbin_solves_the_yule_walker_equations(order):
    gamma = autocovariance(SUNSPOTS, order)
    phi, partial, variances = levinson_durbin(gamma)
    for p in range(1, order + 1):
        matrix = gamma[np.abs(np.subtract.outer(np.arange(p), np.arange(p)))]
        direct = np.linalg.solve(matrix, gamma[1 : p + 1])
        np.testing.assert_allclose(partial[p], direct[-1], rtol=1e-8)
        np.testing.assert_allclose(variances[p], gamma[0] - direct @ gamma[1 : p + 1], rtol=1e-8)
    np.testing.assert_allclose(phi, direct, rtol=1e-8)


@pytest.mark.parametrize("method", ["least-squares", "yule-walker"])
def test_fits_recover_a_known_process(method):
    """20,000 values: each coefficient within 5 standard errors, var phi = (1 - phi_2^2) / n.

    False alarm < 1e-5.
    """
    x = CYCLE.sample(1, np.random.default_rng(0), length=20_000)[0]
    model = LinearAR(2).fit(x, method=method)
    error = np.sqrt((1 - 0.65**2) / 20_000)
    assert (np.abs(model.coefficients - CYCLE.coefficients) < 5 * error).all()
    assert abs(model.noise_std / 15 - 1) < 5 / np.sqrt(2 * 20_000)
    assert abs(model.mean() - CYCLE.mean()) < 5 * 15 / (1 - 0.7) / np.sqrt(20_000)


def test_yule_walker_is_stationary_where_least_squares_is_not():
    growth = np.cumsum(np.random.default_rng(0).random(30)) ** 2
    assert LinearAR(1).fit(growth, method="yule-walker").is_stationary()
    explosive = LinearAR(1).fit(growth)
    assert not explosive.is_stationary()
    with pytest.raises(ValueError, match="not stationary"):
        explosive.sample(1, np.random.default_rng(0), length=5)


def test_order_criteria_judge_every_order_on_the_same_years():
    """AIC differences equal the log of the residual variances over one common sample, plus 2/n an
    order.
    """
    criteria = order_criteria(LYNX, 6)
    rows = np.stack([np.roll(LYNX, lag) for lag in range(1, 7)], axis=1)[6:]  # (108, 6)
    for order in range(7):
        design = np.column_stack([np.ones(108), rows[:, :order]])
        residual = LYNX[6:] - design @ np.linalg.lstsq(design, LYNX[6:], rcond=None)[0]
        fit = np.log(np.mean(residual**2))
        for name, penalty in {
            "AIC": 2,
            "BIC": np.log(108),
            "HQIC": 2 * np.log(np.log(108)),
        }.items():
            np.testing.assert_allclose(
                criteria[name][order], fit + penalty * (order + 1) / 108, rtol=1e-10
            )


SHIFTED = [(1e7, 1.0), (-1e9, 1.0), (0.0, 1e-12), (3e5, 1e9), (1e3, 1e-6)]


@pytest.mark.parametrize("method", ["least-squares", "yule-walker"])
@pytest.mark.parametrize(("offset", "unit"), SHIFTED)
def test_no_offset_and_no_unit_changes_a_fit(offset, unit, method):
    """x -> offset + unit x keeps phi; c becomes unit c + offset (1 - sum phi).

    Sigma, unit sigma.
    """
    moved = offset + unit * SUNSPOTS  # rounded: what was lost here cannot come back
    lost = np.abs((moved - offset) / unit - SUNSPOTS).max() / 40
    tolerance = 1e-9 + 10 * lost
    for order in (1, 2, 9):
        plain = LinearAR(order).fit(SUNSPOTS, method)
        model = LinearAR(order).fit(moved, method)
        np.testing.assert_allclose(model.coefficients, plain.coefficients, atol=tolerance)
        np.testing.assert_allclose(model.noise_std / unit, plain.noise_std, rtol=tolerance)
        np.testing.assert_allclose(
            (model.mean() - offset) / unit, plain.mean(), rtol=100 * tolerance
        )
        forecast = (model.point_forecast(5) - offset) / unit
        np.testing.assert_allclose(forecast, plain.point_forecast(5), rtol=100 * tolerance)


@pytest.mark.parametrize(("offset", "unit"), SHIFTED)
def test_no_offset_and_no_unit_changes_a_criterion_or_a_correlogram(offset, unit):
    moved = offset + unit * SUNSPOTS
    for name, values in order_criteria(moved, 12).items():
        expected = order_criteria(SUNSPOTS, 12)[name] + 2 * np.log(unit)
        np.testing.assert_allclose(values, expected, atol=1e-6)
    np.testing.assert_allclose(
        autocovariance(moved, 12) / unit**2, autocovariance(SUNSPOTS, 12), rtol=1e-6
    )
    for correlogram in (autocorrelation, partial_autocorrelation):
        np.testing.assert_allclose(correlogram(moved, 12), correlogram(SUNSPOTS, 12), atol=1e-6)


# -- Correlograms ----------------------------------------------------------------------------------


def test_autocorrelation_and_its_band_by_hand():
    x = np.array([1.0, 2.0, 4.0, 1.0])
    r, band = autocorrelation(x, 2)
    z = x - 2
    np.testing.assert_allclose(
        r, [1, (z[:-1] * z[1:]).sum() / (z**2).sum(), (z[:-2] * z[2:]).sum() / (z**2).sum()]
    )
    np.testing.assert_allclose(band, [0, 1.96 / 2, 1.96 / 2 * np.sqrt(1 + 2 * r[1] ** 2)])
    assert autocorrelation(x, 0)[0] == 1


def test_partial_autocorrelation_is_the_last_coefficient():
    partial, band = partial_autocorrelation(YULE, 6)
    last = [LinearAR(p).fit(YULE, method="yule-walker").coefficients[-1] for p in range(1, 7)]
    np.testing.assert_allclose(partial, [1, *last])
    np.testing.assert_allclose(band, [0] + [1.96 / np.sqrt(176)] * 6)
    assert np.abs(partial[3:]).max() < 0.2  # Yule's point: after lag 2 little is left


@pytest.mark.parametrize("correlogram", [autocorrelation, partial_autocorrelation])
def test_bands_hold_white_noise_19_times_in_20(correlogram):
    """2,000 series of 200, lags 1 to 5: 95% inside, at 1/n too many by less than 1%.

    5 standard errors are 1.1%.
    """
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        r, band = correlogram(rng.standard_normal(200), 5)
        inside += (np.abs(r[1:]) < band[1:]).sum()
    assert abs(inside / 10_000 - 0.95) < 0.02


# -- What the coefficients say ---------------------------------------------------------------------


def test_ar1_has_its_closed_forms():
    """gamma_k = sigma^2 phi^k / (1 - phi^2); f = sigma^2 / (1 - 2 phi cos + phi^2)."""
    model = LinearAR.known([0.8], intercept=1.0, noise_std=2.0)
    np.testing.assert_allclose(model.autocovariance(6), 4 * 0.8 ** np.arange(7) / (1 - 0.64))
    frequency = np.linspace(-0.5, 0.5, 11)
    np.testing.assert_allclose(
        model.spectrum(frequency), 4 / (1 - 1.6 * np.cos(2 * np.pi * frequency) + 0.64)
    )
    np.testing.assert_allclose(model.mean(), 5)
    np.testing.assert_allclose(model.roots(), [0.8])
    assert model.period() == np.inf


@pytest.mark.parametrize("order", [2, 9])
def test_spectrum_and_autocovariance_are_a_fourier_pair(order):
    model = LinearAR(order).fit(SUNSPOTS, method="yule-walker")
    frequency = (np.arange(4096) + 0.5) / 4096 - 0.5
    lags = np.arange(15)
    transform = (model.spectrum(frequency) * np.cos(2 * np.pi * np.outer(lags, frequency))).mean(
        axis=1
    )
    np.testing.assert_allclose(model.autocovariance(14), transform, rtol=1e-8)
    np.testing.assert_allclose(
        model.autocovariance(order), autocovariance(SUNSPOTS, order), rtol=1e-8
    )


def test_roots_decide_stationarity_and_the_period():
    turning = 0.95 * np.exp(2j * np.pi / 10.6)
    model = LinearAR.known([2 * turning.real, -(0.95**2)])
    np.testing.assert_allclose(np.abs(model.roots()), 0.95)
    np.testing.assert_allclose(model.period(), 10.6)
    assert model.is_stationary()
    assert not LinearAR.known([1.0]).is_stationary()
    assert not LinearAR.known([0.5, 0.6]).is_stationary()


# -- Density and sampling --------------------------------------------------------------------------


def test_log_prob_is_the_conditional_of_the_joint_gaussian():
    """log N(x_1..x_L) - log N(x_1..x_p), with the covariance of the stationary process."""
    x = CYCLE.sample(4, np.random.default_rng(0), length=7)
    lag = np.abs(np.subtract.outer(np.arange(7), np.arange(7)))

    def joint(x, size):
        covariance = CYCLE.autocovariance(6)[lag[:size, :size]]
        z = x[:, :size] - CYCLE.mean()
        return -0.5 * (
            (z @ np.linalg.inv(covariance) * z).sum(1)
            + np.linalg.slogdet(2 * np.pi * covariance)[1]
        )

    np.testing.assert_allclose(CYCLE.log_prob(x), joint(x, 7) - joint(x, 2), rtol=1e-9)
    np.testing.assert_allclose(CYCLE.log_prob(x[2:3]), CYCLE.log_prob(x)[2:3], rtol=1e-12)


def test_the_density_integrates_to_one():
    model = LinearAR.known([0.5, -0.3], intercept=0.2, noise_std=0.7)
    grid = np.linspace(-5, 5, 401)
    x = np.stack(
        [
            np.full(401**2, 0.4),
            np.full(401**2, -1.0),
            *(g.ravel() for g in np.meshgrid(grid, grid)),
        ],
        axis=1,
    )
    np.testing.assert_allclose(
        np.exp(model.log_prob(x)).sum() * (grid[1] - grid[0]) ** 2, 1, atol=1e-9
    )


def test_samples_are_stationary_from_the_first_value_on():
    """Mean and autocovariances across 20,000 series at the start and the end, within 5 standard
    errors (< 1e-4).
    """
    x = CYCLE.sample(20_000, np.random.default_rng(0), length=12) - CYCLE.mean()
    gamma = CYCLE.autocovariance(3)
    for t in (0, 1, 4, 8):
        assert abs(x[:, t].mean()) < 5 * np.sqrt(gamma[0] / 20_000)
        for lag in range(4):
            error = np.sqrt((gamma[0] ** 2 + gamma[lag] ** 2) / 20_000)
            assert abs((x[:, t] * x[:, t + lag]).mean() - gamma[lag]) < 5 * error
    assert LinearAR.known([0.5, 0.1, 0.1]).sample(3, np.random.default_rng(0), length=2).shape == (
        3,
        2,
    )


# -- Forecasts -------------------------------------------------------------------------------------


def test_forecasts_by_hand():
    model = LinearAR.known([0.5, 0.2], intercept=1.0, noise_std=2.0)
    history, noise = np.array([9.0, 3.0, 4.0]), np.array([[1.0, -1.0], [0.0, 0.5]])
    first = 1 + 0.5 * 4 + 0.2 * 3
    np.testing.assert_allclose(model.point_forecast(2, history), [first, 1 + 0.5 * first + 0.2 * 4])
    rng = np.random.default_rng(0)
    paths = model.forecast(2, rng, paths=2, history=history, noise=noise)
    up = first + 2
    np.testing.assert_allclose(
        paths, [[up, 1 + 0.5 * up + 0.8 - 2], [first, 1 + 0.5 * first + 0.8 + 1]]
    )
    z = 1.6448536269514722  # the 95% point of the standard normal
    widths = z * 2 * np.sqrt([1, 1 + 0.5**2])
    expected = model.point_forecast(2, history)[:, None] + np.stack([-widths, widths], axis=1)
    np.testing.assert_allclose(model.interval(2, level=0.9, history=history), expected)


def test_point_forecasts_die_out_to_the_mean():
    model = LinearAR(2).fit(YULE)
    np.testing.assert_allclose(model.point_forecast(1), model.one_step(np.append(YULE[-2:], 0)))
    np.testing.assert_allclose(model.point_forecast(300)[-1], model.mean())
    half = np.diff(model.interval(300)[-1])[0] / 2
    np.testing.assert_allclose(
        half, 1.6448536 * np.sqrt(model.autocovariance(0)[0] * (174 + 3) / (174 - 3)), rtol=1e-6
    )


def test_the_fan_is_the_interval():
    """Shares of 40,000 simulated futures below each end.

    5% and 95%, within 5 standard errors (< 1e-5).
    """
    history = np.array([80.0, 120.0])
    fan = CYCLE.forecast(12, np.random.default_rng(0), paths=40_000, history=history)
    lower, upper = CYCLE.interval(12, level=0.9, history=history).T
    error = 5 * np.sqrt(0.05 * 0.95 / 40_000)
    np.testing.assert_allclose((fan < lower).mean(axis=0), 0.05, atol=error)
    np.testing.assert_allclose((fan > upper).mean(axis=0), 0.05, atol=error)
    np.testing.assert_allclose(
        fan.mean(axis=0), CYCLE.point_forecast(12, history), atol=5 * 35 / 200
    )


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_of_fitted_models_are_calibrated(level):
    """3,000 series of 100, fitted, 6 steps ahead: the coverage lies within 0.03 of the level at
    each step.

    12,000 other series gave 0.883 to 0.895 for 0.9, and 0.487 to 0.499 for 0.5 (0.873 and 0.475
    without the correction for estimated parameters), and a standard error here is 0.006 or 0.009:
    false alarm below 0.05, seed fixed.
    """
    series = CYCLE.sample(3000, np.random.default_rng(1), length=106)
    inside = np.zeros(6)
    for x in series:
        lower, upper = LinearAR(2).fit(x[:100]).interval(6, level=level).T
        inside += (lower < x[100:]) & (x[100:] < upper)
    np.testing.assert_allclose(inside / 3000, level, atol=0.03)


# -- Refusals and conventions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([1.0, np.nan, 2.0, 3.0, 1.0, 2.0, 5.0], r"1 missing or infinite values, first at \[1\]"),
        ([1.0, 2.0, 3.0, 1.0, np.inf, 2.0, 5.0], r"first at \[4\]"),
        (np.ma.masked_equal([1.0, 2.0, 9.0, 3.0, 1.0, 2.0, 5.0], 9.0), r"first at \[2\]"),
        ([3.0] * 10, "constant, all 10 values are 3.0"),
        ([1.0, 2.0, 1.0, 3.0, 1.0], "at least 6 values"),
        (np.ones((2, 10)), r"got shape \(2, 10\)"),
        (np.arange(10.0), "linearly dependent"),
    ],
)
def test_bad_series_are_refused_clearly(series, message):
    model = LinearAR(2)
    with pytest.raises(ValueError, match=message):
        model.fit(series)
    assert np.isnan(model.coefficients).all()  # nothing was half done


def test_missing_months_of_co2_are_refused():
    with pytest.raises(ValueError, match="missing"):
        LinearAR(2).fit(data.series("co2").values)


def test_other_bad_arguments():
    with pytest.raises(ValueError, match="order"):
        LinearAR(0)
    with pytest.raises(ValueError, match="method"):
        LinearAR(1).fit(YULE, method="burg")
    with pytest.raises(ValueError, match="history: a known model has none"):
        CYCLE.point_forecast(3)
    with pytest.raises(ValueError, match="history: expected at least 2 values"):
        CYCLE.point_forecast(3, history=np.array([1.0]))
    with pytest.raises(ValueError, match="history: 1 missing"):
        CYCLE.point_forecast(3, history=np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match=r"level: expected a number in \(0, 1\), got 90"):
        CYCLE.interval(3, level=90, history=YULE)
    with pytest.raises(ValueError, match=r"noise: expected shape \(3, 4\), got \(4, 3\)"):
        CYCLE.forecast(4, None, paths=3, history=YULE, noise=np.zeros((4, 3)))
    with pytest.raises(ValueError, match="x: 1 missing"):
        CYCLE.log_prob(np.array([1.0, 2.0, np.nan, 4.0]))
    with pytest.raises(ValueError, match="coefficients: 1 missing"):
        LinearAR.known([0.5, np.nan])
    with pytest.raises(ValueError, match="noise_std: expected a number in"):
        LinearAR.known([0.5], noise_std=0.0)
    with pytest.raises(ValueError, match="more than order = 2"):
        CYCLE.log_prob(np.ones((3, 2)))
    with pytest.raises(ValueError, match="at least 42 values"):
        order_criteria(YULE[:30], 20)


def test_what_series_returns_is_refused_by_name():
    nile = data.series("nile")
    assert LinearAR(1).fit(nile.values).order == 1
    for call in (LinearAR(1).fit, lambda x: autocovariance(x, 3), lambda x: order_criteria(x, 2)):
        with pytest.raises(TypeError, match=r"series: .* got Series .*pass \.values"):
            call(nile)
    with pytest.raises(TypeError, match="x: expected an array of numbers, got str"):
        CYCLE.log_prob("nile")


def test_the_order_belongs_to_the_model():
    """`LinearAR(order=13).fit(x)` is shown where `fit(x, order=13)` is tried."""
    for call in (
        lambda: LinearAR(2).fit(YULE, order=13),
        lambda: LinearAR.fit(YULE, order=13),
        lambda: LinearAR.fit(YULE, 13),
        lambda: LinearAR(2).fit(),
    ):
        with pytest.raises(TypeError, match=r"expected LinearAR\(order=13\)\.fit\(series\), got"):
            call()


@pytest.mark.parametrize("rng", [0, None, np.random])
def test_a_seed_is_no_generator(rng):
    for call in (
        lambda: CYCLE.sample(2, rng, length=3),
        lambda: CYCLE.forecast(2, rng, paths=3, history=YULE),
    ):
        with pytest.raises(TypeError, match=r"rng: expected a numpy.random.Generator, .*got"):
            call()


USES = {
    "roots": lambda model: model.roots(),
    "is_stationary": lambda model: model.is_stationary(),
    "period": lambda model: model.period(),
    "mean": lambda model: model.mean(),
    "autocovariance": lambda model: model.autocovariance(3),
    "spectrum": lambda model: model.spectrum(0.1),
    "one_step": lambda model: model.one_step(YULE),
    "point_forecast": lambda model: model.point_forecast(3),
    "interval": lambda model: model.interval(3),
    "sample": lambda model: model.sample(1, np.random.default_rng(0), 4),
    "forecast": lambda model: model.forecast(3, np.random.default_rng(0), paths=2),
    "forecast from a history": lambda model: model.forecast(
        0, np.random.default_rng(0), paths=2, history=YULE
    ),
    "log_prob": lambda model: model.log_prob(YULE),
    "bits_per_dim": lambda model: evaluate.bits_per_dim(model, YULE),
}


@pytest.mark.parametrize("name", USES)
def test_nothing_is_said_before_fit(name):
    """Every method but `fit`, and `scored`, which needs no coefficients."""
    public = {name for name in vars(LinearAR) if not name.startswith("_")}
    assert public - USES.keys() == {"density", "known", "fit", "scored"}
    with pytest.raises(
        RuntimeError, match=r"LinearAR\(order=2\), not fitted: call \.fit\(series\)"
    ):
        USES[name](LinearAR(2))
    USES[name](LinearAR(2).fit(YULE))


def test_one_line_says_what_it_is():
    assert repr(LinearAR(13)) == "LinearAR(order=13), not fitted"
    assert repr(LinearAR(2).fit(YULE)) == "LinearAR(order=2), 4 parameters"
    assert repr(CYCLE) == "LinearAR(order=2), 4 parameters"


def test_no_commit_writes_into_the_state_it_was_given(monkeypatch):
    def frozen(*arguments):
        for state in sampling.walk(*arguments):
            state.setflags(write=False)
            yield state

    past = YULE[None, -2:]
    past.setflags(write=False)
    expected = CYCLE.point_forecast(5, YULE)
    monkeypatch.setattr(linear, "sampling", SimpleNamespace(walk=frozen))
    np.testing.assert_array_equal(CYCLE._walk(past, np.zeros((1, 5)))[0], expected)


def test_state_carries_a_fit_over():
    fitted, fresh = LinearAR(3).fit(YULE), LinearAR(3)
    nn.load_state(fresh, nn.state(fitted))
    np.testing.assert_array_equal(fresh.interval(5), fitted.interval(5))


def test_its_bits_are_labelled_as_a_density():
    assert "density" in str(evaluate.bits_per_dim(LinearAR(2).fit(YULE), YULE))


def test_bits_count_the_values_that_are_scored():
    """The first `order` values are given, so they are not among those that count."""
    model = LinearAR(9).fit(YULE)
    assert model.scored(YULE) == model.scored(YULE[None]) == 176 - 9
    bits = evaluate.bits_per_dim(model, YULE)
    nats = -model.log_prob(YULE)[0]
    assert bits.value == pytest.approx(nats / np.log(2) / (176 - 9), rel=1e-12)
    # a Gaussian with the residuals' own variance costs log(sigma sqrt(2 pi e)) a value, exactly
    expected = np.log2(model.noise_std * np.sqrt(2 * np.pi * np.e))
    assert bits.value == pytest.approx(expected, rel=1e-12)
