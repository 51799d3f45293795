"""data: every set against its published hash or figures, the splits, the loaders' errors, the
minibatches.
"""

import hashlib
import io
import itertools
import math
import re
import struct
import sys
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigen import data, evaluate
from minigen.data.files import images, installed

FOLDER = Path(data.__file__).parent
digits_module = sys.modules["minigen.data.digits"]


# -- digits ----------------------------------------------------------------------------------------


def test_digits_are_the_published_ones_in_the_published_split():
    with np.load(FOLDER / "digits.npz") as file:
        images, labels = file["images"], file["labels"]
    assert images.dtype == np.uint8 and images.shape == (1797, 8, 8) and images.max() == 16
    assert hashlib.sha256(images.tobytes()).hexdigest().startswith("8f26b2bd9d135c25")
    order = np.random.default_rng(0).permutation(1797)
    digits = data.digits()
    assert np.array_equal(digits.train, images[order[:1437]]) and np.array_equal(
        digits.test, images[order[1437:]]
    )
    assert np.array_equal(np.concatenate(digits[2:]), labels[order])
    assert (FOLDER / "digits.npz").stat().st_size < 50_000


def test_the_files_own_order_would_be_the_wrong_split():
    """Its last 360 images come from other writers; against those, real training images look
    generated (0.71).
    """
    with np.load(FOLDER / "digits.npz") as file:
        images = file["images"]
    accuracy = [
        evaluate.one_nn_accuracy(
            images[np.random.default_rng(seed).permutation(1437)[:360]] / 16, images[1437:] / 16
        )
        for seed in range(5)
    ]
    assert np.mean(accuracy) == pytest.approx(0.71, abs=0.04)


def test_the_cache_cannot_be_corrupted():
    glyphs, series = data.glyphs(8), data.series("nile")
    text = data.python_manual()
    for array in (*data.digits(), *glyphs, series.time, series.values, text.train, text.test):
        with pytest.raises(ValueError, match="read-only"):
            array[:1] = 0
    assert data.digits() is data.digits() and data.series("nile") is series


def test_a_damaged_or_missing_file_is_said(tmp_path, monkeypatch):
    whole = (FOLDER / "digits.npz").read_bytes()
    for content in (b"", whole[:-1], whole[:1000] + b"?" + whole[1001:]):
        (tmp_path / "digits.npz").write_bytes(content)
        monkeypatch.setattr(digits_module, "FILE", tmp_path / "digits.npz")
        with pytest.raises(OSError, match=r"digits\.npz is missing or damaged"):
            data.digits.__wrapped__()
    monkeypatch.setattr(digits_module, "FILE", tmp_path / "nowhere.npz")
    with pytest.raises(OSError, match=r"nowhere\.npz is missing or damaged"):
        data.digits.__wrapped__()


def test_levels_and_signed_floats_are_inverse():
    levels = np.arange(17, dtype=np.uint8)
    signed = data.to_signed(levels)
    assert signed.dtype == np.float32 and np.array_equal(
        signed, np.linspace(-1, 1, 17, dtype=np.float32)
    )
    assert np.array_equal(data.to_levels(signed), levels)
    assert np.array_equal(data.to_levels(data.to_signed(np.arange(256), 256), 256), np.arange(256))
    assert data.to_levels(np.array([-9.0, -1 + 0.9 / 16, -1 + 1.1 / 16, 9.0])).tolist() == [
        0,
        0,
        1,
        16,
    ]


@pytest.mark.parametrize("levels", [2, 17, 255, 256, 257, 300, 1000, 65536])
def test_levels_do_not_wrap(levels):
    """uint8 above 256 levels gave 244 for the middle of 1000, and 0 for level 256 of 300."""
    every = np.arange(levels)
    back = data.to_levels(data.to_signed(every, levels), levels)
    assert np.array_equal(back, every)
    assert back.dtype == (np.uint8 if levels <= 256 else np.uint16)
    assert data.to_levels(np.array([0.002]), 1000) == 500


# -- text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alphabet", ["a-z", "full"])
def test_the_manual_is_split_by_position_and_repeats_nothing(alphabet):
    text = data.python_manual(alphabet)
    whole = text.decode(np.concatenate([text.train, text.test]))
    assert hashlib.sha256(whole.encode()).hexdigest() == text.sha256
    assert len(text.train) == len(whole) * 9 // 10
    assert (
        len(whole) > 250_000
    )  # 300,134 and 373,103 on Python 3.11; each version has its own manual
    assert f"Python {sys.version_info[0]}.{sys.version_info[1]}" in text.source
    assert set(whole) == set(text.vocabulary) or alphabet == "a-z"
    assert np.array_equal(text.encode(whole[:500]), text.train[:500])
    if alphabet == "a-z":
        assert text.vocabulary == " abcdefghijklmnopqrstuvwxyz" and "  " not in whole
    else:
        paragraphs = re.split(r"\n\s*\n", whole)
        assert len(set(paragraphs)) == len(paragraphs)
        seen = set(re.split(r"\n\s*\n", text.decode(text.train)))
        assert not seen & set(re.split(r"\n\s*\n", text.decode(text.test)))


def test_a_fifth_of_the_manual_was_repeated():
    topics = pytest.importorskip("pydoc_data.topics").topics
    raw = "\n\n".join(topics.values())
    assert 0.1 < 1 - len(data.drop_repeats(raw)) / len(raw) < 0.3


