"""The checks of lesson 11: DDPM; and the three runs whose bugs the lesson asks to name."""

from copy import deepcopy

import numpy as np

from minigen.course.comparing import changed
from minigen.course.exercise import Exercise
from minigen.tensor import Tensor

# -- algorithm 2: the sampler ----------------------------------------------------------------------


def sample(guess, alpha_bar, start, noises):
    path = [start]
    for i in range(len(alpha_bar) - 1, 0, -1):
        now, after, x = alpha_bar[i], alpha_bar[i - 1], path[-1]
        beta = 1 - now / after
        mean = (x - beta / np.sqrt(1 - now) * guess(x, i)) / np.sqrt(1 - beta)
        std = np.sqrt(beta * (1 - after) / (1 - now))  # 0 in the last step, where after is 1
        path.append(mean + std * noises[i])
    return np.array(path[::-1])


def sample_by_clean_guess(guess, alpha_bar, start, noises):
    """By way of the clean thing, as in the package."""
    steps = len(alpha_bar) - 1
    path = np.zeros((steps + 1, *start.shape))
    path[steps] = start
    for i in reversed(range(1, steps + 1)):
        now, after = alpha_bar[i], alpha_bar[i - 1]
        clean = (path[i] - np.sqrt(1 - now) * guess(path[i], i)) / np.sqrt(now)
        of_clean = np.sqrt(after) * (1 - now / after) / (1 - now)
        of_x = np.sqrt(now / after) * (1 - after) / (1 - now)
        path[i - 1] = of_clean * clean + of_x * path[i]
        if i > 1:
            path[i - 1] += np.sqrt((1 - now / after) * (1 - after) / (1 - now)) * noises[i]
    return path


def sample_by_ddim(guess, alpha_bar, start, noises):
    """As a list, by DDIM's rule with eta = 1: the same step, written another way."""
    path = {len(alpha_bar) - 1: start}
    for i in range(len(alpha_bar) - 1, 0, -1):
        now, after = alpha_bar[i], alpha_bar[i - 1]
        noise, fresh = guess(path[i], i), (1 - now / after) * (1 - after) / (1 - now)
        clean = (path[i] - np.sqrt(1 - now) * noise) / np.sqrt(now)
        kept = np.sqrt(max(1 - after - fresh, 0))
        path[i - 1] = np.sqrt(after) * clean + kept * noise + np.sqrt(fresh) * noises[i]
    return [path[i] for i in range(len(alpha_bar))]


def mean_of_algorithm_2(x, noise, now, after, beta):
    return (x - beta / np.sqrt(1 - now) * noise) / np.sqrt(1 - beta)


def one_step_beta(now, after, i):
    return 1 - now / after


def beta_of_the_lesson(now, after, i):
    """What the notebook's own beta[i] would give, for another chain and T = 50."""
    own = lesson_alpha_bar()
    return 1 - own[min(i, 50)] / own[min(i, 50) - 1]


def lesson_alpha_bar():
    time = np.arange(51) / 50
    return np.exp(-(0.1 * time + 9.95 * time**2))


def chain(
    guess, alpha_bar, start, noises, std=np.sqrt, mean=mean_of_algorithm_2, at_the_end=None,
    asked=0, noise_order=1, noise_shift=0, steps=slice(None), beta_of=one_step_beta,
):  # fmt: skip
    """The sampler with room for mistakes: another mean, another std (of beta tilde), noise of
    another std at the end, the network asked at i + asked, ...
    """
    path = [start]
    for i in range(len(alpha_bar) - 1, 0, -1)[steps]:
        now, after, x = alpha_bar[i], alpha_bar[i - 1], path[-1]
        beta = beta_of(now, after, i)
        x = mean(x, guess(x, i + asked), now, after, beta)
        spread = std(beta * (1 - after) / (1 - now))
        if i == 1 and at_the_end is not None:
            spread = at_the_end(beta)
        path.append(x + spread * noises[::noise_order][i + noise_shift])
    return np.array(path[::-1])


def large_variance(guess, alpha_bar, start, noises, at_the_end=lambda beta: 0):
    path = [start]
    for i in range(len(alpha_bar) - 1, 0, -1):
        now, after, x = alpha_bar[i], alpha_bar[i - 1], path[-1]
        beta = 1 - now / after
        spread = np.sqrt(beta) if i > 1 else at_the_end(beta)
        path.append(mean_of_algorithm_2(x, guess(x, i), now, after, beta) + spread * noises[i])
    return np.array(path[::-1])


def clean_for_noise(x, guessed, now, after, beta):
    """The guess put where the clean thing belongs."""
    of_clean, of_x = np.sqrt(after) * beta, np.sqrt(1 - beta) * (1 - after)
    return (of_clean * guessed + of_x * x) / (1 - now)


def one_jump(guess, alpha_bar, start, noises):
    i = len(alpha_bar) - 1
    clean = (start - np.sqrt(1 - alpha_bar[i]) * guess(start, i)) / np.sqrt(alpha_bar[i])
    return np.array([clean, start])


def renoised(guess, alpha_bar, start, noises):
    path = [start]
    for i in range(len(alpha_bar) - 1, 0, -1):
        now, after, x = alpha_bar[i], alpha_bar[i - 1], path[-1]
        clean = (x - np.sqrt(1 - now) * guess(x, i)) / np.sqrt(now)
        path.append(np.sqrt(after) * clean + np.sqrt(1 - after) * noises[i])
    return np.array(path[::-1])


