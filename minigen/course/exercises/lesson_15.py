"""The checks of lesson 15: block diffusion; and the three runs that the lesson asks to name."""

import functools
import itertools

import numpy as np

import minigen as mg
from minigen.course.exercise import Exercise
from minigen.networks import block_mask

# -- Break it: one run that is right, three with one fault each ------------------------------------

LENGTH, SIZE, STAY = 12, 4, 0.9  # strings of bits that mostly repeat the one before
FAULTS = {
    "right": ("two copies", "random"),
    "A": ("one copy", "random"),
    "B": ("clean copy looks ahead", "random"),
    "C": ("two copies", "confidence"),
}


def strings(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 12) bits: the first is fair, each other repeats the one before with probability 0.9."""
    changes = np.where(
        np.arange(LENGTH), rng.random((n, LENGTH)) > STAY, rng.random((n, LENGTH)) > 0.5
    )
    return np.cumsum(changes, axis=1) % 2


class Run(mg.BlockDiffusion):
    """Block diffusion whose training pass may have a fault."""

    def predict(self, x, hidden):
        n, noisy = x.shape[1], self.q_sample(x, hidden)
        clean = block_mask(n, self.block_size)
        if self.training_pass == "one copy":
            return self.network(noisy, clean)
        own = clean & clean.T
        ahead = self.training_pass == "clean copy looks ahead"
        mask = np.block([[own, clean & ~own], [np.zeros_like(own), clean | ahead]])
        copies = np.concatenate([noisy, x], axis=1)
        return self.network(copies, mask, positions=np.tile(np.arange(n), 2))[:, :n]


@functools.cache
def trained(training_pass: str) -> Run:
    rng = np.random.default_rng(0)
    model = Run(2, LENGTH, 2, 2, 32, weighting="bound", block_size=SIZE, rng=rng)
    model.training_pass = training_pass
    batches = mg.data.batches(strings(4000, rng), 64, rng)
    mg.fit(model, batches, steps=250, lr=5e-3, rng=rng)
    return model


def block_run(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Of run "right", "A", "B" or "C": nats a block by its own bound (3,), samples (2000, 12)."""
    training_pass, order = FAULTS[name]
    model, rng = trained(training_pass), np.random.default_rng(1)
    test, nats = strings(1000, rng), []
    for _ in range(8):
        hidden = model.hide(test, rng)
        parts = -model.weights(hidden) * model.token_log_probs(test, hidden)
        nats.append(parts.reshape(len(test), -1, SIZE).sum(axis=2).mean(axis=0))
    return np.mean(nats, axis=0), model.sample(2000, rng, order=order)


# -- who may look at whom --------------------------------------------------------------------------


def as_floats(answer, *arguments):
    """0 and 1 may be booleans, whole numbers or floats."""
    return np.asarray(answer(*arguments), dtype=float)


def two_copies(length, size):
    block = np.arange(length) // size
    same = block[:, None] == block
    before = block[:, None] > block
    return np.block([[same, before], [np.zeros_like(same), same | before]])


def two_copies_by_loops(length, size):
    mask = np.zeros((2 * length, 2 * length), bool)
    for i in range(2 * length):
        for j in range(2 * length):
            b, c = i % length // size, j % length // size
            if i < length:
                mask[i, j] = b == c if j < length else c < b
            else:
                mask[i, j] = j >= length and c <= b
    return mask


def two_copies_by_kron(length, size):
    """Of one position a block, then every entry made a square."""
    blocks = length // size
    eye, lower = np.eye(blocks), np.tri(blocks)
    small = np.block([[eye, lower - eye], [0 * eye, lower]])
    return np.kron(small, np.ones((size, size)))


