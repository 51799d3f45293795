"""C14: robustness."""

from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare import experiment
from minigen.compare.arms import DIGITS
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import Effect, difference, mean

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
        added = {arm: gained(records, "one_nn_accuracy", arm, change) for arm in ARMS}
        for arm in ("masked", "DDPM"):
            about = f"{change}: quality lost, GPT minus {arm}"
            found.append(difference(about, added["GPT"], added[arm], delta))
    return found


def gained(records: list[dict], name: str, arm: str, change: str) -> np.ndarray:
    """What a change adds to a figure, seed by seed."""
    after = figures(records, name, arm=arm, change=change)
    return np.subtract(after, figures(records, name, arm=arm, size=30))


def controls(records: list[dict]) -> list[Effect]:
    """How much farther samples lie from the nearest training image, with 400 of them to learn."""
    return [
        mean(
            f"{arm}, 400 images: distance to the nearest training image",
            gained(records, "nearest_training_distance", arm, "400 images"),
            0.1,
        )
        for arm in ARMS
    ]


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
    surprise="With 400 images instead of 1,437, or a third of its rate (chosen by bits), the GPT's"
    " samples are told less easily. Does it learn its 400 images by heart? The control: distance to"
    " the nearest training image. It falls, far more than the others': this gain is no robustness.",
    controls=controls,
)
