"""Markov chains and n-grams: the past that counts is one state, or the last few symbols.

Chains after Levin, Peres and Wilmer (LPW), "Markov Chains and Mixing Times" (2nd ed.), chapters 1
and 4; n-grams after Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language
Modeling" (TR-10-98, 1998), chapter 2.
"""

from bisect import bisect_left

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments
from minigen.sampling import begun, draw, run, write

LARGEST_CHAIN = 5000  # states: their transitions fill 0.2 GB
PIECE = 2**16  # columns of a long sequence that an NGram scores at a time


def window_codes(x: ndarray, vocab_size: int, size: int) -> ndarray:
    """Windows of `size` neighbours of x (B, L) as integers: (B, L - size + 1).

    In base V = vocab_size, the newest symbol the last digit: code // V drops the newest symbol and
    code % V^(size-1) drops the oldest.
    """
    count = max(x.shape[-1] - size + 1, 0)
    codes = np.zeros((len(x), count), np.int64)
    for offset in range(size):
        codes = codes * vocab_size + x[:, offset : offset + count]
    return codes


def as_probabilities(name: str, p: ndarray, shape: tuple[int, ...]) -> ndarray:
    p = np.array(p, np.float64)
    if p.shape != shape or (p < 0).any() or not np.allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-8):
        expected = f"shape {shape}, >= 0, sums of 1 along the last axis"
        raise ValueError(f"{name}: expected {expected}; got {p.shape}:\n{p}")
    return p


def enlarged_states(vocab_size: int, order: int) -> int:
    """V^p, counted before anything of that size is made."""
    if vocab_size < 1 or not 1 <= order < 63 or vocab_size**order > LARGEST_CHAIN:
        expected = f"V >= 1, order >= 1 and V^order <= {LARGEST_CHAIN} states"
        raise ValueError(f"expected {expected}, got V = {vocab_size}, order = {order}")
    return vocab_size**order


def log(p: ndarray) -> ndarray:
    """Natural logarithm, -inf at 0 without a warning."""
    with np.errstate(divide="ignore"):
        return np.log(p)


