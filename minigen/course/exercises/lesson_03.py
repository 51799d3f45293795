"""The checks of lesson 03: layers and training."""

import math

import numpy as np

from minigen.course.exercise import Exercise

# -- 2: momentum -----------------------------------------------------------------------------------


def momentum_step(p, v, g, lr, momentum):
    v = momentum * v + g
    return p - lr * v, v


def momentum_step_in_copies(p, v, g, lr, momentum):
    p, v = p.copy(), v.copy()
    v *= momentum
    v += g
    p -= lr * v
    return p, v


# -- 3: clipping -----------------------------------------------------------------------------------


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


def clip_squared_norm(gradients, max_norm):
    norm = sum((g**2).sum() for g in gradients)
    return [g * min(1.0, max_norm / max(norm, 1e-30)) for g in gradients]


def some_gradients(rng):
    """Arrays of some shapes; a limit below or above their common length, with equal chances."""
    ranks = rng.integers(1, 4, size=rng.integers(2, 4))
    gradients = [rng.normal(size=rng.integers(1, 5, size=rank)) for rank in ranks]
    norm = math.sqrt(sum((g**2).sum() for g in gradients))
    return gradients, norm * rng.choice([0.4, 1.5])


# -- 4: weights for ReLU ---------------------------------------------------------------------------


def relu_std(fan_in):
    return math.sqrt(2 / fan_in)


# -- 5: warm-up and cosine -------------------------------------------------------------------------


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


@np.errstate(all="ignore")
def clip_dividing_by_zero(gradients, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * np.minimum(1.0, max_norm / norm) if norm else g / norm for g in gradients]


EXERCISES = (
    Exercise(
        "03.bugs",
        "Three bugs by their symptoms",
        reference="312",
        alternatives=(" 312", 312, "3, 1, 2", ["3", "1", "2"]),
        choices=("1", "2", "3"),
        wrong=(
            (
                "321",
                "One run starts with a loss that is not the loss of guessing. Which, and what "
                "does that say?",
            ),
            ("132", "Whose gradient only grows, and who has the right run's curves exactly?"),
            (
                "123",
                "This is the order of the list. Compare each run with the right one: first loss, "
                "gradient, bytes.",
            ),
            (
                "213",
                "Look at the bytes: one of the three needs twice the memory for the same numbers.",
            ),
            (
                "231",
                "Look at the bytes first: they settle one letter. Then at the first loss: what is"
                " log 50?",
            ),
        ),
        hints=(
            "One bug changes no curve at all. Which column of the table can tell it?",
            "A softmax over 50 examples that spreads its bets gives each 1/50. What does that "
            "cost in nats?",
            "A sum of all past gradients is momentum 1: a ball without friction. What does it do "
            "in a valley?",
        ),
    ),
    Exercise(
        "03.momentum",
        "One step of SGD with momentum",
        reference=momentum_step,
        alternatives=(
            momentum_step_in_copies,
            lambda p, v, g, lr, momentum: (p - lr * momentum * v - lr * g, g + momentum * v),
        ),
        wrong=(
            (
                lambda p, v, g, lr, momentum: (p - lr * g, momentum * v + g),
                "This moves against the gradient of this step alone: the velocity is remembered "
                "but never used.",
            ),
            (
                lambda p, v, g, lr, momentum: (p - lr * v, momentum * v + g),
                "This moves with the velocity from before this step. Which of the two comes first"
                " in the formula?",
            ),
            (
                lambda p, v, g, lr, momentum: (p + lr * (momentum * v + g), momentum * v + g),
                "This goes uphill: the gradient points to where the loss grows.",
            ),
            (
                lambda p, v, g, lr, momentum: (
                    p - lr * (momentum * v + (1 - momentum) * g),
                    momentum * v + (1 - momentum) * g,
                ),
                "This is a running mean, as in Adam. SGD keeps a running sum: the gradient enters"
                " with weight 1.",
            ),
            (
                lambda p, v, g, lr, momentum: (p - (momentum * v + lr * g), momentum * v + lr * g),
                "This puts the learning rate into the velocity: the same path while lr is "
                "constant, but another velocity. Where does the formula have lr?",
            ),
            (
                lambda p, v, g, lr, momentum: (p - lr * (v + g), v + g),
                "This never forgets: what multiplies the old velocity?",
            ),
            (
                lambda p, v, g, lr, momentum: (p - lr * (momentum * v - g), momentum * v - g),
                "In this velocity the gradient has the wrong sign. The velocity adds the "
                "gradients up; the step goes against it.",
            ),
            (
                lambda p, v, g, lr, momentum: (
                    p - lr * (momentum * v + g) - lr * g,
                    momentum * v + g,
                ),
                "This uses the gradient twice: once within the velocity and once beside it.",
            ),
        ),
        hints=(
            "Two lines: first the velocity, then the parameter.",
            "new v = momentum * v + g. The parameter moves by lr times the NEW v, against it.",
        ),
        inputs=lambda rng: (
            *rng.normal(size=(3, *rng.integers(1, 5, size=rng.integers(1, 3)))),
            rng.uniform(0.05, 2.0),
            rng.uniform(0.3, 0.9),
        ),
        edges=(
            (np.array([1.0, 2.0]), np.zeros(2), np.array([0.5, -1.0]), 0.1, 0.9),
            (np.array([[1.0]]), np.array([[4.0]]), np.array([[2.0]]), 0.5, 0.0),
            (np.array([1.0, 1.0, 1.0]), np.array([1.0, -2.0, 0.0]), np.zeros(3), 1.0, 0.5),
        ),
        forbidden=("minigen.optim.SGD._update",),
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
)
