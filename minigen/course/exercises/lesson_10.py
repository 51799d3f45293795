"""The checks of lesson 10, noise schedules.

Also the four chains that it asks to diagnose, and the walk by which one's own schedule is judged.
"""

import functools
import math
from dataclasses import dataclass, field

import numpy as np

from minigen.course.exercise import Exercise

# -- Break it: four chains, built as beginners build them; one of them is healthy ------------------

NAMES = ("end is not noise", "beta for alpha_bar", "variance for standard deviation", "healthy")


def coefficients(chain: str, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What chain "A", "B", "C" or "D" multiplies the clean signal and the noise by.

    At times t in [0, 1].
    """
    t = np.asarray(t, dtype=np.float64)
    steps = 50 if chain == "B" else 1000
    beta = np.linspace(1e-4, 0.02, steps)
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - beta)])[np.round(t * steps).astype(int)]
    if chain == "A":
        return np.sqrt(alpha_bar), 1 - alpha_bar
    if chain == "C":
        alpha = np.cos((t + 0.008) / 1.008 * np.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)
        alpha_bar = np.maximum(alpha, 0) ** 2
    if chain == "D":
        alpha_bar = 1 - np.concatenate([[0.0], beta])[np.round(t * steps).astype(int)]
    return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)


# -- the exercises ---------------------------------------------------------------------------------


def arrive(mean, std, alpha_bar):
    """A point keeps how many standard deviations it is from the mean of its crowd."""
    alpha = np.sqrt(alpha_bar)
    spread = np.sqrt(alpha_bar * std**2 + 1 - alpha_bar)
    return mean - std * alpha * mean / spread, std / spread


def arrive_by_two_points(mean, std, alpha_bar):
    start = np.array([0.0, 1.0])
    spread = math.sqrt(alpha_bar * std**2 + 1 - alpha_bar)
    low, high = mean + std * (start - math.sqrt(alpha_bar) * mean) / spread
    return low, high - low


def arrive_by_quantiles(mean, std, alpha_bar):
    points = np.array([-2.0, -1.0, 1.0, 2.0])
    crowd = alpha_bar**0.5 * mean, (alpha_bar * std**2 + (1 - alpha_bar)) ** 0.5
    ends = mean + std * (points - crowd[0]) / crowd[1]
    return ends.mean(), (ends[-1] - ends[0]) / 4


def arrive_with(mean, std, alpha, spread):
    """`arrive` with other numbers for alpha and for the spread of x at the end of the chain."""
    return mean - std * alpha * mean / spread, std / spread


def zero_end(alpha_bar):
    alpha = np.sqrt(alpha_bar)
    first, last = alpha[0], alpha[-1]
    return ((alpha - last) * first / (first - last)) ** 2


def zero_end_by_interp(alpha_bar):
    alpha = np.sqrt(alpha_bar)
    return np.interp(alpha, [alpha[-1], alpha[0]], [0, alpha[0]]) ** 2


def zero_end_in_a_loop(alpha_bar):
    first, last = math.sqrt(alpha_bar[0]), math.sqrt(alpha_bar[-1])
    slope = first / (first - last)
    return [(slope * math.sqrt(a) - slope * last) ** 2 for a in alpha_bar]


def a_chain(rng):
    """The alpha_bar of a few steps; some begin a step late, below 1."""
    left = np.cumprod(rng.uniform(0.6, 0.99, size=int(rng.integers(2, 7))))
    return (left if rng.random() < 0.5 else np.concatenate([[1.0], left]),)


def some_steps(rng):
    """Short chains, where the cap counts and an example can be read, and long ones."""
    short, long = int(rng.integers(5, 10)), int(rng.integers(40, 400))
    return (long if rng.random() < 0.5 else short,)


def betas_for(steps):
    beta_start, beta_end = 1e-4 * 1000 / steps, 0.02 * 1000 / steps
    return np.minimum(np.linspace(beta_start, beta_end, steps), 0.999)


def betas_in_a_loop(steps):
    betas = []
    for i in range(steps):
        betas.append(min(0.999, (0.1 + (20 - 0.1) * i / (steps - 1)) / steps))
    return np.array(betas)


# The two heaps of the lesson.
MEANS, WEIGHTS, STD = np.array([-1.0, 0.7]), np.array([0.35, 0.65]), 0.3


def walk_error(alpha_bar, steps: int, pixels: int = 1) -> float:
    """Root mean square distance between where DDIM ends in a few steps and where it should end.

    The data are the two heaps, each number shown by so many equal pixels. All that the noisy pixels
    say about it is in their mean; times sqrt(pixels), its noise has variance 1 as one pixel's has.
    The denoiser is exact. In one dimension the way without errors is known: it keeps the order of
    the points, so each quantile of the noise goes to that of the data.
    """
    start, ends = start_and_truth()
    larger = math.sqrt(pixels)
    x, means, std = start, MEANS * larger, STD * larger
    signal = np.asarray(alpha_bar(np.arange(steps + 1) / steps), dtype=np.float64)
    alpha, sigma = np.sqrt(signal), np.sqrt(1 - signal)
    for k in range(steps, 0, -1):
        variance = (alpha[k] * std) ** 2 + sigma[k] ** 2
        offset = x[:, None] - alpha[k] * means
        log_weight = np.log(WEIGHTS) - offset**2 / (2 * variance)
        weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
        weight = weight / weight.sum(1, keepdims=True)
        clean = (weight * (means + alpha[k] * std**2 / variance * offset)).sum(1)
        x = alpha[k - 1] * clean + sigma[k - 1] * (x - alpha[k] * clean) / sigma[k]
    return float(np.sqrt(np.mean((x / larger - ends) ** 2)))


@functools.cache
def start_and_truth() -> tuple[np.ndarray, np.ndarray]:
    """200 points of N(0, 1), and the points of the heaps with the same quantiles, by bisection."""
    cdf = np.vectorize(lambda z: (1 + math.erf(z / math.sqrt(2))) / 2)
    start = np.random.default_rng(0).standard_normal(200)
    low, high = np.full(200, -4.0), np.full(200, 4.0)
    for _ in range(50):
        middle = (low + high) / 2
        below = (WEIGHTS * cdf((middle[:, None] - MEANS) / STD)).sum(1) < cdf(start)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return start, low


PIXELS = 16  # that show each number in the exercise
ENOUGH = 0.6  # of the cosine's error: a schedule of one's own must make less than that
LARGEST_FALL = 0.1  # of alpha_bar within 1/240 of the time: more is a jump


def plain_cosine(t):
    return np.cos(np.asarray(t) * np.pi / 2) ** 2


@dataclass(frozen=True)
class Judged:
    """What the exercise says about a schedule.

    Two are alike if they agree in what is asked; the numbers are shown.
    """

    starts_clean: bool
    falls: bool
    ends_in_noise: bool
    without_jump: bool
    better: bool
    reversed: bool
    each_time_by_itself: bool  # and not by the company of other times
    steps: int
    signal: np.ndarray = field(compare=False)
    errors: tuple[float, float] | None = field(compare=False)

    def __repr__(self) -> str:
        signal = np.array2string(self.signal, precision=3, separator=", ", suppress_small=True)
        if self.errors is None:
            return f"alpha_bar = {signal}"
        own, cosine = self.errors
        return f"alpha_bar = {signal}; {self.steps} steps: error {own:.3f}, cosine {cosine:.3f}"


def judged(answer, t: np.ndarray, steps: int) -> Judged:
    """Whether a schedule starts clean, only falls, ends in noise, and beats the cosine."""
    few, many = (one_number_a_time(answer(times), times) for times in (t, np.linspace(0, 1, 241)))
    alone = np.allclose(one_number_a_time(answer(t[1::2].copy()), t[1::2]), few[1::2])
    first, last = many[0], many[-1]
    sound = bool(0.999 <= first <= 1), bool((np.diff(many) < 0).all()), bool(0 <= last <= 1e-3)
    smooth = bool(np.abs(np.diff(many)).max() <= LARGEST_FALL)
    errors = None
    if all(sound):
        errors = tuple(walk_error(f, steps, PIXELS) for f in (answer, plain_cosine))
    better = errors is not None and bool(errors[0] <= ENOUGH * errors[1])
    reverse = bool(first <= 1e-3 and last >= 0.999)
    return Judged(*sound, smooth, better, reverse, alone, steps, few, errors)


def one_number_a_time(signal, t: np.ndarray) -> np.ndarray:
    signal = np.asarray(signal, dtype=np.float64)
    if signal.shape != t.shape or not np.isfinite(signal).all():
        shapes = f"shape {signal.shape} for t of shape {t.shape}"
        which = shapes if signal.shape != t.shape else "nan or inf"
        expected = "an array like t with finite numbers"
        raise ValueError(f"my_alpha_bar must return {expected}, got {which}")
    return signal


def my_alpha_bar(t):
    cosine = np.cos(t * np.pi / 2) ** 2
    return cosine / (cosine + PIXELS * (1 - cosine))  # a log-SNR lower by log(PIXELS) everywhere


EXERCISES = (
    Exercise(
        "10.arrive",
        "Where the deterministic walk leads if it starts from N(0, 1)",
        reference=arrive,
        alternatives=(arrive_by_two_points, arrive_by_quantiles),
        wrong=(
            (
                lambda mean, std, alpha_bar: (0.0, 1.0),
                "This is where the walk starts. It moves every point: where to?",
            ),
            (
                lambda mean, std, alpha_bar: (
                    mean
                    - math.sqrt(alpha_bar) * mean / math.sqrt(alpha_bar * std**2 + 1 - alpha_bar),
                    std / math.sqrt(alpha_bar * std**2 + 1 - alpha_bar),
                ),
                "The distance of the mean is counted in standard deviations here. Whose? In the"
                " data, one standard deviation is std long.",
            ),
            (
                lambda mean, std, alpha_bar: arrive_with(
                    mean, std, math.sqrt(alpha_bar), math.sqrt(std**2 + 1 - alpha_bar)
                ),
                "The data's variance enters x_T multiplied: by what, if the data are multiplied by"
                " alpha?",
            ),
            (
                lambda mean, std, alpha_bar: (mean, std),
                "This is where the walk would end from the right start, the crowd that training saw"
                " at t = 1. It starts from N(0, 1).",
            ),
            (
                lambda mean, std, alpha_bar: (
                    math.sqrt(alpha_bar) * mean,
                    math.sqrt(alpha_bar * std**2 + 1 - alpha_bar),
                ),
                "This is the crowd that training saw at t = 1. It is the first half of the answer:"
                " where in that crowd does a point of N(0, 1) stand, and who stands there in the"
                " data?",
            ),
            (
                lambda mean, std, alpha_bar: arrive_with(mean, std, math.sqrt(alpha_bar), 1),
                "This takes the standard deviation of x_T to be 1. It is 1 only for data of"
                " variance 1: which two variances add up to its square?",
            ),
            (
                lambda mean, std, alpha_bar: arrive_with(
                    mean, std, alpha_bar, math.sqrt(alpha_bar * std**2 + 1 - alpha_bar)
                ),
                "This multiplies the mean by alpha_bar. The signal in x_T is multiplied by alpha,"
                " its square root.",
            ),
            (
                lambda mean, std, alpha_bar: arrive_with(
                    mean, std, math.sqrt(alpha_bar), alpha_bar * std**2 + 1 - alpha_bar
                ),
                "This divides by the variance of x_T. A distance is counted in standard"
                " deviations.",
            ),
            (
                lambda mean, std, alpha_bar: arrive_with(
                    mean, std, math.sqrt(alpha_bar), math.sqrt(alpha_bar * std + 1 - alpha_bar)
                ),
                "Here std stands where its square belongs: what adds up are variances.",
            ),
            (
                lambda mean, std, alpha_bar: (mean - math.sqrt(alpha_bar) * mean, std),
                "This takes the missing signal, alpha times the mean, off the mean itself. It is"
                " missing at t = 1, in a crowd of another width: how many of that crowd's standard"
                " deviations is it?",
            ),
            (
                lambda mean, std, alpha_bar: (
                    -math.sqrt(alpha_bar) * mean / math.sqrt(alpha_bar * std**2 + 1 - alpha_bar),
                    1 / math.sqrt(alpha_bar * std**2 + 1 - alpha_bar),
                ),
                "These are ranks: how many standard deviations of the crowd at t = 1 the starts are"
                " from its mean. Who has that rank in the data?",
            ),
            (
                lambda mean, std, alpha_bar: arrive(mean, std, alpha_bar)[::-1],
                "These are the two right numbers in the other order: mean first.",
            ),
            (
                lambda mean, std, alpha_bar: (
                    arrive(mean, std, alpha_bar)[0],
                    arrive(mean, std, alpha_bar)[1] ** 2,
                ),
                "The mean is right; the second number is the variance.",
            ),
            (
                lambda mean, std, alpha_bar: (
                    arrive(mean, std, alpha_bar)[0],
                    std * math.sqrt(alpha_bar * std**2 + 1 - alpha_bar),
                ),
                "The mean is right. For the width: the start has standard deviation 1; how many of"
                " the crowd's standard deviations is that?",
            ),
            (
                lambda mean, std, alpha_bar: (arrive(mean, std, alpha_bar)[0], std),
                "The mean is right. For the width: the start is N(0, 1), as wide as the crowd at"
                " t = 1 only if that has standard deviation 1.",
            ),
            (
                lambda mean, std, alpha_bar: (
                    2 * mean - arrive(mean, std, alpha_bar)[0],
                    arrive(mean, std, alpha_bar)[1],
                ),
                "The distance is right, the direction is not: a start at 0 looks like a trace of"
                " data nearer to 0.",
            ),
        ),
        hints=(
            "At t = 1 training saw N(alpha mean, alpha^2 std^2 + sigma^2). Write down its mean and"
            " its standard deviation.",
            "How many of these standard deviations from that mean is a start at 0? And one at 1?",
            "The walk leads a point that is z standard deviations off there to mean + z std.",
        ),
        inputs=lambda rng: (rng.uniform(-3, 3), rng.uniform(0.2, 1.8), rng.uniform(0.05, 0.9)),
        edges=(
            (2.0, 0.5, 0.0),
            (2.0, 0.5, 0.6),
            (0.0, 0.3, 0.5),
            (1.5, 1.0, 0.25),
            (3.0, 2.0, 1.0),
        ),
    ),
    Exercise(
        "10.zero_end",
        "A chain whose end is nothing but noise",
        reference=zero_end,
        alternatives=(zero_end_by_interp, zero_end_in_a_loop),
        wrong=(
            (
                lambda alpha_bar: np.sqrt(alpha_bar) - np.sqrt(alpha_bar[-1]),
                "These are shifted amplitudes. Two things are missing: the first has to come back"
                " to where it was, and asked for is alpha_bar.",
            ),
            (
                lambda alpha_bar: (
                    (np.sqrt(alpha_bar) - np.sqrt(alpha_bar[-1]))
                    / (np.sqrt(alpha_bar[0]) - np.sqrt(alpha_bar[-1]))
                ),
                "These are amplitudes, and the first one is always 1. It should stay what it was.",
            ),
            (
                lambda alpha_bar: np.linspace(alpha_bar[0], 0, len(alpha_bar)),
                "This forgets the chain that there was: only its first entry matters here.",
            ),
            (
                lambda alpha_bar: np.concatenate([alpha_bar[:-1], [0.0]]),
                "This only cuts off the last entry. The last step then has to take away all the"
                " signal that is left at once; every amplitude should move a little.",
            ),
            (
                lambda alpha_bar: (
                    (alpha_bar - alpha_bar[-1]) * alpha_bar[0] / (alpha_bar[0] - alpha_bar[-1])
                ),
                "The map is right, but it is applied to alpha_bar. It was asked for the amplitude.",
            ),
            (
                lambda alpha_bar: (np.sqrt(alpha_bar) - np.sqrt(alpha_bar[-1])) ** 2,
                "The last entry is 0. But shifting has lowered the first one too: stretch, so that"
                " it comes back.",
            ),
            (
                lambda alpha_bar: (
                    (
                        (np.sqrt(alpha_bar) - np.sqrt(alpha_bar[-1]))
                        / (np.sqrt(alpha_bar[0]) - np.sqrt(alpha_bar[-1]))
                    )
                    ** 2
                ),
                "The last entry is 0, and the first one is always 1. It should stay what it was:"
                " not every array begins with 1.",
            ),
            (
                lambda alpha_bar: np.sqrt(zero_end(alpha_bar)),
                "These are the amplitudes alpha. Asked for is alpha_bar.",
            ),
            (
                lambda alpha_bar: 1 - zero_end(alpha_bar),
                "This is the noise's share of the variance, sigma^2.",
            ),
            (
                lambda alpha_bar: alpha_bar * np.linspace(1, 0, len(alpha_bar)),
                "This ends at 0, but how much an entry shrinks depends on its place. Asked is for"
                " one straight line from old amplitudes to new ones.",
            ),
            (
                lambda alpha_bar: (
                    (
                        np.sqrt(alpha_bar)
                        * np.sqrt(alpha_bar[0])
                        / (np.sqrt(alpha_bar[0]) - np.sqrt(alpha_bar[-1]))
                        - np.sqrt(alpha_bar[-1])
                    )
                    ** 2
                ),
                "Here the amplitudes are stretched first and then shifted by the old last one,"
                " which has been stretched meanwhile: look at your last entry.",
            ),
            (lambda alpha_bar: alpha_bar**4, "A power makes the end smaller, and never 0."),
            (
                lambda alpha_bar: np.maximum(alpha_bar - alpha_bar[-1], 0),
                "This shifts alpha_bar and not the amplitude, and it lowers the first entry.",
            ),
            (lambda alpha_bar: alpha_bar * 1.0, "This is the old chain: its last entry is not 0."),
        ),
        hints=(
            "The amplitude is alpha = sqrt(alpha_bar). Square again at the very end.",
            "First shift all the amplitudes, so that the last one is 0. Which shift is that?",
            "The first amplitude has become first - last. By which factor must all be multiplied,"
            " so that it is first again?",
        ),
        inputs=a_chain,
        edges=(
            (np.array([1.0, 0.6]),),
            (np.array([1.0, 0.5, 0.0]),),
            (np.array([0.9, 0.8, 0.3]),),
            (np.array([1.0, 0.999, 0.25, 1e-4]),),
        ),
    ),
    Exercise(
        "10.schedule",
        "A schedule of your own that beats the cosine where 16 pixels show the same number",
        reference=my_alpha_bar,
        alternatives=(
            lambda t: np.cos(t**0.4 * np.pi / 2) ** 2,
            lambda t: (1 - t) ** 4,
            lambda t: (1 - t) ** 2 / ((1 - t) ** 2 + 12 * t**2),
            lambda t: [math.cos(u**0.42 * math.pi / 2) ** 2 for u in t],
        ),
        wrong=(
            (
                plain_cosine,
                "This is a sound schedule, but not yet good enough for 16 pixels that say the same."
                " Their mean is what counts: what is the variance of its noise, beside that of one"
                " pixel? So which log-SNR should a pixel have, where one pixel alone would need 0?",
            ),
            (
                lambda t: np.where(t < 0.5, 1 - 0.001 * t, 0.001 * (1 - t)),
                "This jumps: in one step nearly all the noise must be taken away at once. No step "
                "of the walk may do so much; let alpha_bar fall everywhere.",
            ),
            (
                lambda t: 1 - 0.99 * t,
                "This does not end in noise: print my_alpha_bar(np.array([1.0])); it must lie "
                "between 0 and 0.001.",
            ),
            (
                lambda t: np.maximum(1 - 2 * t, 0.0),
                "Somewhere it stays or rises: look at np.diff(my_alpha_bar(np.linspace(0, 1, "
                "241))).",
            ),
            (
                lambda t: 1 - 0.0 * t,
                "It starts clean, but then it does not fall all the way, and it does not end in "
                "noise: draw it.",
            ),
            (
                lambda t: 1.1 * np.cos(t * np.pi / 2) ** 2,
                "This does not start clean: print my_alpha_bar(np.array([0.0])); it must lie "
                "between 0.999 and 1.",
            ),
            (
                lambda t: 7 - 14 * t,
                "It falls, but from where and to where? alpha_bar is a share of the variance, "
                "from 1 (no less than 0.999) to 0 (at most 0.001).",
            ),
            (
                lambda t: np.clip(0.9 - t, 0, 1),
                "It ends in noise, but it neither starts clean nor falls all the way.",
            ),
            (lambda t: t**2, "This runs from noise to clean. Here t = 0 is clean."),
            (
                lambda t: 1e-4 + (0.02 - 1e-4) * t,
                "This neither starts clean, nor falls, nor ends in noise. Is it beta that you "
                "return? alpha_bar is what all the factors 1 - beta up to t leave.",
            ),
            (
                lambda t: np.linspace(1, 0, len(t)),
                "Your answer for a time depends on which other times are in t. Compare "
                "my_alpha_bar(np.array([0.3])) with my_alpha_bar(np.array([0.1, 0.3])): use the "
                "values of t, not how many there are.",
            ),
            (
                lambda t: 0.5,
                "For each entry of the array t one finite number is needed, in the same shape. "
                "(`if` and the functions of math take single numbers only; np.where and the "
                "functions of NumPy take arrays.)",
            ),
        ),
        hints=(
            "The mean of 16 pixels has the signal of one, and noise of a 16th of the variance. At"
            " which end of time does the cosine waste its steps there?",
            "Give each pixel, at every t, a log-SNR such that the mean of 16 has the log-SNR that"
            " the cosine gives to one pixel.",
            "Take the cosine's alpha_bar, make the ratio of its two shares 16 times smaller, and"
            " turn the ratio back into a share of the whole. A curve that falls earlier by eye can"
            " do, too.",
        ),
        inputs=lambda rng: (np.linspace(0, 1, int(rng.integers(5, 9))), int(rng.integers(11, 14))),
        edges=((np.linspace(0, 1, 5), 10), (np.linspace(0, 1, 4), 14)),
        run=judged,
        tries=2,
        minutes=10,
    ),
    Exercise(
        "10.diagnose",
        "Name what is wrong with four chains from their mean, their variance and their end",
        reference=(NAMES[2], NAMES[0], NAMES[3], NAMES[1]),
        alternatives=(
            tuple(name.upper() for name in (NAMES[2], NAMES[0], NAMES[3], NAMES[1])),
            [f" {name.capitalize()} " for name in (NAMES[2], NAMES[0], NAMES[3], NAMES[1])],
            "; ".join((NAMES[2], NAMES[0], NAMES[3], NAMES[1])),
        ),
        choices=NAMES,
        wrong=(
            (
                (NAMES[2], NAMES[1], NAMES[3], NAMES[0]),
                "This takes the two chains that keep the digit for each other. Both end with "
                "signal left, so the pictures cannot tell them apart, but the numbers can: which "
                "of the two has an end that one printed alpha_bar_T explains, and which has lost "
                "almost nothing after a whole chain?",
            ),
            (
                (NAMES[3], NAMES[0], NAMES[2], NAMES[1]),
                "This accuses the chain whose variance stays at 1 and clears the one whose "
                "variance dips. For data of variance 1 a preserving chain must keep it: alpha^2 +"
                " sigma^2 = 1.",
            ),
            (
                (NAMES[2], NAMES[0], NAMES[0], NAMES[1]),
                "This accuses the chain that ends in noise. Look at its alpha^2 in the last "
                "column again: a slow start is a choice of pace, no fault.",
            ),
            (
                (NAMES[3],) * 4,
                "Only one of the four is healthy. Two still show the digit at t = 1, one does not"
                " keep the variance.",
            ),
            (
                (NAMES[1], NAMES[0], NAMES[3], NAMES[2]),
                "One name is for a chain whose alpha^2 and sigma^2 do not add up to 1; you gave "
                "it to one whose sum is 1 in every line.",
            ),
            (
                (NAMES[0], NAMES[2], NAMES[3], NAMES[1]),
                "You say of a chain that its end is not noise, but its alpha^2 is 0.0000 at t = "
                "1. What is odd about its sum half-way?",
            ),
        ),
        hints=(
            "Three numbers tell the four apart: the variance half-way, alpha^2 at the end, and "
            "whether alpha^2 falls as a product of factors 1 - beta would.",
            "One chain has alpha^2 + sigma^2 below 1 half-way. What must be squared to get a "
            "variance was squared once too often there.",
            "Of the two that still show the digit, one ends at 1 - 0.02: that is the last beta "
            "alone, not a product.",
        ),
    ),
    Exercise(
        "10.betas_for",
        "The linear schedule for a chain of any length",
        reference=betas_for,
        alternatives=(
            betas_in_a_loop,
            lambda steps: np.clip(
                (0.1 + 19.9 * np.arange(steps) / (steps - 1)) / steps, None, 0.999
            ),
        ),
        wrong=(
            (
                lambda steps: np.linspace(1e-4, 0.02, steps),
                "This is what you get with the betas of 1000 steps in a chain of another length: "
                "the classic. Multiply (1 - beta) over 50 such steps and see what is left.",
            ),
            (
                lambda steps: np.linspace(1e-4, 0.02, steps) * 1000 / steps,
                "The scale is right, but in the shortest chains a beta reaches 1 or more: there 1"
                " - beta is no variance that can stay. What do Nichol and Dhariwal do with such a"
                " beta?",
            ),
            (
                lambda steps: np.minimum(np.linspace(1e-4, 0.02, steps) * steps / 1000, 0.999),
                "This is scaled the other way round. Fewer steps must add more noise each.",
            ),
            (
                lambda steps: np.minimum(np.linspace(1e-4, 0.02 * 1000 / steps, steps), 0.999),
                "Only the last beta is scaled here, the first belongs to 1000 steps still.",
            ),
            (
                lambda steps: np.minimum(np.linspace(1e-4 * 1000 / steps, 0.02, steps), 0.999),
                "Only the first beta is scaled here, the last belongs to 1000 steps still.",
            ),
            (
                lambda steps: np.minimum(np.linspace(1e-4, 0.02, steps) * 1000 / steps, 1.0),
                "The scale is right. A beta of exactly 1 leaves no signal at all, and alpha_bar "
                "never recovers from a factor 0: the cap asked for is a little lower.",
            ),
            (
                lambda steps: np.minimum(np.linspace(1e-4, 0.02, steps) * 1000 / steps, 0.99),
                "The scale is right, the cap is not the one asked for: count its nines.",
            ),
            (
                lambda steps: np.linspace(
                    1e-4 * 1000 / steps, min(0.02 * 1000 / steps, 0.999), steps
                ),
                "Here the last end is capped first and then the betas are spread below it. That "
                "moves the betas in between too; cap each of them at the end.",
            ),
            (
                lambda steps: np.minimum(np.linspace(1e-4, 0.02, steps + 1) * 1000 / steps, 0.999),
                "One beta a step: steps of them. It is alpha_bar that has one more, for t = 0.",
            ),
            (
                lambda steps: np.minimum(
                    np.linspace(1e-4, 0.02, steps, endpoint=False) * 1000 / steps, 0.999
                ),
                "The last beta of the range is never reached here: the range includes both ends.",
            ),
            (
                lambda steps: np.cumprod(1 - betas_for(steps)),
                "These are the alpha_bars. What was asked for are the betas that they are made of.",
            ),
            (
                lambda steps: 1 - betas_for(steps),
                "These are the factors 1 - beta, the share of the variance that stays. Beta is "
                "what a step replaces.",
            ),
            (
                lambda steps: betas_for(steps)[::-1],
                "These are the right numbers in the wrong order: the forward chain begins with "
                "its smallest beta.",
            ),
            (
                lambda steps: np.full(steps, min(0.01005 * 1000 / steps, 0.999)),
                "These have about the right sum, but they do not grow: each step has the same "
                "beta.",
            ),
            (
                lambda steps: np.linspace(1e-4, 0.02, 1000)[:steps],
                "This is the beginning of the long chain, where almost nothing happens yet, and "
                "then it stops.",
            ),
        ),
        hints=(
            "The logarithm of alpha_bar_T is about minus the sum of the betas. What happens to "
            "that sum with fewer steps?",
            "The sum of evenly spaced numbers is their count times the mean of the two ends. If "
            "there are fewer of them, what must happen to both ends?",
            "Cap at the very end, entry by entry: np.minimum(..., 0.999) keeps every factor 1 - "
            "beta above 0.",
        ),
        inputs=some_steps,
        edges=((3,), (20,), (1000,)),
    ),
)
