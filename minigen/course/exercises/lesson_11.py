"""The checks of lesson 11: DDPM."""

import numpy as np

from minigen.course.exercise import Exercise


def posterior_mean(clean, x, now, after):
    kept = now / after  # 1 - beta
    return (np.sqrt(after) * (1 - kept) * clean + np.sqrt(kept) * (1 - after) * x) / (1 - now)


def posterior_mean_by_coefficients(clean, x, now, after):
    beta = 1 - now / after
    of_clean = np.sqrt(after) * beta / (1 - now)
    of_x = np.sqrt(1 - beta) * (1 - after) / (1 - now)
    return of_clean * clean + of_x * x


@np.errstate(all="ignore")
def posterior_mean_by_precision(clean, x, now, after):
    """Two Gaussians multiplied: precisions add, and weight the two means."""
    kept = now / after
    of_x, of_clean = kept / (1 - kept), 1 / (1 - after)
    return (of_x * x / np.sqrt(kept) + of_clean * np.sqrt(after) * clean) / (of_x + of_clean)


def posterior_mean_by_gain(clean, x, now, after):
    """As in the package: the share of the noise that is fresh."""
    fresh = 1 - now * (1 - after) / ((1 - now) * after)
    return np.sqrt(after) * fresh * clean + np.sqrt(now / after) * (1 - after) / (1 - now) * x


def noise_weight(now, after):
    snr_now, snr_after = now / (1 - now), after / (1 - after)
    return (snr_after - snr_now) / (2 * snr_now)


def noise_weight_of_the_paper(now, after):
    """DDPM eq. 12 with the small variance."""
    beta = 1 - now / after
    variance = beta * (1 - after) / (1 - now)
    return beta**2 / (2 * variance * (1 - beta) * (1 - now))


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


def one_step_beta(now, after, i):
    return 1 - now / after


def beta_of_the_lesson(now, after, i):
    """What the lesson's own beta[i] would give, for another schedule and T = 50."""
    alpha_bar = np.exp(-(0.1 * np.arange(51) / 50 + 9.95 * (np.arange(51) / 50) ** 2))
    return 1 - alpha_bar[i] / alpha_bar[i - 1]


def two_noisy_ends(variance, beta):
    """Beta tilde, which is 0 in the last step, and beta there."""
    return np.sqrt(variance if variance > 1e-12 else beta)


def chain(
    denoise,
    alpha_bar,
    start,
    noises,
    std=None,
    noise_at_the_end=False,
    asked=0,
    noise_order=1,
    noise_shift=0,
    steps=slice(None),
    beta_of=one_step_beta,
):
    """The sampler with room for mistakes: another std, noise in the last step, the denoiser asked
    at i + asked, ...
    """
    x = start
    for i in range(len(alpha_bar) - 1, 0, -1)[steps]:
        now, after = alpha_bar[i], alpha_bar[i - 1]
        beta = beta_of(now, after, i)
        x = (
            np.sqrt(after) * beta * denoise(x, i + asked) + np.sqrt(1 - beta) * (1 - after) * x
        ) / (1 - now)
        variance = beta * (1 - after) / (1 - now)
        spread = np.sqrt(variance) if std is None else std(variance, beta)
        if i > 1 or noise_at_the_end:
            x = x + spread * noises[::noise_order][i + noise_shift]
    return x


def renoised(denoise, alpha_bar, start, noises):
    x = start
    for i in range(len(alpha_bar) - 1, 0, -1):
        x = np.sqrt(alpha_bar[i - 1]) * denoise(x, i) + np.sqrt(1 - alpha_bar[i - 1]) * noises[i]
    return x


def alpha_bar_of_the_lesson(denoise, alpha_bar, start, noises):
    """What `posterior` of the lesson gives: all of it from the notebook's own chain."""
    own = np.exp(-(0.1 * np.arange(51) / 50 + 9.95 * (np.arange(51) / 50) ** 2))
    return chain(denoise, own[: len(alpha_bar)], start, noises)


def sample(denoise, alpha_bar, start, noises):
    x = start
    for i in range(len(alpha_bar) - 1, 0, -1):
        now, after = alpha_bar[i], alpha_bar[i - 1]
        beta = 1 - now / after
        clean = denoise(x, i)
        x = (np.sqrt(after) * beta * clean + np.sqrt(1 - beta) * (1 - after) * x) / (1 - now)
        if i > 1:
            x = x + np.sqrt(beta * (1 - after) / (1 - now)) * noises[i]
    return x


def sample_by_noise_guess(denoise, alpha_bar, start, noises):
    """DDPM's algorithm 2: the mean in terms of the guessed noise."""
    beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
    x = start
    for i in reversed(range(1, len(alpha_bar))):
        b, sigma = beta[i - 1], np.sqrt(1 - alpha_bar[i])
        guess = (x - np.sqrt(alpha_bar[i]) * denoise(x, i)) / sigma
        x = (x - b / sigma * guess) / np.sqrt(1 - b)
        x = (
            x + np.sqrt(b * (1 - alpha_bar[i - 1])) / sigma * noises[i]
        )  # alpha_bar[0] = 1: no noise at the end
    return x


