"""C7: text."""

from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare import experiment
from minigen.compare.arms import STRETCH, TEXT
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import Effect, difference

STRETCHES = 256  # of the test part; as many are drawn
RIVALS = tuple(arm for arm in TEXT if not arm.startswith("GPT"))


def letters(folder: Path, arm: str, seed: int, size: int) -> dict:
    """A cell: exact bits a letter, the bound, and which share of the words written is known.

    Every stretch of 64 letters stands by itself, for all arms; words that its ends cut are left
    out.
    """
    model, rng = (
        mg.load(experiment.weights(folder, arm, seed, size)),
        np.random.default_rng([seed, 7]),
    )
    text = mg.data.python_manual("a-z")
    test = text.test[: STRETCHES * STRETCH].reshape(STRETCHES, STRETCH)
    bits = mg.evaluate.bits_per_dim(model, test, rng)
    exact = bits.value if bits.exact else experiment.chain_bits(model, test)
    known = set(text.decode(text.train).split())
    written = [text.decode(x).split(" ")[1:-1] for x in model.sample(STRETCHES, rng)]
    words = [word for line in written for word in line if word]
    return {
        "arm": arm, "seed": seed, "size": size, "exact_bits": exact, "bits": bits.value,
        "words_known": float(np.mean([word in known for word in words])),
        "text_sha256": text.sha256,
    }  # fmt: skip


def effects(records: list[dict], delta: float) -> list[Effect]:
    """What a rival pays more than the GPT, exact bits; how many more of the GPT's words exist."""
    found = []
    for size in experiment.TEXT_SIZES:
        for arm in RIVALS:
            gpt, own = {"arm": "GPT on text", "size": size}, {"arm": arm, "size": size}
            bits = [figures(records, "exact_bits", **one) for one in (own, gpt)]
            words = [figures(records, "words_known", **one) for one in (gpt, own)]
            found.append(difference(f"{arm}, {size} s: bits a letter more", *bits, delta))
            found.append(difference(f"{arm}, {size} s: fewer words that exist", *words, delta))
    return found


CLAIM = Claim(
    "C7",
    "Structured sequences",
    "Autoregressive models have strong performance on structured sequences and coherent text.",
    refuted="Masked or block diffusion pays no more bits a letter by the chain rule of its own"
    " network (exact, as the GPT's), and as many of its words exist.",
    expected="Holds clearly against masked diffusion (more than 0.3 bits) and blocks of 16, less"
    " against blocks of 4. Its bound will lie above its chain rule.",
    delta=0.05,
    scope="the Python manual, a to z, in stretches of 64 letters; 30 and 120 seconds' worth; three"
    " seeds",
    cells=tuple(
        Cell(
            f"letters_{experiment.typed(arm)}_seed{seed}_{size}s",
            f"{__name__}:letters",
            {"arm": arm, "seed": seed, "size": size},
            1 if arm == "GPT on text" else 22,
            experiment.training(arm, seed),
        )
        for seed in experiment.FEWER
        for size in experiment.TEXT_SIZES
        for arm in TEXT
    ),
    effects=effects,
)
