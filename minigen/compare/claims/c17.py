"""C17: coarse first."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy import ndarray

import minigen as mg
from minigen.compare import experiment
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import Effect, mean, within

SPECTRA = [(1, 0), (2, 0), (3, 0), (4, 0), (2, 2)]  # exponents of the field and of the noise
EARLIER = 0.05  # the smallest difference in t that would matter
SIDE = 128
CYCLES = np.arange(4, 49)  # where a field of 128 pixels is a power law
LOG_SNR = np.linspace(12, -8, 101)
STEPS = 50


def drowned(exponent: int, seed: int, noise: int = 0) -> dict:
    """A cell: a Gaussian field with spectrum f^-a drowns; the slope of the log-SNR at which noise
    overtakes a frequency, over its log. The noise is white, or has the spectrum f^-noise.
    """
    rng = np.random.default_rng([seed, exponent, noise])
    signal, steps = spectrum(field(exponent, rng)), 0
    for share in 1 / (1 + np.exp(-LOG_SNR)):
        steps = steps + (share * signal > (1 - share) * spectrum(field(noise, rng)))
    overtaken = LOG_SNR[0] + 0.1 - 0.2 * steps[CYCLES - 1]
    slope = np.polyfit(np.log(CYCLES), overtaken, 1)[0]
    return {"exponent": exponent, "noise": noise, "seed": seed, "slope": float(slope)}


def field(exponent: float, rng) -> ndarray:
    """A random picture (N, N) of variance 1 whose power falls as f^-exponent."""
    across = np.fft.fftfreq(SIDE, 1 / SIDE)
    f = np.hypot(across, across[:, None])
    f[0, 0] = np.inf  # no mean
    size = f ** (-exponent / 2)
    size *= SIDE / np.sqrt((size**2).sum())
    return np.fft.ifft2(size * np.fft.fft2(rng.standard_normal((SIDE, SIDE)))).real


def spectrum(pictures: ndarray) -> ndarray:
    """Mean power at 1 .. N / 2 cycles: (..., N, N) -> (N / 2,)."""
    N = pictures.shape[-1]
    power = (np.abs(np.fft.fft2(pictures)) ** 2 / N**2).reshape(-1, N * N).mean(axis=0)
    across = np.fft.fftfreq(N, 1 / N)
    ring = np.hypot(across, across[:, None]).round().astype(int).ravel()
    return (np.bincount(ring, power) / np.bincount(ring))[1 : N // 2 + 1]


def settled(folder: Path, arm: str, seed: int) -> dict:
    """A cell: of a trained DDPM, when (t) half of 1, 2, 3, 4 cycles across has settled in what it
    predicts, on its way by DDIM to 360 digits.
    """
    ddpm = mg.load(experiment.weights(folder, arm, seed, 30))
    rng, times = np.random.default_rng([seed, 17]), ddpm.schedule.grid(STEPS)[::-1]
    x, seen = rng.standard_normal((360, 1, 8, 8), np.float32), []
    step = mg.sampling.ddim(ddpm.schedule)
    for now, after in pairwise(times):
        seen.append(ddpm.denoise(x, now))
        x = step(x, seen[-1], now, after)
    varying = spectrum(x[:, 0] - x[:, 0].mean(axis=0))
    share = np.array([1 - spectrum(s[:, 0] - x[:, 0]) / varying for s in seen])  # (steps, 4)
    return {"arm": arm, "seed": seed, "at": [float(t) for t in times[np.argmax(share > 0.5, 0)]]}


def effects(records: list[dict], delta: float) -> list[Effect]:
    """Whether log SNR falls with log f as the spectrum does, within a tenth: f = SNR^(1/a).

    And, of trained networks, how much earlier the coarsest of four frequencies settles.
    """
    found = []
    for exponent, noise in SPECTRA:
        slopes = np.array(figures(records, "slope", exponent=exponent, noise=noise))
        about = f"f^-{exponent} under {f'f^-{noise}' if noise else 'white'} noise: as SNR^(1/a)"
        found.append(within(about, np.abs(slopes / exponent - 1), delta))
    for arm in ("DDPM", "U-Net"):
        early = [at[0] - at[3] for at in figures(records, "at", arm=arm)]
        found.append(mean(f"{arm}: 1 cycle settles earlier than 4, in t", early, EARLIER))
    return found


CLAIM = Claim(
    "C17",
    "Coarse first",
    "Diffusion is autoregression in frequency: coarse first, then fine.",
    refuted="Under noise the frequency where signal and noise are equal does not grow as SNR^(1/a)"
    " for a spectrum f^-a; a trained network's fine frequencies settle no later than coarse ones.",
    expected="Holds for spectra that fall, under white noise, and in a trained network by about 0.1"
    " in t between 1 and 4 cycles. Not a law: noise with the data's own spectrum breaks it.",
    delta=0.1,
    scope="Gaussian fields of 128 x 128, eight seeds; both DDPMs of the digits, five seeds",
    cells=tuple(
        Cell(
            f"drowned_{exponent}_{noise}_seed{seed}",
            f"{__name__}:drowned",
            {"exponent": exponent, "noise": noise, "seed": seed},
            1,
        )
        for seed in range(8)
        for exponent, noise in SPECTRA
    )
    + experiment.asked("c17:settled", ("DDPM", "U-Net"), seconds=3),
    effects=effects,
)
