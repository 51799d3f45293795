"""The checks of lesson 13: DDIM, Heun, guidance; and the three runs whose bugs it asks to name."""

from itertools import pairwise

import numpy as np

from minigen import schedules
from minigen.course.exercise import Exercise

SCHEDULES = (
    schedules.variance_preserving(),
    schedules.cosine(),
    schedules.flow(),
    schedules.variance_exploding(),
)

# -- DDIM ------------------------------------------------------------------------------------------


def ddim_step(schedule, x, clean, now, after):
    noise = (x - schedule.alpha(now) * clean) / schedule.sigma(now)
    return schedule.alpha(after) * clean + schedule.sigma(after) * noise


def ddim_by_ratio(schedule, x, clean, now, after):
    """Shrink x as the noise shrinks; the clean thing makes up for the rest."""
    ratio = schedule.sigma(after) / schedule.sigma(now)
    return ratio * x + (schedule.alpha(after) - ratio * schedule.alpha(now)) * clean


def ddim_by_rows(schedule, x, clean, now, after):
    """In single precision, one example after the other."""
    alpha, sigma = float(schedule.alpha(now)), float(schedule.sigma(now))
    alpha_after, sigma_after = float(schedule.alpha(after)), float(schedule.sigma(after))
    rows = []
    for one, guess in zip(x, clean):
        noise = (one - alpha * guess) / sigma
        rows.append(alpha_after * guess + sigma_after * noise)
    return np.stack(rows)


@np.errstate(all="ignore")
def moved(schedule, x, clean, now, after, alpha=None, sigma=None, noise=None):
    """A step with room for mistakes: another amount of either guess, another guess of noise."""
    if noise is None:
        noise = (x - schedule.alpha(now) * clean) / schedule.sigma(now)
    alpha = schedule.alpha(after) if alpha is None else alpha
    sigma = schedule.sigma(after) if sigma is None else sigma
    return alpha * clean + sigma * noise


@np.errstate(all="ignore")
def divided_by_alpha(schedule, x, clean, now, after):
    """Right wherever there is signal: Euler's step for x / alpha over sigma / alpha."""
    noise = (x - schedule.alpha(now) * clean) / schedule.sigma(now)
    ratio, ratio_after = (schedule.sigma(t) / schedule.alpha(t) for t in (now, after))
    return schedule.alpha(after) * (x / schedule.alpha(now) + (ratio_after - ratio) * noise)


@np.errstate(all="ignore")
def by_roots(schedule, x, clean, now, after):
    """As if schedule.alpha were alpha_bar."""
    alpha, alpha_after = schedule.alpha(now), schedule.alpha(after)
    noise = (x - np.sqrt(alpha) * clean) / np.sqrt(1 - alpha)
    return np.sqrt(alpha_after) * clean + np.sqrt(1 - alpha_after) * noise


@np.errstate(all="ignore")
def if_variance_stays(schedule, x, clean, now, after):
    """Right wherever alpha^2 + sigma^2 = 1."""
    alpha, alpha_after = schedule.alpha(now), schedule.alpha(after)
    noise = (x - alpha * clean) / np.sqrt(1 - alpha**2)
    return alpha_after * clean + np.sqrt(1 - alpha_after**2) * noise


def step_inputs(rng, kind=None, now=None, after=None, dtype=np.float64, size=None):
    kind = int(rng.integers(len(SCHEDULES))) if kind is None else kind
    now = rng.uniform(0.3, 0.95) if now is None else now
    after = now * rng.uniform(0.2, 0.9) if after is None else after
    size = rng.integers(2, 5, size=rng.integers(2, 5)) if size is None else size
    x, clean = rng.normal(size=(2, *size)).astype(dtype)
    return kind, x, clean, now, after


def run_step(answer, kind, x, clean, now, after):
    return answer(SCHEDULES[kind], x, clean, now, after)


# -- Heun ------------------------------------------------------------------------------------------


def heun_step(slope, x, now, after):
    first = slope(x, now)
    ahead = x + (after - now) * first
    if after == 0:
        return ahead
    return x + (after - now) * (first + slope(ahead, after)) / 2


def heun_by_correction(slope, x, now, after):
    """Euler's step, then half of what the slope changed."""
    h, first = after - now, slope(x, now)
    x = x + h * first
    return x if after == 0 else x + h / 2 * (slope(x, after) - first)


