"""Tokens: what is drawn, by chi-square tests, and where it is committed, by hand."""

import numpy as np
import pytest

from minigen.oracles import EnumerableWorld
from minigen.sampling import (
    at_random,
    by_confidence,
    categorical,
    draw,
    numbers_hidden,
    probabilities,
    reveal,
    run,
    temperature,
    token_log_probs,
    top_k,
    top_p,
    write,
)

LOGITS = np.log([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]])
NONE = -np.inf


def test_temperature_by_hand():
    np.testing.assert_allclose(
        probabilities(temperature(LOGITS[0], 0.5)), np.square([0.5, 0.3, 0.15, 0.05]) / 0.365
    )
    np.testing.assert_allclose(probabilities(temperature(LOGITS, 1.0)), np.exp(LOGITS))
    np.testing.assert_array_equal(
        temperature(LOGITS, 0), [[0, NONE, NONE, NONE], [NONE, NONE, NONE, 0]]
    )
    np.testing.assert_array_equal(temperature(np.array([1.0, 2.0, 2.0]), 0), [NONE, 0, NONE])
    np.testing.assert_array_equal(probabilities(temperature(LOGITS, 1e-300)).argmax(-1), [0, 3])
    np.testing.assert_allclose(probabilities(temperature(LOGITS, 1e9)), 0.25, rtol=1e-6)


def test_top_k_by_hand():
    np.testing.assert_array_equal(top_k(LOGITS, 2) > NONE, [[1, 1, 0, 0], [0, 0, 1, 1]])
    np.testing.assert_array_equal(top_k(LOGITS, 99), LOGITS)
    tied = top_k(np.zeros(4), 2) > NONE
    np.testing.assert_array_equal(tied, [1, 1, 0, 0])  # exactly k
    np.testing.assert_array_equal(top_k(LOGITS, 2)[0, :2], LOGITS[0, :2])


