"""The checks of lesson 17, head to head; the small budget of one's own claim, and the three
laboratories that the lesson asks to name.
"""

import math
import re
import statistics
import warnings
from dataclasses import replace

import numpy as np

import minigen as mg
from minigen.compare import experiment
from minigen.compare.arms import DIGITS
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import (
    CONTRARY,
    HOLDS,
    SMALL,
    UNDECIDED,
    Effect,
    difference,
    mean,
    student,
    verdict,
)
from minigen.course.checks import wrapped
from minigen.course.exercise import Exercise

# -- a claim of one's own: what is measured of it --------------------------------------------------

SIZE = 3  # seconds' worth of training
TRAININGS = 3  # of each arm
DRAWN = 180  # digits, against as many test digits
WAYS = {  # of drawing in little time
    "masked": {"steps": 16},
    "block": {"steps": 2},
    "DDPM": {"method": "ddim", "steps": 10},
    "U-Net": {"method": "ddim", "steps": 10},
}
FIGURES = {
    "precision": "precision",
    "recall": "recall",
    "1-NN accuracy": "one_nn_accuracy",
    "class entropy": "class_entropy",
}
SENTENCE = re.compile(
    rf"(?:the )?({'|'.join(DIGITS)}) has (higher|lower) ({'|'.join(FIGURES)})"
    rf" than (?:the )?({'|'.join(DIGITS)})\b",
    re.IGNORECASE,
)
_seen: dict[tuple, tuple] = {}  # of claims that were measured: what was said before


def small_cells(*arms: str) -> tuple[Cell, ...]:
    """The cells that train each of these arms for three seconds' worth, from three seeds."""
    return tuple(
        Cell(f"small_{arm}_seed{seed}", f"{__name__}:small", {"arm": arm, "seed": seed}, 4)
        for seed in range(TRAININGS)
        for arm in arms
    )


def small(arm: str, seed: int) -> dict:
    """A cell: train an arm for a moment, draw some digits, hold them against test digits."""
    kind, data = DIGITS[arm], mg.data.digits()
    ((_, model, ema),) = experiment.grown(kind, experiment.to_learn(kind), [SIZE], seed)
    rng = np.random.default_rng([seed, 17])
    with ema.applied():
        levels = kind.levels(model.sample(DRAWN, rng, **WAYS.get(arm, {})))
    found, _ = mg.evaluate.sample_metrics(levels, data.test[:DRAWN], data.train, rng)
    told = {name: getattr(found, name) for name in ("precision", "recall", "one_nn_accuracy")}
    entropy = float(experiment.class_entropy(levels))
    return {"arm": arm, "seed": seed, **told, "class_entropy": entropy}


def measure(claim: Claim) -> dict:
    """Print what is expected, then compute the claim's cells: name -> result."""
    print(wrapped(f"{claim.statement}\nexpected: {claim.expected}\ndelta: {claim.delta:g}"))
    _seen.setdefault(_key(claim), _said(claim))
    return {cell.name: cell.compute(None) for cell in claim.cells}


def parsed(statement: str) -> tuple[str, str, str, int]:
    """(first arm, second arm, figure, +1 or -1) of "DDPM has higher precision than GPT ..."."""
    found = SENTENCE.match(statement.strip())
    if not found:
        raise ValueError(f"no claim of this form: {statement!r}")
    spelled = {name.lower(): name for name in (*DIGITS, *FIGURES)}
    first, figure, second = (spelled[found[k].lower()] for k in (1, 3, 4))
    return first, second, FIGURES[figure], 1 if found[2].lower() == "higher" else -1


def _key(claim: Claim) -> tuple:
    """Which comparison it is, whichever arm is named first."""
    first, second, figure, _ = parsed(claim.statement)
    return (*sorted((first, second)), figure)


def _said(claim: Claim) -> tuple:
    return claim.statement, claim.expected, claim.delta


