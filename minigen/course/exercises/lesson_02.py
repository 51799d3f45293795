"""The checks of lesson 02: autograd."""

import numpy as np

from minigen.course.exercise import Exercise

# -- exercise 1 ------------------------------------------------------------------------------------


def divide_vjps(x, y, g):
    return g / y, -g * x / (y * y)


def divide_as_a_product(x, y, g):  # x / y = x * (1 / y), and d(1 / y) = -(1 / y)^2 dy
    inverse = 1 / y
    return g * inverse, g * x * -(inverse**2)


def divide_by_logarithms(x, y, g):  # dz = z (dx / x - dy / y)
    z = x / y
    with np.errstate(invalid="ignore"):
        return g * z / x, -g * z / y


def quotients(rng):
    size = rng.integers(1, 5, size=rng.integers(1, 3))
    sign = rng.choice([-1, 1], size=size)
    return rng.normal(size=size), sign * rng.uniform(0.5, 2, size=size), rng.normal(size=size)


# -- exercise 2 ------------------------------------------------------------------------------------


def take_vjp(x, index, g):
    d = np.zeros(x.shape)
    for place, gradient in zip(index.ravel(), g.ravel()):
        d[place] += gradient
    return d


def take_by_rows(x, index, g):
    d = np.zeros(x.shape)
    for place, gradient in zip(index, g):
        d[place] += gradient
    return d


def take_by_add_at(x, index, g):
    d = np.zeros_like(x)
    np.add.at(d, index, g)
    return d


def take_by_one_hot(x, index, g):
    # z = J x, with one 1 in each row of J
    return g.ravel() @ (index.reshape(-1, 1) == np.arange(len(x)))


def take_by_lost_duplicates(x, index, g):
    d = np.zeros(x.shape)
    d[index] += g
    return d


def take_shared(x, index, g):
    count = np.bincount(index.ravel(), minlength=len(x))
    total = np.bincount(index.ravel(), g.ravel(), len(x))
    return total / np.maximum(count, 1)


def take_first(x, index, g):
    d = np.zeros(x.shape)
    d[index.ravel()[::-1]] = g.ravel()[::-1]
    return d


def indices(rng):
    """More look-ups than places, and the last place never: some place is taken twice."""
    n = int(rng.integers(3, 7))
    size = (n + 3,) if rng.random() < 0.5 else (3, n)  # a row of text, or a batch of rows
    return rng.normal(size=n), rng.integers(0, n - 1, size=size), rng.normal(size=size)


# -- exercise 3 ------------------------------------------------------------------------------------


def softmax(logits, axis=1):
    e = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def one_hot(logits, labels):
    return (labels[:, None] == np.arange(logits.shape[1])).astype(float)


def cross_entropy_gradient(logits, labels):
    return (softmax(logits) - one_hot(logits, labels)) / len(logits)


def cross_entropy_by_rows(logits, labels):
    rows = []
    for row, label in zip(logits, labels):
        p = np.exp(row - row.max() - np.log(np.exp(row - row.max()).sum()))
        p[label] -= 1
        rows.append(p / len(logits))
    return np.array(rows)


def cross_entropy_by_ratios(logits, labels):
    with np.errstate(
        over="ignore"
    ):  # p_v = 1 / sum_u e^(logit_u - logit_v); a sum of infinity gives the right 0
        d = 1 / np.exp(logits[:, None, :] - logits[:, :, None]).sum(axis=2)
    d[np.arange(len(labels)), labels] -= 1
    return d / len(labels)


def cross_entropy_overflowing(logits, labels):
    with np.errstate(all="ignore"):
        e = np.exp(logits)
        return (e / e.sum(axis=1, keepdims=True) - one_hot(logits, labels)) / len(logits)


def cross_entropy_by_columns(logits, labels):
    d = softmax(logits)
    d[:, labels] -= 1
    return d / len(labels)


