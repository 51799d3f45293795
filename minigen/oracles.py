"""Exact answers to hold models against: mixtures, the ideal denoiser, an enumerable world.

In these three worlds everything that a network has to learn is known in closed form (Karras et al.
2022, appendix B.3, for the ideal denoiser). `denoise` of the first two goes into any sampler.
"""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments
from minigen.schedules import Schedule, checked, log_normal

MOST_NUMBERS = 50_000_000  # of covariances that a mixture may hold, 400 MB


class GaussianMixture:
    """A mixture of K Gaussians in D dimensions: density, score and denoiser at every noise level.

    Noise keeps a mixture a mixture: with x_t = alpha x + sigma noise, component k is N(alpha
    mean_k, alpha^2 C_k + sigma^2 I). In the axes U of C_k that covariance is diagonal, so nothing
    has to be inverted.

    Args:
        means: (K, D).
        covariances: (K, D, D), or isotropic variances as a number or (K,).
        weights: (K,), equal if None.
        schedule: needed for t > 0 only.

    Every x is (B, D), or (B, ...) with D numbers each; t is a scalar or (B,).
    """

    def __init__(self, means, covariances, weights=None, schedule: Schedule | None = None):
        means = np.array(means, dtype=np.float64)  # K D
        if means.ndim != 2:
            raise ValueError(f"means must be (K, D), got shape {means.shape}")
        K, D = means.shape
        if K * D**2 > MOST_NUMBERS:
            raise ValueError(f"means (K, D) = {means.shape}: K D^2 may be at most {MOST_NUMBERS:,}")
        weights = np.full(K, 1 / K) if weights is None else np.array(weights, np.float64)
        if weights.shape != (K,) or np.any(weights <= 0) or abs(weights.sum() - 1) > 1e-9:
            raise ValueError(f"weights must be {K} positive numbers that sum to 1, got {weights}")
        covariances = np.array(covariances, dtype=np.float64)
        if covariances.ndim < 2:
            variances = covariances * np.ones(K)
            covariances = np.multiply.outer(variances, np.eye(D))
        if covariances.shape != (K, D, D):
            came = f"shape {covariances.shape}"
            raise ValueError(f"covariances must be a number, (K,) or (K, D, D), got {came}")
        self.means, self.covariances, self.weights = means, covariances, weights
        self.schedule = schedule if schedule is None else checked(schedule)
        self.shape = (D,)  # of one example, as networks say it
        self._variances, self._axes = np.linalg.eigh(covariances)  # K D and K D D
        symmetric = np.allclose(covariances, covariances.swapaxes(1, 2))
        if not symmetric or np.any(self._variances <= 0):
            raise ValueError("covariances must be symmetric and positive definite")

    def sample(self, n: int, rng: Generator) -> ndarray:
        """n fresh points: (n, D)."""
        component = arguments.generator(rng).choice(len(self.weights), size=n, p=self.weights)
        std = np.sqrt(self._variances[component])
        along = std * rng.standard_normal(std.shape)
        return self.means[component] + np.einsum("bde,be->bd", self._axes[component], along)

    def log_prob(self, x: ndarray, t=0.0) -> ndarray:
        """Exact log density of x_t: (B,) nats."""
        return np.logaddexp.reduce(self._components(x, t)[0], axis=-1)

    def score(self, x: ndarray, t=0.0) -> ndarray:
        """Gradient of log_prob with respect to x, shaped like x."""
        log_joint, offset, variances, _ = self._components(x, t)
        return _like(x, self._expect(log_joint, -offset / variances))

    def denoise(self, x: ndarray, t) -> ndarray:
        """E[clean | x_t], shaped like x: the best answer any network could give."""
        log_joint, offset, variances, alpha = self._components(x, t)
        gain = alpha[..., None] * self._variances / variances  # how much of an offset is signal
        clean = _softmax(log_joint) @ self.means + self._expect(log_joint, gain * offset)
        return _like(x, clean)

    def _components(self, x, t):
        """Of each component: log weight + log density (B, K), offsets and variances; and alpha.

        Offsets in its axes are (B, K, D), variances too, or (1, K, D) for one t; alpha is (B, 1),
        or (1, 1).
        """
        if self.schedule is None and np.any(np.asarray(t) != 0):
            knows = "this mixture was made without a schedule: it only knows t = 0"
            raise ValueError(f"{knows}, got t = {t}")
        flat = _rows(x)
        alpha, sigma = np.ones((1, 1)), np.zeros((1, 1))
        if flat.shape[1:] != self.shape:
            raise ValueError(f"x must hold {self.shape[0]} numbers an example, got shape {x.shape}")
        if self.schedule is not None:
            alpha, sigma = self.schedule.at(t, flat)
        variances = alpha[..., None] ** 2 * self._variances + sigma[..., None] ** 2
        from_means = flat[:, None] - alpha[..., None] * self.means
        offset = np.einsum("bkd,kde->bke", from_means, self._axes)
        log_density = log_normal(offset, 0, np.sqrt(variances)).sum(-1)
        return np.log(self.weights) + log_density, offset, variances, alpha

    def _expect(self, log_joint, along_axes):
        """Average over the components' posterior of vectors given in their axes: (B, D)."""
        weighted = _softmax(log_joint)[..., None] * along_axes
        return np.einsum("bke,kde->bd", weighted, self._axes, optimize=True)