def form(claim) -> str:
    """What is missing in a claim, or "" if its form is that of a hypothesis."""
    if not isinstance(claim, Claim):
        return "no Claim"
    if not isinstance(claim.statement, str) or not SENTENCE.match(claim.statement.strip()):
        names = f"FIGURE: {', '.join(FIGURES)}; ARM: {', '.join(DIGITS)}"
        return f"not read as: ARM has higher (or lower) FIGURE than ARM ({names})"
    first, second, _, _ = parsed(claim.statement)
    if first == second:
        return "the statement compares an arm with itself"
    if not isinstance(claim.delta, (int, float)) or not 0 < claim.delta < math.inf:
        return "delta is no number above 0"
    for name in ("refuted", "expected", "scope"):
        text = getattr(claim, name)
        if not isinstance(text, str) or len(text.strip()) < 10:
            return f"{name} is empty, or nearly"
    if claim.refuted.strip() == claim.statement.strip():
        return "refuted is the statement itself"
    trained = {cell.settings.get("arm") for cell in claim.cells}
    if not {first, second} <= trained:
        return "the cells do not train both arms"
    if _seen.get(_key(claim), _said(claim)) != _said(claim):
        return "these two arms were measured before this was written: take others, or begin anew"
    return ""


def run_claim(answer, effect_in_deltas, spread_in_deltas, trainings, seed):
    """What the claim says of made-up results: by so much has its first arm more of its figure than
    its second, or less if its sentence says lower; so much do trainings differ.
    """
    claim = answer()
    if fault := form(claim):
        return fault
    records = made_up(claim, effect_in_deltas, spread_in_deltas, trainings, seed)
    found = quietly(claim.effects, records, claim.delta)
    if not isinstance(found, (list, tuple)) or not all(isinstance(one, Effect) for one in found):
        return "effects returns no list of Effects"
    return verdict(found) if found else "effects returns an empty list"


def quietly(answer, *arguments):
    """Without NumPy's warnings of what has no variance: a probe may hand in one training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return answer(*arguments)


def made_up(claim: Claim, gain: float, spread: float, trainings: int, seed: int) -> list[dict]:
    """Records of all arms and figures; all that the sentence does not speak of is chance."""
    trainings = max(2, trainings)  # one has no spread, and a probe may ask
    rng, (first, second, figure, sign) = np.random.default_rng(seed), parsed(claim.statement)
    levels = {arm: {name: rng.uniform(10, 90) for name in FIGURES.values()} for arm in DIGITS}
    levels[first][figure] = levels[second][figure] + sign * gain
    records = []
    for arm in DIGITS:
        off = {name: rng.standard_normal(trainings) for name in FIGURES.values()}
        for name, x in off.items():  # the mean as said, and the spread
            off[name] = spread * (x - x.mean()) / x.std(ddof=1)
        for k in range(trainings):
            told = {name: claim.delta * (levels[arm][name] + off[name][k]) for name in off}
            records.append({"arm": arm, "seed": k, **told})
    return records


def example() -> Claim:
    """The claim that stands in for whoever writes none."""

    def effects(records, delta):
        ddpm, gpt = (figures(records, "precision", arm=arm) for arm in ("DDPM", "GPT"))
        return [difference("DDPM less GPT: precision", ddpm, gpt, delta)]

    return Claim(
        "own",
        "A few seconds",
        "DDPM has higher precision than GPT after three seconds of training.",
        refuted="The DDPM's digits lie where real ones lie no more often than the GPT's.",
        expected="It holds: a GPT that has learned little errs at one pixel and goes on from there;"
        " a DDPM errs a little everywhere.",
        delta=0.05,
        scope="8 x 8 digits, three seconds' worth, three seeds, 180 digits each",
        cells=small_cells("DDPM", "GPT"),
        effects=effects,
    )


def example_by_pairs() -> Claim:
    """Seed by seed: the arms share nothing, so that any pairing will do."""

    def effects(records, delta):
        pair = [figures(records, "recall", arm=arm) for arm in ("GPT", "masked")]
        return (mean("GPT less masked, recall", np.subtract(*pair), delta),)

    return replace(
        example(),
        statement="The masked has lower recall than the GPT, drawn in 16 steps",
        delta=0.1,
        cells=small_cells("GPT", "masked"),
        effects=effects,
    )


def example_by_loops() -> Claim:
    def effects(records, delta):
        by_arm = {"block": [], "U-Net": []}
        for record in records:
            if record["arm"] in by_arm:
                by_arm[record["arm"]].append(record["one_nn_accuracy"])
        return [difference("block less U-Net", by_arm["block"], by_arm["U-Net"], delta)]

    return replace(
        example(),
        statement="block has higher 1-NN accuracy than U-Net",
        delta=1,
        cells=small_cells("block", "U-Net", "GPT"),
        effects=effects,
    )


def example_with(**changes):
    """The example with one thing changed."""
    return lambda: replace(example(), **changes)


def effects_with(about=("DDPM", "GPT"), figure="precision", judge=difference):
    """Room for mistakes: which arm is taken from which, of what, and how."""

    def effects(records, delta):
        more, less = (figures(records, figure, arm=arm) for arm in about)
        return [judge("", more, less, delta)]

    return example_with(effects=effects)


def bare_mean(about, more, less, delta):
    """An effect without an interval."""
    gap = float(np.mean(more) - np.mean(less))
    return Effect(about, gap, gap, gap, delta)


def some_results(rng):
    gain = float(rng.choice([-4.0, -2.5, 0.0, 2.5, 4.0]))
    return gain, float(rng.uniform(0.02, 0.1)), int(rng.integers(3, 7)), int(rng.integers(1000))


# -- the interval ----------------------------------------------------------------------------------


def interval(more, less):
    of_trainings = [np.mean(x, axis=1) for x in (more, less)]
    a, b = (x.var(ddof=1) / len(x) for x in of_trainings)
    freedom = (a + b) ** 2 / (a**2 / (len(more) - 1) + b**2 / (len(less) - 1))
    middle = of_trainings[0].mean() - of_trainings[1].mean()
    half = student(freedom) * np.sqrt(a + b)
    return middle, middle - half, middle + half


def interval_by_statistics(more, less):
    """With Python's own module, arm by arm."""
    centres, errors, weights = [], [], []
    for x in (more, less):
        rows = [statistics.fmean(row) for row in x]
        centres.append(statistics.fmean(rows))
        errors.append(statistics.variance(rows) / len(rows))
        weights.append(errors[-1] ** 2 / (len(rows) - 1))
    half = student(sum(errors) ** 2 / sum(weights)) * math.sqrt(sum(errors))
    middle = centres[0] - centres[1]
    return [middle, middle - half, middle + half]


