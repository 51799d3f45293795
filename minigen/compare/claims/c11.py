"""C11: cleaning and completing."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy import ndarray

import minigen as mg
from minigen import sampling
from minigen.compare import experiment
from minigen.compare.arms import DIGITS
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import Effect, difference
from minigen.course.checkpoints import nearest_label

ROW, COLUMN = np.indices((8, 8))
KNOWN = {
    "top": ROW < 4,  # what a GPT has behind it: continuation
    "bottom": ROW > 3,
    "left": COLUMN < 4,
    "any half": np.random.default_rng(11).random((8, 8)) < 0.5,
}
NOISE = 0.5  # standard deviation of what is cleaned, pixels in [-1, 1]
REPEATS, STEPS = 4, 20  # of completing by a DDPM
ARMS = ("GPT", "masked", "DDPM", "U-Net")


def fill(folder: Path, arm: str, seed: int) -> dict:
    """A cell: complete the test digits twice from each half; clean them, if the arm can.

    Kept: the share whose class (that of the nearest training image, right for 98% of the real
    ones) is the original's; and how far two completions of one digit lie apart.
    """
    model = mg.load(experiment.weights(folder, arm, seed, 30))
    rng, data, kind = np.random.default_rng([seed, 11]), mg.data.digits(), DIGITS[arm]
    how = {"GPT": by_gpt, "masked": by_masked}.get(arm, by_ddpm)
    record = {"arm": arm, "seed": seed, "kept": {}, "apart": {}}
    for side, known in KNOWN.items():
        twice = [kind.levels(how(model, kind.examples(data.test), known, rng)) for _ in range(2)]
        kept = [nearest_label(x) == data.test_labels for x in twice]
        record["kept"][side] = float(np.mean(kept))
        gap = (twice[0].astype(float) - twice[1]) / 16
        record["apart"][side] = float(np.sqrt((gap**2).sum(axis=(1, 2))).mean())
    if not kind.pixels:
        clean = kind.examples(data.test)
        noisy = clean + NOISE * rng.standard_normal(clean.shape, np.float32)
        seen = sampling.denoise_image(model.denoise, model.schedule, noisy, NOISE)
        record["psnr"] = mg.evaluate.psnr(clean, np.clip(seen, -1, 1), peak=2)
        record["linear_psnr"] = best_linear(mg.data.to_signed(data.train), clean, noisy)
    return record


def by_gpt(gpt: mg.GPT, x: ndarray, known: ndarray, rng) -> ndarray:
    """What is hidden is drawn in the GPT's order, each pixel given all before it, known or drawn;
    of known pixels that follow it can make no use.
    """
    x, hidden = np.where(known.ravel(), x, 0), ~known.ravel()
    for i in np.flatnonzero(hidden):
        x[:, i] = sampling.categorical(gpt.logits(x[:, : i + 1])[:, i], rng)
    return x


def by_masked(masked: mg.MaskedDiffusion, x: ndarray, known: ndarray, rng) -> ndarray:
    """In any order, one pixel a step."""
    return masked.sample(len(x), rng, known=np.where(known.ravel(), x, masked.vocab_size))


def by_ddpm(ddpm: mg.DDPM, x: ndarray, known: ndarray, rng) -> ndarray:
    """Known pixels put back, noised alike, after every step; each step repeated (RePaint)."""
    schedule = ddpm.schedule
    commit = sampling.inpaint(sampling.ancestral(schedule, rng), schedule, x, known, rng)
    state, times = rng.standard_normal(x.shape, np.float32), schedule.grid(STEPS)[::-1]
    for now, after in pairwise(times):
        for repeat in range(REPEATS if after else 1):
            if repeat:  # forwards again, from `after` to `now`
                kept = schedule.alpha(now) / schedule.alpha(after)
                fresh = schedule.sigma(now) * np.sqrt(schedule.fresh_noise(now, after))
                state = kept * state + fresh * rng.standard_normal(x.shape, np.float32)
            state = commit(state, ddpm.denoise(state, now), now, after).astype(np.float32)
    return state


def best_linear(train: ndarray, clean: ndarray, noisy: ndarray) -> float:
    """PSNR of the best matrix: the posterior mean if digits were one Gaussian."""
    train, seen = train.reshape(len(train), -1), noisy.reshape(len(noisy), -1)
    mean, covariance = train.mean(axis=0), np.cov(train.T)
    gain = covariance @ np.linalg.inv(covariance + NOISE**2 * np.eye(len(covariance)))
    guess = mean + (seen - mean) @ gain.T
    return mg.evaluate.psnr(clean, np.clip(guess, -1, 1).reshape(clean.shape), peak=2)


def effects(records: list[dict], delta: float) -> list[Effect]:
    """Diffusion's share of kept classes minus the GPT's; for the top, which the GPT continues,
    the GPT's minus diffusion's.
    """
    found = []
    for side in KNOWN:
        kept = {
            arm: [one[side] for one in figures(records, "kept", arm=arm)]
            for arm in ("GPT", "masked", "DDPM", "U-Net")
        }
        for arm in ("masked", "DDPM", "U-Net"):
            pair = [kept[arm], kept["GPT"]]
            if side == "top":
                about = f"{side} known: GPT minus {arm}, class kept"
                found.append(difference(about, *pair[::-1], delta))
            else:
                found.append(difference(f"{side} known: {arm} minus GPT, class kept", *pair, delta))
    return found


CLAIM = Claim(
    "C11",
    "Editing and continuing",
    "Diffusion suits denoising, inpainting and flexible editing; autoregression suits"
    " continuation.",
    refuted="A GPT that fills in its own order keeps the class of a completed digit as often as"
    " diffusion does; or diffusion continues (the top known) as well as the GPT.",
    expected="Masked diffusion fills in better than the GPT where what is known follows (bottom,"
    " any half), by more than 0.05, and continues nearly as well. The DDPMs, known pixels put"
    " back, complete worse than masked diffusion. Only they clean, better than the best matrix"
    " (17.5 dB).",
    delta=0.05,
    scope="8 x 8 digits, 30 seconds' worth, five seeds; share of completions that keep the class;"
    " 'any half': 38 of 64 pixels, scattered",
    cells=experiment.asked("c11:fill", ARMS, seconds=38),
    effects=effects,
)
