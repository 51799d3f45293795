"""The checks of lesson 10: noise schedules; and the four chains that the lesson asks to diagnose."""

import math

import numpy as np

from minigen.course.exercise import Exercise

# -- Break it: four chains, built as beginners build them; one of them is healthy --------------------------------------

NAMES = ("end is not noise", "beta for alpha_bar", "variance for standard deviation", "healthy")


def coefficients(chain: str, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What chain "A", "B", "C" or "D" multiplies the clean signal and the noise by, at times t in [0, 1]."""
    t = np.asarray(t, dtype=np.float64)
    steps = 50 if chain == "B" else 1000
    beta = np.linspace(1e-4, 0.02, steps)
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - beta)])[np.round(t * steps).astype(int)]
    if chain == "A":
        return np.sqrt(alpha_bar), 1 - alpha_bar
    if chain == "C":
        alpha_bar = np.maximum(np.cos((t + 0.008) / 1.008 * np.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2), 0) ** 2
    if chain == "D":
        alpha_bar = 1 - np.concatenate([[0.0], beta])[np.round(t * steps).astype(int)]
    return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)


# -- the exercises -----------------------------------------------------------------------------------------------------


def log_snr(alpha_bar):
    return np.log(alpha_bar / (1 - alpha_bar))


def betas_for(steps):
    beta_start, beta_end = 1e-4 * 1000 / steps, 0.02 * 1000 / steps
    return np.minimum(np.linspace(beta_start, beta_end, steps), 0.999)


def betas_in_a_loop(steps):
    betas = []
    for i in range(steps):
        betas.append(min(0.999, (0.1 + (20 - 0.1) * i / (steps - 1)) / steps))
    return np.array(betas)


def largest_alpha_bar(mean, std, error):
    ratio = (error / mean) ** 2
    return ratio / (std**2 + ratio * (1 - std**2))


def largest_by_bisection(mean, std, error):
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        off = mean * math.sqrt(middle) * std / math.sqrt(middle * std**2 + 1 - middle)
        low, high = (middle, high) if off < error else (low, middle)
    return low


def largest_by_snr(mean, std, error):
    snr = 1 / (std**2 * ((mean / error) ** 2 - 1))  # error / mean = std / sqrt(std^2 + 1 / snr)
    return snr / (1 + snr)


MEANS, WEIGHTS, STD = np.array([-1.0, 0.7]), np.array([0.35, 0.65]), 0.3  # the two heaps of the lesson


def walk_error(alpha_bar, steps: int) -> float:
    """Root mean square distance between DDIM in a few steps and in 600, with the exact denoiser of the two heaps."""
    start = np.random.default_rng(0).standard_normal(200)

    def run(n: int) -> np.ndarray:
        signal = np.asarray(alpha_bar(np.arange(n + 1) / n), dtype=np.float64)
        alpha, sigma = np.sqrt(signal), np.sqrt(1 - signal)
        x = start
        for k in range(n, 0, -1):
            variance = (alpha[k] * STD) ** 2 + sigma[k] ** 2
            offset = x[:, None] - alpha[k] * MEANS
            weight = WEIGHTS * np.exp(-(offset**2) / (2 * variance))
            weight = weight / weight.sum(1, keepdims=True)
            clean = (weight * (MEANS + alpha[k] * STD**2 / variance * offset)).sum(1)
            x = alpha[k - 1] * clean + sigma[k - 1] * (x - alpha[k] * clean) / sigma[k]
        return x

    return float(np.sqrt(np.mean((run(steps) - run(600)) ** 2)))


def linear_in_time(t):
    """The linear schedule's alpha_bar for a chain of 1000 steps."""
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))])
    return np.interp(np.asarray(t) * 1000, np.arange(1001), alpha_bar)


def judged(answer, steps: int) -> tuple:
    """Whether a schedule starts clean, only falls, ends in noise, and beats the linear one in `steps` steps."""
    t = np.linspace(0, 1, 241)
    signal = np.asarray(answer(t), dtype=np.float64)
    if signal.shape != t.shape or not np.isfinite(signal).all():
        return (f"an array of shape {t.shape} with finite numbers is needed, got shape {signal.shape}",)
    sound = bool(signal[0] >= 0.999), bool((np.diff(signal) < 0).all()), bool(0 <= signal[-1] <= 1e-3)
    better = all(sound) and signal[0] <= 1 and walk_error(answer, steps) < walk_error(linear_in_time, steps)
    return (*sound, bool(better), steps)


