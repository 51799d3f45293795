"""GPT: its start token, what lies beyond the context, causality, and honest samples."""

import itertools
import tracemalloc

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.networks import Transformer, Window, causal_mask


def small(vocab_size=5, context=6, layers=2, heads=2, width=8, seed=0):
    return mg.GPT(vocab_size, context, layers, heads, width, rng=np.random.default_rng(seed))


def tokens(shape, seed=1, vocab_size=5):
    return np.random.default_rng(seed).integers(0, vocab_size, shape)


def step_by_step(gpt, x, cache):
    """Logits of each token of x as the sampler sees them, one position at a time."""
    read, inputs = Window(gpt.network).reader(len(x), cache), gpt.q_sample(x)
    return np.stack([read(inputs, i + 1, i + 1)[:, -1] for i in range(x.shape[1])], axis=1)


def by_the_book(gpt, row):
    """Word by word: when the context is full, keep the last half, re-encode it from position 0."""
    held, said = [gpt.vocab_size], []
    for token in row:
        if len(held) > gpt.context:
            kept = 1 + gpt.context // 2  # the last half, and the newest token
            held = held[len(held) - kept :]
        said.append(gpt.predict(np.array([held])).data[0, -1])
        held.append(token)
    return np.stack(said)


# -- start token, context, beyond ------------------------------------------------------------------


def test_a_batch_up_to_the_context_is_predicted_whole_from_the_start_token_on():
    gpt = small()
    for length in (1, 3, 6):
        x = tokens((4, length))
        inputs = np.column_stack([np.full(4, 5), x[:, :-1]])  # 5 is the start token
        log_p = mg.ops.log_softmax(gpt.predict(inputs)).data
        expected = np.array([[log_p[b, i, x[b, i]] for i in range(length)] for b in range(4)])
        assert np.allclose(gpt.token_log_probs(x), expected, rtol=0, atol=1e-5)
        assert gpt.log_prob(x) == pytest.approx(expected.sum(axis=1), abs=1e-5)
        assert gpt.loss(x).item() == pytest.approx(-expected.mean(), abs=1e-5)


def test_context_plus_one_columns_are_predicted_from_the_second_on_given_the_first():
    gpt = small()
    x = tokens((4, 7))
    log_p = mg.ops.log_softmax(gpt.predict(x[:, :-1])).data
    expected = np.array([[log_p[b, i, x[b, i + 1]] for i in range(6)] for b in range(4)])
    assert np.allclose(gpt.token_log_probs(x), expected, rtol=0, atol=1e-5)
    assert gpt.loss(x).item() == pytest.approx(-expected.mean(), abs=1e-5)


@pytest.mark.parametrize("context", [1, 2, 3, 5, 6])
def test_cached_uncached_parallel_and_literal_logits_agree_at_any_length(context):
    gpt = small(context=context)
    for length in (1, context, context + 1, context + 2, 2 * context, 4 * context + 3):
        x = tokens((2, length), seed=length)
        expected = np.stack([by_the_book(gpt, row) for row in x])
        for logits in (
            gpt.logits(x),
            step_by_step(gpt, x, cache=True),
            step_by_step(gpt, x, cache=False),
        ):
            assert logits.shape == (2, length, 5)
            assert np.abs(logits - expected).max() < 1e-5


def test_log_prob_of_a_long_sequence_walks_as_the_sampler_does():
    gpt = small()
    x = tokens((3, 23))
    log_p = mg.ops.log_softmax(step_by_step(gpt, x, cache=True)).data
    expected = np.take_along_axis(log_p, x[:, :, None], axis=2).sum(axis=(1, 2))
    assert gpt.log_prob(x) == pytest.approx(expected, abs=1e-4)


def test_samples_with_and_without_cache_are_the_same_at_any_length():
    gpt = small()
    for how in (
        {},
        {"prompt": tokens(9)},
        {"prompt": tokens((3, 2)), "temperature": 0.7, "top_k": 3, "top_p": 0.9},
    ):
        with_cache, without = (
            gpt.sample(3, np.random.default_rng(2), length=31, cache=cache, **how)
            for cache in (True, False)
        )
        assert (with_cache == without).all()