def two_copies_with(
    see=lambda same, before: same,
    given=lambda same, before: before,
    back=lambda same, before: np.zeros_like(same),
    clean=lambda same, before: same | before,
    block=lambda length, size: np.arange(length) // size,
):  # fmt: skip
    """Room for mistakes in each of the four quarters, and in what a block is."""

    def mask(length, size):
        number = block(length, size)
        same, before = number[:, None] == number, number[:, None] > number
        return np.block(
            [[see(same, before), given(same, before)], [back(same, before), clean(same, before)]]
        )

    return mask


def everything(same, before):
    return np.ones_like(same)


def a_length_and_a_size(rng):
    size = int(rng.integers(1, 5))
    return size * int(rng.integers(1, 5)), size


# -- the bound -------------------------------------------------------------------------------------


def bound(log_p, hidden, size):
    parts = np.where(hidden, log_p, 0).reshape(len(log_p), -1, size)
    k = hidden.reshape(parts.shape).sum(axis=2)
    return (size / k * parts.sum(axis=2)).sum(axis=1)


def bound_by_loops(log_p, hidden, size):
    total = np.zeros(len(log_p))
    for start in range(0, log_p.shape[1], size):
        part = slice(start, start + size)
        for row in range(len(log_p)):
            total[row] += size * log_p[row, part][hidden[row, part]].mean()
    return total


def bound_by_weights(log_p, hidden, size):
    k = np.add.reduceat(hidden.astype(int), np.arange(0, hidden.shape[1], size), axis=1)
    weights = size / np.repeat(k, size, axis=1)
    return np.einsum("bi,bi->b", weights * hidden, log_p)


def bound_with(
    weight=lambda k, size, L: size / k,
    inside=lambda hidden: hidden,
    total=lambda blocks, L: blocks.sum(axis=1),
):
    """Room for mistakes: another weight, other positions, another total."""

    def wrong(log_p, hidden, size):
        L = log_p.shape[1]
        parts = np.where(inside(hidden), log_p, 0).reshape(len(log_p), -1, size)
        k = hidden.reshape(parts.shape).sum(axis=2)
        return total(weight(k, size, L) * parts.sum(axis=2), L)

    return wrong


def bound_of_the_row(log_p, hidden, size):
    """As for masked diffusion of the whole."""
    return log_p.shape[1] / hidden.sum(axis=1) * np.where(hidden, log_p, 0).sum(axis=1)


def some_hidden(rng, size=None):
    size = int(rng.integers(2, 5)) if size is None else size
    B, blocks = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    k = rng.integers(1, size + 1, (B, blocks, 1))
    hidden = rng.random((B, blocks, size)).argsort(axis=2) < k
    return np.log(rng.random((B, blocks * size))), hidden.reshape(B, -1), size


# -- the walk --------------------------------------------------------------------------------------


def write_blocks(read, commit, x, size, steps):
    states, each = [x], size // steps
    for start in range(0, x.shape[1], size):
        block = slice(start, start + size)
        for now in range(size, 0, -each):
            logits = read(x, start, start + size)
            x = x.copy()
            x[:, block] = commit(x[:, block], logits, now, now - each)
            states.append(x)
    return np.array(states)