def test_top_p_by_hand():
    np.testing.assert_array_equal(top_p(LOGITS, 0.75) > NONE, [[1, 1, 0, 0], [0, 1, 1, 1]])
    np.testing.assert_array_equal(top_p(LOGITS, 1e-9) > NONE, [[1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(top_p(LOGITS, 1), LOGITS)
    tied = top_p(np.zeros(4), 0.5) > NONE
    np.testing.assert_array_equal(tied, [1, 1, 0, 0])  # two reach one half: no third
    rare = np.array([0.0, -60.0])  # 1 + exp(-60) rounds to 1: p = 1 must still keep the rare token
    np.testing.assert_array_equal(top_p(rare, 1), rare)


def chi_square(tokens, expected):
    n, kept = tokens.size, expected > 0
    counts = np.bincount(tokens.ravel(), minlength=len(expected))
    assert counts[~kept].sum() == 0
    return (((counts - n * expected) ** 2)[kept] / (n * expected[kept])).sum()


@pytest.mark.parametrize(
    ("decode", "expected"),
    [
        (lambda l: l, [0.5, 0.3, 0.15, 0.05]),
        (lambda l: temperature(l, 0.5), np.square([0.5, 0.3, 0.15, 0.05]) / 0.365),
        (lambda l: top_k(l, 2), [0.625, 0.375, 0, 0]),
        (lambda l: top_p(l, 0.9), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
    ],
    ids=["plain", "temperature", "top_k", "top_p"],
)
def test_sampled_tokens_follow_the_stated_distribution(decode, expected):
    # Chi-square with 1 to 3 degrees of freedom above 21.1: at most 1 in 10,000 by chance (the seed
    # is fixed).
    tokens = categorical(decode(np.tile(LOGITS[0], (20_000, 1))), np.random.default_rng(0))
    assert tokens.shape == (20_000,) and np.issubdtype(tokens.dtype, np.integer)
    assert chi_square(tokens, np.array(expected)) < 21.1


def test_the_chi_square_test_can_fail():
    tokens = categorical(np.tile(LOGITS[0], (20_000, 1)), np.random.default_rng(0))
    assert chi_square(tokens, np.array([0.48, 0.32, 0.15, 0.05])) > 21.1


def test_categorical_never_picks_the_impossible():
    class Extreme:
        def __init__(self, value):
            self.value = value

        def random(self, shape):
            return np.full(shape, self.value)

    logits = np.array([NONE, 0.0, NONE, 0.0, NONE])
    assert categorical(logits, Extreme(0.0)) == 1 and categorical(logits, Extreme(1 - 2**-53)) == 3
    assert categorical(np.zeros(10), Extreme(1 - 2**-53)) == 9  # ten times 0.1 sums to less than 1
    assert categorical(np.zeros((2, 3, 5)), np.random.default_rng(0)).shape == (2, 3)


def test_greedy_writing_is_deterministic_and_order_of_filters():
    rng, x = np.random.default_rng(0), np.zeros((2, 3), dtype=np.int64)
    out = run(x, range(4), lambda x, now: LOGITS, write(draw(rng, temperature=0)))
    np.testing.assert_array_equal(out, [[0, 0, 0], [3, 3, 3]])
    np.testing.assert_array_equal(x, 0)  # the prompt handed in is not written into
    # temperature 0.5 makes 0.685, 0.247, ...: top-p 0.6 of that keeps one token, of the plain
    # distribution it would keep two
    commit = write(draw(rng, temperature=0.5, top_k=3, top_p=0.6))
    out = run(x[:1], range(4), lambda x, now: LOGITS[:1], commit)
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize(
    "order", [range(9), [7, 0, 6, 1, 5, 2, 4, 3, None]], ids=["left to right", "outside in"]
)
def test_autoregression_is_the_same_walk_and_is_exact_in_any_order(order):
    # Chi-square of 40,000 strings over 256 cells: above 366 about 1 in 150,000 by chance (the seed
    # is fixed).
    world, n = EnumerableWorld(), 40_000
    positions = list(order)

    def predict(x, now):
        known = np.isin(np.arange(8), positions[: positions.index(now)])
        return world.conditionals(x, known)[:, now]

    x = run(
        np.zeros((n, 8), dtype=np.int64), positions, predict, write(draw(np.random.default_rng(0)))
    )
    assert chi_square(world.index(x), world.probabilities) < 366


def test_decoding_refuses_bad_arguments():
    for decode in (
        lambda l: temperature(l, 1),
        lambda l: top_k(l, 1),
        lambda l: top_p(l, 0.5),
        probabilities,
    ):
        for bad in ([0.0, np.nan], [0.0, np.inf], [NONE, NONE], 1.0):
            with pytest.raises(ValueError, match="logits"):
                decode(np.array(bad))
    with pytest.raises(ValueError, match="logits"):
        categorical(np.array([[0.0, 1.0], [np.nan, 0.0]]), np.random.default_rng(0))
    for value in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="temperature: expected"):
            temperature(LOGITS, value)
    for p in (0, -0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="top_p: expected a number in"):
            top_p(LOGITS, p)
    for k in (0, -3, 2.5):
        with pytest.raises(ValueError, match="top_k: expected a whole number"):
            top_k(LOGITS, k)


def test_token_log_probs_are_the_chosen_logarithms():
    chosen = token_log_probs(LOGITS + 7.0, np.array([1, 3]))
    np.testing.assert_allclose(chosen, np.log([0.3, 0.4]), rtol=1e-14)
    assert token_log_probs(LOGITS.astype(np.float32), np.array([0, 0])).dtype == np.float64
    assert token_log_probs(np.array([0.0, NONE]), np.array(1)) == NONE


@pytest.mark.parametrize("rng", [0, None, np.random])
def test_a_seed_is_no_generator(rng):
    with pytest.raises(TypeError, match="expected a numpy"):
        draw(rng)


@pytest.mark.parametrize("how", [{"temperature": -1}, {"top_k": 0}, {"top_p": 2.0}])
def test_bad_settings_are_refused_before_anything_is_drawn(how):
    with pytest.raises(ValueError, match=next(iter(how))):
        draw(np.random.default_rng(0), **how)


# -- where: reveal ---------------------------------------------------------------------------------


def greedy(logits):
    return logits.argmax(axis=-1)


def test_reveal_writes_only_as_many_hidden_positions_as_it_should_and_not_in_place():
    rng = np.random.default_rng(0)
    x = np.array([[4, 0, 4, 4], [4, 4, 4, 4], [1, 2, 3, 0]])  # 4 marks what is hidden
    before, logits = x.copy(), np.random.default_rng(1).standard_normal((3, 4, 4))
    after = reveal(greedy, rng)(x, logits, np.array([3, 4, 0]), np.array([2, 1, 0]))
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal((after == 4).sum(axis=1), [2, 1, 0])
    written = after != x
    np.testing.assert_array_equal(after[written], greedy(logits)[written])


def test_reveal_takes_every_hidden_position_equally_often():
    """2 of 3 hidden positions, 20,000 rows: five standard deviations of each share."""
    x = np.tile([2, 0, 2, 2], (20_000, 1))
    logits = np.zeros((20_000, 4, 2))
    after = reveal(draw(np.random.default_rng(0)), np.random.default_rng(1))(x, logits, 3, 1)
    share = (after != 2).mean(axis=0)
    np.testing.assert_allclose(share, [2 / 3, 1, 2 / 3, 2 / 3], atol=5 * np.sqrt(2 / 9 / 20_000))


def test_by_confidence_the_likeliest_drawn_token_goes_first():
    x, logits = np.full((1, 3), 2), np.log([[[0.6, 0.4], [0.1, 0.9], [0.8, 0.2]]])
    after = reveal(greedy, np.random.default_rng(0), by_confidence)(x, logits, 3, 2)
    np.testing.assert_array_equal(after, [[2, 1, 2]])
    unlikely = reveal(lambda logits: logits.argmin(-1), np.random.default_rng(0), by_confidence)
    np.testing.assert_array_equal(unlikely(x, logits, 3, 2), [[1, 2, 2]])  # 0.4 beats 0.1 and 0.2
    assert at_random(np.random.default_rng(0), logits, np.zeros((1, 3))).shape == (1, 3)


def hidden_first(*numbers, length=6):
    return np.arange(length) < np.array(numbers)[:, None]


def test_numbers_hidden_by_hand():
    rows = hidden_first(6, 3, 0)
    expected = [[6, 5, 3, 2, 0], [3, 3, 2, 1, 0], [0] * 5]
    np.testing.assert_array_equal(np.transpose(numbers_hidden(rows, steps=4)), expected)
    assert len(numbers_hidden(hidden_first(3), steps=6)) == 4  # no step without a position
    np.testing.assert_array_equal(numbers_hidden(hidden_first(3)), [[3], [2], [1], [0]])
    np.testing.assert_array_equal(numbers_hidden(hidden_first(0, 0)), [[0, 0]])
    by_count = numbers_hidden(hidden_first(6), counts=[3, 2, 1])
    np.testing.assert_array_equal(by_count, [[6], [3], [1], [0]])
    by_row = numbers_hidden(hidden_first(3, 1), counts=[[1, 2], [1, 0]])
    np.testing.assert_array_equal(np.transpose(by_row), [[3, 2, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    "how, words",
    [
        ({"steps": 0}, r"steps: expected a whole number in 1\.\.4"),
        ({"steps": 5}, r"steps: .* 1\.\.4, got 5"),
        ({"steps": 1.5}, r"whole number .* got 1\.5"),
        ({"steps": 1, "counts": [4]}, "not both"),
        ({"counts": [2, 1]}, "counts: .*add up"),
        ({"counts": [5, -1]}, "counts: "),
        ({"counts": [2.0, 2.0]}, "counts: "),
        ({"counts": [[4]] * 3}, "counts: "),
    ],
)
def test_impossible_schedules_are_named(how, words):
    with pytest.raises(ValueError, match=words):
        numbers_hidden(np.ones((2, 4), bool), **how)