def heun_by_two_arrivals(slope, x, now, after):
    """The middle of two arrivals, each with one slope kept all the way."""
    first = slope(x, now)
    one = x - (now - after) * first
    if not after > 0:
        return one
    other = x - (now - after) * slope(one, after)
    return np.mean([one, other], axis=0)


def heun_trial(slope, x, now, after, parts=(0.5, 0.5), told=None, here=False, on="x", last="euler"):
    """Heun's step with room for mistakes: other shares of the two slopes, the second one told
    another time or asked at another place, the correction added to another state.
    """
    h, first = after - now, slope(x, now)
    ahead = x + h * first
    if after == 0 and last != "asks":
        return {"euler": ahead, "stays": x, "half": x + h / 2 * first}[last]
    second = slope(x if here else ahead, after if told is None else told(now, after))
    begin = {"x": x, "ahead": ahead, "nothing": 0}[on]
    return begin + h * (parts[0] * first + parts[1] * second)


def whole_unit(slope, x, now, after):
    h, first = after - now, slope(x, now)
    return x + h * first if after == 0 else x + h * (first + slope(x + first, after)) / 2


def midpoint(slope, x, now, after):
    h = after - now
    return x + h * slope(x + h / 2 * slope(x, now), now + h / 2)


def backwards(slope, x, now, after):
    first = slope(x, now)
    ahead = x + (now - after) * first
    return ahead if after == 0 else x + (now - after) * (first + slope(ahead, after)) / 2


def adds_in_place(slope, x, now, after):
    first = slope(x, now)
    if after == 0:
        x += (after - now) * first
        return x
    ahead = x + (after - now) * first
    x += (after - now) * (first + slope(ahead, after)) / 2
    return x


class AskedTooOften(Exception):
    """Of a step that asks for more slopes than it needs."""


def slope_inputs(rng, now=None, after=None, bend=None, dtype=np.float64):
    now = rng.uniform(0.3, 1) if now is None else now
    after = now * rng.uniform(0.2, 0.9) if after is None else after
    bend = rng.uniform(0.5, 2) if bend is None else bend
    size = rng.integers(2, 5, size=rng.integers(1, 4))
    return bend, rng.normal(size=size).astype(dtype), now, after


def run_slope(answer, bend, x, now, after):
    asked = []

    def slope(x, t):  # bent in x and in t
        asked.append(t)
        if t == 0:
            raise ZeroDivisionError("slope(x, 0): the guess of the noise divides by sigma = 0")
        return np.tanh(bend * x) / (0.2 + t) + t**2 * x

    result = answer(slope, x, now, after)
    if len(asked) > 2:
        raise AskedTooOften(f"slope was asked {len(asked)} times in one step; two will do")
    return result


# -- guidance --------------------------------------------------------------------------------------


def guided(denoise, label, scale):
    def seen(x, t):
        without = denoise(x, t, None)
        return np.clip(without + scale * (denoise(x, t, label) - without), -1, 1)

    return seen


def guided_by_shares(denoise, label, scale):
    def seen(x, t):
        pair = np.stack([denoise(x, t, label), denoise(x, t, None)])
        return np.minimum(1, np.maximum(-1, np.tensordot([scale, 1 - scale], pair, axes=1)))

    return seen


def guided_from_the_label(denoise, label, scale):
    """From the guess with the label on, as Ho & Salimans write it, with their w = scale - 1."""
    return lambda x, t: np.clip(
        (1 + (scale - 1)) * denoise(x, t, label) - (scale - 1) * denoise(x, t, None), -1, 1
    )


def guided_trial(denoise, label, scale, mix, clip=True):
    def seen(x, t):
        guess = mix(denoise(x, t, None), denoise(x, t, label), scale, x)
        return np.clip(guess, -1, 1) if clip else guess

    return seen


def line(without, told, scale, x):
    return without + scale * (told - without)


def guidance_inputs(rng, scale=None, strength=None):
    scale = rng.choice([0.0, 0.5, 2.0, 3.0, 5.0]) if scale is None else scale
    strength = rng.uniform(0.3, 1.5) if strength is None else strength
    size = rng.integers(2, 5, size=rng.integers(1, 4))
    label = rng.integers(0, 10, size=size[0])
    return strength, rng.normal(size=size), rng.uniform(0.1, 1), label, scale


