"""The contestants of the laboratory: what each is, what it learns from, how it is trained.

On digits four of the five share one body (3 layers of width 64, parameters within 1%), so that the
family is compared and not the network; the fifth is the U-Net that practice gives to diffusion. The
four on text share another (2 layers of width 96), and begin with sinusoids as positions: drawn ones
make masked diffusion stay longer where it learns nothing.

A budget is a number of steps, not of seconds, so that another machine repeats the same figures.
`steps` is what takes about 10 seconds of one thread on the machine named in `REFERENCE`, measured
beside other work; when it is quiet, eight or nine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from numpy.random import Generator

import minigen as mg
from minigen.course.checkpoints import begin_with, waves

REFERENCE = "x86_64, AMD EPYC, one thread of OpenBLAS, NumPy 2.4"
BODY = {"layers": 3, "heads": 4, "width": 64}  # of four arms on digits
TEXT_BODY = {"layers": 2, "heads": 4, "width": 96}  # of the arms on text
STRETCH = 64  # characters, each stretch of text by itself: no arm sees beyond
LETTERS = 27  # a to z and space
CHAIN = 50  # steps of both DDPMs; with more, the bound pays for noise finer than a grey level


@dataclass(frozen=True)
class Arm:
    """One contestant, on digits or on text."""

    name: str
    build: Callable[[Generator], object]
    first_lr: float  # the middle one of its five trials
    lr: float  # the best of them: results/tuning.json (the U-Net's is the largest that was tried)
    steps: int  # in 10 seconds' worth
    batch: int = 32
    pixels: bool = True  # learns tokens (N, 64); otherwise floats (N, 1, 8, 8) in [-1, 1]
    weight_decay: float = 0.1

    def examples(self, levels: ndarray) -> ndarray:
        """Levels (N, 8, 8) as the model learns them."""
        if self.pixels:
            return levels.reshape(len(levels), 64).astype(np.int64)
        return mg.data.to_signed(levels)[:, None]

    def levels(self, samples: ndarray) -> ndarray:
        """Its samples as levels (N, 8, 8)."""
        if self.pixels:
            return samples.reshape(-1, 8, 8).astype(np.uint8)
        return mg.data.to_levels(samples)[:, 0]


def gpt(rng: Generator) -> mg.GPT:
    """p(pixel | pixels before it), row by row."""
    return mg.GPT(vocab_size=17, context=64, **BODY, rng=rng)


def masked(rng: Generator) -> mg.MaskedDiffusion:
    """The same body without the causal mask: p(hidden pixels | the others), in any order."""
    return mg.MaskedDiffusion(vocab_size=17, context=64, **BODY, rng=rng)


def block(rng: Generator) -> mg.BlockDiffusion:
    """Row after row, the pixels of a row in any order."""
    return mg.BlockDiffusion(vocab_size=17, context=64, **BODY, block_size=8, rng=rng)


def ddpm(rng: Generator) -> mg.DDPM:
    """The same body, told the time, over patches of 2 x 2 pixels."""
    return gaussian(mg.networks.PatchTransformer(shape=(1, 8, 8), patch=2, **BODY, rng=rng))


def unet(rng: Generator) -> mg.DDPM:
    """Convolutions at two resolutions, of about as many parameters."""
    return gaussian(mg.networks.UNet((1, 8, 8), channels=(24, 48), rng=rng))


def gaussian(net) -> mg.DDPM:
    return mg.DDPM(net, mg.schedules.cosine(), steps=CHAIN, predict="velocity", levels=17)


def on_text(kind: type, **how) -> Callable[[Generator], object]:
    """What builds a model of stretches of text."""

    def build(rng: Generator):
        model = kind(LETTERS, STRETCH, **TEXT_BODY, **how, rng=rng)
        begin_with(model, waves(np.arange(STRETCH), TEXT_BODY["width"], longest=10_000))
        return model

    return build


DIGITS = {
    arm.name: arm
    for arm in (
        Arm("GPT", gpt, first_lr=4e-3, lr=8e-3, steps=180),
        Arm("masked", masked, first_lr=4e-3, lr=4e-3, steps=180),
        Arm("block", block, first_lr=4e-3, lr=8e-3, steps=70),
        Arm(
            "DDPM",
            ddpm,
            first_lr=6e-3,
            lr=6e-3,
            steps=370,
            batch=64,
            pixels=False,
            weight_decay=0.01,
        ),
        Arm(
            "U-Net",
            unet,
            first_lr=2e-3,
            lr=8e-3,
            steps=230,
            batch=64,
            pixels=False,
            weight_decay=0.01,
        ),
    )
}

TEXT = {
    arm.name: arm
    for arm in (
        Arm("GPT on text", on_text(mg.GPT), first_lr=4e-3, lr=4e-3, steps=190),
        Arm("masked on text", on_text(mg.MaskedDiffusion), first_lr=4e-3, lr=4e-3, steps=185),
        Arm(
            "block 4 on text",
            on_text(mg.BlockDiffusion, block_size=4),
            first_lr=4e-3,
            lr=8e-3,
            steps=80,
        ),
        Arm(
            "block 16 on text",
            on_text(mg.BlockDiffusion, block_size=16),
            first_lr=4e-3,
            lr=4e-3,
            steps=80,
        ),
    )
}
ARMS = DIGITS | TEXT
