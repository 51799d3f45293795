"""C5: sample quality."""

from minigen.compare.claims import SIZES, Claim, figures
from minigen.compare.verdict import Effect, difference


def effects(records: list[dict], delta: float) -> list[Effect]:
    """Precision, and how hard samples are to tell from real ones, of diffusion against the GPT."""
    found = []
    for size in SIZES:
        for arm in ("DDPM", "U-Net", "masked"):
            precision = [figures(records, name, size, "precision") for name in (arm, "GPT")]
            told = [figures(records, name, size, "one_nn_accuracy") for name in ("GPT", arm)]
            found.append(difference(f"{arm}, {size} s: precision", *precision, delta))
            found.append(difference(f"{arm}, {size} s: 1-NN accuracy, lower", *told, delta))
    return found


CLAIM = Claim(
    "C5",
    "Diffusion gives higher sample quality on images.",
    refuted="Samples of a diffusion model lie where real digits lie no more often than a GPT's, and"
    " are told from real ones no less easily.",
    expected="With the U-Net yes; with the same body no, except that the DDPM's precision is higher"
    " (the main job shows that). Masked diffusion is worse than the GPT.",
    delta=0.05,
    effects=effects,
)
