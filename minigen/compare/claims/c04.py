"""C4: who captures a rule of the whole?

Changed after a first look: batches of the mirror, a world of 16 strings, held 16; now 64 as in the
other worlds. The control came with the surprise. The expectation is the old one.
"""

import itertools

import numpy as np
from numpy import ndarray

import minigen as mg
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim, figures
from minigen.compare.experiment import FEWER
from minigen.compare.verdict import Effect, difference

BODY = {"layers": 2, "heads": 4, "width": 32}
ARMS = ("GPT", "masked", "DDPM")
BATCH, STEPS = 64, 800  # about 10 seconds
LONGER = 4  # times, in the control
DRAWS = 2000
PAIRS = ((0, 1), (2, 3))  # opening and closing, of two kinds of brackets


def parity() -> ndarray:
    """All strings of 8 bits with an even number of ones."""
    strings = np.array(list(itertools.product((0, 1), repeat=8)))
    return strings[strings.sum(axis=1) % 2 == 0]


def mirror() -> ndarray:
    """All strings of 8 bits that read the same from both ends."""
    half = np.array(list(itertools.product((0, 1), repeat=4)))
    return np.concatenate([half, half[:, ::-1]], axis=1)


def brackets(pairs: int = 4) -> ndarray:
    """All well nested strings of so many pairs of brackets of two kinds."""
    nested = {0: [()]}
    for n in range(1, pairs + 1):  # the first pair, what stands in it, what follows
        nested[n] = [
            (opening, *inner, closing, *rest)
            for k in range(n)
            for inner in nested[k]
            for rest in nested[n - 1 - k]
            for opening, closing in PAIRS
        ]
    return np.array(nested[pairs])


WORLDS = {"parity": parity, "mirror": mirror, "brackets": brackets}


def captured(world: str, arm: str, seed: int, times: int = 1) -> dict:
    """A cell: train on strings of the world; which share of what is drawn belongs to it.

    With `times` as many batches as all arms get.
    """
    strings, rng = WORLDS[world](), np.random.default_rng([seed, 4])
    symbols, length = strings.max() + 1, strings.shape[1]
    shape = (symbols, 1, length)
    x = strings
    if arm == "GPT":
        model = mg.GPT(symbols, length, **BODY, rng=rng)
    elif arm == "masked":
        model = mg.MaskedDiffusion(symbols, length, **BODY, rng=rng)
    else:  # a symbol is a direction: +1 there, -1 elsewhere
        net = mg.networks.PatchTransformer(shape, patch=1, **BODY, rng=rng)
        model = mg.DDPM(net, steps=50)
        x = 2 * np.eye(symbols, dtype=np.float32)[strings] - 1
        x = x.transpose(0, 2, 1).reshape(-1, *shape)
    batches = mg.data.batches(np.concatenate([x] * (-(-BATCH // len(x)))), BATCH, rng)
    _, ema = mg.fit(model, batches, steps=STEPS * times, lr=3e-3, rng=rng, progress=False)
    with ema.applied():
        drawn = model.sample(DRAWS, rng)
    if arm == "DDPM":
        drawn = drawn.reshape(DRAWS, symbols, length).argmax(axis=1)
    place = symbols ** np.arange(length)
    valid = np.isin(drawn @ place, strings @ place)
    record = {"world": world, "arm": arm, "seed": seed, "times": times}
    return record | {"valid": float(valid.mean())}


def effects(records: list[dict], delta: float) -> list[Effect]:
    """The share of valid strings: diffusion's minus the GPT's."""
    return further(records, delta, ("masked", "DDPM"), 1)


def controls(records: list[dict]) -> list[Effect]:
    """The same of the DDPM, when all train for longer."""
    return further(records, 0.05, ("DDPM",), LONGER)


def further(records: list[dict], delta: float, arms: tuple, times: int) -> list[Effect]:
    found = []
    for world in WORLDS:
        gpt = figures(records, "valid", world=world, arm="GPT", times=times)
        for arm in arms:
            share = figures(records, "valid", world=world, arm=arm, times=times)
            found.append(difference(f"{world}: {arm} minus GPT, valid strings", share, gpt, delta))
    return found


CLAIM = Claim(
    "C4",
    "The whole at once",
    "Autoregressive models depend on data sequentially; diffusion captures the global distribution"
    " at once.",
    refuted="Of the strings that a diffusion model draws no more keep a rule of the whole string"
    " than of those that a GPT draws after the same training.",
    expected="Who looks at whom is as said, exactly: see the picture of the four families. But"
    " 'captures' does not hold: parity is as hard for all, and the GPT leads in brackets.",
    delta=0.05,
    scope="strings of 8 symbols, all valid ones in the training part; 800 batches of 64 at one rate"
    " for all, a body of 2 layers of width 32, three seeds; parity is learned by"
    " nobody; with four times the batches the DDPM keeps the mirror, too",
    cells=tuple(
        Cell(
            f"captured_{world}_{arm}_{times}_seed{seed}",
            f"{__name__}:captured",
            {"world": world, "arm": arm, "seed": seed, "times": times},
            7 * times,
        )
        for seed in FEWER
        for world in WORLDS
        for arm, times in [*((arm, 1) for arm in ARMS), ("GPT", LONGER), ("DDPM", LONGER)]
    ),
    effects=effects,
    surprise="The DDPM keeps hardly a rule, not even the mirror, which the others know. Is that the"
    " family, or has it not begun to learn? The control (tried in one run before): four times the"
    " batches for both. For the mirror it had not begun; in brackets it stays behind.",
    controls=controls,
)