def test_with_a_cache_each_token_is_read_once_until_the_context_is_full():
    """A step costs 1 token with a cache, all so far without; half a context when it is full."""
    gpt = small(context=6)
    network, read = gpt.network, []

    class Counting:
        context, new_caches = network.context, network.new_caches

        def __call__(self, inputs, mask, caches=None):
            read.append(inputs.shape[1])
            return network(inputs, mask, caches=caches)

    gpt.network = Counting()
    gpt.sample(2, np.random.default_rng(0), length=14, cache=True)
    assert read == [1, 1, 1, 1, 1, 1, 4, 1, 1, 4, 1, 1, 4, 1]
    read.clear()
    gpt.sample(2, np.random.default_rng(0), length=14, cache=False)
    assert read == [1, 2, 3, 4, 5, 6, 4, 5, 6, 4, 5, 6, 4, 5]
    read.clear()
    gpt.sample(2, np.random.default_rng(0), prompt=tokens(5), length=7, cache=True)
    assert read == [6, 4]


def test_the_prompt_stands_at_the_beginning_and_counts_in_the_length():
    gpt, rng = small(), np.random.default_rng(0)
    one, many = tokens(4), tokens((3, 4), seed=2)
    assert (gpt.sample(3, rng, prompt=one, length=11)[:, :4] == one).all()
    assert (gpt.sample(3, rng, prompt=many, length=11)[:, :4] == many).all()
    assert (gpt.sample(3, rng, prompt=many, length=4) == many).all()
    assert gpt.sample(2, rng).shape == (2, gpt.context)


def test_the_walk_writes_one_column_a_step():
    gpt = small(vocab_size=3)
    states = list(gpt.sample_walk(2, np.random.default_rng(0), prompt=np.array([2, 1]), length=9))
    assert len(states) == 8
    for step, (before, after) in enumerate(itertools.pairwise(states)):
        written = 2 + step
        assert (before[:, :written] == after[:, :written]).all()
        assert (after[:, written + 1 :] == 0).all()


# -- causality and attention -----------------------------------------------------------------------


@pytest.mark.parametrize("length", [6, 20])
def test_changing_a_token_leaves_every_logit_before_it_exactly_unchanged(length):
    gpt = small()
    x = tokens((2, length))
    before = gpt.logits(x)
    for j in range(length):
        other = x.copy()
        other[:, j] = (other[:, j] + 1) % 5
        after = gpt.logits(other)
        assert (
            after[:, : j + 1] == before[:, : j + 1]
        ).all()  # row i predicts token i from those before it
        if j + 1 < length:
            assert (after[:, j + 1] != before[:, j + 1]).any()


def test_gradients_flow_to_the_past_only():
    body = Transformer(6, layers=2, heads=2, width=8, rng=np.random.default_rng(0))
    matrix = mg.gradients.dependency_matrix(
        lambda h: body(h, causal_mask(6))[:, :, 0], tokens((1, 6, 8)).astype(np.float32)
    )
    blocks = matrix.reshape(6, 6, 8).sum(axis=2)
    assert (np.triu(blocks, 1) == 0).all()
    assert (blocks[np.tril_indices(6)] > 0).all()


def test_attention_maps_are_distributions_over_the_past():
    gpt = small()
    maps = gpt.attention_maps(tokens((3, 5)))
    assert maps.shape == (3, 2, 2, 5, 5)
    assert np.allclose(maps.sum(axis=-1), 1, atol=1e-6)
    assert (np.triu(maps, 1) == 0).all()
    assert (
        maps[..., 0, 0] == 1
    ).all()  # the first token can only be predicted from the start token


def test_attention_maps_by_hand():
    """One layer, one head: softmax(q k^T / sqrt(width)) of the normalised embeddings."""
    gpt = small(layers=1, heads=1)
    x = tokens((1, 4))
    net = gpt.network
    h = (net.tokens.weight.data[[5, *x[0, :-1]]] + net.positions.weight.data[:4]).astype(np.float64)
    h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)
    q, k, _ = np.split(h @ net.blocks[0].attention.qkv.weight.data.T.astype(np.float64), 3, axis=1)
    scores = np.where(np.tri(4, dtype=bool), q @ k.T / np.sqrt(8), -np.inf)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    assert np.allclose(
        gpt.attention_maps(x)[0, 0, 0], weights / weights.sum(1, keepdims=True), rtol=0, atol=1e-5
    )