def my_alpha_bar(t):
    return np.cos(t * 0.999 * np.pi / 2) ** 2


EXERCISES = (
    Exercise(
        "10.diagnose",
        "Name what is wrong with four chains from their mean, their variance and their end",
        reference=(NAMES[2], NAMES[0], NAMES[3], NAMES[1]),
        alternatives=(
            tuple(name.upper() for name in (NAMES[2], NAMES[0], NAMES[3], NAMES[1])),
            tuple(f" {name.capitalize()} " for name in (NAMES[2], NAMES[0], NAMES[3], NAMES[1])),
        ),
        wrong=(
            (
                (NAMES[2], NAMES[1], NAMES[3], NAMES[0]),
                "This takes the two chains that keep the digit for each other. Both end with signal left, so the "
                "pictures cannot tell them apart, but the numbers can: which of the two has an end that one "
                "printed alpha_bar_T explains, and which has lost almost nothing after a whole chain?",
            ),
            (
                (NAMES[3], NAMES[0], NAMES[2], NAMES[1]),
                "This accuses the chain whose variance stays at 1 and clears the one whose variance dips. For "
                "data of variance 1 a preserving chain must keep it: alpha^2 + sigma^2 = 1.",
            ),
            (
                (NAMES[2], NAMES[0], NAMES[0], NAMES[1]),
                "This accuses the chain that ends in noise. Look at its alpha^2 in the last column again: a slow "
                "start is a choice of pace, no fault.",
            ),
        ),
        hints=(
            "Three numbers tell the four apart: the variance half-way, alpha^2 at the end, and whether alpha^2 "
            "falls as a product of factors 1 - beta would.",
            "One chain has alpha^2 + sigma^2 below 1 half-way. What must be squared to get a variance was squared"
            " once too often there.",
            "Of the two that still show the digit, one ends at 1 - 0.02: that is the last beta alone, not a product.",
        ),
    ),
    Exercise(
        "10.log_snr",
        "The log-SNR of a variance-preserving schedule from alpha_bar",
        reference=log_snr,
        alternatives=(
            lambda alpha_bar: np.log(alpha_bar) - np.log1p(-alpha_bar),
            lambda alpha_bar: 2 * np.log(np.sqrt(alpha_bar) / np.sqrt(1 - alpha_bar)),
            lambda alpha_bar: -np.log(1 / alpha_bar - 1),
        ),
        wrong=(
            (
                lambda alpha_bar: np.log(alpha_bar),
                "This is the logarithm of the signal's share of the whole. The ratio asked for is signal to "
                "noise: what is the noise's variance here?",
            ),
            (
                lambda alpha_bar: 0.5 * np.log(alpha_bar / (1 - alpha_bar)),
                "This is the ratio of the amplitudes, alpha / sigma. The SNR is a ratio of variances.",
            ),
            (
                lambda alpha_bar: np.log((1 - alpha_bar) / alpha_bar),
                "This is noise to signal: it rises from clean to noise, and the log-SNR falls.",
            ),
            (
                lambda alpha_bar: 10 * np.log10(alpha_bar / (1 - alpha_bar)),
                "This is in decibels. The package and the papers use the natural logarithm.",
            ),
            (
                lambda alpha_bar: np.log(np.sqrt(alpha_bar) / (1 - alpha_bar)),
                "This divides an amplitude by a variance: alpha_bar is already alpha squared.",
            ),
        ),
        hints=(
            "x_t = alpha clean + sigma noise. Which variance does each of the two terms have, for data of variance 1?",
            "alpha_bar is alpha^2, and a preserving schedule has sigma^2 = 1 - alpha_bar.",
        ),
        inputs=lambda rng: (rng.uniform(0.01, 0.99, size=6),),
        forbidden=("minigen.schedules.Schedule.log_snr",),
    ),
    Exercise(
        "10.betas_for",
        "The linear schedule for a chain of any length",
        reference=betas_for,
        alternatives=(
            betas_in_a_loop,
            lambda steps: np.clip((0.1 + 19.9 * np.arange(steps) / (steps - 1)) / steps, None, 0.999),
        ),
        wrong=(
            (
                lambda steps: np.linspace(1e-4, 0.02, steps),
                "This is what you get with the betas of 1000 steps in a chain of another length: the classic. "
                "Multiply (1 - beta) over 50 such steps and see what is left.",
            ),
            (
                lambda steps: np.linspace(1e-4, 0.02, steps) * 1000 / steps,
                "The scale is right, but in the shortest chains a beta reaches 1 or more: there 1 - beta is no "
                "variance that can stay. What do Nichol and Dhariwal do with such a beta?",
            ),
            (
                lambda steps: np.minimum(np.linspace(1e-4, 0.02, steps) * steps / 1000, 0.999),
                "This is scaled the other way round. Fewer steps must add more noise each.",
            ),
            (
                lambda steps: np.minimum(np.linspace(1e-4, 0.02 * 1000 / steps, steps), 0.999),
                "Only the last beta is scaled here, the first belongs to 1000 steps still.",
            ),
        ),
        hints=(
            "The logarithm of alpha_bar_T is about minus the sum of the betas. What happens to that sum with "
            "fewer steps?",
            "Multiply both ends by 1000 / steps.",
            "np.minimum(..., 0.999) keeps every factor 1 - beta above 0.",
        ),
        inputs=lambda rng: (int(rng.integers(8, 20)), int(rng.integers(40, 400))),
        run=lambda answer, few, many: (answer(few), answer(many)),
    ),
    Exercise(
        "10.largest_alpha_bar",
        "How much signal may be left at the end for a given error of the mean",
        reference=largest_alpha_bar,
        alternatives=(largest_by_bisection, largest_by_snr),
        wrong=(
            (
                lambda mean, std, error: (error / mean) ** 2,
                "This asks that the mean of x_T itself, alpha_T times the mean, be small. The walk back changes "
                "it: the shift is multiplied by std / sqrt(alpha_bar std^2 + sigma^2) on the way.",
            ),
            (
                lambda mean, std, error: math.sqrt(largest_alpha_bar(mean, std, error)),
                "This is alpha; alpha_bar is its square.",
            ),
            (
                lambda mean, std, error: (error / (mean * std)) ** 2,
                "This takes the standard deviation of x_T to be 1. It is sqrt(alpha_bar std^2 + 1 - alpha_bar): "
                "the two agree only for a small alpha_bar.",
            ),
            (
                lambda mean, std, error: 1 - largest_alpha_bar(mean, std, error),
                "This is the share of the noise; the signal's was asked for.",
            ),
        ),
        hints=(
            "Start from the mean of the samples above: how far is it from the true mean? Set that equal to error.",
            "Square both sides: only alpha_bar is left, and it stands in a fraction of two linear expressions.",
            "With r = (error / mean)^2:  alpha_bar std^2 = r (alpha_bar std^2 + 1 - alpha_bar). Solve for alpha_bar.",
        ),
        inputs=lambda rng: (rng.uniform(1, 4), rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.5)),
        tolerance=1e-6,
    ),
    Exercise(
        "10.schedule",
        "A schedule of your own that needs fewer steps than the linear one",
        reference=my_alpha_bar,
        alternatives=(
            lambda t: 1 / (1 + np.exp(14.4 * (np.asarray(t) - 0.5))),
            lambda t: (1 - 0.999 * t) ** 2 / ((1 - 0.999 * t) ** 2 + (0.999 * t) ** 2),
            lambda t: np.exp(-0.05 * t - 8 * t**4),
        ),
        wrong=(
            (
                lambda t: np.exp(-t / 2),
                "This starts clean and falls, but does not end in noise: 0.6 of the variance is still signal at t = 1.",
            ),
            (lambda t: 1 - np.asarray(t) * 0.0, "This adds no noise at all: it has to fall."),
            (
                lambda t: np.maximum(1 - 2 * np.asarray(t), 0.0),
                "This has reached 0 half-way, and stays there. From then on every step starts where no signal is.",
            ),
            (
                linear_in_time,
                "This is a sound schedule, but in so few steps no better than the linear one. Where along t did the "
                "linear one make its errors, and where does it spend steps for nothing?",
            ),
            (lambda t: np.asarray(t) ** 2, "This runs from noise to clean. Here t = 0 is clean."),
        ),
        hints=(
            "Four things are judged: alpha_bar(0) at least 0.999; strictly falling; alpha_bar(1) between 0 and "
            "0.001; and the error of 10 to 14 DDIM steps with the exact denoiser of the two heaps, which must be "
            "below the linear one's.",
            "Think of the angle: alpha = cos(angle), sigma = sin(angle). At which pace should the angle grow?",
            "A sigmoid of a falling log-SNR works too: alpha_bar = 1 / (1 + exp(-log_snr)).",
        ),
        inputs=lambda rng: (int(rng.integers(10, 15)),),
        run=judged,
        tries=3,
    ),
)