def interval_by_shares(more, less):
    """Welch's degrees of freedom by how much each arm has in the variance of the difference."""
    x, y = more.mean(axis=1), less.mean(axis=1)
    parts = np.array([x.var(ddof=1) / x.size, y.var(ddof=1) / y.size])
    share = parts / parts.sum()
    freedom = 1 / (share**2 / np.array([x.size - 1, y.size - 1])).sum()
    sides = np.array([0, -1, 1]) * student(freedom) * parts.sum() ** 0.5
    return x.mean() - y.mean() + sides


def interval_with(
    rows=lambda x: x.mean(axis=1),
    ddof=1,
    squared=lambda x, ddof: x.var(ddof=ddof) / len(x),
    freedom=lambda a, b, n, m: (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1)),
    quantile=student,
    error=lambda a, b: math.sqrt(a + b),
    sign=1,
    result=lambda middle, half: (middle, middle - half, middle + half),
):
    """Room for mistakes at every stage."""

    def wrong(more, less):
        x, y = rows(np.asarray(more)), rows(np.asarray(less))
        a, b = squared(x, ddof), squared(y, ddof)
        half = quantile(freedom(a, b, len(x), len(y))) * error(a, b)
        return result(sign * (x.mean() - y.mean()), half)

    return wrong


def two_intervals(more, less):
    """From the end of one arm's own interval to the end of the other's."""
    x, y = more.mean(axis=1), less.mean(axis=1)
    half = sum(student(len(z) - 1) * math.sqrt(z.var(ddof=1) / len(z)) for z in (x, y))
    middle = x.mean() - y.mean()
    return middle, middle - half, middle + half


def two_arms(rng, n=None, m=None, sets=None):
    """Figures of (trainings, sample sets) of two arms that vary unalike."""
    n = int(rng.integers(3, 7)) if n is None else n
    m = int(rng.integers(2, 6)) if m is None else m
    arms = []
    for count, spread in ((n, 0.3), (m, 0.9)):
        k = int(rng.integers(2, 6)) if sets is None else sets
        trained = rng.normal(rng.uniform(-2, 2), spread, (count, 1))
        arms.append(trained + 0.3 * rng.standard_normal((count, k)))
    return tuple(arms)


