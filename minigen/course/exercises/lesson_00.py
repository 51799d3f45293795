"""The checks of lesson 00: start here."""

from copy import deepcopy

import numpy as np

from minigen.course.comparing import difference
from minigen.course.exercise import Exercise

HIDDEN = 17  # what stands in a pixel that is not revealed yet


def signed_levels(x):
    return x / 8 - 1


def draw_levels(p, u):
    return (np.cumsum(p, axis=1) <= u[:, None]).sum(axis=1)


def sharpen(x, clean, now, after):
    return clean + after / now * (x - clean)


def sharpen_by_noise(x, clean, now, after):
    noise = (x - (1 - now) * clean) / now
    return (1 - after) * clean + after * noise


def reveal_some(x, drawn, u, now, after):
    return np.where((x == HIDDEN) & (u >= after / now), drawn, x)


def reveal_by_copy(x, drawn, u, now, after):
    x = x.copy()
    revealed = np.logical_and(x == HIDDEN, u * now >= after)
    x[revealed] = drawn[revealed]
    return x


def put_back(x, known, mask, noise, alpha, sigma):
    return np.where(mask, alpha * known + sigma * noise, x)


def put_back_by_copy(x, known, mask, noise, alpha, sigma):
    x = x.copy()
    x[mask] = alpha * known[mask] + sigma * noise[mask]
    return x


