"""The checks of lesson 14: masked diffusion; and three runs whose bugs the lesson asks to name."""

from copy import deepcopy

import numpy as np

from minigen import sampling
from minigen.course.comparing import changed
from minigen.course.exercise import Exercise
from minigen.tensor import Tensor

SIGMAS = 6  # how far chance may go

# -- the hidden-set loss ---------------------------------------------------------------------------


def hidden_set_loss(cost, x, rng):
    B, L = x.shape
    k = rng.integers(1, L + 1, size=(B, 1))
    hidden = rng.random((B, L)).argsort(axis=1).argsort(axis=1) < k
    return (cost(x, hidden) * (hidden * L / k)).sum(axis=1).mean()


def hidden_set_loss_by_rows(cost, x, rng):
    """One row after the other, by a permutation cut off after k."""
    hidden = np.zeros(x.shape, bool)
    for row in hidden:
        row[rng.permutation(len(row))[: rng.integers(len(row)) + 1]] = True
    share = hidden.mean(axis=1)
    return (cost(x, hidden) * (hidden / share[:, None])).sum() / len(x)


def hidden_set_loss_by_orders(cost, x, rng):
    """A random order, and how many of it are known: 0 .. L - 1."""
    place = rng.permuted(np.tile(np.arange(x.shape[1]), (len(x), 1)), axis=1)
    known = np.floor(rng.random(len(x)) * x.shape[1])
    hidden = place >= known[:, None]
    of_row = cost(x, hidden) * hidden.astype(float) / hidden.sum(axis=1)[:, None]
    return of_row.sum(axis=1).mean() * x.shape[1]


def of_sets(hidden, L):
    return hidden * L / hidden.sum(axis=1, keepdims=True)


def trial(
    cost, x, rng, low=1, high=0, shared=False, choose=None, k_of=None,
    weight=of_sets, measure=lambda costs: costs.sum(axis=1).mean(), asked=lambda hidden: hidden,
):  # fmt: skip
    """The loss with room for mistakes: k from low to L + high, one for the batch, sets chosen in
    another way, another weight, another mean, the network asked about another set.
    """
    B, L = x.shape
    k = rng.integers(low, L + high + 1, size=(B, 1))
    k = k_of(rng, B, L) if k_of else k
    if shared:
        k = k[:1]
    scores = rng.random((1 if choose == "shared" else B, L)) + np.zeros((B, 1))
    if choose == "first":
        scores = np.arange(L) + np.zeros((B, 1))
    if choose == "last":
        scores = -np.arange(L) + np.zeros((B, 1))
    if choose == "run":
        scores = (np.arange(L) - rng.integers(L, size=(B, 1))) % L
    hidden = scores.argsort(axis=1).argsort(axis=1) < k
    with np.errstate(all="ignore"):
        return measure(cost(x, asked(hidden)) * weight(hidden, L))


def by_coins(cost, x, rng, weight=lambda hidden, t: hidden / t):
    """A share t for each row, and a coin of that share for each token."""
    t = rng.uniform(1e-3, 1, size=(len(x), 1))
    hidden = rng.random(x.shape) < t
    return (cost(x, hidden) * weight(hidden, t)).sum(axis=1).mean()


def by_coins_of_k(cost, x, rng):
    """A coin of k / L for each token: k are hidden on average only."""
    B, L = x.shape
    k = rng.integers(1, L + 1, size=(B, 1))
    hidden = rng.random((B, L)) < k / L
    return (cost(x, hidden) * (hidden * L / k)).sum(axis=1).mean()


def next_one_only(cost, x, rng):
    """L times the cost of the one token that comes next: right on average, and noisier."""
    B, L = x.shape
    order = rng.random((B, L)).argsort(axis=1).argsort(axis=1)
    k = rng.integers(1, L + 1, size=(B, 1))
    return (cost(x, order < k) * (L * (order == k - 1))).sum(axis=1).mean()


def half_of_them(cost, x, rng):
    hidden = rng.random(x.shape) < 0.5
    return (cost(x, hidden) * hidden).sum(axis=1).mean()


