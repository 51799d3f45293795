"""The checks of lesson 08: drawing, temperature and top-p, the key-value cache; and the three
samplers that the lesson asks to name.
"""

import numpy as np

from minigen.course.exercise import Exercise

# -- Break it: three samplers, one healthy ---------------------------------------------------------


def handed_in(name: str):
    """draw(logits, rng) of run "A", "B" or "C": tokens (N,) from logits (N, V)."""

    def coarse(logits, rng):
        noise = rng.integers(2**11, size=logits.shape) / 2**11  # the steps of half precision
        with np.errstate(divide="ignore"):
            return np.argmax(logits - np.log(-np.log(noise)), axis=-1)

    def cold(logits, rng):
        return exact(logits / 0.8, rng)

    def exact(logits, rng):
        return np.argmax(logits + rng.gumbel(size=logits.shape), axis=-1)

    return {"A": cold, "B": exact, "C": coarse}[name]


# -- temperature and top-p -------------------------------------------------------------------------


def softmax(logits):
    logits = np.asarray(logits, dtype=float)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def what_is_drawn(answer, logits, number):
    """The probabilities that an answer's logits mean: a constant added to a row changes nothing."""
    result = answer(logits, number)
    if not isinstance(result, (np.ndarray, list, tuple)) or np.shape(result) != logits.shape:
        return result
    with np.errstate(all="ignore"):
        return softmax(result)


def with_temperature(logits, T):
    if T == 0:
        likeliest = logits.argmax(axis=-1)[..., None]
        return np.where(np.arange(logits.shape[-1]) == likeliest, 0.0, -np.inf)
    return logits / T


def with_temperature_by_powers(logits, T):
    """p^(1/T) in logarithms, up to a constant."""
    log_p = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
    if T > 0:
        return log_p * (1 / T)
    first = np.full(logits.shape, -np.inf)
    np.put_along_axis(first, log_p.argmax(axis=-1)[..., None], 1.0, axis=-1)
    return first


def with_temperature_by_rows(logits, T):
    flat = logits.reshape(-1, logits.shape[-1])
    rows = []
    for row in flat:
        kept = [k == int(np.argmax(row)) for k in range(len(row))]
        rows.append((row - row.max()) / T if T else np.where(kept, 1.0, -np.inf))
    return np.array(rows).reshape(logits.shape)


def only_warm(warm):
    """Room for mistakes where T > 0; T = 0 is right."""
    return lambda logits, T: warm(logits, T) if T else with_temperature(logits, T)


def only_cold(cold):
    """Room for mistakes where T = 0."""
    return lambda logits, T: logits / T if T else cold(logits)


def divided_by_zero(logits, T):
    with np.errstate(all="ignore"):
        return logits / np.float64(T)


def multiplied_everywhere(logits, T):
    with np.errstate(invalid="ignore"):  # -inf * 0
        return logits * T


def powers_that_vanish(logits, T):
    with np.errstate(all="ignore"):
        return np.log(softmax(logits) ** (1 / T)) if T else with_temperature(logits, T)


def powers_as_probabilities(logits, T):
    with np.errstate(all="ignore"):
        powers = softmax(logits) ** (1 / T)
        return powers / powers.sum(axis=-1, keepdims=True)


def largest_of_all(logits):
    return np.where(logits == logits.max(), 0.0, -np.inf)


def all_the_largest(logits):
    return np.where(logits == logits.max(axis=-1, keepdims=True), 0.0, -np.inf)


def some_logits(rng):
    shape = rng.integers(2, 5, size=rng.integers(0, 3))
    return 3 * rng.normal(size=(*shape, rng.integers(3, 9)))


def logits_and_temperature(rng):
    return some_logits(rng), float(rng.choice([0.0, 0.3, 0.7, 1.5, 4.0]))


def with_top_p(logits, p):
    order = np.argsort(-logits, axis=-1)
    likeliest = np.take_along_axis(softmax(logits), order, axis=-1)
    before = np.cumsum(likeliest, axis=-1) - likeliest
    keep = np.zeros(logits.shape, dtype=bool)
    np.put_along_axis(keep, order, (before < p) | (p == 1), axis=-1)
    return np.where(keep, logits, -np.inf)


