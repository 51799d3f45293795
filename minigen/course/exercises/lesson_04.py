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
    paragraphs = paragraphs_with_repeats()
    if run != "B":
        paragraphs = list(dict.fromkeys(paragraphs))  # each once
    order = np.random.default_rng(0).permutation(len(paragraphs))
    text = data.as_text("\n\n".join(paragraphs[i] for i in order), "a-z")
    counts = np.full((27, 27), 0.5)
    np.add.at(counts, (text.train[:-1], text.train[1:]), 1)
    return text.train, text.test, counts / counts.sum(axis=0 if run == "A" else 1, keepdims=True)


def paragraphs_with_repeats() -> list[str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:  # no manual here: every fourth paragraph of what stands in for it, twice
        text = data.python_manual("full")
        paragraphs = re.split(r"\n\s*\n", text.decode(text.train[:400_000]))
        return paragraphs + paragraphs[::4]
    return re.split(r"\n\s*\n", "\n\n".join(topics.values()))


# -- 04.after --------------------------------------------------------------------------------------


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


def after_while_it_changes(p, P, steps):
    p = p.copy()
    for _ in range(steps):
        for j in range(len(p)):
            p[j] = p @ P[:, j]
    return p


def after_in_place(p, P, steps):
    for _ in range(steps):
        p[:] = p @ P
    return p


def some_chain(rng):
    V = int(rng.integers(2, 5))
    return rng.dirichlet(np.ones(V)), rng.dirichlet(np.ones(V), size=V), int(rng.integers(2, 9))


# -- 04.enlarge ------------------------------------------------------------------------------------


def some_table(rng):
    V = int(rng.integers(2, 5))
    return (rng.dirichlet(np.ones(V), size=(V, V)),)


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


def enlarged(place):
    """A wrong answer that puts table[a, b, c] at place(a, b, c, V)."""

    def answer(table):
        V = len(table)
        P = np.zeros((V * V, V * V))
        for a, b, c in np.ndindex(V, V, V):
            P[place(a, b, c, V)] = table[a, b, c]
        return P

    return answer


# -- 04.back_off -----------------------------------------------------------------------------------


def parts(counts, discount):
    """What is left of the counts (N, V), and what was taken from a row and its total (N, 1)."""
    total = counts.sum(axis=1, keepdims=True)
    kept = np.maximum(counts - discount, 0)
    return kept, total - kept.sum(axis=1, keepdims=True), total


def back_off(counts, below, discount):
    kept, taken, total = parts(counts, discount)
    return np.where(total > 0, (kept + taken * below) / np.maximum(total, 1), below)


def back_off_by_kinds(counts, below, discount):
    p = np.array(below, dtype=float)
    seen = counts.sum(axis=1) > 0
    total = counts[seen].sum(axis=1, keepdims=True)
    weight = discount * np.count_nonzero(counts[seen], axis=1)[:, None] / total
    p[seen] = np.clip(counts[seen] - discount, 0, None) / total + weight * below[seen]
    return p


def back_off_in_loops(counts, below, discount):
    p = np.zeros(below.shape)
    for row, (n, under) in enumerate(zip(counts, below)):
        taken = sum(min(count, discount) for count in n)
        for w in range(len(n)):
            share = (max(n[w] - discount, 0) + taken * under[w]) / n.sum() if n.sum() else under[w]
            p[row, w] = share
    return p


def where_seen(p):
    """A wrong answer from p(counts, below, discount), with `below` for contexts never seen."""

    def answer(counts, below, discount):
        with np.errstate(all="ignore"):
            return np.where(
                counts.sum(axis=1, keepdims=True) > 0, p(counts, below, discount), below
            )

    return answer


def back_off_nan(counts, below, discount):
    kept, taken, total = parts(counts, discount)
    with np.errstate(all="ignore"):
        return (kept + taken * below) / total


def back_off_to_uniform(counts, below, discount):
    _, _, total = parts(counts, discount)
    return np.where(total > 0, back_off(counts, below, discount), 1 / counts.shape[1])


def back_off_to_nothing(counts, below, discount):
    _, _, total = parts(counts, discount)
    return np.where(total > 0, back_off(counts, below, discount), 0.0)


def taken_from_all(counts, below, discount):
    kept, _, total = parts(counts, discount)
    return (kept + discount * counts.shape[1] * below) / total


def taken_once(counts, below, discount):
    kept, _, total = parts(counts, discount)
    return (kept + discount * below) / total


def not_clipped(counts, below, discount):
    _, taken, total = parts(counts, discount)
    return (counts - discount + taken * below) / total


def whole_of_below(counts, below, discount):
    kept, _, total = parts(counts, discount)
    return kept / total + below


def only_at_zeros(counts, below, discount):
    kept, _, total = parts(counts, discount)
    return np.where(counts > 0, kept / total, below)


def taken_only_to_zeros(counts, below, discount):
    kept, taken, total = parts(counts, discount)
    return np.where(counts > 0, kept, taken * below) / total


def not_divided(counts, below, discount):
    kept, taken, total = parts(counts, discount)
    return kept / total + taken * below


def spread_evenly(counts, below, discount):
    kept, taken, total = parts(counts, discount)
    return (kept + taken / counts.shape[1]) / total


def nothing_handed_down(counts, below, discount):
    kept, _, _ = parts(counts, discount)
    return kept / kept.sum(axis=1, keepdims=True)


def taken_is_lost(counts, below, discount):
    kept, _, total = parts(counts, discount)
    return kept / total


def only_from_below(counts, below, discount):
    _, taken, total = parts(counts, discount)
    return taken / total * below


def still_counts(counts, below, discount):
    kept, taken, _ = parts(counts, discount)
    return kept + taken * below


def made_to_sum(counts, below, discount):
    p = parts(counts, discount)[0] + discount * below
    return p / p.sum(axis=1, keepdims=True)


def in_whole_numbers(counts, below, discount):
    p = np.zeros_like(counts)
    p[:] = back_off(counts, below, discount)
    return p


def total_of_all_contexts(counts, below, discount):
    kept, taken, total = parts(counts, discount)
    return np.where(total > 0, (kept + taken * below) / max(counts.sum(), 1), below)


def some_counts(rng):
    N, V = int(rng.integers(2, 6)), int(rng.integers(3, 7))
    counts = rng.poisson(1.0, size=(N, V)) * rng.integers(1, 4, size=(N, 1))
    counts[0] = np.arange(V) % 3  # seen, with a zero
    counts[rng.integers(1, N)] = 0  # a context never seen
    return counts, rng.dirichlet(np.ones(V), size=N), float(rng.choice([0.4, 0.6, 0.75]))


# -- 04.entropy_rate -------------------------------------------------------------------------------


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


def pair_entropy(P):
    pairs = stationary(P)[:, None] * P
    return float(-(pairs * np.log2(np.where(pairs > 0, pairs, 1))).sum())


def rate_from_pairs(P):
    """H(pair) - H(one)."""
    pi = stationary(P)
    return pair_entropy(P) + float((pi * np.log2(pi)).sum())


def rate_with_log_zero(P):
    with np.errstate(all="ignore"):
        return float(stationary(P) @ -np.sum(P * np.log2(P), axis=1))


def rate_of_columns(P):
    return float(stationary(P) @ entropies(P.T))


def sparse_chain(rng):
    V = int(rng.integers(3, 6))
    P = rng.dirichlet(np.ones(V), size=V)
    P[0, 2] = P[-1, 1] = 0.0  # the chain stays irreducible, but log 0 lurks
    return (P / P.sum(axis=1, keepdims=True),)


# -- 04.mix_fast -----------------------------------------------------------------------------------


def ring(n, stay, right, left):
    turn = np.roll(np.eye(n), 1, axis=1)
    return stay * np.eye(n) + right * turn + left * turn.T


def mixing_time(P) -> int:
    try:
        return MarkovChain(P).mixing_time()
    except ValueError:  # periodic, or in pieces: never
        return 10**9


def judged(answer, n: int) -> tuple:
    """Rows that are distributions, only moves along the ring, uniform, and mixed in two thirds of
    the lazy walk's time (less is equal).
    """
    P = np.asarray(answer(n), dtype=np.float64)
    if P.shape != (n, n):
        raise ValueError(f"expected a matrix of shape {(n, n)}, got {P.shape}")
    rows = bool((P >= 0).all() and np.allclose(P.sum(axis=1), 1))
    along = bool((P[ring(n, 1, 1, 1) == 0] == 0).all())
    uniform = bool(np.allclose(P.sum(axis=0), 1))  # 1/n is stationary if the columns sum to 1 too
    P = P / P.sum(axis=1, keepdims=True) if rows else P  # float32 sums to 1 a little less exactly
    limit = 2 * mixing_time(ring(n, 0.5, 0.25, 0.25)) // 3
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


def walk_on_a_line(n):
    P = ring(n, 0.1, 0.45, 0.45)
    P[0, -1] = P[-1, 0] = 0
    P[0, 0] = P[-1, -1] = 0.55
    return P


# -- the exercises ---------------------------------------------------------------------------------

EXERCISES = (
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
                lambda p, P, steps: after(p, P, max(steps - 1, 0)),
                "This takes one step too few, unless steps = 0. How often does your loop run?",
            ),
            (
                lambda p, P, steps: np.linalg.matrix_power(P, steps),
                "This is the matrix of all the steps: where each state leads. Where does the "
                "distribution p lead?",
            ),
            (
                lambda p, P, steps: after(np.full(len(p), 1 / len(p)), P, steps),
                "This starts anywhere, all states alike. Where does the chain start?",
            ),
            (
                lambda p, P, steps: after(np.eye(len(p))[np.argmax(p)], P, steps),
                "This starts in the likeliest state. The others have some probability too.",
            ),
            (
                after_while_it_changes,
                "This writes into p while it is still being read: later states see the new values "
                "of earlier ones. All of them move at once.",
            ),
            (
                after_in_place,
                "The values are right, but the caller's p is overwritten: make a new array.",
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
        minutes=3,
    ),
    Exercise(
        "04.enlarge",
        "Order 2 as order 1 on pairs",
        reference=enlarge,
        alternatives=(enlarge_by_identity, enlarge_by_index),
        wrong=(
            (
                enlarged(lambda a, b, c, V: (b * V + a, c * V + b)),
                "This is what you get with the newest symbol first. The pair (a, b), a before b, "
                "has number a V + b.",
            ),
            (
                enlarged(lambda a, b, c, V: (a * V + b, a * V + c)),
                "This is what you get when (a, b) moves to (a, c). The pair is the last two "
                "symbols: which two are the last two once c has come?",
            ),
            (
                enlarged(lambda a, b, c, V: (a * V + b, c * V + b)),
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
                lambda table: enlarge(table.swapaxes(0, 1)),
                "This reads the table with the newer of the two symbols first: its first axis is "
                "the older one.",
            ),
            (
                lambda table: np.tile(table.reshape(len(table) ** 2, -1), len(table)) / len(table),
                "Here every pair can be reached from every pair. What of the next pair is known "
                "before c is drawn?",
            ),
            (
                lambda table: np.tile(table.reshape(len(table) ** 2, -1), len(table)),
                "Here every pair can be reached from every pair, and rows sum to V. What of the "
                "next pair is known before c is drawn?",
            ),
            (
                enlarged(lambda a, b, c, V: (a * V + b, b * V + a)),
                "Here (a, b) leads to (b, a). The next pair ends with the symbol that is new.",
            ),
            (
                lambda table: np.repeat(table.reshape(-1, len(table)), len(table), 1) / len(table),
                "In each row the entries of a pair depend on its first symbol, and all second "
                "symbols are alike. Which of the two has just been drawn?",
            ),
        ),
        hints=(
            "From (a, b) only pairs that begin with b can be reached: at most V entries a row.",
            "Three loops over a, b, c and one assignment: which row, which column?",
            "The row is the number of (a, b). Drop the oldest symbol, append c: the column.",
        ),
        inputs=some_table,
        edges=(
            (np.array([[[0.0, 1.0], [0.25, 0.75]], [[1.0, 0.0], [0.5, 0.5]]]),),
            (np.ones((1, 1, 1)),),
        ),
        forbidden=("minigen.models.markov.MarkovChain.enlarge",),
    ),
    Exercise(
        "04.back_off",
        "Back off to a shorter context",
        reference=back_off,
        alternatives=(back_off_by_kinds, back_off_in_loops),
        wrong=(
            (
                back_off_nan,
                "A context that was never seen has no counts to divide by: 0 / 0. Who knows "
                "something about it?",
            ),
            (
                back_off_to_uniform,
                "Right where the context was seen. Where it was not you guess blindly, although "
                "the shorter context may know something.",
            ),
            (
                back_off_to_nothing,
                "Right where the context was seen. Where it was not, no letter has any "
                "probability: what do the rows sum to?",
            ),
            (
                where_seen(taken_from_all),
                "You hand down as if every symbol had been discounted. From a count of 0 nothing "
                "can be taken: what do your rows sum to?",
            ),
            (
                where_seen(taken_once),
                "You hand down one discount. It was taken once from every symbol that was seen: "
                "what do your rows sum to?",
            ),
            (
                where_seen(not_clipped),
                "Some of these are below 0 where a count was 0. Nothing can be taken there.",
            ),
            (
                where_seen(whole_of_below),
                "You add the whole of `below`. How much of each row was taken away, and is free?",
            ),
            (
                where_seen(only_at_zeros),
                "You ask `below` only about symbols that were not seen, and give it all its own "
                "probability there: what do your rows sum to?",
            ),
            (
                where_seen(taken_only_to_zeros),
                "You give what was taken to unseen symbols only. It goes to all of them, in the "
                "proportions of `below`.",
            ),
            (
                where_seen(not_divided),
                "What was taken is still a count, added to a probability. Of how many?",
            ),
            (
                where_seen(spread_evenly),
                "You spread what was taken over all symbols alike. `below` has an opinion.",
            ),
            (
                where_seen(nothing_handed_down),
                "You divide by what is left, so nothing is left to hand down.",
            ),
            (
                where_seen(lambda counts, below, discount: counts / counts.sum(1, keepdims=True)),
                "These are plain shares of the counts: a symbol not seen gets 0, for which the "
                "cost is infinite. Where did the discount go?",
            ),
            (
                where_seen(
                    lambda counts, below, discount: (
                        (1 - discount) * counts / counts.sum(1, keepdims=True) + discount * below
                    )
                ),
                "You mix in the same share of `below` in every context. But a context seen often "
                "should need it less: take from counts, not from shares.",
            ),
            (where_seen(taken_is_lost), "What was taken is lost: what do your rows sum to?"),
            (
                where_seen(only_from_below),
                "Only what comes from below is here. What was left of the counts counts too.",
            ),
            (
                where_seen(still_counts),
                "Each row sums to its total: these are counts still, not probabilities.",
            ),
            (
                lambda counts, below, discount: below,
                "This is `below` everywhere. Where a context was seen its counts say more.",
            ),
            (
                lambda counts, below, discount: back_off(below, below, discount),
                "The discount is taken from `below`, not from `counts`.",
            ),
            (
                where_seen(made_to_sum),
                "You force the rows to sum to 1. If just what was taken is handed down, they do.",
            ),
            (
                in_whole_numbers,
                "These are whole numbers: an array made like `counts` cannot hold a probability.",
            ),
            (
                total_of_all_contexts,
                "You divide by the counts of all contexts together. Each row is a context.",
            ),
        ),
        hints=(
            "Whatever you do: each row must sum to 1. Print p.sum(axis=1).",
            "np.maximum(counts - discount, 0) is what is left. What was taken, in all, a row?",
            "Left plus taken times below, over the row's total; `below` itself where that is 0.",
        ),
        inputs=some_counts,
        edges=(
            (np.array([[4, 1, 0, 3], [0, 0, 0, 0], [0, 0, 1, 0]]), np.full((3, 4), 0.25), 0.75),
            (np.array([[0, 0, 0]]), np.array([[0.5, 0.3, 0.2]]), 0.5),
            (np.array([[1, 1, 0], [0, 5, 0]]), np.array([[0.2, 0.3, 0.5], [0.6, 0.4, 0]]), 1.0),
            (np.array([[2, 1, 0]]), np.array([[0.2, 0.3, 0.5]]), 0.0),
            (np.array([[2], [0], [1]]), np.ones((3, 1)), 0.75),
        ),
        forbidden=("minigen.models.markov.NGram._token_probabilities",),
        minutes=10,
    ),
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
                "Equal scores, so equal health? Ask of every score whether what it takes the "
                "logarithm of is a probability.",
            ),
            (
                ("healthy", "healthy", "healthy"),
                "All three sound, with columns as different as these?",
            ),
            (
                ("wrong axis", "healthy", "leak"),
                "What must happen to a test score at orders far too long for the training text?",
            ),
            (
                ("wrong axis", "healthy", "healthy"),
                "The sums are explained. Is the shape of each ladder?",
            ),
            (
                ("healthy", "leak", "wrong axis"),
                "Both faults are here. Which number shows the one, and which the other?",
            ),
            (
                ("leak", "wrong axis", "healthy"),
                "One fault shows in sums, one in long windows. Which is which?",
            ),
            (
                ("wrong axis", "leak", "wrong axis"),
                "The same score need not come from the same fault. Look at the sums again.",
            ),
            (
                ("wrong axis", "leak", "leak"),
                "A few windows in common are no leak: the manual says some things twice in other "
                "paragraphs.",
            ),
            (
                ("targets not shifted", "leak", "healthy"),
                "A model that predicts the letter it was given: what would its score be?",
            ),
        ),
        hints=(
            "Three things tell the stories: sums, windows in common, the shape of the ladder.",
            "A probability for the next letter must sum to 1 over the next letters, whatever it "
            "scores.",
            "With honest test text a longer context stops helping. With text seen before it does "
            "not.",
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
                "This is the entropy of the stationary distribution: the surprise of a state seen "
                "alone. What does the state before tell about it?",
            ),
            (
                lambda P: float(stationary(P) @ entropies(P) * np.log(2)),
                "This is in nats. Which logarithm gives bits?",
            ),
            (
                rate_with_log_zero,
                "This is 0 * log 0, which NumPy calls nan. A move that never happens costs nothing "
                "on average: take the logarithm only where P > 0.",
            ),
            (
                pair_entropy,
                "This is the entropy of a pair of states. One of the two is known already.",
            ),
            (
                rate_of_columns,
                "This takes the entropy of the columns of P. Which of them, rows or columns, are "
                "distributions of the next state?",
            ),
            (
                lambda P: float(entropies(P).sum()),
                "This adds up the rows' entropies. A step is taken from one state only: what is "
                "the average over them?",
            ),
            (
                lambda P: float(-(stationary(P) @ entropies(P))),
                "This is below 0: the logarithm of a probability is. Surprise is its opposite.",
            ),
            (
                lambda P: float(P.mean(axis=0) @ entropies(P)),
                "Your weights are where the chain is one step after an even start. It has not "
                "settled then.",
            ),
            (
                lambda P: float(entropies(P)[0]),
                "This is the entropy of a step from state 0. And from the others?",
            ),
        ),
        hints=(
            "Each row of P is a distribution with an entropy of its own, in bits.",
            "Average the rows' entropies, each as often as its state is visited.",
            "power_iteration(P) gives the weights; np.where(P > 0, P, 1) makes log 0 harmless.",
        ),
        inputs=sparse_chain,
        edges=(
            (np.array([[0.5, 0.5], [1.0, 0.0]]),),
            (np.full((4, 4), 0.25),),
            (np.array([[0.9, 0.1], [0.3, 0.7]]),),
            (np.array([[1.0]]),),
        ),
        forbidden=("minigen.models.markov.MarkovChain.entropy_rate",),
        tolerance=1e-6,
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
                lambda n: ring(n, 1 / 3, 1 / 3, 1 / 3),
                "Staying and either move alike: better than the lazy walk, and still too lazy.",
            ),
            (
                lambda n: ring(n, 0, 0.5, 0.5),
                "This never mixes: on a ring of even length it is on an even place, then an odd "
                "one, then an even one, for ever. What breaks the rhythm?",
            ),
            (
                lambda n: ring(n, 0.01, 0.495, 0.495),
                "It stays so rarely that even and odd places take turns for a long time.",
            ),
            (
                lambda n: np.full((n, n), 1 / n),
                "This mixes in one step, by leaps. Only staying and moves to the two neighbours "
                "are allowed.",
            ),
            (
                walk_off_balance,
                "This treats one place unlike the others, so 1/n is not stationary any more: does "
                "as much flow into each place as out of it?",
            ),
            (
                walk_on_a_line,
                "The first and the last place are neighbours: this is a line, which takes longer.",
            ),
            (
                lambda n: ring(n, 0.1, 0.9, 0),
                "This runs round and round. Everything turns together, and spreads slowly: what "
                "spreads a cloud?",
            ),
            (
                lambda n: ring(n, 0, 1, 1),
                "Each row must sum to 1: from each place the walker goes somewhere.",
            ),
        ),
        hints=(
            "Start from np.roll(np.eye(n), 1, axis=1), a step to the right, and its transpose.",
            "Stay with probability s, right and left with (1 - s) / 2 each. Try several s.",
            "What goes wrong at s = 0 takes only little to mend.",
        ),
        inputs=lambda rng: (2 * int(rng.integers(6, 10)),),
        edges=((8,), (22,)),
        run=judged,
        tries=4,
        minutes=10,
    ),
)