def write_blocks_by_the_walk(read, commit, x, size, steps):
    states, times = [x], range(size, -1, -(size // steps))
    for start in range(0, x.shape[1], size):
        before, block, after = np.split(x, [start, start + size], axis=1)

        def predict(block, now, before=before, after=after, start=start):
            return read(np.hstack([before, block, after]), start, start + size)

        for block in mg.sampling.walk(block, times, predict, commit):  # noqa: B020
            x = np.hstack([before, block, after])
            states.append(x)
    return states


def write_blocks_by_passes(read, commit, x, size, steps):
    x = np.array(x)
    states = np.empty((1 + x.shape[1] // size * steps, *x.shape), int)
    states[0] = x
    for number in range(len(states) - 1):
        b, step = divmod(number, steps)
        start, end = b * size, (b + 1) * size
        now, after = (size * (steps - step - k) // steps for k in (0, 1))
        logits = read(states[number][:, :end], start, end)
        states[number + 1] = states[number]
        states[number + 1][:, start:end] = commit(states[number][:, start:end], logits, now, after)
    return states


def blocks_with(
    starts=lambda L, size: range(0, L, size),
    times=lambda size, steps: range(size, -1, -(size // steps)),
    seen=lambda x, first: x,
    columns=lambda x, start, end: x,
    once=False,
    result=np.array,
):  # fmt: skip
    """Room for mistakes: another order of blocks, other times, what is read, what is returned."""

    def wrong(read, commit, x, size, steps):
        states, first = [x], x
        for start in starts(x.shape[1], size):
            end, logits = start + size, None
            for now, after in itertools.pairwise(times(size, steps)):
                if logits is None or not once:
                    logits = read(columns(seen(x, first), start, end), start, end)
                x = x.copy()
                x[:, start:end] = commit(x[:, start:end], logits, now, after)
                states.append(x)
        return result(states)

    return wrong


def in_one_array(read, commit, x, size, steps):
    """Every state is the same array."""
    x = x.copy()
    states = [x]
    for start in range(0, x.shape[1], size):
        for now in range(size, 0, -(size // steps)):
            logits = read(x, start, start + size)
            x[:, start : start + size] = commit(
                x[:, start : start + size], logits, now, now - size // steps
            )
            states.append(x)
    return np.array(states)


def in_one_copy(read, commit, x, size, steps):
    """The same, but for the first state."""
    return np.concatenate([x[None], in_one_array(read, commit, x, size, steps)[1:]])


def commits_with(counts):
    """What is handed to `commit` in place of (now, after), of `size`."""

    def wrong(read, commit, x, size, steps):
        def commit_wrongly(block, logits, now, after):
            return commit(block, logits, *counts(now, after, size))

        return write_blocks(read, commit_wrongly, x, size, steps)

    return wrong


def read_to_the_end(read, commit, x, size, steps):
    def read_all(x, start, end):
        return read(x, start, x.shape[1])[:, : end - start]

    return write_blocks(read_all, commit, x, size, steps)


def begun_twice(read, commit, x, size, steps):
    states = write_blocks(read, commit, x, size, steps)
    parts = [states[k : k + steps + 1] for k in range(0, len(states) - 1, steps)]
    return np.concatenate([states[:1], *parts])


def every_block_a_little(read, commit, x, size, steps):
    states, each = [x], size // steps
    for now in range(size, 0, -each):
        for start in range(0, x.shape[1], size):
            logits = read(x, start, start + size)
            x = x.copy()
            x[:, start : start + size] = commit(x[:, start : start + size], logits, now, now - each)
            states.append(x)
    return np.array(states)


def states_after_blocks(read, commit, x, size, steps):
    return write_blocks(read, commit, x, size, steps)[::steps]


def run_write_blocks(answer, weights, tokens, size, steps):
    """A network whose every logit depends on all that it reads, and a commit without chance.

    weights: (L, V, L, V + 1). tokens: (B, L), what stands there before the walk, all of it V.
    """
    V = weights.shape[1]

    def read(x, start, end):
        one_hot = np.eye(V + 1)[np.asarray(x)[:, :end]]
        return np.einsum("bjw,ivjw->biv", one_hot, weights[start:end, :, :end])

    commit = mg.sampling.reveal(
        lambda logits: logits.argmax(axis=-1), None, lambda rng, logits, drawn: logits.max(axis=-1)
    )
    return as_floats(answer, read, commit, tokens, size, steps)


def a_walk(rng, size=None, steps=None, blocks=None, V=None, B=None):
    size = int(rng.choice([2, 4, 6])) if size is None else size
    steps = size // int(rng.choice([1, 2])) if steps is None else steps
    blocks = int(rng.integers(2, 4)) if blocks is None else blocks
    V, B = V or int(rng.integers(3, 6)), B or int(rng.integers(3, 7))
    L = size * blocks
    return rng.normal(size=(L, V, L, V + 1)), np.full((B, L), V), size, steps


_rng = np.random.default_rng(15)

EXERCISES = (
    Exercise(
        "15.mask",
        "Who may look at whom, in the pass over two copies",
        reference=two_copies,
        alternatives=(two_copies_by_loops, two_copies_by_kron),
        wrong=(
            (
                two_copies_with(given=lambda same, before: same | before),
                "A position that is hidden finds its own token in the clean copy. What would the "
                "loss be, and what would the network have learned?",
            ),
            (
                two_copies_with(see=lambda same, before: same | before),
                "Earlier blocks are seen twice here, once with holes. When a block is drawn, is "
                "there such a copy of the blocks before it?",
            ),
            (
                two_copies_with(clean=everything),
                "The hidden copy is right. But a second layer reads what the first has written: "
                "what does an earlier clean block know by then?",
            ),
            (
                two_copies_with(clean=lambda same, before: before),
                "May a clean position not look at its own block? It is finished when it is read.",
            ),
            (
                two_copies_with(clean=lambda same, before: same),
                "Clean blocks stand alone here. In sampling a finished block was read together "
                "with those before it: its keys and values then know of them.",
            ),
            (
                two_copies_with(clean=lambda same, before: np.zeros_like(same)),
                "The clean rows look at nothing. What can the hidden copy read there from the "
                "second layer on?",
            ),
            (
                two_copies_with(clean=lambda same, before: np.tri(len(same), dtype=bool)),
                "A clean position sees the part of its block to its left. How much of the block is "
                "there when a finished block is read?",
            ),
            (
                two_copies_with(back=lambda same, before: same),
                "The clean copy looks at the hidden copy. In sampling, does a finished block "
                "still have a copy with holes?",
            ),
            (
                two_copies_with(see=lambda same, before: np.eye(len(same), dtype=bool)),
                "A hidden position sees nothing of its own block but itself. What of the "
                "positions there that are shown?",
            ),
            (
                two_copies_with(see=lambda same, before: same & np.tri(len(same), dtype=bool)),
                "Inside a block this looks to the left only. Which order do hidden positions come "
                "in?",
            ),
            (
                two_copies_with(
                    see=lambda same, before: same | before,
                    given=lambda same, before: np.zeros_like(same),
                ),
                "The hidden copy never looks at the clean one. In which state are the blocks "
                "before, when a block is drawn?",
            ),
            (
                lambda length, size: two_copies(length, size).T,
                "Rows look, columns are looked at: this has the two the other way round.",
            ),
            (
                lambda length, size: np.roll(two_copies(length, size), length, (0, 1)),
                "This is right for [clean copy | hidden copy]: the hidden copy comes first.",
            ),
            (
                lambda length, size: ~two_copies(length, size),
                "True where one may look: this is the opposite.",
            ),
            (
                two_copies_with(given=lambda same, before: ~(same | before)),
                "The hidden copy looks at clean blocks to its right. Which are drawn first?",
            ),
            (
                two_copies_with(
                    given=lambda same, before: ~same, clean=lambda same, before: same | ~same
                ),
                "Here all other blocks of the clean copy may be looked at. Which of them are "
                "finished when this one is drawn?",
            ),
            (
                two_copies_with(block=lambda length, size: np.arange(length) % size),
                "Two positions count as one block here if they stand at the same place of it. "
                "Which positions make up a block?",
            ),
            (
                two_copies_with(block=lambda length, size: np.arange(length) * size // length),
                "Here `size` is how many blocks there are. It is how many positions a block has.",
            ),
            (
                lambda length, size: two_copies(length, size)[:length],
                "These are the rows of the hidden copy. The clean copy looks at something too.",
            ),
        ),
        hints=(
            "Number the blocks: which block does position i belong to?",
            "Two tables (length, length) are enough: i and j in the same block; j in an earlier "
            "block than i. Each quarter of the mask is made of these.",
            "np.block([[a, b], [c, d]]) puts four quarters together. For each, ask what stands "
            "there, finished or not, at the moment when the row's block is drawn.",
        ),
        inputs=a_length_and_a_size,
        edges=((4, 1), (4, 4), (6, 2), (1, 1)),
        run=as_floats,
        forbidden=("minigen.models.block.side_by_side_mask", "minigen.networks.block_mask"),
        minutes=10,
    ),
    Exercise(
        "15.bound",
        "The bound of one hidden set",
        reference=bound,
        alternatives=(bound_by_loops, bound_by_weights),
        wrong=(
            (
                bound_of_the_row,
                "This counts what is hidden in the whole row, as for masked diffusion of the "
                "whole. What is a masked diffusion by itself here?",
            ),
            (
                bound_with(lambda k, size, L: 1),
                "Without weights a block with much hidden counts more than one with little. What "
                "did the bound of lesson 14 multiply by?",
            ),
            (
                bound_with(lambda k, size, L: 1 / k),
                "This is a mean over what is hidden. For how many positions does that mean stand?",
            ),
            (
                bound_with(lambda k, size, L: L / k),
                "Each block counts as if it were the whole string. How many positions has it?",
            ),
            (
                bound_with(lambda k, size, L: k / size),
                "The weight is upside down: a set with little hidden stands for much.",
            ),
            (
                bound_with(inside=np.ones_like),
                "This also counts positions that were shown. What did the network have to say "
                "about them?",
            ),
            (
                bound_with(inside=np.logical_not),
                "This adds up what was shown. True in `hidden` means hidden.",
            ),
            (
                bound_with(total=lambda blocks, L: -blocks.sum(axis=1)),
                "The sign is turned: asked for is a bound on log p, which is not positive.",
            ),
            (
                bound_with(total=lambda blocks, L: blocks.sum(axis=1) / L),
                "This is per position; asked for is the whole string's.",
            ),
            (
                bound_with(total=lambda blocks, L: blocks.mean(axis=1)),
                "This is the mean over blocks. By the chain rule, how do the blocks' log p make "
                "that of the string?",
            ),
            (
                bound_with(total=lambda blocks, L: blocks.sum()),
                "This is one number for all strings; asked for is one for each.",
            ),
            (
                bound_with(total=lambda blocks, L: blocks),
                "This is right for each block. And the string?",
            ),
            (
                bound_with(total=lambda blocks, L: blocks.sum(axis=1) / np.log(2)),
                "This is in bits; asked for is nats.",
            ),
        ),
        hints=(
            "Of one block it is the bound of lesson 14. What is L there is the block's size here.",
            "Reshape to (B, blocks, size): then everything happens along the last axis.",
        ),
        inputs=some_hidden,
        edges=(some_hidden(_rng, 1), some_hidden(_rng, 3)),
        run=as_floats,
        minutes=3,
    ),
    Exercise(
        "15.walk",
        "The walk over blocks",
        reference=write_blocks,
        alternatives=(write_blocks_by_the_walk, write_blocks_by_passes),
        wrong=(
            (
                in_one_array,
                "All states are one array, and it ends as the last. When must a copy be made?",
            ),
            (
                in_one_copy,
                "All states after the first are one array, and it ends as the last. When must a "
                "copy be made?",
            ),
            (
                commits_with(lambda now, after, size: (now, now - after)),
                "`after` is not how many are written. Read again what it counts.",
            ),
            (
                commits_with(lambda now, after, size: (size - now, size - after)),
                "This counts what is shown. How many of a block are hidden before its first step?",
            ),
            (
                read_to_the_end,
                "`end` is always the string's here. Which blocks may this one be read with?",
            ),
            (
                blocks_with(once=True),
                "The network is asked once a block here. After a step more is shown: what would "
                "it say now?",
            ),
            (
                blocks_with(starts=lambda L, size: range(L - size, -1, -size)),
                "This begins with the last block. Which blocks were given to which in training?",
            ),
            (
                blocks_with(times=lambda size, steps: (size, 0)),
                "This writes a block in one step. What is `steps` for?",
            ),
            (
                blocks_with(times=lambda size, steps: range(size, -1, -1)),
                "This writes one position a step, whatever `steps` says.",
            ),
            (
                blocks_with(times=lambda size, steps: range(size, -1, -steps)),
                "This writes `steps` positions a step. How many are written in one, if a block "
                "takes `steps` of them?",
            ),
            (
                blocks_with(times=lambda size, steps: size - steps * np.arange(steps + 1)),
                "This writes `steps` positions a step, `steps` times. How many make a block full?",
            ),
            (
                blocks_with(times=lambda size, steps: range(size, 0, -(size // steps))),
                "The last step of a block is missing. How many are hidden after it?",
            ),
            (
                blocks_with(seen=lambda x, first: first),
                "What is read here is the state before the walk: what was written is never seen.",
            ),
            (
                every_block_a_little,
                "This writes a little of every block in turn. When is a block begun?",
            ),
            (
                blocks_with(result=lambda states: np.array(states[1:])),
                "The first state is missing: the walk begins with x.",
            ),
            (
                blocks_with(columns=lambda x, start, end: x[:, start:end]),
                "Shapes do not fit. Which columns does `read` take, and which does `commit`?",
            ),
            (
                begun_twice,
                "Where a block begins there are two equal states. One pass makes one state.",
            ),
            (
                blocks_with(result=lambda states: states[-1]),
                "This is where the walk ends; asked for are all states.",
            ),
            (
                states_after_blocks,
                "Here are the states between blocks. Those inside a block are asked for too.",
            ),
            (
                blocks_with(result=lambda states: np.array(states[::-1])),
                "The states come in reverse order.",
            ),
            (
                blocks_with(starts=lambda L, size: range(0, L - size, size)),
                "The last block is never written.",
            ),
        ),
        hints=(
            "Two loops: over the blocks, and over the steps in a block.",
            "In a block `now` runs size, size - each, size - 2 each, ..., where each is what one "
            "step writes; `after` is what `now` will be next.",
            "In each step: ask `read` for the logits of this block, copy x, put what `commit` "
            "returns into the block's columns, keep the state.",
        ),
        inputs=a_walk,
        edges=(
            a_walk(_rng, 1, 1, 3, 3, 3),
            a_walk(_rng, 4, 4, 1, 4, 4),
            a_walk(_rng, 4, 2, 2, 3, 5),
            a_walk(_rng, 6, 1, 2, 5, 4),
            a_walk(_rng, 6, 2, 2, 4, 6),
        ),
        run=run_write_blocks,
        minutes=10,
    ),
    Exercise(
        "15.bugs",
        "Name the faults of three runs",
        reference="324",
        alternatives=("3, 2, 4", (3, 2, 4)),
        wrong=(
            (
                "314",
                "One of the two leaks is named where the other is. Which blocks could each of "
                "them give away? Look at the first.",
            ),
            ("124", "A leak makes a bound too good. Is there one that is too bad?"),
            (
                "423",
                "One of these bounds is exactly that of the right run. Where can its fault be?",
            ),
            ("342", "Whose samples are too regular, and yet whose bound is honest?"),
            ("321", "A leak shows in the bound. Is there a run whose bound shows nothing?"),
            (
                "234",
                "Compare each bound with the truth: too low, too high, right. What does each mean?",
            ),
            (
                "134",
                "Which run pays for its first block and no other? Which fault would pay for none?",
            ),
            ("214", "Two leaks are named here. How many of the bounds are below the truth?"),
        ),
        hints=(
            "A bound that beats the truth cannot be a bound: something was given away.",
            "What costs nothing was given away. Which blocks could a fault give away, which not?",
        ),
        choices=("1", "2", "3", "4"),
        minutes=3,
    ),
)
