"""Figures and animations: what they hold, the same bytes every time, family colours that differ in grey."""

import io
import itertools

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
def test_image_grid_shows_every_image_on_one_scale(shape):
    images = np.arange(np.prod(shape)).reshape(shape)
    figure = plots.image_grid(images, columns=3, titles=list("abcdefg"))
    shown = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(figure.axes) == 9 and len(shown) == 7
    assert {image.get_clim() for image in shown} == {(0, images.max())}
    np.testing.assert_array_equal(shown[4].get_array(), images[4].reshape(8, 8))
    assert {
        image.get_clim()
        for axes in plots.image_grid(images, limits=(-1, 1)).axes
        for image in axes.images
    } == {(-1, 1)}
    with pytest.raises(ValueError, match=r"\(3, 8\)"):
        plots.image_grid(np.zeros((3, 8)))


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


def test_tiles_put_images_in_rows():
    images = np.stack([np.full((1, 2, 2), k) for k in range(5)])
    with plots.style():
        axes = plots.Picture().subplots()
        plots.tiles(columns=3, limits=(0, 4))(axes, images)
    mosaic = axes.images[0].get_array()
    assert mosaic.shape == (6, 9)
    np.testing.assert_array_equal(
        mosaic[:, ::3], [[0, 1, 2], [0, 1, 2], [0, 0, 0], [3, 4, 0], [3, 4, 0], [0, 0, 0]]
    )
