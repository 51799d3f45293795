"""The checks of lesson 09, noise as a Markov chain; and the three chains whose bugs it asks for."""

from functools import partial
from itertools import pairwise

import numpy as np

from minigen.course.exercise import Exercise

# -- the forward chain, and its jump ---------------------------------------------------------------


def forward(start, betas, noises):
    path = [np.asarray(start, float)]
    for beta, noise in zip(betas, noises):
        path.append(np.sqrt(1 - beta) * path[-1] + np.sqrt(beta) * noise)
    return np.array(path)


def forward_into_an_array(start, betas, noises):
    path = np.empty((len(betas) + 1, *np.shape(start)))
    path[0] = start
    for i in range(1, len(betas) + 1):
        path[i] = (1 - betas[i - 1]) ** 0.5 * path[i - 1] + betas[i - 1] ** 0.5 * noises[i - 1]
    return path


def forward_as_a_list(start, betas, noises):
    if not len(betas):
        return [start]
    path = forward_as_a_list(start, betas[:-1], noises[:-1])
    return [*path, np.sqrt(1 - betas[-1]) * path[-1] + np.sqrt(betas[-1]) * noises[-1]]


def chain(
    start, betas, noises, keep=lambda beta: np.sqrt(1 - beta), add=np.sqrt, noise_shift=0,
    noise_order=1, beta_order=1, same_noise=False, keep_first=True, keep_last=True, steps=None,
):  # fmt: skip
    """The chain with room for mistakes: another factor of the state, of the noise, ..."""
    path, betas, noises = [np.asarray(start, float)], betas[::beta_order], noises[::noise_order]
    for i in range(len(betas)):
        noise = noises[0 if same_noise else i + noise_shift]
        path.append(keep(betas[i]) * path[-1] + add(betas[i]) * noise)
    return np.array(path[0 if keep_first else 1 :][slice(steps) if keep_last else slice(-1)])


def always_from_the_start(start, betas, noises):
    """Each state made of the clean thing by the factors of one step."""
    path = [np.asarray(start, float)]
    for beta, noise in zip(betas, noises):
        path.append(np.sqrt(1 - beta) * path[0] + np.sqrt(beta) * noise)
    return np.array(path)


def jump_every_step(start, betas, noises):
    """The factors of the jump from x_0, used for the step from the state before."""
    alpha_bar = np.cumprod(1 - np.asarray(betas))
    return forward(start, 1 - alpha_bar, noises)


def in_place(start, betas, noises):
    path = [start.copy()]
    for beta, noise in zip(betas, noises):
        start *= np.sqrt(1 - beta)
        start += np.sqrt(beta) * noise
        path.append(start.copy())
    return np.array(path)


def noise_first(start, betas, noises):
    path = [np.asarray(start, float)]
    for beta, noise in zip(betas, noises):
        path.append(np.sqrt(1 - beta) * (path[-1] + np.sqrt(beta) * noise))
    return np.array(path)


def one_state(start, betas, noises):
    """The same array in every place of the list."""
    x, path = np.array(start, float), []
    path.append(x)
    for beta, noise in zip(betas, noises):
        x *= np.sqrt(1 - beta)
        x += np.sqrt(beta) * noise
        path.append(x)
    return np.array(path)


def own_noise(start, betas, noises):
    return forward(start, betas, np.random.default_rng(0).standard_normal(np.shape(noises)))


def closed_form(betas):
    kept = np.cumprod(1 - np.asarray(betas))
    alpha_bar = np.concatenate([[1.0], kept])
    return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)


def closed_form_in_a_loop(betas):
    alpha, variance = [1.0], [0.0]
    for beta in betas:
        alpha.append(alpha[-1] * (1 - beta) ** 0.5)
        variance.append((1 - beta) * variance[-1] + beta)
    return alpha, np.sqrt(variance)


def closed_form_by_every_noise(betas):
    """What the chain makes of a clean 1, and of each step's noise alone."""
    steps = len(betas)
    alpha = forward(1.0, betas, np.zeros(steps))
    of_each = forward(np.zeros(steps), betas, np.eye(steps))
    return alpha, np.sqrt((of_each**2).sum(axis=1))