_rng = np.random.default_rng(17)

# -- the verdict, and how often it errs ------------------------------------------------------------


def judged(low, high, delta):
    if low > delta:
        return HOLDS
    if high < -delta:
        return CONTRARY
    return SMALL if -delta < low and high < delta else UNDECIDED


def judged_by_ends(low, high, delta):
    """Where each end lies: below, between or above the two deltas."""
    ends = [int(end > delta) - int(end < -delta) for end in (low, high)]
    touches = any(abs(end) == delta for end in (low, high))
    word = {(1, 1): HOLDS, (-1, -1): CONTRARY, (0, 0): UNDECIDED if touches else SMALL}
    return word.get(tuple(ends), UNDECIDED)


def judged_by_list(low, high, delta):
    rules = {
        HOLDS: low > delta,
        CONTRARY: -high > delta,
        SMALL: max(abs(low), abs(high)) < delta,
        UNDECIDED: True,
    }
    return next(word for word, fits in rules.items() if fits)


def judged_with(
    holds=lambda low, high, delta: low > delta,
    contrary=lambda low, high, delta: high < -delta,
    small=lambda low, high, delta: -delta < low and high < delta,
    otherwise=UNDECIDED,
):
    """Room for mistakes in each of the rules."""

    def wrong(low, high, delta):
        if holds(low, high, delta):
            return HOLDS
        if contrary(low, high, delta):
            return CONTRARY
        return SMALL if small(low, high, delta) else otherwise

    return wrong


def an_interval(rng):
    delta = float(rng.choice([0.02, 0.3, 1.0]))
    low, high = np.sort(delta * rng.uniform(-3, 3, 2))
    return float(low), float(high), delta


def alarms(words):
    called = [word in (HOLDS, CONTRARY) for word in words]
    share = sum(called) / len(called)
    return share, math.sqrt(share * (1 - share) / len(called))


def alarms_by_numpy(words):
    called = np.isin(words, [HOLDS, CONTRARY])
    return np.array([called.mean(), called.std() / called.size**0.5])


def alarms_by_count(words):
    quiet = sum(words.count(word) for word in {*words} - {HOLDS, CONTRARY})
    n = len(words)
    return 1 - quiet / n, (quiet * (n - quiet) / n**3) ** 0.5


def alarms_with(called=(HOLDS, CONTRARY), first=lambda p, n: p, second=lambda p, n: 0.0):
    """Room for mistakes: what counts as an alarm, the share, its error."""

    def wrong(words):
        n = len(words)
        p = sum(word in called for word in words) / n
        return first(p, n), second(p, n)

    return wrong


def binomial(p, n):
    return math.sqrt(p * (1 - p) / n)


def some_words(rng):
    p = rng.dirichlet([2, 1, 2, 2])
    words = rng.choice([HOLDS, CONTRARY, SMALL, UNDECIDED], int(rng.integers(20, 40)), p=p)
    return (tuple(map(str, words)),)


# -- Break it: four laboratories, one of them right ------------------------------------------------

TRAINED, IMAGES = 5, 360  # trainings of an arm; test images
SPREAD = 0.02  # bits between trainings
BY_IMAGES = 0.15 / math.sqrt(IMAGES)  # bits of a model's mean: some images suit it, some do not
LOOSE = 0.03  # bits between a bound and the likelihood
TRIED = 40  # checkpoints of a training
LABORATORIES = {"right": "", "A": "tests", "B": "bound", "C": "samples"}
SCORINGS = ("as published", "other test images", "exact bits")


