"""The checks of lesson 06: factorized likelihood; and the three patients that the lesson asks to
name.
"""

import functools
import itertools

import numpy as np

import minigen as mg
from minigen.course.exercise import Exercise

# -- Break it: three networks, two with a wrong mask -----------------------------------------------

FAULTS = {"P": "A for B", "Q": "B for A", "R": "healthy"}


def patient(name: str, x: np.ndarray) -> mg.MADE:
    """Patient "P", "Q" or "R", trained on strings x (N, 8)."""
    rng = np.random.default_rng(0)
    made = mg.MADE(8, hidden=(64,), rng=rng)
    place, degree = np.arange(8), np.rint(np.linspace(6, 0, 64))  # as in made.masks
    if FAULTS[name] == "A for B":
        made._masks[0] = (degree[:, None] > place).astype(np.float32)
    if FAULTS[name] == "B for A":
        made._masks[1] = (place[:, None] >= degree).astype(np.float32)
    mg.fit(made, mg.data.batches(x, 100, rng), steps=500, lr=0.02, rng=rng, weight_decay=0.0)
    return made


# -- the exercises ---------------------------------------------------------------------------------


def as_floats(answer, *arguments):
    return np.asarray(answer(*arguments), dtype=float)


def bits(nats, dimensions):
    return np.mean(nats) / np.log(2) / dimensions


def log_factors(joint, x, order):
    index, before, factors = [slice(None)] * joint.ndim, joint.sum(), []
    for i in order:
        index[i] = x[i]
        mass = joint[tuple(index)].sum()
        factors.append(np.log(mass / before))
        before = mass
    return np.array(factors)


def log_factors_by_summing_out(joint, x, order):
    log_mass = [0.0]
    for k in range(1, len(order) + 1):
        others = tuple(i for i in range(joint.ndim) if i not in order[:k])
        log_mass.append(np.log(joint.sum(axis=others)[tuple(x[i] for i in sorted(order[:k]))]))
    return np.diff(log_mass)


def log_factors_by_strings(joint, x, order):
    strings = list(itertools.product((0, 1), repeat=joint.ndim))

    def mass(known):
        return sum(joint[s] for s in strings if all(s[i] == x[i] for i in known))

    return [np.log(mass(order[: k + 1]) / mass(order[:k])) for k in range(len(order))]


def marginals(joint, x, order):
    return np.array(
        [np.log(joint.sum(axis=tuple(j for j in range(joint.ndim) if j != i))[x[i]]) for i in order]
    )


def in_place_of_symbol(joint, x, order):
    return log_factors(joint, x, order)[np.argsort(order)]


def two_masks(order, degrees):
    place, degrees = np.argsort(order), np.asarray(degrees)
    into_hidden = degrees[:, None] >= place
    into_output = place[:, None] > degrees
    return into_hidden.astype(float), into_output.astype(float)


def two_masks_by_loops(order, degrees):
    into_hidden = np.zeros((len(degrees), len(order)))
    into_output = np.zeros((len(order), len(degrees)))
    for place, symbol in enumerate(order):
        for unit, degree in enumerate(degrees):
            into_hidden[unit, symbol] = place <= degree
            into_output[symbol, unit] = place > degree
    return into_hidden, into_output


def two_masks_by_sets(order, degrees):
    known = [set(order[: d + 1]) for d in degrees]
    before = {symbol: set(order[:k]) for k, symbol in enumerate(order)}
    into_hidden = [[j in known[u] for j in range(len(order))] for u in range(len(degrees))]
    into_output = [[k <= before[i] for k in known] for i in range(len(order))]
    return np.array(into_hidden), np.array(into_output)


def two_masks_with(place, hidden=np.greater_equal, output=np.greater):
    """Room for mistakes: other places, other comparisons."""

    def masks(order, degrees):
        places, degrees = place(order), np.asarray(degrees)
        into_hidden, into_output = (
            hidden(degrees[:, None], places),
            output(places[:, None], degrees),
        )
        return into_hidden.astype(float), into_output.astype(float)

    return masks


def as_masks(answer, order, degrees):
    """0 and 1 may be booleans or whole numbers."""
    result = answer(order, degrees)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        return result
    return tuple(np.asarray(mask, dtype=float) for mask in result)


def an_order_and_degrees(rng):
    D = int(rng.integers(2, 7))
    return tuple(map(int, rng.permutation(D))), rng.integers(0, D, rng.integers(2, 9))


def draw(logits, order, uniforms):
    x = np.zeros(uniforms.shape, dtype=int)
    for i in order:
        ink = 1 / (1 + np.exp(-logits(x)[:, i]))
        x[:, i] = uniforms[:, i] < ink
    return x


