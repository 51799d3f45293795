"""The checks of lesson 03: layers and training; and the runs whose bugs the lesson asks to name."""

import itertools
import math

import numpy as np

from minigen.course.exercise import Exercise
from minigen.data.batching import batches

# -- a layer's vjp ---------------------------------------------------------------------------------


def linear_vjp(x, weight, g):
    return g @ weight, g.T @ x, g.sum(axis=0)


def linear_vjp_by_examples(x, weight, g):
    of_weight, of_bias = np.zeros(weight.shape), np.zeros(len(weight))
    for one_x, one_g in zip(x, g):
        of_weight += np.outer(one_g, one_x)
        of_bias += one_g
    return np.array([weight.T @ one_g for one_g in g]), of_weight, of_bias


def linear_vjp_by_sums(x, weight, g):
    of_x = np.einsum("bo,oi->bi", g, weight)
    return [of_x, np.einsum("bo,bi->oi", g, x), np.ones(len(g)) @ g]


def a_layer(rng):
    batch, n, out = rng.integers(2, 6, size=3)
    return rng.normal(size=(batch, n)), rng.normal(size=(out, n)), rng.normal(size=(batch, out))


# -- Adam ------------------------------------------------------------------------------------------


def running_mean(old, new, beta):
    return beta * old + (1 - beta) * new


def adam(p, g, m, v, k, lr, b1=0.9, b2=0.999, eps=1e-8):
    m, v = running_mean(m, g, b1), running_mean(v, g**2, b2)
    mean, square = m / (1 - b1**k), v / (1 - b2**k)
    return p - lr * mean / (np.sqrt(square) + eps), m, v


def adam_in_place(p, g, m, v, k, lr, b1=0.9, b2=0.999, eps=1e-8):
    p, m, v = np.array(p), np.array(m), np.array(v)
    m += (1 - b1) * (g - m)
    v += (1 - b2) * (g * g - v)
    p -= lr / (1 - b1**k) * m / ((v / (1 - b2**k)) ** 0.5 + eps)
    return p, m, v


def adam_with_the_weights_summed(p, g, m, v, k, lr, b1=0.9, b2=0.999, eps=1e-8):
    """The corrections as what they are: the weights that k gradients have in a running mean."""
    m, v = m * b1 + g * (1 - b1), v * b2 + g * g * (1 - b2)
    of_m, of_v = (sum((1 - b) * b**j for j in range(k)) for b in (b1, b2))
    return [p - lr * (m / of_m) / (np.sqrt(v / of_v) + eps), m, v]


@np.errstate(all="ignore")
def mistaken(
    p, g, m, v, k, lr, b1, b2, eps, *, correct=lambda b, k: 1 - b**k, first=True, second=True,
    size=lambda v, eps: np.sqrt(v) + eps, sign=1, square=np.square, stored=False,
    late=False, mean=True, taken=lambda b: 1 - b,
):  # fmt: skip
    """Adam with room for mistakes: another correction, of one of the two only, another size, ..."""
    old_m, old_v = m, v
    m = b1 * m + taken(b1) * g
    v = b2 * v + taken(b2) * square(g)
    used_m, used_v = (old_m, old_v) if late else (m, v)
    used_m = used_m / correct(b1, k) if first else used_m
    used_v = used_v / correct(b2, k) if second else used_v
    p = p - sign * lr * (used_m if mean else g) / size(used_v, eps)
    return (p, used_m, used_v) if stored else (p, m, v)


def adam_of_long_memory(p, g, m, v, k, lr, b1, b2, eps):
    """The old value enters with 1 - b, the new one with b."""
    return mistaken(p, g, m, v, k, lr, 1 - b1, 1 - b2, eps, correct=lambda b, k: 1 - (1 - b) ** k)


def adam_with_one_beta(p, g, m, v, k, lr, b1, b2, eps):
    return adam(p, g, m, v, k, lr, b1, b1, eps)


