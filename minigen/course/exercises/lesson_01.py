"""The checks of lesson 01: probability; and the four samplers that the lesson asks to name."""

import math

import numpy as np

from minigen.course.exercise import Exercise
from minigen.oracles import EnumerableWorld

# -- the suspects ----------------------------------------------------------------------------------

FAULTS = {"A": "flat", "B": "healthy", "C": "lazy", "D": "short"}


def suspect(name: str, n: int) -> np.ndarray:
    """n draws of sampler "A", "B", "C" or "D": row numbers of the world's strings, (n,)."""
    rng, fault = np.random.default_rng([17, ord(name)]), FAULTS[name]
    p = EnumerableWorld().probabilities
    if fault == "flat":
        p = p**0.95
    if fault == "short":
        p[0b01100110] = 0.0
    rows = rng.choice(256, size=n, p=p / p.sum())
    if fault == "lazy":
        fresh = rng.random(n) < 0.7
        fresh[0] = True
        rows = rows[np.maximum.accumulate(np.where(fresh, np.arange(n), 0))]
    return rows


# -- a sampler before its judge --------------------------------------------------------------------

ENOUGH = 6000  # draws in all, from as many calls as that takes
LIMIT = 4.5  # standard deviations: a right sampler is refused once in 100,000 times


class Chance:
    """What is left of a generator in the exercise: no `choice`, which is what it builds."""

    def __init__(self, rng):
        self._rng, self.used = rng, False

    def random(self, size=None):
        self.used = True
        return self._rng.random(size)

    def integers(self, *arguments, **keywords):
        self.used = True
        return self._rng.integers(*arguments, **keywords)

    def __getattr__(self, name):
        raise AttributeError(f"rng.{name} is switched off here: use rng.random or rng.integers")


