"""The checks of lesson 02: autograd; and the three walks whose bugs the lesson asks to name."""

import heapq
import itertools

import numpy as np

from minigen.course.exercise import Exercise

# -- a look-up -------------------------------------------------------------------------------------


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


# -- backward --------------------------------------------------------------------------------------


class Value:
    """As in the lesson: an array, what it was computed from, and one rule for each of these."""

    births = itertools.count(1)

    def __init__(self, data, parents=(), vjps=()):
        self.data = np.asarray(data, dtype=float)
        self.parents, self.vjps = parents, vjps
        self.birth = next(Value.births)


def history(value):
    found, waiting = {value}, [value]
    while waiting:
        new = set(waiting.pop().parents) - found
        found |= new
        waiting += new
    return found


def unbroadcast(g, shape):
    g = np.sum(g, axis=tuple(range(np.ndim(g) - len(shape))))
    return np.sum(g, axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def backward(L):
    gradients = {L: np.ones(L.data.shape)}
    for node in sorted(history(L), key=lambda value: value.birth, reverse=True):
        for parent, vjp in zip(node.parents, node.vjps):
            part = unbroadcast(vjp(gradients[node]), parent.data.shape)
            gradients[parent] = gradients.get(parent, 0) + part
    return gradients


def backward_depth_first(L):
    """Parents before children by recursion, then from the end; zeros to begin with."""
    order = []

    def visit(node):
        if node not in order:
            for parent in node.parents:
                visit(parent)
            order.append(node)

    visit(L)
    gradients = {node: np.zeros(node.data.shape) for node in order}
    gradients[L] += 1
    for node in reversed(order):
        for k, parent in enumerate(node.parents):
            part = node.vjps[k](gradients[node])
            gradients[parent] += unbroadcast(part, parent.data.shape)
    return gradients


def backward_by_heap(L):
    """As the package does it: the youngest of those that wait."""
    gradients, waiting = {L: 1.0}, [(-L.birth, L)]
    while waiting:
        _, node = heapq.heappop(waiting)
        for parent, vjp in zip(node.parents, node.vjps):
            part = unbroadcast(vjp(gradients[node]), parent.data.shape)
            if parent not in gradients:
                heapq.heappush(waiting, (-parent.birth, parent))
                gradients[parent] = part
            else:
                gradients[parent] = gradients[parent] + part
    return gradients


def backward_by_counting(L):
    """A node is ready when all that use it are done."""
    users = dict.fromkeys(history(L), 0)
    for node in users:
        for parent in node.parents:
            users[parent] += 1
    gradients, ready = {L: np.array(1.0)}, [L]
    while ready:
        node = ready.pop()
        for parent, vjp in zip(node.parents, node.vjps):
            part = unbroadcast(vjp(gradients[node]), parent.data.shape)
            gradients[parent] = part + gradients.get(parent, np.zeros(parent.data.shape))
            users[parent] -= 1
            if not users[parent]:
                ready.append(parent)
    return gradients


def youngest_first(L):
    return sorted(history(L), key=lambda value: value.birth, reverse=True)


def oldest_first(L):
    return youngest_first(L)[::-1]


def as_found(L):
    """From L outwards: parents of L, their parents, ..."""
    order = [L]
    for node in order:
        order += [p for p in dict.fromkeys(node.parents) if p not in order]
    return order


def walk(
    L, order=youngest_first, start=np.ones_like, join=np.add, fit=unbroadcast, known=None,
    given=lambda gradients, node, parent: gradients.get(node, np.zeros(node.data.shape)),
):  # fmt: skip
    """A walk back with room for mistakes: another order, another start, parts joined otherwise or
    not summed over broadcast axes, leftovers that are known from before.
    """
    gradients = dict(known or {})
    gradients[L] = start(L.data)
    for node in order(L):
        for parent, vjp in zip(node.parents, node.vjps):
            part = fit(vjp(given(gradients, node, parent)), parent.data.shape)
            gradients[parent] = join(gradients[parent], part) if parent in gradients else part
    return gradients


def along_every_path(L):
    gradients = {node: np.zeros(node.data.shape) for node in history(L)}

    def hand_on(node, g):
        gradients[node] = gradients[node] + g
        for parent, vjp in zip(node.parents, node.vjps):
            hand_on(parent, unbroadcast(vjp(g), parent.data.shape))

    hand_on(L, np.ones(L.data.shape))
    return gradients


def added_in_place(L):
    gradients = {L: np.ones(L.data.shape)}
    for node in youngest_first(L):
        for parent, vjp in zip(node.parents, node.vjps):
            part = vjp(gradients[node])
            if np.shape(part) != parent.data.shape:
                part = unbroadcast(part, parent.data.shape)
            if parent in gradients:
                gradients[parent] += part
            else:
                gradients[parent] = part
    return gradients


def of_the_leaves(L):
    return {node: g for node, g in backward(L).items() if not node.parents}


def first_parent_only(L):
    gradients = {node: np.zeros(node.data.shape) for node in history(L)}
    gradients[L] = np.ones(L.data.shape)
    for node in youngest_first(L):
        for parent, vjp in list(zip(node.parents, node.vjps))[:1]:
            part = unbroadcast(vjp(gradients[node]), parent.data.shape)
            gradients[parent] = gradients[parent] + part
    return gradients


def once_a_parent(L):
    """A value that is a parent twice (r * r) is handed one part."""
    gradients = {L: np.ones(L.data.shape)}
    for node in youngest_first(L):
        for parent, vjp in dict(zip(node.parents, node.vjps)).items():
            part = unbroadcast(vjp(gradients[node]), parent.data.shape)
            gradients[parent] = gradients.get(parent, 0) + part
    return gradients


def times_g_again(L):
    gradients = {L: np.ones(L.data.shape)}
    for node in youngest_first(L):
        for parent, vjp in zip(node.parents, node.vjps):
            part = gradients[node] * vjp(gradients[node])
            gradients[parent] = gradients.get(parent, 0) + unbroadcast(part, parent.data.shape)
    return gradients


def fitted_to_the_node(L):
    gradients = {L: np.ones(L.data.shape)}
    for node in youngest_first(L):
        for parent, vjp in zip(node.parents, node.vjps):
            part = unbroadcast(vjp(gradients[node]), node.data.shape)
            gradients[parent] = gradients.get(parent, 0) + part
    return gradients


OPERATIONS = {
    "+": lambda x, y: Value(x.data + y.data, (x, y), (lambda g: g, lambda g: g)),
    "-": lambda x, y: Value(x.data - y.data, (x, y), (lambda g: g, lambda g: -g)),
    "*": lambda x, y: Value(x.data * y.data, (x, y), (lambda g: g * y.data, lambda g: g * x.data)),
    "total": lambda x: Value(x.data.sum(), (x,), (lambda g: np.broadcast_to(g, x.data.shape),)),
    "tanh": lambda x: Value(np.tanh(x.data), (x,), (lambda g: g * (1 - np.tanh(x.data) ** 2),)),
}
FORMULAS = (  # step by step; L is the last
    ("p = a * b", "q = p + c", "s = q * q", "L = total(s)"),  # s has one parent, twice
    ("u = a * a", "v = u * b", "w = u + v", "z = w - c", "L = total(z)"),  # u waits for v
    ("p = a * c", "u = a + b", "v = u * p", "L = total(v)"),  # + hands one array to two
    ("d = tanh(a)", "e = d * b", "unused = e * c", "f = e - d", "h = f * a", "L = total(h)"),
    ("h = tanh(a)", "h1 = h + h", "h2 = h1 + h1", "h3 = h2 + h2", "L = total(h3)"),
)


class NoGradients(Exception):
    """Of a walk that returns something else than gradients by their Values."""


def gradients_of(answer, a, b, c, steps):
    """The gradient of each value in the history, the oldest first; how often each rule ran."""
    values = {"a": Value(a), "b": Value(b), "c": Value(c)}
    for step in steps:
        target, expression = step.split(" = ")
        words = expression.rstrip(")").replace("(", " ").split()
        arguments = [values[word] for word in words if word in values]
        (operation,) = [word for word in words if word in OPERATIONS]
        values[target] = OPERATIONS[operation](*arguments)
    nodes = sorted(history(values["L"]), key=lambda value: value.birth)
    ran = [count_rules(node) for node in nodes]
    gradients = answer(values["L"])
    if not isinstance(gradients, dict):
        raise NoGradients(f"a dict {{Value: gradient}} belongs here, this is {type(gradients)}")
    if not all(isinstance(key, Value) for key in gradients):
        raise NoGradients("the keys of the dict are not Values")
    found = [gradients.get(node, np.full(node.data.shape, np.nan)) for node in nodes]
    return *map(np.asarray, found), np.array([count for counts in ran for count in counts], int)


def count_rules(node):
    ran = [0] * len(node.vjps)

    def counted(k, vjp):
        def rule(g):
            ran[k] += 1
            return vjp(g)

        return rule

    node.vjps = tuple(counted(k, vjp) for k, vjp in enumerate(node.vjps))
    return ran


def formula_inputs(rng):
    m, n = (int(k) for k in rng.integers(2, 5, size=2))
    b = [(n,), (1, n), (m, 1)][rng.integers(3)]
    c = [(), (n,), (m, n)][rng.integers(3)]
    steps = FORMULAS[rng.integers(len(FORMULAS))]
    return rng.normal(size=(m, n)), rng.normal(size=b), np.asarray(rng.normal(size=c)), steps


def formula_edge(number, a=(), b=(), c=()):
    rng = np.random.default_rng(number)
    return *(np.asarray(rng.normal(size=shape)) for shape in (a, b, c)), FORMULAS[number]


# -- central differences ---------------------------------------------------------------------------


def differences(f, x, r, h=1e-5):
    slopes = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        slopes[i] = (r * (f(x + step) - f(x - step))).sum() / (2 * h)
    return slopes


def differences_by_copies(f, x, r, h=1e-5):
    def weighed(x):
        return np.vdot(r, f(x))

    slopes = []
    for k in range(x.size):
        above, below = x.copy(), x.copy()
        above.flat[k] += h
        below.flat[k] -= h
        slopes.append((weighed(above) - weighed(below)) / (2 * h))
    return np.reshape(slopes, x.shape)


def differences_by_jacobian(f, x, r, h=1e-5):
    """One column of the Jacobian after the other, then r^T J."""
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    columns = [np.ravel(f(x + step) - f(x - step)) / (2 * h) for step in steps]
    return (np.ravel(r) @ np.transpose(columns)).reshape(x.shape)


def differences_one_sided(f, x, r, h=1e-5):
    here, slopes = (r * f(x)).sum(), np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        moved = x.copy()
        moved[i] += h
        slopes[i] = ((r * f(moved)).sum() - here) / h
    return slopes


def differences_along(f, x, r, h=1e-5):
    """All elements moved at once."""
    slope = (r * (f(x + h) - f(x - h))).sum() / (2 * h)
    return np.full(x.shape, slope)


def differences_by_rows(f, x, r, h=1e-5):
    """An element of the first axis at a time, whatever it holds."""
    slopes = np.zeros(x.shape)
    for i in range(len(x)):
        step = np.zeros(x.shape)
        step[i] = h
        slopes[i] = (r * (f(x + step) - f(x - step))).sum() / (2 * h)
    return slopes


def differences_drifting(f, x, r, h=1e-5):
    """A step that is never taken back."""
    slopes, step = np.zeros(x.shape), np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        step[i] = h
        slopes[i] = (r * (f(x + step) - f(x - step))).sum() / (2 * h)
    return slopes


def weighed_inputs(rng, size=None, gives=None):
    size = tuple(rng.integers(1, 4, size=rng.integers(1, 4))) if size is None else size
    gives = tuple(rng.integers(1, 4, size=rng.integers(0, 3))) if gives is None else gives
    A = 1.5 * rng.normal(size=(int(np.prod(gives)), int(np.prod(size))))
    h = float(rng.choice([1e-5, 1e-3]))
    return rng.normal(size=size), A, np.asarray(rng.normal(size=gives)), h


def run_differences(answer, x, A, r, h):
    def f(moved):
        if np.shape(moved) != x.shape:
            raise ValueError(f"f takes an array of shape {x.shape}, got {np.shape(moved)}")
        return np.sin(A @ np.ravel(moved)).reshape(r.shape)

    return answer(f, x, r) if h == 1e-5 else answer(f, x, r, h)


# -- three walks with one bug each -----------------------------------------------------------------

BUGS = {"A": "leftovers", "B": "early", "C": "rows"}
ANSWER = "423"


def faulty_backward(run, L):
    """The gradients that walk "A", "B" or "C" finds: `backward` with one bug."""
    bug = BUGS[run]
    if bug == "leftovers":
        return walk(L, known=walk(L))
    if bug == "early":
        return walk(L, order=as_found)
    return walk(L, fit=lambda part, shape: part)


# -- Further: cross-entropy ------------------------------------------------------------------------


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


@np.errstate(all="ignore")
def cross_entropy_by_p(logits, labels):
    return -one_hot(logits, labels) / softmax(logits) / len(logits)


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


# -- Further: a judge of rules ---------------------------------------------------------------------


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
        "02.backward",
        "The walk back through a graph",
        reference=backward,
        alternatives=(backward_depth_first, backward_by_heap, backward_by_counting),
        wrong=(
            (
                lambda L: walk(L, join=lambda old, part: part),
                "Where a value was used twice this keeps the part that came last. Moving the value "
                "moves L through both uses: what do two parts do?",
            ),
            (
                lambda L: walk(L, join=lambda old, part: old),
                "Where a value was used twice this keeps the part that came first. What should the "
                "second part do?",
            ),
            (
                lambda L: walk(L, join=np.multiply),
                "Where a value was used twice this multiplies the two parts. d(r + r) / dr is 2: "
                "how do 1 and 1 make it?",
            ),
            (
                lambda L: walk(L, order=as_found),
                "Some value hands its gradient on before all parts have arrived, as if nearness to "
                "L were the order. In which order is every value used up before its turn?",
            ),
            (
                lambda L: walk(L, order=oldest_first),
                "This goes through the history in the order of birth. Which gradient is known "
                "first, and whose turn is it then?",
            ),
            (
                lambda L: walk(
                    L, order=oldest_first, given=lambda known, node, parent: known[node]
                ),
                "A rule runs for a value whose gradient is not known yet. Whose is known at the "
                "start, and in which order do the others become known?",
            ),
            (
                times_g_again,
                "This multiplies by the gradient once more. What does a rule do with its g?",
            ),
            (
                fitted_to_the_node,
                "The parts are made to fit the value that hands them on. Whose gradient are they?",
            ),
            (
                along_every_path,
                "The gradients are right, but rules run more than once: this goes along every path "
                "by itself. How many paths lead through h1 = h + h, h2 = h1 + h1, ... after thirty "
                "steps? Let a value hand on once, when its gradient is complete.",
            ),
            (
                lambda L: walk(L, fit=lambda part, shape: part),
                "A value that broadcasting repeated gets a gradient of another shape than its own. "
                "It was used once for every copy: which function above takes care of that?",
            ),
            (lambda L: walk(L, start=np.copy), "This starts from L itself. What is dL/dL?"),
            (
                lambda L: walk(L, start=np.zeros_like),
                "All gradients are 0: the walk has nothing to hand on. What is dL/dL?",
            ),
            (
                added_in_place,
                "This adds into an array that another value holds as well: the rule of + hands the "
                "same g to both of its parents. What does += do to an array, and what does a + b?",
            ),
            (
                of_the_leaves,
                "The gradients of leaves are right; those of L and of the values between are "
                "missing from the dict. All of the history is asked for.",
            ),
            (
                lambda L: {node: g for node, g in backward(L).items() if node is not L},
                "All is right, but L itself is missing from the dict. What is dL/dL?",
            ),
            (
                once_a_parent,
                "In r * r one value is a parent twice, and here it gets one part. How many parts "
                "does zip(parents, vjps) give, and how many are left in a dict or a set?",
            ),
            (
                first_parent_only,
                "Only the first parent of each value gets a part. Is a return or a break indented "
                "one level too deep?",
            ),
            (
                lambda L: walk(L, known=walk(L)),
                "Parts of an earlier walk are still there. What should the dict hold when the walk "
                "begins?",
            ),
        ),
        hints=(
            "Begin with a dict that holds L alone: the gradient of L by L is an array of ones.",
            "sorted(history(L), key=lambda v: v.birth, reverse=True) gives the youngest value "
            "first. When a value's turn comes, its gradient is complete.",
            "Each pair of zip(node.parents, node.vjps) gives a part: the rule, applied to the "
            "node's gradient, made to fit the shape of parent.data.",
            "The first part that arrives at a parent is put into the dict, each later one is added "
            "to it; dict.get(parent, 0) does both.",
        ),
        inputs=formula_inputs,
        edges=(
            formula_edge(0),
            formula_edge(0, a=(2, 3), b=(3,), c=(2, 1)),
            formula_edge(1, a=(2,)),
            formula_edge(2, a=(2,), b=(2,), c=(2,)),
            formula_edge(3),
            formula_edge(4),
        ),
        run=gradients_of,
        forbidden=("minigen.Tensor.backward",),
        tries=8,
        minutes=10,
    ),
    Exercise(
        "02.differences",
        "The gradient of <r, f(x)> by central differences",
        reference=differences,
        alternatives=(differences_by_copies, differences_by_jacobian),
        wrong=(
            (
                differences_one_sided,
                "Nearly: off by about h. The differences are to one side; a central one is "
                "asked for: what does it do with x - h?",
            ),
            (
                lambda f, x, r, h=1e-5: 2 * differences(f, x, r, h),
                "Twice too large: how far apart are x + h and x - h?",
            ),
            (
                lambda f, x, r, h=1e-5: differences(f, x, np.ones_like(r), h),
                "This weighs all outputs alike. Where is r?",
            ),
            (
                lambda f, x, r, h=1e-5: differences(f, x, r, h) / r.size,
                "This is the mean over the outputs. <r, f(x)> is a sum.",
            ),
            (
                lambda f, x, r, h=1e-5: differences(f, x, np.full(r.shape, r.sum()), h),
                "This multiplies two sums. In <r, f(x)> each output has its own weight.",
            ),
            (
                differences_along,
                "This moves all elements of x at once. The gradient has one number for each of "
                "them: which moved?",
            ),
            (
                differences_by_rows,
                "Right where x has one axis. With more this moves a whole slice x[i]: np.ndindex "
                "goes through all places.",
            ),
            (
                differences_drifting,
                "The first slope is right, later ones are not: is the element that was moved put "
                "back before the next one moves?",
            ),
            (
                lambda f, x, r, h=1e-5: differences(f, x, r, 1e-12),
                "The step is so short that rounding eats the digits. How long should it be?",
            ),
            (
                lambda f, x, r, h=1e-5: differences(f, x, r, 0.1),
                "The step is so long that the curve bends on the way. How long should it be?",
            ),
            (
                lambda f, x, r, h=1e-5: differences(f, x, r, h).ravel(),
                "These are the right numbers in one row. The gradient has the shape of x.",
            ),
            (
                lambda f, x, r, h=1e-5: -differences(f, x, r, h),
                "Every sign is turned: which end of the step is taken from which?",
            ),
            (
                lambda f, x, r, h=1e-5: differences(f, x, r, h) * h / 1e-5,
                "Right with the usual h only. Do the step and the division use the same h, the one "
                "that is given?",
            ),
            (
                lambda f, x, r, h=1e-5: differences(f, x, r),
                "Right with the usual h only. Does your function use the h that is given?",
            ),
        ),
        hints=(
            "For one element: move it by +h and by -h, all others where they are, and look how "
            "far the weighed sum of the outputs moves.",
            "(r * f(x)).sum() is the number whose slope is asked for; np.ndindex(x.shape) gives "
            "every place of x.",
            "Let step be zeros of the shape of x with h at one place; f(x + step) and f(x - step) "
            "are 2 h apart there.",
        ),
        inputs=weighed_inputs,
        edges=tuple(
            weighed_inputs(np.random.default_rng(k), size, gives)
            for k, (size, gives) in enumerate(
                [((1,), ()), ((2, 2), (3,)), ((3,), (2, 1)), ((), (2,)), ((1, 2, 3), (1, 2))]
            )
        ),
        run=run_differences,
        forbidden=("minigen.gradients.check_gradients",),
        tolerance=1e-7,
    ),
    Exercise(
        "02.bugs",
        "Three bugs named from plots and numbers",
        reference=ANSWER,
        alternatives=(int(ANSWER), " ".join(ANSWER), ",".join(ANSWER), list(ANSWER)),
        wrong=(
            (
                "123",
                "If the last part alone counted in error * error, by what factor would *all* "
                "gradients behind it be off?",
            ),
            ("421", "Would keeping the last part only change the shape of a gradient?"),
            (
                "243",
                "In one walk even W3, near the end, is off. Could a part that comes too late at h "
                "reach W3?",
            ),
            (
                "413",
                "One walk has W3, W2 and b2 right. error * error uses one value twice: what would "
                "this bug do there?",
            ),
            (
                "324",
                "Which walk has gradients of the wrong shape, and which of the wrong size only?",
            ),
            ("321", "Which bug can change a shape?"),
            (
                "412",
                "One walk has gradients of another shape. Can a part that comes too late do that?",
            ),
            ("314", "Walk by walk: are all shapes right? Are the factors 1, or do they grow?"),
            ("432", "Which walk leaves all weights right, and only biases wrong?"),
            ("142", "Would the last part alone make a gradient larger than it should be?"),
            ("143", "One walk has every gradient too large. Which bug makes gradients grow?"),
        ),
        hints=(
            "One of the walks has gradients of a wrong shape. What changes shapes on the way back?",
            "The network ends with error * error: one value, used twice, by one step. Which bugs "
            "would show there already, in all gradients?",
            "Look at the factors of one walk from W3 to W2: the longer the way back, the ...?",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
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
                cross_entropy_by_p,
                "This is the derivative by p, as if each p stood alone. How does p depend on the "
                "logits?",
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
        minutes=10,
    ),
)
