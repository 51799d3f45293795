"""`python -m minigen dial`: from autoregression to diffusion by one number, the size of a block.

BlockDiffusion of block size 1 is a left-to-right chain rule, of block size 64 a masked diffusion of
the whole digit; between them a row is a block of 8. Every size learns from the same digits for the
same number of steps, on one thread, with three seeds; two cells are computed at a time.

Written down before measuring. Published, on text (BD3-LM, Arriola et al. 2025, Table 3): the bound
grows with the size of the block, quickly at first: perplexity 22.8 for autoregression, 28.2, 29.8
and 30.6 for blocks of 4, 8 and 16, 31.8 for the whole. Expected here: the same order of the bounds;
a chain rule of the same network below its bound, from size 2 on; samples of much the same quality
while one pixel is committed a pass, and worse the more pixels a pass commits at once. Seconds are
the processor's, of one thread.
"""

import json
import math
import os
import platform
import time
from importlib import resources
from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare.cells import Cell, compute_all
from minigen.compare.terminal import Parser

SIZES = (1, 2, 4, 8, 16, 32, 64)
SEEDS = (0, 1, 2)
STEPS = 300  # about 30 seconds of training on one thread
LEARNING_RATE = 3e-3
SECONDS = {1: 45, 2: 50, 4: 55, 8: 60, 16: 75, 32: 110, 64: 170}  # of a cell, measuring included
FAST = 4  # pixels a pass where a block is committed in a quarter of its passes
SAMPLE_SETS = 2  # 1-NN accuracy of one set of 360 has a standard error of 0.02
RESULT = "dial.json"  # of one full run, beside this file


def cell(block_size: int, seed: int, steps: int = STEPS) -> dict:
    """Train one block size with one seed; its bits, its seconds and the quality of its samples."""
    rng = np.random.default_rng([seed, block_size])
    digits = mg.data.digits()
    train, test = (x.reshape(len(x), 64).astype(np.int64) for x in (digits.train, digits.test))
    model = mg.BlockDiffusion(
        vocab_size=17, context=64, layers=3, heads=4, width=64, block_size=block_size, rng=rng
    )
    start = time.process_time()
    batches = mg.data.batches(train, 32, rng)
    _, ema = mg.fit(model, batches, steps=steps, lr=LEARNING_RATE, rng=rng, progress=False)
    record = {"block_size": block_size, "seed": seed, "steps": steps}
    record["training_seconds"] = time.process_time() - start
    with ema.applied():
        bound = mg.evaluate.bits_per_dim(model, test, rng)
        chain = -mg.left_to_right(model, test).mean() / math.log(2) / 64
        record |= {"bound_bits": bound.value, "chain_rule_bits": float(chain)}
        record["one_pixel_a_pass"] = draws(model, block_size, digits, rng)
        record["four_pixels_a_pass"] = draws(model, max(1, block_size // FAST), digits, rng)
    return record


def draws(model, steps: int, digits, rng: np.random.Generator) -> dict:
    """Seconds, passes and metrics of samples that commit each block in so many steps."""
    start = time.process_time()
    sets = [model.sample(len(digits.test), rng, steps=steps) for _ in range(SAMPLE_SETS)]
    seconds = (time.process_time() - start) / SAMPLE_SETS / len(digits.test)
    metrics = [
        mg.evaluate.sample_metrics(
            x.reshape(-1, 8, 8), digits.test, digits.train, np.random.default_rng(0)
        )[0]
        for x in sets
    ]
    means = {
        name: float(np.mean([getattr(m, name) for m in metrics])) for name in metrics[0]._fields
    }
    # The pass that begins a block also reads the finished block before it: no pass for the cache.
    passes = 64 // model.block_size * steps
    return {"passes": passes, "seconds_per_sample": seconds, **means}


def cells(sizes=SIZES, seeds=SEEDS, steps: int = STEPS) -> list[Cell]:
    """Every block size with every seed."""
    return [
        Cell(
            f"block{size:02}_seed{seed}",
            "minigen.compare.dial:cell",
            {"block_size": size, "seed": seed, "steps": steps},
            SECONDS[size] * steps / STEPS,
        )
        for size in sizes
        for seed in seeds
    ]


# -- what it says ----------------------------------------------------------------------------------


def measured() -> dict:
    """The committed result of one full run."""
    text = resources.files("minigen.compare").joinpath("results", RESULT).read_text("utf-8")
    return json.loads(text)


def runs(record: dict, size: int, way: str) -> list[dict]:
    """What was measured of a block size drawn in this way, seed by seed."""
    return [run[way] for run in record["cells"] if run["block_size"] == size]


def column(record: dict, size: int, *path: str) -> tuple[float, float]:
    """Mean over seeds and its standard error, of one figure of one block size."""
    values = []
    for run in record["cells"]:
        if run["block_size"] == size:
            for name in path:
                run = run[name]
            values.append(run)
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))


