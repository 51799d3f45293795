"""C8: who has an exact likelihood?"""

import itertools

import numpy as np
from numpy import ndarray

import minigen as mg
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim
from minigen.compare.claims.c04 import BODY
from minigen.compare.experiment import FEWER
from minigen.compare.verdict import Effect, mean, within

LENGTH = 6


def likelihoods(seed: int) -> dict:
    """A cell: a GPT and a masked network learn a world of 64 strings; all is enumerated.

    How far the sum of all probabilities is from 1; and, averaged over the world, by how much
    masked diffusion's bound lies below the log-likelihood of what it draws.
    """
    rng = np.random.default_rng([seed, 8])
    strings = np.array(list(itertools.product((0, 1), repeat=LENGTH)))
    p = rng.dirichlet(np.full(len(strings), 0.3))
    models = {
        "GPT": mg.GPT(2, LENGTH, **BODY, rng=rng),
        "masked": mg.MaskedDiffusion(2, LENGTH, **BODY, rng=rng),
    }
    for model in models.values():
        batches = (strings[rng.choice(len(strings), 64, p=p)] for _ in itertools.count())
        mg.fit(model, batches, steps=600, lr=3e-3, rng=rng, progress=False)
    drawn, bound = by_orders(models["masked"], strings)
    return {
        "seed": seed,
        "gpt_mass_off": abs(float(np.exp(models["GPT"].log_prob(strings)).sum()) - 1),
        "masked_mass_off": abs(float(np.exp(drawn).sum()) - 1),
        "bound_gap": float(p @ (drawn - bound)),
    }


def by_orders(model: mg.MaskedDiffusion, x: ndarray) -> tuple[ndarray, ndarray]:
    """Of each row of x: the log of the mean over all orders of its likelihood, which is what it
    draws one token at a time; and the mean of the logs, which is its bound.
    """
    L = x.shape[1]
    log_p = {}  # of each token, by which are shown
    for shown in itertools.product((False, True), repeat=L):
        if not all(shown):
            hidden = np.tile(~np.array(shown), (len(x), 1))
            log_p[shown] = model.token_log_probs(x, hidden).astype(np.float64)
    orders = []
    for order in itertools.permutations(range(L)):
        shown, total = [False] * L, np.zeros(len(x))
        for i in order:
            total += log_p[tuple(shown)][:, i]
            shown[i] = True
        orders.append(total)
    orders = np.array(orders)
    return np.log(np.exp(orders).mean(axis=0)), orders.mean(axis=0)


def effects(records: list[dict], delta: float) -> list[Effect]:
    """The GPT's likelihood is one; and how much masked diffusion's bound leaves out."""
    off = max(r["gpt_mass_off"] for r in records)
    return [
        within(f"GPT: all its probabilities sum to one (off by {off:.0e})", off, 1e-5),
        mean("masked: likelihood less bound", [r["bound_gap"] for r in records], delta),
    ]


CLAIM = Claim(
    "C8",
    "Exact likelihood",
    "Autoregressive models maximise an exact likelihood; diffusion only a bound on one.",
    refuted="An autoregressive model's probabilities do not sum to one; or the bound of a diffusion"
    " model is no lower than the likelihood of what it draws.",
    expected="Holds for a fixed order. The same network read in a random order has a likelihood,"
    " too, but to know it one must add up all orders: its bound is lower by more than 0.01 nats."
    " In continuous worlds diffusion has an exact likelihood by its ODE: lesson 12.",
    delta=0.01,
    scope="worlds of 64 strings, all enumerated; masked diffusion in random order; three seeds",
    cells=tuple(
        Cell(f"likelihoods_seed{seed}", f"{__name__}:likelihoods", {"seed": seed}, 7)
        for seed in FEWER
    ),
    effects=effects,
)