def run_guidance(answer, strength, x, t, label, scale):
    def denoise(x, t, label):  # a guess inside [-1, 1]; each label pulls to another side
        pull = 0 if label is None else 2 * np.cos(1.7 * label + 0.3)
        pull = np.reshape(pull, (-1, *(1,) * (x.ndim - 1)))
        return np.tanh(strength * (x + pull) / (0.3 + t))

    seen = answer(denoise, label, scale)
    return None if seen is None else np.stack([seen(x, t), seen(-x, t / 2)])


# -- inpainting ------------------------------------------------------------------------------------


def put_back(schedule, x, after, known, mask, noise):
    return np.where(mask, schedule.alpha(after) * known + schedule.sigma(after) * noise, x)


def put_back_by_shares(schedule, x, after, known, mask, noise):
    noisy = schedule.noisy(known, noise, after)
    return mask * noisy + (1 - mask) * x


def put_back_by_index(schedule, x, after, known, mask, noise):
    x = x.copy()
    here = np.broadcast_to(mask, x.shape)
    x[here] = schedule.alpha(after) * known[here] + schedule.sigma(after) * noise[here]
    return x


def overwritten(schedule, x, after, known, mask, noise):
    here = np.broadcast_to(mask, x.shape)
    x[here] = schedule.noisy(known, noise, after)[here]
    return x


def known_inputs(rng, kind=None, after=None, dtype=np.float64):
    kind = int(rng.integers(len(SCHEDULES))) if kind is None else kind
    after = rng.uniform(0.1, 0.95) if after is None else after
    size = rng.integers(2, 6, size=rng.integers(2, 5))
    x, known, noise = rng.normal(size=(3, *size)).astype(dtype)
    mask = rng.random(size[-2:]) < 0.5
    mask.flat[:2] = True, False
    return kind, x, after, known, mask, noise


def run_put_back(answer, kind, x, after, known, mask, noise):
    return answer(SCHEDULES[kind], x, after, known, mask, noise)


# -- Break it: three runs, each with one bug -------------------------------------------------------

BUGS = {"A": "not reduced", "B": "root", "C": "eta"}
NUMBERED = ("root", "not reduced", "eta", "clean")  # as in the lesson's list
ANSWER = "".join(str(1 + NUMBERED.index(bug)) for bug in BUGS.values())


def faulty_path(run, denoise, schedule, start, times, eta, rng):
    """All states (len(times), *start.shape) of DDIM with eta: of run "A", "B" or "C", which have
    one bug each, or of "right". denoise(x, t) gives the clean thing.
    """
    bug, path = BUGS.get(run), [start]
    for now, after in pairwise(times):
        x, clean = path[-1], denoise(path[-1], now)
        variance = schedule.fresh_noise(now, after) * schedule.sigma(after) ** 2
        fresh, all_of_it = eta * np.sqrt(variance), schedule.sigma(after) ** 2
        taken = {"not reduced": 0, "eta": eta * variance}.get(bug, fresh**2)
        old = all_of_it - taken if bug == "root" else np.sqrt(all_of_it - taken)
        alpha = schedule.alpha_bar(after) if bug == "clean" else schedule.alpha(after)
        noise = (x - schedule.alpha(now) * clean) / schedule.sigma(now)
        path.append(alpha * clean + old * noise + fresh * rng.standard_normal(x.shape))
    return np.array(path)


