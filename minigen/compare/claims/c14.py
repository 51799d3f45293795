"""C14: robustness."""

from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare import experiment
from minigen.compare.arms import DIGITS
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import Effect, difference

ARMS = ("GPT", "masked", "DDPM")
CHANGES = {"rate x 3": 3.0, "rate / 3": 1 / 3, "a tenth shuffled": 1.0, "400 images": 1.0}


def changed(folder: Path, arm: str, seed: int, change: str) -> dict:
    """A cell: sample metrics of an arm that was trained with one thing changed."""
    model = mg.load(experiment.weights(folder, arm, seed, 30, change))
    n, rng = len(mg.data.digits().test), np.random.default_rng([seed, 14])
    figures = experiment.drawn(DIGITS[arm], lambda: model.sample(n, rng))
    return {"arm": arm, "seed": seed, "change": change, **figures}


def effects(records: list[dict], delta: float) -> list[Effect]:
    """What a change adds to the 1-NN accuracy: the GPT's minus diffusion's."""
    found = []
    for change in CHANGES:
        added = {}
        for arm in ARMS:
            after = figures(records, "one_nn_accuracy", arm=arm, change=change)
            before = figures(records, "one_nn_accuracy", arm=arm, size=30)
            added[arm] = np.subtract(after, before)
        for arm in ("masked", "DDPM"):
            about = f"{change}: quality lost, GPT minus {arm}"
            found.append(difference(about, added["GPT"], added[arm], delta))
    return found


CLAIM = Claim(
    "C14",
    "Robustness",
    "Diffusion is robust, at the cost of more computing.",
    refuted="A wrong learning rate, spoiled or fewer images cost a diffusion model as much sample"
    " quality as they cost a GPT.",
    expected="More forgiving of a rate three times too large, little difference in the rest: too"
    " small to matter, or not decided by three seeds.",
    delta=0.05,
    scope="8 x 8 digits, 30 seconds' worth, three seeds; what is added to the 1-NN accuracy",
    cells=experiment.on_digits(ARMS, [30], experiment.FEWER)
    + tuple(
        Cell(
            f"changed_{experiment.typed(arm + change)}_seed{seed}",
            f"{__name__}:changed",
            {"arm": arm, "seed": seed, "change": change},
            experiment.MEASURING[arm],
            experiment.training(arm, seed, change, CHANGES[change]),
        )
        for seed in experiment.FEWER
        for arm in ARMS
        for change in CHANGES
    ),
    effects=effects,
)
