"""evaluate: against hand calculation, closed forms and brute force.

The sample metrics on failures made on purpose.
"""

import math
import tracemalloc

import numpy as np
import pytest

from minigen import data, evaluate
from minigen.models.linear import LinearAR


class Categorical:
    """Independent pixels with probabilities (D, V): log_prob by the formula, for integer images."""

    def __init__(self, probabilities):
        self.probabilities = probabilities

    def log_prob(self, x):
        flat = x.reshape(len(x), -1)
        return np.log(self.probabilities[np.arange(flat.shape[1]), flat]).sum(axis=1)


class Gaussian:
    """Independent standard normal entries times std: a density."""

    def __init__(self, std=1.0):
        self.std = std

    def log_prob(self, x):
        z = x.reshape(len(x), -1) / self.std
        return -0.5 * (z**2 + math.log(2 * math.pi) + 2 * math.log(self.std)).sum(axis=1)


# -- bits per dimension ----------------------------------------------------------------------------


def test_uniform_levels_cost_log2_17_bits_exactly():
    bits = evaluate.bits_per_dim(Categorical(np.full((64, 17), 1 / 17)), data.digits().test)
    assert bits.value == pytest.approx(math.log2(17), abs=1e-12) == pytest.approx(4.087, abs=5e-4)
    assert bits.exact and not bits.density and bits.standard_error == pytest.approx(0, abs=1e-12)
    assert str(bits) == "= 4.087 ± 0.000 bits/dim"


def test_independent_pixels_of_the_digits_cost_2_430_bits():
    digits = data.digits()
    levels = digits.train.reshape(-1, 64)
    counts = np.stack([np.bincount(pixel, minlength=17) for pixel in levels.T])
    best = {}
    for pseudocount in (0.03, 0.1, 0.3, 1.0):
        smoothed = counts + pseudocount
        model = Categorical(smoothed / smoothed.sum(axis=1, keepdims=True))
        best[pseudocount] = evaluate.bits_per_dim(model, digits.test)
    assert best[0.1].value == pytest.approx(2.430, abs=0.01)
    bits = -model.log_prob(digits.test) / (64 * math.log(2))
    assert best[1.0].value == pytest.approx(
        bits.mean(), abs=1e-12
    )  # 360 examples: three parts, the last one shorter
    assert best[1.0].standard_error == pytest.approx(bits.std(ddof=1) / math.sqrt(360), rel=1e-9)


def test_a_long_sequence_is_a_batch_of_one_and_has_no_error_bar():
    tokens = np.array([0, 1, 1, 1])
    bits = evaluate.bits_per_dim(Categorical(np.full((4, 2), [0.25, 0.75])), tokens)
    assert bits.value == pytest.approx((2 - 3 * math.log2(0.75)) / 4)
    assert bits.standard_error is None and str(bits) == "= 0.811 bits/dim"


def test_a_bound_is_marked_and_needs_rng():
    class Bounded:
        def bound(self, x, rng):
            return np.full(len(x), -math.log(2) * x[0].size) + rng.normal(0, 0.01, len(x))

    x = np.zeros((300, 8), dtype=int)
    for rng in (None, 0):
        with pytest.raises(TypeError, match=f"rng: expected a numpy.random.Generator.* {rng}"):
            evaluate.bits_per_dim(Bounded(), x, rng)
    bits = evaluate.bits_per_dim(Bounded(), x, np.random.default_rng(0))
    assert not bits.exact and str(bits).startswith("<= 1.000 ± 0.000 bits/dim")


def test_a_density_never_looks_like_a_probability():
    x = np.zeros((2, 4))
    free = evaluate.bits_per_dim(Gaussian(std=0.001), x)
    assert free.density and free.value < 0 and str(free).endswith("bits/dim of a density")
    declared = Gaussian()
    declared.density = False
    assert not evaluate.bits_per_dim(declared, x).density
    assert not evaluate.bits_per_dim(
        evaluate.Dequantized(Gaussian(), 0.1), x, np.random.default_rng(0)
    ).density


