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
    optimizer = mg.AdamW(mg.nn.parameters(made), lr=0.02, weight_decay=0.0)
    batches = mg.data.batches(x, 100, rng)
    for _ in mg.train(
        made,
        batches,
        500,
        optimizer,
        rng,
        learning_rate=mg.optim.warmup_cosine(0.02),
        progress=False,
    ):
        pass
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


def mask(order):
    place = np.argsort(order)
    return (place[:, None] > place[None, :]).astype(int)


def mask_by_loops(order):
    result = np.zeros((len(order), len(order)))
    for k, i in enumerate(order):
        for j in order[:k]:
            result[i, j] = 1
    return result


def mask_by_moving(order):
    result = np.zeros((len(order), len(order)), int)
    result[np.ix_(order, order)] = np.tril(np.ones((len(order), len(order)), int), -1)
    return result


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
    ),
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
    ),
    Exercise(
        "06.mask",
        "The mask of FVSBN in any order",
        reference=mask,
        alternatives=(mask_by_loops, mask_by_moving),
        wrong=(
            (
                lambda order: (np.argsort(order)[:, None] >= np.argsort(order)).astype(int),
                "This is a mask of type B: the diagonal is full, so a symbol sees itself. What "
                "would the likelihood be?",
            ),
            (
                lambda order: mask(order).T,
                "This is the mask transposed: [i, j] is 1 where i comes before j. Which index is "
                "the output's?",
            ),
            (
                lambda order: np.tril(np.ones((len(order), len(order)), int), -1),
                "This is the mask from left to right: `order` is not used.",
            ),
            (
                lambda order: (np.asarray(order)[:, None] > np.asarray(order)).astype(int),
                "This compares the entries of `order`, which say who comes at a place. "
                "You need the contrary: at which place someone comes.",
            ),
            (
                lambda order: 1 - mask(order),
                "This is 1 where it should be 0: hidden and seen are swapped.",
            ),
            (
                lambda order: (np.argsort(order)[:, None] == np.argsort(order) + 1).astype(int),
                "This lets each symbol see only the one just before it. All that come before may "
                "be seen.",
            ),
            (
                lambda order: np.triu(np.ones((len(order), len(order)), int), 1),
                "This is the mask from right to left: `order` is not used.",
            ),
            (
                lambda order: np.ones((len(order),) * 2, int) - np.eye(len(order), dtype=int),
                "This lets each symbol see all the others, those that come later too.",
            ),
        ),
        hints=(
            "You need the place of each symbol: order = (2, 0, 1) means that symbol 2 has place 0.",
            "np.argsort of a permutation is its inverse. Or fill the mask with two loops over "
            "`order`.",
        ),
        inputs=lambda rng: (tuple(map(int, rng.permutation(int(rng.integers(2, 8))))),),
        edges=(((2, 0, 1),), ((0,),), ((1, 0),), ((0, 1, 2, 3),), ((1, 2, 3, 0),)),
        run=as_floats,  # 0 and 1 may be booleans or floats
        forbidden=("minigen.models.made.masks",),
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
        ),
        hints=(
            "Start with the sum over all 256 strings: only one of the three is no distribution.",
            "Of the two proper ones, one sees less than it may. Look just below the diagonal.",
        ),
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
    ),
)