def draw_by_log_odds(logits, order, uniforms):
    """u < 1 / (1 + exp(-a)) where log(u / (1 - u)) < a."""
    with np.errstate(divide="ignore"):
        odds = np.log(uniforms) - np.log1p(-uniforms)
    x = 1 - uniforms  # what is not written yet, nobody sees
    for i in order:
        x[:, i] = np.where(odds[:, i] < logits(x)[:, i], 1, 0)
    return x


def draw_row_by_row(logits, order, uniforms):
    rows = []
    for u in uniforms:
        x = np.zeros((1, len(u)), dtype=int)
        for i in order:
            x[0, i] = int(u[i] < 0.5 * (1 + np.tanh(logits(x)[0, i] / 2)))
        rows.append(x[0])
    return np.array(rows)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def draw_with(chance=sigmoid, sequence=tuple, decide=np.less, column=lambda i, k: i):
    """Room for mistakes: another probability, sequence, decision, column of u."""

    def draw(logits, order, uniforms):
        x = np.zeros_like(uniforms)
        for k, i in enumerate(sequence(order)):
            u = uniforms[:, column(i, k)]
            x[:, i] = decide(u, chance(logits(x)[:, i]))
        return x

    return draw


def draw_at_once(logits, order, uniforms):
    return (uniforms < sigmoid(logits(np.zeros_like(uniforms)))).astype(int)


def draw_from_one_pass(logits, order, uniforms):
    """The network is asked once, before the loop."""
    ink, x = sigmoid(logits((uniforms < 0.5).astype(int))), np.zeros(uniforms.shape, dtype=int)
    for i in order:
        x[:, i] = uniforms[:, i] < ink[:, i]
    return x


def chances_of_a_draw(logits, order, uniforms):
    return sigmoid(logits(draw(logits, order, uniforms)))


def run_draw(answer, weights, order, uniforms):
    """A network of one masked layer, with weights (D, D); its biases stand on the diagonal."""
    place = np.argsort(order)
    seen = weights * (place[:, None] > place)

    def logits(x):
        return np.asarray(x, dtype=float) @ seen.T + np.diag(weights)

    return as_floats(answer, logits, order, uniforms)


def a_network(rng):
    D = int(rng.integers(3, 7))
    order = tuple(map(int, rng.permutation(D)))
    return 3 * rng.normal(size=(D, D)), order, rng.random((int(rng.integers(5, 12)), D))


def best_cost(cost):
    best = np.full(len(cost), np.inf)
    best[0] = 0.0
    for seen in range(len(cost)):
        for i in range(cost.shape[1]):
            if not seen >> i & 1:
                after = seen | 1 << i
                best[after] = min(best[after], best[seen] + cost[seen, i])
    return best[-1]


def order_cost(cost, order):
    seen, total = 0, 0.0
    for i in order:
        total += cost[seen, i]
        seen |= 1 << i
    return total


def best_by_trying(cost):
    return min(order_cost(cost, order) for order in itertools.permutations(range(cost.shape[1])))


def best_from_the_end(cost):
    dimensions = cost.shape[1]

    @functools.cache
    def rest(seen):
        left = [i for i in range(dimensions) if not seen >> i & 1]
        return min((cost[seen, i] + rest(seen | 1 << i) for i in left), default=0.0)

    return rest(0)


def greedy(cost):
    seen, total = 0, 0.0
    for _ in range(cost.shape[1]):
        i = min((i for i in range(cost.shape[1]) if not seen >> i & 1), key=lambda i: cost[seen, i])
        total, seen = total + cost[seen, i], seen | 1 << i
    return total


def cheapest_set_of_each(cost):
    sets = np.arange(len(cost))
    return sum(cost[(sets >> i & 1) == 0, i].min() for i in range(cost.shape[1]))


def some_costs(rng, D):
    return (rng.uniform(0.1, 1.0, size=(2**D, D)),)


def a_joint(rng):
    D = int(rng.integers(2, 6))
    joint = rng.dirichlet(np.ones(2**D)).reshape((2,) * D)
    return joint, *(tuple(map(int, v)) for v in (rng.integers(0, 2, D), rng.permutation(D)))