def cross_entropy_underflowing(logits, labels):
    with np.errstate(all="ignore"):
        e = np.exp(logits - logits.max())
        return (e / e.sum(axis=1, keepdims=True) - one_hot(logits, labels)) / len(logits)


def scores(rng):
    B, V = rng.integers(2, 7, size=2)
    logits = rng.normal(size=(B, V))
    logits[0] *= 1000
    logits[0, 0] = 1000.0
    return logits, rng.integers(0, V, size=B)


# -- exercise 4 ------------------------------------------------------------------------------------


def is_right(f, vjp, x, rng, step=1e-5, tolerance=1e-5, draw=None, move=None):
    """<r, J v> from two evaluations of f, against <J^T r, v> from the rule, for a few random r and
    v.
    """
    for _ in range(3):
        v = rng.normal(size=x.shape) if move is None else move(x.shape)
        change = (f(x + step * v) - f(x - step * v)) / (2 * step)  # J v
        r = rng.normal(size=change.shape) if draw is None else draw(change.shape)
        along = (r * change).sum()
        if abs(along - (vjp(x, r) * v).sum()) > tolerance * (1 + abs(along)):
            return False
    return True


def is_right_in_one_direction(f, vjp, x, rng):  # one v, many r: f is called twice
    v = rng.choice([-1.0, 1.0], size=x.shape)
    change = (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6
    rs = rng.normal(size=(20, *change.shape))
    return np.allclose(
        [(r * change).sum() for r in rs], [(vjp(x, r) * v).sum() for r in rs], rtol=1e-4, atol=1e-5
    )


def is_right_by_its_jacobian(
    f, vjp, x, rng
):  # all of J from the rule, one output at a time, times v
    v = 1e-5 * rng.normal(size=x.shape)
    change = f(x + v) - f(x - v)
    unit = np.eye(change.size).reshape(-1, *change.shape)
    said = np.array([(vjp(x, r) * v).sum() for r in unit]).reshape(change.shape)
    return np.abs(change - 2 * said).max() < 1e-4 * np.abs(change).max()


def judged_element_by_element(f, vjp, x, rng):
    r = rng.normal(size=f(x).shape)
    slopes = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = 1e-5
        slopes[i] = (r * (f(x + step) - f(x - step))).sum() / 2e-5
    return np.allclose(vjp(x, r), slopes, rtol=1e-4, atol=1e-6)


def judged_at_four_places(f, vjp, x, rng):
    r = rng.normal(size=f(x).shape)
    for k in rng.choice(x.size, 4, replace=False):
        v = 1e-5 * (np.arange(x.size) == k).reshape(x.shape)
        if not np.isclose(
            vjp(x, r).flat[k], (r * (f(x + v) - f(x - v))).sum() / 2e-5, rtol=1e-4, atol=1e-6
        ):
            return False
    return True


LOOKED_UP = np.array([9, 2, 14, 2, 0, 11])  # one place twice


def look_up(x):
    return x.ravel()[LOOKED_UP]


def running_sum_back(x, g):
    return g[:, ::-1].cumsum(axis=1)[:, ::-1]


RULES = (  # right and wrong ones in turn
    (np.tanh, lambda x, g: g * (1 - np.tanh(x) ** 2)),
    (np.tanh, lambda x, g: g * (1 - np.tanh(x) ** 2) * 1.01),
    (lambda x: x.T, lambda x, g: g.T),
    (lambda x: x.T, lambda x, g: g),
    (lambda x: x[::-1], lambda x, g: g[::-1]),
    (lambda x: x[::-1], lambda x, g: g),
    (lambda x: x.cumsum(axis=1), running_sum_back),
    (lambda x: x.cumsum(axis=1), lambda x, g: g.cumsum(axis=1)),
    (softmax, lambda x, g: softmax(x) * (g - (softmax(x) * g).sum(axis=1, keepdims=True))),
    (softmax, lambda x, g: softmax(x) * (g - g.mean(axis=1, keepdims=True))),
    (np.sin, lambda x, g: g * np.cos(x)),
    (np.sin, lambda x, g: -g * np.cos(x)),
    (look_up, lambda x, g: take_vjp(x.ravel(), LOOKED_UP, g).reshape(x.shape)),
    (look_up, lambda x, g: take_by_lost_duplicates(x.ravel(), LOOKED_UP, g).reshape(x.shape)),
)


def verdicts(answer, x, seed):
    """What a judge says of the rules, shuffled: True for right, False for wrong."""
    rng = np.random.default_rng(seed)
    said = [answer(at_most_ten_calls(f), vjp, x, rng) for f, vjp in shuffled(RULES, seed)]
    for word in said:
        if not isinstance(word, (bool, np.bool_)):
            raise TypeError(f"a judge says True or False; this one said {word!r}")
    return np.array(said)


def shuffled(rules, seed):
    return [rules[k] for k in np.random.default_rng(seed).permutation(len(rules))]


def at_most_ten_calls(f):
    left = iter(range(10))

    def counted(x):
        if next(left, None) is None:
            raise RuntimeError("f was called more than ten times")
        return f(x)

    return counted


def is_right_by_sizes(f, vjp, x, rng):
    """Compares sizes, not numbers: a turned sign stays unseen."""
    v = rng.normal(size=x.shape)
    change = (f(x + 1e-5 * v) - f(x - 1e-5 * v)) / 2e-5
    r = rng.normal(size=change.shape)
    along, said = abs((r * change).sum()), abs((vjp(x, r) * v).sum())
    return bool(abs(along - said) <= 1e-4 * (1 + along))


# -- the table -------------------------------------------------------------------------------------

EXERCISES = (
    Exercise(
        "02.divide",
        "The rule of division as two vector-Jacobian products",
        reference=divide_vjps,
        alternatives=(divide_as_a_product, lambda x, y, g: (g * y**-1.0, -g * x * y**-2.0)),
        wrong=(
            (
                divide_by_logarithms,
                "Your result has nan where x is 0: this divides by x. 0 / y is an ordinary 0, and "
                "it has a gradient.",
            ),
            (
                lambda x, y, g: (g / y, g * x / (y * y)),
                "This is what you get with the sign of the second rule turned: does x / y grow or"
                " shrink as y grows?",
            ),
            (
                lambda x, y, g: (1 / y, -x / (y * y)),
                "These are the derivatives of x / y alone. A rule continues a chain: what came "
                "from above is missing.",
            ),
            (
                lambda x, y, g: (g / y, -g * x / y),
                "This is what you get with y to the first power in the second rule. Write x / y "
                "as x times y^-1.",
            ),
            (
                lambda x, y, g: (g * y, g * x),
                "This is the rule of the product. Which of the two parents stands below the line?",
            ),
            (
                lambda x, y, g: (-g * x / (y * y), g / y),
                "These are both gradients, in the wrong places: that of x comes first.",
            ),
            (
                lambda x, y, g: (g / y, -g / (y * y)),
                "In the second rule a factor is missing: x / y changes the more with y the larger"
                " x is.",
            ),
            (
                lambda x, y, g: (g / np.abs(y), -g * x / (y * y)),
                "The first rule is right where y is positive only: does x / y grow with x when y "
                "is negative?",
            ),
        ),
        hints=(
            "Each rule is the ordinary derivative by one argument, the other held constant.",
            "By x: the derivative of x / y is 1 / y. By y: write x / y as x * y**-1 and use the "
            "power rule.",
            "Both rules are multiplied by g; nothing is summed, because everything happens "
            "element by element.",
        ),
        inputs=quotients,
        edges=(
            (np.array([3.0, -3.0, 0.0]), np.array([-2.0, 4.0, -0.5]), np.array([1.0, -2.0, 5.0])),
        ),
        forbidden=("minigen.ops.div",),
    ),
    Exercise(
        "02.take",
        "The gradient of a look-up with repeated indices",
        reference=take_vjp,
        alternatives=(
            take_by_add_at,
            take_by_one_hot,
            lambda x, index, g: np.bincount(index.ravel(), g.ravel(), len(x)),
        ),
        wrong=(
            (
                take_by_lost_duplicates,
                "This is what you get when NumPy reads all places first and writes them "
                "afterwards: where an index occurs twice, only the last gradient survives. What "
                "should two uses of one number do?",
            ),
            (
                take_first,
                "This keeps only the first gradient that arrives at each place. What should two "
                "uses do together?",
            ),
            (
                take_shared,
                "This is the mean over the uses of a number. Moving the number moves the loss "
                "through each of them.",
            ),
            (
                lambda x, index, g: np.bincount(index.ravel(), g.ravel()),
                "This ends at the largest index that was looked up. Elements of x behind it have "
                "a gradient too.",
            ),
            (
                lambda x, index, g: g[index % len(g)],
                "This looks up g at the indices: the way forward once more. The way back sends g "
                "to the places.",
            ),
            (
                lambda x, index, g: g,
                "This is g as it came, one gradient for each look-up. One for each element of x "
                "is asked for.",
            ),
            (
                lambda x, index, g: np.bincount(index.ravel(), minlength=len(x)).astype(float),
                "This counts how often each place was looked up. What arrives there is not 1 but "
                "its share of g.",
            ),
            (
                lambda x, index, g: x * np.bincount(index.ravel(), g.ravel(), len(x)),
                "This multiplies by x. A look-up does not change a number, so its derivative is 1.",
            ),
            (
                take_by_rows,
                "Right where index has one axis. With two this goes through its rows, and within "
                "a row a repeated place is lost. Can index and g be made flat?",
            ),
        ),
        hints=(
            "Start from zeros of the shape of x. An element that nobody looked up keeps its zero.",
            "An element that was looked up three times gets the sum of three gradients. Try a "
            "loop first.",
            "A loop over zip(index.ravel(), g.ravel()) does it; for speed look at np.add.at or "
            "np.bincount with "
            "weights.",
        ),
        inputs=indices,
        edges=(
            (np.ones(3), np.array([1, 1, 1, 1]), np.array([1.0, -2.0, 3.0, 4.0])),
            (np.ones(4), np.array([[2, 0, 2], [0, 2, 1]]), np.arange(6.0).reshape(2, 3)),
            (np.ones(2), np.array([], dtype=int), np.array([])),
        ),
        forbidden=("minigen.ops.getitem", "minigen.ops.take", "minigen.ops.embedding"),
    ),
    Exercise(
        "02.cross_entropy",
        "The gradient of softmax and cross-entropy together",
        reference=cross_entropy_gradient,
        alternatives=(cross_entropy_by_rows, cross_entropy_by_ratios),
        wrong=(
            (
                cross_entropy_overflowing,
                "This is what you get when e to the power of 1000 overflows and infinity is "
                "divided by infinity. Softmax does not change when you subtract the same number "
                "from all the scores of a row.",
            ),
            (
                cross_entropy_underflowing,
                "This subtracts the largest score of all. A row far below it becomes all zeros, "
                "and 0 / 0 is left: which score may each row subtract?",
            ),
            (
                cross_entropy_by_columns,
                "This takes 1 away in whole columns: d[:, labels] means all rows at these "
                "columns. Each row has one right class of its own.",
            ),
            (
                lambda logits, labels: (
                    (softmax(logits) - 1) * one_hot(logits, labels) / len(logits)
                ),
                "This changes only the score of the right class. The other scores stand below the"
                " line of p too.",
            ),
            (
                lambda logits, labels: softmax(logits) - one_hot(logits, labels),
                "This is the gradient of the sum over the examples. The loss is their mean.",
            ),
            (
                lambda logits, labels: (one_hot(logits, labels) - softmax(logits)) / len(logits),
                "This has the opposite sign: a step against it would make the right class less "
                "probable.",
            ),
            (
                lambda logits, labels: (
                    (softmax(logits, axis=0) - one_hot(logits, labels)) / len(logits)
                ),
                "This is what you get with softmax over the wrong axis: the classes of one "
                "example compete, not the examples of one class.",
            ),
            (
                lambda logits, labels: softmax(logits) / len(logits),
                "This is the derivative of the log of the sum only. The score of the right class "
                "appears once more.",
            ),
            (
                lambda logits, labels: (softmax(logits) - one_hot(logits, labels)) / logits.size,
                "This divides by the number of scores, B times V. The mean is over the B examples.",
            ),
        ),
        hints=(
            "For one example: -log p_label = log(sum_u e^logit_u) - logit_label. Take the "
            "derivative of both terms.",
            "The derivative of log(sum_u e^logit_u) by logit_v is p_v. The other term concerns "
            "only v = label.",
            "Compute p with the largest score of each row subtracted first; change one entry a "
            "row; mind the mean.",
        ),
        inputs=scores,
        edges=(
            (np.zeros((2, 3)), np.array([1, 1])),
            (np.array([[1.0, 2.0, 3.0, 0.0]]), np.array([2])),
            (np.array([[0.5, -1.0], [0.0, 2.0], [1.0, 1.0]]), np.array([0, 1, 0])),
            (np.array([[-1000.0, -1001.0], [1000.0, 0.0]]), np.array([0, 1])),
        ),
        forbidden=("minigen.ops.cross_entropy", "minigen.ops.softmax", "minigen.ops.log_softmax"),
    ),
    Exercise(
        "02.judge",
        "A judge of derivative rules",
        reference=is_right,
        alternatives=(is_right_in_one_direction, is_right_by_its_jacobian),
        wrong=(
            (
                lambda f, vjp, x, rng: is_right(f, vjp, x, rng, draw=np.ones),
                "This judge acquits rules that send the right gradients to the wrong places. "
                "Which cotangent do you use, and what can it not see?",
            ),
            (
                lambda f, vjp, x, rng: is_right(f, vjp, x, rng, step=1e-16),
                "This judge condemns every rule, right ones too. How long is your step, and how "
                "many digits are left?",
            ),
            (
                lambda f, vjp, x, rng: is_right(f, vjp, x, rng, tolerance=0.02),
                "This judge lets small errors pass: one rule is wrong by 1%. How accurate are "
                "central differences?",
            ),
            (
                judged_element_by_element,
                "This judge calls f too often: once more for every element of x? All elements can"
                " move at once, in one direction: how much should <r, f(x)> change then, "
                "according to the rule?",
            ),
            (
                lambda f, vjp, x, rng: is_right(f, vjp, x, rng, move=np.ones),
                "This judge moves all elements of x by the same amount, so it cannot see which of"
                " them a gradient belongs to.",
            ),
            (
                judged_at_four_places,
                "This judge looks at a few elements of x, and one rule is wrong at another. Can "
                "all elements move in one evaluation?",
            ),
            (
                lambda f, vjp, x, rng: True,
                "This judge finds every rule right. What did it compare?",
            ),
            (
                is_right_by_sizes,
                "This judge lets a rule with the wrong sign pass. What do you compare, and what "
                "does abs hide?",
            ),
        ),
        hints=(
            "Move all of x at once, along a random array v: (f(x + h v) - f(x - h v)) / (2 h) is "
            "J v. Two calls of f.",
            "The rule gives J^T r for any r. Which number can be had from J v and r, and also "
            "from J^T r and v?",
            "sum(r * Jv) and sum(vjp(x, r) * v) are equal if the rule is right. Random r, h = "
            "1e-5, a small tolerance.",
        ),
        inputs=lambda rng: (rng.normal(size=(int(rng.integers(4, 7)),) * 2), int(rng.integers(99))),
        edges=((np.arange(16.0).reshape(4, 4) / 8 - 1, 3),),
        run=verdicts,
        forbidden=("minigen.gradients.check_gradients",),
        tries=4,
    ),
)