def passes_needed(side, steps, images, batch):
    batches = -(-images // batch)  # rounded up
    return side**2 * batches, steps * batches


# -- inputs ----------------------------------------------------------------------------------------


def levels(rng):
    highest = rng.integers(9, 16)  # never 16: stretching each array by its own maximum fails
    x = rng.integers(0, highest, size=rng.integers(2, 5, size=rng.integers(1, 4)))
    x.flat[:2] = 0, highest
    return (x,)


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


def two_times(rng):
    now = float(rng.uniform(0.3, 1))
    return now, now * float(rng.uniform(0.2, 0.9))


def noisy_and_clean(rng, times=None):
    x, clean = rng.normal(size=(2, *rng.integers(2, 5, size=rng.integers(2, 5))))
    return x, clean, *(times or two_times(rng))


def partly_hidden(rng, times=None, size=None):
    size = rng.integers(3, 12, size=2) if size is None else size
    x, drawn = rng.integers(0, HIDDEN, size=(2, *size))
    hidden = rng.random(size) < 0.6
    hidden.flat[:3] = True, False, True
    return np.where(hidden, HIDDEN, x), drawn, rng.random(size), *(times or two_times(rng))


ON_THE_EDGE = (  # u where hidden and revealed meet, and a written 0 that is not hidden
    np.array([[17, 17, 17, 0], [17, 5, 0, 17]]),
    np.array([[4, 0, 16, 9], [1, 2, 3, 4]]),
    np.array([[0.5, 0.25, 0.75, 0.9], [0.0, 0.9, 0.6, 0.5]]),
    1.0,
    0.5,
)


def half_noisy(rng, size=None, mix=None):
    size = rng.integers(2, 5, size=rng.integers(2, 5)) if size is None else size
    x, known, noise = rng.normal(size=(3, *size))
    mask = rng.random(size) < 0.6
    mask.flat[:2] = True, False
    return x, known, mask, noise, *(mix or rng.uniform(0.2, 0.9, size=2).tolist())


def some_counts(rng):
    batch = int(rng.integers(2, 20))
    images = batch * int(rng.integers(2, 6))
    if rng.random() < 0.6:  # in the other tries the last batch is full
        images += int(rng.integers(1, batch))
    return int(rng.integers(4, 17)), int(rng.integers(17, 60)), images, batch


# -- answers that write into what they were given --------------------------------------------------


def sharpens_x(x, clean, now, after):
    x -= clean
    x *= after / now
    x += clean
    return x


def reveals_in_x(x, drawn, u, now, after):
    revealed = (x == HIDDEN) & (u >= after / now)
    x[revealed] = drawn[revealed]
    return x


def puts_into_x(x, known, mask, noise, alpha, sigma):
    x[mask] = (alpha * known + sigma * noise)[mask]
    return x


# -- running answers -------------------------------------------------------------------------------


# The verdict says: "this is a result that ..., where a NumPy array belongs".
KIND = "result that changes from call to call"
CHANGING = type(KIND, (), {"__repr__": lambda self: "one thing now, another then"})()


def repeatedly(answer, *arguments):
    """Who draws random numbers of their own gives another result for the same arguments."""
    kept = deepcopy(arguments)
    result = answer(*arguments)
    for _ in range(20):
        if difference(answer(*deepcopy(kept)), result, tolerance=0) is not None:
            return CHANGING
    return result


def swapped_times(x, clean, now, after):
    with np.errstate(divide="ignore", invalid="ignore"):  # at now = 1
        noise = (x - now * clean) / (1 - now)
    return after * clean + (1 - after) * noise


def swapped_at_now(x, clean, now, after):
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = (x - now * clean) / (1 - now)
        return (1 - after) * clean + after * noise


IN_PLACE = "This writes into x itself. Whoever called you still needs x: work on a copy."


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
                "This runs from 0 to 1: level 0 lands in the middle of the wanted range. "
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
                "another number in the "
                "next image.",
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
                lambda x: (x - 8) / 8,
                "Right where x can be negative. The images are of dtype uint8, which cannot: what "
                "is 3 - 8 there?",
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
        minutes=3,
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
                lambda p, u: np.rint(p @ np.arange(17)).astype(int),
                "This is the mean level. Between white paper and black ink it is a grey that may "
                "have no chance at all.",
            ),
            (
                lambda p, u: (np.cumsum(p, axis=1) <= u[:, None]).sum(axis=1) + 1,
                "This is one level too high: levels are counted from 0. What if no piece ends "
                "before u?",
            ),
            (
                lambda p, u: (np.cumsum(p, axis=1) < u[:, None]).sum(axis=1),
                "This is right but where u stands exactly between two pieces. To which of the two "
                "does that point belong?",
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
                lambda p, u: np.searchsorted(np.cumsum(p[0]), u, side="right"),
                "This asks the row of the first image for all of them. Every image has its own.",
            ),
            (
                lambda p, u: (np.cumsum(p, axis=1) <= u[:, None]).sum(axis=1).astype(float),
                "The right levels, as floats. Levels are integers: the table is asked with them.",
            ),
            (
                lambda p, u: np.array([np.random.default_rng().choice(17, p=row) for row in p]),
                "This draws by random numbers of its own, and u is not used. All the chance that "
                "you need is in u.",
            ),
            (
                lambda p, u: np.cumsum(p, axis=1) <= u[:, None],
                "This says of each of the 17 pieces whether it ends at or before u. One level for "
                "each image is asked for: how do you get from 17 answers to one?",
            ),
            (
                lambda p, u: np.cumsum(p, axis=1) > u[:, None],
                "This says of each of the 17 pieces whether it ends after u. Which of those that "
                "do contains u? One level for each image is asked for.",
            ),
            (
                lambda p, u: np.cumsum(p, axis=1),
                "These are the ends of the pieces, a good beginning. Now hold u against them.",
            ),
        ),
        hints=(
            "Where does each piece end? One NumPy function turns lengths into ends.",
            "Give u a second axis, `u[:, None]`, so that it meets all 17 ends of its row.",
            "How many pieces end at or before u? Try it on paper with u = 0.",
        ),
        inputs=rows_and_uniforms,
        run=repeatedly,
        edges=(BOUNDARIES, (certain({5: 0.5, 6: 0.5}), np.array([0.25]))),
        forbidden=("minigen.sampling.categorical",),
        minutes=6,
    ),
    Exercise(
        "00.sharpen",
        "One step of the diffusion walk",
        reference=sharpen,
        alternatives=(
            sharpen_by_noise,
            lambda x, clean, now, after: (1 - after / now) * clean + x * (after / now),
        ),
        wrong=(
            (
                lambda x, clean, now, after: np.array(clean),
                "This believes the prediction wholly, in one step. How much noise belongs in the "
                "image at time `after`?",
            ),
            (
                lambda x, clean, now, after: (1 - after) * clean + after * x,
                "This mixes the prediction with x. But x is no pure noise: it holds some image "
                "already.",
            ),
            (
                lambda x, clean, now, after: (1 - after) * clean + after * (x - (1 - now) * clean),
                "The image is taken out of x rightly. What is left is not the noise but some "
                "multiple of it: which?",
            ),
            (
                lambda x, clean, now, after: (1 - after) * clean + after * (x - clean) / now,
                "This takes the whole image out of x. How much of it is in x at time `now`?",
            ),
            (
                lambda x, clean, now, after: (1 - after) * clean + after * (x - clean),
                "x - clean is not the noise: how much image, and how much noise, is in x at `now`?",
            ),
            (
                lambda x, clean, now, after: clean + now / after * (x - clean),
                "This makes the image noisier, not cleaner: look at which time stands above which.",
            ),
            (
                lambda x, clean, now, after: x + (now - after) * (clean - x),
                "This goes the share `now - after` of the way. When `after` is 0 the walk must "
                "arrive, wherever it comes from.",
            ),
            (
                lambda x, clean, now, after: (
                    after * clean + (1 - after) * (x - (1 - now) * clean) / now
                ),
                "The noise is right; then signal and noise are swapped. At time 0 all is clean.",
            ),
            (
                lambda x, clean, now, after: (
                    (1 - after) * clean + now * (x - (1 - now) * clean) / now
                ),
                "The noise is right, and this puts as much of it back as there was. How much "
                "belongs there at time `after`?",
            ),
            (
                lambda x, clean, now, after: (
                    (1 - after) * clean + after * np.random.default_rng().normal(size=x.shape)
                ),
                "This puts new noise in. It is *that* noise which is kept, the one in x: if clean "
                "is right, you know it.",
            ),
            (
                swapped_times,
                "This takes time 1 for clean and time 0 for noise. In x there is 1 - now of the "
                "image and now of the noise.",
            ),
            (
                swapped_at_now,
                "At `after` the mixture is right. At `now` the shares of image and noise are "
                "swapped.",
            ),
            (sharpens_x, IN_PLACE),
        ),
        hints=(
            "If `clean` is right, x = (1 - now) clean + now noise. Which noise is that?",
            "With that noise and that image: what does the same mixture look like at `after`?",
            "Two lines: `noise = ...` from x, clean and now; then the mixture at time `after`.",
        ),
        inputs=noisy_and_clean,
        run=repeatedly,
        edges=(
            noisy_and_clean(np.random.default_rng(0), (1.0, 0.5)),
            noisy_and_clean(np.random.default_rng(1), (0.25, 0.0)),
            noisy_and_clean(np.random.default_rng(2), (1.0, 0.0)),
        ),
        forbidden=("minigen.sampling.ddim",),
        minutes=6,
    ),
    Exercise(
        "00.reveal",
        "One step of the masked walk",
        reference=reveal_some,
        alternatives=(
            reveal_by_copy,
            lambda x, drawn, u, now, after: np.where(
                np.where(x == HIDDEN, u < after / now, True), x, drawn
            ),
        ),
        wrong=(
            (
                lambda x, drawn, u, now, after: np.where(u >= after / now, drawn, x),
                "This also writes over pixels that were revealed before. What is committed stays.",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    (x == HIDDEN) & (u < after / now), drawn, x
                ),
                "This reveals just those that should stay hidden. In the last step, after = 0: "
                "which pixels should be left?",
            ),
            (
                lambda x, drawn, u, now, after: np.where((x == HIDDEN) & (u >= after), drawn, x),
                "This lets a hidden pixel stay hidden with probability `after`. But of all pixels "
                "only the share `now` is still hidden.",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    (x == HIDDEN) & (u < now - after), drawn, x
                ),
                "`now - after` is a share of all pixels; you decide about those still hidden.",
            ),
            (
                lambda x, drawn, u, now, after: np.where(x == HIDDEN, drawn, x),
                "This reveals everything at once: u, now and after are not looked at.",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    (x == HIDDEN) & (u >= after / now), drawn, HIDDEN
                ),
                "This hides again what was revealed in earlier steps. What is committed stays.",
            ),
            (
                lambda x, drawn, u, now, after: np.where((x == 0) & (u >= after / now), drawn, x),
                "This takes level 0 for hidden. 0 is white paper; what number hides a pixel?",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    (x == HIDDEN) & (u[:, :1] >= after / now), drawn, x
                ),
                "This decides once for each image. Every pixel has a number of its own in u.",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    (x == HIDDEN) & (u < 1 - after / now), drawn, x
                ),
                "As many are revealed as should be, but others: the pixels that stay hidden are "
                "those whose u is *below* after / now.",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    (x == HIDDEN) & (u <= after / now), drawn, x
                ),
                "The odds are on the wrong side: with probability after / now a hidden pixel "
                "*stays* hidden, and you reveal it.",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    (x == HIDDEN) & (u >= 1 - after / now), drawn, x
                ),
                "This reveals with probability after / now. That is the probability of what?",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    (x == HIDDEN) & (u >= now - after), drawn, x
                ),
                "This lets a hidden pixel stay hidden with probability `now - after`. Of those "
                "still hidden, a share `now` of all, a share `after` of all is to be left.",
            ),
            (
                lambda x, drawn, u, now, after: np.where((x == HIDDEN) & (u > now), drawn, x),
                "This does not look at `after`: a short step and a long one would reveal alike.",
            ),
            (
                lambda x, drawn, u, now, after: np.where((x == HIDDEN) & (u < now), drawn, x),
                "This reveals with probability `now`, wherever the step leads: what is `after` "
                "for?",
            ),
            (
                lambda x, drawn, u, now, after: np.where(
                    u < after / now, HIDDEN, np.where(x == HIDDEN, drawn, x)
                ),
                "What should stay hidden does; but pixels revealed before are hidden again where "
                "their u is small. Only hidden ones take part.",
            ),
            (
                lambda x, drawn, u, now, after: np.where(u < after / now, HIDDEN, drawn),
                "This makes a new state out of `drawn` alone: what x had revealed is lost.",
            ),
            (reveals_in_x, IN_PLACE),
        ),
        hints=(
            "Which pixels may change at all? `x == 17` says it for all of them at once.",
            "Two conditions, joined with `&`, each in brackets; then `np.where(both, ..., x)`.",
        ),
        inputs=partly_hidden,
        edges=(
            ON_THE_EDGE,
            partly_hidden(np.random.default_rng(0), (0.25, 0.0)),
            (np.full((1, 3), 17), np.array([[0, 16, 8]]), np.array([[0.1, 0.5, 0.9]]), 1.0, 0.75),
            (np.array([[3, 0]]), np.array([[5, 6]]), np.array([[0.9, 0.99]]), 0.5, 0.25),
        ),
        forbidden=("minigen.sampling.reveal",),
        minutes=6,
    ),
    Exercise(
        "00.put_back",
        "Put the known pixels back, as noisy as the rest",
        reference=put_back,
        alternatives=(
            put_back_by_copy,
            lambda x, known, mask, noise, alpha, sigma: (
                mask * (alpha * known + sigma * noise) + ~mask * x
            ),
        ),
        wrong=(
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(mask, known, x),
                "This puts the known pixels back clean, though the rest is still noisy. "
                "The network has never seen an image that is half clean.",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(
                    mask, x, alpha * known + sigma * noise
                ),
                "This replaces the lost pixels and leaves the known ones: the mask the wrong way "
                "round.",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(
                    mask, sigma * known + alpha * noise, x
                ),
                "This swaps signal and noise. With alpha = 1, sigma = 0 everything should be "
                "clean.",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(
                    mask, known + sigma * noise, x
                ),
                "This adds the noise to the full signal. What multiplies the clean image?",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(mask, alpha * known, x),
                "This fades the known pixels, but puts no noise on them: the rest has some.",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(
                    mask, alpha * known + sigma * x, x
                ),
                "This takes x for noise. x is what the walk has made; the noise comes by itself.",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: alpha * known + sigma * noise,
                "This replaces every pixel: nothing of x, which the walk has made, is left.",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(
                    mask, alpha * (known + sigma * noise), x
                ),
                "This weakens the noise by alpha too. Each of the two has its own factor.",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: (
                    np.where(mask, alpha * known, x) + sigma * noise
                ),
                "This puts noise on every pixel. Where mask is false, x has its noise already and "
                "stays as it is.",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: (
                    alpha * np.where(mask, known, x) + sigma * noise
                ),
                "This makes everything noisy, x too, which is noisy already. Which pixels does "
                "the mixture belong to?",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(
                    mask, alpha * x + sigma * noise, x
                ),
                "This mixes x with the noise. Which image is to be put back?",
            ),
            (
                lambda x, known, mask, noise, alpha, sigma: np.where(
                    mask, known, alpha * x + sigma * noise
                ),
                "This makes x noisier and leaves the known pixels clean: the mixture is for the "
                "other one.",
            ),
            (puts_into_x, IN_PLACE),
        ),
        hints=(
            "Two steps: make the known image noisy, then choose pixel by pixel.",
            "`np.where(condition, a, b)` takes from a where the condition is true, else from b, "
            "and makes a new array.",
        ),
        inputs=half_noisy,
        edges=(
            half_noisy(np.random.default_rng(0), (2, 2), (1.0, 0.0)),
            half_noisy(np.random.default_rng(1), (3,), (0.0, 1.0)),
        ),
        forbidden=("minigen.sampling.inpaint",),
        minutes=3,
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
                "This counts the passes as if each image were made alone. What do the images of "
                "a batch share?",
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
                "This takes a pass for every pixel of every diffusion step. How much of the "
                "image does one step touch?",
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
)
