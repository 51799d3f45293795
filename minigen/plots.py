"""Figures and animations in one quiet style, in grey too and for colour-blind readers.

Each family has its own colour. Functions return a matplotlib Figure, or a GIF that moves where a
notebook shows it; nothing needs a display.
"""

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray
from PIL import Image
from tqdm import tqdm

AUTOREGRESSIVE = "#1b4f91"  # dark blue: dark grey in print
DIFFUSION = "#e8862a"  # orange: light grey in print
TRUTH = "#222222"  # exact answers, published values
QUIET = "#b8b8b8"  # data in the background, what was rejected

# Every line differs in grey level and in dashes too, not only in hue.
_HUES = matplotlib.cycler(color=[AUTOREGRESSIVE, DIFFUSION, TRUTH, "#3f9e8f", "#a35c9e", "#8a8a8a"])
_DASHED = (0, (5, 1, 1, 1, 1, 1))
_DOTTED = (0, (1, 1))
_DASHES = matplotlib.cycler(linestyle=["-", "--", ":", "-.", _DASHED, _DOTTED])

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
    "axes.prop_cycle": _HUES + _DASHES,
}


def style():
    """The course's style, for what matplotlib draws in a block: `with plots.style(): ...`."""
    return matplotlib.rc_context(_LOOK)


