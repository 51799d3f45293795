"""The pictures of the report: samples, quality against training and against the number of data.

All are drawn from the cells of a record of `python -m minigen compare`: means over training seeds
with 95% intervals. What a run has no cells for says so.
"""

import functools
from collections.abc import Callable

import numpy as np

import minigen as mg
from minigen import plots
from minigen.compare import experiment, verdict
from minigen.compare.arms import DIGITS
from minigen.compare.claims import c14, c16, figures
from minigen.compare.measure import real_floor

SIZE = 30  # seconds' worth of training, where only one is shown
COLUMNS = {
    "GPT": "GPT",
    "masked": "masked diffusion",
    "block": "block diffusion",
    "DDPM": "DDPM (same body)",
    "U-Net": "DDPM (U-Net)",
}
LOOKS = {
    name: {"color": colour, "linestyle": dash, "marker": marker, "markersize": 4}
    for name, colour, dash, marker in (
        ("GPT", plots.AUTOREGRESSIVE, "-", "o"),
        ("masked", "#a35c9e", "-.", "s"),
        ("block", "#3f9e8f", (0, (5, 1)), "^"),
        ("DDPM", plots.DIFFUSION, "--", "D"),
        ("U-Net", "#8c4a12", ":", "v"),
        ("GPT, dropout", "#5b8fd6", "--", "v"),
        ("GPT, hidden inputs", "#3f9e8f", ":", "^"),
    )
}
REPEATED = {  # data that are learned again and again, and how often: see claim 16
    "100 digits": c16.EPOCHS[100],
    "300 digits": c16.EPOCHS[300],
    "50,000 letters": c16.TEXT_STEPS * c16.BATCH * experiment.STRETCH / c16.LETTERS,
}


def interval(values) -> tuple[float, float]:
    """Mean over seeds and half of its 95% t-interval; 0 if there is but one."""
    if len(values) == 1:
        return float(values[0]), 0.0
    effect = verdict.mean("", values, 0.0)
    return effect.mean, effect.high - effect.mean


@functools.cache
def real() -> dict:
    """The figures of real digits: as many training images in the place of samples."""
    digits = mg.data.digits()
    entropy = experiment.class_entropy(digits.train[: len(digits.test)])
    return real_floor(digits)._asdict() | {"class_entropy": entropy}


def measured(name: str) -> Callable:
    """The values of one figure of the cells `experiment.digits`."""
    return lambda cells, arm, size: figures(cells, name, arm=arm, size=size)


def chain_bits(cells: list[dict], arm: str, size: int) -> list[float]:
    """By the chain rule from left to right, which is how a GPT's own figure is computed."""
    own = figures(cells, "bits", arm=arm, size=size, exact=True)
    return own or figures(cells, "chain_bits", arm=arm, size=size)


def line(axes, points: dict, name: str, shift: float = 1.0) -> None:
    """Means with their intervals, of x -> figures of several seeds."""
    found = {x * shift: interval(values) for x, values in points.items() if len(values)}
    if found:
        middle, half = np.transpose(list(found.values()))
        label = COLUMNS.get(name, name)
        axes.errorbar(list(found), middle, half, capsize=2, label=label, **LOOKS[name])


def legend(figure) -> None:
    """One for all panels, below them; a panel without lines says why."""
    for axes in figure.axes:
        if not axes.containers:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
    both = (axes.get_legend_handles_labels() for axes in figure.axes)
    named = {label: handle for handles, labels in both for handle, label in zip(handles, labels)}
    figure.legend(named.values(), named, loc="outside lower center", ncols=6)


def training(record: dict) -> plots.Picture:
    """Quality against seconds' worth of training: means of seeds with 95% intervals."""
    cells = list(record["cells"].values())
    panels = {
        "one_nn_accuracy": "1-NN accuracy (0.5: like real)",
        "precision": "precision: quality",
        "recall": "recall: diversity",
        "bits": "exact bits a pixel, test part",
    }
    with plots.style():
        figure = plots.Picture((12, 3.5))
        for axes, (name, title) in zip(figure.subplots(1, len(panels)), panels.items()):
            values = chain_bits if name == "bits" else measured(name)
            for k, arm in enumerate(DIGITS):
                points = {size: values(cells, arm, size) for size in experiment.SIZES}
                line(axes, points, arm, shift=1.04 ** (k - 2))  # intervals stand side by side
            if name in real():
                axes.axhline(real()[name], color=plots.TRUTH, linewidth=1, label="real digits")
            axes.set(title=title, xscale="log", xlabel="seconds' worth of training")
            axes.set_xticks(experiment.SIZES, experiment.SIZES)
            axes.minorticks_off()
        legend(figure)
    return figure


def data(record: dict) -> plots.Picture:
    """Few data: bits of the validation part on the way, and samples after fewer images."""
    cells, images = list(record["cells"].values()), len(mg.data.digits().train)
    with plots.style():
        figure = plots.Picture((10.5, 3.4))
        *panels, last = figure.subplots(1, len(REPEATED) + 1)
        for axes, (what, times) in zip(panels, REPEATED.items()):
            for kind in c16.KINDS:
                looks = np.transpose(figures(cells, "looks", data=what, kind=kind))
                line(axes, dict(zip(np.linspace(0, times, c16.LOOKS + 1)[1:], looks)), kind)
            axes.set(title=what, xlabel="times through the data")
        panels[0].set_ylabel("exact bits, validation part")
        for arm in c14.ARMS:
            few = figures(cells, "one_nn_accuracy", arm=arm, change="400 images")
            whole = figures(cells, "one_nn_accuracy", arm=arm, size=SIZE)
            line(last, {400: few, images: whole}, arm)
        last.set(title="1-NN accuracy (0.5: like real)", xlabel="training images")
        last.set_xticks([400, images])
        legend(figure)
    return figure


def samples(record: dict) -> plots.Picture:
    """The first samples of seed 0 of every arm and size, unselected, beside real digits."""
    cells, test = list(record["cells"].values()), mg.data.digits().test
    draw = plots.tiles(5, limits=(0, 16))
    with plots.style():
        figure = plots.Picture((12, 7.2))
        rows = figure.subplots(len(experiment.SIZES), len(DIGITS) + 1)
        for row, size in zip(rows, experiment.SIZES):
            for axes, arm in zip(row, DIGITS):
                for written in figures(cells, "samples", arm=arm, size=size):  # of one seed
                    draw(axes, framed(experiment.read(written)))
                axes.set_title(f"{COLUMNS[arm]}, {size} s")
                axes.axis("off")
            real_ones, test = np.split(test, [experiment.SHOWN])
            draw(row[-1], framed(real_ones))
            row[-1].set_title("real digits")
    return figure


def framed(levels: np.ndarray) -> np.ndarray:
    """With a white pixel around each, (N, 8, 8) -> (N, 10, 10): digits fill their eight rows."""
    return np.pad(levels, ((0, 0), (1, 1), (1, 1)))
