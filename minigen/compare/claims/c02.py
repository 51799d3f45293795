"""C2: is autoregression fast, token by token, or slow, because it is sequential?"""

import time

import numpy as np

import minigen as mg
from minigen.compare.arms import BODY
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim
from minigen.compare.verdict import Effect, mean

SIDES = {4: 5, 8: 8, 16: 33, 32: 430}  # of a square of 16 to 1,024 tokens: seconds of the cell
STEPS = (10, 50, 1000)
ROUNDS = 5


def speed(side: int) -> dict:
    """A cell: processor seconds for one sample of side x side tokens, round by round.

    The networks are untrained: what they draw takes as long.
    """
    rng, length = np.random.default_rng(side), side**2
    gpt = mg.GPT(17, length, **BODY, rng=rng)
    net = mg.networks.PatchTransformer((1, side, side), patch=1, **BODY, rng=rng)
    ddpm = mg.DDPM(net)
    ways = {
        "autoregression": lambda: gpt.sample(1, rng, length=length),
        "autoregression without a cache": lambda: gpt.sample(1, rng, length=length, cache=False),
    }
    for steps in STEPS:
        ways[f"diffusion, {steps} steps"] = lambda steps=steps: ddpm.sample(1, rng, steps=steps)
    rounds = [{name: seconds(draw) for name, draw in ways.items()} for _ in range(ROUNDS + 1)]
    return {"length": length, "seconds": rounds[1:]}  # the first one warms up


def seconds(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def effects(records: list[dict], delta: float) -> list[Effect]:
    """log(seconds of diffusion / seconds of autoregression with a cache), round by round."""
    found = []
    for record in sorted(records, key=lambda r: r["length"]):
        for steps in STEPS:
            ratios = [
                np.log(r[f"diffusion, {steps} steps"] / r["autoregression"])
                for r in record["seconds"]
            ]
            about = f"{record['length']} tokens, diffusion in {steps} steps: log of the ratio"
            found.append(mean(about, ratios, delta))
    return found


def controls(records: list[dict]) -> list[Effect]:
    """How much faster than in proportion a way's seconds grow from 256 to 1,024 tokens."""
    shorter, longer = (r["seconds"] for r in sorted(records, key=lambda r: r["length"])[-2:])
    found = []
    for way in ("autoregression", f"diffusion, {STEPS[0]} steps"):
        growth = [np.log(b[way] / a[way]) / np.log(4) - 1 for a, b in zip(shorter, longer)]
        found.append(mean(f"{way}: power of the length beyond 1, 256 to 1,024", growth, 0.1))
    return found


CLAIM = Claim(
    "C2",
    "Fast, token by token",
    "Autoregressive models sample fast; diffusion is slower.",
    refuted="With the same body diffusion takes less time for a sample.",
    expected="Against 1,000 steps autoregression is faster at every length; against 10 steps it is"
    " slower from 16 tokens on; against 50 steps the lines cross between 16 and 256 tokens.",
    delta=float(np.log(1.2)),
    scope="one sample at a time, untrained networks of the digits' body with a position for every"
    " token, one thread beside another cell; five rounds of one machine",
    cells=tuple(
        Cell(f"speed_{side}", f"{__name__}:speed", {"side": side}, s) for side, s in SIDES.items()
    ),
    effects=effects,
    surprise="Ten steps of diffusion take a third of autoregression's time at 256 tokens, but as"
    " long at 1,024. The control: does a pass over all positions grow faster than in proportion, as"
    " the square in attention does, while with a cache each position is read once? It does: nearly"
    " as the square.",
    controls=controls,
)
