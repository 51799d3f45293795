"""What samples look like: those of any model, several sets in a picture, several walks in a GIF."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from minigen import plots

FRAMES = 33  # of a GIF, whatever the number of steps
HIDDEN = (0.76, 0.84, 0.94)  # the colour of a token beyond the symbols, the mask: pale blue


class Drawing(NamedTuple):
    """How to draw samples: `draw(axes, state)` as in `plots`, on axes of this size in inches."""

    draw: Callable
    size: tuple[float, float]
    columns: int = 1  # of a mosaic


class Panel(NamedTuple):
    """A set of samples with a title; `states` are those of a walk, the last one the samples."""

    title: str
    drawing: Drawing
    states: Sequence[ndarray]


def drawing(
    samples: ndarray, shape: Sequence[int] | None = None, symbols: int | None = None
) -> Drawing:
    """Samples are images (N, C, Y, X), points (N, 2), series (N, L) or tokens (N, L).

    Tokens are integers: the pixels of images if `shape` (Y, X) is given, else a row of greys each.
    There are `symbols` different ones.
    """
    N, *rest = samples.shape
    if samples.dtype.kind == "f" and len(rest) == 3:
        return images(rest[1:], (-1, 1), N)
    if samples.dtype.kind == "f" and rest == [2]:
        limit = max(3.0, 1.1 * float(np.abs(samples).max()))
        return Drawing(plots.points(limit=limit), (3.2, 3.2))
    if samples.dtype.kind == "f":
        return Drawing(_lines, (6.4, 2.6))
    limits = (0, (symbols or samples.max() + 1) - 1)
    if shape is None:
        return tokens((1, rest[0]), limits, N, columns=1)
    if math.prod(shape) != rest[0]:
        raise ValueError(
            f"shape: {shape[0]} x {shape[1]} pixels, but an example has {rest[0]} tokens"
        )
    return tokens(shape, limits, N)


def tokens(
    shape: Sequence[int], limits: tuple[int, int], n: int, columns: int | None = None
) -> Drawing:
    """n sequences of tokens as images of `shape` in greys; what is still hidden is blue."""
    mosaic = images(shape, (0, 1), n, columns)

    def draw(axes, state: ndarray) -> None:
        grey = 1 - np.clip(state / max(1, limits[1]), 0, 1)
        hidden = (state > limits[1])[..., None]
        colours = np.where(hidden, HIDDEN, grey[..., None])  # (N, L, 3)
        pictures = colours.reshape(len(state), *shape, 3)
        plots.tiles(mosaic.columns, (0, 1))(axes, pictures.transpose(0, 3, 1, 2))

    return mosaic._replace(draw=draw)


def images(
    shape: Sequence[int], limits: tuple[float, float], n: int, columns: int | None = None
) -> Drawing:
    """n images of `shape` (Y, X) as one mosaic; of several channels their mean."""
    columns = columns or min(20, math.ceil(math.sqrt(n)))
    inches = 0.045 * max(8, *shape) / max(shape)  # of a pixel

    def draw(axes, state: ndarray) -> None:
        if state.ndim == 4:
            state = state.mean(axis=1)
        plots.tiles(columns, limits)(axes, state.reshape(-1, *shape))

    rows = -(-n // columns)
    size = (columns * (shape[1] + 1) * inches, rows * (shape[0] + 1) * inches)
    return Drawing(draw, size, columns)


def _lines(axes, state: ndarray) -> None:
    axes.plot(state.T, linewidth=1)
    axes.set_xlabel("step")


def picture(panels: Sequence[Panel]) -> plots.Picture:
    """The last state of every panel, one below the other."""
    heights = [panel.drawing.size[1] + 0.3 for panel in panels]  # with the title
    width = max(3.2, *(panel.drawing.size[0] for panel in panels))
    with plots.style():
        figure = plots.Picture((width, sum(heights)))
        rows = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, panel in zip(rows, panels):
            panel.drawing.draw(axes, panel.states[-1])
            axes.set_title(panel.title)
    return figure


def walks(panels: Sequence[Panel]) -> plots.GIF:
    """The walks beside each other, from ignorance to data; all take equally long here."""
    longest = max(len(panel.states) for panel in panels)
    moments = np.linspace(0, 1, min(FRAMES, longest))
    share, gap = 1 / len(panels), 0.04 / len(panels)

    def draw(axes, moment: float) -> None:
        axes.axis("off")
        for index, panel in enumerate(panels):
            inset = axes.inset_axes([index * share + gap / 2, 0, share - gap, 1])
            panel.drawing.draw(inset, panel.states[round(moment * (len(panel.states) - 1))])
            inset.set_title(panel.title)

    labels = [f"{100 * moment:3.0f}% of the walk\n" for moment in moments]
    height = 3.2 if len(panels) > 1 else 3.6
    size = (2.6 * len(panels) + 0.6, height)
    return plots.animate(moments, draw, labels, seconds=5, size=size)