def test_without_the_manual_the_docstrings_stand_in_and_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)  # makes the import fail
    text = data.python_manual.__wrapped__()
    assert "docstrings" in text.source and "missing" in text.source
    assert (
        len(text.train) > 200_000
        and "the" in text.decode(text.test).split()
        and text.sha256 != data.python_manual().sha256
    )


def whole(text: data.Text) -> str:
    return text.decode(np.concatenate([text.train, text.test]))


def test_any_file_and_any_string(tmp_path):
    path = tmp_path / "verse.txt"
    verse = "Über allen Gipfeln\nist Ruh\n"
    path.write_text(verse, encoding="utf-8")
    text = data.text_file(path)
    assert whole(text) == verse
    assert text.source == "verse.txt" and text.vocabulary == "".join(sorted(set(verse)))
    plain = data.as_text("Hello, World! 123 again", "a-z")
    assert whole(plain) == "hello world again"


def test_the_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "notepad.txt"
    path.write_bytes(b"\xef\xbb\xbfa first line\r\nand a second\r\n")
    text = data.text_file(path)
    assert whole(text) == "a first line\nand a second\n" and "\ufeff" not in text.vocabulary


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", ValueError, "odd.*10 characters or more, got 0"),
        (b"\xff\xfe\x00 no text at all", UnicodeDecodeError, "odd.* no text in utf-8.*encoding="),
        ("Grüße, Grüße".encode("latin-1"), UnicodeDecodeError, "encoding= may be latin-1"),
        ("plain letters".encode("utf-16-le"), ValueError, "NUL characters.*UTF-16"),
        (bytes(100), ValueError, "binary"),
        (b"a" * 100, ValueError, "nothing but 'a'"),
        (b"x" * 9, ValueError, "got 9"),
    ],
)
def test_files_that_are_no_text_are_refused_by_name(tmp_path, content, error, message):
    (tmp_path / "odd").write_bytes(content)
    with pytest.raises(error, match=message):
        data.text_file(tmp_path / "odd")


def test_a_folder_is_no_text_and_a_file_may_be_too_long(tmp_path, monkeypatch):
    with pytest.raises(OSError, match=re.escape(tmp_path.name)):
        data.text_file(tmp_path)
    (tmp_path / "long").write_text("abcdefghijklmnop" * 100)
    for load in (data.text_file, data.series_file):
        monkeypatch.setattr(sys.modules[load.__module__], "MOST_CHARACTERS", 1599)
        with pytest.raises(ValueError, match="long holds more than 1,599 characters"):
            load(tmp_path / "long")


def test_a_sample_of_one_row_is_decoded():
    text = data.as_text("an example")
    row = text.encode("example")
    assert text.decode(row[None]) == text.decode(row) == text.decode(list(row)) == "example"
    assert text.decode([]) == ""
    for tokens, error, got in (
        (np.stack([row, row]), ValueError, r"shape \(2, 7\)"),
        (row.astype(float), TypeError, "float64"),
        ("example", TypeError, "<U7"),
        (data.digits(), TypeError, "Digits"),
    ):
        with pytest.raises(error, match=rf"tokens: expected .*{got}"):
            text.decode(tokens)


def test_sorted_lines_are_noticed_before_they_are_split_by_position():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(200)]
    in_order = "\n".join(sorted(words, key=str.casefold))
    with pytest.warns(UserWarning, match="a string: its lines are sorted.*shuffle them"):
        data.as_text(in_order)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.as_text("\n".join(words))
        data.as_text("\n".join(["the same line"] * 100))
        data.as_text("\n".join(sorted(words)[:20]))  # too few to tell
        data.python_manual.__wrapped__("full")


# -- series ----------------------------------------------------------------------------------------


def least_squares(x, order):
    """Coefficients of x_t = c + sum phi_k x_{t-k}, c first."""
    lags = np.stack(
        [np.ones(len(x) - order), *(x[order - k : len(x) - k] for k in range(1, order + 1))], axis=1
    )
    return np.linalg.lstsq(lags, x[order:], rcond=None)[0]


def test_yules_numbers_give_the_correlations_he_printed():
    series = data.series("yule")
    assert series.time[[0, -1]].tolist() == [1749, 1924] and len(series.values) == 176
    rounded = np.rint(series.values - series.values.mean())
    r1, r2 = (np.corrcoef(rounded[:-k], rounded[k:])[0, 1] for k in (1, 2))
    assert (round(r1, 6), round(r2, 6)) == (0.811180, 0.433998)  # Table IV
    phi = r1 * (1 - r2) / (1 - r1**2), (r2 - r1**2) / (1 - r1**2)
    assert phi == pytest.approx((1.34253, -0.65504), abs=6e-6)
    assert 2 * math.pi / math.acos(phi[0] / (2 * math.sqrt(-phi[1]))) == pytest.approx(
        10.600, abs=6e-4
    )
    usual = data.series("sunspots")
    assert (series.values != usual.values[49:225]).sum() == 22


@pytest.mark.parametrize(
    ("name", "transform", "coefficients"),
    [
        ("yule", np.asarray, [13.941, 1.33633, -0.65037]),
        ("sunspots", np.asarray, [None, 1.39181, -0.69029]),
        ("lynx", np.log10, [None, 1.38424, -0.74778]),
    ],
)
def test_autoregressions_published_on_the_same_numbers(name, transform, coefficients):
    fitted = least_squares(transform(data.series(name).values), 2)
    for found, printed in zip(fitted, coefficients):
        assert printed is None or found == pytest.approx(printed, abs=6e-4 if printed > 2 else 6e-6)