def jump(betas, alpha=np.sqrt, sigma=lambda alpha_bar: np.sqrt(1 - alpha_bar), first=True):
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - np.asarray(betas))])
    return alpha(alpha_bar)[0 if first else 1 :], sigma(alpha_bar)[0 if first else 1 :]


def started(steps):
    """With the values at i = 0 in front."""
    return tuple(np.concatenate([[value], part]) for value, part in zip((1.0, 0.0), steps))


# -- beta from what one sees -----------------------------------------------------------------------


def beta_of_path(path):
    path = np.asarray(path, float)
    deviation = path - path.mean()
    r1 = (deviation[1:] * deviation[:-1]).sum() / (deviation**2).sum()
    return 1 - r1**2


def beta_by_covariances(path):
    n, mean = len(path), sum(path) / len(path)
    gamma_0 = sum((x - mean) ** 2 for x in path) / n
    gamma_1 = sum((path[k] - mean) * (path[k + 1] - mean) for k in range(n - 1)) / n
    return 1 - (gamma_1 / gamma_0) ** 2


def beta_by_correlate(path):
    deviation = np.asarray(path) - np.mean(path)
    gamma = np.correlate(deviation, deviation, "full")[len(path) - 1 :]
    return (gamma[0] - gamma[1]) * (gamma[0] + gamma[1]) / gamma[0] ** 2


def r_1(path, lag=1, centred=True):
    deviation = path - path.mean() if centred else path
    return (deviation[lag:] * deviation[:-lag]).sum() / (deviation**2).sum()


def line_through_pairs(path):
    return 1 - np.polyfit(path[:-1], path[1:], 1)[0] ** 2


def betas_of_paths(paths):
    deviation = paths - np.mean(paths, axis=1, keepdims=True)
    before, after = deviation[:-1], deviation[1:]
    slope = (before * after).sum(axis=1) / (before**2).sum(axis=1)
    return 1 - slope**2


def betas_by_polyfit(paths):
    betas = []
    for before, after in pairwise(paths):
        betas.append(1 - np.polyfit(before - np.mean(before), after, 1)[0] ** 2)
    return betas


def betas_by_covariances(paths):
    betas = []
    for i in range(1, len(paths)):
        (variance, covariance), _ = np.cov(paths[i - 1], paths[i])
        betas.append(1 - (covariance / variance) ** 2)
    return np.array(betas)


def slopes(paths, centred=True, backwards=False):
    paths = np.asarray(paths, float)
    deviation = paths - paths.mean(axis=1, keepdims=True) if centred else paths
    before, after = deviation[:-1], deviation[1:]
    below = after if backwards else before
    return (before * after).sum(axis=1) / (below**2).sum(axis=1)


def correlations(paths):
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in pairwise(paths)])


def left_over(paths):
    """The variance of what the line does not explain."""
    deviation = paths - paths.mean(axis=1, keepdims=True)
    rest = deviation[1:] - slopes(paths)[:, None] * deviation[:-1]
    return (rest**2).mean(axis=1)


def along_each_path(paths):
    return np.array([beta_of_path(path) for path in np.transpose(paths)])


@np.errstate(all="ignore")
def mistaken(
    x, top=lambda before, after: before * after, total=np.sum, below=lambda d: (d**2).sum(-1),
    centre=np.mean, beta=lambda slope: 1 - slope**2,
):  # fmt: skip
    """Both estimates with room for the same mistakes: x is one path (n,) or all (T + 1, n)."""
    x = np.asarray(x, float)
    deviation = x - centre(x, axis=-1, keepdims=True)
    before, after = deviation[:-1], deviation[1:]
    slope = total(top(before, after), axis=-1) / below(deviation if x.ndim == 1 else before)
    return beta(slope)