def adam_with_one_correction(p, g, m, v, k, lr, b1, b2, eps):
    m, v = running_mean(m, g, b1), running_mean(v, g**2, b2)
    return p - lr * m / (1 - b1**k) / (np.sqrt(v / (1 - b1**k)) + eps), m, v


def adam_centred(p, g, m, v, k, lr, b1, b2, eps):
    """The square of the mean where the mean of the squares belongs."""
    m = running_mean(m, g, b1)
    v = running_mean(v, m**2, b2)
    return p - lr * m / (1 - b1**k) / (np.sqrt(v / (1 - b2**k)) + eps), m, v


def adam_root_before_correction(p, g, m, v, k, lr, b1, b2, eps):
    m, v = running_mean(m, g, b1), running_mean(v, g**2, b2)
    return p - lr * m / (1 - b1**k) / (np.sqrt(v) / (1 - b2**k) + eps), m, v


def an_update(rng):
    """p, g, m, v of one shape, and numbers that are no one's defaults."""
    shape = rng.integers(1, 5, size=rng.integers(1, 3))
    p, g, m = rng.normal(size=(3, *shape))
    v, k = rng.uniform(0.1, 2.0, size=shape), int(rng.integers(2, 12))
    b1, b2, eps = rng.uniform(0.5, 0.9), rng.uniform(0.8, 0.99), rng.choice([1e-8, 0.03, 0.2])
    return p, g, m, v, k, rng.uniform(0.05, 2.0), b1, b2, eps


# -- weights before a ReLU -------------------------------------------------------------------------


def relu_std(fan_in):
    return math.sqrt(2 / fan_in)


# -- the runs with one bug each --------------------------------------------------------------------

BUGS = {"A": "wrong axis", "B": "float64", "C": "not cleared"}
NUMBERS = {"not cleared": "1", "wrong axis": "2", "float64": "3", "one batch": "4"}
ANSWER = "".join(NUMBERS[bug] for bug in BUGS.values())


def faulty_run(run, x, label, steps=150):
    """The run "right", "A", "B" or "C": losses, lengths of the gradient, last parameters."""
    bug, rng = BUGS.get(run), np.random.default_rng(0)
    p = []
    for n, out in ((64, 32), (32, 10)):
        p += [rng.uniform(-1, 1, shape).astype(np.float32) / n**0.5 for shape in ((out, n), out)]
    one_hot = np.eye(10, dtype=np.float64 if bug == "float64" else np.float32)
    axis = 0 if bug == "wrong axis" else 1
    gradients, losses, lengths = [0, 0, 0, 0], [], []
    feed = batches(np.arange(len(x)), 50, np.random.default_rng(1))
    for rows in itertools.islice(feed, steps):
        target = one_hot[label[rows]]
        before = x[rows] @ p[0].T + p[1]
        hidden = np.maximum(before, 0)
        logits = hidden @ p[2].T + p[3]
        shifted = logits - logits.max(axis=axis, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
        losses.append(-(log_p * target).sum() / 50)
        # of the loss that is computed, whatever the axis: each sum occurs in so many terms
        terms = target.sum(axis=axis, keepdims=True)
        g, *of_second = linear_vjp(hidden, p[2], (np.exp(log_p) * terms - target) / np.float32(50))
        _, *of_first = linear_vjp(x[rows], p[0], g * (before > 0))
        kept = gradients if bug == "not cleared" else [0, 0, 0, 0]
        gradients = [a + b for a, b in zip(kept, of_first + of_second)]
        lengths.append(math.sqrt(sum((a**2).sum() for a in gradients)))
        p = [a - np.float32(0.1) * b for a, b in zip(p, gradients)]
    return losses, lengths, p


# -- Further: warm-up and cosine -------------------------------------------------------------------


def warmup_cosine(step, steps, warmup, peak):
    if step <= warmup:
        return peak * step / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def warmup_cosine_by_half_angle(step, steps, warmup, peak):
    fall = max(0, step - warmup) / (steps - warmup)
    return peak * min(1, step / warmup) * math.cos(math.pi * fall / 2) ** 2


def warmup_cosine_by_table(step, steps, warmup, peak):
    rise = np.arange(1, warmup + 1) / warmup
    fall = 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, steps - warmup + 1))[1:]
    return (peak * np.concatenate([rise, fall]))[step - 1]