@pytest.mark.parametrize(
    ("name", "first", "last", "length", "total", "missing"),
    [
        ("yule", 1749, 1924, 176, 7878.6, 0),
        ("sunspots", 1700, 2008, 309, 15373.4, 0),
        ("nile", 1871, 1970, 100, 91935, 0),
        ("lynx", 1821, 1934, 114, 175334, 0),
        ("air_passengers", 1949, 1960 + 11 / 12, 144, 40363, 0),
        ("co2", 1958 + 2 / 12, 2001 + 11 / 12, 526, 177047.65, 5),
    ],
)
def test_series_as_the_datasheet_says(name, first, last, length, total, missing):
    series = data.series(name)
    assert (
        series.time[[0, -1]] == pytest.approx([first, last])
        and len(series.time) == len(series.values) == length
    )
    assert (
        np.nansum(series.values) == pytest.approx(total, abs=0.01)
        and np.isnan(series.values).sum() == missing
    )
    assert np.allclose(np.diff(series.time), series.time[1] - series.time[0])
    assert len(series.source) > 80


def csv_file(folder: Path, content: str) -> Path:
    (folder / "mine.csv").write_text(content, encoding="utf-8")
    return folder / "mine.csv"


@pytest.mark.parametrize(
    ("content", "times", "values"),
    [
        ('# by hand\n\n"month","level"\n2020,1.5\n"2020-07", 2\n', [2020, 2020.5], [1.5, 2]),
        ("\ufeffyear,level\n2020,1\n2021,2\n", [2020, 2021], [1, 2]),
        ("date,sales\n2024-01-01,5\n2024-07-16,7\n", [2024, 2024.5 + 15 / 372], [5, 7]),
        ("2024-01-01 12:00,5\n2024/01/02,7\n", [2024 + 0.5 / 372, 2024 + 1 / 372], [5, 7]),
        ("2020,1\n2021,2\n", [2020, 2021], [1, 2]),  # no header: a numeric first row is data
        ("t;v\n1;2,5\n2;1e3\n", [1, 2], [2.5, 1000]),  # a decimal comma
        ("t\tv\n1\t2,5\n2\t3\n", [1, 2], [2.5, 3]),
        ("t,v\n2021,2\n2020,1\n", [2020, 2021], [1, 2]),  # latest first
        ("t,v\n1,NA\n2,\n3,NaN\n4,null\n5,n/a\n6,7\n", [1, 2, 3, 4, 5, 6], [math.nan] * 5 + [7]),
    ],
)  # fmt: skip
def test_csv_files_of_many_kinds(tmp_path, content, times, values):
    series = data.series_file(csv_file(tmp_path, content))
    np.testing.assert_allclose(series.time, times, rtol=1e-12)
    np.testing.assert_array_equal(series.values, values)
    assert series.source == ("by hand" if content.startswith("#") else str(tmp_path / "mine.csv"))


