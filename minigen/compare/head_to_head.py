"""Both families on the same real digits: the same Transformer body, the same seconds of training, one table.

`python -m minigen` trains a GPT over the 64 pixels and a DDPM over 16 patches, measures likelihood, speed and samples,
trains a GPT on text, and writes table, pictures, samples and `results.json` to runs/digits.
"""

import argparse
import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare.text import ladder, train_gpt
from minigen.optim import warmup_cosine

BODY = {"layers": 3, "heads": 4, "width": 64}  # of both networks
SAMPLES = 360  # as many as there are test images
CHAIN = 50  # steps of the diffusion; with more, its bound pays for noise that is finer than a grey level
BOUND_TIMES = (
    CHAIN - 1
)  # all of its middle steps are evaluated, once for each image: the default of DDPM.bound


@dataclass
class Result:
    """What was measured for one model on the digits. Bits are bits per dimension (one of 64 pixels, 17 levels)."""

    family: str
    parameters: int
    training_steps: int
    training_seconds: float
    bits: float
    bits_standard_error: float
    bits_exact: (
        bool  # otherwise they are an upper bound, estimated from BOUND_TIMES steps of the chain
    )
    passes: int  # of the network, for one sample
    seconds_per_sample: float  # in a batch of SAMPLES
    seconds_single: float  # for one sample alone
    one_nn_accuracy: float
    precision: float
    recall: float
    sliced_wasserstein: float
    nearest_training_distance: float


# -- the two contestants -----------------------------------------------------------------------------------------------


def build_gpt(rng: np.random.Generator) -> mg.GPT:
    """p(pixel | pixels before it), row by row."""
    return mg.GPT(vocab_size=17, context=64, **BODY, rng=rng)


def build_ddpm(rng: np.random.Generator) -> mg.DDPM:
    """The same Transformer without the causal mask, reading patches of 2 x 2 pixels and told the time."""
    net = mg.networks.PatchTransformer(shape=(1, 8, 8), patch=2, **BODY, rng=rng)
    return mg.DDPM(net, schedule=mg.schedules.cosine(), steps=CHAIN, predict="velocity", levels=17)


def fit(
    model, examples, batch_size: int, seconds: float, lr: float, weight_decay: float, rng
) -> tuple[list[float], mg.EMA]:
    """Train for so many seconds; returns the losses and the moving average of the parameters."""
    parameters = mg.nn.parameters(model)
    optimizer = mg.AdamW(parameters, lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay)
    ema = mg.EMA(parameters, decay=0.995)
    batches = mg.data.batches(examples, batch_size, rng)
    schedule = warmup_cosine(lr)
    how = {
        "optimizer": optimizer,
        "rng": rng,
        "learning_rate": schedule,
        "max_norm": 1.0,
        "ema": ema,
    }
    return [loss for _, loss in mg.train(model, batches, seconds=seconds, **how)], ema


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(
    name, model, x_test, draw, to_levels, passes, losses, seconds, rng
) -> tuple[Result, np.ndarray]:
    """Likelihood on the test images, and the sample metrics and seconds of SAMPLES draws."""
    digits = mg.data.digits()
    bits = mg.evaluate.bits_per_dim(model, x_test, rng)
    start = time.perf_counter()
    samples = to_levels(draw(SAMPLES))
    batched = (time.perf_counter() - start) / SAMPLES
    start = time.perf_counter()
    draw(1)
    single = time.perf_counter() - start
    metrics, _ = mg.evaluate.sample_metrics(
        samples, digits.test, digits.train, np.random.default_rng(0)
    )
    size = sum(p.size for p in mg.nn.parameters(model).values())
    result = Result(
        name, size, len(losses), seconds, bits.value, bits.standard_error, bits.exact, passes, batched, single, *metrics
    )  # fmt: skip
    return result, samples