@pytest.mark.parametrize("width", [1.0, 0.125])
def test_dequantisation_bounds_the_exact_probability_of_a_level(width):
    levels = np.arange(-3, 4) * width
    x = np.repeat(levels[:, None, None], 4000, axis=0).repeat(2, axis=2)  # (28000, 1, 2)

    def cdf(z):
        return 0.5 * (1 + math.erf(z / math.sqrt(2)))

    exact = np.mean([-math.log2(cdf(v + width / 2) - cdf(v - width / 2)) for v in levels])
    # E_u (v + u)^2 = v^2 + width^2 / 12, so the bound has a closed form too
    bound = ((levels**2 + width**2 / 12) / 2 + math.log(2 * math.pi) / 2).mean() / math.log(
        2
    ) - math.log2(width)
    bits = evaluate.bits_per_dim(
        evaluate.Dequantized(Gaussian(), width), x, np.random.default_rng(0)
    )
    assert str(bits).startswith("<= ") and not bits.exact
    assert exact < bound and bits.value == pytest.approx(
        bound, abs=5 * bits.standard_error
    )  # 6e-7, generously
    if width < 0.2:
        assert bound - exact < 0.002  # narrow bins: the density is nearly constant over one


def test_a_model_says_how_much_of_an_example_it_scores():
    class GivenFirst:
        """A fair coin for all but the first entry, which is given."""

        density = False

        def log_prob(self, x):
            return np.full(len(x), -math.log(2) * self.scored(x))

        def scored(self, x):
            return x.shape[1] - 1

    x = np.zeros((3, 9), dtype=int)
    assert evaluate.bits_per_dim(GivenFirst(), x).value == pytest.approx(1)
    assert evaluate.bits_per_dim(GivenFirst(), x[0]).value == pytest.approx(1)
    with pytest.raises(TypeError, match="dimensions"):  # a caller cannot contradict the model
        evaluate.bits_per_dim(GivenFirst(), x, dimensions=9)
    # as a density of bins 1/4 wide, each scored entry costs two bits more
    grey = evaluate.Dequantized(GivenFirst(), 0.25)
    assert evaluate.bits_per_dim(grey, x, np.random.default_rng(0)).value == pytest.approx(3)


def test_a_time_series_as_grey_levels_pays_for_the_values_it_scores():
    """Counts in bins of 1.

    The values of an AR(9) are scored from the tenth on, densities or not.
    """
    x = np.round(data.series("sunspots").values)
    model = LinearAR(9).fit(x)
    density = evaluate.bits_per_dim(model, x)
    grey = evaluate.bits_per_dim(evaluate.Dequantized(model, 1.0), x, np.random.default_rng(0))
    # log2 of a bin of 1 is 0, and the noise of variance 1/12 is small beside sigma = 15
    assert grey.value == pytest.approx(density.value, abs=0.01) and not grey.density
    half = evaluate.bits_per_dim(evaluate.Dequantized(model, 0.5), x, np.random.default_rng(0))
    assert half.value == pytest.approx(density.value + 1, abs=0.01)


def test_nan_is_no_figure_and_infinity_has_no_error_bar():
    class Says:
        def __init__(self, nats):
            self.nats = np.array(nats)

        def log_prob(self, x):
            return self.nats

    x = np.zeros((3, 4), int)
    with pytest.raises(FloatingPointError, match="NaN for 1 of 3 examples"):
        evaluate.bits_per_dim(Says([-1.0, np.nan, -2.0]), x)
    bits = evaluate.bits_per_dim(Says([-1.0, -np.inf, -2.0]), x)
    assert str(bits) == "= inf bits/dim" and bits.standard_error is None


def test_a_few_long_examples_go_to_the_model_one_by_one(monkeypatch):
    monkeypatch.setattr(evaluate, "LARGEST_PART", 1000)
    sizes = []

    class Counts:
        def log_prob(self, x):
            sizes.append(len(x))
            return -np.arange(len(x), dtype=float)

    for length, expected in ((2000, [1] * 5), (400, [2, 2, 1]), (4, [5])):
        sizes.clear()
        evaluate.bits_per_dim(Counts(), np.zeros((5, length), int))
        assert sizes == expected


# -- two samples -----------------------------------------------------------------------------------