def whole_schedule(answer, steps, warmup, peak):
    """The learning rate of every step, so that the start, the peak and the end are all tried."""
    return np.array([float(answer(step, steps, warmup, peak)) for step in range(1, steps + 1)])


def cosine_without_its_shift(step, steps, warmup, peak):
    if step <= warmup:
        return peak * step / warmup
    return peak * (1 + math.cos(math.pi * step / steps)) / 2


def quarter_cosine(step, steps, warmup, peak):
    if step <= warmup:
        return peak * step / warmup
    return peak * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup))


def cosine_of_all_steps(step, steps, warmup, peak):
    return peak * min(1, step / warmup) * (1 + math.cos(math.pi * step / steps)) / 2


def whole_cosine(step, steps, warmup, peak):
    if step <= warmup:
        return peak * step / warmup
    return peak * (1 + math.cos(2 * math.pi * (step - warmup) / (steps - warmup))) / 2


def starts_at_zero(step, steps, warmup, peak):
    if step <= warmup:
        return peak * (step - 1) / warmup
    return warmup_cosine(step, steps, warmup, peak)


def cosine_down_to_minus(step, steps, warmup, peak):
    if step <= warmup:
        return peak * step / warmup
    return peak * math.cos(math.pi * (step - warmup) / (steps - warmup))


def straight_down(step, steps, warmup, peak):
    if step <= warmup:
        return peak * step / warmup
    return peak * (steps - step) / (steps - warmup)


# -- Further: clipping -----------------------------------------------------------------------------


def clip(gradients, max_norm):
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    scale = min(1.0, max_norm / norm) if norm else 1.0
    return [scale * g for g in gradients]


def clip_one_vector(gradients, max_norm):
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in gradients]))
    if norm <= max_norm:
        return list(gradients)
    return [g * max_norm / norm for g in gradients]


def clip_by_norms(gradients, max_norm):
    norm = np.linalg.norm([np.linalg.norm(g) for g in gradients])
    return [g / max(1.0, norm / max_norm) for g in gradients]


def clip_each(gradients, max_norm):
    return [g * min(1.0, max_norm / max(np.linalg.norm(g), 1e-30)) for g in gradients]


def rescale_always(gradients, max_norm):
    norm = math.sqrt(sum((g**2).sum() for g in gradients)) or 1.0
    return [g * max_norm / norm for g in gradients]


@np.errstate(all="ignore")
def rescale_zeros_too(gradients, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * max_norm / norm for g in gradients]


def clip_to_one(gradients, max_norm):
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    return [g / norm if norm > max_norm else g.copy() for g in gradients]


def clip_squared_norm(gradients, max_norm):
    norm = sum((g**2).sum() for g in gradients)
    return [g * min(1.0, max_norm / max(norm, 1e-30)) for g in gradients]


def some_gradients(rng):
    """Arrays of some shapes; a limit below or above their common length, with equal chances."""
    ranks = rng.integers(1, 4, size=rng.integers(2, 4))
    gradients = [rng.normal(size=rng.integers(1, 5, size=rank)) for rank in ranks]
    norm = math.sqrt(sum((g**2).sum() for g in gradients))
    return gradients, norm * rng.choice([0.4, 1.5])


@np.errstate(all="ignore")
def clip_dividing_by_zero(gradients, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * np.minimum(1.0, max_norm / norm) if norm else g / norm for g in gradients]