def with_top_p_by_rows(logits, p):
    result = np.full(logits.shape, -np.inf)
    for row, kept in zip(logits.reshape(-1, logits.shape[-1]), np.ndindex(logits.shape[:-1])):
        total, chances = 0.0, softmax(row)
        for token in sorted(range(len(row)), key=lambda token: -row[token]):
            if total >= p and p < 1:
                break
            result[(*kept, token)] = row[token]
            total += chances[token]
    return result


def with_top_p_by_threshold(logits, p):
    """Whoever is as likely as the last that is kept, or likelier, stays."""
    chances = softmax(logits)
    falling = -np.sort(-chances, axis=-1)
    needed = np.sum(np.cumsum(falling, axis=-1) < p, axis=-1, keepdims=True)
    last = np.take_along_axis(falling, np.minimum(needed, logits.shape[-1] - 1), axis=-1)
    return np.where(chances >= last, logits, -np.inf)


def top_p_with(
    order=lambda logits: np.argsort(-logits, axis=-1), chances=softmax,
    stays=lambda chance, before, p: before < p, out=-np.inf, put_back=True,
):  # fmt: skip
    """Room for mistakes: another order, other chances, another rule of who stays."""

    def top_p(logits, p):
        with np.errstate(all="ignore"):
            places = order(logits)
            chance = np.take_along_axis(chances(logits), places, axis=-1)
            stay = stays(chance, np.cumsum(chance, axis=-1) - chance, p)
            keep = np.zeros(logits.shape, dtype=bool)
            np.put_along_axis(keep, places, stay, axis=-1)
            return np.where(keep if put_back else stay, logits, out)

    return top_p


def in_token_order(logits):
    return np.argsort(np.zeros(logits.shape), axis=-1, kind="stable")


def chances_of_top_p(logits, p):
    return softmax(with_top_p(logits, p))


def top_p_of_all_rows(logits, p):
    return with_top_p(logits.reshape(1, -1), p).reshape(logits.shape)


def as_many_in_all_rows(logits, p):
    most = np.isfinite(with_top_p(logits, p)).sum(axis=-1).max()
    return np.where(np.argsort(np.argsort(-logits, axis=-1), axis=-1) < most, logits, -np.inf)


def a_share_of_the_tokens(logits, p):
    most = np.ceil(p * logits.shape[-1])
    return np.where(np.argsort(np.argsort(-logits, axis=-1), axis=-1) < most, logits, -np.inf)


def logits_and_p(rng):
    shape = (int(rng.integers(2, 5)), int(rng.integers(3, 9)))
    if rng.random() < 0.3:
        shape = (int(rng.integers(2, 4)), *shape)
    return 2 * rng.normal(size=shape), float(rng.uniform(0.2, 0.95))


# -- the cache of one layer ------------------------------------------------------------------------