def laboratory(name: str, studies: int = 300) -> dict[str, np.ndarray]:
    """Of laboratory "right", "A", "B" or "C": many times the whole study, each of two arms that
    are the same. Bits that the first arm saves: (studies, 3), mean, low, high; by three scorings.
    """
    rng, fault = np.random.default_rng(17), LABORATORIES[name]
    trained = rng.normal(0, SPREAD, (2, studies, 1 if fault == "samples" else TRAINED))
    luck, other = rng.normal(0, BY_IMAGES, (2, *trained.shape))
    if fault == "tests":  # of every training of the first arm the checkpoint that suits the images
        luck[0] = rng.normal(0, BY_IMAGES, (TRIED, *trained.shape[1:])).min(axis=0)
    bits = {"as published": trained + luck, "other test images": trained + other}
    bits["exact bits"] = trained + luck
    if fault == "bound":
        for scoring in SCORINGS[:2]:
            bits[scoring] = bits[scoring] + np.array([0, LOOSE])[:, None, None]
    if fault == "samples":
        half = student(2 * (IMAGES - 1)) * BY_IMAGES * math.sqrt(2)
        middles = {scoring: (b - a)[:, 0] for scoring, (a, b) in bits.items()}
        return {s: np.transpose([x, x - half, x + half]) for s, x in middles.items()}
    return {
        scoring: np.array([interval(y[:, None], x[:, None]) for x, y in zip(*two)])
        for scoring, two in bits.items()
    }


# -- the exercises ---------------------------------------------------------------------------------