def two_alpha_bars(rng):
    size = rng.integers(1, 5, size=rng.integers(1, 3))
    now = rng.uniform(0.1, 0.6, size=size)
    return now, now + rng.uniform(0.1, 0.9, size=size) * (1 - now)


def one_step(rng):
    now, after = two_alpha_bars(rng)
    return rng.normal(size=now.shape), rng.normal(size=now.shape), now, after


def sampler_inputs(rng, steps=None, size=None):
    steps = int(rng.integers(2, 9)) if steps is None else steps
    size = rng.integers(2, 5, size=rng.integers(1, 4)) if size is None else size
    alpha_bar = np.append(1, np.sort(rng.uniform(0.02, 0.98, size=steps))[::-1])
    return alpha_bar, rng.normal(size=size), rng.normal(size=(steps + 1, *size))


def run_sampler(answer, alpha_bar, start, noises):
    def denoise(x, i):  # bent, so that no step of the walk can be left out
        return np.tanh(2 * np.sqrt(alpha_bar[i]) * x / (1.3 - alpha_bar[i]))

    return answer(denoise, alpha_bar, start, noises)


EXERCISES = (
    Exercise(
        "11.bugs",
        "Three bugs named from plots and numbers",
        reference="231",
        alternatives=(231, "2 3 1", "2,3,1", [2, 3, 1]),
        wrong=(
            (
                "123",
                "In which run does the curve leave the dotted line at once? Which bug acts so "
                "early?",
            ),
            (
                "213",
                "Of the clouds, which is wrong in shape, and which is only blurred at the end?",
            ),
            (
                "321",
                "Which curve jumps at once, and which cloud is blurred though its curve is right?",
            ),
            ("132", "In which runs do the points end where they should, give or take a blur?"),
            ("312", "Noise at the last step cannot bend a curve before its very end."),
        ),
        hints=(
            "One curve leaves the dotted line in the very first step, at i = 50. Which bug acts "
            "only there?",
            "One curve lies on the dotted line all the way; another leaves it well before the "
            "end. See both clouds.",
            "A denoiser that believes in too little noise takes noise for signal; noise at the "
            "end only blurs.",
        ),
        choices=("1", "2", "3"),
    ),
    Exercise(
        "11.posterior_mean",
        "The mean of the way back when the clean thing is known",
        reference=posterior_mean,
        alternatives=(posterior_mean_by_coefficients, posterior_mean_by_gain),
        wrong=(
            (
                posterior_mean_by_precision,
                "Right until the last step: there after is 1, and this divides by 1 - after. "
                "Multiply it out before you compute.",
            ),
            (
                lambda clean, x, now, after: (
                    (after * (1 - now / after) * clean + now / after * (1 - after) * x) / (1 - now)
                ),
                "This is what you get without the square roots: amplitudes go with roots of "
                "alpha_bar and 1 - beta.",
            ),
            (
                lambda clean, x, now, after: (
                    (
                        np.sqrt(after) * (1 - now / after) * x
                        + np.sqrt(now / after) * (1 - after) * clean
                    )
                    / (1 - now)
                ),
                "This is what you get with the two coefficients swapped. Which of them must "
                "vanish when after = 1?",
            ),
            (
                lambda clean, x, now, after: (
                    (np.sqrt(after) * (1 - now) * clean + np.sqrt(now) * (1 - after) * x)
                    / (1 - now)
                ),
                "This is what you get with alpha_bar where one step's 1 - beta belongs. What does"
                " one step keep?",
            ),
            (
                lambda clean, x, now, after: np.sqrt(after) * clean + 0 * x,
                "This is the mean given the clean thing alone. The present x tells something "
                "about the noise as well.",
            ),
            (
                lambda clean, x, now, after: posterior_mean(clean, x, after, now),
                "This takes now for after. Which of the two states is noisier, and has the "
                "smaller alpha_bar?",
            ),
            (
                lambda clean, x, now, after: (
                    (after * (1 - now / after) * clean + np.sqrt(now / after) * (1 - after) * x)
                    / (1 - now)
                ),
                "What stands before x is right. Before clean a root is missing: an amplitude, not"
                " a variance.",
            ),
            (
                lambda clean, x, now, after: (
                    (np.sqrt(after) * (1 - now / after) * clean + now / after * (1 - after) * x)
                    / (1 - now)
                ),
                "What stands before clean is right. Before x a root is missing: an amplitude, not"
                " a variance.",
            ),
            (
                lambda clean, x, now, after: (
                    np.sqrt(after) * clean
                    + np.sqrt((1 - after) / (1 - now)) * (x - np.sqrt(now) * clean)
                ),
                "This keeps all the noise that x holds (the mean of DDIM). Given x, some of it is"
                " likely to be fresh.",
            ),
            (
                lambda clean, x, now, after: (
                    (
                        np.sqrt(after) * (1 - now / after) * clean
                        + np.sqrt(now / after) * (1 - after) * x
                    )
                    / (1 - after)
                ),
                "This divides by the noise at `after`. Step 1 divides by q(x_i | x_0): whose "
                "noise is that?",
            ),
        ),
        hints=(
            "You need beta of this one step. alpha_bar at now is alpha_bar at after, times 1 - "
            "beta.",
            "beta = 1 - now / after; put it into the formula for mu under 'By hand'.",
        ),
        inputs=one_step,
        edges=(
            (np.array([1.0, -2.0]), np.array([0.5, 3.0]), np.array([0.9, 0.5]), np.ones(2)),
            (np.ones(1), -np.ones(1), np.array([1e-5]), np.array([2e-5])),
            (np.ones(3), np.zeros(3), np.array([0.1, 0.4, 0.7]), np.array([0.2, 0.8, 0.9])),
        ),
        forbidden=("minigen.schedules.Schedule.posterior",),
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
            "Steps 4 and 5 of the derivation each give one factor.",
            "SNR = alpha_bar / (1 - alpha_bar). The weight is w / SNR_now.",
        ),
        inputs=two_alpha_bars,
        edges=(
            (np.array([1e-4]), np.array([2e-4])),
            (np.array([[0.2, 0.3, 0.4]]), np.array([[0.3, 0.4, 0.5]])),
            (np.array([0.5, 0.9, 0.98]), np.array([0.75, 0.95, 0.99])),
        ),
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
    Exercise(
        "11.sample",
        "The whole sampler",
        reference=sample,
        alternatives=(sample_by_noise_guess, lambda *arguments: chain(*arguments)),
        wrong=(
            (
                lambda *a: chain(*a, std=two_noisy_ends, noise_at_the_end=True),
                "This adds noise at the last step too, as one of the runs of 'Break it' does. x_0"
                " is the answer: nothing after it could clean it.",
            ),
            (
                lambda *a: chain(
                    *a, std=lambda variance, beta: np.sqrt(beta), noise_at_the_end=True
                ),
                "This adds noise of variance beta in every step, at the last one too. Asked for is "
                "beta tilde; and what is beta tilde in the last step?",
            ),
            (
                lambda *a: chain(*a, std=lambda variance, beta: np.sqrt(beta)),
                "This is what you get with the variance beta. It works too, but asked for here is"
                " beta tilde.",
            ),
            (
                lambda *a: chain(*a, std=lambda variance, beta: variance),
                "This multiplies the noise by the variance; noise of that variance has its root "
                "as standard deviation.",
            ),
            (
                lambda *a: chain(*a, asked=-1),
                "This tells the denoiser i - 1, but x is still at level i when it is asked.",
            ),
            (
                lambda *a: chain(*a, std=lambda variance, beta: 0),
                "This adds no noise at all. Each step draws from a Gaussian; its mean alone is "
                "not a sample.",
            ),
            (
                lambda *a: chain(*a, noise_order=-1),
                "This uses the noises in another order: noises[i] belongs to the step from i to i"
                " - 1.",
            ),
            (
                lambda *a: chain(*a, noise_shift=-1),
                "This uses noises[i - 1] in the step from i to i - 1. Which index does the "
                "exercise give it?",
            ),
            (
                lambda denoise, alpha_bar, start, noises: denoise(start, len(alpha_bar) - 1),
                "This jumps from x_T to the mean at once. A sampler goes back in small steps, and"
                " commits to a little.",
            ),
            (
                lambda *a: chain(*a, steps=slice(None, -1)),
                "This stops at x_1: the step from 1 to 0 is missing. Where does range end?",
            ),
            (
                lambda *a: chain(*a, steps=slice(1, None)),
                "This leaves out the first step, from T to T - 1. How many entries has alpha_bar,"
                " and what is T?",
            ),
            (
                lambda *a: chain(*a, beta_of=lambda now, after, i: 1 - now),
                "This takes 1 - alpha_bar[i] for beta: the noise of all steps up to i. How much "
                "does one step add?",
            ),
            (
                lambda *a: chain(*a, beta_of=beta_of_the_lesson),
                "This uses the lesson's own beta. The check comes with another chain: make beta "
                "from its alpha_bar.",
            ),
            (
                alpha_bar_of_the_lesson,
                "This uses the notebook's alpha_bar, in posterior perhaps. Take alpha_bar from "
                "the argument, beta too.",
            ),
            (
                renoised,
                "This puts all-new noise on the guess. The posterior also keeps a part of x_i: "
                "its mean has two terms.",
            ),
        ),
        hints=(
            "Start from sample_path in 'By hand'; T, alpha_bar, beta and the noise come from the "
            "arguments.",
            "In the step from i to i - 1: beta = 1 - alpha_bar[i] / alpha_bar[i - 1].",
            "Add sqrt(beta tilde) * noises[i] for i > 1 only.",
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
    ),
)