def brute_force(samples, real, k):
    """1-NN accuracy (no ties), precision and recall, by loops over pairs."""
    pooled = [(tuple(p), 0) for p in samples] + [(tuple(p), 1) for p in real]
    right = 0
    for i, (p, kind) in enumerate(pooled):
        j = min((j for j in range(len(pooled)) if j != i), key=lambda j: math.dist(p, pooled[j][0]))
        right += pooled[j][1] == kind

    def share(points, region):
        radii = [sorted(math.dist(a, b) for b in region)[k] for a in region]
        return np.mean([any(math.dist(p, a) <= r for a, r in zip(region, radii)) for p in points])

    return right / len(pooled), share(samples, real), share(real, samples)


def test_metrics_agree_with_loops_over_pairs():
    rng = np.random.default_rng(0)
    samples, real = rng.normal(size=(40, 3)), rng.normal(0.5, 1.5, size=(40, 3))
    for k in (1, 3):
        accuracy, precision, recall = brute_force(samples, real, k)
        assert evaluate.one_nn_accuracy(samples, real) == pytest.approx(accuracy)
        assert evaluate.precision_recall(samples, real, k) == pytest.approx((precision, recall))
    nearest = [min(math.dist(a, b) for b in real) for a in samples]
    assert evaluate.nearest_training_distance(samples, real) == pytest.approx(nearest)


def test_metrics_need_no_whole_matrix_of_distances(monkeypatch):
    rng = np.random.default_rng(0)
    samples, real = rng.integers(0, 9, (40, 3)) / 8, rng.integers(0, 9, (40, 3)) / 8

    def metrics():
        nearest = evaluate.nearest_training_distance(samples, real)
        pair = evaluate.precision_recall(samples, real)
        return [evaluate.one_nn_accuracy(samples, real), *pair, *nearest]

    whole = metrics()
    for part in (1, 100, 1000):
        monkeypatch.setattr(evaluate, "LARGEST_PART", part)
        assert metrics() == whole  # eighths: exact, ties included
    monkeypatch.undo()
    train = np.zeros((20_000, 2))  # 5,000 x 20,000 distances would be 0.8 GB
    tracemalloc.start()
    evaluate.nearest_training_distance(train[:5000], train)
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()


@pytest.mark.parametrize("offset", [1e7, -1e9])
def test_a_common_offset_changes_no_metric(offset):
    """Squares of 1e9 hold no digits of a distance of 1: they are taken about one of the points."""
    rng = np.random.default_rng(0)
    samples, real = rng.integers(0, 99, (40, 3)) / 8, rng.integers(0, 99, (40, 3)) / 8

    def metrics(shift):
        x, y = samples + shift, real + shift
        return [
            evaluate.one_nn_accuracy(x, y),
            *evaluate.precision_recall(x, y),
            *evaluate.nearest_training_distance(x, y),
        ]

    assert metrics(offset) == metrics(0)  # eighths: exact beside 1e9, too
    sliced = [
        evaluate.sliced_wasserstein(samples + shift, real + shift, np.random.default_rng(1))
        for shift in (offset, 0)
    ]
    assert sliced[0] == pytest.approx(sliced[1], rel=1e-5)
    crps = evaluate.crps(samples + offset, real[0] + offset)
    assert crps == pytest.approx(evaluate.crps(samples, real[0]), rel=1e-12)


def test_one_nn_accuracy_at_its_ends():
    x = np.random.default_rng(0).normal(size=(30, 2))
    assert evaluate.one_nn_accuracy(x, x + 100) == 1
    assert evaluate.one_nn_accuracy(x, x) == 0  # every copy is nearest to its original
    assert evaluate.one_nn_accuracy(np.zeros((5, 2)), np.zeros((5, 2))) == pytest.approx(
        4 / 9
    )  # ties share
    near = evaluate.one_nn_accuracy(np.array([[0.0], [1.0]]), np.array([[-1.00005], [-50.0]]))
    assert (
        near == 3 / 4
    )  # nearly a tie is none: only the point at -1.00005 is nearest to the other kind


def test_sliced_wasserstein_of_a_shift():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 1))
    assert evaluate.sliced_wasserstein(x[::-1] + 0.7, x, rng) == pytest.approx(0.7)
    x, shift = rng.normal(size=(20, 5)), np.array([3.0, 0, 0, 4, 0])
    distance = evaluate.sliced_wasserstein(x + shift, x, rng, projections=20_000)
    # E (shift . theta)^2 = |shift|^2 / D; relative error of the mean square sqrt(2 (D-1) / (D+2) /
    # 20000) = 0.0076
    assert distance == pytest.approx(
        5 / math.sqrt(5), rel=5 * 0.0076 / 2
    )  # false alarm: below 1e-6