MISTAKES = (
    (
        {"total": np.mean},
        "The products are averaged, the squares added up. Divide both by the same number, or none.",
    ),
    (
        {"below": lambda d: (d**2).mean(-1)},
        "The products are added up, the squares averaged. Divide both by the same number, or none.",
    ),
    (
        {"below": lambda d: 1.0},
        "The products are not divided by anything: in another unit they would be others.",
    ),
    (
        {"below": lambda d: 1 / (d**2).sum(-1)},
        "The products are multiplied by the squares: in another unit the result would be another.",
    ),
    (
        {"beta": lambda slope: 1 - slope**-2.0},
        "The fraction stands upside down: it comes out larger than 1 in size.",
    ),
    (
        {"top": lambda before, after: before + after},
        "Deviations from a mean add up to nearly nothing. What tells how two things go together?",
    ),
    (
        {"below": lambda d: d.sum(-1)},
        "Deviations from the mean add up to 0, and the products are divided by that.",
    ),
    ({"centre": lambda x, **axes: -np.mean(x, **axes)}, "The mean is added, not taken off."),
    ({"centre": np.sum}, "The sum of the values is taken off, where their mean belongs."),
    ({"centre": np.max}, "The largest value is taken off, where the mean belongs."),
    ({"beta": lambda slope: 1 - 2 * slope}, "Twice a number is not its square."),
    ({"beta": lambda slope: 1 - slope**4}, "This is squared once too often."),
    ({"beta": lambda slope: 1 - slope**3}, "A third power: which one undoes the root?"),
    ({"beta": lambda slope: -1 - slope**2}, "A share below -1? Look at the first sign."),
    (
        {"beta": lambda slope: 1 + slope**2},
        "Larger than 1: can a step replace more than all of the variance?",
    ),
)


def mistakes_of_both():
    return tuple((partial(mistaken, **changed), words) for changed, words in MISTAKES)


# -- spectra ---------------------------------------------------------------------------------------


def crossing(power, exponent, alpha_bar):
    snr = alpha_bar / (1 - alpha_bar)
    return (power * snr) ** (1 / exponent)


def crossing_by_logarithms(power, exponent, alpha_bar):
    return np.exp((np.log(power) + np.log(alpha_bar) - np.log1p(-alpha_bar)) / exponent)


def crossing_from_noise(power, exponent, alpha_bar):
    return (power / (1 / alpha_bar - 1)) ** exponent**-1


# -- Break it: three chains with a bug each --------------------------------------------------------

BUGS = {"A": "alpha_bar", "B": "backwards", "C": "square"}
NUMBERED = ("square", "alpha_bar", "same noise", "backwards")  # as in the lesson's list
ANSWER = "".join(str(1 + NUMBERED.index(bug)) for bug in BUGS.values())


def faulty_path(run, start, betas, noises):
    """The path (T + 1, ...) of chain "A", "B" or "C", each with one bug."""
    bug = BUGS[run]
    if bug == "alpha_bar":
        return jump_every_step(start, betas, noises)
    return chain(
        start, betas, noises,
        add=(lambda beta: beta) if bug == "square" else np.sqrt,
        beta_order=-1 if bug == "backwards" else 1,
    )  # fmt: skip


# -- inputs ----------------------------------------------------------------------------------------


def some_chain(rng, steps=None, shape=None):
    steps = int(rng.integers(2, 6)) if steps is None else steps
    shape = tuple(rng.integers(1, 4, size=rng.integers(1, 3))) if shape is None else shape
    betas = rng.uniform(0.05, 0.6, size=steps)
    return 2 * rng.standard_normal(shape), betas, rng.standard_normal((steps, *shape))


def some_betas(rng):
    return (rng.uniform(0.02, 0.6, size=int(rng.integers(2, 8))),)


def a_path(rng, length=None, phi=None):
    """One path of constant beta, in some unit and around some level."""
    length = int(rng.integers(60, 200)) if length is None else length
    phi = rng.uniform(0.5, 0.95) if phi is None else phi
    path = [rng.standard_normal()]
    for noise in rng.standard_normal(length - 1):
        path.append(phi * path[-1] + np.sqrt(1 - phi**2) * noise)
    return (rng.uniform(0.3, 4) * np.array(path) + rng.uniform(-5, 5),)