class IdealDenoiser:
    """The perfect network of a finite data set: E[clean | x_t] if that is one of the N points.

    Sampling with it can only return the points (N, ...) themselves: what perfect memory looks like.
    """

    def __init__(self, points: ndarray, schedule: Schedule):
        self.points, self.schedule = np.asarray(points), checked(schedule)
        if not len(self.points):
            raise ValueError("points: expected one or more, got none")
        self.shape = self.points.shape[1:]
        self._flat = _rows(self.points)  # N D

    def posterior(self, x: ndarray, t) -> ndarray:
        """Probability of each point given x_t: (B, N). At t = 0 it is the nearest point's."""
        flat = _rows(x)
        alpha, sigma = self.schedule.at(t, flat)
        half_squared = (self._flat**2).sum(-1) / 2
        # (|x|^2 - |x - alpha point|^2) / 2:
        closeness = alpha * (flat @ self._flat.T) - alpha**2 * half_squared
        closeness -= closeness.max(-1, keepdims=True)  # before a sigma near 0 divides it
        return _softmax(closeness / np.maximum(sigma**2, 1e-300))

    def denoise(self, x: ndarray, t) -> ndarray:
        """The average of the points under `posterior`, shaped like x."""
        return _like(x, self.posterior(x, t) @ self._flat)