def through_clean(
    guess, alpha_bar, start, noises, beta_of=one_step_beta, alpha=np.sqrt, sigma=np.sqrt,
    of_clean=lambda now, after: np.sqrt(after), swapped=False, kept="x",
):  # fmt: skip
    """The sampler by way of the guessed clean thing, with room for other mistakes: alpha and sigma
    made of their squares, the clean thing's factor in mu, what the path keeps or goes on with.
    """
    x, path = start, [start]
    for i in range(len(alpha_bar) - 1, 0, -1):
        now, after = alpha_bar[i], alpha_bar[i - 1]
        beta = beta_of(now, after, i)
        clean = (x - sigma(1 - now) * guess(x, i)) / alpha(now)
        parts = of_clean(now, after) * beta, np.sqrt(1 - beta) * (1 - after)
        first, second = parts[::-1] if swapped else parts
        fresh = np.sqrt(beta * (1 - after) / (1 - now)) * noises[i]
        x = (first * clean + second * x) / (1 - now) + fresh
        path.append(x if kept == "x" else clean)
        if kept == "clean for x":
            x = clean
    return np.array(path[::-1])


def noise_of_its_own(guess, alpha_bar, start, noises):
    return sample(guess, alpha_bar, start, np.random.default_rng().standard_normal(noises.shape))


class AnotherPath(Exception):
    """Of a sampler that does not depend on its arguments alone."""


def sampler_inputs(rng, steps=None, size=None):
    steps = int(rng.integers(2, 9)) if steps is None else steps
    size = rng.integers(2, 5, size=rng.integers(1, 4)) if size is None else size
    alpha_bar = np.append(1, np.sort(rng.uniform(0.02, 0.98, size=steps))[::-1])
    return alpha_bar, rng.normal(size=size), rng.normal(size=(steps + 1, *size))


def run_sampler(answer, alpha_bar, start, noises):
    def guess(x, i):  # bent and different at each level, so that no step can be left out
        return np.tanh(2 * np.sqrt(alpha_bar[i]) * x / (1.3 - alpha_bar[i]))

    again = deepcopy((alpha_bar, start, noises))
    path = answer(guess, alpha_bar, start, noises)
    if changed(answer(guess, *again), path):
        raise AnotherPath("the same arguments gave another path the second time")
    return path


# -- the weight of an error ------------------------------------------------------------------------


def noise_weight(now, after):
    snr_now, snr_after = now / (1 - now), after / (1 - after)
    return (snr_after - snr_now) / (2 * snr_now)


def noise_weight_of_the_paper(now, after):
    """DDPM eq. 12 with the small variance."""
    beta = 1 - now / after
    variance = beta * (1 - after) / (1 - now)
    return beta**2 / (2 * variance * (1 - beta) * (1 - now))


# -- algorithm 1: the loss -------------------------------------------------------------------------


def training_loss(guess, clean, alpha_bar, rng):
    i = rng.integers(1, len(alpha_bar), size=len(clean))
    noise = rng.standard_normal(clean.shape)
    signal = alpha_bar[i].reshape(-1, *(1,) * (clean.ndim - 1))
    noisy = np.sqrt(signal) * clean + np.sqrt(1 - signal) * noise
    return ((guess(noisy, i) - noise) ** 2).mean()


def training_loss_by_rows(guess, clean, alpha_bar, rng):
    """Noise first, one example after the other, in single precision."""
    noise = rng.standard_normal(clean.shape, np.float32)
    i = np.array([rng.choice(np.arange(1, len(alpha_bar))) for _ in clean])
    noisy = [alpha_bar[k] ** 0.5 * x + (1 - alpha_bar[k]) ** 0.5 * e
             for x, e, k in zip(clean, noise, i)]  # fmt: skip
    error = noise - guess(np.stack(noisy), i)
    return (error * error).sum() / noise.size


def training_loss_by_floor(guess, clean, alpha_bar, rng):
    T, last = len(alpha_bar) - 1, (slice(None), *(None,) * (clean.ndim - 1))
    i = 1 + np.floor(T * rng.random(len(clean))).astype(int)
    alpha, sigma = np.sqrt(alpha_bar)[i][last], np.sqrt(1 - alpha_bar)[i][last]
    noise = rng.normal(size=clean.shape)
    return ((guess(alpha * clean + sigma * noise, i) - noise) ** 2).mean()


def trial(
    guess, clean, alpha_bar, rng, low=1, high=0, one=False, noise_like="all", hide=None, told=0,
    target="noise",
    measure=lambda error, signal: (error**2).mean(), ask=lambda guess, x, i, clean: guess(x, i),
):  # fmt: skip
    """Algorithm 1 with room for mistakes: i from low to T + high, one for the whole batch, noise
    that is shared, another mixture `hide`, the network told i + told or asked in another way,
    another target.
    """
    T, ones = len(alpha_bar) - 1, (1,) * (clean.ndim - 1)
    i = rng.integers(low, T + high + 1, size=1 if one else len(clean)) + np.zeros(len(clean), int)
    shape = {"all": clean.shape, "batch": clean.shape[1:], "example": (len(clean), *ones)}
    noise = rng.standard_normal(shape.get(noise_like)) + np.zeros(clean.shape)
    if noise_like == "uniform":
        noise = rng.random(clean.shape)
    signal = alpha_bar[i].reshape(-1, *ones)
    mixed = hide or (lambda clean, noise, s: np.sqrt(s) * clean + np.sqrt(1 - s) * noise)
    x = mixed(clean, noise, signal)
    targets = {"noise": noise, "clean": clean, "x": x, "part": np.sqrt(1 - signal) * noise}
    asked = i / T if told == "time" else i + told
    return measure(ask(guess, x, asked, clean) - targets[target], signal)


def level_before(guess, clean, alpha_bar, rng):
    """The noisy state made at i - 1, and the network told i."""
    return trial(lambda x, i: guess(x, i + 1), clean, alpha_bar, rng, low=0, high=-1)


