"""C10: is diffusion a Markov chain of latent variables, reversed?"""

import numpy as np

from minigen import schedules
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim
from minigen.compare.verdict import Effect, within

PATHS = 200_000
TIMES = (0.25, 0.5, 0.75)


def chain(markov: bool) -> dict:
    """A cell: three states of 200,000 forward walks, and two questions to them.

    In standard errors: how far their variances are from the closed form; and what the first still
    says of the third when the second is known (a partial correlation), which for a Markov chain is
    nothing. The walks not of a Markov chain are those that DDIM reverses (Song et al. 2021, eq. 7
    with sigma = 0): one noise for all states of a walk.
    """
    rng, schedule = np.random.default_rng(10), schedules.cosine()
    clean = rng.choice([-1.0, 1.0], PATHS)
    noise = rng.standard_normal(PATHS)
    states = []
    x, before = clean, 0.0
    for t in TIMES:
        if markov:
            kept = schedule.alpha(t) / schedule.alpha(before)
            fresh = np.sqrt(schedule.sigma(t) ** 2 - (kept * schedule.sigma(before)) ** 2)
            x, before = kept * x + fresh * rng.standard_normal(PATHS), t
        else:
            x = schedule.noisy(clean, noise, t)
        states.append(x)
    expected = [schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2 for t in TIMES]
    off = [
        abs((x**2).mean() - right) / ((x**2).std() / np.sqrt(PATHS))
        for x, right in zip(states, expected)
    ]
    first, third = (rest(states[k], states[1]) for k in (0, 2))
    partial = np.corrcoef(first, third)[0, 1]
    return {
        "markov": markov,
        "variance_off": float(max(off)),
        "memory": float(abs(partial) * np.sqrt(PATHS)),
    }


def rest(x: np.ndarray, given: np.ndarray) -> np.ndarray:
    """What is left of x after what a cubic in `given` explains."""
    return x - np.polyval(np.polyfit(given, x, 3), given)


def effects(records: list[dict], delta: float) -> list[Effect]:
    """Of DDPM's chain and of DDIM's: what the state before the last still says."""
    ddpm, ddim = sorted(records, key=lambda record: not record["markov"])
    off = {
        "DDPM: variance as in the closed form": ddpm["variance_off"],
        "DDPM: the state before the last adds nothing": ddpm["memory"],
        "DDIM: the state before the last adds nothing": ddim["memory"],
    }
    return [
        within(f"{about} ({errors:.1f} standard errors)", errors, delta)
        for about, errors in off.items()
    ]


CLAIM = Claim(
    "C10",
    "A reversed chain",
    "Diffusion is a Markov chain of latent variables, reversed.",
    refuted="Given the present state, an earlier one still says something of the next.",
    expected="Holds for DDPM's forward chain. Not for all diffusion: what DDIM reverses keeps its"
    " noise, and two states together tell the third exactly.",
    delta=4.0,
    scope="200,000 forward walks from two points under the cosine schedule; in standard errors, at"
    " most 4",
    cells=tuple(
        Cell(f"chain_{'ddpm' if m else 'ddim'}", f"{__name__}:chain", {"markov": m}, 5)
        for m in (True, False)
    ),
    effects=effects,
)