EXERCISES = (
    Exercise(
        "13.ddim_step",
        "One step of DDIM",
        reference=ddim_step,
        alternatives=(ddim_by_ratio, ddim_by_rows),
        wrong=(
            (
                lambda s, x, clean, now, after: moved(s, x, clean, now, after, sigma=s.sigma(now)),
                "The new state holds as much noise as the old one. How much belongs to `after`?",
            ),
            (
                lambda s, x, clean, now, after: moved(s, x, clean, now, after, alpha=s.alpha(now)),
                "The clean guess is counted as at `now`. How strong is the signal at `after`?",
            ),
            (
                lambda s, x, clean, now, after: moved(
                    s, x, clean, now, after, noise=x - s.alpha(now) * clean
                ),
                "What is left when the clean part is taken off x is sigma times the noise, not "
                "the noise itself: how long is the dashed arrow in the picture for a noise of 1?",
            ),
            (
                lambda s, x, clean, now, after: moved(
                    s, x, clean, now, after, noise=(x - clean) / s.sigma(now)
                ),
                "x holds the clean thing only in part. By what was it multiplied?",
            ),
            (
                lambda s, x, clean, now, after: moved(s, x, clean, now, after, noise=x),
                "This takes all of x for noise. Part of x is signal.",
            ),
            (
                lambda s, x, clean, now, after: moved(
                    s, x, clean, now, after, sigma=s.sigma(after) ** 2
                ),
                "The noise is multiplied by its variance. By what is a standard normal number "
                "multiplied to have it?",
            ),
            (
                lambda s, x, clean, now, after: moved(
                    s, x, clean, now, after, alpha=s.alpha_bar(after)
                ),
                "The clean guess is multiplied by alpha_bar. Which root is missing?",
            ),
            (
                lambda s, x, clean, now, after: moved(
                    s, x, clean, now, after, alpha=s.alpha(now), sigma=s.sigma(now)
                ),
                "This takes x apart and puts it together again as it was: no step is made.",
            ),
            (
                lambda s, x, clean, now, after: moved(
                    s, x, clean, now, after, noise=np.random.default_rng(0).standard_normal(x.shape)
                ),
                "This puts fresh noise on the clean guess. In the picture both dashed arrows "
                "have one direction: which noise is it?",
            ),
            (
                lambda s, x, clean, now, after: x + (now - after) / now * (clean - x),
                "This goes straight towards the clean guess. In the picture the new state lies on "
                "no line between x and the guess: what two arrows is it made of?",
            ),
            (
                lambda s, x, clean, now, after: moved(s, x, clean, after, now),
                "now and after have changed places: x is the state at `now`.",
            ),
            (
                lambda s, x, clean, now, after: clean,
                "This jumps to the clean guess at once. Only the last step, to t = 0, ends there.",
            ),
            (
                lambda s, x, clean, now, after: s.posterior(clean, x, now, after)[0],
                "This is the mean of the ancestral step, without its noise. DDIM keeps all of "
                "the noise that belongs to `after`, as the picture shows.",
            ),
            (
                divided_by_alpha,
                "Right, but for a schedule that ends without signal: there alpha(1) is 0, and you "
                "divide by it. Which of the two amounts is never 0 at `now`?",
            ),
            (
                lambda s, x, clean, now, after: moved(
                    s, x, clean, now, after, sigma=1 - s.alpha(after)
                ),
                "1 - alpha is not sigma. The schedule knows both amounts.",
            ),
            (
                by_roots,
                "Roots are taken here, as of alpha_bar. What does alpha(t) itself multiply in the "
                "formula at the top of the lesson?",
            ),
            (
                if_variance_stays,
                "Right, but only where alpha^2 + sigma^2 = 1. Does every schedule of lesson 10 "
                "keep that?",
            ),
            (
                lambda s, x, clean, now, after: moved(s, x, clean, now, after, alpha=0, sigma=1),
                "This is the guess of the noise. How is a state made of it and the clean guess?",
            ),
        ),
        hints=(
            "x = alpha(now) clean + sigma(now) noise. You know all but one.",
            "Solve that for the noise. Then put the same two things together again, as much of "
            "each as belongs to `after`.",
        ),
        inputs=step_inputs,
        edges=(
            step_inputs(np.random.default_rng(1), 0, after=0.0),
            step_inputs(np.random.default_rng(2), 2, now=1.0),
            step_inputs(np.random.default_rng(3), 1, 1.0, 0.5, np.float32, (3, 1, 4, 4)),
        ),
        run=run_step,
        forbidden=("minigen.sampling.ddim", "minigen.sampling.gaussian.noise_in"),
    ),
    Exercise(
        "13.heun_step",
        "One step of Heun's",
        reference=heun_step,
        alternatives=(heun_by_correction, heun_by_two_arrivals),
        wrong=(
            (
                lambda slope, x, now, after: x + (after - now) * slope(x, now),
                "This is Euler's step: it never looks at the slope where it arrives.",
            ),
            (
                lambda *a: heun_trial(*a, last="asks"),
                "Right, until the step ends at t = 0. What is the best you can do with the only "
                "slope that exists there?",
            ),
            (
                midpoint,
                "This looks at the slope halfway. Second order too, but asked for is a look at "
                "the end of the step.",
            ),
            (
                lambda *a: heun_trial(*a, parts=(0, 1)),
                "This goes with the slope at the end alone. Asked for is the mean of both.",
            ),
            (
                lambda *a: heun_trial(*a, parts=(1, 1)),
                "This goes along both slopes, one after the other: twice as far. The mean is "
                "asked for.",
            ),
            (
                lambda *a: heun_trial(*a, told=lambda now, after: now),
                "The second slope is asked at the place of arrival, but told the time of "
                "departure.",
            ),
            (
                lambda *a: heun_trial(*a, here=True),
                "The second slope is told the time of arrival, but asked at the place of "
                "departure.",
            ),
            (
                lambda *a: heun_trial(*a, on="ahead"),
                "The mean slope starts where the trial step has arrived. Where does the step "
                "itself begin?",
            ),
            (backwards, "The step goes the wrong way: t falls, so what sign has the change of t?"),
            (
                lambda *a: heun_trial(*a, last="stays"),
                "Right, but the last step, to t = 0, does not move. There is one slope you can "
                "use.",
            ),
            (
                lambda *a: heun_trial(*a, last="half"),
                "Right, but the last step, to t = 0, goes only half the way.",
            ),
            (
                lambda *a: heun_trial(*a, on="nothing"),
                "This is the change of x in the step. Where does the step begin?",
            ),
            (
                whole_unit,
                "The look ahead goes along the slope for a whole unit of time. How long is this "
                "step?",
            ),
            (adds_in_place, "Does a += write into x? The walk keeps its states: make a new array."),
        ),
        hints=(
            "Three lines: the slope here; the place that it leads to; the slope there.",
            "The change of t is after - now, a negative number. The step starts from x, with the "
            "mean of both slopes.",
            "If after == 0, give back the place that the first slope leads to.",
        ),
        inputs=slope_inputs,
        edges=(
            slope_inputs(np.random.default_rng(4), 0.1, 0.0, 1.0),
            slope_inputs(np.random.default_rng(5), 1.0, 0.0, 0.7),
            slope_inputs(np.random.default_rng(6), 1.0, 0.5, 2.0, np.float32),
        ),
        run=run_slope,
        forbidden=("minigen.sampling.heun",),
    ),
    Exercise(
        "13.guided",
        "Guidance",
        reference=guided,
        alternatives=(guided_by_shares, guided_from_the_label),
        wrong=(
            (
                lambda *a: guided_trial(*a, mix=line, clip=False),
                "The line is right, but the guess leaves the range of pixels.",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: c + w * (c - u)),
                "Here a scale of 0 obeys the label (the paper counts like this). Ours obeys it "
                "at 1.",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: c + w * (u - c)),
                "Here a scale of 1 ignores the label, and more leads away from it.",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: w * c),
                "This multiplies the guess with the label. What does the guess without it do?",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: u + w * c),
                "At a scale of 1 this is the sum of both guesses. Should it not be the guess "
                "with the label?",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: w * (c - u)),
                "At a scale of 0 this is 0. Should it not be the guess without the label?",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: x + w * (c - x)),
                "The line goes through x and the guess with the label. Between which two guesses "
                "should it go?",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: c),
                "The scale has no effect here.",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: (u + w * c) / (1 + w)),
                "This is a weighted mean: it never goes beyond the guess with the label.",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: u + np.clip(w, 0, 1) * (c - u)),
                "The scale is cut at 1. More than 1 should go beyond.",
            ),
            (
                lambda *a: guided_trial(*a, mix=lambda u, c, w, x: u - w * (c - u)),
                "A larger scale leads away from the label.",
            ),
        ),
        hints=(
            "Ask twice, once with the label and once with None.",
            "A line through two points: start at the first, go `scale` times the way to the "
            "second. np.clip keeps pixels in their range.",
        ),
        inputs=guidance_inputs,
        edges=(
            guidance_inputs(np.random.default_rng(7), 0.0, 1.0),
            guidance_inputs(np.random.default_rng(8), 1.0, 0.5),
            guidance_inputs(np.random.default_rng(9), 8.0, 1.2),
        ),
        run=run_guidance,
        forbidden=("minigen.sampling.guidance",),
    ),
    Exercise(
        "13.bugs",
        "Three bugs named from plots and numbers",
        reference=ANSWER,
        alternatives=(int(ANSWER), " ".join(ANSWER), ",".join(ANSWER), list(ANSWER)),
        wrong=(
            ("123", "Which run is right wherever eta is 0, and which never is?"),
            ("132", "Which of the bugs must show at eta = 0?"),
            ("312", "Which of the bugs can show at eta = 0.5, but at eta = 1 no more?"),
            (
                "321",
                "Of the curves at eta = 1, which rises? Is there too much noise or too little?",
            ),
            ("231", "Which of the bugs must show at eta = 0? Which run does?"),
            (
                "243",
                "Where the walk begins, alpha is near 0 and the clean guess hardly counts. Look "
                "at the first steps of the curves at eta = 1.",
            ),
            ("423", "Which of the bugs must show at eta = 0? Is it right there?"),
            ("214", "One run is right at eta = 0 and again at eta = 1. Which bug vanishes there?"),
        ),
        hints=(
            "For each bug in the list, put eta = 0 into it, and then eta = 1. Is anything wrong "
            "left?",
            "Two bugs remain that are wrong at every eta. One of them takes noise away, the other "
            "signal: which of these is in the state when the walk begins?",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
    ),
    Exercise(
        "13.put_back",
        "Known pixels",
        reference=put_back,
        alternatives=(put_back_by_shares, put_back_by_index),
        wrong=(
            (
                lambda s, x, after, known, mask, noise: np.where(mask, known, x),
                "The known pixels come back clean, into a state that is noisy. How noisy is x at "
                "`after`?",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(
                    mask, x, s.alpha(after) * known + s.sigma(after) * noise
                ),
                "The pixels that are to be invented were put back; mask is true where they are "
                "known.",
            ),
            (
                lambda s, x, after, known, mask, noise: (
                    s.alpha(after) * known + s.sigma(after) * noise
                ),
                "All pixels are put back. What did the sampler make of the others?",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(
                    mask, known + s.sigma(after) * noise, x
                ),
                "The noise is right, but the signal is not as weak as at `after`.",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(mask, s.alpha(after) * known, x),
                "The signal is as weak as at `after`, but where is the noise?",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(
                    mask, s.alpha(after) * known + s.sigma(after) ** 2 * noise, x
                ),
                "The noise is multiplied by its variance.",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(
                    mask, s.alpha_bar(after) * known + s.sigma(after) * noise, x
                ),
                "The signal is multiplied by alpha_bar. Which root is missing?",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(
                    mask, s.alpha(after) * known + s.sigma(after) * x, x
                ),
                "Here the state stands in for the noise. An argument is left over.",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(mask, known + noise, x),
                "Clean pixels and noise in full strength: that is the mixture of no `after`.",
            ),
            (
                lambda s, x, after, known, mask, noise: (
                    np.where(mask, s.alpha(after) * known, x) + s.sigma(after) * noise
                ),
                "Noise comes to all pixels. Do those that the sampler made need more of it?",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(
                    mask,
                    s.noisy(known, np.random.default_rng(0).standard_normal(x.shape), after),
                    x,
                ),
                "As noisy as it should be, but with noise of its own. An argument is left over.",
            ),
            (
                lambda s, x, after, known, mask, noise: np.where(
                    mask, (1 - after) * known + after * noise, x
                ),
                "This is the mixture of one schedule only. Which two amounts does the schedule "
                "that was handed in give at `after`?",
            ),
            (overwritten, "Right, but it writes into x: the walk keeps its states."),
        ),
        hints=(
            "Which state would the known pixels have at `after`, in the forward chain?",
            "np.where(mask, a, b) takes a where mask is true, and b elsewhere.",
        ),
        inputs=known_inputs,
        edges=(
            known_inputs(np.random.default_rng(10), 0, 0.0),
            known_inputs(np.random.default_rng(11), 2, 1.0),
            known_inputs(np.random.default_rng(12), 1, 0.5, np.float32),
        ),
        run=run_put_back,
        forbidden=("minigen.sampling.inpaint",),
        minutes=3,
    ),
)