def single_level(guess, clean, alpha_bar, rng):
    i, noise = rng.integers(1, len(alpha_bar)), rng.standard_normal(clean.shape)
    noisy = np.sqrt(alpha_bar[i]) * clean + np.sqrt(1 - alpha_bar[i]) * noise
    return ((guess(noisy, i) - noise) ** 2).mean()


def flat_signal(guess, clean, alpha_bar, rng, axes=(slice(None),)):
    i, noise = rng.integers(1, len(alpha_bar), size=len(clean)), rng.standard_normal(clean.shape)
    signal = alpha_bar[i][axes]
    noisy = np.sqrt(signal) * clean + np.sqrt(1 - signal) * noise
    return ((guess(noisy, i) - noise) ** 2).mean()


def two_axes(*arguments):
    return flat_signal(*arguments, axes=(slice(None), None))


class LevelsOnly:
    """Levels from the generator given, but the noise from one with a fixed seed."""

    def __init__(self, rng):
        self.integers = rng.integers
        self.standard_normal = np.random.default_rng(0).standard_normal


MIXTURES = {  # what somebody may make of alpha_bar: the parts of the clean thing and of the noise
    "alpha x_0 + sigma noise": lambda a: (np.sqrt(a), np.sqrt(1 - a)),
    "alpha x_0 + (1 - alpha_bar) noise": lambda a: (np.sqrt(a), 1 - a),
    "alpha_bar x_0 + sigma noise": lambda a: (a, np.sqrt(1 - a)),
    "alpha_bar x_0 + (1 - alpha_bar) noise": lambda a: (a, 1 - a),
    "sigma x_0 + alpha noise": lambda a: (np.sqrt(1 - a), np.sqrt(a)),
    "x_0 + sigma noise": lambda a: (1 + 0 * a, np.sqrt(1 - a)),
    "x_0 + noise": lambda a: (1 + 0 * a, 1 + 0 * a),
}
LOSSES = {  # of the network's answer `out` and the signal alpha_bar of each example
    "mean of (guess - noise)^2": lambda out, noise, *_: ((out - noise) ** 2).mean(),
    "sum of (guess - noise)^2": lambda out, noise, *_: ((out - noise) ** 2).sum(),
    "mean of |guess - noise|": lambda out, noise, *_: np.abs(out - noise).mean(),
    "mean of guess - noise": lambda out, noise, *_: (out - noise).mean(),
    "root mean square of guess - noise": lambda out, noise, *_: ((out - noise) ** 2).mean() ** 0.5,
    "mean of (guess - x_0)^2": lambda out, noise, clean, *_: ((out - clean) ** 2).mean(),
    "mean of (guess - x_i)^2": lambda out, noise, clean, x, signal: ((out - x) ** 2).mean(),
    "mean of (guess - sigma noise)^2": lambda out, noise, clean, x, signal: (
        (out - np.sqrt(1 - signal) * noise) ** 2
    ).mean(),
    "mean of (guess - noise)^2 / alpha_bar": lambda out, noise, clean, x, signal: (
        (out - noise) ** 2 / signal
    ).mean(),
    "mean of (guess - noise)^2 / SNR": lambda out, noise, clean, x, signal: (
        (out - noise) ** 2 * (1 - signal) / signal
    ).mean(),
}
NUMBERS, SIGMAS = 1000, 6  # seen in one try; how far chance may go: once in 5e8


class BatchForLevel(Exception):
    """Of a network that is given the noisy batch where the levels belong."""


class Asked:
    """A network that notes what it is asked and what it answered."""

    def __init__(self):
        self.seen = []

    def __call__(self, x, i):
        if np.ndim(x) < np.ndim(i):
            raise BatchForLevel(f"guess got x_i of shape {np.shape(x)}, i of shape {np.shape(i)}")
        given = np.asarray(x, dtype=np.float64)
        answer = 0.7 * np.tanh(given) + 0.1
        self.seen.append((given, np.asarray(i), answer))
        return Tensor(answer)


def numbers_asked(answer, clean, alpha_bar, rng, batches=10):
    """All that the network is asked in some batches: x_i, i, x_i, i, ..."""
    network = Asked()
    for _ in range(batches):
        answer(network, clean, alpha_bar, rng)
    return [part for x, i, _ in network.seen for part in (x, i)]


