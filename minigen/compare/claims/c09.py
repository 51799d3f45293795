"""C9: is an autoregressive model a Markov process of the immediate past?"""

import numpy as np

import minigen as mg
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim
from minigen.compare.verdict import Effect, within

ORDERS = range(1, 7)
CONTEXTS = 1000


def memory(order: int) -> dict:
    """A cell: how far an order-p model's next letter moves when one letter, k places back, is
    another one: total variation, the largest of 1,000 contexts, for k = 1 .. 7.
    """
    text, rng = mg.data.python_manual("a-z"), np.random.default_rng(9)
    model = mg.NGram(order, 27).fit(text.train)
    at = rng.integers(0, len(text.test) - 10, CONTEXTS)
    contexts = text.test[at[:, None] + np.arange(8)]
    moved = []
    for back in range(1, 8):
        other = contexts.copy()
        other[:, -back] = (other[:, -back] + rng.integers(1, 27, CONTEXTS)) % 27
        change = following(model, contexts) - following(model, other)
        moved.append(float(np.abs(change).sum(axis=1).max() / 2))
    return {"order": order, "moved": moved}


def following(model: mg.NGram, contexts: np.ndarray) -> np.ndarray:
    """p(next letter) after each of the contexts (B, L): (B, 27)."""
    log_p = [
        model.log_prob(np.column_stack([contexts, np.full(len(contexts), letter)]))
        for letter in range(27)
    ]
    return np.exp(np.array(log_p) - model.log_prob(contexts)).T


def effects(records: list[dict], delta: float) -> list[Effect]:
    """Whether a letter before the last one moves anything; before the last p, at order p."""
    found = []
    for record in sorted(records, key=lambda r: r["order"]):
        order, moved = record["order"], record["moved"]
        for symbols in sorted({1, order}):
            most = max(moved[symbols:])
            about = f"order {order}: nothing but the last {symbols} counts (moves by {most:.2g})"
            found.append(within(about, most, delta))
    return found


CLAIM = Claim(
    "C9",
    "Markov",
    "An autoregressive model is a Markov process whose state depends only on the immediate past.",
    refuted="A prediction moves when a symbol before the last one changes.",
    expected="True at order 1, or when the last p symbols together are called the state; false with"
    " the last symbol as the state for every order above 1.",
    delta=1e-6,
    scope="n-grams of orders 1 to 6 of the Python manual; the largest of 1,000 contexts, one other"
    " letter in each",
    cells=tuple(
        Cell(f"memory_{order}", f"{__name__}:memory", {"order": order}, 3) for order in ORDERS
    ),
    effects=effects,
)
