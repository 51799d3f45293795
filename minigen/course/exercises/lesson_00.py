"""The checks of lesson 00: start here."""

import numpy as np

from minigen.course.exercise import Exercise


def signed_levels(x):
    return x / 8 - 1


def passes_needed(side, steps, images, batch):
    batches = -(-images // batch)  # rounded up
    return side**2 * batches, steps * batches


def draw_levels(p, u):
    return (np.cumsum(p, axis=1) <= u[:, None]).sum(axis=1)


def put_back(x, known, mask, noise, t):
    return np.where(mask, (1 - t) * known + t * noise, x)


def put_back_by_copy(x, known, mask, noise, t):
    x = x.copy()
    x[mask] = known[mask] + t * (noise[mask] - known[mask])
    return x


def levels(rng):
    highest = rng.integers(9, 16)  # never 16: stretching each array by its own maximum fails
    x = rng.integers(0, highest, size=rng.integers(2, 5, size=rng.integers(1, 4)))
    x.flat[:2] = 0, highest
    return (x,)


def some_counts(rng):
    batch = int(rng.integers(2, 20))
    images = batch * int(rng.integers(2, 6))
    if rng.random() < 0.6:  # in the other tries the last batch is full
        images += int(rng.integers(1, batch))
    return int(rng.integers(4, 17)), int(rng.integers(17, 60)), images, batch


def rows_and_uniforms(rng):
    n = int(rng.integers(20, 200))
    return rng.dirichlet(np.full(17, 0.4), size=n), rng.random(n)  # uneven rows


def certain(*rows):
    """Rows of 17 probabilities in which only these levels, {level: probability}, can come."""
    p = np.zeros((len(rows), 17))
    for row, probabilities in zip(p, rows):
        row[list(probabilities)] = list(probabilities.values())
    return p


BOUNDARIES = (  # u where one piece ends and the next begins; pieces of length 0
    certain({3: 0.5, 9: 0.5}, {3: 0.5, 9: 0.5}, {0: 0.25, 1: 0.75}, {16: 1.0}, {2: 1.0}),
    np.array([0.0, 0.5, 0.25, 0.0, 0.75]),
)


def half_noisy(rng, size=None, t=None):
    size = rng.integers(2, 5, size=rng.integers(2, 5)) if size is None else size
    x, known, noise = rng.normal(size=(3, *size))
    mask = rng.random(size) < 0.6
    mask.flat[:2] = True, False
    return x, known, mask, noise, float(rng.uniform(0.2, 0.8)) if t is None else t


def changes_x(x, known, mask, noise, t):
    x[mask] = ((1 - t) * known + t * noise)[mask]
    return x


EXERCISES = (
    Exercise(
        "00.signed",
        "Grey levels 0..16 as numbers from -1 to 1",
        reference=signed_levels,
        alternatives=(
            lambda x: 2 * (x / 16) - 1,
            lambda x: np.interp(x, [0, 16], [-1.0, 1.0]),
            lambda x: np.linspace(-1, 1, 17)[x],
        ),
        wrong=(
            (
                lambda x: x / 16,
                "This runs from 0 to 1: the lowest level is in the middle of where it should end. "
                "How long is the way from -1 to 1, and where does it begin?",
            ),
            (
                lambda x: x / 17 * 2 - 1,
                "This is what you get with 17 as the highest level. There are 17 levels; which "
                "number has the last?",
            ),
            (lambda x: x / 8, "This runs from 0 to 2: the length is right. Where should it begin?"),
            (
                lambda x: (x - 8) / 16,
                "This runs from -0.5 to 0.5: it lies around 0 as it should, and goes half as far "
                "as it should.",
            ),
            (
                lambda x: 2 * x / max(x.max(), 1) - 1,
                "This takes the highest level of this array for 16: the same grey would become "
                "another number in the next image.",
            ),
            (
                lambda x: x / 16 - 1,
                "This runs from -1 to 0: it begins right, and goes half as far as it should.",
            ),
            (
                lambda x: x // 8 - 1,
                "This is what whole-number division gives: all levels between two multiples "
                "become one.",
            ),
            (
                lambda x: 1 - x / 8,
                "This is the negative: paper and ink are swapped. Which end belongs to level 0?",
            ),
        ),
        hints=(
            "What does level 0 become, what level 16, and what level 8?",
            "A straight line through two points: stretch the interval 0..16 to length 2, then "
            "shift it.",
        ),
        inputs=levels,
        edges=(
            (np.array([[0, 16], [8, 3]], dtype=np.uint8),),
            (np.array([16, 15, 1, 0]),),
            (np.array([7]),),
            (np.zeros((2, 1, 2), dtype=np.uint8),),
        ),
        forbidden=("minigen.data.digits.to_signed",),
    ),
    Exercise(
        "00.passes",
        "Network passes of both families",
        reference=passes_needed,
        alternatives=(
            lambda side, steps, images, batch: tuple(
                n * int(np.ceil(images / batch)) for n in (side * side, steps)
            ),
            lambda side, steps, images, batch: (
                sum(side * side for _ in range(0, images, batch)),
                sum(steps for _ in range(0, images, batch)),
            ),
        ),
        wrong=(
            (
                lambda side, steps, images, batch: (side**2 * images, steps * images),
                "This counts the passes as if each image were made alone. What do the images of a"
                " batch share?",
            ),
            (
                lambda side, steps, images, batch: (
                    side**2 * (images // batch),
                    steps * (images // batch),
                ),
                "This forgets the last batch, the one that is not full. It needs its passes too.",
            ),
            (
                lambda side, steps, images, batch: (
                    side**2 * (images // batch + 1),
                    steps * (images // batch + 1),
                ),
                "This always counts one more batch at the end. What if the last batch is exactly "
                "full?",
            ),
            (
                lambda side, steps, images, batch: (
                    side * -(-images // batch),
                    steps * -(-images // batch),
                ),
                "This takes one pass for each row of pixels. How many pixels has a square image?",
            ),
            (
                lambda side, steps, images, batch: (
                    side**2 * images / batch,
                    steps * images / batch,
                ),
                "This divides without rounding: the number of batches is a whole number.",
            ),
            (
                lambda side, steps, images, batch: (side**2, steps),
                "This is right for one batch. How many batches are there?",
            ),
            (
                lambda side, steps, images, batch: (
                    steps * -(-images // batch),
                    side**2 * -(-images // batch),
                ),
                "This is the pair the wrong way round: the autoregressive number comes first.",
            ),
            (
                lambda side, steps, images, batch: (
                    side**2 * -(-images // batch),
                    side**2 * steps * -(-images // batch),
                ),
                "This takes a pass for every pixel of every diffusion step. How much of the image"
                " does one step touch?",
            ),
        ),
        hints=(
            "Take 5 images in batches of 2 on paper: how many batches is that?",
            "Both numbers are (passes for one batch) times (number of batches).",
            "Rounding up: `math.ceil(a / b)`, or `-(-a // b)` in whole numbers.",
        ),
        inputs=some_counts,
        edges=((4, 10, 1, 1), (3, 20, 5, 8), (2, 7, 12, 4), (1, 1, 3, 2)),
    ),
    Exercise(
        "00.draw",
        "Draw one grey level for each image of a batch",
        reference=draw_levels,
        alternatives=(
            lambda p, u: np.array(
                [np.searchsorted(np.cumsum(row), v, side="right") for row, v in zip(p, u)]
            ),
            lambda p, u: (np.cumsum(p, axis=1) > u[:, None]).argmax(axis=1),
            lambda p, u: np.count_nonzero(u[:, None] >= p @ np.triu(np.ones((17, 17))), axis=1),
        ),
        wrong=(
            (
                lambda p, u: p.argmax(axis=1),
                "This always takes the most likely level and never looks at u: every image would "
                "be the same.",
            ),
            (
                lambda p, u: (np.cumsum(p, axis=1) <= u[:, None]).sum(axis=1) + 1,
                "This is one level too high: levels are counted from 0. What if no piece ends "
                "before u?",
            ),
            (
                lambda p, u: (u * 17).astype(int),
                "This cuts the line into 17 equal pieces: all levels alike likely, whatever p "
                "says.",
            ),
            (
                lambda p, u: (p > u[:, None]).argmax(axis=1),
                "This holds u against each probability by itself. Where on the line does a piece "
                "begin and end?",
            ),
            (
                lambda p, u: (np.cumsum(p, axis=1) > u[:, None]).sum(axis=1),
                "This counts the pieces that end after u, so the line is read from the wrong end.",
            ),
            (
                lambda p, u: np.minimum((np.cumsum(p, axis=0) <= u[:, None]).sum(axis=1), 16),
                "This adds up down the batch, from image to image. Which axis holds the 17 levels?",
            ),
            (
                lambda p, u: (np.cumsum(p, axis=1) < u[:, None]).sum(axis=1),
                "Right but where u lies exactly on the end of a piece. A piece contains its left "
                "end and not its right one; and a piece of length 0 contains nothing.",
            ),
            (
                lambda p, u: (p[:, ::-1].cumsum(axis=1) <= u[:, None]).sum(axis=1),
                "This lays the pieces from the last level to the first. Level 0 begins at 0.",
            ),
        ),
        hints=(
            "Where does each piece end? One NumPy function turns lengths into ends.",
            "Give u a second axis, `u[:, None]`, so that it meets all 17 ends of its row.",
            "The number of pieces that end at or before u is the number of the piece that "
            "contains u.",
        ),
        inputs=rows_and_uniforms,
        edges=(BOUNDARIES, (certain({5: 0.5, 6: 0.5}), np.array([0.25]))),
        forbidden=("minigen.sampling.categorical",),
    ),
    Exercise(
        "00.put_back",
        "Put the known pixels back, as noisy as the rest",
        reference=put_back,
        alternatives=(
            put_back_by_copy,
            lambda x, known, mask, noise, t: mask * ((1 - t) * known + t * noise) + ~mask * x,
        ),
        wrong=(
            (
                lambda x, known, mask, noise, t: np.where(mask, known, x),
                "This puts the known pixels back clean, though the rest is still noisy at time t. "
                "The network has never seen an image that is half clean.",
            ),
            (
                lambda x, known, mask, noise, t: np.where(mask, x, (1 - t) * known + t * noise),
                "This replaces the lost pixels and leaves the known ones: the mask the wrong way "
                "round.",
            ),
            (
                lambda x, known, mask, noise, t: np.where(mask, t * known + (1 - t) * noise, x),
                "This swaps signal and noise. At t = 0 everything should be clean.",
            ),
            (
                lambda x, known, mask, noise, t: np.where(mask, known + t * noise, x),
                "This adds the noise to the full signal. What multiplies the clean image at time "
                "t?",
            ),
            (
                lambda x, known, mask, noise, t: (1 - t) * known + t * noise,
                "This replaces every pixel: nothing of x, which the walk has made, is left.",
            ),
            (
                changes_x,
                "This writes into x itself. Whoever called your function still needs x: work on a"
                " copy.",
            ),
            (
                lambda x, known, mask, noise, t: np.where(mask, (1 - t) * known + t * noise, 0),
                "Where the mask is false nothing is left: those pixels belong to the walk, keep "
                "its x.",
            ),
            (
                lambda x, known, mask, noise, t: np.where(mask, (1 - t) * x + t * noise, x),
                "This makes x noisier where the mask is true. Which image is known there?",
            ),
        ),
        hints=(
            "Two steps: make the known image noisy, then choose pixel by pixel.",
            "`np.where(condition, a, b)` takes from a where the condition is true, else from b, "
            "and makes a new array.",
        ),
        inputs=half_noisy,
        edges=(
            half_noisy(np.random.default_rng(0), (2, 2), 0.0),
            half_noisy(np.random.default_rng(1), (3,), 1.0),
        ),
        forbidden=("minigen.sampling.inpaint",),
    ),
)
