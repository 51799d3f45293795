"""C5: sample quality."""

from minigen.compare import experiment
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import Effect, difference


def effects(records: list[dict], delta: float) -> list[Effect]:
    """Precision, and how hard samples are to tell from real ones, of diffusion against the GPT."""
    found = []
    for size in experiment.SIZES:
        gpt = {"arm": "GPT", "size": size}
        for arm in ("DDPM", "U-Net", "masked"):
            own = {"arm": arm, "size": size}
            precision = [figures(records, "precision", **one) for one in (own, gpt)]
            told = [figures(records, "one_nn_accuracy", **one) for one in (gpt, own)]
            found.append(difference(f"{arm}, {size} s: precision", *precision, delta))
            found.append(difference(f"{arm}, {size} s: 1-NN accuracy, lower", *told, delta))
    return found


CLAIM = Claim(
    "C5",
    "Quality",
    "Diffusion gives higher sample quality on images.",
    refuted="Samples of a diffusion model lie where real digits lie no more often than a GPT's, and"
    " are told from real ones no less easily.",
    expected="With the U-Net yes; with the same body no, except that the DDPM's precision is higher"
    " (the main job shows that). Masked diffusion is worse than the GPT.",
    delta=0.05,
    scope="8 x 8 digits; 10, 30 and 120 seconds' worth of one thread; five seeds",
    cells=experiment.on_digits(),
    effects=effects,
)