LOSSES = {  # of costs (B, L), hidden (B, L), k (B, 1), L
    "mean over rows of L / k times the sum over hidden": lambda c, h, k, L: (
        (c * h * L / k).sum(1).mean()
    ),
    "mean over rows of the sum over hidden": lambda c, h, k, L: (c * h).sum(1).mean(),
    "mean over rows of the mean over hidden": lambda c, h, k, L: (c * h / k).sum(1).mean(),
    "mean over all tokens of L / k times the cost": lambda c, h, k, L: (c * h * L / k).mean(),
    "mean over all hidden tokens of the batch": lambda c, h, k, L: (c * h).sum() / h.sum(),
    "L times the mean over all hidden tokens": lambda c, h, k, L: L * (c * h).sum() / h.sum(),
    "mean over rows of k / L times the sum over hidden": lambda c, h, k, L: (
        (c * h * k / L).sum(1).mean()
    ),
    "the hidden and the shown": lambda c, h, k, L: (c * L / k).sum(1).mean(),
    "the hidden and the shown, alike": lambda c, h, k, L: c.sum(1).mean(),
    "the shown": lambda c, h, k, L: (c * ~h * L / k).sum(1).mean(),
    "sum over rows of L / k times the sum over hidden": lambda c, h, k, L: (c * h * L / k).sum(),
    "the negative of what is asked for": lambda c, h, k, L: -(c * h * L / k).sum(1).mean(),
}


class Asked:
    """A network's costs, and a note of what it was asked."""

    def __init__(self):
        self.seen = []

    def __call__(self, x, hidden):
        x, hidden = np.asarray(x), np.asarray(hidden)
        fits = hidden.dtype == bool and hidden.shape == x.shape
        known = hidden if fits else np.zeros(x.shape, bool)
        costs = 0.3 + np.cos(1.7 * x + np.arange(x.shape[-1]) + known.sum(-1, keepdims=True)) ** 2
        self.seen.append((x, hidden, costs))
        return Tensor(costs)


def sets_asked(answer, x, rng, batches=10):
    network = Asked()
    for _ in range(batches):
        answer(network, x, rng)
    return [np.asarray(hidden, float) for _, hidden, _ in network.seen]