def table(results: list[Result], floor, data_bits: float) -> str:
    """The comparison as text, the real floor beside it."""
    bits = [
        f"{'=' if r.bits_exact else '<='} {r.bits:.3f} ± {r.bits_standard_error:.3f}"
        for r in results
    ]
    rows = [
        ("parameters", [f"{r.parameters:,}" for r in results], ""),
        ("training steps (same seconds)", [f"{r.training_steps:,}" for r in results], ""),
        ("test bits per dimension", bits, f"{data_bits:.3f} (independent)"),
        ("network passes per sample", [str(r.passes) for r in results], ""),
        (
            "milliseconds per sample, batch of 360",
            [f"{1e3 * r.seconds_per_sample:.2f}" for r in results],
            "",
        ),
        (
            "milliseconds for one sample alone",
            [f"{1e3 * r.seconds_single:.0f}" for r in results],
            "",
        ),
    ]
    for field, label in {
        "one_nn_accuracy": "1-NN accuracy (0.5: not told from real)",
        "precision": "precision (quality)",
        "recall": "recall (diversity)",
        "sliced_wasserstein": "sliced Wasserstein distance",
        "nearest_training_distance": "distance to nearest training image",
    }.items():
        rows.append(
            (label, [f"{getattr(r, field):.3f}" for r in results], f"{getattr(floor, field):.3f}")
        )
    header = ("", [r.family for r in results], "real images")
    return "\n".join(
        f"{label:41}" + "".join(f"{c:>21}" for c in [*cells, last])
        for label, cells, last in [header, *rows]
    )


def independent_pixels(train: np.ndarray, test: np.ndarray, levels: int = 17) -> float:
    """Test bits per dimension if every pixel is drawn by itself, its levels counted (plus one) in training."""
    counts = (
        np.stack([(train == level).sum(axis=0) for level in range(levels)]) + 1.0
    )  # (levels, Y, X)
    p = counts / counts.sum(axis=0)
    return float(-np.log2(np.take_along_axis(p, test.astype(np.int64), axis=0)).mean())


# -- pictures ----------------------------------------------------------------------------------------------------------


def picture(real: np.ndarray, samples: dict[str, np.ndarray]):
    """Real digits above the samples of both families, unsorted and unselected."""
    from minigen import plots

    with plots.style():
        figure = plots.Picture((7.2, 1 + 1.5 * (1 + len(samples))))
        panels = figure.subplots(1 + len(samples), 1)
        draw = plots.tiles(columns=20, limits=(0, 16))
        for axes, (title, images) in zip(panels, {"real test images": real, **samples}.items()):
            draw(axes, images[:80])
            axes.set_title(title)
    return figure


def walk_gif(gpt, ddpm, rng):
    """The two walks from ignorance to data beside each other: pixel by pixel, and a little precision everywhere."""
    from minigen import plots

    frames = 33
    pixels = list(gpt.sample_walk(16, rng))
    images = list(ddpm.sample_walk(16, rng))
    chosen = [
        (pixels[round(64 * k)], images[round(CHAIN * k)], k) for k in np.linspace(0, 1, frames)
    ]

    def draw(axes, state):
        tokens, noisy, _ = state
        left, right = axes.inset_axes([0, 0, 0.48, 1]), axes.inset_axes([0.52, 0, 0.48, 1])
        plots.tiles(4, (0, 16))(left, tokens.reshape(-1, 8, 8))
        plots.tiles(4, (-1, 1))(right, noisy)
        left.set_title("autoregressive: GPT")
        right.set_title("diffusion: DDPM")
        axes.axis("off")

    labels = [f"{100 * k:3.0f}% of the walk\n" for *_, k in chosen]
    return plots.animate(chosen, draw, labels, seconds=5, size=(5.2, 3.2))


# -- text --------------------------------------------------------------------------------------------------------------


def text(seconds: float, rng: np.random.Generator) -> dict:
    """A GPT on the Python manual: bits per character of the held-out last tenth, and what it writes."""
    manual = mg.data.python_manual("a-z")
    size = {"layers": 2, "heads": 4, "width": 96, "context": 64}
    how = argparse.Namespace(**size, batch=16, learning_rate=6e-3, steps=0, seconds=seconds)
    gpt, ema, steps = train_gpt(manual, how, rng)
    with ema.applied():
        bits = mg.evaluate.bits_per_dim(gpt, manual.test)
        written = gpt.sample(1, rng, prompt=manual.test[:32], length=400, temperature=0.8)[0, 32:]
    return {
        "source": manual.source,
        "sha256": manual.sha256,
        "training_steps": steps,
        "training_seconds": seconds,
        "test_characters": len(manual.test),
        "bits_per_character": bits.value,
        "ngram_bits": [bits.value for bits in ladder(manual)],  # by number of context characters
        "written": manual.decode(written),
    }