@pytest.fixture(scope="module")
def digits():
    return data.digits()


def test_the_floor_of_the_protocol(digits):
    floors = [
        evaluate.sample_metrics(
            digits.test, digits.test, digits.train, np.random.default_rng(seed)
        )[1]
        for seed in range(8)
    ]
    mean = evaluate.SampleMetrics(*np.mean(floors, axis=0))
    assert 0.47 < mean.one_nn_accuracy < 0.53
    assert 0.90 <= mean.precision <= 0.93
    assert 0.90 <= mean.recall <= 0.94
    assert mean.sliced_wasserstein == pytest.approx(0.030, abs=0.004)
    assert mean.nearest_training_distance == pytest.approx(
        1.032, abs=0.001
    )  # of the test images: no rng in it


def test_each_failure_shows_in_some_metric_and_none_shows_them_all(digits):
    """898 against 898, as in the published figures.

    Whose recipes are not, so the bands are wide.
    """
    rng = np.random.default_rng(0)
    images, labels = np.concatenate([digits.train, digits.test]) / 16, np.concatenate(digits[2:])
    order = rng.permutation(len(images))
    half, other, half_labels = images[order[:898]], images[order[898:1796]], labels[order[:898]]

    def metrics(samples):
        return evaluate.one_nn_accuracy(samples, other), *evaluate.precision_recall(samples, other)

    floor = metrics(half)
    assert floor[0] == pytest.approx(0.5, abs=0.03) and min(floor[1:]) > 0.88

    flat = half.reshape(898, 64)
    drawn = rng.multivariate_normal(flat.mean(axis=0), np.cov(flat.T), size=898).reshape(half.shape)
    gaussian = metrics(np.rint(np.clip(drawn, 0, 1) * 16) / 16)
    assert (
        gaussian[0] > 0.85 and gaussian[1] < 0.35 and gaussian[2] < 0.60
    )  # published 0.89, 0.21, 0.49

    memoriser = metrics(other[rng.choice(898, size=898)])
    assert memoriser[0] < 0.35 and memoriser[1] == 1 and memoriser[2] > 0.9  # published 0.28, 1, 1

    eight = half[half_labels < 8]
    dropped = metrics(eight[rng.choice(len(eight), size=898)])
    assert (
        dropped[1] > 0.85 and dropped[2] < floor[2] - 0.15
    )  # published 0.63, 0.92, 0.64: precision does not see it


def test_memorised_training_images_have_no_distance(digits):
    copies, floor = evaluate.sample_metrics(
        digits.train[:360], digits.test, digits.train, np.random.default_rng(0)
    )
    assert copies.nearest_training_distance == 0 < floor.nearest_training_distance
    assert copies.one_nn_accuracy == pytest.approx(
        floor.one_nn_accuracy, abs=0.08
    )  # nothing else gives them away


def test_the_same_generator_gives_the_same_metrics(digits):
    first, second = (
        evaluate.sample_metrics(
            digits.train[:360], digits.test, digits.train, np.random.default_rng(3)
        )
        for _ in range(2)
    )
    assert first == second


# -- forecasts -------------------------------------------------------------------------------------


def gaussian_crps(mean, std, y):
    """Gneiting & Raftery (2007), eq. 5, with the sign turned."""
    z = (y - mean) / std
    density, cdf = (
        math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
        0.5 * (1 + math.erf(z / math.sqrt(2))),
    )
    return std * (z * (2 * cdf - 1) + 2 * density - 1 / math.sqrt(math.pi))


def test_crps_of_a_gaussian_ensemble_has_its_closed_form():
    rng, observed = np.random.default_rng(0), np.array([-3.0, 0.0, 0.4, 2.5])
    expected = [gaussian_crps(0.5, 2.0, y) for y in observed]
    paths = rng.normal(0.5, 2.0, size=(200_000, 4))
    assert evaluate.crps(paths, observed) == pytest.approx(
        expected, abs=5 * 2.0 / math.sqrt(200_000)
    )
    # unbiased even with three paths: the mean over 100,000 tiny ensembles
    tiny = rng.normal(0.5, 2.0, size=(3, 100_000))
    score = evaluate.crps(tiny, np.full(100_000, 0.4))
    assert score.mean() == pytest.approx(
        expected[2], abs=5 * score.std() / math.sqrt(100_000)
    )  # 6e-7


