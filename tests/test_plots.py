"""Figures and animations: what they hold, the same bytes every time, family colours that differ in grey."""

import io
import itertools
import re

import matplotlib
import numpy as np
import pytest
from PIL import Image

from minigen import plots


def luminance(colour: str) -> float:
    """Relative luminance of the WCAG, 0 black to 1 white."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def deuteranope(colour: str) -> np.ndarray:
    """The colour as people without the middle cones see it (Machado et al. 2009, severity 1), sRGB taken as linear."""
    matrix = [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
    return np.clip(np.array(matrix) @ matplotlib.colors.to_rgb(colour), 0, 1)


def test_the_two_families_differ_in_grey_and_for_the_colour_blind():
    dark, light = luminance(plots.AUTOREGRESSIVE), luminance(plots.DIFFUSION)
    assert (light + 0.05) / (dark + 0.05) > 2.5
    assert np.linalg.norm(deuteranope(plots.AUTOREGRESSIVE) - deuteranope(plots.DIFFUSION)) > 0.5


def test_style_leaves_the_settings_as_they_were():
    before = dict(matplotlib.rcParams)
    with plots.style():
        assert matplotlib.rcParams["axes.spines.top"] is False
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("shape", [(7, 8, 8), (7, 1, 8, 8)])
def test_image_grid_shows_every_image_on_one_scale_in_a_frame(shape):
    images = np.arange(np.prod(shape)).reshape(shape)
    figure = plots.image_grid(images, columns=3, titles=list("abcdefg"))
    shown = [axes for axes in figure.axes if axes.images]
    assert len(figure.axes) == 9 and len(shown) == 7
    light = 1 - images.reshape(7, 8, 8, 1) / images.max()  # high values dark
    for axes, expected in zip(shown, light):
        np.testing.assert_allclose(
            axes.images[0].get_array(), expected.repeat(3, axis=-1), atol=1e-12
        )
        assert all(spine.get_visible() for spine in axes.spines.values())
    for wrong in (np.zeros((3, 8)), np.zeros((3, 2, 8, 8)), np.zeros((0, 8, 8))):
        with pytest.raises(ValueError, match=re.escape(f"got shape {wrong.shape}")):
            plots.image_grid(wrong)


def test_limits_are_white_then_black_and_colours_are_light_where_they_are_high(tmp_path):
    grey = np.array([-2.0, -1, 0, 1, 2]).reshape(1, 1, 1, 5)

    def first(images, **settings):
        return plots.image_grid(images, **settings).axes[0].images[0].get_array()[0, :, 0].tolist()

    assert first(grey, limits=(-1, 1)) == [1, 1, 0.5, 0, 0]
    assert first(grey, limits=(1, -1)) == [0, 0, 0.5, 1, 1]
    assert first(np.ones((1, 4, 4))) == [1] * 4  # all alike
    coloured = np.stack([grey[:, 0], -grey[:, 0], 0 * grey[:, 0]], axis=1)
    for limits in ((-1, 1), (1, -1)):
        figure = plots.image_grid(coloured, limits=limits)
        assert figure.axes[0].images[0].get_array()[0, -1].tolist() == [1, 0, 0.5]
    figure.savefig(tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").format == "PNG"


def test_curves_have_labels_colours_and_a_band():
    x = np.linspace(0, 1, 5)
    figure = plots.curves(
        {"a": x, "b": (x, x**2, 0.1 * x)},
        "step",
        "nats",
        title="loss",
        colours={"b": plots.TRUTH},
        yscale="log",
    )
    (axes,) = figure.axes
    a, b = axes.lines
    np.testing.assert_array_equal(a.get_xdata(), np.arange(5))
    np.testing.assert_array_equal(b.get_ydata(), x**2)
    assert a.get_color() == plots.AUTOREGRESSIVE and b.get_color() == plots.TRUTH
    assert a.get_linestyle() != b.get_linestyle(), "told apart without colour too"
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left"), axes.get_yscale()) == (
        "step", "nats", "loss", "log",
    )  # fmt: skip
    assert len(axes.collections) == 1 and [t.get_text() for t in axes.get_legend().get_texts()] == [
        "a",
        "b",
    ]


def test_a_figure_is_the_same_png_every_time():
    first, second = (plots.curves({"a": np.arange(3)}, "x", "y")._repr_png_() for _ in range(2))
    assert first == second and Image.open(io.BytesIO(first)).format == "PNG"


def test_gif_keeps_frames_order_and_duration():
    frames = [np.full((6, 8, 3), 255, np.uint8) for _ in range(5)]
    for k, frame in enumerate(frames):
        frame[0, k] = (200, 30, 30)
    gif = plots.gif(frames, seconds=2.0)
    assert gif == plots.gif(frames, seconds=2.0) and b"NETSCAPE" in gif, (
        "the same bytes, and it loops"
    )
    picture = Image.open(io.BytesIO(gif))
    assert picture.format == "GIF" and picture.n_frames == 5
    durations = []
    for k in range(5):
        picture.seek(k)
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), frames[k])
        durations.append(picture.info["duration"])
    assert durations == [400] * 4 + [1000]
    bundle = gif._repr_mimebundle_()
    assert bundle["image/gif"] == bundle["image/png"] and repr(gif) == bundle["text/plain"]
    with pytest.raises(ValueError, match="empty"):
        plots.gif([])


@pytest.mark.parametrize(("frames", "seconds"), [(41, 4.0), (7, 3.0), (300, 2.0)])
def test_the_time_between_frames_is_equal_and_seconds_are_kept(frames, seconds):
    """41 frames in 4 seconds were 98 ms each, which a GIF cuts off to 90."""
    pictures = [np.full((2, 2), 255 * (k % 2), np.uint8) for k in range(frames)]
    picture = Image.open(io.BytesIO(plots.gif(pictures, seconds)))
    durations = []
    for k in range(frames):
        picture.seek(k)
        durations.append(picture.info["duration"])
    assert set(durations[:-1]) == {max(20, 10 * round(100 * seconds / frames))}


def test_animate_draws_every_state_and_paper_stays_white():
    states = (np.random.default_rng(k).normal(size=(30, 2)) for k in range(4))
    gif = plots.animate(
        states, plots.points(plots.AUTOREGRESSIVE, background=np.zeros((5, 2))), labels="abcd"
    )
    picture = Image.open(io.BytesIO(gif))
    assert picture.n_frames == 4
    frames = [np.asarray((picture.seek(k), picture.convert("RGB"))[1]) for k in range(4)]
    assert all((frame[-1, -1] == 255).all() for frame in frames)
    assert all((a != b).any() for a, b in itertools.pairwise(frames))


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_put_images_in_rows_with_borders(channels):
    images = np.stack([np.full((channels, 32, 32), k) for k in range(5)])
    with plots.style():
        axes = plots.Picture().subplots()
        plots.tiles(columns=3, limits=(0, 4))(axes, images)
    mosaic = axes.images[0].get_array()
    assert mosaic.shape == (67, 100, 3)
    level = mosaic[16::33, 16::33, 0]  # the middles
    low_is_light = np.array([[1, 0.75, 0.5], [0.25, 0, 1]])
    np.testing.assert_allclose(
        level, low_is_light if channels == 1 else [[0, 0.25, 0.5], [0.75, 1, 1]]
    )
    border = matplotlib.colors.to_rgb(plots.QUIET)
    for line in (
        mosaic[0],
        mosaic[33],
        mosaic[:, 0],
        mosaic[:, 33],
        mosaic[:34, 99],
        mosaic[66, :67],
    ):
        np.testing.assert_allclose(line, np.broadcast_to(border, line.shape))


def test_small_images_are_enlarged_so_that_borders_are_thin():
    with plots.style():
        axes = plots.Picture().subplots()
        plots.tiles(columns=2)(axes, np.zeros((4, 8, 8)))
    assert axes.images[0].get_array().shape == (67, 67, 3)