# -- probability -----------------------------------------------------------------------------------


def test_untrained_it_knows_next_to_nothing():
    """Logits of standard deviation 1: about half a nat worse than knowing nothing, log V."""
    gpt = mg.GPT(17, 16, layers=2, heads=2, width=64, rng=np.random.default_rng(0))
    assert np.log(17) < gpt.loss(tokens((64, 16), vocab_size=17)).item() < np.log(17) + 1


def test_samples_follow_the_stated_distribution_within_and_beyond_the_context():
    gpt = small(vocab_size=3, context=2)
    x = np.array(list(itertools.product(range(3), repeat=4)))
    expected = 30_000 * np.exp(gpt.log_prob(x))
    drawn = gpt.sample(30_000, np.random.default_rng(3), length=4)
    counts = np.bincount(drawn @ 3 ** np.arange(4)[::-1], minlength=81)
    pooled = expected < 5  # chi-square wants at least five expected in each cell
    counts = np.append(counts[~pooled], counts[pooled].sum())
    expected = np.append(expected[~pooled], expected[pooled].sum() + 1e-9)
    statistic = ((counts - expected) ** 2 / expected).sum()
    degrees = len(expected) - 1
    assert degrees >= 20
    # Wilson & Hilferty: chi-square^(1/3) is nearly normal; a right sampler exceeds 3.72 once in
    # 10,000 seeds
    z = ((statistic / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / np.sqrt(2 / (9 * degrees))
    assert z < 3.72


def test_temperature_top_k_and_top_p_reach_the_logits():
    gpt, rng = small(), np.random.default_rng(0)
    prompt = tokens(3)
    logits = gpt.logits(np.append(prompt, 0)[None])[0, -1]
    p = mg.sampling.probabilities(logits)
    ranked = np.argsort(-p)

    def drawn(**how):
        return gpt.sample(4000, rng, prompt=prompt, length=4, **how)[:, 3]

    assert set(drawn(temperature=0)) == {ranked[0]}
    assert set(drawn(top_k=2)) == set(ranked[:2])
    assert set(drawn(top_p=p[ranked[0]] + 1e-6)) == set(ranked[:2])
    cold = mg.sampling.probabilities(logits / 0.5)
    counts = np.bincount(drawn(temperature=0.5), minlength=5)
    # five standard deviations in each of five cells: a right sampler fails fewer than 3 times in a
    # million seeds
    assert (np.abs(counts - 4000 * cold) < 5 * np.sqrt(4000 * cold * (1 - cold)) + 1).all()


def test_ngram_and_gpt_are_scored_by_the_same_function_on_the_same_tokens():
    """Each must give, from the same call, the bits that its own conditionals add up to."""
    text = tokens(500)
    gpt, ngram = small(), mg.NGram(order=2, vocab_size=5).fit(tokens(2000, seed=5))
    p = np.stack([ngram.conditional(text[None, :i])[0] for i in range(500)])
    assert mg.evaluate.bits_per_dim(ngram, text).value == pytest.approx(
        -np.log2(p[np.arange(500), text]).mean()
    )
    p = mg.sampling.probabilities(step_by_step(gpt, text[None], cache=True)[0])
    assert mg.evaluate.bits_per_dim(gpt, text).value == pytest.approx(
        -np.log2(p[np.arange(500), text]).mean(), abs=1e-5
    )
    assert mg.evaluate.bits_per_dim(gpt, text).exact


def test_learns_a_markov_chain_down_to_its_entropy_rate():
    chain = mg.MarkovChain(np.array([[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [0.5, 0.0, 0.5]]))
    rng = np.random.default_rng(0)
    gpt = mg.GPT(3, 16, layers=1, heads=2, width=16, rng=rng)
    optimizer = mg.AdamW(nn.parameters(gpt), lr=1e-2)
    batches = (chain.sample(32, rng, length=17) for _ in itertools.count())
    schedule = mg.optim.warmup_cosine(1e-2)
    for _ in mg.train(gpt, batches, 150, optimizer, rng, learning_rate=schedule, progress=False):
        pass
    fresh = chain.sample(200, rng, length=17)
    truth = -(chain.log_prob(fresh) - np.log(chain.stationary()[fresh[:, 0]])).mean() / 16
    assert truth == pytest.approx(chain.entropy_rate(), abs=0.03)
    assert 0 < gpt.loss(fresh).item() - truth < 0.02


def test_it_says_how_many_tokens_it_scores():
    gpt = small()
    assert [gpt.scored(tokens((2, length))) for length in (1, 6, 7, 8, 20)] == [1, 6, 6, 8, 20]
    for length in (1, 6, 7, 8):
        x = tokens((2, length))
        assert gpt.scored(x) == gpt.token_log_probs(x).shape[1]


def test_scoring_one_long_sequence_of_many_symbols_holds_few_logits_at_once():
    """20,000 x 2,000 logits would be 160 MB in float32, 320 in float64."""
    gpt, x = small(vocab_size=2000), tokens(20_000, vocab_size=2000)
    tracemalloc.start()
    gpt.log_prob(x)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


# -- bad input -------------------------------------------------------------------------------------


def test_bad_tokens_are_refused_by_every_method():
    gpt, rng = small(), np.random.default_rng(0)
    methods = (
        gpt.loss,
        gpt.log_prob,
        gpt.logits,
        gpt.attention_maps,
        lambda x: gpt.sample(len(x), rng, prompt=x),
    )
    for method in methods:
        with pytest.raises(TypeError, match="expected integers"):
            method(np.zeros((2, 3)))
        with pytest.raises(IndexError, match=r"integers in 0\.\.4"):
            method(np.array([[0, 5]]))  # 5 is the start token: read, never written
        with pytest.raises(IndexError, match="-1"):
            method(np.array([[0, -1]]))
        with pytest.raises(TypeError, match=r"shape \(L,\) or \(B, L\)"):
            method(np.zeros((1, 2, 3), int))
    for method in methods[:4]:  # an empty prompt is none
        with pytest.raises(ValueError, match="at least one"):
            method(np.zeros((2, 0), int))


def test_too_long_for_the_loss_or_the_maps_is_refused():
    gpt = small()
    with pytest.raises(ValueError, match=r"at most context \+ 1 = 7 columns, got shape \(2, 8\)"):
        gpt.loss(tokens((2, 8)))
    with pytest.raises(ValueError, match="7 positions, but its context is 6"):
        gpt.attention_maps(tokens((2, 7)))


@pytest.mark.parametrize(
    "n, how",
    [
        (0, {}),
        (2, {"length": 0}),
        (2, {"length": 3, "prompt": np.zeros(4, int)}),
        (2, {"prompt": np.zeros(9, int)}),  # longer than the context, and no length given
        (2, {"prompt": np.zeros((3, 2), int)}),
    ],
)
def test_impossible_samples_are_refused(n, how):
    with pytest.raises(ValueError, match="expected n >= 1, length >= 1"):
        small().sample(n, np.random.default_rng(0), **how)


@pytest.mark.parametrize("rng", [0, None])
def test_a_seed_is_no_generator(rng):
    with pytest.raises(TypeError, match="expected a numpy"):
        small().sample(1, rng)


@pytest.mark.parametrize("name", ["vocab_size", "context", "layers", "heads", "width"])
def test_sizes_below_one_are_refused(name):
    sizes = {"vocab_size": 5, "context": 6, "layers": 1, "heads": 1, "width": 8, name: 0}
    with pytest.raises(ValueError, match=f"{name}: .* got 0"):
        mg.GPT(**sizes, rng=np.random.default_rng(0))


# -- digits ----------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_digits_below_two_bits_per_dimension():
    """Independent pixels: 2.430; the full minute of training reaches about 1.85."""
    digits = mg.data.digits()
    train, test = (
        images.reshape(-1, 64).astype(np.int64) for images in (digits.train, digits.test)
    )
    rng = np.random.default_rng(0)
    gpt = mg.GPT(17, 64, layers=3, heads=4, width=96, rng=rng)
    optimizer = mg.AdamW(nn.parameters(gpt), lr=6e-3, betas=(0.9, 0.99), weight_decay=0.1)
    schedule, batches = mg.optim.warmup_cosine(6e-3), mg.data.batches(train, 32, rng)
    for _ in mg.train(
        gpt, batches, 300, optimizer, rng, learning_rate=schedule, max_norm=1.0, progress=False
    ):
        pass
    assert mg.evaluate.bits_per_dim(gpt, test).value < 2.0
