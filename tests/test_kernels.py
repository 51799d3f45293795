"""Every fast way gives what the textbook way gives, and that one what the definition says."""

import numpy as np
import pytest

from minigen.kernels import convolution, portions, winograd

SIZES = [((2, 3), 1), ((4, 6), 3), ((5, 4), 3), ((5, 6), 4), ((6, 6), 5)]
CHANNELS = [(1, 1), (3, 2), (16, 2), (2, 5)]


def generator():
    return np.random.default_rng(0)


def problem(size, k, channels, dtype=np.float64, images=3):
    """An image (B, Y, X, C), a kernel (k, k, C, O)."""
    rng, (C, O) = generator(), channels
    image = rng.standard_normal((images, *size, C)).astype(dtype)
    return image, rng.standard_normal((k, k, C, O)).astype(dtype)


def by_definition(image, kernel, stride, padding):
    k = len(kernel)
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))
    return np.einsum("byxcij,ijco->byxo", windows[:, ::stride, ::stride], kernel)


@pytest.fixture(autouse=True, params=[50, 2**19], ids=["one image at a time", "all at once"])
def _numbers_at_once(request, monkeypatch):
    monkeypatch.setattr(portions, "NUMBERS_AT_ONCE", request.param)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("size", "k"), SIZES)
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 2), (2, 1), (3, 3)])
def test_the_textbook_way_is_the_definition_and_its_two_transposes(
    size, k, channels, stride, padding
):
    """<g, convolve(image, kernel)> is linear in both: its derivatives are the transposes."""
    if min(size) + 2 * padding < k:
        pytest.skip("the filter does not fit")
    image, kernel = problem(size, k, channels)
    out = convolution.convolve(image, kernel, stride, padding)
    np.testing.assert_allclose(out, by_definition(image, kernel, stride, padding), atol=1e-12)
    g = generator().standard_normal(out.shape)
    back = convolution.convolve_transposed(g, kernel, stride, padding, size)
    d = convolution.correlate(image, g, k, stride, padding)
    assert back.shape == image.shape and d.shape == kernel.shape
    other_image, other_kernel = np.sin(7 * image), np.sin(7 * kernel)
    moved = convolution.convolve(other_image, kernel, stride, padding)
    np.testing.assert_allclose((g * moved).sum(), (back * other_image).sum(), rtol=1e-9, atol=1e-9)
    moved = convolution.convolve(image, other_kernel, stride, padding)
    np.testing.assert_allclose((g * moved).sum(), (d * other_kernel).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("size", "k"), SIZES)
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_ways_by_turning_the_kernel(size, k, channels, padding):
    if not padding < k <= min(size) + 2 * padding:
        pytest.skip("not for this padding")
    image, kernel = problem(size, k, channels)
    out = convolution.convolve(image, kernel, 1, padding)
    by_adding = convolution.convolve_by_adding(image, kernel, padding)
    np.testing.assert_allclose(by_adding, out, atol=1e-12)
    g = generator().standard_normal(out.shape)
    back = convolution.convolve_transposed(g, kernel, 1, padding, size)
    as_a_convolution = convolution.fastest_transposed(g, kernel, 1, padding, size)
    np.testing.assert_allclose(as_a_convolution, back, atol=1e-12)
    d = convolution.correlate(image, g, k, 1, padding)
    of_results = convolution.correlate_patches_of_results(image, g, k, padding)
    np.testing.assert_allclose(of_results, d, atol=1e-11)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-4)])
@pytest.mark.parametrize("channels", [*CHANNELS, (24, 32)])
@pytest.mark.parametrize("size", [(2, 2), (4, 6), (8, 8)])
def test_winograds_way(size, channels, dtype, tolerance):
    image, kernel = problem(size, 3, channels, dtype)
    out = convolution.convolve(image, kernel, 1, 1)
    fast = winograd.convolve(image, kernel)
    assert fast.dtype == dtype
    np.testing.assert_allclose(fast, out, atol=tolerance * np.abs(out).max())
    g = generator().standard_normal(out.shape).astype(dtype)
    d = convolution.correlate(image, g, 3, 1, 1)
    np.testing.assert_allclose(
        winograd.correlate(image, g), d, atol=tolerance * np.abs(d).max(), rtol=tolerance
    )


def test_winograds_way_is_taken_where_it_fits_and_is_wide():
    wide = winograd.FEWEST_CHANNELS
    even, odd = np.zeros((1, 4, 6, wide)), np.zeros((1, 4, 5, wide))
    assert winograd.pays(even, (3, 3, wide, wide), 1, 1)
    for image, shape, stride, padding in [
        (odd, (3, 3, wide, wide), 1, 1),
        (even, (3, 3, wide, wide - 1), 1, 1),
        (even, (3, 3, wide - 1, wide), 1, 1),
        (even, (5, 5, wide, wide), 1, 1),
        (even, (3, 3, wide, wide), 2, 1),
        (even, (3, 3, wide, wide), 1, 0),
    ]:
        assert not winograd.pays(image, shape, stride, padding)