EXERCISES = (
    Exercise(
        "03.vjp",
        "A linear layer's vector-Jacobian products",
        reference=linear_vjp,
        alternatives=(linear_vjp_by_examples, linear_vjp_by_sums),
        wrong=(
            (
                lambda x, weight, g: (g @ weight, x.T @ g, g.sum(axis=0)),
                "A gradient has the shape of the thing itself. Which shape has weight? (In a square"
                " layer only the values tell.)",
            ),
            (
                lambda x, weight, g: (g @ weight.T, g.T @ x, g.sum(axis=0)),
                "For x: which entries of y does the input x[b, i] reach, and by which weights? If "
                "shapes do not fit, or fit only in a square layer, that is why.",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x, g.mean(axis=0)),
                "One bias serves all rows of the batch. What happens to the gradients of a thing "
                "that is used several times?",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x / len(x), g.sum(axis=0)),
                "The weights are averaged over the batch here. Whether the loss is a sum or a mean "
                "over examples: is that not in g already?",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x / len(x), g.mean(axis=0)),
                "Weights and bias are averaged over the batch here. Whether the loss is a sum or a "
                "mean over examples: is that not in g already?",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x, g),
                "The bias was broadcast over the rows of the batch. What undoes that on the way "
                "back?",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x, g.sum()),
                "There is one bias for each output, and so one gradient for each.",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x, g.sum(axis=1)),
                "This sums the bias's gradient over the outputs. Over which axis was the bias "
                "repeated?",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x, g.sum(axis=0, keepdims=True)),
                "The bias has one axis; its gradient has two here.",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x, g[0]),
                "Only the first example tells the bias anything here. What of the others?",
            ),
            (
                lambda x, weight, g: (g.T @ x, g @ weight, g.sum(axis=0)),
                "The gradients come in the order x, weight, bias. Which of yours has the shape of "
                "x?",
            ),
            (
                lambda x, weight, g: (g @ weight, np.einsum("bo,bi->boi", g, x), g.sum(axis=0)),
                "For weight you have one matrix for each example. All examples use the same "
                "weights.",
            ),
            (
                lambda x, weight, g: (x @ weight.T, g.T @ x, g.sum(axis=0)),
                "The first is the walk forward once more. The gradient by x does not depend on x: "
                "the layer is linear.",
            ),
            (
                lambda x, weight, g: (
                    g @ weight,
                    np.ones_like(g).T @ x,
                    np.full(len(weight), float(len(x))),
                ),
                "For weight and bias g is left out: how does the loss answer to y?",
            ),
            (
                lambda x, weight, g: (-(g @ weight), -(g.T @ x), -g.sum(axis=0)),
                "The sign is wrong. A gradient points uphill; to step against it is the "
                "optimiser's work.",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x),
                "Three things went into the layer: x, weight and bias. Each gets its gradient.",
            ),
            (
                lambda x, weight, g: (g @ weight, g.T @ x, np.ones(len(weight))),
                "The bias's gradient does not depend on g here. How does the loss answer to y?",
            ),
        ),
        hints=(
            "Write one entry: y[b, o] = sum over i of x[b, i] weight[o, i], plus bias[o]. Who uses "
            "x[b, i]? Who uses weight[o, i]?",
            "Every use of a number adds its part: sum over the index that the number has not.",
            "A sum over o of g[b, o] weight[o, i] is a matrix product. Which, and must one be "
            "transposed?",
        ),
        inputs=a_layer,
        edges=(
            (
                np.array([[1.0, 2.0], [0.0, -1.0], [2.0, 0.5]]),
                np.array([[1.0, 3.0], [-2.0, 0.5]]),
                np.array([[1.0, 0.0], [2.0, -1.0], [0.5, 1.0]]),
            ),
            (np.array([[2.0]]), np.array([[3.0]]), np.array([[-0.5]])),
            (np.array([[1.0, -1.0, 0.5]]), np.eye(3)[::-1] * 2.0, np.array([[0.2, 0.0, -1.0]])),
            (np.ones((4, 2)), np.array([[1.0, -1.0]]), np.array([[1.0], [0.0], [-1.0], [3.0]])),
        ),
        forbidden=("minigen.tensor.Tensor.backward",),
        minutes=6,
    ),
    Exercise(
        "03.adam",
        "Adam's update",
        reference=adam,
        alternatives=(adam_in_place, adam_with_the_weights_summed),
        wrong=(
            (
                lambda *a: mistaken(*a, first=False, second=False),
                "This is right for large k, and not at the start: both means begin at 0. How much "
                "of k equal gradients is in m?",
            ),
            (
                lambda *a: mistaken(*a, stored=True),
                "The step is right. But what you remember is corrected already, and will be "
                "corrected again in the next step.",
            ),
            (
                lambda *a: mistaken(*a, second=False),
                "The mean of the gradient is corrected, that of its square is not. Did v not start "
                "at 0, too?",
            ),
            (
                lambda *a: mistaken(*a, first=False),
                "The mean of the square is corrected, that of the gradient is not. Did m not start "
                "at 0, too?",
            ),
            (
                lambda *a: mistaken(*a, correct=lambda b, k: 1 - b),
                "This correction is right for the first step only. After two equal gradients, how "
                "much of them is in m?",
            ),
            (
                lambda *a: mistaken(*a, correct=lambda b, k: 1 / (1 - b**k)),
                "The means are too small at the start; this makes them smaller still.",
            ),
            (
                lambda *a: mistaken(*a, correct=lambda b, k: b**k),
                "b ** k is the part of the starting value 0 that is left in m after k steps. What "
                "is the part of the gradients?",
            ),
            (
                lambda *a: mistaken(*a, correct=lambda b, k: 1 - b ** (k + 1)),
                "The correction is one step ahead: k counts this step already.",
            ),
            (
                lambda *a: mistaken(*a, correct=lambda b, k: 1 - b ** (k - 1)),
                "The correction is one step late, and divides by 0 at the first: k counts this "
                "step already.",
            ),
            (
                lambda *a: mistaken(*a, correct=lambda b, k: k * (1 - b)),
                "The correction grows without end. After very many equal gradients, what is m?",
            ),
            (
                lambda *a: mistaken(*a, size=lambda v, eps: np.sqrt(v + eps)),
                "eps stands under the root here. It is added to the root.",
            ),
            (
                lambda *a: mistaken(*a, size=lambda v, eps: np.sqrt(v)),
                "Where all gradients so far are 0 this divides 0 by 0. What is eps for?",
            ),
            (
                lambda *a: mistaken(*a, size=lambda v, eps: v + eps),
                "Divided by the mean square itself, a step would be longer for smaller gradients. "
                "What is missing?",
            ),
            (
                lambda *a: mistaken(*a, size=lambda v, eps: 1.0),
                "This uses the running mean of the gradient, but v changes nothing. What is it "
                "for?",
            ),
            (
                lambda *a: mistaken(*a, size=lambda v, eps: np.sqrt(v.mean()) + eps),
                "One size for the whole array. Every parameter has its own.",
            ),
            (
                lambda *a: mistaken(*a, sign=-1),
                "This goes uphill: the gradient points to where the loss grows.",
            ),
            (
                lambda *a: mistaken(*a, square=np.abs),
                "v is the running mean of the size of the gradient here, not of its square.",
            ),
            (
                lambda *a: mistaken(*a, square=lambda g: g),
                "v takes in the gradient here, not its square: it may become negative.",
            ),
            (
                adam_centred,
                "v takes in the square of the mean. Asked for is the mean of the squares.",
            ),
            (
                lambda *a: mistaken(*a, late=True),
                "The step uses m and v from before this gradient. First take in the gradient, then "
                "step.",
            ),
            (
                lambda *a: mistaken(*a, mean=False),
                "The step uses this gradient alone. m is remembered and never used.",
            ),
            (
                lambda *a: mistaken(*a, taken=lambda b: 1.0),
                "These are running sums: every gradient enters with weight 1. How much enters a "
                "running mean?",
            ),
            (
                lambda *a: mistaken(*a, taken=lambda b: b),
                "The old mean and the new gradient have the same weight here. In a mean the "
                "weights sum to 1.",
            ),
            (adam_with_one_beta, "b2 changes nothing here: which of the two means is it for?"),
            (
                adam_with_one_correction,
                "v forgets at the pace of b2, and its correction is made with b1.",
            ),
            (
                adam_of_long_memory,
                "The new gradient enters with beta, the memory with 1 - beta. With beta = 0.9, "
                "which of the two should be long?",
            ),
            (
                lambda p, g, m, v, k, lr, b1, b2, eps: adam(p, g, m, v, k, lr, b2, b1, eps),
                "b1 belongs to m, b2 to v.",
            ),
            (
                adam_root_before_correction,
                "v is corrected outside the root. The corrected mean square is what the root is "
                "taken of.",
            ),
            (
                lambda p, g, m, v, k, lr, b1, b2, eps: adam(p, g, m, v, k, 1.0, b1, b2, eps),
                "The learning rate changes nothing here.",
            ),
            (
                lambda p, g, m, v, k, lr, b1, b2, eps: adam(p, g, m, v, k, lr),
                "Right with the usual b1, b2 and eps. Does your function use those that it is "
                "given?",
            ),
            (
                lambda p, g, m, v, k, lr, b1, b2, eps: adam(p, g, m, v, k, lr, b1, b2, eps)[0],
                "Three things come back: the new p, and what is remembered, m and v.",
            ),
            (
                lambda p, g, m, v, k, lr, b1, b2, eps: (
                    adam(p, g, m, v, k, lr, b1, b2, eps)[0],
                    m,
                    v,
                ),
                "The parameter is right, but m and v come back as they were: they must remember "
                "this gradient.",
            ),
            (
                lambda p, g, m, v, k, lr, b1, b2, eps: adam(0 * p, g, m, v, k, lr, b1, b2, eps),
                "This returns the step. The new p is asked for.",
            ),
        ),
        hints=(
            "Four lines: the new m, the new v, both corrected under other names, the new p.",
            "If every gradient is g: after one step m is (1 - b1) g. After two it is b1 (1 - b1) g "
            "+ (1 - b1) g. How much of g is still missing, each time?",
            "What is missing is b1, then b1 squared, ... Divide by what is there.",
        ),
        inputs=an_update,
        edges=(
            (
                np.ones(2),
                np.array([3.0, -1e-3]),
                np.zeros(2),
                np.zeros(2),
                1,
                0.1,
                0.9,
                0.999,
                1e-8,
            ),
            (np.ones((2, 1)), *np.zeros((3, 2, 1)), 3, 0.5, 0.8, 0.9, 1e-8),
            (np.zeros(3), *np.array([[1.0, 0, -2], [0.5, 1, 0], [1, 4, 0]]), 7, 1.0, 0.0, 0.5, 0.1),
        ),
        forbidden=("minigen.optim.Adam._update",),
        minutes=10,
    ),
    Exercise(
        "03.relu_std",
        "The standard deviation of initial weights before a ReLU network",
        reference=relu_std,
        alternatives=(
            lambda fan_in: (fan_in / 2) ** -0.5,
            lambda fan_in: np.sqrt(2) * np.sqrt(1 / fan_in),
        ),
        wrong=(
            (
                lambda fan_in: 1 / math.sqrt(fan_in),
                "This keeps the signal without a ReLU. What does it do to the mean square to set "
                "half of a symmetric signal to 0?",
            ),
            (
                lambda fan_in: 2 / math.sqrt(fan_in),
                "This doubles the standard deviation, so it multiplies the variance by 4. How "
                "much was lost?",
            ),
            (
                lambda fan_in: 2 / fan_in,
                "This is a variance. The exercise asks for the standard deviation.",
            ),
            (
                lambda fan_in: 1 / math.sqrt(2 * fan_in),
                "This makes the weights smaller. The ReLU has already taken something away: you "
                "must give it back.",
            ),
            (
                lambda fan_in: math.sqrt(2 * math.pi / (math.pi - 1) / fan_in),
                "This keeps the variance of the ReLU's output around its mean. But the next layer"
                " multiplies the output itself: the mean square counts.",
            ),
            (
                lambda fan_in: math.sqrt(2) / fan_in,
                "Here the root is taken of the 2 only. The variance is divided by the number of "
                "inputs; the standard deviation by what?",
            ),
            (
                lambda fan_in: math.sqrt(fan_in / 2),
                "This is upside down: with more inputs, must the weights be larger or smaller?",
            ),
            (
                lambda fan_in: math.sqrt(6 / fan_in),
                "This is the half-width of a uniform distribution with the right variance. Its "
                "standard deviation is smaller.",
            ),
        ),
        hints=(
            "The next layer sees the mean square of what leaves the ReLU: half of it is 0, the "
            "rest as before.",
            "So the factor of one layer is fan_in * std^2 / 2. It must be 1.",
        ),
        inputs=lambda rng: (int(rng.integers(3, 1000)),),
        edges=((1,), (2,), (8,)),
    ),
    Exercise(
        "03.bugs",
        "Three bugs by their symptoms",
        reference=ANSWER,
        alternatives=(f" {ANSWER}", int(ANSWER), ", ".join(ANSWER), list(ANSWER)),
        choices=("1", "2", "3", "4"),
        wrong=(
            (
                "123",
                "This is the order of the list. Compare each run with the right one: first loss, "
                "gradient, bytes.",
            ),
            (
                "321",
                "One run starts with a loss that is not the loss of guessing among ten. Which "
                "bugs act before the first step?",
            ),
            ("132", "Whose gradient grows, and whose curves are exactly those of the right run?"),
            (
                "213",
                "Look at the bytes: one of the three needs twice the memory for the same numbers.",
            ),
            (
                "312",
                "Look at the bytes first: they settle one letter. Then at the first loss: what is"
                " log 50?",
            ),
            (
                "234",
                "A run that sees the same 50 images in each step soon knows them by heart. What "
                "would its loss be?",
            ),
            (
                "431",
                "A run that sees the same 50 images in each step starts as the right one does. "
                "Where do the first losses differ?",
            ),
        ),
        hints=(
            "One bug changes no curve at all. Which column of the table can tell it?",
            "A softmax over 50 images that knows nothing gives each 1/50. What does that cost in "
            "nats?",
            "A sum of all gradients so far is momentum 1: a ball without friction. What does it do "
            "in a valley?",
        ),
        minutes=3,
    ),
    Exercise(
        "03.warmup_cosine",
        "A learning rate that rises and falls",
        reference=warmup_cosine,
        alternatives=(warmup_cosine_by_half_angle, warmup_cosine_by_table),
        wrong=(
            (
                cosine_of_all_steps,
                "This cosine begins at step 0, so it has fallen before the warm-up is over. When "
                "is the peak?",
            ),
            (
                whole_cosine,
                "This goes through a whole cosine: down to 0 in the middle, and back up. Half of "
                "one is enough.",
            ),
            (
                cosine_without_its_shift,
                "The fall begins below the peak: this cosine has run since step 0. By how much has "
                "it fallen when the warm-up ends?",
            ),
            (
                quarter_cosine,
                "This falls fastest at the end. Half a cosine, from 1 to -1, ends as gently as it "
                "begins.",
            ),
            (
                starts_at_zero,
                "This is 0 at step 1, a step that learns nothing, and jumps after the warm-up. "
                "Steps count from 1.",
            ),
            (
                cosine_down_to_minus,
                "This ends at -peak: the cosine goes from 1 to -1, the learning rate must go from"
                " peak to 0.",
            ),
            (
                straight_down,
                "This falls in a straight line. A cosine falls slowly at first, fast in the "
                "middle, slowly at the end.",
            ),
            (
                lambda step, steps, warmup, peak: peak * (1 + math.cos(math.pi * step / steps)) / 2,
                "This has no warm-up: it begins near the peak.",
            ),
            (
                lambda step, steps, warmup, peak: warmup_cosine(step, steps, warmup, peak) / peak,
                "This goes up to 1, whatever the peak is.",
            ),
            (
                lambda step, steps, warmup, peak: (
                    peak * min(step / warmup, (1 + math.cos(math.pi * step / steps)) / 2)
                ),
                "This takes the smaller of a rise and a fall that both begin at step 0: the peak "
                "is never reached. The fall begins where the rise ends.",
            ),
        ),
        hints=(
            "Two cases. During the warm-up: peak * step / warmup.",
            "After it, let fall = (step - warmup) / (steps - warmup), which goes from 0 to 1.",
            "cos(pi * fall) goes from 1 to -1. Shift and scale it to go from 1 to 0.",
        ),
        inputs=lambda rng: (
            int(rng.integers(20, 40)),
            int(rng.integers(3, 9)),
            rng.uniform(0.1, 3.0),
        ),
        edges=((4, 1, 1.0), (3, 2, 2.0), (12, 6, 0.5)),
        run=whole_schedule,
        forbidden=("minigen.optim.warmup_cosine",),
    ),
    Exercise(
        "03.clip",
        "Clipping by the global norm",
        reference=clip,
        alternatives=(clip_one_vector, clip_by_norms),
        wrong=(
            (
                clip_each,
                "This clips each array by its own norm, which turns the direction of the step. "
                "One norm for all.",
            ),
            (
                rescale_always,
                "This also stretches gradients that are short enough. Those must be left alone.",
            ),
            (
                rescale_zeros_too,
                "This also stretches gradients that are short enough, and divides by 0 where all "
                "are 0. Which must be left alone?",
            ),
            (clip_to_one, "Long gradients end with the length 1 here. How long may they be?"),
            (
                lambda gradients, max_norm: [np.clip(g, -max_norm, max_norm) for g in gradients],
                "This clips every entry by itself, which turns the direction of the step. Scale "
                "all entries alike.",
            ),
            (
                clip_squared_norm,
                "This compares with the sum of squares. The length of a vector is its root.",
            ),
            (
                lambda gradients, max_norm: [
                    g * min(1.0, max_norm / max(sum(np.linalg.norm(h) for h in gradients), 1e-30))
                    for g in gradients
                ],
                "This adds the lengths of the arrays. The length of one long vector is the root "
                "of the sum of all squares.",
            ),
            (
                lambda gradients, max_norm: [
                    g
                    * min(
                        1.0,
                        max_norm / max(np.sqrt(np.mean([(h**2).mean() for h in gradients])), 1e-30),
                    )
                    for g in gradients
                ],
                "This takes a mean of squares. A length has a sum of squares under the root.",
            ),
            (
                clip_dividing_by_zero,
                "Your result has nan where all gradients are 0: the length is 0 then, and nothing"
                " needs to be scaled.",
            ),
            (
                lambda gradients, max_norm: [
                    g * min(1.0, max_norm / max(max(np.abs(h).max() for h in gradients), 1e-30))
                    for g in gradients
                ],
                "This compares the largest entry. Asked for is the length of the whole.",
            ),
        ),
        hints=(
            "Add up the squares of all entries of all arrays; the root is the length.",
            "The factor is max_norm / length, but never more than 1. Multiply every array by the "
            "same factor.",
        ),
        inputs=some_gradients,
        edges=(
            ([np.zeros((2, 3)), np.zeros(3)], 1.0),
            ([np.array([3.0, 4.0])], 5.0),
            ([np.array([[3e8]]), np.array([4e8])], 1.0),
            ([np.array([0.0, 0.3]), np.array([[0.4]])], 1.0),
        ),
        forbidden=("minigen.optim.Optimizer.step",),
        tries=8,
    ),
)
