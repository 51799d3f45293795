"""What an argument must be: taken, or refused by a message that names it and what came."""

import numpy as np
import pytest

from minigen import arguments, data


def test_what_fits_is_taken():
    arguments.whole(0, steps=0, layers=7, order=np.int64(3))
    arguments.whole(1, 4, steps=4)
    arguments.within("[0, 1)", momentum=0)
    arguments.within("(0, inf]", max_norm=np.inf)
    arguments.one_of(("ddim", None), method=None)
    arguments.examples(np.zeros((3, 2), np.float32), [2])
    rng = np.random.default_rng(0)
    assert arguments.generator(rng) is rng
    assert arguments.tokens([0, 2], 3).tolist() == [[0, 2]]
    assert arguments.tokens([], 3).shape == (1, 0)
    assert arguments.labels(1, 3, 2).tolist() == [1, 1, 1]
    assert arguments.numbers("x", [1, 2]).dtype == np.float64


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: arguments.whole(1, layers=0), ValueError, "layers: .* at least 1, got 0"),
        (lambda: arguments.whole(1, layers=2, heads=2.5), ValueError, r"heads: .* got 2\.5"),
        (lambda: arguments.whole(1, steps=np.nan), ValueError, "steps: .* got nan"),
        (lambda: arguments.whole(1, steps=np.inf), ValueError, "steps: .* got inf"),
        (lambda: arguments.whole(1, 4, k=5), ValueError, r"k: .* in 1\.\.4, got 5"),
        (lambda: arguments.within("[0, 1)", d=1), ValueError, r"d: .* in \[0, 1\), got 1"),
        (lambda: arguments.within("(0, 1]", p=0), ValueError, r"p: .* in \(0, 1\], got 0"),
        (lambda: arguments.within("(0, inf)", lr=np.inf), ValueError, "lr: .* got inf"),
        (lambda: arguments.within("(0, inf]", lr=np.nan), ValueError, "lr: .* got nan"),
        (lambda: arguments.one_of(("a", "b"), way="c"), ValueError, "way: .* 'a', 'b', got 'c'"),
        (lambda: arguments.generator(0), TypeError, "rng: .* got int 0"),
        (lambda: arguments.generator(None), TypeError, "rng: .* got NoneType"),
        (lambda: arguments.tokens([0.5], 3), TypeError, "x: expected integers, got float64"),
        (lambda: arguments.tokens([[[1]]], 3), TypeError, r"x: .* got \(1, 1, 1\)"),
        (lambda: arguments.tokens([3], 3), IndexError, r"x: .* 0\.\.2, got 3\.\.3"),
        (lambda: arguments.tokens([-1], 3), IndexError, r"x: .* 0\.\.2, got -1"),
        (lambda: arguments.tokens(data.as_text("ab" * 20), 3), TypeError, "x: .* got Text"),
        (lambda: arguments.labels([0, 1], 3, 2), ValueError, r"label: .* 3 examples, got .*\(2,\)"),
        (lambda: arguments.labels(2, 3, 2), IndexError, r"label: .* 0\.\.1, got 2"),
        (lambda: arguments.examples(np.zeros((3, 1), int), (1,)), TypeError, "floats.*int64"),
        (lambda: arguments.examples(np.zeros((0, 1)), (1,)), ValueError, r"one or more.*\(0, 1\)"),
        (lambda: arguments.examples(np.zeros((3, 2)), (1,)), ValueError, r"\(1,\), got .*\(3, 2\)"),
        (lambda: arguments.numbers("x", [1, np.nan]), ValueError, r"x: 1 missing .* at \[1\]"),
        (lambda: arguments.numbers("x", "nile"), TypeError, "x: .* got str"),
    ],
)
def test_what_does_not_fit_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