class MarkovChain:
    """A chain on the states 0..V-1: transition[i, j] = P(next = j | now = i), shape (V, V).

    initial (V,) is the distribution of the first state; None is the stationary distribution.

    order > 1 is that of a chain of symbols, made by `enlarge` or `fit(..., order=p)`: its states
    are then no symbols but codes of windows, and that is what `log_prob` takes and `sample` gives:
    `window_codes(x, V, order)` makes them of symbols x, code % V is the newest symbol.
    """

    def __init__(self, transition: ndarray, initial: ndarray | None = None, order: int = 1):
        states = len(transition)
        arguments.whole(1, order=order)
        self.order, self._symbols = order, round(states ** (1 / order))
        if self._symbols**order != states:
            raise ValueError(f"order: {states} states are no windows of {order} symbols")
        self.transition = as_probabilities("transition", transition, (states, states))
        self.initial = None if initial is None else as_probabilities("initial", initial, (states,))

    def __repr__(self) -> str:
        states = len(self.transition)
        free = states * (self._symbols - 1)  # a window can only be followed by V others
        free += 0 if self.initial is None else states - 1
        return f"MarkovChain of {states:,} states, {free:,} parameters"

    # -- fit ---------------------------------------------------------------------------------------

    @classmethod
    def enlarge(cls, conditional: ndarray) -> "MarkovChain":
        """A chain of order p as a chain of order 1: its state is the tuple of the last p symbols.

        conditional (V, ..., V, V), p + 1 axes, is P(next | last p symbols, oldest first). The new
        chain has V^p states, each the window code of its tuple, so state % V is the newest symbol.
        It can only shift: (a, b) moves to (b, c).
        """
        conditional = np.asarray(conditional, np.float64)
        shape = conditional.shape
        if len(shape) < 2 or len(set(shape)) != 1:
            raise ValueError(f"conditional: expected shape (V, ..., V, V), got {shape}")
        vocab_size, order = shape[-1], len(shape) - 1
        states = enlarged_states(vocab_size, order)
        now = np.arange(states)[:, None]
        longer = now * vocab_size + np.arange(vocab_size)  # append the next symbol
        after = longer % states  # drop the oldest
        transition = np.zeros((states, states))
        transition[now, after] = conditional.reshape(states, vocab_size)
        return cls(transition, order=order)

    @classmethod
    def fit(
        cls, x: ndarray, states: int, order: int = 1, pseudocount: float = 0.0
    ) -> "MarkovChain":
        """Maximum likelihood from sequences x, (L,) or (B, L): P(j | context) = n(context, j) / n.

        order > 1 enlarges the state (see `enlarge`: to at most 5,000; NGram has no such limit): a
        state is the code of `order` symbols, and log_prob wants `window_codes(x, states, order)`.
        A context never left in x has no row: ValueError, unless a pseudocount > 0 is added to every
        count.
        """
        contexts = enlarged_states(states, order)
        arguments.within("[0, inf)", pseudocount=pseudocount)
        codes = window_codes(arguments.tokens(x, states), states, order + 1)
        counts = np.bincount(codes.ravel(), minlength=contexts * states) + pseudocount
        counts = counts.reshape((states,) * (order + 1))
        left = counts.sum(axis=-1, keepdims=True)
        if (left == 0).any():
            never = f"{(left == 0).sum()} of {contexts} contexts are never left"
            raise ValueError(f"x: {never}; give a pseudocount > 0")
        return cls.enlarge(counts / left)

    # -- what the transitions say ------------------------------------------------------------------

    def stationary(self) -> ndarray:
        """The distribution (V,) with pi = pi P (LPW section 1.5); ValueError if not unique."""
        size = len(self.transition)
        # pi (P - I) = 0 and sum(pi) = 1
        equations = np.vstack([self.transition.T - np.eye(size), np.ones(size)])
        right = np.append(np.zeros(size), 1.0)
        pi, _, rank, _ = np.linalg.lstsq(equations, right, rcond=None)
        if rank < size:
            raise ValueError(
                "transition: several closed classes, no unique stationary distribution"
            )
        pi = np.maximum(pi, 0)  # rounding can leave -1e-17 on a state never returned to
        return pi / pi.sum()

    def distance(self, steps: int) -> float:
        """d(t) = max_x TV(P^t(x, .), pi): total variation to stationarity from the worst start.

        LPW section 4.4.
        """
        gap = np.linalg.matrix_power(self.transition, steps) - self.stationary()
        return float(np.abs(gap).sum(axis=1).max() / 2)

    def mixing_time(self, epsilon: float = 0.25) -> int:
        """min{t : d(t) <= epsilon} (LPW section 4.5).

        d never rises with t, so: double t until it is met, then bisect. ValueError if it is not met
        within 2^40 steps: a periodic chain never mixes.
        """
        late = 1
        while self.distance(late) > epsilon:
            late *= 2
            if late > 2**40:
                far = self.distance(late)
                raise ValueError(f"transition: d(t) is still {far:.3f} after 2^40 steps")
        # negated, for bisect wants values that rise
        return bisect_left(range(late), -epsilon, key=lambda steps: -self.distance(steps))

    def entropy_rate(self) -> float:
        """H = - sum_i pi_i sum_j P_ij log P_ij, nats a step (Cover and Thomas, theorem 4.2.4)."""
        p = self.transition
        return float(-self.stationary() @ (p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1))

    def is_reversible(self, tolerance: float = 1e-10) -> bool:
        """Is time reversible: pi_i P_ij = pi_j P_ji for all i, j? (LPW section 1.6)"""
        flow = self.stationary()[:, None] * self.transition
        return bool(np.abs(flow - flow.T).max() <= tolerance)

    # -- predict -----------------------------------------------------------------------------------

    def conditional(self, x: ndarray) -> ndarray:
        """P(next | x) for paths x (B, L), L >= 0: (B, V). Only the last state counts."""
        if x.shape[1]:
            return self.transition[x[:, -1]]
        return np.tile(self._start(), (len(x), 1))

    def _start(self) -> ndarray:
        return self.stationary() if self.initial is None else self.initial

    # -- sample ------------------------------------------------------------------------------------

    def sample(self, n: int, rng: Generator, length: int) -> ndarray:
        """n paths (n, length) of states (order > 1: codes; code % V is the symbol)."""
        x = np.zeros((n, length), np.int64)
        columns = range(length + 1)
        return run(x, columns, lambda x, now: log(self.conditional(x[:, :now])), write(draw(rng)))

    # -- log_prob ----------------------------------------------------------------------------------

    def log_prob(self, x: ndarray) -> ndarray:
        """log P(x) (B,), nats, exact: log initial(x_1) + sum_t log P(x_t | x_{t-1}).

        x holds states: for order > 1 codes, `window_codes(symbols, V, order)`; the first `order`
        symbols are then its first state. -inf for an impossible path.

        Raises:
            ValueError: where neighbouring windows do not overlap: x holds no codes.
        """
        x = arguments.tokens(x, len(self.transition))
        if self.order > 1:
            self._refuse_symbols(x)
        first = log(self._start())[x[:, :1]]  # (B, 1), or (B, 0) where the paths are empty
        moves = log(self.transition[x[:, :-1], x[:, 1:]])
        return first.sum(axis=1) + moves.sum(axis=1)

    def _refuse_symbols(self, x: ndarray) -> None:
        V, p = self._symbols, self.order
        if np.any(x[:, 1:] // V != x[:, :-1] % V ** (p - 1)):
            expected = f"windows of {p} symbols that overlap, as window_codes(x, {V}, {p}) gives"
            raise ValueError(f"x: expected codes of {expected}; got other numbers")


class NGram:
    """The next symbol given the last `order` symbols, from counts: `NGram(5, 27).fit(tokens)`.

    A ladder of contexts h of k = 0, 1, ..., order symbols; h' is h without its oldest symbol:

        p_k(w | h) = gain_k(h w) + backoff_k(h) p_{k-1}(w | h'),     p_{-1} = 1 / V

    * smoothing="kneser-ney": gain = max(c(h w) - D, 0) / c(h) and
      backoff = D |{w : c(h w) > 0}| / c(h): interpolated, with one discount D, 0.75 if not given
      (Chen and Goodman, section 2.7). c counts occurrences on the top rung; below it c(h w) is the
      number of different symbols seen before h w: how many contexts it completes, not how often.
    * smoothing="additive": p_k = (c(h w) + a) / (c(h) + aV) with a = pseudocount, 1 if not given:
      back to 1 / V, never to p_{k-1}.
    * smoothing=None: maximum likelihood, gain = c(h w) / c(h), backoff = 0.

    A context never seen has gain 0 and backoff 1: it is shortened until it was seen ("additive":
    uniform). So p_k(. | h) sums to 1 for every context.

    The start: a sequence begins without a past, so its token number i is predicted from the i
    tokens before it, by rung i of the ladder, until `order` of them are there. So every token is
    scored, the first included, as GPT does from its start token, and one function can score both.
    """

    def __init__(
        self, order: int, vocab_size: int, smoothing: str | None = "kneser-ney",
        discount: float | None = None, pseudocount: float | None = None,
    ) -> None:  # fmt: skip
        if order < 0 or vocab_size < 1 or vocab_size ** (min(order, 62) + 1) >= 2**63:
            came = f"got {order}, {vocab_size}"
            raise ValueError(f"order, vocab_size: V^(order + 1) must fit 63 bits, {came}")
        arguments.one_of(("kneser-ney", "additive", None), smoothing=smoothing)
        if smoothing == "kneser-ney":
            discount = 0.75 if discount is None else discount
            arguments.within("[0, 1]", discount=discount)
        elif discount is not None:
            raise ValueError(f"discount: got {discount}, but {smoothing!r} smoothing has none")
        if smoothing == "additive":
            pseudocount = 1.0 if pseudocount is None else pseudocount
            arguments.within("(0, inf)", pseudocount=pseudocount)
        elif pseudocount is not None:
            raise ValueError(
                f"pseudocount: got {pseudocount}, but {smoothing!r} smoothing has none"
            )
        self.order, self.vocab_size, self.smoothing = order, vocab_size, smoothing
        self.discount, self.pseudocount = discount, pseudocount
        # Each list holds one array a rung: the codes of all windows h w that were seen, sorted, and
        # the gain of each; the codes of all contexts h, sorted, and the backoff of each.
        self.windows, self.gains, self.contexts, self.backoffs = [], [], [], []

    def __repr__(self) -> str:
        size = sum(map(len, self.gains)) + sum(map(len, self.backoffs))
        state = f"{size:,} parameters" if size else "not fitted"
        sizes = f"order={self.order}, vocab_size={self.vocab_size}"
        return f"NGram({sizes}, smoothing={self.smoothing!r}), {state}"

    # -- fit ---------------------------------------------------------------------------------------

    def fit(self, x: ndarray) -> "NGram":
        """Count the windows of x, (L,) or (B, L). Returns self."""
        x = arguments.tokens(x, self.vocab_size)
        if x.shape[1] <= self.order:
            raise ValueError(f"x: expected more than order = {self.order} columns, got {x.shape}")
        rungs = [self._rung(x, k) for k in range(self.order + 1)]
        self.windows, self.gains, self.contexts, self.backoffs = map(list, zip(*rungs))
        return self

    def _rung(self, x: ndarray, k: int) -> tuple[ndarray, ...]:
        """Rung k: the sorted windows h w and their gains, the sorted contexts h and backoffs."""
        codes = window_codes(x, self.vocab_size, k + 1).ravel()
        if k < self.order and self.smoothing == "kneser-ney":
            longer = np.unique(window_codes(x, self.vocab_size, k + 2))  # each kind counts once
            codes = longer % self.vocab_size ** (k + 1)
        windows, counts = np.unique(codes, return_counts=True)
        contexts, which, kinds = np.unique(
            windows // self.vocab_size, return_inverse=True, return_counts=True
        )
        discount = self.discount or 0
        added = (self.pseudocount or 0) * self.vocab_size
        total = np.bincount(which, counts) + added  # c(h) + aV
        gains = np.maximum(counts - discount, 0) / total[which]
        backoffs = (discount * kinds + added) / total
        return windows, gains, contexts, backoffs

    # -- predict -----------------------------------------------------------------------------------

    def conditional(self, context: ndarray) -> ndarray:
        """P(next | context), (B, V), for contexts (B, k), any length k: the last `order` count."""
        V = self.vocab_size
        context = arguments.tokens(context, V)
        context = context[:, max(context.shape[1] - self.order, 0) :]
        after = np.resize(np.arange(V), (len(context) * V, 1))  # every symbol after every context
        longer = np.hstack([np.repeat(context, V, axis=0), after])
        return self._token_probabilities(longer)[:, -1].reshape(-1, V)

    def _token_probabilities(self, x: ndarray) -> ndarray:
        """P of every token of x (B, L) given those before it, up the ladder: (B, L)."""
        if not self.windows:
            raise RuntimeError(f"{self}: call .fit(x) first")
        p = uniform = np.full(x.shape, 1 / self.vocab_size)
        for k in range(min(self.order + 1, x.shape[1])):
            codes = window_codes(x, self.vocab_size, k + 1)
            contexts = codes // self.vocab_size
            gain = look_up(codes, self.windows[k], self.gains[k], missing=0.0)
            backoff = look_up(contexts, self.contexts[k], self.backoffs[k], missing=1.0)
            below = uniform if self.smoothing == "additive" else p
            p = np.hstack([p[:, :k], gain + backoff * below[:, k:]])
        return p

    # -- sample ------------------------------------------------------------------------------------

    def sample(self, n: int, rng: Generator, length: int, prompt: ndarray | None = None) -> ndarray:
        """n sequences (n, length) that begin with the prompt, (P,) or (n, P), part of `length`."""
        x, known = begun(n, length, prompt, self.vocab_size)
        columns = range(known, length + 1)
        return run(x, columns, lambda x, now: log(self.conditional(x[:, :now])), write(draw(rng)))

    # -- log_prob ----------------------------------------------------------------------------------

    def log_prob(self, x: ndarray) -> ndarray:
        """log P(x) (B,) of sequences (B, L), nats, exact, every token scored.

        -inf where p = 0 (smoothing=None).
        """
        x = arguments.tokens(x, self.vocab_size)
        nats = np.zeros(len(x))
        for start in range(0, x.shape[1], PIECE):
            before = max(start - self.order, 0)
            p = self._token_probabilities(x[:, before : start + PIECE])
            nats += log(p[:, start - before :]).sum(axis=1)
        return nats


def look_up(keys: ndarray, table: ndarray, values: ndarray, missing: float) -> ndarray:
    """values[i] where table[i] == key (table sorted), `missing` where the table has no such key."""
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[at] == keys, values[at], missing)
