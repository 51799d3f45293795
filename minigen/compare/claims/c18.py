"""C18: likelihood and samples."""

from pathlib import Path

import numpy as np

import minigen as mg
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


# -- the control -----------------------------------------------------------------------------------

TEMPERATURES = np.linspace(1, 2.5, 31)
HALF = 180  # test images that choose the temperature; the others are scored


def tempered(folder: Path, arm: str, seed: int) -> dict:
    """A cell: bits of a GPT as trained, and with the temperature that half of the test images like
    best: what is lost to overconfidence alone. At every size.
    """
    x = mg.data.digits().test.reshape(-1, 64).astype(np.int64)
    record = {"arm": arm, "seed": seed, "as_trained": {}, "fitted": {}, "temperature": {}}
    for size in experiment.SIZES:
        logits = mg.load(experiment.weights(folder, arm, seed, size)).logits(x)

        def bits(temperature, rows, logits=logits):
            log_p = mg.sampling.token_log_probs(logits[rows] / temperature, x[rows])
            return float(-log_p.mean() / np.log(2))

        choosing, scored = slice(HALF), slice(HALF, None)
        best = min(TEMPERATURES, key=lambda temperature: bits(temperature, choosing))
        record["as_trained"][str(size)] = bits(1.0, scored)
        record["fitted"][str(size)] = bits(best, scored)
        record["temperature"][str(size)] = float(best)
    return record


def controls(records: list[dict]) -> list[Effect]:
    """The GPT's bits at 120 seconds' worth minus those at 30, as trained and with fitted ones."""
    found = []
    for how, about in (("as_trained", "as trained"), ("fitted", "with a fitted temperature")):
        more = [bits["120"] - bits["30"] for bits in figures(records, how, arm="GPT")]
        found.append(mean(f"GPT, {about}: bits at 120 s minus bits at 30 s", more, 0.05))
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
    scope="8 x 8 digits; 10, 30 and 120 seconds' worth of one thread; five seeds; the chain rule is"
    " of left to right, masked and block diffusion draw in random order",
    cells=experiment.on_digits() + experiment.asked("c18:tempered", ["GPT"], seconds=2),
    effects=effects,
    surprise="From 30 to 120 seconds' worth the GPT's samples get better while its bits get worse,"
    " by half a bit. Expected of the control: it is mostly overconfidence, so that with a"
    " temperature fitted to half of the test images the loss shrinks to less than 0.1 bits. It"
    " shrinks to less than a third, but not as far as that.",
    controls=controls,
)
