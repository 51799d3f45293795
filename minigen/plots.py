"""Figures and animations in one quiet style: readable in grey, safe for colour-blind readers, one colour a family.

Functions return a matplotlib Figure, or a GIF that moves where a notebook shows it; nothing needs a display.
"""

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

AUTOREGRESSIVE = "#1b4f91"  # dark blue: dark grey in print
DIFFUSION = "#e8862a"  # orange: light grey in print
TRUTH = "#222222"  # exact answers, published values
QUIET = "#b8b8b8"  # data in the background, what was rejected

_LOOK = {
    "figure.figsize": (6.4, 3.2),
    "figure.constrained_layout.use": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "image.cmap": "gray_r",
    # every line differs in grey level and in dashes too, not only in hue
    "axes.prop_cycle": matplotlib.cycler(
        color=[AUTOREGRESSIVE, DIFFUSION, TRUTH, "#3f9e8f", "#a35c9e", "#8a8a8a"]
    )
    + matplotlib.cycler(linestyle=["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]),
}


def style():
    """The course's style, for figures made with matplotlib directly: `with plots.style(): figure, axes = ...`."""
    return matplotlib.rc_context(_LOOK)


class Picture(Figure):
    """A figure that a notebook shows without pyplot, so that nothing stays open or is shown twice."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", bbox_inches="tight", metadata={"Software": None})
        return file.getvalue()


def image_grid(
    images: np.ndarray, columns=10, titles: Sequence[str] = (), limits=None, size=0.75
) -> Figure:
    """Grey images (N, Y, X) or (N, 1, Y, X) side by side, `size` inches each, high values dark.

    `limits` are the values shown white and black; by default the lowest and highest value of all the images together.
    """
    images = np.asarray(images)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[1] != 1):
        raise ValueError(f"images must be (N, Y, X) or (N, 1, Y, X); got shape {images.shape}")
    images = images.reshape(len(images), *images.shape[-2:])
    columns = min(len(images), columns)
    rows = -(-len(images) // columns)
    low, high = limits or (images.min(), images.max())
    with style():
        figure = Picture((columns * size, rows * (size + (0.22 if titles else 0))))
        for index, axes in enumerate(np.ravel(figure.subplots(rows, columns, squeeze=False))):
            axes.axis("off")
            if index < len(images):
                axes.imshow(images[index], vmin=low, vmax=high)
                axes.set_title(titles[index] if titles else "", loc="center", fontsize=8)
    return figure


def curves(
    lines: Mapping, xlabel: str, ylabel: str, colours: Mapping | None = None, **settings
) -> Figure:
    """Lines with a legend: `curves({"loss": losses}, "step", "nats")`; a value is y, (x, y) or (x, y, standard error).

    `settings` go to matplotlib's `Axes.set`: title="...", yscale="log", xlim=(0, 1), ...
    """
    with style():
        figure = Picture()
        axes = figure.subplots()
        for label, line in lines.items():
            x, y, *error = line if isinstance(line, tuple) else (np.arange(len(line)), line)
            (drawn,) = axes.plot(x, y, label=label, color=(colours or {}).get(label))
            if error:
                axes.fill_between(
                    x, y - error[0], y + error[0], color=drawn.get_color(), alpha=0.2, linewidth=0
                )
        axes.set(xlabel=xlabel, ylabel=ylabel, **settings)
        axes.legend()
    return figure


class GIF(bytes):
    """The bytes of an animated GIF, which a notebook shows moving; `Path("walk.gif").write_bytes(gif)` keeps it."""

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        # nbconvert and what builds on it leave image/gif out; a browser goes by the bytes, which move as image/png too.
        text = base64.b64encode(self).decode()
        return {"image/gif": text, "image/png": text, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<GIF of {len(self) / 1000:.0f} kB>"


def gif(frames: Iterable[np.ndarray | Figure], seconds: float = 4.0, colours: int = 32) -> GIF:
    """One GIF of figures or of uint8 arrays (Y, X) or (Y, X, 3) of equal size; the last frame is held for a second."""
    pictures = [Image.fromarray(_pixels(frame)).convert("RGB") for frame in frames]
    if not pictures:
        raise ValueError("frames is empty")
    few = np.concatenate([np.asarray(pictures[k]) for k in (0, len(pictures) // 2, -1)])
    palette = Image.fromarray(few).quantize(
        colours
    )  # one palette for all frames: no flicker, small files
    table = np.array(palette.getpalette()).reshape(-1, 3)
    table[table.min(1) > 240] = 255  # paper stays white
    # and grey stays grey, without a tint
    palette.putpalette(
        np.where(np.ptp(table, 1, keepdims=True) < 10, table[:, 1:2], table).ravel().tolist()
    )
    pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [max(20, round(1000 * seconds / len(pictures)))] * (len(pictures) - 1) + [1000]
    file = io.BytesIO()
    pictures[0].save(
        file, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0
    )
    return GIF(file.getvalue())


def animate(
    states: Iterable, draw: Callable, labels: Sequence | None = None, seconds=4.0, size=(3.2, 3.4)
) -> GIF:
    """A walk as a GIF: each state is drawn by `draw(axes, state)` on fresh axes, its label above it."""

    def frames() -> Iterable[Figure]:
        for index, state in enumerate(states):
            with style():
                figure = Figure(size, dpi=80)
                axes = figure.subplots()
                draw(axes, state)
                axes.set_title(labels[index] if labels is not None else f"step {index}")
            yield figure

    return gif(frames(), seconds)


def points(
    colour: str = DIFFUSION, limit: float = 3.0, background: np.ndarray | None = None
) -> Callable:
    """A `draw` for `animate`: 2-D points (N, 2) in a square from -limit to limit, over a quiet cloud of data."""

    def draw(axes: Axes, state: np.ndarray) -> None:
        if background is not None:
            axes.plot(*np.asarray(background).T, ".", color=QUIET, markersize=2)
        axes.plot(*np.asarray(state).T, ".", color=colour, markersize=3)
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
        axes.spines[:].set_visible(False)

    return draw


def tiles(columns: int, limits: tuple[float, float] = (-1, 1)) -> Callable:
    """A `draw` for `animate`: images (N, Y, X) or (N, 1, Y, X) as one mosaic with `columns` columns."""

    def draw(axes: Axes, state: np.ndarray) -> None:
        rows, (height, width) = -(-len(state) // columns), np.shape(state)[-2:]
        mosaic = np.full(
            (rows, height + 1, columns, width + 1), limits[0], dtype=float
        )  # one pixel between images
        for index, image in enumerate(np.reshape(state, (-1, height, width))):
            mosaic[index // columns, :-1, index % columns, :-1] = image
        axes.imshow(mosaic.reshape(rows * (height + 1), -1), vmin=limits[0], vmax=limits[1])
        axes.axis("off")

    return draw


def _pixels(frame: np.ndarray | Figure) -> np.ndarray:
    if not isinstance(frame, Figure):
        return np.asarray(frame)
    canvas = FigureCanvasAgg(frame)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
