"""C18: likelihood and samples."""

import numpy as np

from minigen.compare import experiment
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import Effect, mean

KINDS = {  # figures of one kind only: exact ones never beside bounds
    "exact (GPT; chain rule of masked and block)": {
        "GPT": "bits", "masked": "chain_bits", "block": "chain_bits",
    },
    "bounds of the Gaussian diffusions": {"DDPM": "bits", "U-Net": "bits"},
}  # fmt: skip


def ranks(values) -> np.ndarray:
    return np.argsort(np.argsort(values)).astype(float)


def effects(records: list[dict], delta: float) -> list[Effect]:
    """Spearman's rank correlation of bits and 1-NN accuracy over arms and sizes, seed by seed."""
    found = []
    for kind, names in KINDS.items():
        pairs = [
            ({"arm": arm, "size": size}, name)
            for arm, name in names.items()
            for size in experiment.SIZES
        ]
        bits = np.transpose([figures(records, name, **where) for where, name in pairs])
        told = np.transpose([figures(records, "one_nn_accuracy", **where) for where, _ in pairs])
        each = [np.corrcoef(ranks(b), ranks(t))[0, 1] for b, t in zip(bits, told)]
        found.append(mean(kind, each, delta))
    return found


CLAIM = Claim(
    "C18",
    "Likelihood and samples",
    "The model with the better likelihood makes the better samples.",
    refuted="Ranked by bits and ranked by 1-NN accuracy, models of one kind of figure come in"
    " unrelated or opposite orders.",
    expected="Strong among the Gaussian diffusions, where size and network move both; weak among"
    " the exact figures: block and masked diffusion cost more bits than they lose in samples.",
    delta=0.3,
    scope="8 x 8 digits; 10, 30 and 120 seconds' worth of one thread; five seeds",
    cells=experiment.on_digits(),
    effects=effects,
)
