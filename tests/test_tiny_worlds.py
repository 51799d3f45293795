"""Tiny worlds prove probability: every model with a `log_prob`, enumerated on a space small enough,
sums to 1.

And a batch changes nothing: each row of it is what it would be alone.
"""

import itertools

import numpy as np
import pytest

import minigen as mg


def every(levels, length):
    """All strings, (levels^length, length)."""
    return np.array(list(itertools.product(range(levels), repeat=length)))


def made(levels, dimensions, hidden, order=None):
    return mg.MADE(dimensions, levels, hidden, order, rng=np.random.default_rng(0))


def gpt(vocab_size, context):
    return mg.GPT(vocab_size, context, layers=2, heads=2, width=16, rng=np.random.default_rng(0))


def ngram(order, vocab_size, smoothing="kneser-ney"):
    x = np.random.default_rng(0).integers(0, vocab_size, 60)
    return mg.NGram(order, vocab_size, smoothing).fit(
        np.minimum(x, x[::-1])
    )  # some symbols are rarer than others


def chain():
    return mg.MarkovChain(np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]]))


class LeftToRight:
    """A masked or block diffusion model, scored by the chain rule of its network."""

    def __init__(self, model, *how, **more):
        self.model = model(*how, layers=2, heads=2, width=16, rng=np.random.default_rng(0), **more)

    def log_prob(self, x):
        return mg.left_to_right(self.model, x)


def world():
    return mg.oracles.EnumerableWorld(length=8)


# name: model, number of different symbols, length of the strings
WORLDS = {
    "FVSBN": (lambda: made(2, 10, ()), 2, 10),
    "FVSBN, 4 levels": (lambda: made(4, 5, ()), 4, 5),
    "MADE": (lambda: made(2, 10, (64,)), 2, 10),
    "MADE, shuffled order": (lambda: made(2, 10, (64, 32), (3, 9, 0, 7, 5, 1, 8, 2, 6, 4)), 2, 10),
    "MADE, 5 levels": (lambda: made(5, 4, (64,), (2, 0, 3, 1)), 5, 4),
    "MADE, one dimension": (lambda: made(7, 1, (8,)), 7, 1),
    "GPT, within the context": (lambda: gpt(2, 12), 2, 9),
    "GPT, as long as the context": (lambda: gpt(4, 5), 4, 5),
    "GPT, beyond the context": (lambda: gpt(3, 3), 3, 7),
    "MaskedDiffusion, left to right": (lambda: LeftToRight(mg.MaskedDiffusion, 3, 5), 3, 5),
    "BlockDiffusion, left to right": (
        lambda: LeftToRight(mg.BlockDiffusion, 2, 8, block_size=2),
        2,
        8,
    ),
    "NGram, Kneser-Ney": (lambda: ngram(3, 3), 3, 7),
    "NGram, additive": (lambda: ngram(2, 4, "additive"), 4, 5),
    "NGram, no context": (lambda: ngram(0, 3), 3, 5),
    "MarkovChain": (chain, 3, 6),
    "MarkovChain, given start": (
        lambda: mg.MarkovChain(chain().transition, np.array([0.0, 0.7, 0.3])),
        3,
        6,
    ),
    "EnumerableWorld": (world, 2, 8),
}


@pytest.mark.parametrize("name", WORLDS)
def test_probabilities_of_all_strings_sum_to_one(name):
    build, levels, length = WORLDS[name]
    p = np.exp(build().log_prob(every(levels, length)))
    assert p.shape == (levels**length,)
    assert p.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", WORLDS)
def test_a_batch_of_one_equals_the_row_of_a_batch(name):
    build, levels, length = WORLDS[name]
    model, x = build(), every(levels, length)[:: max(1, levels**length // 12)]
    alone = np.concatenate([model.log_prob(row[None]) for row in x])
    assert np.allclose(model.log_prob(x), alone, rtol=0, atol=1e-5)  # -inf equals -inf
    assert np.allclose(model.log_prob(x[::-1])[::-1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", WORLDS)
def test_no_string_changes_when_its_neighbours_are_shuffled_and_no_input_is_written_to(name):
    build, levels, length = WORLDS[name]
    x = every(levels, length)
    x.setflags(write=False)
    model = build()
    shuffled = np.random.default_rng(0).permutation(len(x))
    expected = model.log_prob(x)[shuffled]
    assert np.allclose(model.log_prob(x[shuffled]), expected, rtol=0, atol=1e-5)


def test_gpt_with_context_plus_one_columns_sums_to_one_for_each_first_column():
    x = every(3, 5)
    p = np.exp(gpt(3, 4).log_prob(x)).reshape(3, -1)
    assert p.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-6)


@pytest.mark.parametrize(
    "name", ["GPT, within the context", "GPT, beyond the context", "NGram, additive", "MarkovChain"]
)
def test_a_prefix_is_as_likely_as_all_that_can_follow_it(name):
    build, levels, length = WORLDS[name]
    model = build()
    whole = np.exp(model.log_prob(every(levels, length)))
    prefix = np.exp(model.log_prob(every(levels, 3)))
    assert np.allclose(whole.reshape(levels**3, -1).sum(axis=1), prefix, rtol=0, atol=1e-6)


def test_the_enumerated_world_agrees_with_models_of_itself():
    """Scored by the world.

    A MADE with hidden units learns what a logistic autoregression cannot.
    """
    truth = mg.oracles.EnumerableWorld(length=6, coupling=0.3, mirror=1.0, parity=1.0)
    x = truth.strings
    rng = np.random.default_rng(0)
    excess = {}
    for hidden in ((), (200,)):
        model = mg.MADE(6, hidden=hidden, rng=rng)
        optimizer = mg.AdamW(mg.nn.parameters(model), lr=2e-2, weight_decay=0.0)
        batches = (truth.sample(1000, rng) for _ in itertools.count())
        schedule = mg.optim.warmup_cosine(2e-2)
        for _ in mg.train(
            model, batches, 400, optimizer, rng, learning_rate=schedule, progress=False
        ):
            pass
        excess[hidden] = truth.kl(model)
        expected = truth.probabilities @ (truth.log_prob(x) - model.log_prob(x))
        assert excess[hidden] == pytest.approx(expected, abs=1e-5)
    assert excess[()] > 0.08 > 0.02 > excess[200,] > 0, excess