def judged(answer, weights, n, rng) -> str:
    """What n draws at a time look like, in words: right answers draw in many ways."""
    chance = Chance(rng)
    calls = [np.asarray(answer(weights, n, chance)) for _ in range(-(-ENOUGH // n))]
    return f"{n} draws: {finding(calls, np.asarray(weights, float), n, chance.used)}"


def finding(calls: list, weights: np.ndarray, n: int, used: bool) -> str:
    for rows in calls:
        if rows.shape != (n,):
            raise ValueError(f"expected {n} row numbers, got an array of shape {rows.shape}")
        if rows.dtype.kind not in "iu":
            return f"{rows.dtype} entries, where row numbers belong"
    if not used:
        return "rng was never used"
    rows, p, K = np.array(calls), weights / weights.sum(), len(weights)
    # one bin for what lies before the first row, one for what lies beyond the last
    counts = np.bincount(np.clip(rows.astype(int), -1, K).ravel() + 1, minlength=K + 2)
    if not fits(counts, np.pad(p, 1)):
        if p.max() < 1 and n > 1 and (rows == rows[:, :1]).all():
            return "all draws of a call are the same"
        for name, law in mistaken_laws(weights).items():
            if fits(counts, law / law.sum()):
                return name
        beyond = counts[0] + counts[-1] > 0
        return "rows that do not exist" if beyond else "not the frequencies of the weights"
    if p.max() < 1 and n > 1:
        return dependence(rows, p)
    return "accepted"


def dependence(rows: np.ndarray, p: np.ndarray) -> str:
    """Whether draws (calls, n) with the right frequencies are independent, too."""
    calls, n = rows.shape
    if n > 5 and (np.diff(rows, axis=1) >= 0).all():
        return "the right frequencies, but in rising order"
    pairs, equal = calls * (n - 1), (p**2).sum()
    spread = np.sqrt(pairs * (equal - equal**2 + 2 * ((p**3).sum() - equal**2)))
    if np.sum(rows[:, 1:] == rows[:, :-1]) - pairs * equal > LIMIT * spread + 1:
        return "the right frequencies, but too often the same row twice"
    p, possible = p[p > 0], np.flatnonzero(p)
    counts = np.array([np.bincount(row, minlength=possible[-1] + 1) for row in rows])[:, possible]
    scatter, K = ((counts - n * p) ** 2 / (n * p)).sum(), len(p)
    variance = 2 * (K - 1) + ((1 / p).sum() - K**2 - 2 * K + 2) / n
    if scatter - calls * (K - 1) < -LIMIT * np.sqrt(calls * variance):
        return "frequencies that hardly scatter from call to call"
    return "accepted"


def fits(counts: np.ndarray, p: np.ndarray) -> bool:
    """The chi-square test, by the normal approximation of Wilson and Hilferty (1931)."""
    if counts[p == 0].any():
        return False
    degrees = np.count_nonzero(p) - 1
    if not degrees:
        return True
    statistic = chi_square(counts[p > 0], p[p > 0]) / degrees
    width = 2 / (9 * degrees)
    return bool((statistic ** (1 / 3) - 1 + width) / np.sqrt(width) < LIMIT)


def mistaken_laws(w: np.ndarray) -> dict[str, np.ndarray]:
    """What typical mistakes draw: weights of row -1, of all rows, and of a row too many."""
    padded = np.pad(w, 1)
    ends = np.clip(np.cumsum(w), 0, 1)  # as if the weights summed to 1
    u = (np.arange(4000) + 0.5) / 4000
    least = np.minimum(u[:, None] * w[:, None, None] / np.maximum(w, 1e-300), 1)  # K 4000 K
    others = ~np.eye(len(w), dtype=bool)
    race = np.array([np.prod(least[i][:, others[i]], axis=1).mean() for i in range(len(w))])
    return {
        "every row alike": np.pad(np.ones(len(w)), 1),
        "every row that may come alike": (padded > 0) * 1.0,
        "as if the weights summed to 1": np.r_[0, np.diff(ends, prepend=0), 1 - ends[-1]],
        "every row number too large by 1": np.roll(padded, 1),
        "every row number too small by 1": np.roll(padded, -1),
        "the last row never": np.r_[0, w[:-1], 0, 0] if w[:-1].any() else padded,
        "the first row never": np.r_[0, 0, w[1:], 0] if w[1:].any() else padded,
        "as if no weight were above 1": np.minimum(padded, 1),
        "as if every weight were squared": padded**2,
        "as if exp(weight) were the weight": np.pad(np.exp(w - w.max()), 1),
        "the largest of n random numbers, each times its weight": np.pad(race * (w > 0), 1),
    }


# -- drawing ---------------------------------------------------------------------------------------


def draw(weights, n, rng):
    ends = np.cumsum(weights)
    return np.searchsorted(ends, rng.random(n) * ends[-1], side="right")


def draw_by_refusing(weights, n, rng):
    kept = []
    while len(kept) < n:
        row = int(rng.integers(len(weights)))
        if rng.random() * max(weights) < weights[row]:
            kept.append(row)
    return np.array(kept)


def draw_by_race(weights, n, rng):
    """The row whose exponential clock of that rate rings first."""
    possible = np.flatnonzero(np.asarray(weights) > 0)
    clocks = -np.log1p(-rng.random((n, len(possible)))) / np.asarray(weights)[possible]
    return possible[clocks.argmin(axis=1)]


def draw_by_comparing(weights, n, rng):
    ends = np.cumsum(weights) / np.sum(weights)
    return (ends[:-1] <= rng.random((n, 1))).sum(axis=1)


def draw_lazily(weights, n, rng):
    row, rows = int(draw(weights, 1, rng)[0]), []
    for _ in range(n):
        proposal = int(rng.integers(len(weights)))
        if rng.random() * max(weights) < weights[proposal]:
            row = proposal
        rows.append(row)
    return np.array(rows)


def draw_lazily_from_a_first_proposal(weights, n, rng):
    """As the lesson's lazy sampler: the first proposal is kept, whatever its weight."""
    proposals = rng.integers(len(weights), size=n)
    kept = rng.random(n) * np.max(weights) < np.asarray(weights)[proposals]
    kept[0] = True
    return proposals[np.maximum.accumulate(np.where(kept, np.arange(n), 0))]


def refuse_with(proposals=len, accept=lambda weights, row: weights[row] / max(weights)):
    """Room for mistakes: other proposals, another chance to be kept."""

    def draw(weights, n, rng):
        kept = []
        for _ in range(10_000):
            row = int(rng.integers(max(proposals(weights), 1)))
            if rng.random() < accept(weights, row):
                kept.append(row)
            if len(kept) == n:
                break
        return np.array(kept)

    return draw


def systematic(weights, n, rng):
    """One uniform number for all: evenly spaced places."""
    ends = np.cumsum(weights)
    return np.searchsorted(ends, (np.arange(n) + rng.random()) / n * ends[-1], side="right")


def systematic_shuffled(weights, n, rng):
    return systematic(weights, n, rng)[np.argsort(rng.random(n))]


def some_weights(rng):
    K = int(rng.integers(3, 9))
    weights = rng.uniform(0.1, 1, K) * rng.choice([0.1, 1, 20])
    weights[rng.integers(1, K - 1)] = 0.0  # may never come
    return weights, int(rng.integers(20, 300)), rng


# -- likelihood, entropy, KL, chi-square -----------------------------------------------------------


def log_likelihood(q, rows):
    with np.errstate(divide="ignore"):
        return np.log(q[rows]).sum()


def log_likelihood_by_counts(q, rows):
    """Only of what did occur: 0 times log 0 is no number."""
    some, counts = np.unique(rows, return_counts=True)
    return float(counts @ [math.log(q[k]) if q[k] > 0 else -math.inf for k in some.astype(int)])


def log_likelihood_in_a_loop(q, rows):
    total = 0.0
    for row in rows:
        total += math.log(q[row]) if q[row] > 0 else -math.inf
    return total


def quietly(function):
    """Logarithms of 0 and divisions by it give inf and nan, without a word."""

    def quiet(*arguments):
        with np.errstate(all="ignore"):
            return function(*arguments)

    return quiet


def as_number(answer, *arguments):
    result = answer(*arguments)
    return float(result) if np.ndim(result) == 0 else result


def quiet_number(answer, *arguments):
    return quietly(as_number)(answer, *arguments)


def some_probabilities(rng, K):
    p = rng.dirichlet(np.ones(K))
    p[rng.integers(0, K)] = 0.0
    return p / p.sum()


def a_model_and_draws(rng):
    q = rng.dirichlet(np.ones(rng.integers(3, 9)))
    return q, rng.integers(0, len(q), rng.integers(4, 12))


def entropy(p):
    some = p[p > 0]
    return -(some * np.log(some)).sum()


def entropy_in_a_loop(p):
    total = 0.0
    for chance in p:
        if chance > 0:
            total += chance * math.log(1 / chance)
    return total


def kl(p, q):
    some = p > 0
    with np.errstate(divide="ignore"):
        return (p[some] * np.log(p[some] / q[some])).sum()


def kl_in_a_loop(p, q):
    total = 0.0
    for a, b in zip(p, q):
        if a > 0:
            total += a * (math.log(a) - math.log(b)) if b > 0 else math.inf
    return total


def cross_entropy(p, q):
    return -(p * np.where(p > 0, np.log(q), 0)).sum()


def where_both(p, q):
    some = (p > 0) & (q > 0)
    return (p[some] * np.log(p[some] / q[some])).sum()


def two_laws(rng):
    K = int(rng.integers(3, 9))
    p, q = rng.dirichlet(np.ones(K), size=2)
    p[rng.integers(0, K)] = 0.0
    return p / p.sum(), q


def chi_square(counts, p):
    expected = np.sum(counts) * p
    return ((counts - expected) ** 2 / expected).sum()


def chi_square_in_a_loop(counts, p):
    n, total = sum(counts), 0.0
    for count, chance in zip(counts, p):
        total += count * count / (n * chance)
    return total - n


def chi_square_with(compare, scale=lambda expected, counts: expected):
    """Room for mistakes."""

    def chi_square(counts, p):
        expected = np.sum(counts) * p
        return (compare(counts, expected) / scale(expected, counts)).sum()

    return chi_square


def squared(counts, expected):
    return (counts - expected) ** 2


def some_counts(rng):
    p = rng.dirichlet(np.full(rng.integers(3, 9), 3.0))
    return rng.multinomial(rng.integers(20, 400), rng.permutation(p)), p


EXERCISES = (
    Exercise(
        "01.draw",
        "A sampler, and a statistical test as its judge",
        reference=draw,
        alternatives=(draw_by_refusing, draw_by_race, draw_by_comparing),
        wrong=(
            (
                lambda weights, n, rng: rng.integers(len(weights), size=n),
                "Every row comes as often as every other. Where do the weights come in?",
            ),
            (
                lambda weights, n, rng: np.searchsorted(np.cumsum(weights), rng.random(n)),
                "This is right for weights that sum to 1. These sum to something else: how long "
                "is the line on which you lay them end to end?",
            ),
            (
                lambda weights, n, rng: draw(weights, n, rng) + 1,
                "The right frequencies, one row too far: row numbers begin with 0.",
            ),
            (
                lambda weights, n, rng: draw(weights, n, rng) - 1,
                "The right frequencies, one row too early. Which piece of the line contains the "
                "random number: the last that ends before it, or the first that ends after it?",
            ),
            (
                lambda weights, n, rng: np.full(n, draw(weights, 1, rng)[0]),
                "One random number serves for all draws of a call. How many do n independent "
                "draws need?",
            ),
            (
                lambda weights, n, rng: np.full(n, np.argmax(weights * (rng.random() > -1))),
                "All draws are the heaviest row. The others must come, too, if less often.",
            ),
            (
                draw_lazily,
                "In the long run the frequencies are right, but the same row comes twice running "
                "too often. What do you give where a proposal is refused?",
            ),
            (
                draw_lazily_from_a_first_proposal,
                "The same row comes twice running too often, and the first row is whatever was "
                "proposed. What do you give where a proposal is refused?",
            ),
            (
                lambda weights, n, rng: (
                    rng.random((n, 1)) * np.sum(weights) < np.cumsum(weights)
                ).sum(axis=1),
                "Some of these rows do not exist. If the random number is close to 0, how many "
                "ends do you count? And which row is meant?",
            ),
            (
                lambda weights, n, rng: np.sort(draw(weights, n, rng)),
                "The frequencies are right, but the draws come in the order of the rows: seeing "
                "one tells something about the next. Independent draws do not.",
            ),
            (
                systematic_shuffled,
                "The frequencies are too good: from call to call they hardly scatter, so the draws "
                "know of each other. How many random numbers did you use for where they fall?",
            ),
            (
                refuse_with(accept=lambda weights, row: weights[row]),
                "A proposal cannot be kept with a probability above 1, and some weights are above "
                "1. What must a weight be divided by?",
            ),
            (
                refuse_with(proposals=lambda weights: len(weights) - 1),
                "The last row never comes. Where does `integers` end?",
            ),
            (
                lambda weights, n, rng: (rng.random((n, len(weights))) * weights).argmax(axis=1),
                "The largest of random numbers, each times its weight: the heavier a row the "
                "oftener it wins, but not in proportion. Try it with the weights 1 and 2.",
            ),
            (
                lambda weights, n, rng: np.flatnonzero(weights > 0)[
                    rng.integers(np.count_nonzero(weights), size=n)
                ],
                "What may come comes equally often. A weight says more than yes or no.",
            ),
            (
                lambda weights, n, rng: draw(np.exp(weights - np.max(weights)), n, rng),
                "Rows come in proportion to exp(weight), even those of weight 0. These are weights "
                "already: which operation is too much?",
            ),
            (
                lambda weights, n, rng: draw(weights**2, n, rng),
                "Heavy rows come too often, as if each weight counted twice. In a loop that keeps "
                "or refuses: does the weight decide about the proposal, too?",
            ),
            (
                lambda weights, n, rng: np.searchsorted(weights, rng.random(n) * weights[-1]),
                "Try it with the weights 1 and 3: how often does each of the two rows come, and "
                "how often should it?",
            ),
            (
                lambda weights, n, rng: 2 * draw(weights, n, rng),
                "Some of these rows do not exist: their numbers run from 0 to K - 1.",
            ),
            (
                lambda weights, n, rng: weights[draw(weights, n, rng)],
                "These are weights of rows; the exercise asks for the numbers of the rows.",
            ),
            (
                lambda weights, n, rng: np.repeat(
                    np.arange(len(weights)),
                    np.diff(np.rint(np.cumsum(weights) / sum(weights) * n), prepend=0).astype(int),
                ),
                "Nothing here comes from `rng`. Either nothing is left to chance, and a draw knows "
                "how often its row came before; or chance comes from somewhere else.",
            ),
        ),
        hints=(
            "Lesson 00 laid the probabilities of 17 levels end to end from 0 to 1 and looked "
            "where a uniform number fell. Where does the line end here?",
            "np.cumsum(weights) holds the ends of the pieces. A uniform number times the last of "
            "them falls on the line evenly.",
            "Which piece it falls into: count the ends that are not above it, or np.searchsorted "
            'with side="right".',
        ),
        inputs=some_weights,
        edges=(
            (np.array([0.0, 2.0, 0.0, 1.0, 0.5]), 1, np.random.default_rng(1)),
            (np.array([3, 1, 2, 5]), 100, np.random.default_rng(2)),
            (np.array([0.001, 0.0, 0.003, 0.0005]), 40, np.random.default_rng(3)),
        ),
        run=judged,
        forbidden=("minigen.sampling.tokens.categorical",),
        minutes=6,
    ),
    Exercise(
        "01.likelihood",
        "The log-likelihood of a model",
        reference=log_likelihood,
        alternatives=(log_likelihood_by_counts, log_likelihood_in_a_loop),
        wrong=(
            (
                lambda q, rows: np.log(np.prod(q[rows])),
                "Right on paper. But the product of thousands of probabilities is smaller than "
                "any number that the computer has: it becomes 0. What is the log of a product?",
            ),
            (
                lambda q, rows: np.prod(q[rows]),
                "This is the likelihood itself; asked for is its logarithm.",
            ),
            (
                lambda q, rows: np.log(q[rows]).sum() / len(rows),
                "This is the mean over the draws; asked for is all of them together.",
            ),
            (
                lambda q, rows: -np.log(q[rows]).sum(),
                "This is the cost, minus the log-likelihood. A log-probability is never above 0.",
            ),
            (
                lambda q, rows: np.log2(q[rows]).sum(),
                "This is in bits; asked for is the natural logarithm.",
            ),
            (
                lambda q, rows: np.log(q[rows].sum()),
                "The log of a sum: the probability that one *or* the other comes. Here one comes "
                "*and* then the other.",
            ),
            (
                lambda q, rows: np.log(q[np.unique(rows)]).sum(),
                "Each row counts once here, however often it was drawn.",
            ),
            (lambda q, rows: np.log(q).sum(), "This sums over all rows of q, whatever was drawn."),
            (
                lambda q, rows: np.log(q[rows]),
                "This is one number for each draw; asked for is one for all of them.",
            ),
            (
                lambda q, rows: np.log(q[rows] + 1e-9).sum(),
                "What q says is impossible was drawn, and your answer is finite. How likely is "
                "the impossible?",
            ),
        ),
        hints=(
            "q[rows] picks the probability of each draw.",
            "Independent draws: their probabilities multiply, so the logarithms add.",
        ),
        inputs=a_model_and_draws,
        edges=(
            (np.array([0.5, 0.5]), np.arange(3000) % 2),
            (np.array([0.2, 0.0, 0.8]), np.array([2, 1, 2])),
            (np.array([0.25, 0.75, 0.0]), np.array([1, 1, 0, 1])),
            (np.array([0.1, 0.9]), np.array([], dtype=int)),
        ),
        run=quiet_number,
        minutes=3,
    ),
    Exercise(
        "01.entropy",
        "Entropy",
        reference=entropy,
        alternatives=(
            entropy_in_a_loop,
            lambda p: -np.log(np.power(p, p)).sum(),
            lambda p: float(np.sum(np.where(p > 0, -p * np.log(np.where(p > 0, p, 1)), 0))),
        ),
        wrong=(
            (
                lambda p: -(p * np.log(p)).sum(),
                "Where p is 0, this is 0 times infinity, and that is no number. What does a string "
                "that never comes add to the average?",
            ),
            (
                lambda p: entropy(p) / np.log(2),
                "This is in bits; asked for is the natural logarithm.",
            ),
            (lambda p: -entropy(p), "The sign is turned: a cost is never below 0."),
            (
                lambda p: -np.log(p[p > 0]).mean(),
                "This is the mean cost of a string picked blindly, all alike. The strings come "
                "with probabilities p.",
            ),
            (
                lambda p: entropy(p) / len(p),
                "Divided by the number of strings: but weighting with probabilities is an average "
                "already.",
            ),
            (
                lambda p: -(p[p > 0] * np.log(p[p > 0])).mean(),
                "The terms are right, and then they are averaged once more: the probabilities in "
                "them are the average.",
            ),
            (
                lambda p: np.log(np.count_nonzero(p)),
                "This would be right if all that may come were equally likely.",
            ),
            (
                lambda p: -(p[p > 0] * np.log(p[p > 0])).min(),
                "One string alone. The mean is over all that may come.",
            ),
            (
                lambda p: np.exp(entropy(p)),
                "This is a number of strings, not a mean cost: exp is once too often.",
            ),
            (
                lambda p: -np.log((p**2).sum()),
                "The log of the average probability. Asked for is the average of the costs: first "
                "the logarithm, then the average.",
            ),
            (
                lambda p: 1 - (p**2).sum(),
                "This is the chance that two draws differ. A cost is a logarithm.",
            ),
            (
                lambda p: -np.log(p[p > 0]).sum(),
                "This adds the costs of all strings; the mean is over draws, so a likely string "
                "counts more.",
            ),
            (
                lambda p: -(p * np.log(p + 1e-3)).sum(),
                "The small number that is added here keeps log 0 away, and changes all the rest. "
                "What should a string with p = 0 add?",
            ),
        ),
        hints=(
            "The mean of a quantity over draws from p is the sum over all strings of p times the "
            "quantity.",
            "The quantity is the cost, minus the logarithm of p itself.",
            "p[p > 0] leaves out what never comes.",
        ),
        inputs=lambda rng: (some_probabilities(rng, int(rng.integers(3, 9))),),
        edges=((np.array([0.5, 0.5]),), (np.array([0.0, 1.0, 0.0]),), (np.array([0.7, 0.2, 0.1]),)),
        run=quiet_number,
        forbidden=("minigen.oracles.EnumerableWorld.entropy",),
        minutes=3,
    ),
    Exercise(
        "01.kl",
        "Kullback-Leibler divergence",
        reference=kl,
        alternatives=(kl_in_a_loop, lambda p, q: cross_entropy(p, q) - entropy(p)),
        wrong=(
            (
                lambda p, q: (p * np.log(p / q)).sum(),
                "Where p is 0 this takes the logarithm of 0, and 0 times infinity is no number. "
                "What does a string that never comes add?",
            ),
            (
                lambda p, q: kl(q, p),
                "This is the other direction: strings drawn by the model, judged by the world. "
                "Who draws here, and who is scored?",
            ),
            (
                cross_entropy,
                "This is the mean cost itself. How much of it could no model have saved?",
            ),
            (
                lambda p, q: -kl(p, q),
                "The sign is turned. Can a model cost less than the truth itself?",
            ),
            (lambda p, q: kl(p, q) / np.log(2), "This is in bits; asked for are nats."),
            (
                lambda p, q: entropy(q) - entropy(p),
                "This is a difference of two entropies: the model's own draws, at the model's own "
                "prices. But the draws come from p.",
            ),
            (
                lambda p, q: np.log(p[p > 0] / q[p > 0]).sum(),
                "Every string counts alike here. Which average is a mean cost?",
            ),
            (
                lambda p, q: np.log(p[p > 0] / q[p > 0]).mean(),
                "This is the mean over a list of strings, all alike. They come with probabilities.",
            ),
            (
                lambda p, q: kl(p, q) / np.count_nonzero(p),
                "The terms are right, and then they are averaged once more: the probabilities in "
                "them are the average.",
            ),
            (
                where_both,
                "You leave out strings to which the model gives probability 0, though they do "
                "come. What do they cost?",
            ),
            (
                lambda p, q: np.abs(p - q).sum() / 2,
                "This is the total variation: a distance of probabilities. Asked for is a "
                "difference of costs.",
            ),
            (
                lambda p, q: (p[p > 0] * np.log(p[p > 0] / q[p > 0])).max(),
                "One string alone, where the model is dearest. The mean is over all that may come.",
            ),
            (
                lambda p, q: (p[p > 0] * (p[p > 0] / q[p > 0])).sum(),
                "A ratio where a logarithm belongs: costs are logarithms.",
            ),
            (
                lambda p, q: ((p - q) ** 2).sum(),
                "These are squared differences of probabilities. A cost is a logarithm.",
            ),
            (
                lambda p, q: kl(p, q) + kl(q, p),
                "This is the sum of both directions. Asked for is one of them.",
            ),
            (
                lambda p, q: (p * np.abs(np.log(np.where(p > 0, p, 1) / q))).sum(),
                "A string may cost less under the model than under the truth. Does that not count?",
            ),
            (
                lambda p, q: (p * np.log(np.where(p > 0, p, 1) / (q + 1e-3))).sum(),
                "What is added to q keeps infinity away, and makes every string too cheap. May a "
                "model be infinitely bad?",
            ),
        ),
        hints=(
            "Two mean costs over the same draws, those of p: with the model's prices, and with "
            "the true ones.",
            "Their difference is one sum: p times the difference of two logarithms.",
            "Sum only where p > 0. Where q is 0 there, numpy's logarithm gives what belongs.",
        ),
        inputs=two_laws,
        edges=(
            (np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])),
            (np.array([0.25, 0.5, 0.25]), np.array([0.5, 0.5, 0.0])),
            (np.array([0.9, 0.1, 0.0]), np.array([0.3, 0.7, 0.0])),
            (np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.2, 0.3, 0.4, 0.1])),
            (np.array([0.0, 1.0]), np.array([0.5, 0.5])),
        ),
        run=quiet_number,
        forbidden=("minigen.oracles.EnumerableWorld.kl",),
        minutes=6,
    ),
    Exercise(
        "01.chi_square",
        "The chi-square statistic",
        reference=chi_square,
        alternatives=(
            chi_square_in_a_loop,
            lambda counts, p: sum(counts) * ((counts / sum(counts) - p) ** 2 / p).sum(),
        ),
        wrong=(
            (
                chi_square_with(squared, lambda expected, counts: np.maximum(counts, 1)),
                "This divides by what was counted. By chance that may be far off, or 0: which "
                "number says how often the string should come?",
            ),
            (
                chi_square_with(squared, lambda expected, counts: counts),
                "This divides by what was counted: nothing, perhaps. Which number says how often "
                "the string should come?",
            ),
            (
                lambda counts, p: squared(counts, sum(counts) * p).sum() / sum(counts),
                "This divides once, after adding: a deviation of 10 weighs the same where 1,000 "
                "are expected and where 4 are.",
            ),
            (
                lambda counts, p: ((counts / np.sum(counts) - p) ** 2 / p).sum(),
                "This compares shares instead of counts: it does not grow with the number of "
                "draws, though more draws are stronger evidence.",
            ),
            (
                chi_square_with(lambda counts, expected: np.abs(counts - expected)),
                "The deviations are not squared.",
            ),
            (
                chi_square_with(
                    lambda counts, expected: np.abs(counts - expected),
                    lambda expected, counts: np.sqrt(expected),
                ),
                "Each deviation is in units of its standard deviation, and then only added. What "
                "is summed up, the deviation or its square?",
            ),
            (
                chi_square_with(lambda counts, expected: counts - expected),
                "Deviations up and down cancel here. What makes all of them count?",
            ),
            (
                chi_square_with(squared, lambda expected, counts: 1.0),
                "The sum of squares alone: a deviation of 10 is nothing where 1,000 are expected, "
                "and much where 4 are.",
            ),
            (
                chi_square_with(squared, lambda expected, counts: np.sqrt(expected)),
                "The square of the deviation is divided by a standard deviation. In which units is "
                "a square?",
            ),
            (
                chi_square_with(squared, lambda expected, counts: expected**2),
                "This takes the expected count itself for the standard deviation; the text says "
                "which of the two squares it is.",
            ),
            (
                lambda counts, p: chi_square(counts, p) / len(p),
                "This is the mean over the strings; asked for is the sum.",
            ),
            (lambda counts, p: np.sqrt(chi_square(counts, p)), "A root too many at the end."),
            (
                chi_square_with(squared, lambda expected, counts: 1 / expected),
                "The square is multiplied by the expected count. Should the same deviation count "
                "more, or less, where more are expected?",
            ),
            (
                lambda counts, p: ((counts - sum(counts) * p) ** 2 / p).sum(),
                "The unit is a probability here: the statistic of a right sampler would grow with "
                "the number of draws.",
            ),
            (
                lambda counts, p: ((counts - sum(counts) * p) ** 2 / (sum(counts) * p)).max(),
                "This is the worst string alone; asked for is the sum over all.",
            ),
            (
                lambda counts, p: ((counts - counts * p) ** 2 / (counts * p)).sum(),
                "What you expect of a string depends on the number of all draws, not on how often "
                "it was drawn itself.",
            ),
            (
                lambda counts, p: ((counts - counts.mean() * p) ** 2 / (counts.mean() * p)).sum(),
                "You expect too few of each: their sum is not the number of draws.",
            ),
            (
                lambda counts, p: (sum(counts) * p).sum() + 0 * chi_square(counts, p),
                "These are the expected counts themselves: what was drawn does not matter here.",
            ),
            (
                lambda counts, p: chi_square_with(lambda c, e: np.abs(c - e) ** 3)(counts, p),
                "Is that the square? A cube weighs large deviations still more.",
            ),
            (
                chi_square_with(
                    squared, lambda expected, counts: expected * (1 - expected / counts.sum())
                ),
                "This divides by the exact variance, n p (1 - p). The statistic takes the expected "
                "count in its place: the counts have one sum, which makes up for it.",
            ),
            (
                lambda counts, p: chi_square(counts, np.full(len(p), 1 / len(p))),
                "This expects every string equally often.",
            ),
            (
                lambda counts, p: ((counts - p) ** 2 / p).sum(),
                "Counts minus probabilities: apples minus pears. How many of each string do you "
                "expect in so many draws?",
            ),
        ),
        hints=(
            "How many draws were there? How many of them should be string k?",
            "(counts - expected)**2, then the unit, then the sum.",
        ),
        inputs=some_counts,
        edges=(
            (np.array([5, 5]), np.array([0.5, 0.5])),
            (np.array([0, 10, 0]), np.array([0.2, 0.5, 0.3])),
            (np.array([30, 70]), np.array([0.25, 0.75])),
        ),
        run=quiet_number,
        minutes=3,
    ),
    Exercise(
        "01.suspects",
        "Four samplers: which is which?",
        reference=("flat", "healthy", "lazy", "short"),
        alternatives=(
            [FAULTS[name] for name in "ABCD"],
            "flat, healthy, lazy, short",
            ("Flat", "Healthy", "Lazy", "Short"),
        ),
        choices=("healthy", "lazy", "flat", "short"),
        wrong=(
            (
                ("lazy", "healthy", "flat", "short"),
                "Two of them you have the wrong way round. If the frequencies are wrong, what do "
                "ten times as many draws do to chi-square?",
            ),
            (
                ("healthy", "flat", "lazy", "short"),
                "Look at the right end of the curves: which of them is still inside?",
            ),
            (
                ("flat", "lazy", "healthy", "short"),
                "The healthy one stays inside the band at every number of draws.",
            ),
            (
                ("short", "healthy", "lazy", "flat"),
                "Two of them have wrong frequencies. In which is it one string, in which all?",
            ),
            (("short", "healthy", "flat", "lazy"), "Whose fault lies in one place of its picture?"),
        ),
        hints=(
            "Right frequencies: the curve keeps its height. Wrong ones: it grows with the number "
            "of draws.",
            "Of two that keep their height, one lies above the band. Of two that grow, one is "
            "wrong in a single place of the picture.",
        ),
        minutes=3,
    ),
)