def run_training(answer, clean, alpha_bar, rng):
    """What a learner's loss does, in words: the levels, the noisy state, the loss."""
    if changed(*(numbers_asked(answer, clean, alpha_bar, deepcopy(rng)) for _ in range(2))):
        return "two generators in the same state give different batches"
    size, ones = clean.size, (1,) * (clean.ndim - 1)
    times = -(-max(NUMBERS * len(clean) // size, 20 * len(alpha_bar)) // len(clean))
    network, losses = Asked(), []
    for _ in range(times):
        loss = answer(network, clean, alpha_bar, rng)
        if loss is None:
            return None
        losses.append(loss)
    if len(network.seen) != times:
        return f"the network is asked {len(network.seen) / times:.3g} times a batch, not once"
    if any(x.shape != clean.shape for x, _, _ in network.seen):
        return f"x_i has the shape {network.seen[0][0].shape}, x_0 has {clean.shape}"
    if any(i.shape != (len(clean),) for _, i, _ in network.seen):
        return f"i has the shape {network.seen[0][1].shape}, expected ({len(clean)},)"
    x, i, out = (np.stack([one[k] for one in network.seen]) for k in range(3))
    if (i == i[0]).all():
        return "rng in other states gives the same levels again"
    levels = levels_told(i, len(alpha_bar) - 1)
    if not levels.startswith("i from"):
        return levels
    signal = alpha_bar[i.astype(int)].reshape(*i.shape, *ones)
    mixture, noise = mixture_seen(x, clean, signal)
    if noise is None:
        return f"{levels}; {mixture}"
    loss = loss_seen(losses, out, noise, clean, x, signal)
    return f"{levels}; x_i = {mixture}; {loss}"


def levels_told(i: np.ndarray, T: int) -> str:
    """Which levels i (times, B) the network was asked about."""
    if (i != np.round(i)).any():
        return "the network is not told whole numbers i" + (" but i / T" if i.max() <= 1 else "")
    if i.min() < 0 or i.max() > T:
        return f"i from {i.min():.0f} to {i.max():.0f}, where T is {T}: out of range"
    low, high = (f"T{k - T or ''}" if k > T - 2 and k > 1 else f"{k:.0f}" for k in span(i))
    words = f"i from {low} to {high}"
    if i.shape[1] > 1 and T > 1 and (i == i[:, :1]).all():
        return words + ", one for the whole batch"
    counts = np.bincount(i.astype(int).ravel(), minlength=T + 1)[i.min().astype(int) :]
    even = i.size / len(counts)
    return words + ("" if np.abs(counts - even).max() <= SIGMAS * even**0.5 else ", not all alike")


def span(i: np.ndarray) -> tuple[int, int]:
    return int(i.min()), int(i.max())


def mixture_seen(x, clean, signal) -> tuple[str, np.ndarray | None]:
    """What x is made of, and its noise."""
    if np.allclose(x, clean):
        return "x_i is x_0 itself, without noise", None
    noise = (x - np.sqrt(signal) * clean) / np.sqrt(np.maximum(1 - signal, 1e-12))
    if np.ptp(noise, axis=0).max() < 1e-3:
        return "the same noise in every batch", None
    if np.abs(noise).max() < 1.001:
        return "alpha x_0 + sigma noise, no number of it beyond -1 and 1", noise
    for words, parts in MIXTURES.items():
        of_clean, of_noise = parts(signal)
        if (of_noise == 0).any():
            continue
        noise = (x - of_clean * clean) / of_noise
        limit = SIGMAS / noise.size**0.5
        with_clean = (noise * clean).mean() / np.sqrt((clean**2).mean() + 1e-30)
        normal = abs(noise.std() - 1) < limit and abs(noise.mean()) < 2 * limit
        if not normal or abs(with_clean) > 2 * limit:
            continue
        if len(np.unique(noise.round(5))) < 0.5 * noise.size:
            return words + ", one noise for several numbers", noise
        return words, noise
    return "x_i is something else", None


def loss_seen(losses, out, noise, clean, x, signal) -> str:
    if any(not isinstance(loss, Tensor) for loss in losses):
        return "the loss is no Tensor: it has no gradient"
    if any(loss.shape != () for loss in losses):
        return f"the loss has the shape {losses[0].shape}, not ()"
    values = np.array([loss.item() for loss in losses])
    for words, measure in LOSSES.items():
        expected = [measure(*one) for one in zip(out, noise, [clean] * len(x), x, signal)]
        if np.allclose(values, expected, rtol=1e-3, atol=1e-5):
            return words
    ratio = values / [((o - e) ** 2).mean() for o, e in zip(out, noise)]
    constant = np.ptp(ratio) < 1e-3 * abs(ratio.mean())
    return f"{ratio.mean():.3g} times the mean" if constant else "the loss is something else"


def batch_of(rng, shape=None, steps=None, dtype=np.float64):
    shape = tuple(rng.integers(3, 7, size=rng.integers(2, 5))) if shape is None else shape
    steps = int(rng.integers(3, 12)) if steps is None else steps
    alpha_bar = np.append(1, np.linspace(rng.uniform(0.05, 0.2), 0.95, steps)[::-1])
    return rng.normal(0.3, 0.8, size=shape).astype(dtype), alpha_bar, rng


# -- Break it: three runs, each with one bug -------------------------------------------------------

BUGS = {"A": "square", "B": "last noise", "C": "untrained T"}
NUMBERED = ("last noise", "untrained T", "square", "variance")  # as in the lesson's list
ANSWER = "".join(str(1 + NUMBERED.index(bug)) for bug in BUGS.values())


def faulty_path(run, denoise, alpha_bar, start, noises):
    """The path of run "A", "B" or "C": the exact denoiser(x, alpha, sigma), and one bug."""
    bug = BUGS[run]

    def guess(x, i):
        alpha, sigma = np.sqrt(alpha_bar[i]), np.sqrt(1 - alpha_bar[i])
        if bug == "untrained T" and i == len(alpha_bar) - 1:
            return 0 * x
        if bug == "square":
            sigma = sigma**2
        return (x - alpha * denoise(x, alpha, sigma)) / sigma

    return chain(
        guess, alpha_bar, start, noises,
        std=(lambda variance: variance) if bug == "variance" else np.sqrt,
        at_the_end=np.sqrt if bug == "last noise" else None,
    )  # fmt: skip


# -- Further: an exact denoiser --------------------------------------------------------------------


def denoise_signs(x, alpha, sigma):
    return np.tanh(alpha * x / sigma**2)


@np.errstate(all="ignore")
def denoise_signs_underflowing(x, alpha, sigma):
    plus, minus = (np.exp(-((x - sign * alpha) ** 2) / (2 * sigma**2)) for sign in (1, -1))
    return (plus - minus) / (plus + minus)


@np.errstate(all="ignore")
def denoise_signs_overflowing(x, alpha, sigma):
    a = alpha * x / sigma**2
    return (np.exp(a) - np.exp(-a)) / (np.exp(a) + np.exp(-a))


@np.errstate(all="ignore")
def denoise_signs_by_sigmoid(x, alpha, sigma):
    return 2 / (1 + np.exp(-2 * alpha * x / sigma**2)) - 1


def denoise_signs_by_bayes(x, alpha, sigma):
    plus, minus = (-((x - sign * alpha) ** 2) / (2 * sigma**2) for sign in (1, -1))
    top = np.maximum(plus, minus)
    plus, minus = np.exp(plus - top), np.exp(minus - top)
    return (plus - minus) / (plus + minus)


def two_alpha_bars(rng):
    size = rng.integers(1, 5, size=rng.integers(1, 3))
    now = rng.uniform(0.1, 0.6, size=size)
    return now, now + rng.uniform(0.1, 0.9, size=size) * (1 - now)


EXERCISES = (
    Exercise(
        "11.sample",
        "Algorithm 2: the sampler",
        reference=sample,
        alternatives=(sample_by_clean_guess, sample_by_ddim, lambda *a: chain(*a)),
        wrong=(
            (
                lambda *a: chain(*a, at_the_end=np.sqrt),
                "This adds noise in the last step too. x_0 is the answer, nothing after it could "
                "clean it: what is beta tilde where alpha_bar[i - 1] is 1?",
            ),
            (
                lambda *a: chain(*a, at_the_end=lambda beta: 1),
                "This adds noise in the last step too, with all its strength. Which standard "
                "deviation does beta tilde give there?",
            ),
            (
                lambda *a: large_variance(*a, at_the_end=np.sqrt),
                "This adds noise of variance beta in every step, in the last one too. Asked for "
                "is beta tilde; and what is beta tilde in the last step?",
            ),
            (
                lambda *a: large_variance(*a),
                "This is what you get with the variance beta. It works too, but asked for here is "
                "beta tilde.",
            ),
            (
                lambda *a: chain(*a, std=lambda variance: variance),
                "This multiplies the noise by the variance. By what must a standard normal number "
                "be multiplied to have that variance?",
            ),
            (
                lambda *a: chain(*a, std=lambda variance: 0),
                "This adds no noise at all. Each step draws from a Gaussian; its mean alone is "
                "not a sample.",
            ),
            (
                lambda *a: chain(*a, std=lambda variance: 1),
                "This adds noise of standard deviation 1 in every step. How much is fresh in one?",
            ),
            (
                lambda *a: chain(*a, mean=clean_for_noise),
                "This takes the guess for the clean thing. guess(x, i) answers with the noise in "
                "x: which clean thing does that mean?",
            ),
            (
                lambda *a: chain(
                    *a, mean=lambda x, e, now, after, beta: x - beta / np.sqrt(1 - now) * e
                ),
                "What is taken off is right, but the step must also undo the shrinking: forwards "
                "x was multiplied by sqrt(1 - beta).",
            ),
            (
                lambda *a: chain(
                    *a, mean=lambda x, e, now, after, beta: (x - beta * e) / np.sqrt(1 - beta)
                ),
                "The guess has standard deviation 1 and stands for all the noise in x, of size "
                "sigma_i. Is a sigma lost on the way from mu, or is its square in the guessed "
                "clean thing?",
            ),
            (
                lambda *a: chain(
                    *a,
                    mean=lambda x, e, now, after, beta: (
                        (x - beta / (1 - now) * e) / np.sqrt(1 - beta)
                    ),
                ),
                "Here 1 - alpha_bar stands where its root belongs, sigma.",
            ),
            (
                lambda *a: chain(
                    *a,
                    mean=lambda x, e, now, after, beta: (
                        (x - np.sqrt(1 - now) * e) / np.sqrt(1 - beta)
                    ),
                ),
                "This takes off all the noise in every step. One step takes off a part of it.",
            ),
            (
                renoised,
                "This puts all-new noise on the guessed clean thing. The posterior keeps a part "
                "of x_i: its mean has two terms.",
            ),
            (
                lambda *a: chain(*a, asked=-1),
                "This tells the network i - 1, but x is still at level i when it is asked.",
            ),
            (
                lambda *a: chain(*a, noise_order=-1),
                "This uses the noises in another order: noises[i] belongs to the step from i to "
                "i - 1.",
            ),
            (
                lambda *a: chain(*a, noise_shift=-1),
                "This uses noises[i - 1] in the step from i to i - 1. Which index does the "
                "exercise give it?",
            ),
            (
                one_jump,
                "This jumps from x_T to the mean at once. A sampler goes back in small steps.",
            ),
            (
                lambda *a: chain(*a, steps=slice(None, -1)),
                "This stops at x_1: the step from 1 to 0 is missing. Where does range end?",
            ),
            (
                lambda *a: chain(*a, steps=slice(1, None)),
                "This leaves out the first step, from T to T - 1. How many entries has alpha_bar, "
                "and what is T?",
            ),
            (
                lambda *a: chain(*a, beta_of=lambda now, after, i: 1 - now),
                "This takes 1 - alpha_bar[i] for beta: the noise of all steps up to i. How much "
                "does one step add?",
            ),
            (
                lambda *a: chain(*a, beta_of=beta_of_the_lesson),
                "This uses the notebook's own beta. The check comes with another chain: make beta "
                "from the argument alpha_bar.",
            ),
            (
                lambda *a: through_clean(*a, beta_of=lambda now, after, i: 1 - now),
                "In mu and beta tilde 1 - alpha_bar[i] stands for beta: that is the noise of all "
                "steps up to i. How much does one step add?",
            ),
            (
                lambda *a: through_clean(*a, alpha=lambda now: now),
                "The guessed clean thing is divided by alpha_bar. By what was x_0 multiplied in "
                "x_i?",
            ),
            (
                lambda *a: through_clean(*a, alpha=lambda now: now, sigma=lambda rest: rest),
                "The guessed clean thing is made of alpha_bar and 1 - alpha_bar: two roots are "
                "missing.",
            ),
            (
                lambda *a: through_clean(*a, swapped=True),
                "The two factors of mu are swapped. In the last step one of them is 0: whose?",
            ),
            (
                lambda *a: through_clean(*a, of_clean=lambda now, after: np.sqrt(now)),
                "The factor of the clean thing in mu has the root of alpha_bar[i]. Of which state "
                "is mu the mean?",
            ),
            (
                lambda *a: through_clean(*a, of_clean=lambda now, after: after),
                "The factor of the clean thing in mu has alpha_bar[i - 1] itself: what is it there "
                "in the formula?",
            ),
            (
                noise_of_its_own,
                "Does this draw noise of its own? The steps' noise comes as an argument, so that "
                "two samplers can be compared on the same one.",
            ),
            (
                lambda *a: through_clean(*a, kept="clean"),
                "The walk is right, but the path holds the guessed clean things. path[i] is the "
                "state x_i.",
            ),
            (
                lambda *a: through_clean(*a, kept="clean for x"),
                "This goes on with the guessed clean thing in place of x_{i-1}. Which part of the "
                "way to it does one step go, and what noise comes on top?",
            ),
            (
                lambda *a: sample(*a)[::-1],
                "The right walk, in the order in which it was walked: path[0] should be x_0, the "
                "last state.",
            ),
            (
                lambda *a: sample(*a)[0],
                "This is the right x_0. Asked for are all states: path[i] is x_i.",
            ),
            (
                lambda *a: sample(*a)[:-1],
                "All states but the first are there. x_T, where the walk starts, belongs to the "
                "path too.",
            ),
        ),
        hints=(
            "Go through i = T, T - 1, ..., 1. In the step from i to i - 1, 1 - beta is "
            "alpha_bar[i] / alpha_bar[i - 1].",
            "The guessed noise means a clean thing: solve x_i = alpha x_0 + sigma noise for x_0, "
            "and put it into mu. (It need not be simplified.)",
            "Add sqrt(beta tilde) times noises[i]; in the last step beta tilde is 0 by itself. "
            "Keep each state in a list and turn the list around at the end.",
        ),
        inputs=sampler_inputs,
        edges=(
            sampler_inputs(np.random.default_rng(0), 1, (2, 2)),
            sampler_inputs(np.random.default_rng(1), 2, (3,)),
            sampler_inputs(np.random.default_rng(2), 60, (2, 1, 3)),
        ),
        run=run_sampler,
        forbidden=(
            "minigen.schedules.Schedule.posterior",
            "minigen.sampling.ancestral",
            "minigen.sampling.ddim",
        ),
        minutes=10,
    ),
    Exercise(
        "11.noise_weight",
        "The weight of an error in the noise",
        reference=noise_weight,
        alternatives=(
            noise_weight_of_the_paper,
            lambda now, after: 0.5 * (after * (1 - now) / (now * (1 - after)) - 1),
        ),
        wrong=(
            (
                lambda now, after: (after / (1 - after) - now / (1 - now)) / 2,
                "This is the weight of an error in the clean thing. How large is it when the "
                "noise is off by 1?",
            ),
            (
                lambda now, after: after * (1 - now) / (now * (1 - after)) - 1,
                "This is twice as much as it costs: look at the KL of two Gaussians again.",
            ),
            (
                lambda now, after: (after / (1 - after) - now / (1 - now)) / 2 * now / (1 - now),
                "This multiplies by the SNR. The clean error is sigma / alpha times the other: "
                "which power of SNR?",
            ),
            (
                lambda now, after: np.log(after * (1 - now) / (now * (1 - after))) / 2,
                "This is the step in the logarithm of the SNR. Near it for small steps; but which "
                "one is exact?",
            ),
            (
                lambda now, after: np.ones_like(now),
                "This is the simple loss, which drops the weight. What would the bound ask for?",
            ),
            (
                lambda now, after: -noise_weight(now, after),
                "This is negative, and no error can be worth having. Which of the two SNRs is the"
                " larger one?",
            ),
            (
                lambda now, after: noise_weight(after, now),
                "This is negative, and divides by the other SNR: it takes now for after.",
            ),
            (
                lambda now, after: (
                    (after / (1 - after) - now / (1 - now)) / (2 * after / (1 - after))
                ),
                "This divides by the SNR of the cleaner state. In which of the two states is the "
                "noise guessed?",
            ),
            (
                lambda now, after: (after - now) / (2 * now),
                "This takes alpha_bar for the SNR. What stands below alpha_bar in it?",
            ),
        ),
        hints=(
            "One factor is w, the other turns an error of the clean thing into one of the noise.",
            "SNR = alpha_bar / (1 - alpha_bar). The weight is w / SNR_now.",
        ),
        inputs=two_alpha_bars,
        edges=(
            (np.array([1e-4]), np.array([2e-4])),
            (np.array([[0.2, 0.3, 0.4]]), np.array([[0.3, 0.4, 0.5]])),
            (np.array([0.5, 0.9, 0.98]), np.array([0.75, 0.95, 0.99])),
        ),
        minutes=3,
    ),
    Exercise(
        "11.training_loss",
        "Algorithm 1: the training step's loss",
        reference=training_loss,
        alternatives=(training_loss_by_rows, training_loss_by_floor, lambda *a: trial(*a)),
        wrong=(
            (
                lambda *a: trial(*a, high=-1),
                "Here i never is T, and the sampler's first question is about T. Does "
                "rng.integers include its upper end?",
            ),
            (
                lambda *a: trial(*a, low=0),
                "Here i may be 0: clean data without any noise, about which the sampler never "
                "asks.",
            ),
            (
                lambda *a: trial(*a, low=0, high=-1),
                "Here i runs from 0 to T - 1. The sampler asks about 1 to T.",
            ),
            (
                lambda *a: trial(*a, one=True),
                "One i for the whole batch: it would be right on average, but noisier. Draw one "
                "for each example.",
            ),
            (
                lambda *a: trial(*a, noise_like="batch"),
                "All examples of a batch get the same noise. Each number needs noise of its own.",
            ),
            (
                lambda *a: trial(*a, noise_like="example"),
                "All numbers of an example get the same noise. Each one needs noise of its own.",
            ),
            (
                lambda *a: trial(*a, hide=lambda x, e, s: np.sqrt(s) * x + (1 - s) * e),
                "The noise has the wrong strength: 1 - alpha_bar is a variance. What multiplies a "
                "standard normal number?",
            ),
            (
                lambda *a: trial(*a, hide=lambda x, e, s: s * x + np.sqrt(1 - s) * e),
                "The clean thing is multiplied by alpha_bar. How are alpha and alpha_bar related?",
            ),
            (
                lambda *a: trial(*a, hide=lambda x, e, s: s * x + (1 - s) * e),
                "Both parts are multiplied by variances: two roots are missing.",
            ),
            (
                lambda *a: trial(*a, hide=lambda x, e, s: np.sqrt(1 - s) * x + np.sqrt(s) * e),
                "The two parts are swapped: at i = T nearly nothing of the clean thing is left.",
            ),
            (
                lambda *a: trial(*a, hide=lambda x, e, s: x + np.sqrt(1 - s) * e),
                "The noise is right, but the clean thing does not fade. What multiplies it?",
            ),
            (
                lambda *a: trial(*a, hide=lambda x, e, s: x + e),
                "This adds noise of strength 1 at every level. Where does i come in?",
            ),
            (
                lambda *a: trial(*a, target="clean"),
                "The guess is held against the clean thing. This lesson's networks guess the "
                "noise.",
            ),
            (
                lambda *a: trial(*a, target="x"),
                "The guess is held against x_i, which the network is shown. What does it not see?",
            ),
            (
                lambda *a: trial(*a, target="part"),
                "The guess is held against sigma times the noise. The sampler multiplies by sigma "
                "itself.",
            ),
            (
                lambda *a: trial(*a, measure=lambda error, signal: (error**2).sum()),
                "The squared errors are summed. Asked for is their mean, whatever the size of the "
                "batch.",
            ),
            (
                lambda *a: trial(*a, measure=lambda error, signal: 0.5 * (error**2).mean()),
                "This is half of what is asked for: the mean of the squares, no more.",
            ),
            (
                lambda *a: trial(*a, measure=lambda error, signal: error**2),
                "The squared errors are all there. backward starts from one number: their mean.",
            ),
            (
                lambda *a: trial(
                    *a, measure=lambda error, signal: (error**2).sum() / error.shape[0]
                ),
                "The sum is divided by the number of examples. How many numbers has an example?",
            ),
            (
                lambda *a: trial(
                    *a, measure=lambda error, signal: (error**2 / np.float32(signal)).mean()
                ),
                "Each squared error is divided by its alpha_bar. The simple loss has no weights.",
            ),
            (
                lambda *a: trial(
                    *a,
                    measure=lambda error, signal: (
                        error**2 * np.float32((1 - signal) / signal)
                    ).mean(),
                ),
                "Each squared error is divided by its SNR: this is the error of the clean thing. "
                "Asked for is that of the noise, without weights.",
            ),
            (
                lambda *a: trial(*a, noise_like="uniform"),
                "The noise is not normal: it never leaves a small interval. rng.random and "
                "rng.uniform are flat; what is the noise of the forward chain?",
            ),
            (
                lambda *a: trial(*a, ask=lambda guess, x, i, clean: guess(clean, i)),
                "The network is shown the clean batch. What does the sampler show it?",
            ),
            (
                lambda *a: trial(*a, ask=lambda guess, x, i, clean: guess(i, x)),
                "The arguments of guess are swapped: the noisy batch comes first, then the levels.",
            ),
            (
                lambda guess, clean, alpha_bar, rng: trial(
                    guess, clean, alpha_bar, np.random.default_rng(0)
                ),
                "Each batch gets the same levels. Is a generator made anew inside, with a fixed "
                "seed? Draw from rng.",
            ),
            (
                lambda guess, clean, alpha_bar, rng: trial(
                    guess, clean, alpha_bar, LevelsOnly(rng)
                ),
                "Each batch gets the same noise. Is a generator made anew inside, with a fixed "
                "seed? Draw from rng.",
            ),
            (
                lambda guess, clean, alpha_bar, rng: trial(
                    guess, clean, alpha_bar, np.random.default_rng()
                ),
                "Some of the chance does not come from rng: the same generator in the same state "
                "must give the same loss. Is np.random in it?",
            ),
            (
                single_level,
                "One level for the whole batch, as a single number. Draw one for each example.",
            ),
            (
                flat_signal,
                "If it is the shapes that do not fit: alpha_bar[i] has one entry an example. To "
                "multiply a batch (B, ...) it needs as many axes as the batch.",
            ),
            (
                two_axes,
                "If it is the shapes that do not fit: [:, None] makes two axes. The batch may "
                "have any number of them.",
            ),
            (
                lambda *a: trial(*a, measure=lambda error, signal: error.mean()),
                "The errors are averaged without their squares: positive and negative ones cancel.",
            ),
            (
                lambda *a: trial(*a, measure=lambda error, signal: (error * error).mean() ** 0.5),
                "This is the root of what is asked for.",
            ),
            (
                lambda *a: trial(*a, measure=lambda error, signal: float((error**2).mean().item())),
                "The right number, but torn off from the network: backward starts from a Tensor. "
                "Let NumPy and Python leave it as it is.",
            ),
            (
                lambda *a: trial(*a, told="time"),
                "guess wants the level i itself, a whole number from 1 to T; it makes i / T of it.",
            ),
            (
                level_before,
                "The noisy state is made with another alpha_bar than that of the level which the "
                "network is told. Is the list of alpha_bar shifted by one?",
            ),
        ),
        hints=(
            "Five lines: draw i, draw the noise, mix the two, ask guess(x_i, i), average the "
            "squared error.",
            "rng.integers(1, n, size=B) gives numbers below n. alpha_bar[i] is (B,): to multiply "
            "a batch (B, Y, X) it must become (B, 1, 1), whatever the number of axes.",
            "alpha_bar[i].reshape(-1, *(1,) * (clean.ndim - 1)) does that. A Tensor knows ** 2 "
            "and .mean().",
        ),
        inputs=batch_of,
        edges=(
            batch_of(np.random.default_rng(3), (8, 2), 2),
            batch_of(np.random.default_rng(4), (1, 12), 5, np.float32),
            batch_of(np.random.default_rng(5), (16, 1, 4, 4), 30, np.float32),
        ),
        run=run_training,
        tries=3,
        forbidden=("minigen.models.ddpm.DDPM.loss", "minigen.schedules.Schedule.noisy"),
        minutes=10,
    ),
    Exercise(
        "11.bugs",
        "Three bugs named from plots and numbers",
        reference=ANSWER,
        alternatives=(int(ANSWER), " ".join(ANSWER), ",".join(ANSWER), list(ANSWER)),
        wrong=(
            ("123", "Which curve leaves the dotted line at once, and which never?"),
            (
                "412",
                "One of the curves lies above the dotted line near the end, not below. Would too "
                "little fresh noise do that?",
            ),
            ("321", "Which curve jumps at once, and which cloud is only blurred?"),
            ("132", "Noise at the last step cannot bend a curve before its very end."),
            (
                "342",
                "One curve cannot be told from the dotted line all the way down. Would fresh noise "
                "that is too weak in every step leave no trace on it?",
            ),
            (
                "314",
                "A bug that acts in every step cannot show in the first one only and then be "
                "forgotten.",
            ),
            ("213", "Of the clouds, which ends where it should, and which is only blurred?"),
            ("231", "Look at the first step of each curve, at its last one, and at those between."),
        ),
        hints=(
            "One curve leaves the dotted line in the very first step. Which bug acts only there?",
            "One curve lies on the dotted line all the way to i = 1. What can happen after that?",
            "The last one leaves it on the way. Does it end above the dotted line or below? Which "
            "of the bugs left over would do that?",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
    ),
    Exercise(
        "11.denoise_signs",
        "The exact denoiser of -1 and +1",
        reference=denoise_signs,
        alternatives=(denoise_signs_by_bayes, denoise_signs_by_sigmoid),
        wrong=(
            (
                denoise_signs_overflowing,
                "Right, until the exponent is too large for exp: then infinity is divided by "
                "infinity. One NumPy function of the hyperbolic kind does all of it.",
            ),
            (
                denoise_signs_underflowing,
                "Right, until sigma is small and both weights become 0: then 0 is divided by 0. "
                "Expand the squares: what cancels?",
            ),
            (
                lambda x, alpha, sigma: np.sign(x),
                "This is the more likely of the two values. The denoiser answers with an average:"
                " how sure can it be?",
            ),
            (
                lambda x, alpha, sigma: np.tanh(alpha * x / sigma),
                "This is what you get with sigma where its square belongs: write down the "
                "exponent of the Gaussian.",
            ),
            (
                lambda x, alpha, sigma: (denoise_signs(x, alpha, sigma) + 1) / 2,
                "This is the probability of +1. The average of +1 and -1 also needs the "
                "probability of -1.",
            ),
            (
                lambda x, alpha, sigma: alpha * x / (alpha**2 + sigma**2),
                "This is the denoiser of Gaussian data with variance 1. Ours only take two values.",
            ),
            (
                lambda x, alpha, sigma: np.tanh(2 * alpha * x / sigma**2),
                "This is off by a factor 2 inside: the exponents differ by 2 alpha x / sigma^2; "
                "all of it?",
            ),
            (
                lambda x, alpha, sigma: np.tanh(alpha * x / (2 * sigma**2)),
                "This is half of what belongs inside. The square (x - alpha)^2 has 2 alpha x in "
                "it; did the 2 survive?",
            ),
            (
                lambda x, alpha, sigma: np.tanh(x / sigma**2),
                "Here alpha is forgotten: the noisy spots stand at -alpha and +alpha, not at -1 "
                "and +1.",
            ),
            (
                lambda x, alpha, sigma: -np.tanh(alpha * x / sigma**2),
                "The sign is wrong: an x far on the right must come from +1.",
            ),
            (
                lambda x, alpha, sigma: x / alpha,
                "This takes all of x for signal. Some of it is noise, and the data only take two "
                "values.",
            ),
            (
                lambda x, alpha, sigma: np.clip(x / alpha, -1, 1),
                "This takes all of x for signal and cuts it off. Ask how likely each of the two "
                "values is, given x.",
            ),
        ),
        hints=(
            "P(+1 | x) is proportional to exp(-(x - alpha)^2 / (2 sigma^2)); P(-1 | x) has x + "
            "alpha.",
            "The average is (P(+1) - P(-1)) / (P(+1) + P(-1)). Expand the squares: most of both "
            "cancels.",
            "(e^a - e^-a) / (e^a + e^-a) is tanh(a).",
        ),
        inputs=lambda rng: (
            rng.normal(size=rng.integers(1, 5, size=rng.integers(1, 3))),
            rng.uniform(0.3, 0.9),
            rng.uniform(0.4, 1.5),
        ),
        edges=(
            (np.array([0.9, -0.02, 1.1, -1.0]), 0.9998, 0.02),
            (np.array([0.0, 3.0]), 0.01, 1.0),
            (np.array([0.0, -0.5, 0.5]), 1.0, 1.0),
        ),
        forbidden=("minigen.oracles.IdealDenoiser", "minigen.oracles.GaussianMixture"),
    ),
)