EXERCISES = (
    Exercise(
        "17.interval",
        "An effect, with its interval over trainings",
        reference=interval,
        alternatives=(interval_by_statistics, interval_by_shares),
        wrong=(
            (
                interval_with(rows=np.ravel),
                "Every sample set counts as a training of its own here. Two sets drawn from one "
                "model: are they two independent trainings?",
            ),
            (
                interval_with(rows=lambda x: x.mean(axis=0)),
                "This is the spread over sample sets, with the trainings averaged away. Which axis "
                "is which?",
            ),
            (
                interval_with(rows=lambda x: x[:, 0]),
                "Only the first sample set of each training is used.",
            ),
            (
                interval_with(ddof=0),
                "A variance from few numbers: their own mean was subtracted. What does var divide "
                "by, and what should it? (ddof)",
            ),
            (
                interval_with(freedom=lambda a, b, n, m: n + m - 2),
                "These degrees of freedom are right if both arms vary alike. Must they?",
            ),
            (
                interval_with(freedom=lambda a, b, n, m: (a + b) ** 2 / (a**2 / n + b**2 / m)),
                "In the degrees of freedom, how many are left in an arm once its mean is known?",
            ),
            (
                interval_with(freedom=lambda a, b, n, m: min(n, m) - 1),
                "These degrees of freedom forget the arm that was trained more often.",
            ),
            (
                interval_with(freedom=lambda a, b, n, m: (a + b) / (a / (n - 1) + b / (m - 1))),
                "Three squares stand in Welch's formula. For two arms alike, of five trainings "
                "each, it gives 8: print yours.",
            ),
            (
                interval_with(
                    freedom=lambda a, b, n, m: (a + b) / (a**2 / (n - 1) + b**2 / (m - 1))
                ),
                "Degrees of freedom have no unit: measured in hundredths, your figures would have "
                "other ones. What is not squared?",
            ),
            (
                interval_with(
                    freedom=lambda a, b, n, m: (a + b) ** 2 / (a / (n - 1) + b / (m - 1))
                ),
                "Degrees of freedom have no unit: the numerator is a squared variance here. What "
                "is below it?",
            ),
            (
                interval_with(error=lambda a, b: math.sqrt(a)),
                "The second arm's trainings differ, too: its share of the error is missing.",
            ),
            (
                interval_with(error=lambda a, b: math.sqrt(b)),
                "The first arm's trainings differ, too: its share of the error is missing.",
            ),
            (
                interval_with(quantile=lambda freedom: 1.0),
                "This is one standard error to either side. How many are 95%?",
            ),
            (
                interval_with(quantile=lambda freedom: 2 * student(freedom)),
                "The quantile reaches from the middle to one end. Yours is twice as far.",
            ),
            (
                interval_with(quantile=lambda freedom: student(freedom) / 2),
                "The quantile reaches from the middle to one end. Yours is half as far.",
            ),
            (
                interval_with(quantile=lambda freedom: 1.96),
                "1.96 is for very many trainings, whose spread is known. For a few it is estimated,"
                " and may be too small by chance: that is what student(freedom) is for.",
            ),
            (
                interval_with(quantile=lambda freedom: student(freedom, 0.9)),
                "2.5% are to be left on each side. How much does your quantile leave in all?",
            ),
            (
                interval_with(sign=-1),
                "Effect and interval have their sign turned: which mean is taken from which?",
            ),
            (
                interval_with(squared=lambda x, ddof: x.var(ddof=ddof)),
                "This is how far single trainings lie apart. How far off is a mean of n of them?",
            ),
            (
                interval_with(error=lambda a, b: math.sqrt(a) + math.sqrt(b)),
                "Standard errors of independent means do not add up: what of them does?",
            ),
            (
                interval_with(error=lambda a, b: a + b),
                "A variance is in squared units. What is missing before it is a length?",
            ),
            (
                two_intervals,
                "Each arm has an interval of its own here, and both are at their ends at once. How "
                "likely is that? Build one interval, for the difference.",
            ),
            (
                interval_with(result=lambda middle, half: (middle - half, middle, middle + half)),
                "The right three numbers, in another order: first the mean.",
            ),
            (
                interval_with(result=lambda middle, half: (middle, half)),
                "Mean and half width; asked for are mean and both ends.",
            ),
        ),
        hints=(
            "First make one number of every training, whatever the number of its sample sets.",
            "Of each arm: the mean of these numbers, and the variance of that mean. The variance of"
            " a difference of two independent means is made of both.",
            "Half the interval is student(freedom) times the standard error of the difference, the "
            "root of its variance.",
        ),
        inputs=two_arms,
        edges=(
            two_arms(_rng, 3, 3, 1),
            two_arms(_rng, 2, 2, 4),
            two_arms(_rng, 5, 2, 3),
            (np.arange(8.0).reshape(4, 2), np.ones((3, 4))),
        ),
        run=quietly,
        forbidden=("minigen.compare.verdict.difference", "minigen.compare.verdict.around"),
        minutes=10,
    ),
    Exercise(
        "17.verdict",
        "The verdict, by rule",
        reference=judged,
        alternatives=(judged_by_ends, judged_by_list),
        wrong=(
            (
                judged_with(
                    holds=lambda low, high, delta: low > 0,
                    contrary=lambda low, high, delta: high < 0,
                ),
                "This asks whether there is an effect. Does one that is clear, and tiny, matter?",
            ),
            (
                judged_with(small=lambda low, high, delta: low < 0 < high),
                "An interval around 0 may be wide: is a large effect ruled out by it?",
            ),
            (
                judged_with(
                    holds=lambda low, high, delta: (low + high) / 2 > delta,
                    contrary=lambda low, high, delta: (low + high) / 2 < -delta,
                ),
                "This judges by the middle of the interval. What is the interval for?",
            ),
            (
                judged_with(small=lambda low, high, delta: abs(low + high) / 2 < delta),
                "The middle is smaller than delta. And the ends?",
            ),
            (
                judged_with(otherwise=CONTRARY),
                "What does not hold is contrary here. Is a claim refuted by an interval that is "
                "merely wide?",
            ),
            (
                judged_with(otherwise=SMALL),
                "Whatever is left is called small here. Look at an interval from far below minus "
                "delta to far above delta.",
            ),
            (
                judged_with(contrary=lambda low, high, delta: high < delta, small=lambda *_: False),
                "An effect of 0 would be the contrary here. Which interval speaks against a claim?",
            ),
            (
                judged_with(contrary=lambda *_: False),
                "This never says the contrary. What if all of the interval lies far below 0?",
            ),
            (
                judged_with(contrary=lambda low, high, delta: low < -delta),
                "One end below minus delta is not all of the interval.",
            ),
            (
                judged_with(holds=lambda low, high, delta: high > delta),
                "One end above delta is not all of the interval.",
            ),
            (
                judged_with(
                    holds=lambda low, high, delta: low >= delta,
                    contrary=lambda low, high, delta: high <= -delta,
                ),
                "What does the text say of an interval that touches delta?",
            ),
            (
                judged_with(small=lambda low, high, delta: low > -delta),
                "Too small on both sides: how far up may the interval reach?",
            ),
        ),
        hints=(
            "Draw a line with -delta, 0 and delta, and the five kinds of interval on it.",
            "Two comparisons with delta say that it holds, or that the contrary does; two more that"
            " it is too small.",
        ),
        inputs=an_interval,
        edges=(
            (0.06, 0.2, 0.05),
            (-0.3, -0.1, 0.05),
            (-0.02, 0.04, 0.05),
            (-0.04, 0.02, 0.05),
            (0.01, 0.03, 0.05),
            (-0.4, 0.5, 0.05),
            (0.01, 0.2, 0.05),
            (-0.06, 0.02, 0.05),
            (-0.2, -0.01, 0.05),
            (-0.09, 0.3, 0.1),
            (0.5, 0.75, 0.5),
            (-0.75, -0.5, 0.5),
        ),
        forbidden=("minigen.compare.verdict.Effect.verdict.fget",),
        minutes=3,
    ),
    Exercise(
        "17.alarms",
        "How often a rule cries wolf",
        reference=alarms,
        alternatives=(alarms_by_numpy, alarms_by_count),
        wrong=(
            (
                alarms_with((HOLDS,), second=binomial),
                "Only one of the two wrong words is counted. The arms are the same: what else would"
                " be wrong to say?",
            ),
            (
                alarms_with((HOLDS, CONTRARY, UNDECIDED), second=binomial),
                '"not decided" is no false alarm: nothing was claimed.',
            ),
            (
                alarms_with((SMALL, UNDECIDED), second=binomial),
                "This counts the experiments without an alarm.",
            ),
            (
                alarms_with((HOLDS, CONTRARY, SMALL), second=binomial),
                "The arms are the same: is it false to call their difference too small to matter?",
            ),
            (
                alarms_with(second=lambda p, n: math.sqrt(p * (1 - p) / max(1, n - 1))),
                "The share is right. Its error divides by n - 1. Of zeros and ones the variance is"
                " p(1 - p), with nothing to correct: divide by all n.",
            ),
            (
                alarms_with(second=lambda p, n: p * (1 - p) / n),
                "The share is right. Its error is squared still.",
            ),
            (
                alarms_with(second=lambda p, n: math.sqrt(p * (1 - p))),
                "The share is right. Its error is that of one experiment: there were many.",
            ),
            (
                alarms_with(second=lambda p, n: math.sqrt(p / n)),
                "The share is right. Its error should be 0 where every experiment is an alarm.",
            ),
            (
                alarms_with(second=lambda p, n: math.sqrt(p * (1 - p) / max(1, p * n))),
                "The share is right. Its error is divided by the number of alarms. How many "
                "experiments could have been one?",
            ),
            (
                alarms_with(
                    first=lambda p, n: p * n, second=lambda p, n: math.sqrt(n * p * (1 - p))
                ),
                "These are numbers of experiments; asked for are shares of all.",
            ),
            (
                alarms_with(second=lambda p, n: 1.96 * binomial(p, n)),
                "The share is right. This is half a 95% interval; asked for is one standard error.",
            ),
        ),
        hints=(
            "Make a list of 0 and 1, 1 where the word claims a difference: its mean is the share.",
            "One entry is 1 with probability p: what is its variance, and that of a mean of n?",
        ),
        inputs=some_words,
        edges=(
            ((HOLDS, SMALL, CONTRARY, UNDECIDED, UNDECIDED),),
            ((SMALL,) * 5 + (UNDECIDED,) * 3,),
            ((CONTRARY,) * 4 + (HOLDS,) * 2,),
        ),
        minutes=3,
    ),
    Exercise(
        "17.claim",
        "A claim of your own",
        reference=example,
        alternatives=(example_by_pairs, example_by_loops),
        wrong=(
            (
                lambda: {"statement": example().statement},
                "Return a Claim(...), with all of its fields.",
            ),
            (
                example_with(statement="Diffusion is better."),
                "Which arm, in which figure, than which other arm? Write the sentence so that the "
                "check can read it: ARM has higher (or lower) FIGURE than ARM.",
            ),
            (
                example_with(statement="GPT has higher precision than GPT"),
                "Two different arms are needed.",
            ),
            (
                example_with(delta=0.0),
                "With delta = 0 any effect matters, and none can be too small. Which is the "
                "smallest that would change what you do? Write down that number.",
            ),
            (
                example_with(refuted=""),
                "`refuted` says which result would make you give the claim up. If there is none, it"
                " is no claim.",
            ),
            (
                example_with(refuted=example().statement),
                "`refuted` repeats the statement. Which result would speak *against* it?",
            ),
            (
                example_with(expected=""),
                "`expected` is written before measuring: what do you think will come out, and why?",
            ),
            (
                example_with(scope=""),
                "`scope` says of what the verdict will be: which data, how much training, how many "
                "seeds?",
            ),
            (
                example_with(cells=small_cells("DDPM")),
                "The sentence speaks of an arm that no cell trains.",
            ),
            (
                effects_with(("GPT", "DDPM")),
                "On made-up results in which your sentence is true, your effect is negative. Which "
                "mean is taken from which, and does the sentence say higher or lower?",
            ),
            (
                effects_with(figure="recall"),
                "The sentence speaks of one figure, the effect is made of another, or of another "
                "arm.",
            ),
            (
                effects_with(judge=lambda about, more, less, delta: difference("", more, less, 0)),
                "On made-up results that hardly differ your claim is not called too small to "
                "matter. Where does delta enter?",
            ),
            (
                effects_with(judge=bare_mean),
                "On made-up results whose trainings lie far apart your claim is decided. Where is "
                "the interval?",
            ),
            (
                example_with(effects=lambda records, delta: "holds"),
                "`effects` returns a list of Effects, here of one: [difference(...)]. The verdict "
                "follows from it.",
            ),
        ),
        hints=(
            "Choose two arms and one figure; the source of C6 above shows how effects are made.",
            "In `effects`, figures(records, NAME, arm=ARM) gives one number a seed; difference("
            "about, more, less, delta) takes the mean of `less` from that of `more`.",
            "If your sentence says lower, the arm that should be lower is `less`.",
        ),
        inputs=some_results,
        edges=(
            (3.0, 0.05, 3, 1),
            (-3.0, 0.05, 4, 2),
            (0.0, 0.05, 5, 3),
            (0.5, 0.02, 3, 4),
            (1.5, 2.0, 3, 5),
            (-1.4, 1.5, 4, 6),
        ),
        run=run_claim,
        minutes=10,
    ),
    Exercise(
        "17.sentences",
        "What is wrong with three sentences",
        reference="241",
        alternatives=("2, 4, 1", (2, 4, 1)),
        wrong=(
            ("341", "One of the faults that you name would be cured by a hundred trainings."),
            (
                "231",
                "Is the order of likelihoods in doubt here by chance, or for as many trainings as "
                "you like?",
            ),
            (
                "142",
                "What else is in A's table that the sentence leaves out? And what else differs "
                "between the two arms of C?",
            ),
            ("421", "Which sentence is about a likelihood? Only there can there be a bound."),
            (
                "214",
                "One of these sentences says *why*; one is about a likelihood. Which is which?",
            ),
            ("124", "Look for the word `because`: only one sentence names a cause."),
            ("412", "Seconds have no bound. Whose figures are `<=`?"),
        ),
        hints=(
            "Look each source up in your mind: what else stands in the table, or differs?",
            "A likelihood is exact for one family and bounded for the other. A cause is tested by "
            "taking it away.",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
    ),
    Exercise(
        "17.bugs",
        "Name the faults of three laboratories",
        reference="413",
        alternatives=("4, 1, 3", (4, 1, 3)),
        wrong=(
            (
                "143",
                "For one of these two the effect is gone on other images, for the other it is gone "
                "with exact bits. Which fault would which of them cure?",
            ),
            (
                "423",
                "If the better trainings had been kept, they would still be better by exact bits. "
                "Are B's?",
            ),
            (
                "213",
                "If the better trainings had been kept, they would still be better on other "
                "images. Are A's?",
            ),
            ("431", "Which laboratory's effects have a mean of 0, and yet miss it too often?"),
            ("314", "Three faults, but look again at what each other scoring takes away."),
            (
                "412",
                "C's mean effect is 0: nothing was preferred. What is wrong with its intervals?",
            ),
            ("341", "A's effects are not centred on 0. Can intervals that are too short do that?"),
            ("134", "Look at the means of C: is an arm favoured there?"),
        ),
        hints=(
            "Two things can be wrong with an interval: where it is, and how long it is.",
            "What was chosen by some images is no better on others. What a bound adds is gone when "
            "the bits are exact.",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
    ),
)