class Picture(Figure):
    """A figure that a notebook shows without pyplot: nothing stays open or is shown twice."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", bbox_inches="tight", metadata={"Software": None})
        return file.getvalue()


def image_grid(
    images: ndarray, columns=10, titles: Sequence[str] = (), limits=None, size=0.75
) -> Figure:
    """Images (N, Y, X), (N, 1, Y, X) or in colour (N, 3, Y, X) side by side, thinly framed.

    Each is `size` inches wide. `limits` are the values shown white and black, by default the lowest
    and the highest of all the images together; for photographs, in which light is high, the other
    way round: (1, -1). The figure's `savefig` writes a file.
    """
    pixels = _pixels(images, limits)
    columns = min(len(pixels), columns)
    rows = -(-len(pixels) // columns)
    height = size + 0.22 if titles else size
    with style():
        figure = Picture((columns * size, rows * height))
        for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            if index >= len(pixels):
                axes.axis("off")
                continue
            axes.imshow(pixels[index], interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color=QUIET, linewidth=0.5)
            if titles:
                axes.set_title(titles[index], loc="center", fontsize=8)
    return figure


def curves(
    lines: Mapping, xlabel: str, ylabel: str, colours: Mapping | None = None, **settings
) -> Figure:
    """Lines with a legend: `curves({"loss": losses}, "step", "nats")`.

    A line is y, (x, y) or (x, y, standard error). `settings` go to matplotlib's `Axes.set`:
    title="...", yscale="log", xlim=(0, 1), ...
    """
    with style():
        figure = Picture()
        axes = figure.subplots()
        for label, line in lines.items():
            x, y, *error = line if isinstance(line, tuple) else (np.arange(len(line)), line)
            colour = (colours or {}).get(label)
            (drawn,) = axes.plot(x, y, label=label, color=colour)
            if error:
                low, high = y - error[0], y + error[0]
                axes.fill_between(x, low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)
        axes.set(xlabel=xlabel, ylabel=ylabel, **settings)
        axes.legend()
    return figure


class GIF(bytes):
    """The bytes of an animated GIF, which a notebook shows moving.

    `Path("walk.gif").write_bytes(gif)` keeps it.
    """

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        # nbconvert and what builds on it leave image/gif out; a browser goes by the bytes, which
        # move as image/png too.
        text = base64.b64encode(self).decode()
        return {"image/gif": text, "image/png": text, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<GIF of {len(self) / 1000:.0f} kB>"


def gif(frames: Iterable[ndarray | Figure], seconds: float = 4.0, colours: int = 32) -> GIF:
    """One GIF of figures, or of uint8 arrays (Y, X) or (Y, X, 3), of equal size.

    The last frame is held for a second. The time between frames is equal: seconds / frames, rounded
    to the hundredths that a GIF knows, at least two.
    """
    bar = tqdm(frames, "drawing", leave=False, unit="frame")
    pictures = [Image.fromarray(_drawn(frame)).convert("RGB") for frame in bar]
    if not pictures:
        raise ValueError("frames is empty")
    palette = _palette(pictures, colours)
    pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    hundredths = max(2, round(100 * seconds / len(pictures)))
    durations = [10 * hundredths] * (len(pictures) - 1) + [1000]
    settings = {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0}
    file = io.BytesIO()
    pictures[0].save(file, "GIF", **settings)
    return GIF(file.getvalue())


def _palette(pictures: list[Image.Image], colours: int) -> Image.Image:
    """One palette for all frames, from nine of them: no flicker, small files."""
    nine = np.linspace(0, len(pictures) - 1, 9).astype(int)
    chosen = [pictures[k] for k in nine]
    palette = Image.fromarray(np.concatenate(chosen)).quantize(colours - 1)
    table = np.array(palette.getpalette()).reshape(-1, 3)[: colours - 1]
    paper = table.min(axis=1) > 240
    table[paper] = 255  # paper stays white
    grey = np.ptp(table, axis=1) < 10
    table[grey] = table[grey, 1:2]  # and grey stays grey, without a tint
    black = np.zeros((1, 3), int)  # and the text black
    palette.putpalette(np.concatenate([table, black]).ravel().tolist())
    return palette


def animate(
    states: Iterable,
    draw: Callable,
    labels: Sequence | None = None,
    seconds: float = 4.0,
    size: tuple[float, float] = (3.2, 3.4),
    colours: int = 32,
) -> GIF:
    """A walk as a GIF: each state drawn by `draw(axes, state)` on fresh axes, below its label."""

    def frames() -> Iterable[Figure]:
        for index, state in enumerate(states):
            label = f"step {index}" if labels is None else labels[index]
            with style():
                figure = Figure(size, dpi=80)
                axes = figure.subplots()
                draw(axes, state)
                axes.set_title(label, fontsize=12)
            yield figure

    return gif(frames(), seconds, colours)


def points(
    colour: str = DIFFUSION, limit: float = 3.0, background: ndarray | None = None
) -> Callable:
    """A `draw` for `animate`: points (N, 2) in [-limit, limit]^2, over a quiet cloud of data."""
    span = (-limit, limit)

    def draw(axes: Axes, state: ndarray) -> None:
        if background is not None:
            axes.plot(*np.asarray(background).T, ".", color=QUIET, markersize=2)
        axes.plot(*np.asarray(state).T, ".", color=colour, markersize=3)
        axes.set(xlim=span, ylim=span, aspect="equal", xticks=[], yticks=[])
        axes.spines[:].set_visible(False)

    return draw


def tiles(columns: int, limits: tuple[float, float] = (-1, 1)) -> Callable:
    """A `draw` for `animate`: images as for `image_grid`, in one mosaic with thin borders."""

    def draw(axes: Axes, state: ndarray) -> None:
        pixels = _pixels(state, limits)
        zoom = -(-32 // pixels.shape[1])  # enlarged, so that a border of one pixel is thin
        pixels = pixels.repeat(zoom, axis=1).repeat(zoom, axis=2)
        n, height, width, _ = pixels.shape
        rows = -(-n // columns)
        down, right = height + 1, width + 1
        mosaic = np.ones((rows * down + 1, columns * right + 1, 3))
        for index, picture in enumerate(pixels):
            y, x = index // columns * down, index % columns * right
            mosaic[y : y + down + 1, x : x + right + 1] = matplotlib.colors.to_rgb(QUIET)
            mosaic[y + 1 : y + down, x + 1 : x + right] = picture
        axes.imshow(mosaic)
        axes.axis("off")

    return draw


def _pixels(images: ndarray, limits: tuple[float, float] | None) -> ndarray:
    """Images (N, Y, X) or (N, 1 or 3, Y, X) as red, green and blue in 0..1, (N, Y, X, 3)."""
    images = np.asarray(images, dtype=np.float64)
    shape = images.shape
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        raise ValueError(
            f"images must be (N, Y, X), (N, 1, Y, X) or (N, 3, Y, X); got shape {shape}"
        )
    white, black = limits or (images.min(), images.max())
    is_coloured = images.shape[1] == 3
    if is_coloured and white < black:
        white, black = black, white  # what is high is light in every colour
    span = black - white if black != white else 1.0
    light = 1 - np.clip((images - white) / span, 0, 1)
    return np.moveaxis(light if is_coloured else light.repeat(3, axis=1), 1, -1)


def _drawn(frame: ndarray | Figure) -> ndarray:
    if not isinstance(frame, Figure):
        return np.asarray(frame)
    canvas = FigureCanvasAgg(frame)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def thumbnail(picture: bytes, width: int) -> bytes:
    """A PNG of that width in pixels, of a PNG or of the last frame of a GIF."""
    image = Image.open(io.BytesIO(picture))
    image.seek(getattr(image, "n_frames", 1) - 1)
    image = image.convert("RGB")
    size = (width, round(width * image.height / image.width))
    image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