def table(record: dict) -> str:
    """The dial as a table in Markdown: mean over seeds ± standard error."""
    heads = [
        "block",
        "bound, bits",
        "chain rule, bits",
        "passes",
        "ms a sample",
        "1-NN",
        "1-NN, fast",
    ]
    rows = [heads, ["---"] * len(heads)]
    for size in sorted({run["block_size"] for run in record["cells"]}):

        def figure(*path, size=size):
            mean, error = column(record, size, *path)
            return f"{mean:.3f} ± {error:.3f}"

        passes, _ = column(record, size, "one_pixel_a_pass", "passes")
        seconds, _ = column(record, size, "one_pixel_a_pass", "seconds_per_sample")
        sign = "=" if size == 1 else "<="  # one position has one order: the bound is exact
        row = [str(size), f"{sign} {figure('bound_bits')}", f"= {figure('chain_rule_bits')}"]
        row += [f"{passes:.0f}", f"{1e3 * seconds:.1f}"]
        row.append(figure("one_pixel_a_pass", "one_nn_accuracy"))
        row.append(figure("four_pixels_a_pass", "one_nn_accuracy") if size >= FAST else "")
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def picture(record: dict):
    """Likelihood and sample quality against the size of a block, with their standard errors."""
    from minigen import plots

    sizes = sorted({run["block_size"] for run in record["cells"]})
    panels = {
        "bits per dimension (lower is better)": {
            "bound": ("bound_bits",),
            "left-to-right chain rule": ("chain_rule_bits",),
        },
        "1-NN accuracy (0.5: not told from real)": {
            "one pixel a pass": ("one_pixel_a_pass", "one_nn_accuracy"),
            "four pixels a pass": ("four_pixels_a_pass", "one_nn_accuracy"),
        },
        "seconds a sample, on one thread": {
            "one pixel a pass": ("one_pixel_a_pass", "seconds_per_sample"),
            "four pixels a pass": ("four_pixels_a_pass", "seconds_per_sample"),
        },
    }
    colours = (plots.AUTOREGRESSIVE, plots.DIFFUSION)
    with plots.style():
        figure = plots.Picture((10.5, 3.1))
        for axes, (title, lines) in zip(figure.subplots(1, len(panels)), panels.items()):
            for (label, path), colour, dash in zip(lines.items(), colours, ("-", "--")):
                shown = [size for size in sizes if "four" not in label or size >= FAST]
                mean, error = np.transpose([column(record, size, *path) for size in shown])
                axes.errorbar(
                    shown, mean, error, color=colour, linestyle=dash, marker="o", label=label
                )
            axes.set_xscale("log", base=2)
            axes.set_yscale("log" if "seconds" in title else "linear")
            axes.set_xticks(sizes, sizes)
            axes.set_xlabel("pixels in a block")
            axes.set_title(title)
            axes.legend()
    return figure


def main(argv: list[str] | None = None) -> int:
    """Compute what is missing, then print, draw and write the result."""
    parser = Parser("dial", __doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="SIZE")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, metavar="SEED")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"training steps ({STEPS})")
    parser.add_argument("--out", type=Path, default=Path("runs/dial"), help="runs/dial")
    options = parser.parse_args(argv)
    unknown = set(options.sizes) - set(SIZES)
    if unknown or options.steps < 1 or min(options.seeds) < 0:
        parser.error(f"expected sizes among {SIZES}, seeds >= 0, steps >= 1; got {options}")
    wanted = cells(options.sizes, options.seeds, options.steps)
    results, errors = compute_all(wanted, options.out / "cells")
    for name, error in errors.items():
        print(f"{name} failed: {error}")
    if not results:
        return 1
    record = {
        "cells": [results[name] for name in sorted(results)],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread a cell",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    picture(record).savefig(options.out / "dial.png", dpi=130)
    (options.out / RESULT).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(record))
    print(f"± standard error over {len(options.seeds)} seeds. Written to {options.out}")
    return int(bool(errors))