def test_crps_agrees_with_loops_over_pairs():
    paths, y = np.random.default_rng(0).normal(size=(7, 1)), np.array([0.3])
    pairs = [
        abs(a - b) for i, a in enumerate(paths[:, 0]) for j, b in enumerate(paths[:, 0]) if i != j
    ]
    assert evaluate.crps(paths, y)[0] == pytest.approx(
        np.abs(paths - y).mean() - np.mean(pairs) / 2
    )


def test_interval_coverage_counts():
    paths = np.repeat(np.arange(101.0)[:, None], 4, axis=1)  # the central 90% is [5, 95]
    assert evaluate.interval_coverage(paths, np.array([5.0, 95.0, 4.9, 200.0]), level=0.9) == 0.5
    assert evaluate.interval_coverage(paths, np.array([5.0, 95.0, 4.9, 200.0]), level=0.92) == 0.75


def test_psnr_of_a_known_error():
    clean = np.zeros((4, 4))
    assert evaluate.psnr(clean, clean + 0.1, peak=1) == pytest.approx(20)
    assert evaluate.psnr(clean, clean + 0.1, peak=2) == pytest.approx(20 + 20 * math.log10(2))
    assert evaluate.psnr(clean, clean, peak=1) == math.inf


# -- bad input -------------------------------------------------------------------------------------

NAN = np.array([[np.nan, 0.0], [1, 1], [2, 2], [3, 3]])
GOOD = np.eye(4, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: evaluate.bits_per_dim(Gaussian(), np.zeros((0, 4))), ValueError, "x is empty"),
        (lambda: evaluate.one_nn_accuracy(GOOD, GOOD[:3]), ValueError, r"\(4, 2\) and \(3, 2\)"),
        (lambda: evaluate.one_nn_accuracy(GOOD, NAN), ValueError, "real: 1 missing or infinite"),
        (lambda: evaluate.precision_recall(GOOD[:0], GOOD), ValueError, r"\(0, 2\)"),
        (lambda: evaluate.precision_recall(GOOD, GOOD, k=4), ValueError, r"k: .* 1\.\.3, got 4"),
        (
            lambda: evaluate.nearest_training_distance(GOOD, np.zeros((4, 3))),
            ValueError,
            r"\(4, 3\)",
        ),
        (
            lambda: evaluate.sliced_wasserstein(GOOD, GOOD[:2], np.random.default_rng(0)),
            ValueError,
            "one size",
        ),
        (
            lambda: evaluate.sample_metrics(GOOD, GOOD, GOOD, np.random.default_rng(0)),
            TypeError,
            "integer levels",
        ),
        (
            lambda: evaluate.sliced_wasserstein(GOOD, GOOD, 0),
            TypeError,
            "rng: expected a numpy.random.Generator.* got int 0",
        ),
        (
            lambda: evaluate.sample_metrics(*[np.eye(4, dtype=int)] * 3, 0),
            TypeError,
            "rng: expected a numpy.random.Generator.* got int 0",
        ),
        (
            lambda: evaluate.Dequantized(Gaussian(), 0.1).bound(GOOD, None),
            TypeError,
            "rng: expected a numpy.random.Generator.* got NoneType",
        ),
        (lambda: evaluate.Dequantized(Gaussian(), 0), ValueError, "bin_width"),
        (lambda: evaluate.crps(NAN, np.zeros(2)), ValueError, "paths: 1 missing or infinite"),
        (lambda: evaluate.crps(np.zeros((5, 3)), np.zeros(4)), ValueError, r"\(5, 3\) and \(4,\)"),
        (lambda: evaluate.crps(np.zeros((1, 3)), np.zeros(3)), ValueError, r"\(1, 3\)"),
        (
            lambda: evaluate.interval_coverage(np.zeros((5, 3)), np.zeros(3), level=90),
            ValueError,
            "level: expected a number in",
        ),
        (lambda: evaluate.psnr(GOOD, GOOD[:2], peak=1), ValueError, r"\(4, 2\) and \(2, 2\)"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