# -- the command -------------------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m minigen", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=55, help="training time of each family on the digits (55)"
    )
    parser.add_argument(
        "--text-seconds", type=float, default=25, help="training time on the text (25)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/digits"), help="folder for the results (runs/digits)"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if options.seconds <= 0 or options.text_seconds <= 0:
        parser.error(
            f"seconds must be positive, got --seconds {options.seconds} --text-seconds {options.text_seconds}"
        )
    options.out.mkdir(parents=True, exist_ok=True)  # fails now, not after three minutes

    begin = time.perf_counter()
    rng = np.random.default_rng(options.seed)
    digits = mg.data.digits()
    tokens, tokens_test = (
        x.reshape(len(x), 64).astype(np.int64) for x in (digits.train, digits.test)
    )
    images, images_test = (mg.data.to_signed(x)[:, None] for x in (digits.train, digits.test))

    print(
        f"Autoregressive: a GPT learns {len(tokens):,} digits for {options.seconds:.0f} s, pixel by pixel ...",
        flush=True,
    )
    gpt = build_gpt(rng)
    gpt_losses, gpt_ema = fit(gpt, tokens, 32, options.seconds, 4e-3, 0.5, rng)
    print(
        f"Diffusion: a DDPM learns the same digits for {options.seconds:.0f} s, all pixels at once ...",
        flush=True,
    )
    ddpm = build_ddpm(rng)
    ddpm_losses, ddpm_ema = fit(ddpm, images, 64, options.seconds, 6e-3, 0.01, rng)

    print("Measuring ...", flush=True)
    with gpt_ema.applied(), ddpm_ema.applied():
        gpt_result, gpt_samples = measure(
            "GPT (exact)", gpt, tokens_test, lambda n: gpt.sample(n, rng),
            lambda x: x.reshape(-1, 8, 8).astype(np.uint8), 64, gpt_losses, options.seconds, rng,
        )  # fmt: skip
        ddpm_result, ddpm_samples = measure(
            "DDPM (bound)", ddpm, images_test, lambda n: ddpm.sample(n, rng),
            lambda x: mg.data.to_levels(x)[:, 0], CHAIN, ddpm_losses, options.seconds, rng,
        )  # fmt: skip
        walk = walk_gif(gpt, ddpm, rng)
    results = [gpt_result, ddpm_result]
    _, floor = mg.evaluate.sample_metrics(
        gpt_samples, digits.test, digits.train, np.random.default_rng(0)
    )
    pixels = independent_pixels(digits.train, digits.test)
    print("\n" + table(results, floor, pixels))
    evaluated = f"from {BOUND_TIMES} of its {CHAIN - 1} middle steps, one noise each per image"
    print(
        f"(bits: = exact, <= a bound, {evaluated}; ± standard error over {len(tokens_test)} images)"
    )
    print(
        f"\nText: a GPT learns the Python manual for {options.text_seconds:.0f} s, character by character ...",
        flush=True,
    )
    words = text(options.text_seconds, rng)
    rungs = ", ".join(f"{words['ngram_bits'][order]:.2f} with {order}" for order in (1, 3, 6))
    print(
        f"{words['bits_per_character']:.3f} bits per character (n-grams: {rungs} characters of context). It writes:"
    )
    print(f"  {words['written'][:300]} ...")

    record = {
        "models": [asdict(r) for r in results],
        "real_floor": floor._asdict(),
        "independent_pixels_bits": pixels,
        "bound_times": BOUND_TIMES,
        "losses": {"gpt": gpt_losses, "ddpm": ddpm_losses},
        "text": words,
        "seed": options.seed,
        "seconds": time.perf_counter() - begin,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    samples = {r.family: s for r, s in zip(results, (gpt_samples, ddpm_samples))}
    write(
        options.out,
        record,
        table(results, floor, pixels),
        picture(digits.test, samples),
        walk,
        samples,
    )
    print(
        f"\n{record['seconds']:.0f} s in all. Open {options.out / 'digits.png'} and {options.out / 'walk.gif'};"
    )
    print(
        "then lessons/00_start_here.ipynb (jupyter lab lessons), which explains what you have just seen."
    )
    return 0


def write(
    folder: Path, record: dict, text_table: str, figure, walk: bytes, samples: dict[str, np.ndarray]
) -> None:
    """All files of a run, results.json last: where it stands, the others belong to it."""
    (folder / "results.json").unlink(missing_ok=True)
    (folder / "table.txt").write_text(text_table + "\n", encoding="utf-8")
    figure.savefig(folder / "digits.png", dpi=130)
    (folder / "walk.gif").write_bytes(walk)
    np.savez_compressed(
        folder / "samples.npz", **{name.split()[0].lower(): s for name, s in samples.items()}
    )
    (folder / "results.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