def some_paths(rng, steps=None, count=None):
    steps = int(rng.integers(2, 6)) if steps is None else steps
    count = int(rng.integers(20, 60)) if count is None else count
    start = rng.uniform(0.5, 2) * rng.standard_normal(count) + rng.uniform(1, 3)
    return (forward(start, rng.uniform(0.05, 0.6, steps), rng.standard_normal((steps, count))),)


def some_waves(rng):
    return (
        rng.uniform(20, 2000),
        rng.uniform(0.7, 4),
        rng.uniform(0.05, 0.95, size=int(rng.integers(1, 5))),
    )


EXERCISES = (
    Exercise(
        "09.forward",
        "The forward chain",
        reference=forward,
        alternatives=(forward_into_an_array, forward_as_a_list),
        wrong=(
            (
                lambda *a: chain(*a, add=lambda beta: beta),
                "The fresh noise comes out with variance beta squared. By what must a standard "
                "normal number be multiplied to have variance beta?",
            ),
            (
                lambda *a: chain(*a, keep=lambda beta: 1 - beta),
                "The state is multiplied by 1 - beta. What does that do to its variance?",
            ),
            (
                lambda *a: chain(*a, keep=lambda beta: 1 - beta, add=lambda beta: beta),
                "Both factors are those of the variances. What multiplies a number if its variance "
                "is multiplied by 1 - beta?",
            ),
            (
                lambda *a: chain(*a, keep=lambda beta: 1),
                "Noise comes in, but nothing of the state goes: its variance would grow for ever.",
            ),
            (
                lambda *a: chain(*a, keep=lambda beta: 1 - np.sqrt(beta)),
                "The state is multiplied by 1 - sqrt(beta). Square that: is it 1 - beta?",
            ),
            (
                lambda *a: chain(*a, keep=np.sqrt, add=lambda beta: np.sqrt(1 - beta)),
                "The two factors are in each other's place: with a beta near 0, how much of the "
                "state should be left after one step?",
            ),
            (
                always_from_the_start,
                "Every state is made of the start. In a Markov chain a step goes on from the state "
                "before it.",
            ),
            (
                jump_every_step,
                "The product of all (1 - beta) so far stands where one step's own belongs.",
            ),
            (
                lambda *a: chain(*a, same_noise=True),
                "This adds the same noise in every step. Fresh noise is noises[0], then noises[1], "
                "and so on.",
            ),
            (
                lambda *a: chain(*a, noise_shift=-1),
                "The noises are one place off: the first step has betas[0] and noises[0].",
            ),
            (
                lambda *a: chain(*a, noise_order=-1),
                "The noises come in the other order: noises[0] belongs to the first step.",
            ),
            (
                lambda *a: chain(*a, beta_order=-1),
                "The betas come in the other order: betas[0] belongs to the first step.",
            ),
            (
                lambda *a: chain(*a, add=lambda beta: -np.sqrt(beta)),
                "The noise is subtracted. Nobody would see it in a picture, but the check adds it.",
            ),
            (lambda *a: chain(*a, keep_first=False), "The start is missing: path[0] is x_0."),
            (lambda *a: chain(*a)[1:], "All states but the start: it is path[0]."),
            (
                noise_first,
                "The fresh noise is shrunk in the step in which it comes. What is shrunk, and what "
                "is added to it?",
            ),
            (
                lambda *a: chain(*a, keep=lambda b: np.sqrt(1 - b**2), add=lambda b: b),
                "Here beta is the noise's standard deviation. Of what does the lesson say beta?",
            ),
            (
                lambda *a: chain(*a, keep_last=False),
                "The last state is missing: T steps make T + 1 states.",
            ),
            (lambda *a: chain(*a)[-1], "This is the last state alone. Asked for are all of them."),
            (lambda *a: chain(*a)[::-1], "The right states, last one first: path[0] is x_0."),
            (
                in_place,
                "Which line writes into start? Whoever calls your function still needs the clean "
                "thing.",
            ),
            (
                one_state,
                "All places of the path show the same state. Is it one array that each step "
                "overwrites?",
            ),
            (
                own_noise,
                "Does this draw noise of its own? It comes as an argument, so that two chains can "
                "be compared on the same noise.",
            ),
        ),
        hints=(
            "A number multiplied by c has its variance multiplied by c squared. Which c makes that "
            "1 - beta?",
            "Which multiple of a standard normal number has variance beta? The next state is the "
            "sum of two such products.",
            "Keep a list that begins with start. For each beta and its noise, make the next state "
            "of the last one in the list and append it; at the end make it one array.",
        ),
        inputs=some_chain,
        edges=(
            (np.array([1.0, -2.0]), np.array([0.0, 1.0, 0.3]), np.arange(6.0).reshape(3, 2)),
            (np.array([[[3, -1, 2]]]), np.array([0.2]), np.ones((1, 1, 1, 3))),
            (np.array([0.5, 1.5, -1.0]), np.zeros(0), np.zeros((0, 3))),
            some_chain(np.random.default_rng(0), 40, (2, 2, 2)),
        ),
    ),
    Exercise(
        "09.closed_form",
        "The whole chain in one jump",
        reference=closed_form,
        alternatives=(closed_form_in_a_loop, closed_form_by_every_noise),
        wrong=(
            (
                lambda betas: jump(betas, sigma=lambda a: 1 - a),
                "The second number is the noise's variance. What multiplies a standard normal "
                "number?",
            ),
            (
                lambda betas: jump(betas, alpha=lambda a: a),
                "The first number is the share of the variance that is left. What multiplies x_0 "
                "itself?",
            ),
            (
                lambda betas: jump(betas, alpha=lambda a: a, sigma=lambda a: 1 - a),
                "Both are variances. Asked for is what multiplies x_0, and what multiplies the "
                "noise.",
            ),
            (
                lambda betas: started((np.sqrt(1 - betas), np.sqrt(betas))),
                "These are the factors of single steps. After two steps, what has x_0 been "
                "multiplied by?",
            ),
            (
                lambda betas: started((np.sqrt(np.cumprod(1 - betas)), np.sqrt(betas))),
                "The signal is right. The noise is that of the last step alone: what became of the "
                "noise that came in before?",
            ),
            (
                lambda betas: started((np.sqrt(np.cumprod(1 - betas)), np.sqrt(np.cumsum(betas)))),
                "The signal is right. The noise is a sum of all betas, as if no later step shrank "
                "it.",
            ),
            (
                lambda betas: started(
                    (np.sqrt(np.cumprod(1 - betas)), np.cumsum(np.sqrt(betas * (1 - betas))))
                ),
                "The signal is right. Of independent noises the variances add, not the standard "
                "deviations.",
            ),
            (
                lambda betas: started((np.sqrt(np.cumprod(1 - betas)), np.sqrt(np.cumprod(betas)))),
                "The signal is right. The noise is a product of betas, and falls: should it?",
            ),
            (
                lambda betas: started(
                    (np.sqrt(np.cumprod(1 - betas)), np.sqrt(1 - np.cumprod(betas)))
                ),
                "The signal is right. In the noise the product is one of betas: what is left of "
                "the signal's variance is another product.",
            ),
            (
                lambda betas: jump(betas, sigma=lambda a: 1 - np.sqrt(a)),
                "The two numbers add up to 1. What adds up to 1 are their squares: variances.",
            ),
            (
                lambda betas: jump(betas, sigma=lambda a: np.sqrt(1 - np.sqrt(a))),
                "Under the second root stands 1 - alpha, where 1 less the share of the variance "
                "belongs.",
            ),
            (
                lambda betas: (
                    np.exp(-np.concatenate([[0.0], np.cumsum(betas)]) / 2),
                    np.sqrt(-np.expm1(-np.concatenate([[0.0], np.cumsum(betas)]))),
                ),
                "Near it while every beta is small: exp(-beta) is not quite 1 - beta.",
            ),
            (
                lambda betas: jump(np.resize(betas[:1], len(betas))),
                "All steps have the beta of the first one.",
            ),
            (
                lambda betas: jump(betas, first=False),
                "The right numbers from i = 1 on. At i = 0 nothing has happened yet: that belongs "
                "to it, too.",
            ),
            (
                lambda betas: jump(betas)[::-1],
                "The right numbers in the other order: what multiplies x_0 comes first.",
            ),
            (
                lambda betas: tuple(part[-1] for part in jump(betas)),
                "The right numbers of the last step. Asked for are those of every i from 0 to T.",
            ),
        ),
        hints=(
            "Write x_2 out: put x_1 into it. What multiplies x_0 now?",
            "Two noises are left in x_2. Their variances add: the first one has been shrunk by the "
            "second step. Is the sum, and the signal's share, 1 together?",
            "np.cumprod gives the products of one, two, three, ... factors; a 1 belongs in front.",
        ),
        inputs=some_betas,
        edges=(
            (np.array([0.0, 0.5, 0.0, 0.25]),),
            (np.array([0.3]),),
            (np.array([0.2, 1.0, 0.4]),),
            (np.full(60, 0.1),),
        ),
    ),
    Exercise(
        "09.beta",
        "A constant beta from one long path",
        reference=beta_of_path,
        alternatives=(beta_by_covariances, beta_by_correlate),
        wrong=(
            (
                r_1,
                "This is what Yule-Walker gives for the coefficient. What multiplies the state "
                "before, in terms of beta?",
            ),
            (
                lambda path: 1 - r_1(path),
                "This takes 1 - beta for the coefficient of the state before. Which function of "
                "beta is it?",
            ),
            (
                lambda path: r_1(path) ** 2,
                "This is the share of the variance that a step keeps. Is beta that share?",
            ),
            (
                lambda path: np.sqrt(1 - r_1(path) ** 2),
                "This is the noise's standard deviation in units of the path's.",
            ),
            (
                lambda path: path.var() * (1 - r_1(path) ** 2),
                "This is the variance of the fresh noise in the unit of the path. Were the path "
                "ten times as large, beta would be the same.",
            ),
            (
                lambda path: np.diff(path).var(),
                "In another unit this is another number. What of a path does not hang on its unit?",
            ),
            (
                lambda path: 1 - r_1(path, centred=False) ** 2,
                "The mean of the path is still in it: Yule-Walker works with deviations from the "
                "mean.",
            ),
            (
                lambda path: 1 - r_1(path, lag=2),
                "On an endless path this would do: two steps multiply by 1 - beta. But which lag "
                "does Yule-Walker take for an AR(1)?",
            ),
            (
                line_through_pairs,
                "This is least squares. It serves as well; Yule-Walker divides the sum of n - 1 "
                "products by the sum of all n squares.",
            ),
            (
                lambda path: 1 - np.corrcoef(path[:-1], path[1:])[0, 1] ** 2,
                "This gives each end of the pairs its own mean and variance. Yule-Walker uses the "
                "path's for both.",
            ),
            (
                lambda path: 1 - (r_1(path) * len(path) / (len(path) - 1)) ** 2,
                "The products are divided by n - 1, the squares by n. Lesson 05 divides both by n.",
            ),
            *mistakes_of_both(),
        ),
        hints=(
            "Yule-Walker for an AR(1): the coefficient is r_1, the autocorrelation at lag 1.",
            "The coefficient of the state before is the square root of something with beta in it. "
            "Solve for beta.",
        ),
        inputs=a_path,
        edges=(
            (np.array([1.0, 2.0, 4.0, 3.0, 1.0]),),
            (np.array([0, 1, 0, 2, -1, 1, 0, 3]),),
            a_path(np.random.default_rng(0), 2000, 0.99),
            a_path(np.random.default_rng(1), 300, 0.0),
        ),
        forbidden=(
            "minigen.models.linear.autocovariance",
            "minigen.models.linear.autocorrelation",
            "minigen.models.linear.levinson_durbin",
            "minigen.models.linear.LinearAR.fit",
        ),
        minutes=3,
    ),
    Exercise(
        "09.betas",
        "Every beta from many paths",
        reference=betas_of_paths,
        alternatives=(betas_by_polyfit, betas_by_covariances),
        wrong=(
            (slopes, "These are the slopes. What multiplies the state before, in terms of beta?"),
            (
                lambda paths: 1 - slopes(paths),
                "This takes 1 - beta for the slope. Which function of beta is it?",
            ),
            (
                lambda paths: slopes(paths) ** 2,
                "These are the shares of the variance that the steps keep. Is beta such a share?",
            ),
            (
                lambda paths: 1 - slopes(paths, centred=False) ** 2,
                "The line is forced through the origin. With an intercept it is a line through the "
                "means of both states.",
            ),
            (
                lambda paths: 1 - (slopes(paths) * paths.shape[1] / (paths.shape[1] - 1)) ** 2,
                "The slopes are a little too steep, more so with few paths. By which numbers are "
                "the products and the squares divided?",
            ),
            (
                lambda paths: 1 - slopes(paths, backwards=True) ** 2,
                "This divides by the variance of the later state: a slope of the state before, "
                "given the state after. The chain runs the other way.",
            ),
            (
                lambda paths: 1 - correlations(paths) ** 2,
                "This is made of correlations. They are slopes only if both states have the same "
                "variance: do clean data have variance 1?",
            ),
            (
                left_over,
                "This is the variance of what the line leaves over. It estimates beta as well, but "
                "asked for is what the slope says.",
            ),
            (
                lambda paths: np.maximum(betas_of_paths(paths), 0),
                "This lifts what is below 0. An estimate of a small beta may be below 0 by chance; "
                "lifting it makes the mean of many estimates too large.",
            ),
            (
                along_each_path,
                "One number for each path: as if beta were constant along it. Asked for is one for "
                "each step, from all paths.",
            ),
            (
                lambda paths: np.mean(betas_of_paths(paths)),
                "One number for all steps. Asked for is one for each.",
            ),
            (lambda paths: betas_of_paths(paths)[::-1], "The right numbers, last step first."),
            (
                lambda paths: np.concatenate([[0.0], betas_of_paths(paths)]),
                "One number too many: T + 1 states are joined by T steps.",
            ),
            (
                lambda paths: 1 - slopes(np.asarray(paths)[[0, *range(len(paths))][:-1]]) ** 2,
                "The pairs are one step late: the first pair is paths[0] and paths[1].",
            ),
            (
                lambda paths: np.array(
                    [1 - np.polyfit(paths[0], after, 1)[0] ** 2 for after in paths[1:]]
                ),
                "Every state is compared with the first one: that tells all steps so far together. "
                "Which state came just before?",
            ),
            (
                lambda paths: mistaken(paths, centre=lambda x, **axes: np.mean(x, axis=0)),
                "From each path its own mean over the steps is taken off. A line goes through the "
                "mean of all paths, at each of its two states.",
            ),
            (
                lambda paths: mistaken(paths, centre=lambda x, **axes: np.mean(x)),
                "One mean is taken off everywhere. The states of each step have their own.",
            ),
            *mistakes_of_both(),
        ),
        hints=(
            "For each step there are as many pairs (state before, state after) as paths, and a "
            "line through them.",
            "The slope of a least-squares line is the covariance of the two over the variance of "
            "the state before.",
            "The slope of step i estimates sqrt(1 - beta_i).",
        ),
        inputs=some_paths,
        edges=(
            (np.array([[0.0, 1.0, 2.0], [1.0, 3.0, 4.0]]),),
            (np.array([[0, 1, 2, 5], [1, 1, 3, 4], [0, 2, 3, 3]]),),
            (some_paths(np.random.default_rng(5), 3, 30)[0] + 1000,),
            some_paths(np.random.default_rng(1), 30, 2000),
        ),
    ),
    Exercise(
        "09.crossing",
        "Where signal and noise are equal",
        reference=crossing,
        alternatives=(crossing_by_logarithms, crossing_from_noise),
        wrong=(
            (
                lambda power, exponent, alpha_bar: (
                    (power * alpha_bar / (1 - alpha_bar)) ** exponent
                ),
                "A steeper spectrum should need *more* signal for each further wave. Solve "
                "power f^-a = something for f once more.",
            ),
            (
                lambda power, exponent, alpha_bar: power * alpha_bar / (1 - alpha_bar),
                "This is the signal-to-noise ratio of the waves with one cycle. At which frequency "
                "has it fallen to 1?",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (power * (1 - alpha_bar) / alpha_bar) ** (1 / exponent)
                ),
                "More noise, more waves above it? Signal and noise have changed places.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (power * alpha_bar / (1 - alpha_bar)) ** (2 / exponent)
                ),
                "The spectrum is of powers, squares of sizes. A square is counted twice here.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (power * np.sqrt(alpha_bar / (1 - alpha_bar))) ** (1 / exponent)
                ),
                "The chain multiplies the picture by alpha. By what does it multiply its power?",
            ),
            (
                lambda power, exponent, alpha_bar: (alpha_bar / (1 - alpha_bar)) ** (1 / exponent),
                "The power at one cycle has no effect. A stronger picture stays visible longer.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    power * (alpha_bar / (1 - alpha_bar)) ** (1 / exponent)
                ),
                "The root is taken of the ratio alone. Does it belong to the power at one cycle, "
                "too?",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (alpha_bar / (1 - alpha_bar) / power) ** (1 / exponent)
                ),
                "A field with more power is seen up to a lower frequency here. Should it be?",
            ),
            (
                lambda power, exponent, alpha_bar: (power * alpha_bar) ** (1 / exponent),
                "This is where the signal's power is 1. The noise's power is not 1.",
            ),
            (
                lambda power, exponent, alpha_bar: (power / (1 - alpha_bar)) ** (1 / exponent),
                "The noise grows, but the signal should fade, too.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (power * alpha_bar / np.sqrt(1 - alpha_bar)) ** (1 / exponent)
                ),
                "The noise's power is its variance, not its standard deviation.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    np.log(power * alpha_bar / (1 - alpha_bar)) / exponent
                ),
                "This is the logarithm of a frequency.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (power * alpha_bar / (1 - alpha_bar)) ** (-1 / exponent)
                ),
                "More signal, fewer waves above the noise? Look at the sign of the exponent.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (power * alpha_bar * (1 - alpha_bar)) ** (1 / exponent)
                ),
                "The noise's power multiplies here. Set signal and noise equal, and divide.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (power * alpha_bar / (1 + alpha_bar)) ** (1 / exponent)
                ),
                "The noise's variance is not 1 + alpha_bar: with more signal there is less noise.",
            ),
            (
                lambda power, exponent, alpha_bar: (
                    (power + alpha_bar / (1 - alpha_bar)) ** (1 / exponent)
                ),
                "Power and signal-to-noise ratio are added. A picture twice as strong should have "
                "twice the ratio at every frequency.",
            ),
        ),
        hints=(
            "After the jump the signal's power at f is alpha_bar power f^-a. What is the noise's, "
            "at every f?",
            "Set the two equal, and bring f to one side.",
        ),
        inputs=some_waves,
        edges=(
            (1.0, 1.0, np.array([0.5, 0.8])),
            (100.0, 2.0, np.array([0.5])),
            (3000.0, 4.0, np.array([1e-6, 0.01, 0.999])),
        ),
        minutes=3,
    ),
    Exercise(
        "09.bugs",
        "Three bugs named from plots and numbers",
        reference=ANSWER,
        alternatives=(int(ANSWER), " ".join(ANSWER), ",".join(ANSWER), list(ANSWER)),
        wrong=(
            ("142", "One chain ends with small numbers. Would steps in the wrong order do that?"),
            (
                "421",
                "Two of the chains keep their standard deviation. In one of them the betas only "
                "grow; which bug could make them fall?",
            ),
            ("214", "Which chain does not keep its standard deviation? Its noise is too weak."),
            ("231", "One noise in all steps would pile up. Which standard deviation says so?"),
            ("243", "Does any chain end with a standard deviation far above 1?"),
            ("341", "Where would the same noise, added again and again, show first?"),
        ),
        hints=(
            "Look at the standard deviations first: only one bug can make the state shrink.",
            "Of the two that stay near 1: what would the betas be if each were 1 - alpha_bar, all "
            "steps so far together? They could only grow.",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
    ),
)
