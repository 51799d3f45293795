"""The checks of lesson 12: score matching; and the three walks whose bugs the lesson asks to
name.
"""

import numpy as np

from minigen.course.exercise import Exercise

# -- the average target of denoising score matching ------------------------------------------------


def average_target(x, points, weights, sigma):
    squared = ((x[:, None] - points) ** 2).sum(axis=2)
    logs = np.log(weights) - squared / (2 * sigma**2)
    chance = np.exp(logs - logs.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    return (chance @ points - x) / sigma**2


def average_target_by_loops(x, points, weights, sigma):
    rows = []
    for one in x:
        logs = [
            np.log(w) - ((one - p) ** 2).sum() / (2 * sigma**2) for w, p in zip(weights, points)
        ]
        chance = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
        rows.append(sum(c * (p - one) / sigma**2 for c, p in zip(chance, points)))
    return np.array(rows)


def average_target_by_odds(x, points, weights, sigma):
    """Each point's chance is 1 over the sum of the others' odds against it."""
    pull = (points - x[:, None]) / sigma**2
    logs = np.log(weights) - ((points - x[:, None]) ** 2).sum(-1) / (2 * sigma**2)
    with np.errstate(over="ignore"):
        chance = 1 / np.exp(logs[:, None, :] - logs[:, :, None]).sum(axis=2)
    return np.einsum("bk,bkd->bd", chance, pull)


@np.errstate(all="ignore")
def target_trial(
    x, points, weights, sigma, prior=np.log, distance=lambda x, p: ((x[:, None] - p) ** 2).sum(-1),
    width=lambda sigma: 2 * sigma**2, safe=True, axis=1, normalised=True, hard=False,
    arrow=lambda clean, x, sigma: (clean - x) / sigma**2,
):  # fmt: skip
    """The average target with room for mistakes: what stands for the weights, the exponent, the
    axis of the sum to 1, and what is made of the mean clean point.
    """
    logs = prior(weights) - distance(x, points) / width(sigma)
    if safe and normalised:
        logs = logs - logs.max(axis=axis, keepdims=True)
    chance = np.exp(logs)
    if hard:
        chance = (logs == logs.max(axis=1, keepdims=True)).astype(float)
    if normalised:
        chance = chance / chance.sum(axis=axis, keepdims=True)
    if not normalised:
        arrows = (points - x[:, None]) / sigma**2
        return (chance[:, :, None] * arrows).sum(axis=1)
    return arrow(chance @ points, x, sigma)


def target_by_coordinate(x, points, weights, sigma):
    columns = zip(x.T, points.T)
    return np.hstack([average_target(a[:, None], p[:, None], weights, sigma) for a, p in columns])


def points_of(rng, size=None, sigma=None):
    B, K, D = rng.integers(2, 7, size=3) if size is None else size
    points = rng.normal(size=(K, D))
    sigma = rng.uniform(0.4, 1.5) if sigma is None else sigma
    x = points[rng.integers(K, size=B)] + sigma * rng.normal(size=(B, D))
    return x, points, rng.dirichlet(np.full(K, 2.0)), sigma


# -- Langevin steps --------------------------------------------------------------------------------


def langevin(score, start, sizes, noises):
    path = [start]
    for k, h in enumerate(sizes):
        path.append(path[-1] + h * score(path[-1], k) + np.sqrt(2 * h) * noises[k])
    return np.array(path)


def langevin_in_place(score, start, sizes, noises):
    path = np.empty((len(sizes) + 1, *start.shape))
    path[0] = start
    for k in range(len(sizes)):
        path[k + 1] = path[k] + sizes[k] * score(path[k], k)
        path[k + 1] += noises[k] * (2 * sizes[k]) ** 0.5
    return path


def langevin_as_list(score, start, sizes, noises):
    def step(x, k):
        h = sizes[k]
        return x + h * (score(x, k) + (2 / h) ** 0.5 * noises[k])

    path = [start]
    while len(path) <= len(sizes):
        path += [step(path[-1], len(path) - 1)]
    return path


def langevin_trial(
    score, start, sizes, noises, strength=lambda h: np.sqrt(2 * h), uphill=1.0, asked=0,
    of_start=False, noise_first=False, first_size=False, order=1, drift=lambda h: h,
):  # fmt: skip
    """Langevin steps with room for mistakes."""
    path = [start]
    for k in range(len(sizes)):
        h = sizes[0] if first_size else sizes[k]
        x, fresh = path[-1], strength(h) * noises[::order][k]
        at = start if of_start else x + fresh if noise_first else x
        level = {"first": 0, "next": k + 1}.get(asked, k)
        path.append(x + uphill * drift(h) * score(at, level) + fresh)
    return np.array(path)


def steps_of(rng, size=None, steps=None):
    steps = int(rng.integers(2, 8)) if steps is None else steps
    size = tuple(rng.integers(2, 6, size=2)) if size is None else size
    start, noises = rng.normal(size=size), rng.normal(size=(steps, *size))
    return start, rng.uniform(0.05, 0.5, size=steps), noises


def run_langevin(answer, start, sizes, noises):
    def score(x, k):  # bent, and another one at each step
        return np.tanh(1.5 * x - 0.3 * k) - (1 + 0.5 * k) * x

    return answer(score, start, sizes, noises)


# -- the density that a crowd carries --------------------------------------------------------------


def density_rate(velocity, x, h):
    rate = np.zeros(len(x))
    for i in range(x.shape[1]):
        shift = np.zeros(x.shape[1])
        shift[i] = h
        rate -= (velocity(x + shift)[:, i] - velocity(x - shift)[:, i]) / (2 * h)
    return rate


def density_rate_in_one_batch(velocity, x, h):
    """All shifted points in one call."""
    B, D = x.shape
    shifts = h * np.concatenate([np.eye(D), -np.eye(D)])
    moved = velocity((x + shifts[:, None]).reshape(-1, D)).reshape(2, D, B, D)
    return -np.einsum("ibi->b", moved[0] - moved[1]) / (2 * h)


def density_rate_by_trace(velocity, x, h):
    columns = [(velocity(x + h * e) - velocity(x - h * e)) / (2 * h) for e in np.eye(x.shape[1])]
    return -np.trace(np.stack(columns, axis=1), axis1=1, axis2=2)


def rate_trial(
    velocity, x, h, sign=-1.0, scale=lambda h: 2 * h, one_sided=False, axes=None,
    entries=lambda change, i: change[:, i], total=lambda terms: terms.sum(axis=1), staying=False,
):  # fmt: skip
    """The rate with room for mistakes: which axes are shifted and what is taken of the change."""
    terms, D, gone = [], x.shape[1], 0
    for i in range(D) if axes is None else axes(D):
        shift = h * np.eye(D)[i]
        ahead, behind = x + gone + shift, x if one_sided else x + gone - shift
        gone = gone + shift if staying else 0
        terms.append(entries(velocity(ahead) - velocity(behind), i) / scale(h))
    return sign * total(np.stack(terms, axis=1))


def all_at_once(velocity, x, h):
    return -((velocity(x + h) - velocity(x - h)) / (2 * h)).sum(axis=1)


def next_component(velocity, x, h):
    D = x.shape[1]
    return rate_trial(velocity, x, h, entries=lambda change, i: change[:, (i + 1) % D])


def field_of(rng, size=None, h=None):
    B, D = (int(rng.integers(2, 7)), int(rng.integers(2, 5))) if size is None else size
    h = rng.uniform(0.05, 0.3) if h is None else h
    return rng.normal(size=(B, D)), h, rng.normal(size=(D, D)) + 0.5 * np.eye(D)


def run_rate(answer, x, h, bends):
    def velocity(x):
        if np.shape(x)[1:] != bends.shape[:1]:
            raise ValueError(f"velocity: x is (B, {len(bends)}), got {np.shape(x)}")
        return np.sin(x @ bends) + 0.4 * np.asarray(x) ** 2

    return answer(velocity, x, h)


# -- Break it: three walks, each with one bug ------------------------------------------------------

BUGS = {"A": "half", "B": "unscaled", "C": "sign"}
NUMBERED = ("sign", "unscaled", "whole", "half")  # as in the lesson's list
ANSWER = "".join(str(1 + NUMBERED.index(bug)) for bug in BUGS.values())


def faulty_walk(run, noise_guess, times, start, noises):
    """All states of the walk "right", "A", "B" or "C" along falling times: the exact
    noise_guess(x, t), and at most one bug.
    """
    bug, path = BUGS.get(run), [start]
    for now, after, fresh in zip(times, times[1:], noises):
        beta, x = 0.1 + 19.9 * now, path[-1]
        sigma = np.sqrt(-np.expm1(-(0.1 * now + 9.95 * now**2)))
        score = -noise_guess(x, now) / sigma
        score = {"sign": -score, "unscaled": sigma * score, "whole": 2 * score}.get(bug, score)
        x = x + (now - after) * beta / 2 * (x + score)
        if bug == "half":
            x = x + np.sqrt((now - after) * beta) * fresh
        path.append(x)
    return np.array(path)


EXERCISES = (
    Exercise(
        "12.average_target",
        "The average target of denoising score matching",
        reference=average_target,
        alternatives=(average_target_by_loops, average_target_by_odds, lambda *a: target_trial(*a)),
        wrong=(
            (
                lambda *a: target_trial(*a, prior=lambda w: 0 * w),
                "This takes all points for equally likely before x is seen. What do `weights` say?",
            ),
            (
                lambda *a: target_trial(*a, distance=lambda x, p: 0 * x[:, :1]),
                "This averages over all points in the same way for every x. Which point is x "
                "likelier to come from, a near or a far one?",
            ),
            (
                lambda *a: -average_target(*a),
                "All arrows point the wrong way: they lead away from the points. The target is "
                "*minus* the noise over sigma.",
            ),
            (
                lambda *a: target_trial(*a, arrow=lambda clean, x, s: (clean - x) / s),
                "This is the average of minus the noise itself. What does the target divide it by?",
            ),
            (
                lambda *a: target_trial(*a, arrow=lambda clean, x, s: clean - x),
                "The arrows reach from x to the mean clean point. That is sigma times minus the "
                "noise; and the target?",
            ),
            (
                lambda *a: target_trial(*a, arrow=lambda clean, x, s: clean),
                "This is the exact denoiser of lesson 11, a place. Which noise would have led "
                "from there to x?",
            ),
            (
                lambda *a: target_trial(*a, hard=True),
                "Each x is given to its likeliest point alone. An average counts the others too, "
                "each by its chance.",
            ),
            (
                lambda x, p, w, s: (p[((x[:, None] - p) ** 2).sum(-1).argmin(1)] - x) / s**2,
                "Each x is given to its nearest point alone. Could it not have come from another?",
            ),
            (
                target_by_coordinate,
                "Each coordinate has chances of its own. But x came from one point, with all its "
                "coordinates: which distance counts?",
            ),
            (
                lambda *a: target_trial(*a, normalised=False),
                "These are the points' parts, but their chances do not sum to 1 for each x.",
            ),
            (
                lambda *a: target_trial(*a, width=lambda s: s**2),
                "The chances fall too fast with the distance: what stands below the square in a "
                "normal density's exponent?",
            ),
            (
                lambda *a: target_trial(*a, width=lambda s: 2 * s),
                "Below the squared distance stands a standard deviation. Which power of it belongs "
                "in a normal density's exponent?",
            ),
            (
                lambda *a: target_trial(
                    *a, distance=lambda x, p: np.linalg.norm(x[:, None] - p, axis=2)
                ),
                "The exponent has the distance itself. What has a normal density?",
            ),
            (
                lambda *a: target_trial(*a, prior=lambda w: w),
                "Here exp(weight) multiplies the density instead of the weight. Were weights and "
                "logarithms added?",
            ),
            (
                lambda *a: target_trial(*a, prior=lambda w: -np.log(w)),
                "Here rare points count more than frequent ones.",
            ),
            (
                lambda *a: target_trial(*a, safe=False),
                "Right while sigma is large. With a small one exp gives 0 for all points, and 0 / "
                "0 is no chance: what may be subtracted from all exponents first?",
            ),
            (
                lambda *a: target_trial(*a, axis=0),
                "The chances sum to 1 over the batch. Over what should they, for one x?",
            ),
        ),
        hints=(
            "If x came from the point p, then its noise was (x - p) / sigma. So what was its "
            "target?",
            "The chance that x came from point k: weights[k] times the normal density of x around "
            "it, divided by the sum of these over k.",
            "Take logarithms, subtract the largest of each x, and only then exp: (B, K). Average "
            "the targets with them.",
        ),
        inputs=points_of,
        edges=(
            points_of(np.random.default_rng(0), (3, 2, 1), 1.0),
            points_of(np.random.default_rng(1), (1, 3, 2), 5.0),
            (
                np.array([[0.5, 2.0], [-1.2, 3.0], [0.0, 0.0]]),
                np.array([[-1.0, 0.0], [1.0, 0.0]]),
                np.array([0.9, 0.1]),
                0.02,
            ),
        ),
        forbidden=(
            "minigen.oracles.GaussianMixture.score",
            "minigen.oracles.GaussianMixture.denoise",
            "minigen.oracles.IdealDenoiser.posterior",
        ),
    ),
    Exercise(
        "12.langevin",
        "Langevin steps",
        reference=langevin,
        alternatives=(langevin_in_place, langevin_as_list, lambda *a: langevin_trial(*a)),
        wrong=(
            (
                lambda *a: langevin_trial(*a, strength=np.sqrt),
                "With this noise N(0, 1) would shrink towards variance 1/2. How much variance does "
                "the step x - h x take away, to first order?",
            ),
            (
                lambda *a: langevin_trial(*a, strength=lambda h: 2 * h),
                "The noise is multiplied by the variance it should have. By what must a standard "
                "normal number be multiplied?",
            ),
            (
                lambda *a: langevin_trial(*a, strength=lambda h: h),
                "Noise of size h has the variance h squared, which vanishes beside what the step "
                "takes away.",
            ),
            (
                lambda *a: langevin_trial(*a, strength=lambda h: 0),
                "Without noise all walk to the nearest top and stay there. Which c keeps a crowd?",
            ),
            (
                lambda *a: langevin_trial(*a, strength=lambda h: 1),
                "The noise has size 1 whatever h is. Then small steps make a wide crowd.",
            ),
            (
                lambda *a: langevin_trial(*a, strength=lambda h: np.sqrt(2 * h - h**2)),
                "This keeps the variance exactly, h squared and all. Nearly; the exercise drops "
                "what is of second order in h.",
            ),
            (
                lambda *a: langevin_trial(*a, strength=lambda h: 2 * np.sqrt(h)),
                "With this noise N(0, 1) would grow towards variance 2. Does c squared pay "
                "for just what the step takes away?",
            ),
            (
                lambda *a: langevin_trial(*a, drift=lambda h: h / 2),
                "These steps go uphill by half of h, with the noise of a whole one.",
            ),
            (
                lambda *a: langevin_trial(*a, drift=lambda h: h / 2, strength=np.sqrt),
                "This is a right walk with steps of half the size (as some papers write it). Here "
                "a step goes uphill by h times the score.",
            ),
            (
                lambda *a: langevin_trial(*a, uphill=-1.0),
                "This walks downhill: which sign has the score where x is too large?",
            ),
            (
                lambda *a: langevin_trial(*a, strength=lambda h: -np.sqrt(2 * h)),
                "The noise is subtracted. By chance as good, but then two walks on the same noise "
                "cannot be compared.",
            ),
            (
                lambda *a: langevin_trial(*a, of_start=True),
                "The score is always asked about the start. Where is the walker at step k?",
            ),
            (
                lambda *a: langevin_trial(*a, noise_first=True),
                "The noise is added first, and then the score is asked there. Which state is it "
                "asked about?",
            ),
            (
                lambda *a: langevin_trial(*a, asked="first"),
                "The score is asked with k = 0 in every step.",
            ),
            (
                lambda *a: langevin_trial(*a, asked="next"),
                "The score is asked with k + 1 in step k. The first step is 0.",
            ),
            (
                lambda *a: langevin_trial(*a, first_size=True),
                "All steps have the size of the first one.",
            ),
            (
                lambda *a: langevin_trial(*a, order=-1),
                "The noises come in another order: noises[k] belongs to step k.",
            ),
            (
                lambda *a: langevin(*a)[1:],
                "The walk is right, but its start is missing: path[0] is `start`.",
            ),
            (
                lambda *a: langevin(*a)[-1],
                "This is the right last state. Asked for are all of them, with the start.",
            ),
            (lambda *a: langevin(*a)[:-1], "The last state is missing: K steps make K + 1 states."),
            (lambda *a: langevin(*a)[::-1], "The right walk, backwards: path[0] is `start`."),
        ),
        hints=(
            "x of variance 1 becomes x - h x + c z, z standard normal and independent. What is its "
            "variance?",
            "(1 - h)^2 + c^2 should be 1. Multiply out and drop the h squared.",
            "Keep all states in a list, and make an array of it at the end.",
        ),
        inputs=steps_of,
        edges=(
            steps_of(np.random.default_rng(0), (2, 2), 1),
            steps_of(np.random.default_rng(1), (3, 1), 3),
            steps_of(np.random.default_rng(2), (1, 2), 30),
        ),
        run=run_langevin,
        forbidden=("minigen.sampling.langevin",),
    ),
    Exercise(
        "12.density_rate",
        "The density that a crowd carries",
        reference=density_rate,
        alternatives=(density_rate_in_one_batch, density_rate_by_trace, lambda *a: rate_trial(*a)),
        wrong=(
            (
                lambda *a: rate_trial(*a, sign=1.0),
                "All signs are the other way round. A crowd that spreads out: does its density "
                "rise or fall?",
            ),
            (
                lambda *a: rate_trial(*a, one_sided=True, scale=lambda h: h),
                "This takes the difference on one side only, from x to x + h. Asked for is the "
                "one around x.",
            ),
            (
                lambda *a: rate_trial(*a, scale=lambda h: h),
                "Between x - h and x + h: how far is that?",
            ),
            (
                lambda *a: rate_trial(*a, scale=lambda h: 1),
                "These are changes of the velocity. Change over which distance?",
            ),
            (
                all_at_once,
                "All coordinates are shifted together, so each component's change mixes the "
                "effects of all of them. Which coordinate stretches the box along axis i?",
            ),
            (
                lambda *a: rate_trial(*a, entries=lambda change, i: change.sum(axis=1)),
                "All components of the change are summed. When x moves along axis i, which "
                "component makes the box longer along axis i?",
            ),
            (
                next_component,
                "This takes how one component changes along another axis: that shears the box. "
                "What stretches it?",
            ),
            (
                lambda *a: rate_trial(*a, total=lambda terms: terms.mean(axis=1)),
                "This is the mean over the axes. If both sides of a box grow by 1%, by how much "
                "does its area grow?",
            ),
            (
                lambda *a: rate_trial(*a, total=lambda terms: terms.prod(axis=1)),
                "The axes' rates are multiplied. The sides of a box are; what of the rates of "
                "their logarithms?",
            ),
            (
                lambda *a: rate_trial(*a, total=lambda terms: terms),
                "One number for each axis. The density of a point has one rate.",
            ),
            (
                lambda *a: rate_trial(*a, total=lambda terms: terms.sum()),
                "Everything is summed, the batch too. Each point has its own rate.",
            ),
            (
                lambda *a: rate_trial(*a, total=lambda terms: abs(terms).sum(axis=1)),
                "Here every change makes the crowd thinner. What if it is drawn together?",
            ),
            (
                lambda *a: rate_trial(*a, axes=lambda D: range(1)),
                "Only the first axis is looked at.",
            ),
            (
                lambda *a: rate_trial(*a, axes=lambda D: range(min(D, 2))),
                "Right in two dimensions. x may have any number of them.",
            ),
            (
                lambda *a: rate_trial(*a, staying=True),
                "Is a coordinate that was shifted set back before the next one is?",
            ),
            (
                lambda velocity, x, h: -velocity(x).sum(axis=1),
                "This is the velocity itself. If all move alike, does the density change?",
            ),
            (lambda *a: 1 / rate_trial(*a), "One over what is asked for."),
            (
                lambda *a: np.exp(rate_trial(*a)),
                "This is the factor of the density in one unit of time, if the rate stayed. Asked "
                "for is the rate of its logarithm.",
            ),
        ),
        hints=(
            "One dimension first: the gap d between two neighbours grows at the rate v(x + d) - "
            "v(x). At which rate does log(gap) grow, and log(density)?",
            "In D dimensions the box's volume is the product of its sides, and its logarithm the "
            "sum of theirs. Side i is stretched by how component i changes along axis i.",
            "For each axis i: shift only x[:, i] by h both ways, and take component i of the two "
            "velocities.",
        ),
        inputs=field_of,
        edges=(
            field_of(np.random.default_rng(0), (3, 1), 0.1),
            field_of(np.random.default_rng(1), (1, 2), 0.05),
            field_of(np.random.default_rng(2), (3, 3), 0.2),
        ),
        run=run_rate,
        minutes=10,
    ),
    Exercise(
        "12.bugs",
        "Three bugs named from plots and numbers",
        reference=ANSWER,
        alternatives=(int(ANSWER), " ".join(ANSWER), ",".join(ANSWER), list(ANSWER)),
        wrong=(
            ("423", "C grows faster and faster. Would a pull that is twice too strong do that?"),
            ("124", "Two runs leave the dotted line at once. Which of them grows without end?"),
            (
                "142",
                "Two runs leave the dotted line at once: one adds as much variance in each step of "
                "a size, one multiplies it. Which of them has no end?",
            ),
            (
                "241",
                "A leaves the dotted line at once, where sigma is 1. What do sigma times the score "
                "and the score differ in there?",
            ),
            ("321", "One walk ends too wide, not too narrow. Would too strong a pull do that?"),
            (
                "431",
                "One curve keeps to the dotted line for most of the walk. Would a pull that is "
                "twice too strong wait that long?",
            ),
        ),
        hints=(
            "At t near 1, sigma is 1 and the score is about -x. Put that into each of the four: "
            "what does one step do to the crowd's standard deviation?",
            "Which bug can be seen only where sigma is small? And which two widen the crowd "
            "at once: one by adding variance, one by multiplying?",
        ),
        choices=tuple("1234"),
        minutes=3,
    ),
)
