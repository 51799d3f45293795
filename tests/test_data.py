"""data: every set against its published hash or figures, the splits, the loaders' errors, the minibatches."""

import hashlib
import itertools
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from minigen import data, evaluate

FOLDER = Path(data.__file__).parent
digits_module, images_module = (
    sys.modules["minigen.data.digits"],
    sys.modules["minigen.data.images"],
)


# -- digits ------------------------------------------------------------------------------------------------------------


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
    """Its last 360 images come from other writers; against those, real training images look generated (0.71)."""
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


# -- text --------------------------------------------------------------------------------------------------------------


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


def test_any_file_and_any_string(tmp_path):
    path = tmp_path / "verse.txt"
    path.write_text("Über allen Gipfeln\nist Ruh\n", encoding="utf-8")
    text = data.text_file(path)
    assert text.decode(np.concatenate([text.train, text.test])) == "Über allen Gipfeln\nist Ruh\n"
    assert text.source == "verse.txt" and text.vocabulary == "".join(
        sorted(set("Über allen Gipfeln\nist Ruh\n"))
    )
    plain = data.as_text("Hello, World! 123 again", "a-z")
    assert plain.decode(np.concatenate([plain.train, plain.test])) == "hello world again"
    path.write_bytes(b"\xff\xfe\x00 no text at all")
    with pytest.raises(UnicodeDecodeError):
        data.text_file(path)


# -- series ------------------------------------------------------------------------------------------------------------


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


def test_csv_files_of_many_kinds(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        '# by hand\n\n"month","level"\n2020,1.5\n"2020-07", 2\n2021-01,\n', encoding="utf-8-sig"
    )
    series = data.series_file(path)
    assert series.time == pytest.approx([2020, 2020.5, 2021]) and series.source == "by hand"
    assert series.values[:2].tolist() == [1.5, 2] and np.isnan(series.values[2])
    for content, message in (
        ("t,v\n1,2\n2,two\n", "two"),
        ("t,v\n1\n", r"\['1'\]"),
        ("t,v\n2020-07-01,2\n", "2020-07-01"),
        ("t,v\n", "no line"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            data.series_file(path)
    with pytest.raises(FileNotFoundError):
        data.series_file(tmp_path / "nowhere.csv")


# -- points and images -------------------------------------------------------------------------------------------------


def test_densities_lie_where_they_should():
    rng, n = np.random.default_rng(0), 20_000
    board = data.checkerboard(n, rng)
    cells = np.floor(board).astype(int) + 2
    assert ((cells.sum(axis=1) % 2) == 0).all() and cells.min() == 0 and cells.max() == 3
    counts = np.unique(cells, axis=0, return_counts=True)[1]
    assert (
        len(counts) == 8 and ((counts - n / 8) ** 2 / (n / 8)).sum() < 40.5
    )  # chi-square, 7 d.f.: 1e-6

    moons = data.two_moons(n, rng, noise=0)
    upper = moons + [0.5, 0.25]
    lower = moons - [0.5, 0.25]
    on_upper = np.isclose((upper**2).sum(axis=1), 1, atol=1e-5) & (upper[:, 1] > -1e-6)
    on_lower = np.isclose((lower**2).sum(axis=1), 1, atol=1e-5) & (lower[:, 1] < 1e-6)
    assert (on_upper | on_lower).all() and on_upper.mean() == pytest.approx(
        0.5, abs=5 * 0.5 / math.sqrt(n)
    )

    for points in (board, moons):
        assert points.shape == (n, 2) and points.dtype == np.float32


def test_glyphs_are_legible_labelled_and_inside_their_square():
    glyphs = data.glyphs(size=28, levels=256)
    assert glyphs.images.shape == (21 * 62, 28, 28) and glyphs.images.max() == 255
    assert len(images_module.FACES) == 21 and glyphs.labels[:62].tolist() == list(range(62))
    border = np.ones((28, 28), dtype=bool)
    border[1:-1, 1:-1] = False
    assert glyphs.images[:, border].max() < 20  # of 255: nothing spills into a neighbour
    assert glyphs.images.mean(axis=(1, 2)).min() > 3  # and no square is empty
    assert len(np.unique(glyphs.images.reshape(1302, -1), axis=0)) > 1250
    # the labels mean what they say: the same character in the next typeface is nearer than another one, mostly
    bold, plain = (
        glyphs.images[62:124].reshape(62, -1) / 255,
        glyphs.images[:62].reshape(62, -1) / 255,
    )
    distance = ((bold[:, None] - plain) ** 2).sum(axis=-1)
    assert (distance.argmin(axis=1) == glyphs.labels[:62]).mean() > 0.8
    assert data.glyphs(9).images.max() == 16 and data.glyphs(9).images.shape == (1302, 9, 9)


def test_images_from_npz_and_png(tmp_path):
    from matplotlib.image import imsave

    levels = np.random.default_rng(0).integers(256, size=(3, 5, 4)).astype(np.uint8)
    np.savez(tmp_path / "one.npz", pictures=levels)
    np.savez(tmp_path / "two.npz", a=levels, b=levels[:1])
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(levels):
        imsave(
            tmp_path / "folder" / f"{i}.png", np.repeat(image[..., None], 3, axis=-1)
        )  # red = green = blue
    assert np.array_equal(data.image_files(tmp_path / "one.npz"), levels)
    assert np.array_equal(data.image_files(tmp_path / "two.npz", key="b"), levels[:1])
    assert np.array_equal(data.image_files(tmp_path / "folder"), levels)
    assert np.array_equal(data.image_files(tmp_path / "folder" / "2.png"), levels[2:])

    (tmp_path / "empty").mkdir()
    (tmp_path / "false.png").write_bytes(b"not a picture")
    for call, error, message in (
        (
            lambda: data.image_files(tmp_path / "two.npz"),
            ValueError,
            r"key out of \['a', 'b'\], got None",
        ),
        (lambda: data.image_files(tmp_path / "empty"), FileNotFoundError, "no PNG file"),
        (lambda: data.image_files(tmp_path / "nowhere.png"), FileNotFoundError, "nowhere"),
        (lambda: data.image_files(tmp_path / "false.png"), OSError, "cannot identify .*false"),
    ):
        with pytest.raises(error, match=message):
            call()


# -- minibatches -------------------------------------------------------------------------------------------------------


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


# -- bad input, before anything runs -----------------------------------------------------------------------------------

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: data.batches(np.zeros(5), 6, RNG),
            ValueError,
            r"batch_size must lie in 1\.\.5 .*got 6",
        ),
        (lambda: data.batches(np.zeros(0), 1, RNG), ValueError, "got 1"),
        (lambda: data.crops(np.zeros((2, 5)), 2, 1, RNG), ValueError, r"shape \(2, 5\)"),
        (
            lambda: data.crops(np.zeros(5), 6, 1, RNG),
            ValueError,
            r"length in 1\.\.L .*shape \(5,\), length=6",
        ),
        (lambda: data.crops(np.zeros(5), 2, 0, RNG), ValueError, "batch_size=0"),
        (lambda: data.to_signed(np.zeros(3)), TypeError, "float64"),
        (lambda: data.to_signed(np.array([0, 17])), ValueError, r"0\.\.16, got 0\.\.17"),
        (lambda: data.to_levels(np.array([np.nan])), ValueError, "NaN"),
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


# -- the datasheet -----------------------------------------------------------------------------------------------------


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