EXERCISES = (
    Exercise(
        "06.chain_rule",
        "The chain rule on a table, in any order",
        reference=log_factors,
        alternatives=(log_factors_by_summing_out, log_factors_by_strings),
        wrong=(
            (
                marginals,
                "This is log p(x_i) of each symbol alone: independent symbols. What is already "
                "known must restrict the sum.",
            ),
            (
                in_place_of_symbol,
                "This has the right factors in another sequence: symbol 0 first. The exercise "
                "wants the order's first symbol first.",
            ),
            (
                lambda joint, x, order: log_factors(joint, x, range(joint.ndim)),
                "This is what you get from left to right, whatever `order` says. The sum is the "
                "same, the factors are not.",
            ),
            (
                lambda joint, x, order: np.cumsum(log_factors(joint, x, order)),
                "This is log p of all symbols so far. A factor is a ratio: what do you divide by?",
            ),
            (
                lambda joint, x, order: np.exp(log_factors(joint, x, order)),
                "These are the factors themselves; the exercise asks for their logs.",
            ),
            (
                lambda joint, x, order: -log_factors(joint, x, order),
                "The sign is turned: asked for is log p, which is not positive.",
            ),
            (
                lambda joint, x, order: log_factors(joint, x, order) / np.log(2),
                "This is in bits; asked for is the natural logarithm.",
            ),
            (
                lambda joint, x, order: log_factors(joint, tuple(1 - v for v in x), order),
                "These are the factors of the opposite string: 0 and 1 are swapped somewhere.",
            ),
        ),
        hints=(
            "A conditional is a ratio of two sums over the table: with and without this symbol "
            "fixed.",
            "Keep a list of one index an axis, all slice(None) at first, and put x[i] into place "
            "i as you go.",
            "joint[tuple(index)].sum() is the mass that is left. Divide it by the mass before this "
            "step; the first is 1.",
        ),
        inputs=a_joint,
        edges=(
            (np.array([0.3, 0.7]), (1,), (0,)),
            (np.arange(1.0, 9.0).reshape(2, 2, 2) / 36, (1, 0, 1), (1, 2, 0)),
            (np.arange(1.0, 17.0).reshape(2, 2, 2, 2) / 136, (0, 1, 1, 0), (2, 0, 3, 1)),
        ),
        run=as_floats,
        minutes=6,
    ),
    Exercise(
        "06.masks",
        "The wiring of a network with one hidden layer, in any order",
        reference=two_masks,
        alternatives=(two_masks_by_loops, two_masks_by_sets),
        wrong=(
            (
                two_masks_with(np.argsort, output=np.greater_equal),
                "A path leads from a symbol to its own output: follow the place of one symbol "
                "through both masks. What would the likelihood be?",
            ),
            (
                two_masks_with(np.argsort, hidden=np.greater),
                "Nothing is seen that must not be, but too much is hidden: which output sees the "
                "symbol just before its own?",
            ),
            (
                two_masks_with(np.argsort, hidden=np.greater, output=np.greater_equal),
                "This never looks ahead either, but it means something else by a degree: a "
                "hidden unit of degree d must see the symbol at place d itself.",
            ),
            (
                two_masks_with(np.asarray),
                "This compares the entries of `order`, which say who comes at a place. You need "
                "the contrary: at which place someone comes.",
            ),
            (
                two_masks_with(lambda order: np.arange(len(order))),
                "This is right from left to right: `order` is not used.",
            ),
            (
                two_masks_with(np.argsort, hidden=np.less_equal, output=np.less),
                "The information flows backwards: a symbol sees those that come later.",
            ),
            (
                lambda order, degrees: tuple(mask.T for mask in two_masks(order, degrees)),
                "Both masks are transposed: rows belong to what is computed, columns to what "
                "is looked at.",
            ),
            (
                lambda order, degrees: two_masks(order, degrees)[::-1],
                "These are the two masks in the wrong sequence: into the hidden units first.",
            ),
            (
                lambda order, degrees: tuple(1 - mask for mask in two_masks(order, degrees)),
                "This is 1 where it should be 0: hidden and seen are swapped.",
            ),
            (
                two_masks_with(np.argsort, hidden=np.equal),
                "A hidden unit sees one symbol only here, the last that it may. It may see all "
                "symbols up to there.",
            ),
            (
                two_masks_with(np.argsort, output=lambda a, b: a == b + 1),
                "An output looks at the hidden units of one degree only here. Which others know "
                "nothing that it must not know?",
            ),
            (
                lambda order, degrees: two_masks(order, np.asarray(degrees) + 1),
                "These are the masks of degrees that are larger by 1. Places are counted from 0, "
                "and so are degrees.",
            ),
        ),
        hints=(
            "You need the place of each symbol: order = (2, 0, 1) means that symbol 2 has place "
            "0. np.argsort of a permutation is its inverse; or use loops.",
            "A hidden unit may look at an input whose place is at most its degree.",
            "An output at place k must not depend on place k. Which is the highest degree that a "
            "hidden unit may have if this output looks at it?",
        ),
        inputs=an_order_and_degrees,
        edges=(
            ((2, 0, 1), np.array([1, 0])),
            ((0,), np.array([0])),
            ((1, 0), np.array([0, 1, 0])),
            ((0, 1, 2, 3), np.array([0, 1, 2, 2, 1])),
            ((1, 2, 3, 0), np.array([3, 0, 2, 1])),
        ),
        run=as_masks,
        forbidden=("minigen.models.made.masks",),
        minutes=10,
    ),
    Exercise(
        "06.draw",
        "Drawing, one symbol after the other",
        reference=draw,
        alternatives=(draw_by_log_odds, draw_row_by_row),
        wrong=(
            (
                draw_at_once,
                "No symbol knows what the others have become: was the network asked before "
                "they were written?",
            ),
            (
                draw_from_one_pass,
                "The network is asked once only. What has been written meanwhile?",
            ),
            (
                draw_with(sequence=lambda order: range(len(order))),
                "This writes from left to right, whatever `order` says.",
            ),
            (
                draw_with(sequence=np.argsort),
                "This writes in the inverse order: `order` itself says who comes next.",
            ),
            (
                draw_with(decide=np.greater),
                "0 and 1 are swapped: how often is a uniform number below 0.9?",
            ),
            (
                draw_with(decide=lambda u, p: p > 0.5),
                "This writes the likelier symbol each time and never uses `uniforms`: one string "
                "again and again.",
            ),
            (
                draw_with(chance=lambda a: a),
                "A logit is no probability: it can be negative. What makes a probability of it?",
            ),
            (draw_with(chance=np.exp), "exp(logit) is the odds, p / (1 - p), and not p."),
            (
                draw_with(column=lambda i, k: k),
                "The uniform number of a symbol stands in its own column, not in that of its "
                "place.",
            ),
            (
                draw_with(decide=lambda u, p: p),
                "This writes probabilities where 0 or 1 belongs, and goes on from them.",
            ),
            (chances_of_a_draw, "These are probabilities. Asked for are the symbols, 0 and 1."),
        ),
        hints=(
            "Start with an array of zeros, and go through `order`: at each step ask the network, "
            "and write one column.",
            "What the network says about symbol i is column i of logits(x), and only what stands "
            "in x already counts.",
            "p = 1 / (1 + exp(-logit)), and a uniform number lies below p with probability p.",
        ),
        inputs=a_network,
        edges=(
            (np.array([[0.5]]), (0,), np.array([[0.1], [0.6], [0.9]])),
            (np.full((2, 2), -30.0), (1, 0), np.array([[0.0, 0.5]])),
            (
                np.array([[0.0, 5.0, -5.0], [4.0, -1.0, 4.0], [-6.0, 3.0, 1.0]]),
                (2, 0, 1),
                np.array([[0.3, 0.2, 0.7], [0.9, 0.4, 0.1], [0.6, 0.8, 0.8], [0.1, 0.1, 0.3]]),
            ),
        ),
        run=run_draw,
        forbidden=("minigen.sampling.tokens.categorical",),
        minutes=6,
    ),
    Exercise(
        "06.patients",
        "Type A and type B: name the patients",
        reference=("A for B", "B for A", "healthy"),
        alternatives=(
            tuple("A for B, B for A, healthy".split(", ")),
            [FAULTS[name] for name in "PQR"],
            "A for B, b for a, Healthy",
        ),
        choices=("healthy", "A for B", "B for A"),
        wrong=(
            (
                ("B for A", "A for B", "healthy"),
                "One mistake lets a symbol see itself. What does that do to the sum over all "
                "strings, and to the cost?",
            ),
            (
                ("healthy", "B for A", "A for B"),
                "Two of them sum to 1. A mask that hides too much is a proper distribution too; "
                "compare their costs and the entries just below the diagonal.",
            ),
            (
                ("A for B", "healthy", "B for A"),
                "You call the cheapest one healthy. Can a model cost less than the entropy? Look "
                "at its sum over all strings.",
            ),
            (
                ("healthy", "A for B", "B for A"),
                "Only one of the three is no distribution. Which fault can do that?",
            ),
            (
                ("B for A", "healthy", "A for B"),
                "One fault lets a symbol see itself: look for a diagonal that is not empty.",
            ),
        ),
        hints=(
            "Start with the sum over all 256 strings: only one of the three is no distribution.",
            "Of the two proper ones, one sees less than it may. Look just below the diagonal.",
        ),
        minutes=3,
    ),
    Exercise(
        "06.bits",
        "From nats to bits per dimension",
        reference=bits,
        alternatives=(
            lambda nats, dimensions: sum(nats) / len(nats) / (dimensions * np.log(2)),
            lambda nats, dimensions: np.mean(np.asarray(nats) * np.log2(np.e)) / dimensions,
        ),
        wrong=(
            (
                lambda nats, dimensions: np.mean(nats) / dimensions,
                "This is what you get in nats per dimension. How many nats is one bit, one fair "
                "coin?",
            ),
            (
                lambda nats, dimensions: np.mean(nats) / np.log(2),
                "This is the cost in bits of a whole image, not of one of its dimensions.",
            ),
            (
                lambda nats, dimensions: np.mean(nats) * np.log(2) / dimensions,
                "This is what you get when log 2 multiplies. One bit is 0.69 nats: are there more"
                " bits or more nats?",
            ),
            (
                lambda nats, dimensions: np.asarray(nats) / np.log(2) / dimensions,
                "This is one number for each image. The exercise asks for the mean over the "
                "images.",
            ),
            (
                lambda nats, dimensions: np.sum(nats) / np.log(2) / dimensions,
                "This is the sum over the images. The exercise asks for the mean over the images.",
            ),
            (
                lambda nats, dimensions: np.mean(nats) * np.log2(np.e) * dimensions,
                "This multiplies by the number of dimensions. Of one dimension the cost is a "
                "share of the whole.",
            ),
            (
                lambda nats, dimensions: -np.mean(nats) / np.log(2) / dimensions,
                "The sign is turned once too often: nats is minus the logarithm already.",
            ),
            (
                lambda nats, dimensions: np.mean(nats) / np.log(10) / dimensions,
                "This is to base 10. A bit is to base 2.",
            ),
        ),
        hints=(
            "A fair coin costs 1 bit and log 2 nats. Which number do you divide by to get from the "
            "second to the first?",
            "Mean over images first; then two divisions, one for the unit and one for the "
            "dimensions.",
        ),
        inputs=lambda rng: (rng.uniform(5, 40, rng.integers(2, 9)), int(rng.integers(2, 64))),
        edges=(
            (np.array([np.log(2)]), 1),
            (np.array([0.0, 3.0]), 3),
            (np.array([8, 16, 24]), 64),
            (np.array([1.0, 2.0], dtype=np.float32), 5),
        ),
        minutes=3,
    ),
    Exercise(
        "06.best_order",
        "The best order, by dynamic programming",
        reference=best_cost,
        alternatives=(best_by_trying, best_from_the_end),
        wrong=(
            (
                greedy,
                "This is the greedy order: the cheapest symbol at every step. A dear symbol early"
                " can make all others cheap.",
            ),
            (
                cheapest_set_of_each,
                "This takes for each symbol the set that suits it best. No single order gives all"
                " of them those sets.",
            ),
            (
                lambda cost: cost.min(axis=0).sum(),
                "This takes the least entry of each column, even of sets that already hold the "
                "symbol; and no single order gives every symbol the set that suits it best.",
            ),
            (
                lambda cost: order_cost(cost, range(cost.shape[1])),
                "This is the cost of the order from left to right, not of the best.",
            ),
            (
                lambda cost: max(
                    order_cost(cost, order)
                    for order in itertools.permutations(range(cost.shape[1]))
                ),
                "This is the cost of the worst order.",
            ),
            (
                lambda cost: best_cost(cost) / cost.shape[1],
                "This is the cost of one symbol on average. The total was asked for.",
            ),
            (
                lambda cost: min(
                    order_cost(cost, np.roll(np.arange(cost.shape[1]), k))
                    for k in range(cost.shape[1])
                ),
                "This tries a few orders only. There are D! of them, or 2^D sets.",
            ),
            (
                lambda cost: np.min(cost[0]) + np.min(cost[-1]),
                "Only two sets are looked at here. Every symbol has its cost, after the set "
                "before it.",
            ),
        ),
        hints=(
            "Write the cost of one given order first: seen = 0, and after symbol i, seen |= 1 << "
            "i.",
            "best[seen]: the least cost at which the set `seen` can have been written. best[0] = "
            "0; you want the full set.",
            "best[seen | 1 << i] is at most best[seen] + cost[seen, i]. Adding a symbol makes the "
            "integer larger, so go upwards.",
        ),
        inputs=lambda rng: some_costs(rng, int(rng.integers(2, 6))),
        edges=(
            (np.array([[0.5], [0.25]]),),
            (np.array([[1.0, 2.0], [9.0, 3.0], [0.5, 9.0], [9.0, 9.0]]),),
            (np.ones((8, 3)),),
        ),
        minutes=10,
    ),
)