def attend(q, k, v, old_k, old_v):
    k, v = np.concatenate([old_k, k], axis=1), np.concatenate([old_v, v], axis=1)
    new, total = q.shape[1], k.shape[1]
    scores = q @ k.swapaxes(1, 2) * q.shape[2] ** -0.5  # (B, new, total)
    may_look = np.arange(total) <= np.arange(total - new, total)[:, None]
    scores = np.where(may_look, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    return weights / weights.sum(axis=2, keepdims=True) @ v, k, v


def attend_one_by_one(q, k, v, old_k, old_v):
    outputs = []
    for i in range(q.shape[1]):
        old_k, old_v = np.hstack([old_k, k[:, i : i + 1]]), np.hstack([old_v, v[:, i : i + 1]])
        weights = softmax(np.einsum("bd,bld->bl", q[:, i], old_k) / np.sqrt(q.shape[2]))
        outputs.append(np.einsum("bl,bld->bd", weights, old_v))
    return np.stack(outputs, axis=1), old_k, old_v


def attend_by_adding(q, k, v, old_k, old_v):
    """The mask as numbers that are added, einsum in place of @, and a buffer that is filled."""
    seen = old_k.shape[1]
    keys, values = (np.empty((k.shape[0], seen + k.shape[1], k.shape[2])) for _ in range(2))
    keys[:, :seen], keys[:, seen:] = old_k, k
    values[:, :seen], values[:, seen:] = old_v, v
    scores = np.einsum("bid,bjd->bij", q, keys) / q.shape[-1] ** 0.5
    scores = scores + np.triu(np.full(scores.shape[1:], -1e30), k=seen + 1)
    return [np.einsum("bij,bjd->bid", softmax(scores), values), keys, values]


def looking(new, total):
    return np.arange(total) <= np.arange(total - new, total)[:, None]


def attend_with(
    joined=lambda old, new: np.concatenate([old, new], axis=1), scale=lambda D, total: D**-0.5,
    mask=looking, hidden=-np.inf, axis=2, asks=lambda q, k, v: q, kept=lambda q, k, v: (k, v),
    seen=lambda q, k, v: (k, v), after=None,
):  # fmt: skip
    """Room for mistakes: how old and new are joined, the scale, the mask, what is returned."""

    def attend(q, k, v, old_k, old_v):
        with np.errstate(all="ignore"):
            keys, values = joined(old_k, k), joined(old_v, v)
            seen_k, seen_v = seen(q, keys, values)
            new, total = q.shape[1], seen_k.shape[1]
            scores = asks(q, k, v) @ seen_k.swapaxes(1, 2) * scale(q.shape[2], total)
            scores = np.where(mask(new, total), scores, hidden)
            weights = np.exp(scores - scores.max(axis=axis, keepdims=True))
            weights = weights / weights.sum(axis=axis, keepdims=True)
            if after is not None:
                weights = weights * after(new, total)
            new_k, new_v = kept(q, keys, values)
            return weights @ seen_v, new_k, new_v

    return attend


def everywhere(new, total):
    return np.ones((new, total), dtype=bool)


def ignores_the_cache(q, k, v, old_k, old_v):
    empty = old_k[:, :0]
    out, _, _ = attend(q, k, v, empty, empty)
    return out, np.concatenate([old_k, k], axis=1), np.concatenate([old_v, v], axis=1)


def returns_what_came(q, k, v, old_k, old_v):
    return attend(q, k, v, old_k, old_v)[0], old_k, old_v


def returns_the_new(q, k, v, old_k, old_v):
    return attend(q, k, v, old_k, old_v)[0], k, v


def only_the_old(q, k, v, old_k, old_v):
    if not old_k.shape[1]:
        return attend(q, k, v, old_k, old_v)
    out = softmax(q @ old_k.swapaxes(1, 2) * q.shape[2] ** -0.5) @ old_v
    return out, np.concatenate([old_k, k], axis=1), np.concatenate([old_v, v], axis=1)


def some_projections(rng):
    B, new, seen, D = (int(rng.integers(low, 6)) for low in (1, 1, 0, 1))
    sizes = (new, new, new, seen, seen)
    return tuple(1.5 * rng.normal(size=(B, size, D)) for size in sizes)


# -- writing with the cache ------------------------------------------------------------------------


def write(read, draw, x, length, context):
    begin, seen, cache = 0, 0, None  # of the window: its first column, how many were read
    for _ in range(length):
        while x.shape[1] - begin > context:
            begin, seen, cache = begin + context - context // 2, 0, None
        logits, cache = read(x[:, begin + seen :], cache)
        seen = x.shape[1] - begin
        x = np.column_stack([x, draw(logits)])
    return x


def write_by_formula(read, draw, x, length, context):
    keep, held, cache = context // 2, None, None
    step, out = context - keep, list(x.T)
    for end in range(x.shape[1], x.shape[1] + length):  # columns end - 1 and before are known
        start = max(0, end - 1 - keep) // step * step
        first = end - 1 if start == held else start
        if start != held or end == x.shape[1]:
            first, cache, held = start, None, start
        logits, cache = read(np.stack(out[first:end], axis=1), cache)
        out.append(draw(logits))
    return np.stack(out, axis=1)


def write_by_windows(read, draw, x, length, context):
    """What is not read yet is a list; when the window is full, its last half is put there again."""
    window, done, cache = x, x, None
    while window.shape[1] > context:
        window = window[:, context - context // 2 :]
    unread = window
    for _ in range(length):
        logits, cache = read(unread, cache)
        unread = np.reshape(draw(logits), (-1, 1))
        done = np.hstack([done, unread])
        if window.shape[1] == context:
            unread = window = np.hstack([window[:, context - context // 2 :], unread])
            cache = None
        else:
            window = np.hstack([window, unread])
    return done


def write_with(
    moved=lambda begin, context: begin + context - context // 2,
    full=lambda size, context: size > context, once=False, read_again=True,
    anew=False, one_by_one=False, passed_on=True,
):  # fmt: skip
    """Room for mistakes: where the window moves to and when, what is read again, what is kept."""

    def write(read, draw, x, length, context):
        begin, seen, cache = 0, 0, None
        for _ in range(length):
            while full(x.shape[1] - begin, context):
                begin = moved(begin, context)
                cache = None
                seen = 0 if read_again else x.shape[1] - begin - 1
                if once:
                    break
            if anew:
                seen, cache = 0, None
            logits, after = read(x[:, begin + seen :], cache)
            if passed_on:
                cache, seen = after, x.shape[1] - begin
            elif one_by_one:
                seen = x.shape[1] - begin
            x = np.column_stack([x, draw(logits)])
        return x

    return write


def by_one(begin, context):
    return begin + 1


def only_the_last(read, draw, x, length, context):
    """No cache, and only the newest column read."""
    for _ in range(length):
        x = np.column_stack([x, draw(read(x[:, -1:], None)[0])])
    return x


def newest_only(read, draw, x, length, context):
    """A cache that begins with the last column of the prompt, or of a window that has moved."""
    begin, cache = 0, None
    for _ in range(length):
        while x.shape[1] - begin > context:
            begin, cache = begin + context - context // 2, None
        logits, cache = read(x[:, -1:], cache)
        x = np.column_stack([x, draw(logits)])
    return x


def without_the_prompt(read, draw, x, length, context):
    return write(read, draw, x, length, context)[:, x.shape[1] :]


def one_too_many(read, draw, x, length, context):
    return write(read, draw, x, length + 1, context)


def length_in_all(read, draw, x, length, context):
    return write(read, draw, x, max(length - x.shape[1], 0), context)


def prompt_unread(read, draw, x, length, context):
    """The first call reads only the last column of the prompt."""
    begin = 0
    while x.shape[1] - begin > context:
        begin += context - context // 2
    seen, cache = x.shape[1] - 1 - begin, None
    for _ in range(length):
        if x.shape[1] - begin > context:
            begin, seen, cache = begin + context - context // 2, 0, None
        logits, cache = read(x[:, begin + seen :], cache)
        seen = x.shape[1] - begin
        x = np.column_stack([x, draw(logits)])
    return x


VOCABULARY = 11


def run_write(answer, x, length, context):
    """What is written by a made-up network that minds each token's place in the window, and how
    many columns it was given to read.
    """
    columns, drawn = [], []

    def read(new, cache):
        new = np.asarray(new)
        if new.ndim != 2 or len(new) != len(x) or not new.shape[1]:
            raise ValueError(f"read: expected tokens ({len(x)}, 1 or more), got {new.shape}")
        window = new if cache is None else np.hstack([cache, new])
        if window.shape[1] > context:
            size = f"{window.shape[1]} columns, with those in the cache"
            raise ValueError(f"read: {size}; the context is {context}")
        columns.append(new.shape[1])
        place = np.arange(1, window.shape[1] + 1)
        says = np.sum((window + 1) * (place**2 + 3), axis=1) % VOCABULARY
        return np.where(np.arange(VOCABULARY) == says[:, None], 1.0, 0.0), window

    def draw(logits):
        drawn.append(1)
        return (np.argmax(logits, axis=1) + len(drawn)) % VOCABULARY

    return answer(read, draw, x, length, context), sum(columns)


def a_prompt(rng):
    x = rng.integers(0, VOCABULARY, size=rng.integers(1, 8, size=2))
    return x, int(rng.integers(3, 15)), int(rng.integers(2, 8))


# -- the exercises ---------------------------------------------------------------------------------

EXERCISES = (
    Exercise(
        "08.temperature",
        "Temperature",
        reference=with_temperature,
        alternatives=(with_temperature_by_powers, with_temperature_by_rows),
        wrong=(
            (
                only_warm(lambda logits, T: logits * T),
                "Below 1 this flattens and above 1 it sharpens: the wrong way round.",
            ),
            (
                only_warm(lambda logits, T: softmax(logits / T)),
                "These are probabilities. Whoever takes the softmax of them once more gets a "
                "distribution that is nearly flat: the exercise asks for logits.",
            ),
            (
                only_warm(powers_as_probabilities),
                "These are probabilities; asked for are logits. (And p ** (1 / T) can be too small "
                "for a floating-point number.)",
            ),
            (
                only_warm(lambda logits, T: softmax(logits) / T),
                "You divide probabilities, and the next softmax takes them for logits. What does "
                "T divide?",
            ),
            (
                lambda logits, T: logits / T if T else logits,
                "Right for T > 0. At T = 0 you change nothing: what do the probabilities tend to "
                "as T falls?",
            ),
            (divided_by_zero, "Right for T > 0. At T = 0 it divides by 0: what is left there?"),
            (
                only_cold(largest_of_all),
                "At T = 0 one row keeps a token and the others lose all of theirs. The largest of "
                "what?",
            ),
            (
                only_cold(
                    lambda logits: np.where(in_token_order(logits) == logits.argmax(), 0.0, -np.inf)
                ),
                "At T = 0 all rows are searched as one, and one place is found for all. Each row "
                "has a largest of its own.",
            ),
            (
                multiplied_everywhere,
                "Below 1 this flattens, above 1 it sharpens, and at T = 0 all tokens are alike: "
                "the wrong way round.",
            ),
            (
                only_cold(all_the_largest),
                "Right where the largest is alone. Two that are equal both stay at T = 0: the "
                "exercise says what to do then.",
            ),
            (
                only_cold(lambda logits: np.where(all_the_largest(logits) == 0, logits, 0.0)),
                "At T = 0 the others get the logit 0. What is the probability of a logit of 0?",
            ),
            (
                only_cold(lambda logits: np.where(all_the_largest(logits) == 0, 1.0, 0.0)),
                "At T = 0 these are probabilities, not logits: a logit of 0 is not impossible.",
            ),
            (
                only_cold(lambda logits: np.zeros(logits.shape)),
                "At T = 0 all tokens are alike here. That is the limit at the other end.",
            ),
            (
                only_warm(powers_that_vanish),
                "Right where T is not small. p ** (1 / T) can be too small for a floating-point "
                "number, for all tokens of a row: stay with logarithms.",
            ),
            (
                only_warm(lambda logits, T: logits / T**2),
                "Too strong on both sides of 1. What is T's power?",
            ),
            (
                only_warm(lambda logits, T: logits - T),
                "This takes the same from all logits of a row: what does that do to a softmax?",
            ),
        ),
        hints=(
            "Raising probabilities to the power 1 / T is what in their logarithms?",
            "T = 0 needs a line of its own: the largest keeps a finite logit.",
            "argmax along the last axis gives the first of equals; all others get -np.inf.",
        ),
        inputs=logits_and_temperature,
        edges=(
            (np.array([[1.0, 3.0, 2.0], [0.5, -1.0, -2.0]]), 0.0),
            (np.array([0.0, 2.0, 2.0, -np.inf]), 0.0),
            (np.array([[-900.0, -900.0, -900.5], [5.0, 2.0, 5.0]]), 0.0005),
            (np.array([[[0.0], [1.0]]]), 1.0),
        ),
        run=what_is_drawn,
        forbidden=("minigen.sampling.tokens.temperature",),
        minutes=3,
    ),
    Exercise(
        "08.top_p",
        "Top-p",
        reference=with_top_p,
        alternatives=(with_top_p_by_rows, with_top_p_by_threshold),
        wrong=(
            (
                top_p_with(stays=lambda chance, before, p: before + chance <= p),
                "What you keep adds up to less than p, and where one token has more than p alone, "
                "nobody is left. Together they must *reach* p.",
            ),
            (
                top_p_with(stays=lambda chance, before, p: before + chance < p),
                "What you keep adds up to less than p, and at p = 1 one is missing. Together they "
                "must *reach* p: who is missing?",
            ),
            (
                lambda logits, p: np.where(np.isfinite(with_top_p(logits, p)), 0.0, -np.inf),
                "The right tokens stay, but all as likely as one another. The exercise says what "
                "they keep.",
            ),
            (
                top_p_with(order=lambda logits: np.argsort(logits, axis=-1)),
                "You begin with the least likely. Who belongs to the fewest that reach p?",
            ),
            (
                top_p_with(put_back=False),
                "The right number stays, but who? What you decided in sorted order belongs back "
                "in the order of the tokens.",
            ),
            (
                top_p_with(order=in_token_order),
                "You add up in the order of the vocabulary. The most likely come first.",
            ),
            (
                top_p_with(stays=lambda chance, before, p: chance >= p),
                "You hold each probability against p alone. It is their sum that reaches p.",
            ),
            (
                top_p_with(stays=lambda chance, before, p: chance >= 1 - p),
                "You hold each probability against 1 - p. Many rare tokens can be likely together.",
            ),
            (
                top_p_with(stays=lambda chance, before, p: chance >= p * chance[..., :1]),
                "This is another rule, min-p: a share of the largest probability. Here the sum "
                "decides.",
            ),
            (top_p_with(chances=lambda logits: logits), "You add up logits. What adds up to 1?"),
            (
                top_p_with(chances=np.exp),
                "You add up exp(logits), which does not sum to 1 in a row.",
            ),
            (top_p_with(out=0.0), "Who is out gets the logit 0, which is not impossible at all."),
            (
                chances_of_top_p,
                "The right tokens stay, but these are probabilities; asked for are logits.",
            ),
            (
                top_p_of_all_rows,
                "You sort all rows together. Each row is a distribution of its own.",
            ),
            (
                as_many_in_all_rows,
                "You keep the same number in all rows. A row that is sure needs fewer.",
            ),
            (a_share_of_the_tokens, "You keep a share p of the tokens, however likely they are."),
            (
                top_p_with(stays=lambda chance, before, p: before - chance < p),
                "You keep one more than is needed.",
            ),
            (
                top_p_with(stays=lambda chance, before, p: before > p),
                "You keep those who come after p is reached: the tail.",
            ),
        ),
        hints=(
            "Three steps: sort by probability, decide who stays, put the decision back in place.",
            "A token stays if those before it in the sorted order have not reached p yet.",
            "np.put_along_axis(keep, order, decision, axis=-1) puts a sorted decision back.",
        ),
        inputs=logits_and_p,
        edges=(
            (np.log([[0.5, 0.3, 0.15, 0.05], [0.05, 0.05, 0.1, 0.8]]), 0.7),
            (np.log([[0.1, 0.2, 0.3, 0.4]]) + 5, 1.0),
            (np.array([[-np.inf, 1.0, -np.inf], [2.0, 0.0, 1.0]]), 0.01),
            (np.array([[3.0], [-2.0]]), 0.6),
            (np.log([[[0.1, 0.6, 0.3]], [[0.25, 0.35, 0.4]]]), 0.5),
        ),
        run=what_is_drawn,
        forbidden=("minigen.sampling.tokens.top_p",),
    ),
    Exercise(
        "08.attend",
        "Attention with a cache",
        reference=attend,
        alternatives=(attend_one_by_one, attend_by_adding),
        wrong=(
            (
                attend_with(mask=everywhere),
                "Where several positions are new, the first of them looks at those after it.",
            ),
            (
                attend_with(mask=lambda new, total: np.tri(new, total, dtype=bool)),
                "The first new position looks only at the oldest one. Which place in the row of "
                "keys is its own?",
            ),
            (
                attend_with(mask=lambda new, total: np.tri(new, total, total - new - 1) > 0),
                "A position looks at what came before it, but not at itself.",
            ),
            (
                attend_with(mask=lambda new, total: np.tri(new, total, total - new + 1) > 0),
                "Each new position looks one place too far to the right.",
            ),
            (
                attend_with(
                    mask=lambda new, total: ~np.tri(new, total, total - new - 1).astype(bool)
                ),
                "This looks to the right and not to the left.",
            ),
            (
                ignores_the_cache,
                "The new positions look at one another only. What is in the cache for?",
            ),
            (
                only_the_old,
                "The new positions look at the old ones only. Does a position not look at itself?",
            ),
            (
                attend_with(axis=1),
                "The weights sum to 1 over the positions that ask. Over which should they?",
            ),
            (
                attend_with(scale=lambda D, total: 1.0),
                "The scores are not scaled: lesson 07's attention divides them.",
            ),
            (
                attend_with(scale=lambda D, total: 1 / D),
                "You divide the scores by D. Lesson 07's attention divides by something smaller.",
            ),
            (
                attend_with(scale=lambda D, total: total**-0.5),
                "Your scale depends on how many positions there are. It must not: what is summed "
                "in q @ k?",
            ),
            (
                attend_with(joined=lambda old, new: np.concatenate([new, old], axis=1)),
                "The new stands before the old here. Which is first in time?",
            ),
            (
                returns_what_came,
                "The outputs are right, but the cache comes back as it went in: what will the "
                "next position look at?",
            ),
            (
                returns_the_new,
                "The outputs are right, but only the new keys and values come back. The next call "
                "gets what this one returns.",
            ),
            (
                attend_with(kept=lambda q, k, v: (v, k)),
                "Keys and values come back in the wrong places.",
            ),
            (attend_with(hidden=0.0), "A score of 0 does not hide a position: what is exp(0)?"),
            (
                attend_with(mask=everywhere, after=lambda new, total: looking(new, total)),
                "Weights are cut after the softmax: those that are left do not sum to 1.",
            ),
            (
                attend_with(seen=lambda q, k, v: (v, v)),
                "Queries are held against the values. What are keys for?",
            ),
            (attend_with(seen=lambda q, k, v: (k, k)), "What is gathered are keys, not values."),
            (attend_with(asks=lambda q, k, v: k), "The new keys ask. Queries should."),
        ),
        hints=(
            "Put the new keys behind the old ones first, likewise the values. Then it is lesson "
            "07's attention with fewer rows.",
            "The scores are (B, new, total). Which columns may row 0 see? It stands at place "
            "total - new.",
            "Rows are np.arange(total - new, total)[:, None], columns np.arange(total).",
        ),
        inputs=some_projections,
        edges=(
            tuple(np.full((1, n, 2), 1.0 + value) for n, value in zip((1, 1, 1, 0, 0), range(5))),
            tuple(np.arange(2.0 * 3 * n).reshape(2, n, 3) % 7 / 3 for n in (1, 1, 1, 4, 4)),
            tuple(np.cos(np.arange(12.0) * k).reshape(1, 4, 3) for k in (1, 2, 3))
            + (np.zeros((1, 0, 3)), np.zeros((1, 0, 3))),
            tuple(
                np.sin(np.arange(n) * k).reshape(2, -1, 2)
                for n, k in ((12, 1), (12, 2), (12, 3), (8, 4), (8, 5))
            ),
        ),
        forbidden=("minigen.kernels.attention.attention",),
        minutes=10,
    ),
    Exercise(
        "08.write",
        "Writing with the cache",
        reference=write_by_formula,
        alternatives=(write, write_by_windows),
        wrong=(
            (
                write_with(anew=True),
                "The text is right, but every step reads its whole window anew: the network was "
                "given more columns than it needs.",
            ),
            (
                write_with(full=lambda size, context: False),
                "read refuses more than `context` columns, counting those in the cache. When the "
                "window is full, what becomes of the columns, and of the cache?",
            ),
            (
                write_with(read_again=False),
                "After the window has moved only the newest column is read. What was kept stands "
                "at new places now: who has read it there?",
            ),
            (
                write_with(moved=by_one),
                "Your window moves on by one column, so every step reads a full window.",
            ),
            (
                write_with(moved=lambda begin, context: begin + context // 2),
                "Right where the context is even. How many stay of an odd number?",
            ),
            (
                write_with(full=lambda size, context: size >= context),
                "Your window moves while there is still room for the newest column.",
            ),
            (
                write_with(once=True),
                "Right for short prompts. After one move a long one still does not fit.",
            ),
            (
                write_with(passed_on=False, one_by_one=True),
                "After the first step read gets the newest column and an empty cache. It has "
                "forgotten the rest.",
            ),
            (
                only_the_last,
                "read sees only the last column each time. What does the cache need to hold?",
            ),
            (
                newest_only,
                "One column in each step, even where the cache is empty. Who reads what stands "
                "before it?",
            ),
            (prompt_unread, "The first call reads one column. Who reads the rest of the prompt?"),
            (
                without_the_prompt,
                "Right, but the columns that were there before are gone: return all of x.",
            ),
            (one_too_many, "One token too many."),
            (length_in_all, "`length` counts the tokens to be written, not those that are there."),
        ),
        hints=(
            "Two numbers belong to a window: where it begins, and how many of its columns read "
            "has seen.",
            "Each step reads x[:, begin + seen:]. When does `seen` go back to 0, and the cache to "
            "None?",
            "Move as long as the window has more than `context` columns; then read all of it.",
        ),
        inputs=a_prompt,
        edges=(
            (np.array([[3]]), 12, 4),
            (np.array([[3], [0]]), 11, 5),
            (np.array([[4]]), 5, 2),
            (np.arange(13)[None] % VOCABULARY, 3, 4),
            (np.array([[1, 2], [3, 4]]), 4, 3),
            (np.array([[1, 2, 3]]), 0, 3),
        ),
        run=run_write,
    ),
    Exercise(
        "08.samplers",
        "Name three samplers from what they draw",
        reference=("temperature", "healthy", "coarse noise"),
        alternatives=(
            ["Temperature", "Healthy", "Coarse noise"],
            " temperature, healthy, coarse_noise ",
        ),
        choices=("healthy", "temperature", "coarse noise", "one too far"),
        wrong=(
            (
                ("coarse noise", "healthy", "temperature"),
                "Both faults are there. One fades in over all probabilities, one begins at a "
                "certain one: which could have a largest noise?",
            ),
            (
                ("temperature", "coarse noise", "healthy"),
                "One fault is named. Where does the ratio stay within its error everywhere?",
            ),
            (
                ("healthy", "temperature", "coarse noise"),
                "Look at the likeliest tokens, where errors are small: which run is off there?",
            ),
            (
                ("temperature", "healthy", "temperature"),
                "Two runs that draw the likely too often? Look at the right end of each plot.",
            ),
            (
                ("coarse noise", "healthy", "coarse noise"),
                "Coarse noise spares the likely tokens. Do both runs?",
            ),
            (
                ("temperature", "healthy", "one too far"),
                "A sampler that takes the neighbour draws rare tokens far too often. Does any?",
            ),
            (
                ("one too far", "healthy", "coarse noise"),
                "A sampler that takes the neighbour draws rare tokens far too often. Is there one?",
            ),
            (
                ("healthy", "healthy", "healthy"),
                "All three sound, with ratios as far from 1 as these?",
            ),
        ),
        hints=(
            "What does a temperature below 1 do to the likely tokens, and what to all others?",
            "The largest noise: what is -log(-log u) at the largest u below 1?",
            "With noise that cannot exceed 7.63, which tokens can still win?",
        ),
        minutes=3,
    ),
)