class EnumerableWorld:
    """All binary strings of length L, each with its probability: every answer is a sum.

    log p(x) = coupling * (neighbours that agree) + mirror * (pairs i, L-1-i that agree)
             + parity * (an even number of ones) + field * (number of ones) - log Z

    Neighbours are the short memory that a Markov chain can have (an Ising chain); the mirror ties
    the last symbol to the first, which it cannot; the parity makes all symbols together say
    something about each one, which no pair does. All four 0: fair coins.

    strings (2^L, L) holds every string, in counting order, and probabilities (2^L,) the probability
    of each.
    """

    def __init__(self, length: int = 8, coupling=0.4, mirror=1.0, parity=1.0, field=-0.2):
        arguments.whole(1, 16, length=length)
        self.length, self.coupling, self.mirror = length, coupling, mirror
        self.parity, self.field = parity, field
        self._places = np.arange(length)[::-1]  # of the binary digits, the first symbol's on top
        x = self.strings = np.arange(2**length)[:, None] >> self._places & 1  # 2^L L
        neighbours, mirrored = x[:, 1:] == x[:, :-1], x == x[:, ::-1]
        pairs, ones = mirrored[:, : length // 2], x.sum(-1)
        log_weight = coupling * neighbours.sum(-1) + mirror * pairs.sum(-1)
        log_weight = log_weight + parity * (ones % 2 == 0) + field * ones
        self._log_probabilities = log_weight - np.logaddexp.reduce(log_weight)
        self.probabilities = np.exp(self._log_probabilities)

    def index(self, x: ndarray) -> ndarray:
        """Which row of `strings` each of x (B, L) is: (B,)."""
        x = np.asarray(x)
        if np.shape(x)[1:] != (self.length,) or not np.isin(x, (0, 1)).all():
            came = f"{x.dtype} {x.shape}"
            raise ValueError(f"x must hold 0 and 1 in shape (B, {self.length}), got {came}")
        return x.astype(np.int64) @ (1 << self._places)

    def log_prob(self, x: ndarray) -> ndarray:
        """Exact log-probability of strings (B, L): (B,) nats."""
        return self._log_probabilities[self.index(x)]

    def sample(self, n: int, rng: Generator) -> ndarray:
        """n fresh strings: (n, L)."""
        return arguments.generator(rng).choice(self.strings, size=n, p=self.probabilities)

    def entropy(self) -> float:
        """Nats per string: the loss that no model can beat."""
        return float(-self.probabilities @ self._log_probabilities)

    def conditionals(self, x: ndarray, known: ndarray) -> ndarray:
        """log p(x_i = v | the known symbols) for every position and v = 0, 1: (B, L, 2) nats.

        x: (B, L), read only where known (bool, (B, L) or (L,)) is true; there the answer is log 1
        and log 0 = -inf.
        """
        x = np.asarray(x)
        known = np.broadcast_to(known, x.shape)
        self.index(np.where(known, x, 0))  # refuses what is no string
        few = range(64, len(x), 64)  # rows at a time: each meets all the strings
        parts = zip(np.split(x, few), np.split(known, few))
        mass = np.concatenate([self._mass(*part) for part in parts])
        with np.errstate(divide="ignore"):
            return np.log(mass) - np.log(mass.sum(-1, keepdims=True))

    def _mass(self, x: ndarray, known: ndarray) -> ndarray:
        """Probability of what is known together with x_i = v: (B, L, 2)."""
        ones = self.strings.astype(np.float64)  # 2^L L
        ones_missed = (known & (x == 1)) @ (1 - ones).T
        zeros_missed = (known & (x == 0)) @ ones.T
        agrees = ones_missed + zeros_missed == 0  # B 2^L
        weights = agrees * self.probabilities
        return np.stack([weights @ (1 - ones), weights @ ones], axis=-1)

    def chain_rule(self, x: ndarray, order: Sequence[int] | None = None) -> ndarray:
        """log p of each symbol given those before it in `order`: (B, L) nats.

        Any order sums to log_prob(x).
        """
        order = range(self.length) if order is None else order
        if sorted(order) != list(range(self.length)):
            raise ValueError(f"order must be a permutation of 0 .. {self.length - 1}, got {order}")
        rows = np.arange(len(self.index(x)))
        known = np.zeros(self.length, dtype=bool)
        factors = np.empty(np.shape(x))
        for i in order:
            log_p = self.conditionals(x, known)
            factors[:, i] = log_p[rows, i, x[:, i]]
            known[i] = True
        return factors

    def kl(self, model) -> float:
        """KL(world || model), nats: what coding with the model costs beyond the entropy.

        It is inf if the model excludes a string. model: anything with log_prob(strings), or the
        probabilities of all strings (2^L,).
        """
        with np.errstate(divide="ignore"):
            log_q = np.log(self._distribution(model))
        return float(self.probabilities @ (self._log_probabilities - log_q))

    def total_variation(self, model) -> float:
        """Half the sum of |world - model|: the largest error in the probability of any event."""
        return float(abs(self.probabilities - self._distribution(model)).sum() / 2)

    def _distribution(self, model):
        if hasattr(model, "log_prob"):
            model = np.exp(np.float64(model.log_prob(self.strings)))
        q = np.asarray(model, dtype=np.float64)
        if q.shape != self.probabilities.shape or not np.all(q >= 0) or abs(q.sum() - 1) > 1e-4:
            came = f"{q.shape} with sum {q.sum()}"
            raise ValueError(f"expected {2**self.length} probabilities that sum to 1, got {came}")
        return q


def _rows(x):
    """Each example as one row of float64: (B, D)."""
    return x.reshape(len(x), -1).astype(np.float64)


def _like(x, rows):
    if x.dtype.kind != "f":
        raise TypeError(f"x must hold floats, got {x.dtype}")
    return rows.reshape(x.shape).astype(x.dtype)


def _softmax(a):
    weights = np.exp(a - a.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
