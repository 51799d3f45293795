"""The checks of lesson 05, autoregression; and the three forecasters that the lesson asks to
name.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigen.course.exercise import Exercise

# -- Break it: three forecasters, each with one bug ------------------------------------------------

FAULTS = {"right": "", "A": "shifted twice", "B": "no mean", "C": "not fed back"}
ANSWER = "132"


def forecaster(name: str, past, order: int, noise) -> tuple[float, np.ndarray]:
    """What "right", "A", "B" or "C" makes of a series: its residual s.d., and its fan (paths,
    steps).
    """
    fault = FAULTS[name]
    gap = 1 if fault == "shifted twice" else 0
    windows = sliding_window_view(past, order + 1 + gap)
    lags, target = windows[:, :order][:, ::-1], windows[:, -1]
    constant = np.full(len(lags), 0.0 if fault == "no mean" else 1.0)
    solution = np.linalg.lstsq(np.column_stack([constant, lags]), target, rcond=None)[0]
    c, phi = solution[0], solution[1:]
    sigma = float(np.std(target - c - lags @ phi))
    if fault == "not fed back":
        return sigma, fan(phi, c, sigma, past, 0 * noise) + sigma * noise
    return sigma, fan(phi, c, sigma, past, noise)


# -- Yule-Walker -----------------------------------------------------------------------------------


def yule_walker(r):
    r = np.asarray(r, dtype=float)
    lag = np.arange(len(r) - 1)
    return np.linalg.solve(r[np.abs(lag[:, None] - lag)], r[1:])


def yule_walker_in_loops(r):
    p = len(r) - 1
    R = np.zeros((p, p))
    for k in range(1, p + 1):
        for j in range(1, p + 1):
            R[k - 1, j - 1] = r[abs(k - j)]
    return np.linalg.inv(R) @ np.array(r[1:])


def yule_walker_order_by_order(r):
    """Levinson and Durbin: from order k - 1 to k."""
    phi, variance = [], 1.0
    for k in range(1, len(r)):
        last = (r[k] - sum(phi[j] * r[k - 1 - j] for j in range(k - 1))) / variance
        phi = [phi[j] - last * phi[k - 2 - j] for j in range(k - 1)] + [last]
        variance *= 1 - last**2
    return np.array(phi)


def solved_with(matrix, right=lambda r: r[1:]):
    """Room for mistakes: another matrix, another right-hand side."""

    def answer(r):
        lag = np.arange(len(r) - 1)
        return np.linalg.solve(matrix(np.asarray(r, float), lag), right(np.asarray(r, float)))

    return answer


def correlations_between(r, lag):
    return r[np.abs(lag[:, None] - lag)]


def partial_correlations(r):
    return np.array([yule_walker(r[: k + 1])[-1] for k in range(1, len(r))])


def ratios(r):
    with np.errstate(all="ignore"):
        return np.asarray(r[1:]) / np.asarray(r[:-1])


def some_correlations(rng, p=None):
    """Autocorrelations that a series can have: those of a short series of noise, summed up."""
    p = int(rng.integers(2, 7)) if p is None else p
    x = np.convolve(rng.standard_normal(40), rng.uniform(-1, 1, 4))
    x = x - x.mean()
    gamma = np.array([x[: len(x) - k] @ x[k:] for k in range(p + 1)])
    return (gamma / gamma[0],)


# -- lags and targets ------------------------------------------------------------------------------


def lagged(x, p):
    columns = [x[p - k : len(x) - k] for k in range(1, p + 1)]
    return np.stack(columns, axis=1), x[p:]


def lagged_by_windows(x, p):
    windows = sliding_window_view(x, p + 1)[:, ::-1]
    return windows[:, 1:], windows[:, 0]


def lagged_in_loops(x, p):
    lags, target = [], []
    for t in range(p, len(x)):
        lags.append([x[t - k] for k in range(1, p + 1)])
        target.append(x[t])
    return np.array(lags), np.array(target)


def shifted_by(shift):
    """Column k - 1 holds x_{t - k - shift}."""

    def answer(x, p):
        first = p + max(shift, 0)
        rows = np.arange(first, len(x))
        lags = np.stack([x[rows - k - shift] for k in range(1, p + 1)], axis=1)
        return lags, x[rows]

    return answer


def from_the_future(x, p):
    rows = np.arange(len(x) - p)
    return np.stack([x[rows + k] for k in range(1, p + 1)], axis=1), x[rows]


def all_rows(before):
    """As many rows as the series is long; what lies before its start is made up."""

    def answer(x, p):
        columns = []
        for k in range(1, p + 1):
            column = np.roll(x, k).astype(float)
            if before is not None:
                column[:k] = before(x)
            columns.append(column)
        return np.stack(columns, axis=1), x

    return answer


def lagged_pieces(x, p):
    """Windows that do not overlap."""
    pieces = np.reshape(x[: len(x) // (p + 1) * (p + 1)], (-1, p + 1))
    return pieces[:, -2::-1], pieces[:, -1]


def a_series_and_order(rng):
    p = int(rng.integers(2, 5))
    return rng.normal(40, 20, int(rng.integers(p + 4, 14))).round(1), p


# -- the fan ---------------------------------------------------------------------------------------


def fan(phi, c, sigma, past, noise):
    paths, steps = noise.shape
    state = np.tile(np.asarray(past, dtype=float)[: -len(phi) - 1 : -1], (paths, 1))  # newest first
    values = np.zeros((paths, steps))
    for h in range(steps):
        values[:, h] = c + state @ phi + sigma * noise[:, h]
        state = np.column_stack([values[:, h], state[:, :-1]])
    return values


def fan_path_by_path(phi, c, sigma, past, noise):
    values = np.zeros(noise.shape)
    for i in range(noise.shape[0]):
        x = list(past)
        for h in range(noise.shape[1]):
            mean = c + sum(phi[k] * x[-1 - k] for k in range(len(phi)))
            x.append(mean + sigma * noise[i, h])
            values[i, h] = x[-1]
    return values


def fan_in_one_array(phi, c, sigma, past, noise):
    p, (paths, steps) = len(phi), noise.shape
    x = np.hstack([np.tile(np.array(past[-p:], float), (paths, 1)), c + sigma * noise])
    for t in range(p, p + steps):
        x[:, t] += x[:, t - p : t] @ np.asarray(phi)[::-1]
    return x[:, p:]


def fan_with(
    weights=lambda phi: phi,
    start=lambda past, p: past[: -p - 1 : -1],
    value=lambda mean, sigma, noise: mean + sigma * noise,
    push=lambda new, state: np.column_stack([new, state[:, :-1]]),
    keep=lambda mean, new: new,
):
    """Room for mistakes: another state at the start, other weights, another step."""

    def answer(phi, c, sigma, past, noise):
        paths, steps = noise.shape
        state = np.tile(start(np.asarray(past, float), len(phi)), (paths, 1))
        values = np.zeros((paths, steps))
        for h in range(steps):
            mean = c + state @ weights(np.asarray(phi))
            values[:, h] = value(mean, sigma, noise[:, h])
            state = push(keep(mean, values[:, h]), state)
        return values

    return answer


def fan_of_whole_numbers(phi, c, sigma, past, noise):
    """Written into an array made like `past`: whole numbers stay whole."""
    paths, steps = noise.shape
    x = np.tile(np.append(past, np.zeros(steps, np.asarray(past).dtype)), (paths, 1))
    for t in range(len(past), len(past) + steps):
        mean = c + x[:, t - len(phi) : t][:, ::-1] @ phi
        x[:, t] = mean + sigma * noise[:, t - len(past)]
    return x[:, len(past) :]


def fan_about_c(phi, c, sigma, past, noise):
    return c + fan(phi, 0.0, sigma, np.asarray(past) - c, noise)


def fan_about_the_mean_of_the_past(phi, c, sigma, past, noise):
    return np.mean(past) + fan(phi, 0.0, sigma, np.asarray(past) - np.mean(past), noise)


def fan_with_its_own_noise(phi, c, sigma, past, noise):
    return fan(phi, c, sigma, past, np.random.default_rng(0).standard_normal(noise.shape))


def fan_of_one_long_path(phi, c, sigma, past, noise):
    """Each path starts where the one before it ended."""
    return fan(phi, c, sigma, past, noise.reshape(1, -1)).reshape(noise.shape)


def fan_with_the_past(phi, c, sigma, past, noise):
    values = fan(phi, c, sigma, past, noise)
    return np.hstack([np.tile(past, (len(values), 1)), values])


def a_fan(rng):
    p, paths, steps = (int(rng.integers(*pair)) for pair in ((2, 5), (2, 5), (3, 7)))
    phi, past = rng.uniform(-0.6, 0.6, p), rng.normal(10, 4, p + int(rng.integers(1, 4)))
    return phi, rng.uniform(1, 5), rng.uniform(1.5, 3), past, rng.standard_normal((paths, steps))


EXERCISES = (
    Exercise(
        "05.yule_walker",
        "From autocorrelations to coefficients",
        reference=yule_walker,
        alternatives=(yule_walker_in_loops, yule_walker_order_by_order),
        wrong=(
            (
                lambda r: np.asarray(r[1:]),
                "These are the correlations themselves: each lag as if it were alone. But the "
                "lags know of each other, and each equation holds all coefficients.",
            ),
            (
                lambda r: correlations_between(r, np.arange(len(r) - 1)) @ r[1:],
                "You multiply by the matrix of the equations. What is asked is what it must be "
                "multiplied with to give r_1, ..., r_p.",
            ),
            (
                solved_with(lambda r, lag: r[lag[:, None] - lag]),
                "Python takes r[-1] for the last entry. What is the correlation at a lag of -1?",
            ),
            (
                solved_with(lambda r, lag: r[np.minimum(np.abs(lag[:, None] - lag) + 1, len(lag))]),
                "The matrix is one lag off: how does a value correlate with itself?",
            ),
            (
                solved_with(correlations_between, lambda r: r[:-1]),
                "The right-hand side begins with r_0 = 1. By which value is the first equation "
                "multiplied before averaging?",
            ),
            (
                lambda r: np.linalg.solve(
                    correlations_between(np.asarray(r), np.arange(len(r))), r
                ),
                "One coefficient is 1 and the others 0: the next value is itself. How many "
                "equations are there, and which value is not a lag?",
            ),
            (
                lambda r: yule_walker(r)[::-1],
                "The right numbers in the other order: lag 1 comes first.",
            ),
            (lambda r: -yule_walker(r), "The sign: on which side of the equation is each term?"),
            (
                lambda r: np.asarray(r[1]) ** np.arange(1, len(r)),
                "These are powers of r_1, the *correlations* of a process that looks one step "
                "back. Asked for are p coefficients, from all of r.",
            ),
            (
                ratios,
                "These are ratios of neighbouring correlations. In which of your equations is "
                "there only one unknown?",
            ),
            (
                partial_correlations,
                "Each entry is the *last* coefficient of a model of another order. Asked for are "
                "all coefficients of one model, that of order p.",
            ),
            (
                solved_with(lambda r, lag: np.tril(correlations_between(r, lag))),
                "Each equation stops at its own lag. Do the terms with longer lags have no "
                "correlation with x_{t-k}?",
            ),
            (
                solved_with(lambda r, lag: np.eye(len(lag)) * 1e-3 + correlations_between(r, lag)),
                "Nearly: something small is added to the diagonal. What is r_0?",
            ),
        ),
        hints=(
            "Write down p = 2: multiply the equation by x_{t-1} and average, then by x_{t-2}. "
            "What is the average of x_{t-2} x_{t-1}, over that of x_t^2?",
            "Equation k has r_k on the left, and on the right a sum over j of phi_j times the "
            "correlation of two values that are k - j steps apart. Which way does not matter.",
            "A matrix with entry [k, j], a right-hand side, np.linalg.solve.",
        ),
        inputs=some_correlations,
        edges=(
            (np.array([1.0, 0.8]),),
            (np.array([1.0, 0.8, 0.43]),),
            (np.array([1.0, 0.0, 0.0, 0.0]),),
            (np.array([1.0, -0.6, 0.1, 0.2]),),
            some_correlations(np.random.default_rng(5), 9),
        ),
        forbidden=("minigen.models.linear.levinson_durbin", "minigen.models.linear.LinearAR.fit"),
        minutes=10,
    ),
    Exercise(
        "05.fan",
        "A fan of simulated futures",
        reference=fan,
        alternatives=(fan_path_by_path, fan_in_one_array),
        wrong=(
            (
                fan_with(weights=lambda phi: phi[::-1]),
                "The coefficients meet the wrong values: which value does lag 1 mean, in a past "
                "whose newest value comes last?",
            ),
            (
                fan_with(keep=lambda mean, new: mean),
                "The noise of a step is seen in that step only: later ones do not know of it. "
                "What is the last value, of which the next step takes its share?",
            ),
            (
                lambda phi, c, sigma, past, noise: (
                    fan(phi, c, sigma, past, 0 * noise) + sigma * np.cumsum(noise, axis=1)
                ),
                "The noise adds up and never wears off: a shock of ten years ago counts as much "
                "as one of last year. What does the recursion make of a shock?",
            ),
            (
                fan_with(value=lambda mean, sigma, noise: mean + noise),
                "The noise comes in with standard deviation 1, whatever sigma.",
            ),
            (
                fan_with(value=lambda mean, sigma, noise: mean + sigma**2 * noise),
                "The noise is multiplied by the variance. It is sigma that has its unit.",
            ),
            (
                fan_with(value=lambda mean, sigma, noise: mean),
                "All paths are alike: this is the point forecast. Where is the noise?",
            ),
            (
                lambda phi, c, sigma, past, noise: fan(phi, 0.0, sigma, past, noise),
                "The constant c is missing: where does your forecast settle in the end?",
            ),
            (
                fan_about_c,
                "You take c for the mean of the series. What does the model do if all lags are 0?",
            ),
            (
                fan_with(start=lambda past, p: past[:p][::-1]),
                "You go on from the first p values of the past. The future begins at its end.",
            ),
            (
                fan_with(start=lambda past, p: past[:p]),
                "You take the first value of the past for the newest. Time runs from left to "
                "right.",
            ),
            (
                lambda phi, c, sigma, past, noise: fan(
                    phi, c, sigma, past, np.tile(noise[:1], (len(noise), 1))
                ),
                "All paths are alike, and noisy: each row of `noise` belongs to a path of its own.",
            ),
            (
                fan_with(push=lambda new, state: state),
                "Every step is forecast from the same old values. What are the last p values once "
                "a step is taken?",
            ),
            (
                fan_with(push=lambda new, state: np.column_stack([state[:, 1:], new])),
                "The first step is right. Then the new value is put where the oldest belongs, or "
                "the wrong one is forgotten.",
            ),
            (
                lambda phi, c, sigma, past, noise: fan(phi, c, sigma, past, noise).T,
                "Transposed: a path is a row.",
            ),
            (
                fan_about_the_mean_of_the_past,
                "Your forecast settles at the mean of `past`. Where does the model settle, "
                "whatever it starts from?",
            ),
            (
                fan_with_its_own_noise,
                "You draw noise of your own. Which noise does each path get here?",
            ),
            (
                fan_of_one_long_path,
                "The first path is right; the next one starts where it ended. Is the past still "
                "what it was when a path begins?",
            ),
            (
                lambda phi, c, sigma, past, noise: fan_with_the_past(
                    phi, c, sigma, past[-len(phi) :], noise
                ),
                "The last p values of the past are in it, too. Asked for are the future values "
                "only.",
            ),
            (fan_with_the_past, "The past is in it, too. Asked for are the future values only."),
            (
                fan_of_whole_numbers,
                "Whole numbers: an array made like `past` may not be able to hold a fraction. "
                "Look at its dtype.",
            ),
        ),
        hints=(
            "Carry the last p values of each path along: an array (paths, p). Its rows are equal "
            "only at the start.",
            "If column 0 holds the newest value, `state @ phi` is the weighted sum of all paths at "
            "once.",
            "One step: the mean, plus sigma times a column of noise; keep it as a result, put it "
            "in front of the state, drop the oldest.",
        ),
        inputs=a_fan,
        edges=(
            (np.array([0.5]), 1.0, 2.0, np.array([3.0, 8.0]), np.array([[0.0, 1.0, -1.0]])),
            (np.array([1.0, -0.5]), 2.0, 3.0, np.array([9, 4, 6]), np.ones((2, 4)) / 3),
            (np.array([0.3, 0.2]), 4.0, 1.5, np.array([1.0, 2.0]), np.zeros((3, 0))),
            (np.array([1.4, -0.7]), 14.0, 0.0, np.array([5.0, 60.0]), np.ones((2, 6))),
            (np.array([0.2, 0.3, 0.1]), 0.0, 1.0, np.arange(6.0), np.eye(3)),
        ),
        forbidden=("minigen.models.linear.LinearAR._walk",),
        minutes=10,
    ),
    Exercise(
        "05.lagged",
        "Lags and targets of a series",
        reference=lagged,
        alternatives=(lagged_by_windows, lagged_in_loops),
        wrong=(
            (
                lambda x, p: (lagged(x, p)[0][:, ::-1], x[p:]),
                "Oldest first: column 0 belongs to lag 1.",
            ),
            (
                shifted_by(-1),
                "The target is among its own lags: column 0 is x_t itself. What will be learnt "
                "from that?",
            ),
            (
                lambda x, p: (sliding_window_view(x, p)[:, ::-1], x[p - 1 :]),
                "Column 0 holds the target itself, and there is a row too many: how "
                "many values have p values before them?",
            ),
            (
                shifted_by(1),
                "One step too far apart: the newest value that you look at is x_{t-2}.",
            ),
            (
                lambda x, p: (lagged(x, p)[0].T, x[p:]),
                "Transposed: one row an equation, one column a lag.",
            ),
            (lambda x, p: lagged(x, p)[::-1], "Both are right, in the other order: lags first."),
            (
                lambda x, p: tuple(part[:-1] for part in lagged(x, p)),
                "The last equation is missing: which value is never a target?",
            ),
            (
                lambda x, p: tuple(part[1:] for part in lagged(x, p)),
                "The first equation is missing: which is the first value that has p values before "
                "it?",
            ),
            (
                all_rows(None),
                "np.roll takes the end of the series for what came before its start: some rows "
                "know the future.",
            ),
            (
                all_rows(lambda x: 0.0),
                "Zeros stand for what is not known. Those equations would be learnt from, too: "
                "leave them out.",
            ),
            (
                lambda x, p: (np.column_stack([np.ones(len(x) - p), lagged(x, p)[0]]), x[p:]),
                "The column of ones is one too many here: the lesson adds it itself.",
            ),
            (
                from_the_future,
                "Column k - 1 holds what came k steps *later*: the past is told from the future.",
            ),
            (
                lambda x, p: (lagged(x, p)[0], x[: len(x) - p]),
                "The lags are right; the target is not the value that comes after them.",
            ),
            (
                lagged_pieces,
                "Your windows do not overlap. Every value with p values before it is a target.",
            ),
        ),
        hints=(
            "Take x = 1, 2, 3, 4, 5 and p = 2, and write the rows on paper. How many are there?",
            "Column k - 1 is a piece of x as long as the target, and starts k places before it.",
            "The target is x[p:]. The same piece k steps earlier: both ends move by k.",
        ),
        inputs=a_series_and_order,
        edges=(
            (np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 2),
            (np.array([4.0, 1.0, 7.0]), 1),
            (np.array([5.0, 3.0, 8.0, 2.0]), 3),
            (np.array([3, 1, 4, 1, 5, 9]), 2),
        ),
        minutes=3,
    ),
    Exercise(
        "05.bugs",
        "Three bugs named from plots and numbers",
        reference=ANSWER,
        alternatives=(int(ANSWER), " ".join(ANSWER), ",".join(ANSWER), list(ANSWER)),
        wrong=(
            (
                "123",
                "Which fan has the same width from the first year to the last, and which sinks?",
            ),
            (
                "312",
                "One fan's swings are too fast. What would make a model take two years for one?",
            ),
            ("321", "Compare the misses of each fit with those of the right one."),
            ("213", "Where does the middle of each fan end, and where should it?"),
            ("231", "Which of the fans never widens? Which fit misses far more than it should?"),
            (
                "432",
                "A slip in the forecast leaves the misses of the fit as they are. Compare this "
                "run's with those of the right one; and count its swings in a decade.",
            ),
            (
                "142",
                "One fan settles far from the mean of the past. Would a mixed-up order of lags "
                "do just that?",
            ),
            ("134", "One fan has the right middle everywhere: its lags are in order."),
        ),
        hints=(
            "Start with the widths: one fan is as wide in its first year as in its last.",
            "Then the middles: one settles far from the mean of the past.",
            "Count the swings of the remaining one in a decade; and look at its misses.",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
    ),
)