def run_hidden_set_loss(answer, x, rng):
    """What a learner's loss does, in words: the sets, and how costs become a number."""
    if changed(*(sets_asked(answer, x, deepcopy(rng)) for _ in range(2))):
        return "two generators in the same state give different sets"
    network, losses, L = Asked(), [], x.shape[1]
    copies = np.tile(x, (-(-1200 * L // len(x)), 1))
    for batch in (copies, copies, copies, x):
        loss = answer(network, batch, rng)
        if loss is None:
            return None
        losses.append(loss)
    if len(network.seen) != 4:
        return f"cost is asked {len(network.seen) / 4:.3g} times a batch, not once"
    if any(
        changed(seen, batch)
        for (seen, _, _), batch in zip(network.seen, (copies, copies, copies, x))
    ):
        return "cost is given other tokens than x: what is hidden from the network is its business"
    if any(h.dtype != bool or h.shape != seen.shape for seen, h, _ in network.seen):
        last = network.seen[-1][1]
        return f"hidden is {last.dtype} {last.shape}; booleans {x.shape} belong"
    losses = [loss_seen([loss], c[None], h[None]) for loss, (_, h, c) in zip(losses, network.seen)]
    told = losses[0] if len(set(losses[:3])) == 1 else "the loss is something else"
    return f"{sets_seen(np.array([h for _, h, _ in network.seen[:3]]))}; {told}"


def sets_seen(hidden: np.ndarray) -> str:
    """Which sets (batches, B, L) were hidden."""
    L = hidden.shape[2]
    if (hidden == hidden[0]).all():
        return "rng in other states gives the same sets again"
    if (hidden == hidden[:, :1]).all():
        return "one set for the whole batch"
    k = hidden.sum(axis=2)
    if (k == k[:, :1]).all():
        return "one k for the whole batch"
    words = f"k from {k.min()} to {k.max()}" + (" = L" if k.max() == L else "")
    counts = np.bincount(k.ravel(), minlength=L + 1)[k.min() : k.max() + 1]
    even = k.size / len(counts)
    if np.abs(counts - even).max() > SIGMAS * even**0.5:
        words += ", not all alike"
    pairs = np.einsum("tbi,tbj->ij", hidden, hidden, dtype=float)
    of_two, of_one = (k * (k - 1)).sum() / (L * (L - 1)), k.sum() / L
    expected = np.where(np.eye(L), of_one, of_two)
    drawn_together = np.abs(pairs - expected).max() > SIGMAS * k.size**0.5 / 2
    if drawn_together or any(map(fixed_order, hidden)):
        words += ", some sets of a size more often than others"
        words += ", the first" * bool((hidden[..., 0] == (k > 0)).all())
        words += ", the last" * bool((hidden[..., -1] == (k > 0)).all())
    return words


def fixed_order(hidden: np.ndarray) -> bool:
    """Whether the sets (B, L) of a batch lie in one another: rows that share an order."""
    by_size = hidden[np.argsort(hidden.sum(axis=1), kind="stable")]
    return bool((by_size[1:] >= by_size[:-1]).all())


def loss_seen(losses, costs, hidden) -> str:
    if any(not isinstance(loss, Tensor) for loss in losses):
        return "the loss is no Tensor: it has no gradient"
    if any(loss.shape != () for loss in losses):
        return f"the loss has {len(losses[0].shape)} axes, not 0"
    values, L = np.array([loss.item() for loss in losses]), hidden.shape[2]
    k = np.maximum(hidden.sum(axis=2, keepdims=True), 1)
    for words, measure in LOSSES.items():
        expected = [measure(c, h, n, L) for c, h, n in zip(costs, hidden, k)]
        if np.allclose(values, expected, rtol=1e-3, atol=1e-5):
            return words
    return "the loss is something else"


def tokens_of(rng, shape=None):
    shape = tuple(rng.integers(3, 7, size=2)) if shape is None else shape
    return rng.integers(0, 5, size=shape), rng


# -- reveal ----------------------------------------------------------------------------------------


def reveal(x, logits, count, rng):
    hidden = x == logits.shape[-1]
    merit = np.where(hidden, rng.random(x.shape), -1)  # what is known comes last
    chosen = (-merit).argsort(axis=1).argsort(axis=1) < count
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    u = rng.random((*x.shape, 1))
    drawn = np.minimum((u >= p.cumsum(axis=-1)).sum(axis=-1), logits.shape[-1] - 1)
    return np.where(chosen, drawn, x)


def reveal_by_rows(x, logits, count, rng):
    V, after = logits.shape[-1], x.copy()
    for row, of_row in zip(after, logits.astype(float)):
        for i in rng.choice(np.flatnonzero(row == V), size=count, replace=False):
            weights = np.exp(of_row[i] - of_row[i].max())
            row[i] = rng.choice(V, p=weights / weights.sum())
    return after


def reveal_by_gumbel(x, logits, count, rng):
    noise = -np.log(-np.log(rng.random(logits.shape)))
    drawn, places = (logits + noise).argmax(axis=-1), rng.random(x.shape) + (x < logits.shape[-1])
    first = np.argsort(places, axis=1)[:, :count]
    after = np.array(x)
    np.put_along_axis(after, first, np.take_along_axis(drawn, first, axis=1), axis=1)
    return after


def softmax(logits):
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def drawn_from(p, rng):
    u = rng.random((*p.shape[:-1], 1))
    return np.minimum((u >= p.cumsum(axis=-1)).sum(axis=-1), p.shape[-1] - 1)


def attempt(
    x, logits, count, rng, merit=None, what=None, where_hidden=True, chance=None, place=False
):
    """reveal with room for mistakes: another merit of the places, another draw."""
    V, p = logits.shape[-1], softmax(logits)
    hidden = x == V
    tokens = drawn_from(p, rng) if what is None else what(p, rng)
    scores = rng.random(x.shape) if merit is None else merit(p, tokens, rng)
    scores = np.where(hidden, scores, -1) if where_hidden else scores
    chosen = (-scores).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") < count
    if chance:
        chosen = hidden & (rng.random(x.shape) < count / max(hidden.sum(axis=1).max(), 1))
    if place:  # the order of the places, taken for their ranks
        chosen = (-scores).argsort(axis=1) < count
    return np.where(chosen, tokens, x)


def likelihood(p, tokens, rng):
    return np.take_along_axis(p, tokens[..., None], axis=-1)[..., 0]


def one_token(p, rng):
    return drawn_from(p.mean(axis=1, keepdims=True), rng) + np.zeros(p.shape[:2], int)


def any_token(p, rng):
    return rng.integers(p.shape[-1], size=p.shape[:2])


def over_positions(p):
    """Softmax over the places instead of the tokens, made to sum to 1 again."""
    q = p / np.maximum(p.sum(axis=1, keepdims=True), 1e-30)
    return q / q.sum(axis=-1, keepdims=True)


def one_uniform(p, rng):  # for all places of a row
    u = rng.random((len(p), 1, 1))
    return np.minimum((u >= p.cumsum(axis=-1)).sum(axis=-1), p.shape[-1] - 1)


def written_in_place(x, logits, count, rng):
    x[...] = reveal(x, logits, count, rng)
    return x


def overwriting(x, logits, count, rng):
    return drawn_from(softmax(logits), rng)


def overflowing(x, logits, count, rng):
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        return attempt(x, logits, count, rng, what=lambda _, rng: drawn_from(p, rng))


def run_reveal(answer, x, logits, count, rng):
    """What a learner's reveal does, in words."""
    first, again = (answer(x.copy(), logits, count, deepcopy(rng)) for _ in range(2))
    if first is None:
        return None
    if np.shape(first) != x.shape:
        return f"x afterwards has the shape {np.shape(first)}"
    if changed(np.asarray(first), np.asarray(again)):
        return "two generators in the same state give different tokens"
    V, times = logits.shape[-1], 1200
    hidden = x == V
    rows, of_rows = np.tile(x, (times, 1)), np.tile(logits, (times, 1, 1))
    before = rows.copy()
    after = np.asarray(answer(before, of_rows, count, rng))
    if (before != rows).any():
        return "it writes into x"
    if after.shape != rows.shape:
        return f"x afterwards has the shape {np.shape(first)}"
    again = count and not changed(after, np.asarray(answer(before, of_rows, count, rng)))
    after = after.reshape(times, *x.shape)
    if after.dtype.kind not in "iu" and (after != np.round(after)).any():
        return "not all of x afterwards is whole numbers"
    if (after[:, ~hidden] != x[~hidden]).any():
        return "what was known has changed"
    if after.min() < 0 or after.max() > V:
        return "there are tokens that do not exist"
    new = hidden & (after != V)
    numbers = new.sum(axis=2)
    if (numbers != count).any():
        return "more or fewer than count are revealed in a row" + (
            ", on average right" if abs(numbers.mean() - count) < 0.2 else ""
        )
    if count == 0:
        return "nothing is revealed, as asked"
    words = f"{places_seen(new, hidden, count)}; {tokens_seen(after, new, logits)}"
    return words + ("; in the next batch the same again" if again else "")


def places_seen(new, hidden, count):
    times, left = len(new), hidden.sum(axis=1)
    if any((new == new[:1, i : i + 1]).all() for i in range(len(hidden)) if left[i] > count):
        return "always the same places"
    if (hidden == hidden[0]).all() and count < left[0] and (new == new[:, :1]).all():
        return "all rows reveal the same places"
    share = count / left[:, None] * hidden
    if (np.abs(new.mean(axis=0) - share) > SIGMAS * np.sqrt(share * (1 - share) / times)).any():
        return "some hidden places more often than others"
    return "any hidden place alike"


def tokens_seen(after, new, logits):
    p, V = softmax(logits.astype(float)), logits.shape[-1]
    n = new.sum(axis=0)[..., None]
    got = np.stack([(new & (after == v)).sum(axis=0) for v in range(V)], axis=-1)

    def fits(q):
        return (np.abs(got - n * q) <= SIGMAS * np.sqrt(n * q * (1 - q)) + 1e-6 * n).all()

    if fits(p):
        return "tokens drawn from softmax" + (
            ", but tied to each other" if tied(after, new) else ""
        )
    laws = {
        "the likeliest token": np.eye(V)[p.argmax(axis=-1)],
        "any token alike": np.full_like(p, 1 / V),
        "one softmax for all places": np.broadcast_to(p.mean(axis=1, keepdims=True), p.shape),
        "softmax over the places": over_positions(p),
    }
    for words, q in laws.items():
        if fits(q):
            return words
    typical, expected = ((q * np.log(p + 1e-30)).sum() for q in (got, n * p))
    return f"tokens from a law that is {'sharper' if typical > expected else 'flatter'}"


def tied(after, new):
    """Whether two places of row 0 that are revealed together tell of each other."""
    i, j = np.argsort(-new[:, 0].sum(axis=0), kind="stable")[:2]
    both = after[new[:, 0, i] & new[:, 0, j], 0][:, [i, j]]
    if len(both) < 200:
        return False
    tokens = np.arange(both.max() + 1)
    first, second = both[:, :1] == tokens, both[:, 1:] == tokens
    alone = np.outer(first.mean(axis=0), second.mean(axis=0))
    together = (first[:, :, None] & second[:, None]).mean(axis=0)
    return bool((np.abs(together - alone) > SIGMAS * np.sqrt(alone / len(both)) + 0.01).any())


def a_step(rng, shape=None, count=None, dtype=np.float64, known=True):
    B, L, V = rng.integers(3, 6, size=3) if shape is None else shape
    x = rng.integers(0, V, size=(B, L))
    left = int(rng.integers(2, L + 1)) if known else L
    hide = rng.random((B, L)).argsort(axis=1).argsort(axis=1) < left
    hide[-1] = hide[0]  # two rows that can be compared
    x = np.where(hide, V, x)
    count = int(rng.integers(1, left + 1)) if count is None else count
    return x, (1.5 * rng.normal(size=(B, L, V))).astype(dtype), count, rng


def steep(rng):
    """Logits far from 0, and tokens that cannot be."""
    x, logits, count, rng = a_step(rng, (3, 4, 3), 1)
    logits[..., 1] = -np.inf
    return x, logits + 1000, count, rng


# -- what haste costs ------------------------------------------------------------------------------


def price(h, counts):
    total, known = 0.0, 0
    for j in counts:
        total += j * h[known] - sum(h[known : known + j])
        known += j
    return total


def price_by_sums(h, counts):
    known = np.cumsum(counts) - counts
    return np.dot(counts, np.asarray(h)[known]) - np.sum(h)


def price_by_tokens(h, counts):
    at_once = np.repeat(np.cumsum(counts) - np.array(counts), counts)
    return float(sum(h[a] - h[k] for k, a in enumerate(at_once)))


def priced(h, counts, at=lambda known, j: known, less=True, pairs=False):
    total, known = 0.0, 0
    for j in counts:
        total += j * h[at(known, j)] - less * sum(h[known : known + j])
        known += j
    return total


def a_schedule(rng, counts=None):
    if counts is None:
        counts = rng.integers(1, 4, size=rng.integers(2, 5))
    counts = np.array(counts)
    return np.sort(rng.uniform(0, 0.7, size=counts.sum()))[::-1].copy(), counts


# -- Break it: three runs, each with one bug -------------------------------------------------------

BUGS = {"A": "confidence", "B": "no weights", "C": "at once"}
NUMBERED = ("no weights", "confidence", "at once", "float32")  # as in the lesson's list
ANSWER = "".join(str(1 + NUMBERED.index(bug)) for bug in BUGS.values())


def faulty_run(run, world, rng, n=20_000):
    """Run "A", "B" or "C" of a perfect network, with one bug: strings (n, L), cost of a string."""
    bug, L = BUGS[run], world.length
    commit = sampling.reveal(
        sampling.draw(rng), rng,
        sampling.by_confidence if bug == "confidence" else sampling.at_random,
    )  # fmt: skip
    times = range(L, -1, -L // 2) if bug == "at once" else range(L, -1, -1)
    x = np.full((n, L), 2)
    x = sampling.run(x, times, lambda x, now: logits_of(world, x), commit)
    data = world.sample(n, rng)
    k = rng.integers(1, L + 1, size=(n, 1))
    hidden = rng.random(data.shape).argsort(axis=1).argsort(axis=1) < k
    log_p = logits_of(world, np.where(hidden, 2, data))
    costs = -np.take_along_axis(log_p, data[..., None], axis=-1)[..., 0] * hidden
    if bug == "no weights":
        return x, float(L * costs.sum() / hidden.sum())
    return x, float((costs * L / k).sum(axis=1).mean())


def logits_of(world, x):
    """log p(x_i = v | what is shown), every different row asked once."""
    rows, back = np.unique(x, axis=0, return_inverse=True)
    log_p = world.conditionals(np.where(rows < 2, rows, 0), rows < 2)
    return log_p[back.ravel()]


EXERCISES = (
    Exercise(
        "14.hidden_set_loss",
        "The hidden-set loss",
        reference=hidden_set_loss,
        alternatives=(hidden_set_loss_by_rows, hidden_set_loss_by_orders, lambda *a: trial(*a)),
        wrong=(
            (
                lambda *a: trial(*a, weight=lambda h, L: h),
                "The hidden costs are summed, without a weight: with k = 1 one term of L is paid, "
                "with k = L all L of them. Is the mean of that the cost of a whole order?",
            ),
            (
                lambda *a: trial(*a, weight=lambda h, L: h / h.sum(axis=1, keepdims=True)),
                "This is the mean of the hidden costs, what one step of an order costs: a cost per "
                "token. Asked for is a whole row. How many steps has an order?",
            ),
            (
                lambda *a: trial(*a, measure=lambda costs: costs.sum()),
                "The rows are summed. Asked for is their mean.",
            ),
            (
                lambda *a: trial(
                    *a, weight=lambda h, L: h, measure=lambda c: c.sum() / (c.numpy() > 0).sum()
                ),
                "All hidden tokens of the batch weigh alike here, so a row with k = L counts L "
                "times as much as a row with k = 1. In an order, does a step count more where "
                "more is hidden?",
            ),
            (
                lambda *a: trial(*a, weight=lambda h, L: h * h.sum(axis=1, keepdims=True) / L),
                "The weight grows with the number hidden. An order takes one step with k hidden, "
                "for every k: by what is the sum over k tokens divided to be one step?",
            ),
            (
                lambda *a: trial(
                    *a, weight=lambda h, L: L / h.sum(axis=1, keepdims=True) + 0 * h
                ),
                "The shown tokens are counted too. What does a network pay for a token that it is "
                "shown?",
            ),
            (
                lambda *a: trial(*a, weight=lambda h, L: np.ones(h.shape)),
                "All tokens are counted, the shown ones too, and without weights.",
            ),
            (
                lambda *a: trial(*a, weight=lambda h, L: ~h * L / h.sum(axis=1, keepdims=True)),
                "The costs of the shown tokens are counted, not those of the hidden ones.",
            ),
            (
                lambda *a: trial(*a, asked=lambda hidden: ~hidden),
                "The network is asked with the shown set where the hidden one belongs.",
            ),
            (
                lambda *a: trial(*a, low=0, weight=lambda h, L: (
                    h * L / np.maximum(h.sum(axis=1, keepdims=True), 1)
                )),
                "In some rows nothing is hidden: k = 0 was drawn. How many are hidden before the "
                "last step of an order?",
            ),
            (
                lambda *a: trial(*a, low=0, high=-1, weight=lambda h, L: (
                    h * L / np.maximum(h.sum(axis=1, keepdims=True), 1)
                )),
                "k runs from 0 to L - 1 here: that is how many can be known. How many can be "
                "hidden?",
            ),
            (
                lambda *a: trial(*a, high=-1),
                "k never reaches L: the first step of an order, from nothing at all, is never "
                "trained. Is the upper end of rng.integers drawn?",
            ),
            (
                lambda *a: trial(*a, shared=True),
                "One k for the whole batch. Draw one for each row.",
            ),
            (
                lambda *a: trial(*a, choose="shared", shared=True),
                "One set for the whole batch. Draw one for each row.",
            ),
            (
                lambda *a: trial(*a, choose="shared"),
                "All rows choose their hidden places in the same order: draw an order for each "
                "row.",
            ),
            (
                lambda *a: trial(*a, choose="first"),
                "The hidden tokens are always the first of the row. Any set of that size must be "
                "alike likely.",
            ),
            (
                lambda *a: trial(*a, choose="last"),
                "The hidden tokens are always the last of the row: this is the one order of a GPT. "
                "Any set of that size must be alike likely.",
            ),
            (
                lambda *a: trial(*a, choose="run"),
                "The hidden tokens stand side by side. Any set of that size must be alike likely.",
            ),
            (
                half_of_them,
                "A fair coin for each token hides about half of them, nearly never one or all. "
                "Each k from 1 to L must be alike likely.",
            ),
            (
                lambda *a: trial(*a, k_of=lambda rng, B, L: 1 + rng.binomial(L - 1, 0.5, (B, 1))),
                "Not every k is alike likely here: those in the middle come more often.",
            ),
            (
                by_coins,
                "A share t and a coin for each token: the same on average, but sometimes nothing "
                "is hidden. Asked for is a set of k tokens, k drawn first.",
            ),
            (
                by_coins_of_k,
                "A coin for each token hides k of them on average only, and sometimes none. Asked "
                "for are exactly k.",
            ),
            (
                next_one_only,
                "The sets are right. Do all k hidden costs of a row enter the loss, and each with "
                "which weight?",
            ),
            (
                lambda cost, x, rng: trial(cost, x, np.random.default_rng(0)),
                "Each batch gets the same sets. Is a generator made anew inside, with a fixed "
                "seed? Draw from rng.",
            ),
            (
                lambda cost, x, rng: trial(cost, x, np.random.default_rng()),
                "Some of the chance does not come from rng: the same generator in the same state "
                "must give the same loss.",
            ),
            (
                lambda cost, x, rng: float(trial(cost, x, rng).item()),
                "The right number, but torn off from the network: backward starts from a Tensor.",
            ),
            (
                lambda *a: trial(*a, measure=lambda costs: costs.sum(axis=1)),
                "One cost for each row. backward starts from one number: their mean.",
            ),
            (
                lambda *a: -trial(*a),
                "The sign is wrong: cost is -log p already, and a loss is to fall.",
            ),
        ),
        hints=(
            "Draw k for each row, then a random set of k places: ranks of random numbers, "
            "rng.random((B, L)).argsort(axis=1).argsort(axis=1), are 0 .. L - 1 in random order.",
            "With k hidden, the next step of a random order takes any of the k alike: on average "
            "it costs the mean of the k hidden costs.",
            "A whole order is L such steps, one for each k. You look at one k only, drawn "
            "uniformly: by what must its step be multiplied so that the mean is the whole order?",
        ),
        inputs=tokens_of,
        edges=(
            tokens_of(np.random.default_rng(1), (1, 2)),
            tokens_of(np.random.default_rng(2), (7, 3)),
        ),
        run=run_hidden_set_loss,
        tries=3,
        forbidden=("minigen.models.masked.MaskedDiffusion.hide",),
        minutes=10,
    ),
    Exercise(
        "14.reveal",
        "Revealing some of what is hidden",
        reference=reveal,
        alternatives=(reveal_by_rows, reveal_by_gumbel, lambda *a: attempt(*a)),
        wrong=(
            (
                lambda *a: attempt(*a, merit=likelihood),
                "The places whose tokens are likeliest come first. Asked for is any hidden place "
                "alike: what comes early would be more typical than the model says.",
            ),
            (
                lambda *a: attempt(*a, merit=lambda p, t, rng: p.max(axis=-1)),
                "The places where the network is surest come first. Asked for is any hidden place "
                "alike.",
            ),
            (
                lambda *a: attempt(
                    *a, what=lambda p, rng: p.argmax(axis=-1), merit=lambda p, t, rng: p.max(-1)
                ),
                "Nothing is left to chance here, neither the places nor the tokens. Both are "
                "drawn.",
            ),
            (
                lambda *a: attempt(*a, what=lambda p, rng: p.argmax(axis=-1)),
                "The likeliest token is written each time. A sample is drawn: an unlikely token "
                "comes too, as often as the network says.",
            ),
            (
                lambda *a: attempt(*a, merit=lambda p, t, rng: -np.arange(p.shape[1]) / 99 + 1),
                "The leftmost hidden places come first: that is the order of a GPT. Any hidden "
                "place is alike likely here.",
            ),
            (
                lambda *a: attempt(
                    *a, merit=lambda p, t, rng: rng.random((1, p.shape[1])) + np.zeros((len(p), 1))
                ),
                "All rows reveal the same places. Each row draws its own.",
            ),
            (
                lambda *a: attempt(*a, where_hidden=False),
                "Places that were known already are chosen, too. What is known stays; count is of "
                "the hidden ones.",
            ),
            (
                overwriting,
                "All of x is drawn anew. What is known stays, and only count places are revealed.",
            ),
            (
                lambda x, logits, count, rng: reveal(
                    x, logits, (x == logits.shape[-1]).sum(1).max(), rng
                ),
                "All that is hidden is revealed at once. How many does count allow?",
            ),
            (
                lambda *a: attempt(*a, chance=True),
                "The number revealed is right on average only. Exactly count in each row.",
            ),
            (
                lambda *a: attempt(*a, place=True),
                "One argsort gives the places in the order of their numbers; compared with count, "
                "what is needed is the rank of each place.",
            ),
            (
                lambda x, logits, count, rng: attempt(x, logits, count + 1, rng),
                "One too many is revealed. Ranks begin at 0.",
            ),
            (
                lambda *a: attempt(*a, what=any_token),
                "Every token comes alike often. What do the logits say?",
            ),
            (
                lambda *a: attempt(*a, what=lambda p, rng: drawn_from(over_positions(p), rng)),
                "The probabilities are normalised over the wrong axis: for each place, over the "
                "V tokens.",
            ),
            (
                lambda *a: attempt(*a, what=one_token),
                "All places share one distribution. Each place has its own logits.",
            ),
            (
                lambda *a: attempt(*a, what=one_uniform),
                "The tokens of a row are drawn with one random number. Each place draws its own.",
            ),
            (
                lambda x, logits, count, rng: attempt(x, 2 * logits, count, rng),
                "The distribution is sharper than softmax of the logits.",
            ),
            (
                lambda x, logits, count, rng: attempt(x, logits / 2, count, rng),
                "The distribution is flatter than softmax of the logits.",
            ),
            (
                overflowing,
                "Right, until a logit is too large for exp: then infinity is divided by infinity. "
                "What may be subtracted from all logits of a place?",
            ),
            (
                written_in_place,
                "The tokens are right, but x itself is changed: whoever calls reveal still needs "
                "the state before. Work on a copy.",
            ),
            (
                lambda x, logits, count, rng: attempt(
                    x, logits, count, np.random.default_rng(0)
                ),
                "Each call reveals the same. Is a generator made anew inside, with a fixed seed? "
                "Draw from rng.",
            ),
            (
                lambda x, logits, count, rng: attempt(x, logits, count, np.random.default_rng()),
                "Some of the chance does not come from rng: the same generator in the same state "
                "must give the same tokens.",
            ),
        ),
        hints=(
            "Three steps: draw a token for every place; choose count of the hidden places in each "
            "row; write the drawn tokens there (np.where).",
            "Give every hidden place a random number and every known place one that always loses. "
            "argsort of an argsort turns numbers into ranks.",
            "To draw from probabilities p (B, L, V): count how many entries of "
            "p.cumsum(axis=-1) a uniform number (B, L, 1) has reached.",
        ),
        inputs=a_step,
        edges=(
            a_step(np.random.default_rng(1), (2, 3, 2), 0),
            a_step(np.random.default_rng(2), (4, 5, 17), 5, np.float32, known=False),
            a_step(np.random.default_rng(3), (4, 6, 3), 2, known=False),
            steep(np.random.default_rng(4)),
        ),
        run=run_reveal,
        tries=4,
        forbidden=(
            "minigen.sampling.tokens.reveal",
            "minigen.sampling.tokens.categorical",
            "minigen.sampling.tokens.draw",
        ),
        minutes=6,
    ),
    Exercise(
        "14.price",
        "What haste costs",
        reference=price,
        alternatives=(price_by_sums, price_by_tokens),
        wrong=(
            (
                lambda h, counts: priced(h, counts, less=False),
                "This is what the walk pays in all. The price of haste is what it pays beyond one "
                "token at a time.",
            ),
            (
                lambda h, counts: float(np.sum(h)),
                "This is what one token at a time pays: the entropy. What does haste add?",
            ),
            (
                lambda h, counts: -price(h, counts),
                "The sign is wrong: haste costs, it does not save.",
            ),
            (
                lambda h, counts: priced(h, counts, at=lambda known, j: known + j - 1),
                "All tokens of a step are drawn at its beginning: how many are known then?",
            ),
            (
                lambda h, counts: sum(j * h[i] for i, j in enumerate(counts)) - np.sum(h),
                "h is indexed by how many tokens are known, not by the number of the step.",
            ),
            (
                lambda h, counts: sum(
                    h[k] - h[min(k + j, len(h) - 1)]
                    for k, j in zip(np.cumsum(counts) - counts, counts)
                ),
                "Each step is compared with the step after it. How much does each single token of "
                "the step lose?",
            ),
            (
                lambda h, counts: price(h, counts) / len(h),
                "This is the price for a token. Asked for is that of a whole string.",
            ),
            (
                lambda h, counts: price(h, counts[::-1]),
                "The steps come in the wrong order: counts[0] is the first, with nothing known.",
            ),
            (
                lambda h, counts: price(h[::-1], counts),
                "h comes in the wrong order: h[0] is with nothing known.",
            ),
            (
                lambda h, counts: len(h) * h[0] - float(np.sum(h)),
                "This is the price of a single step of all tokens. Where do counts come in?",
            ),
            (
                lambda h, counts: max(
                    j * h[k] - sum(h[k : k + j])
                    for k, j in zip(np.cumsum(counts) - counts, counts)
                ),
                "This is the dearest step only. The prices of all steps add up.",
            ),
            (
                lambda h, counts: sum(
                    h[k] - h[k + j - 1] for k, j in zip(np.cumsum(counts) - counts, counts)
                ),
                "Only the last token of each step is counted. The others of it miss something, "
                "too.",
            ),
            (
                lambda h, counts: sum(
                    h[k] - np.mean(h[k : k + j]) for k, j in zip(np.cumsum(counts) - counts, counts)
                ),
                "Each step is averaged over its tokens, so a step of three counts like a step of "
                "one. A string pays for every token.",
            ),
            (
                lambda h, counts: sum(
                    (j - 1) * h[k] for k, j in zip(np.cumsum(counts) - counts, counts)
                ),
                "Of each step all tokens but the first are counted in full. What would they cost "
                "one at a time: nothing?",
            ),
        ),
        hints=(
            "Take a step of 3 with nothing known. What do its three tokens pay on average? What "
            "would they pay one after the other?",
            "At once: 3 h[0]. One after the other: h[0] + h[1] + h[2].",
            "In general k are known before the step of j: keep k in a variable and add j to it.",
        ),
        inputs=a_schedule,
        edges=(
            a_schedule(np.random.default_rng(1), [1, 1, 1]),
            a_schedule(np.random.default_rng(2), [4]),
            a_schedule(np.random.default_rng(3), [3, 1, 2]),
        ),
        minutes=6,
    ),
    Exercise(
        "14.bugs",
        "Three bugs named from plots and numbers",
        reference=ANSWER,
        alternatives=(int(ANSWER), " ".join(ANSWER), ",".join(ANSWER), list(ANSWER)),
        wrong=(
            ("123", "In one run the strings are right and only the reported number is not."),
            ("132", "Which of the bugs cannot change a single string that is drawn?"),
            ("312", "One run draws too many likely strings, one too many unlikely ones. Which bug "
             "prefers what the network is sure of?"),
            ("321", "Which run reports a wrong cost, and are its strings wrong?"),
            ("231", "Of one run the strings are as chance alone would have them. Which bug?"),
            ("214", "Could float32 be seen in a world whose rarest token has a chance of 5%?"),
            ("413", "How rare must a token be, for 2^-24 to matter?"),
            ("314", "A's strings are likelier than the world's. Which bug likes the likely?"),
        ),
        hints=(
            "Begin with the reported costs: a bug of the sampler does not change them.",
            "Of the two others: in one the drawn strings are likelier than the world's own, in "
            "the other less likely.",
            "Tokens drawn as if independent make strings that the world hardly knows.",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
    ),
)  # fmt: skip