def test_of_more_than_two_columns_one_is_chosen(tmp_path):
    path = csv_file(tmp_path, "rownames,time,value\n1,1821,269\n2,1822,321\n")
    with pytest.raises(ValueError, match=r"\['rownames', 'time', 'value'\]; column= .*column=None"):
        data.series_file(path)
    lynx = data.series_file(path, column="value", time="time")
    assert lynx.time.tolist() == [1821, 1822] and lynx.values.tolist() == [269, 321]
    assert data.series_file(path, "value").time.tolist() == [1, 2]
    with pytest.raises(ValueError, match="column='price'"):
        data.series_file(path, "price")
    plain = csv_file(tmp_path, "1,1821,269\n2,1822,321\n")
    assert data.series_file(plain, column=2, time=1).values.tolist() == [269, 321]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("t,v\n1,2\n2,two\n", r"\['2', 'two'\]"),
        ("t,v\n1\n", r"expected 2 fields\): \['1'\]"),
        ("t,v\n1,2,3\n", "expected 2 fields"),
        ("t,v\n31.01.2024,2\n", "31.01.2024"),
        ("t,v\n2024-02-30,2\n", "2024-02-30"),
        ("t,v\n2024-13,2\n", "2024-13"),
        ("t,v\n1,inf\n", "'inf' is no number"),
        ("t,v\n1,1_000\n", "'1_000' is no number"),
        ('t,v\n1,"1,000"\n', "1,000"),
        ("t,v\n,2\n", "not time,value"),
        ("t,v\n1,2\n1,3\n", "the time 1.0000 more than once"),
        ("t,v\n", "no line of time,value below its header"),
        ("", "no line of time,value"),
        ("# only this\n", "no line of time,value"),
        ("value\n3\n", r"columns \['value'\]"),
        ("t,v\n1,\0\n", "NUL"),
        ("t,v\n1," + "9" * 200_000, "field larger"),
    ],
)
def test_what_is_no_series_is_refused_showing_the_row(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        data.series_file(csv_file(tmp_path, content))


def test_a_series_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        data.series_file("nowhere.csv")


# -- points and pictures ---------------------------------------------------------------------------


def test_the_moons_lie_where_they_should():
    rng, n = np.random.default_rng(0), 20_000
    moons = data.two_moons(n, rng, noise=0)
    upper = moons + [0.5, 0.25]
    lower = moons - [0.5, 0.25]
    on_upper = np.isclose((upper**2).sum(axis=1), 1, atol=1e-5) & (upper[:, 1] > -1e-6)
    on_lower = np.isclose((lower**2).sum(axis=1), 1, atol=1e-5) & (lower[:, 1] < 1e-6)
    assert (on_upper | on_lower).all() and on_upper.mean() == pytest.approx(
        0.5, abs=5 * 0.5 / math.sqrt(n)
    )

    assert moons.shape == (n, 2) and moons.dtype == np.float32


def test_glyphs_are_legible_labelled_and_inside_their_square():
    glyphs = data.glyphs(size=28, levels=256)
    assert glyphs.images.shape == (21 * 62, 28, 28) and glyphs.images.max() == 255
    assert len(installed.FACES) == 21 and glyphs.labels[:62].tolist() == list(range(62))
    border = np.ones((28, 28), dtype=bool)
    border[1:-1, 1:-1] = False
    assert glyphs.images[:, border].max() < 20  # of 255: nothing spills into a neighbour
    assert glyphs.images.mean(axis=(1, 2)).min() > 3  # and no square is empty
    assert len(np.unique(glyphs.images.reshape(1302, -1), axis=0)) > 1250
    # labels mean what they say: the same character in the next typeface is mostly the nearest
    bold, plain = (
        glyphs.images[62:124].reshape(62, -1) / 255,
        glyphs.images[:62].reshape(62, -1) / 255,
    )
    distance = ((bold[:, None] - plain) ** 2).sum(axis=-1)
    assert (distance.argmin(axis=1) == glyphs.labels[:62]).mean() > 0.8
    assert data.glyphs(9).images.max() == 16 and data.glyphs(9).images.shape == (1302, 9, 9)


def test_the_survey_of_colours():
    colours = data.colours()
    assert colours.rgb.shape == (949, 3) and len(set(colours.names)) == 949
    assert colours.rgb.dtype == np.float32 and np.abs(colours.rgb).max() == 1
    sky = colours.rgb[colours.names.index("cloudy blue")]
    assert data.to_levels(sky, 256).tolist() == [0xAC, 0xC2, 0xD9]


def slope(field: np.ndarray) -> float:
    """Exponent of the power spectrum, by least squares on a square of it from 4 cycles to a quarter
    of its side.

    A Hann window keeps the edges of what is not periodic from leaking into high frequencies.
    """
    side = min(field.shape)
    square = field[:side, :side] - field[:side, :side].mean()
    window = np.hanning(side)
    power = np.abs(np.fft.fft2(square * window * window[:, None])) ** 2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, 1 / side)] * 2))
    rings = np.arange(4, side // 4)
    mean = [power[np.rint(frequency) == ring].mean() for ring in rings]
    return np.polyfit(np.log(rings), np.log(mean), 1)[0]


def test_the_landscape_and_its_stand_in_have_one_spectrum(monkeypatch):
    real = data.landscape.__wrapped__()

    def missing(name):
        raise FileNotFoundError(name)

    monkeypatch.setattr("matplotlib.cbook.get_sample_data", missing)
    computed = data.landscape.__wrapped__()
    assert computed.source == "computed: power f^-4, seed 0"
    for land in (real, computed):
        assert land.heights.shape == (344, 403) and land.heights.dtype == np.float32
        assert land.heights.mean() == pytest.approx(531, abs=1)
        assert land.heights.std() == pytest.approx(162, abs=1)
        assert not land.heights.flags.writeable
    assert slope(computed.heights) == pytest.approx(-4, abs=0.15)
    if "jacksboro" in real.source:
        assert slope(real.heights) == pytest.approx(-3.98, abs=0.02)
    assert slope(data.fractal_landscape(256, 256, 2.0)) == pytest.approx(-2, abs=0.15)


# PNG files byte by byte, so that every kind is there whatever PIL would write.


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(bits: int, kind: int, pixels: np.ndarray, extra: bytes = b"") -> bytes:
    """pixels (Y, X) or (Y, X, C) of `bits` bits each; kind 0 grey, 2 colour, 3 palette, 4 grey and
    alpha, 6 all.
    """
    height, width = pixels.shape[:2]
    if bits == 16:
        rows = pixels.astype(">u2")
    elif bits == 8:
        rows = pixels.astype(np.uint8)
    else:
        single = np.unpackbits(pixels.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
        rows = np.packbits(single.reshape(height, -1), axis=1)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", content)
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def read_png(folder: Path, content: bytes) -> np.ndarray:
    """(Y, X, C) levels 0..255."""
    (folder / "one.png").write_bytes(content)
    return np.moveaxis(data.image_files(folder / "one.png").levels[0], 0, -1).astype(float)


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return colours * alpha + 255 * (1 - alpha)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_png_files_of_every_depth(tmp_path, bits):
    """A 16-bit picture of 0 .. 65535 came back as 255 in 63 of 64 pixels."""
    top = 2**bits - 1
    pixels = np.rint(np.linspace(0, top, 64)).astype(int).reshape(8, 8)
    read = read_png(tmp_path, png(bits, 0, pixels))
    np.testing.assert_allclose(read[..., 0], pixels * 255 / top, atol=0.5)
    transparent = png(bits, 0, pixels, png_chunk(b"tRNS", struct.pack(">H", top // 2)))
    if bits in (1, 8):
        expected = np.where(pixels == top // 2, 255, pixels * 255 / top)
        np.testing.assert_array_equal(read_png(tmp_path, transparent)[..., 0], expected)
    else:
        with pytest.raises(OSError, match=r"one\.png.*transparent colour"):
            read_png(tmp_path, transparent)


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_and_transparency_in_png_files(tmp_path, bits):
    top = 2**bits - 1
    pixels = np.random.default_rng(bits).integers(0, top + 1, (8, 8, 4))
    scaled = pixels * 255 / top
    alpha = scaled[..., 3:] / 255
    read = read_png(tmp_path, png(bits, 2, pixels[..., :3]))
    np.testing.assert_allclose(read, scaled[..., :3], atol=1)
    read = read_png(tmp_path, png(bits, 6, pixels))
    np.testing.assert_allclose(read, on_white(scaled[..., :3], alpha), atol=2)
    read = read_png(tmp_path, png(bits, 4, pixels[..., 2:]))
    np.testing.assert_allclose(read, on_white(scaled[..., 2:3], alpha), atol=2)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_in_png_files(tmp_path, bits):
    rng = np.random.default_rng(bits)
    pixels = rng.integers(0, 2**bits, (8, 8))
    palette, alpha = rng.integers(0, 256, (2**bits, 3)), rng.integers(0, 256, (2**bits, 1))
    colours = png_chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    np.testing.assert_array_equal(
        read_png(tmp_path, png(bits, 3, pixels, colours)), palette[pixels]
    )
    veiled = colours + png_chunk(b"tRNS", alpha.astype(np.uint8).tobytes())
    expected = on_white(palette, alpha / 255)[pixels]
    np.testing.assert_allclose(read_png(tmp_path, png(bits, 3, pixels, veiled)), expected, atol=1)


def test_jpeg_files_grey_coloured_for_print_and_turned(tmp_path):
    smooth = np.linspace(0, 255, 32 * 24).reshape(32, 24).astype(np.uint8)
    coloured = np.stack([smooth, smooth[::-1], 255 - smooth], axis=-1)
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright
    path = tmp_path / "photo.JPG"
    for picture, options, expected in (
        (Image.fromarray(smooth), {}, smooth[..., None]),
        (Image.fromarray(coloured), {}, coloured),
        (Image.fromarray(coloured).convert("CMYK"), {}, coloured),
        (Image.fromarray(coloured), {"exif": turned}, np.rot90(coloured, -1)),
    ):
        picture.save(path, "JPEG", quality=98, subsampling=0, **options)
        levels, signed = data.image_files(path)
        np.testing.assert_allclose(np.moveaxis(levels[0], 0, -1), expected, atol=4)
        np.testing.assert_array_equal(signed, data.to_signed(levels, 256))


def test_a_folder_of_pictures_of_many_sizes(tmp_path):
    rng = np.random.default_rng(0)
    tall = rng.integers(0, 256, (12, 6, 3)).astype(np.uint8)
    square = rng.integers(0, 256, (6, 6)).astype(np.uint8)
    Image.fromarray(tall).save(tmp_path / "b.png")
    Image.fromarray(square).save(tmp_path / "a.PNG")
    (tmp_path / "._a.png").write_bytes(b"what macOS leaves behind")
    with pytest.raises(ValueError, match=r"a\.PNG \(6, 6\), b\.png \(12, 6\).*size=16"):
        data.image_files(tmp_path)
    images = data.image_files(tmp_path, size=3)
    assert images.levels.shape == (2, 3, 3, 3) and images.signed.dtype == np.float32
    means = tall[3:9].reshape(3, 2, 3, 2, 3).mean(axis=(1, 3))  # the middle square, area averages
    np.testing.assert_allclose(np.moveaxis(images.levels[1], 0, -1), means, atol=1)
    assert (images.levels[0] == images.levels[0, :1]).all()  # grey stays grey among colours
    grey = data.image_files(tmp_path, size=3, colour=False)
    assert grey.levels.shape == (2, 1, 3, 3)
    np.testing.assert_allclose(grey.levels[1, 0], means.mean(axis=-1), atol=1)
    few = data.image_files(tmp_path, size=3, colour=False, levels=17)
    np.testing.assert_allclose(few.levels, grey.levels / 255 * 16, atol=0.54)
    (tmp_path / "notes.txt").write_text("of no interest")
    with pytest.warns(UserWarning, match=r"left out 1 of .*\['notes\.txt'\]"):
        data.image_files(tmp_path, size=3)


def test_colour_can_be_asked_for_where_all_is_grey(tmp_path):
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "a.png")
    assert data.image_files(tmp_path).levels.shape == (1, 1, 4, 4)
    assert data.image_files(tmp_path, colour=True).levels.shape == (1, 3, 4, 4)


def test_images_from_npz(tmp_path):
    levels = np.random.default_rng(0).integers(256, size=(3, 5, 4)).astype(np.uint8)
    path = tmp_path / "one.npz"
    for stored, shape in (
        (levels, (3, 1, 5, 4)),
        (levels[:, None], (3, 1, 5, 4)),
        (levels[..., None], (3, 1, 5, 4)),
        (np.stack([levels] * 3, axis=-1), (3, 3, 5, 4)),
    ):
        np.savez(path, pictures=stored)
        images = data.image_array(path)
        assert images.levels.shape == shape and (images.levels == levels[:, None]).all()
        np.testing.assert_array_equal(images.signed, data.to_signed(images.levels, 256))
    np.savez(tmp_path / "two.npz", a=levels, b=levels[:1] % 17)
    few = data.image_array(tmp_path / "two.npz", key="b", levels=17)
    np.testing.assert_array_equal(few.signed, data.to_signed(levels[:1, None] % 17, 17))


def test_pictures_that_are_none(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "nested").mkdir()
    (tmp_path / "false.png").write_bytes(b"not a picture")
    Image.fromarray(np.eye(9, dtype=np.uint8)).save(tmp_path / "animation.gif")
    Image.fromarray(np.eye(9, dtype=np.uint8)).save(tmp_path / "real.png")
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros((1, 2, 2)))
    np.savez(tmp_path / "object.npz", np.array([None, "a"], dtype=object))
    for path, error, message in (
        ("empty", FileNotFoundError, r"no PNG or JPEG file in the folder .*empty.*nested"),
        ("nowhere.png", FileNotFoundError, "nowhere"),
        ("false.png", OSError, "false.png cannot be read"),
        ("animation.gif", OSError, "animation.gif cannot be read as PNG or JPEG"),
    ):
        with pytest.raises(error, match=message):
            data.image_files(tmp_path / path)
    for call, error, message in (
        (data.image_array, ValueError, r"key out of \['a', 'b'\], got None"),
        (lambda path: data.image_array(path, "b"), ValueError, "float64"),
        (lambda path: data.image_array(path, "a"), ValueError, r"shape \(3,\)"),
    ):
        with pytest.raises(error, match=message):
            call(tmp_path / "two.npz")
    with pytest.raises(OSError, match=r"object\.npz cannot be read as npz"):
        data.image_array(tmp_path / "object.npz")
    with pytest.raises(FileNotFoundError):
        data.image_array(tmp_path / "nowhere.npz")
    monkeypatch.setattr(images, "MOST_PIXELS", 80)
    with pytest.raises(ValueError, match=r"real\.png has 81 pixels"):
        data.image_files(tmp_path / "real.png")
    monkeypatch.setattr(images, "MOST_VALUES", 40)
    with pytest.raises(ValueError, match=r"values, above 40"):
        data.image_array(tmp_path / "two.npz", "b")
    monkeypatch.setattr(images, "MOST_PIXELS", 81)
    with pytest.raises(ValueError, match=r"1 pictures of shape \(9, 9, 3\) would be 243 values"):
        data.image_files(tmp_path / "real.png")


# -- minibatches -----------------------------------------------------------------------------------


def test_batches_visit_every_example_once_an_epoch_in_a_fresh_order():
    array, rng = np.arange(10), np.random.default_rng(0)
    epochs = [
        np.concatenate(list(itertools.islice(stream, 3)))
        for stream in [data.batches(array, 3, rng)] * 200
    ]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 200
    left_out = [next(iter(set(array) - set(epoch))) for epoch in epochs]
    assert set(left_out) == set(array)  # false alarm: 10 * 0.9^200 = 7e-9
    whole = next(data.batches(np.zeros((10, 2, 2)), 10, rng))
    assert whole.shape == (10, 2, 2)


def test_crops_are_stretches_that_start_anywhere():
    tokens = np.arange(100, 120)
    stream = data.crops(tokens, length=5, batch_size=50, rng=np.random.default_rng(0))
    seen = np.concatenate([next(stream) for _ in range(10)])
    assert seen.shape == (500, 5) and (np.diff(seen, axis=1) == 1).all()
    assert set(seen[:, 0]) == set(
        range(100, 116)
    )  # the last start is 115; false alarm: 16 (15/16)^500 = 1e-13
    batch = next(stream)
    batch[:] = 0  # a batch is a copy
    assert tokens[0] == 100


def test_the_same_generator_gives_the_same_batches():
    first, second = (
        data.batches(data.digits().train, 32, np.random.default_rng(5)) for _ in range(2)
    )
    assert all(np.array_equal(next(first), next(second)) for _ in range(100))


# -- bad input, before anything runs ---------------------------------------------------------------

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: data.batches(np.zeros(5), 6, RNG), ValueError, r"batch_size: .* in 1\.\.5, got 6"),
        (lambda: data.batches(np.zeros(0), 1, RNG), ValueError, "got 1"),
        (lambda: data.crops(np.zeros((2, 5)), 2, 1, RNG), ValueError, r"shape .*got \(2, 5\)"),
        (lambda: data.crops(np.zeros(5), 6, 1, RNG), ValueError, r"length: .* in 1\.\.5, got 6"),
        (lambda: data.crops(np.zeros(5), 2, 0, RNG), ValueError, "batch_size: .* got 0"),
        (lambda: data.to_signed(np.zeros(3)), TypeError, "float64"),
        (lambda: data.to_signed(np.array([0, 17])), ValueError, r"0\.\.16, got 0\.\.17"),
        (lambda: data.to_levels(np.array([np.nan])), ValueError, "NaN"),
        (lambda: data.to_levels(np.arange(3)), TypeError, "floats .*got dtype int"),
        (lambda: data.to_levels(np.zeros(3), 1), ValueError, r"levels: .* 2\.\.65536, got 1"),
        (lambda: data.to_signed(np.zeros(3, int), 1), ValueError, r"levels: .* 2\.\.65536, got 1"),
        (lambda: data.image_files(".", size=0), ValueError, r"size .*got 0"),
        (lambda: data.image_files(".", levels=257), ValueError, r"levels .*got 257"),
        (lambda: data.series("rain"), ValueError, r"'air_passengers', 'co2', 'lynx'.* got 'rain'"),
        (lambda: data.glyphs(3), ValueError, "got 3"),
        (lambda: data.python_manual("greek"), ValueError, "got 'greek'"),
        (lambda: data.as_text("short"), ValueError, "got 5"),
        (
            lambda: data.as_text("long enough").encode("ä"),
            ValueError,
            r"\['ä'\] not in the vocabulary",
        ),
        (lambda: data.as_text("long enough").decode([0, -1]), IndexError, r"0\.\.7"),
        (lambda: data.text_file("nowhere.txt"), FileNotFoundError, "nowhere"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- the recipes of README -------------------------------------------------------------------------

PICTURES = """
import numpy as np, minigen as mg
rng, x = np.random.default_rng(0), mg.data.image_files("my_pictures", size=16).signed
ddpm = mg.DDPM(mg.networks.UNet(x.shape[1:], channels=(16, 32, 64), rng=rng))
losses, ema = mg.fit(ddpm, mg.data.batches(x, 32, rng), seconds=60, lr=2e-3, rng=rng)
with ema.applied(): new = ddpm.sample(40, rng, method="ddim", steps=25)
mg.plots.image_grid(new, limits=(1, -1)).savefig("new_pictures.png")
"""

SERIES = """
import numpy as np, minigen as mg
past = mg.data.series_file("my_series.csv")
paths = mg.LinearAR(order=13).fit(past.values).forecast(24, np.random.default_rng(0), paths=1000)
low, middle, high = np.quantile(paths, [0.05, 0.5, 0.95], axis=0)
lines = {"past": past.values, "90%": (len(past.time) + np.arange(24), middle, (high - low) / 2)}
mg.plots.curves(lines, "month", "value").savefig("forecast.png")
"""


def test_the_recipes_of_readme_run(tmp_path, monkeypatch):
    """In small: three steps in place of a minute, and samples of two."""
    monkeypatch.chdir(tmp_path)
    Path("my_pictures").mkdir()
    rng = np.random.default_rng(0)
    for index in range(32):
        picture = rng.integers(0, 256, (20, 24, 3)).astype(np.uint8)
        Image.fromarray(picture).save(f"my_pictures/{index}.jpg")
    small = PICTURES.replace("seconds=60", "steps=3").replace("sample(40", "sample(2")
    known: dict = {}
    exec(small.replace("steps=25", "steps=2"), known)
    assert known["new"].shape == (2, 3, 16, 16) and len(known["losses"]) == 3

    passengers = data.series("air_passengers").values
    months = [f"{1949 + k // 12}-{k % 12 + 1:02}-01,{value}" for k, value in enumerate(passengers)]
    Path("my_series.csv").write_text("\n".join(["date,sales", *months]))
    exec(SERIES, known)
    np.testing.assert_allclose(known["past"].time, data.series("air_passengers").time)
    assert known["paths"].shape == (1000, 24)
    for name in ("new_pictures.png", "forecast.png"):
        assert Image.open(name).size[0] > 100


def test_readme_shows_these_recipes():
    readme = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
    for recipe in (PICTURES, SERIES):
        assert len(recipe.strip().splitlines()) <= 6
        assert recipe.strip() in readme


# -- odd files, by the thousand --------------------------------------------------------------------

MANY = pytest.mark.thorough


def peak_memory() -> float:
    """The most that this process ever held, in MiB."""
    resource = pytest.importorskip("resource", reason="memory is measured on POSIX only")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def broken(content: bytes, rng: np.random.Generator) -> bytes:
    """The file cut off, with bytes changed, doubled, left out or filled in; or anything at all."""
    content = bytearray(content or b"?")
    for _ in range(rng.integers(1, 4)):
        start, end = sorted(rng.integers(0, len(content) + 1, 2))
        kind = rng.integers(7)
        if kind == 0:
            del content[end:]
        elif kind == 1:
            del content[start : min(end, start + 20)]
        elif kind == 2:
            content[start:start] = content[start:end][:2000]
        elif kind == 3:
            content[start:start] = rng.bytes(rng.integers(1, 20))
        elif kind == 4:
            content[start : start + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
        elif kind == 5:
            content = bytearray(rng.bytes(rng.integers(0, 300)))
        else:
            for at in rng.integers(0, len(content), 8) if content else ():
                content[at] ^= 1 << rng.integers(8)
    return bytes(content)


def odd_text(rng: np.random.Generator) -> bytes:
    alphabet = list("ab \n\r\0\ufeff\u2028äЖ汉😀")
    text = "".join(rng.choice(alphabet, rng.integers(0, 200)))
    encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]))
    content = text.encode(encoding)
    return broken(content, rng) if rng.integers(2) else content


def odd_table(rng: np.random.Generator) -> bytes:
    fields = "1 2.5 NA 1e999 -3,5 1_0 nan inf 2024-01-31 2024-13 2024-02-30T25:00".split()
    fields += ["9999-12-31", "0000-01"]
    fields += [
        "",
        '"',
        '"a\n',
        "# no",
        "date",
        "\0",
        "ä",
        "9" * 400,
        "2024-01-01T00:00+01:00",
        "-",
        "١",
    ]
    mark, end = str(rng.choice([",", ";", "\t"])), str(rng.choice(["\n", "\r\n", "\r"]))
    width, oddness = rng.integers(1, 4), rng.choice([0.0, 0.05, 0.5])
    rows = [[str(2000 + i), *rng.choice(fields[:3], width)] for i in range(8)]
    rows = [[rng.choice(fields) if rng.random() < oddness else f for f in row] for row in rows]
    head = ["date", "value", "more", "most"][: width + 1]
    content = end.join(mark.join(row) for row in [head, *rows][rng.integers(2) :]).encode()
    return broken(content, rng) if rng.integers(2) else content


def odd_npz(rng: np.random.Generator) -> bytes:
    array = rng.integers(0, 256, rng.integers(0, 5, rng.integers(0, 5))).astype(
        rng.choice(["u1", "f4", "i8", "U3", "O", "c8"])
    )
    npy = io.BytesIO()
    np.lib.format.write_array(npy, array, allow_pickle=True)
    member = broken(npy.getvalue(), rng) if rng.integers(2) else npy.getvalue()
    if rng.integers(4) == 0:  # a header that promises more than there is
        member = member.replace(b"(", b"(99999999999, ", 1)
    if rng.integers(100) == 0:
        member += bytes(150_000_000)  # a bomb: 150 MB in 150 kB
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(str(rng.choice(["a.npy", "a", "../a.npy"])), member)
    content = file.getvalue()
    return broken(content, rng) if rng.integers(2) else content


def odd_picture(rng: np.random.Generator) -> bytes:
    bits, kind = [(1, 0), (8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (8, 6), (4, 3)][rng.integers(8)]
    channels = {0: (), 2: (3,), 3: (), 4: (2,), 6: (4,)}[kind]
    pixels = rng.integers(0, 2**bits, (*rng.integers(1, 9, 2), *channels))
    palette = png_chunk(b"PLTE", rng.bytes(3 * rng.integers(1, 20))) if kind == 3 else b""
    veil = png_chunk(b"tRNS", rng.bytes(rng.integers(0, 7))) if rng.integers(2) else b""
    content = png(bits, kind, pixels, palette + veil)
    if rng.integers(3) == 0:
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (9, 7, 3)).astype(np.uint8)).save(file, "JPEG")
        content = file.getvalue()
    if rng.integers(10) == 0:  # a size that promises more than there is
        side = int(rng.choice([7_000, 7_100, 2**31 - 1]))
        header = struct.pack(">IIBBBBB", side, side, bits, kind, 0, 0, 0)
        content = content[:8] + png_chunk(b"IHDR", header) + content[33:]
    return broken(content, rng) if rng.integers(2) else content


@MANY
@pytest.mark.parametrize(
    ("name", "odd", "load", "refusals"),
    [
        ("odd.txt", odd_text, data.text_file, (OSError, ValueError)),
        ("odd.csv", odd_table, data.series_file, (OSError, ValueError)),
        ("odd.npz", odd_npz, data.image_array, (OSError, ValueError)),
        ("odd.png", odd_picture, lambda path: data.image_files(path, 8), (OSError, ValueError)),
    ],
)  # fmt: skip
def test_odd_files_give_documented_errors_in_bounded_time_and_memory(
    tmp_path, name, odd, load, refusals
):
    """2,000 files a loader, made from good ones; each within 10 seconds, all within 1,500 MiB more
    than before.
    """
    rng, before = np.random.default_rng(0), peak_memory()
    read, slowest = 0, 0.0
    for _ in range(2_000):
        (tmp_path / name).write_bytes(odd(rng))
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                load(tmp_path / name)
                read += 1
            except refusals as refusal:
                assert str(refusal)
        slowest = max(slowest, time.process_time() - start)
    more = peak_memory() - before
    print(f"{name}: {read} of 2,000 read, slowest {slowest:.2f} s, {more:.0f} MiB more")
    assert 20 < read < 1_980, "neither all good nor all bad"
    assert slowest < 10 and more < 1_500


# -- the datasheet ---------------------------------------------------------------------------------


def test_the_sources_say_what_was_measured_and_by_whom():
    co2, lynx = data.series("co2"), data.series("lynx")
    for words in (
        "weekly averages of continuous in-situ air samples (infrared analyser)",
        "Scripps",
    ):
        assert words in co2.source
    assert "flask" not in co2.source
    assert lynx.values[lynx.time == 1867].tolist() == [4254]
    for words in ("R's data set", "Campbell and A. M. Walker", "has 4245 for 1867"):
        assert words in lynx.source


def test_the_digits_carry_their_own_licence():
    root = FOLDER.parents[1]
    notices = [FOLDER / "digits.LICENSE.txt", FOLDER / "DATASHEET.md", root / "LICENSE"]
    for notice in notices:
        text = notice.read_text(encoding="utf-8")
        for words in (
            "Alpaydin",
            "Kaynak",
            "10.24432/C50P49",
            "creativecommons.org/licenses/by/4.0",
        ):
            assert words in text, (notice.name, words)
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert "CC BY 4.0" in project and '"data/*.txt"' in project


def test_the_datasheet_has_every_file_and_its_hash():
    sheet = (FOLDER / "DATASHEET.md").read_text(encoding="utf-8")
    files = sorted(FOLDER.glob("*.csv")) + sorted(FOLDER.glob("*.npz"))
    assert len(files) == 7
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".csv":
            content = content.replace(b"\r\n", b"\n")  # what git may do to text on Windows
        assert hashlib.sha256(content).hexdigest() in sheet, path.name
        assert path.name in sheet
