"""The checks of lesson 04: Markov chains."""

import re

import numpy as np

from minigen import data
from minigen.course.exercise import Exercise
from minigen.models.markov import MarkovChain

# -- three runs handed in, for "Break it": what the learner names from numbers ---------------------


def handed_in(run: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run "A", "B" or "C": its training tokens, its test tokens and its letter-to-letter matrix
    (27, 27).
    """
    try:
        from pydoc_data.topics import topics

        paragraphs = re.split(r"\n\s*\n", "\n\n".join(topics.values()))
    except (
        ImportError
    ):  # an interpreter without its manual: repeat every fourth paragraph of what stands in for it
        text = data.python_manual("full")
        paragraphs = re.split(r"\n\s*\n", text.decode(text.train[:400_000]))
        paragraphs += paragraphs[::4]
    if run != "B":
        paragraphs = list(dict.fromkeys(paragraphs))  # each once
    order = np.random.default_rng(0).permutation(len(paragraphs))
    text = data.as_text("\n\n".join(paragraphs[i] for i in order), "a-z")
    counts = np.full((27, 27), 0.5)
    np.add.at(counts, (text.train[:-1], text.train[1:]), 1)
    return text.train, text.test, counts / counts.sum(axis=0 if run == "A" else 1, keepdims=True)


# -- the exercises ---------------------------------------------------------------------------------


def after(p, P, steps):
    for _ in range(steps):
        p = p @ P
    return p


def after_by_sums(p, P, steps):
    states = range(len(p))
    for _ in range(steps):
        p = [sum(p[i] * P[i][j] for i in states) for j in states]
    return np.array(p)


def after_transposed(p, P, steps):
    for _ in range(steps):
        p = P @ p
    return p


def some_chain(rng):
    V = int(rng.integers(2, 5))
    return rng.dirichlet(np.ones(V)), rng.dirichlet(np.ones(V), size=V), int(rng.integers(2, 9))


def stationary(P):
    values, vectors = np.linalg.eig(P.T)
    pi = np.real(vectors[:, np.argmax(np.real(values))])
    return pi / pi.sum()


def entropies(P):
    return -np.sum(P * np.log2(np.where(P > 0, P, 1)), axis=1)


def entropy_rate(P):
    pi = np.full(len(P), 1 / len(P))
    for _ in range(2000):
        pi = pi @ P
    return float(pi @ entropies(P))


def rate_from_pairs(P):
    """H(pair) - H(one), with the stationary distribution as a null space."""
    pi = stationary(P)
    pairs = pi[:, None] * P
    pairs = pairs[pairs > 0]
    return float(-(pairs * np.log2(pairs)).sum() + (pi * np.log2(pi)).sum())


def rate_with_log_zero(P):
    with np.errstate(all="ignore"):
        return float(stationary(P) @ -np.sum(P * np.log2(P), axis=1))


def sparse_chain(rng):
    V = int(rng.integers(3, 6))
    P = rng.dirichlet(np.ones(V), size=V)
    P[0, 2] = P[-1, 1] = 0.0  # the chain stays irreducible, but log 0 lurks
    return (P / P.sum(axis=1, keepdims=True),)


def some_table(rng, V):
    return rng.dirichlet(np.ones(V), size=(V, V))


def enlarge(table):
    V = len(table)
    P = np.zeros((V * V, V * V))
    for a in range(V):
        for b in range(V):
            for c in range(V):
                P[a * V + b, b * V + c] = table[a, b, c]
    return P


def enlarge_by_identity(table):
    V = len(table)
    return np.einsum("abc,bd->abdc", table, np.eye(V)).reshape(V * V, V * V)


def enlarge_by_index(table):
    V = len(table)
    P = np.zeros((V * V, V * V))
    now = np.arange(V * V)
    for c in range(V):
        P[now, now % V * V + c] = table.reshape(V * V, V)[:, c]
    return P


def enlarge_newest_first(table):
    V = len(table)
    P = np.zeros((V * V, V * V))
    for a in range(V):
        for b in range(V):
            for c in range(V):
                P[b * V + a, c * V + b] = table[a, b, c]
    return P


def enlarge_without_shift(table):
    V = len(table)
    P = np.zeros((V * V, V * V))
    for a in range(V):
        for b in range(V):
            for c in range(V):
                P[a * V + b, a * V + c] = table[a, b, c]
    return P


def enlarge_newest_in_front(table):
    V = len(table)
    P = np.zeros((V * V, V * V))
    for a in range(V):
        for b in range(V):
            for c in range(V):
                P[a * V + b, c * V + b] = table[a, b, c]
    return P


def ring(n, stay, right, left):
    turn = np.roll(np.eye(n), 1, axis=1)
    return stay * np.eye(n) + right * turn + left * turn.T


def mixing_time(P) -> int:
    try:
        return MarkovChain(P).mixing_time()
    except ValueError:  # periodic, or in pieces: never
        return 10**9


def judged(answer, n: int) -> tuple:
    """Rows that are distributions, only moves along the ring, uniform, and mixed in time (more than
    that is equal).
    """
    P = np.asarray(answer(n), dtype=np.float64)
    if P.shape != (n, n):
        raise ValueError(f"expected a matrix of shape {(n, n)}, got {P.shape}")
    rows = bool((P >= 0).all() and np.allclose(P.sum(axis=1), 1))
    if rows:
        P = P / P.sum(axis=1, keepdims=True)  # single precision rounds
    along = bool((P[ring(n, 1, 1, 1) == 0] == 0).all())
    uniform = bool(np.allclose(P.sum(axis=0), 1))  # 1/n is stationary if the columns sum to 1 too
    limit = mixing_time(ring(n, 0.2, 0.4, 0.4))
    return rows, along, uniform, max(mixing_time(P), limit) if rows else 0


def mix_fast(n):
    turn = np.roll(np.eye(n), 1, axis=1)
    return 0.1 * np.eye(n) + 0.45 * (turn + turn.T)


def mix_fast_in_a_loop(n):
    P = np.zeros((n, n))
    for i in range(n):
        P[i, i] = 0.12
        P[i, (i + 1) % n] += 0.44
        P[i, (i - 1) % n] += 0.44
    return P


def walk_off_balance(n):
    P = np.zeros((n, n))
    for i in range(n):
        P[i, i], P[i, (i + 1) % n], P[i, (i - 1) % n] = (0.1, 0.45, 0.45) if i else (0.1, 0.8, 0.1)
    return P


EXERCISES = (
    Exercise(
        "04.diagnose",
        "Name what happened in three runs from their numbers",
        reference=("wrong axis", "leak", "healthy"),
        alternatives=(
            ["Wrong axis", "Leak", "Healthy"],
            (" wrong axis ", "leak ", "healthy"),
            "wrong_axis, leak, healthy",
        ),
        choices=("healthy", "leak", "wrong axis", "targets not shifted"),
        wrong=(
            (
                ("healthy", "leak", "healthy"),
                "This is what you get from the scores alone: A and C have the same. "
                "But is what A calls a score the logarithm of a probability? Look at its sums.",
            ),
            (
                ("wrong axis", "healthy", "leak"),
                "This takes the lowest score for the healthiest. What must happen to a test score"
                " at orders far too long for the training text, and what did B's do instead?",
            ),
            (
                ("leak", "wrong axis", "healthy"),
                "One run has rows that do not sum to 1, another has test text that it saw in "
                "training. Which numbers show which?",
            ),
            (
                ("targets not shifted", "leak", "healthy"),
                "This would mean that A predicts the letter that it was given. Then its score "
                "would be near 0 bits.",
            ),
        ),
        hints=(
            "Three things tell the three stories: the sums, the share of windows, the shape of "
            "the ladder.",
            "A probability for the next letter must sum to 1 over the next letters, whatever it "
            "scores.",
            "A model with honest test text gets worse at some order. One that has seen the "
            "answers does not.",
        ),
    ),
    Exercise(
        "04.after",
        "The distribution after some steps",
        reference=after,
        alternatives=(lambda p, P, steps: p @ np.linalg.matrix_power(P, steps), after_by_sums),
        wrong=(
            (
                after_transposed,
                "This is what you get with P @ p. Row i of P says where state i goes: which axis "
                "must be summed over, the one of the state you leave or of the one you reach?",
            ),
            (
                lambda p, P, steps: p @ P**steps,
                "This is what you get when each entry is raised to a power. Two steps of a chain "
                "are a matrix product: every way through the state in between counts.",
            ),
            (lambda p, P, steps: p @ P, "This takes one step, whatever `steps` says."),
            (
                lambda p, P, steps: p @ np.linalg.matrix_power(P, steps + 1),
                "This takes one step too many. What is the distribution after 0 steps?",
            ),
            (
                lambda p, P, steps: p @ np.linalg.matrix_power(P, max(steps - 1, 0)),
                "This takes one step too few. Try steps = 1 on paper.",
            ),
            (
                lambda p, P, steps: p @ np.linalg.matrix_power(P, max(steps, 1)),
                "After 0 steps nothing has happened yet; this takes a step all the same.",
            ),
            (
                lambda p, P, steps: steps * (p @ P) if steps else p,
                "This multiplies one step by their number. The next step starts from where the "
                "last one ended.",
            ),
            (
                lambda p, P, steps: np.linalg.matrix_power(P, steps)[p.argmax()],
                "This starts in the likeliest state for certain. All states of p count, each with"
                " its probability.",
            ),
        ),
        hints=(
            "To be in j next, be in some i now and go from i to j; sum over all i.",
            "In NumPy that sum over i is p @ P. Do it `steps` times, and not at all for steps = 0.",
        ),
        inputs=some_chain,
        edges=(
            (np.array([0.25, 0.75]), np.array([[0.5, 0.5], [0.1, 0.9]]), 0),
            (np.array([1.0, 0.0]), np.array([[0.0, 1.0], [0.5, 0.5]]), 1),
            (np.array([0.0, 1.0, 0.0]), np.roll(np.eye(3), 1, axis=1), 4),
            (np.array([1.0]), np.array([[1.0]]), 3),
        ),
    ),
    Exercise(
        "04.entropy_rate",
        "Bits per step",
        reference=entropy_rate,
        alternatives=(rate_from_pairs, lambda P: float(np.dot(stationary(P), entropies(P)))),
        wrong=(
            (
                lambda P: float(entropies(P).mean()),
                "This is what you get when all rows count alike. How often is the chain in each "
                "state?",
            ),
            (
                lambda P: float(-(stationary(P) * np.log2(stationary(P))).sum()),
                "This is the entropy of the stationary distribution: the surprise of a state seen"
                " alone. What does the state before tell about it?",
            ),
            (
                lambda P: float(stationary(P) @ entropies(P) * np.log(2)),
                "This is in nats. Which logarithm gives bits?",
            ),
            (
                rate_with_log_zero,
                "This is 0 * log 0, which NumPy calls nan. A move that never happens costs "
                "nothing on average: take the logarithm only where P > 0.",
            ),
            (
                lambda P: -float(stationary(P) @ entropies(P)),
                "The sign is turned: surprise is minus the logarithm of a probability.",
            ),
            (
                lambda P: float(entropies(P).sum()),
                "This adds up the entropies of all rows. A step is made from one state: weigh "
                "them.",
            ),
            (
                lambda P: float(entropies(P).max()),
                "This is the entropy of the most uncertain state. How often is the chain there?",
            ),
            (
                lambda P: float(stationary(P) @ entropies(P)) / np.log2(len(P)),
                "This is the share of the largest entropy that is possible. Asked for are bits "
                "per step.",
            ),
        ),
        hints=(
            "Each row of P is a distribution with an entropy of its own, in bits.",
            "Average the rows' entropies, each as often as its state is visited: the weights are "
            "stationary.",
            "power_iteration(P) above gives the weights; np.where(P > 0, P, 1) makes log 0 "
            "harmless.",
        ),
        inputs=sparse_chain,
        edges=(
            (np.array([[0.5, 0.5], [1.0, 0.0]]),),
            (np.full((4, 4), 0.25),),
            (np.array([[0.9, 0.1], [0.3, 0.7]]),),
        ),
        forbidden=("minigen.models.markov.MarkovChain.entropy_rate",),
        tolerance=1e-6,
    ),
    Exercise(
        "04.enlarge",
        "Order 2 as order 1 on pairs",
        reference=enlarge,
        alternatives=(enlarge_by_identity, enlarge_by_index),
        wrong=(
            (
                enlarge_newest_first,
                "This is what you get with the newest symbol first. The pair (a, b), a before b, "
                "has number a V + b.",
            ),
            (
                enlarge_without_shift,
                "This is what you get when (a, b) moves to (a, c). The pair is the last two "
                "symbols: which two are the last two once c has come?",
            ),
            (
                enlarge_newest_in_front,
                "This is what you get when (a, b) moves to (c, b). In a pair the older symbol "
                "stands first: which of b and c is the older?",
            ),
            (
                lambda table: table.reshape(len(table) ** 2, len(table)),
                "This is the same table with rows for pairs. A transition matrix leads from a "
                "state to a *state*, so its columns are pairs as well.",
            ),
            (
                lambda table: enlarge(table).T,
                "This is what you get with rows and columns swapped: P[now, next], and each row "
                "sums to 1.",
            ),
            (
                lambda table: np.kron(np.eye(len(table)), table.mean(axis=0)),
                "Here the older of the two symbols plays no part. table[a, b, c] depends on a as "
                "well.",
            ),
            (
                lambda table: np.repeat(table.reshape(len(table) ** 2, -1), len(table), axis=1),
                "From (a, b) this reaches every pair. Which symbol is certain to be the older one"
                " of the next pair?",
            ),
            (
                lambda table: np.tile(table.reshape(len(table) ** 2, -1), (1, len(table))),
                "From (a, b) this reaches pairs that begin with any symbol, so the rows sum to V."
                " The next pair begins with b.",
            ),
        ),
        hints=(
            "From (a, b) only pairs that begin with b can be reached: V entries of each row are "
            "not 0.",
            "Three loops over a, b, c and one assignment: which row, which column?",
            "The row is that of (a, b), the column that of (b, c), the entry table[a, b, c].",
        ),
        inputs=lambda rng: (some_table(rng, int(rng.integers(2, 5))),),
        edges=((np.arange(8.0).reshape(2, 2, 2),), (np.ones((1, 1, 1)),)),
        forbidden=("minigen.models.markov.MarkovChain.enlarge",),
    ),
    Exercise(
        "04.mix_fast",
        "A chain on a ring that mixes fast",
        reference=mix_fast,
        alternatives=(mix_fast_in_a_loop, lambda n: ring(n, 0.1, 0.46, 0.44)),
        wrong=(
            (
                lambda n: ring(n, 0.5, 0.25, 0.25),
                "This is the lazy walk: it does mix, but half of its steps do nothing. How lazy "
                "must it be?",
            ),
            (
                lambda n: ring(n, 0, 0.5, 0.5),
                "This never mixes: on a ring of even length it is on an even place, then an odd "
                "one, then an even one, for ever. What breaks the rhythm?",
            ),
            (
                lambda n: np.full((n, n), 1 / n),
                "This mixes in one step, by leaps. Only staying and moves to the two neighbours "
                "are allowed.",
            ),
            (
                walk_off_balance,
                "This treats one place unlike the others, so 1/n is not stationary any more: "
                "does as much flow into each place as out of it?",
            ),
            (lambda n: 2 * mix_fast(n), "The rows do not sum to 1: they must be distributions."),
            (
                lambda n: ring(n, 0.8, 0.1, 0.1),
                "This stays four times out of five: it mixes, but slowly. What is a step that "
                "stays good for?",
            ),
            (
                lambda n: ring(n, -0.2, 0.6, 0.6),
                "An entry is negative: each is the probability of a move.",
            ),
            (
                lambda n: ring(n, 0.1, 0.8, 0.1)[:, ::-1],
                "Something stands in the wrong order: from its place a walker may reach itself "
                "and its two neighbours.",
            ),
        ),
        hints=(
            "Start from np.roll(np.eye(n), 1, axis=1), a step to the right, and its transpose.",
            "Chains of the form: stay with probability s, right and left with (1 - s) / 2 each. "
            "Try several s.",
            "s = 1/2 wastes every second step and s = 0 never mixes: a small s is enough.",
        ),
        inputs=lambda rng: (2 * int(rng.integers(4, 9)),),
        edges=((8,), (22,)),
        run=judged,
        tries=4,
    ),
)
