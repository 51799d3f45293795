"""The checks of lesson 07: attention and GPT; and the three runs that the lesson asks to name."""

from types import SimpleNamespace

import numpy as np

import minigen as mg
from minigen import ops
from minigen.course.exercise import Exercise
from minigen.tensor import Tensor

# -- what each position sees -----------------------------------------------------------------------


def seen_before(x, start):
    return np.concatenate([np.full((len(x), 1), start), x[:, :-1]], axis=1)


def seen_before_by_padding(x, start):
    return np.pad(x, ((0, 0), (1, 0)), constant_values=start)[:, :-1]


def seen_before_by_rolling(x, start):
    inputs = np.roll(x, 1, axis=1)
    inputs[:, 0] = start
    return inputs


def seen_before_row_by_row(x, start):
    return [[start, *row[:-1]] for row in x.tolist()]


def start_written_over(x, start):
    inputs = x.copy()
    inputs[:, 0] = start
    return inputs


def rows_run_on(x, start):
    inputs = np.roll(x, 1)
    inputs[0, 0] = start
    return inputs


def first_text_lost(x, start):
    inputs = np.roll(x, 1, axis=0)
    inputs[0] = start
    return inputs


def shifted_in_place(x, start):
    x[:, 1:] = x[:, :-1].copy()
    x[:, 0] = start
    return x


def some_tokens(rng):
    shape = tuple(rng.integers(2, 6, size=2))
    vocabulary = int(rng.integers(3, 30))
    return rng.integers(0, vocabulary, size=shape), vocabulary


# -- attention -------------------------------------------------------------------------------------


def attention(q, k, v):
    L, D = q.shape[-2:]
    scores = q @ k.transpose(0, 1, 3, 2) / D**0.5
    scores = ops.where(np.tri(L) == 1, scores, -np.inf)
    return ops.softmax(scores, axis=-1) @ v


def attention_by_adding(q, k, v):
    length, width = q.shape[2], q.shape[3]
    ahead = np.triu(np.full((length, length), -1e30), k=1)
    return ops.softmax((q * width**-0.5) @ ops.transpose(k, (0, 1, 3, 2)) + ahead) @ v


def attention_by_shares(q, k, v):
    """Exponentials first, then the mask, then each row divided by its sum."""
    scores = q @ ops.transpose(k, (0, 1, 3, 2)) / np.sqrt(q.shape[-1])
    positive = ops.exp(scores - scores.data.max(axis=-1, keepdims=True)) + 1e-30
    positive = positive * np.tril(np.ones((q.shape[2], q.shape[2])))
    return (positive / ops.sum(positive, axis=-1, keepdims=True)) @ v


def attention_row_by_row(q, k, v):
    rows = []
    for i in range(q.shape[2]):
        scores = q[:, :, i : i + 1] @ k[:, :, : i + 1].transpose(0, 1, 3, 2)
        rows.append(ops.softmax(scores / q.shape[3] ** 0.5) @ v[:, :, : i + 1])
    return ops.concatenate(rows, axis=2)


def scored(
    q, k, v, scale=lambda q, k, v: q.shape[-1] ** -0.5, mask=np.tri, hidden=-np.inf, axis=-1,
    after=False, normal=ops.softmax, gives="mean",
):  # fmt: skip
    """Attention with room for mistakes: another scale, mask, axis; masked after the softmax."""
    visible = np.asarray(mask(q.shape[-2])) == 1
    scores = (q @ ops.transpose(k, (0, 1, 3, 2))) * scale(q, k, v)
    if after:
        weights = normal(scores, axis=axis) * visible
    else:
        with np.errstate(invalid="ignore"):
            weights = normal(ops.where(visible, scores, hidden), axis=axis)
    exchanged = ops.transpose(weights, (0, 1, 3, 2)) @ v
    return {"mean": weights @ v, "weights": weights, "exchanged": exchanged}[gives]


def with_mistake(**mistake):
    return lambda q, k, v: scored(q, k, v, **mistake)


def cut_off(part):
    """The right values, but no gradient reaches one of the three."""

    def answer(q, k, v):
        parts = {"q": q, "k": k, "v": v}
        parts[part] = Tensor(parts[part].data)
        return attention(**parts)

    return answer


class NoTensor(Exception):
    """Of an answer that left the Tensors, so that nothing could be trained."""


def as_tensor(result):
    if result is not None and not isinstance(result, Tensor):
        kind = type(result).__name__
        raise NoTensor(f"this is a {kind}, and gradients flow through Tensors only: use @, mg.ops")
    return result


def gradient(tensor):
    return np.zeros(tensor.shape) if tensor.grad is None else tensor.grad


@np.errstate(invalid="ignore")
def run_attention(answer, q, k, v):
    """What comes out, and the gradients of a weighted sum of it by q, k and v."""
    tensors = [Tensor(array) for array in (q, k, v)]
    y = as_tensor(answer(*tensors))
    if y is None:
        return None
    weight = np.cos(np.arange(y.size)).reshape(y.shape)  # all different, none 0
    if y.requires_grad:
        ops.sum(y * weight).backward()
    return y.data, *map(gradient, tensors)


def some_heads(rng, shape=None, width=None, size=1.5):
    B, H, L, D = rng.integers(2, 6, size=4) if shape is None else shape
    E = int(rng.integers(2, 6)) if width is None else width
    return tuple(size * rng.normal(size=(B, H, L, W)) for W in (D, D, E))


# -- a block of the Transformer --------------------------------------------------------------------


def apart(x, heads):
    B, L, C = x.shape
    return x.reshape(B, L, heads, C // heads).transpose(0, 2, 1, 3)


def together(x):
    B, heads, L, D = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, L, heads * D)


def block(x, layer, attention):
    packed = ops.split(layer.qkv(layer.norm1(x)), 3, axis=-1)
    q, k, v = (apart(part, layer.heads) for part in packed)
    x = x + layer.out(together(attention(q, k, v)))
    return x + layer.down(ops.gelu(layer.up(layer.norm2(x))))


def block_by_slices(x, layer, attention):
    C = x.shape[-1]
    qkv = layer.qkv(layer.norm1(x))
    parts = [apart(qkv[:, :, k * C : (k + 1) * C], layer.heads) for k in range(3)]
    seen = layer.out(together(attention(*parts)))
    inner = layer.up(layer.norm2(seen + x))
    return layer.down(ops.gelu(inner)) + seen + x


def block_by_heads(x, layer, attention):
    """Each head by itself, with one head at a time given to attention."""
    B, L, C = x.shape
    qkv, D = layer.qkv(layer.norm1(x)), C // layer.heads
    heads = []
    for h in range(layer.heads):
        q, k, v = (
            qkv[:, :, part * C + h * D : part * C + (h + 1) * D].reshape(B, 1, L, D)
            for part in range(3)
        )
        heads.append(attention(q, k, v).reshape(B, L, D))
    x = x + layer.out(ops.concatenate(heads, axis=-1))
    return x + layer.down(ops.gelu(layer.up(layer.norm2(x))))


def other_block(
    x, layer, attention, order=(0, 1, 2), first_norm="norm1", second_norm="norm2", out=True,
    onto=lambda x, normal: x, onto_second=lambda x, first, normal: first, bend=ops.gelu,
    reads=lambda x, first: first, split=apart, join=together, after=False,
):  # fmt: skip
    """A block with room for mistakes: what is normalised, read, and added to what."""

    def normal(name, x):
        return getattr(layer, name)(x) if name else x

    n = x if after else normal(first_norm, x)
    packed = ops.split(layer.qkv(n), 3, axis=-1)
    seen = join(attention(*(split(packed[k], layer.heads) for k in order)))
    first = onto(x, n) + (layer.out(seen) if out else seen)
    if after:
        first = layer.norm1(first)
    read = reads(x, first)
    n = read if after else normal(second_norm, read)
    y = onto_second(x, first, n) + layer.down(bend(layer.up(n)))
    return layer.norm2(y) if after else y


def block_with(**mistake):
    return lambda x, layer, attention: other_block(x, layer, attention, **mistake)


def nothing(*arguments):
    return 0.0


def only_attention(x, layer, attention):
    q, k, v = (apart(p, layer.heads) for p in ops.split(layer.qkv(layer.norm1(x)), 3, axis=-1))
    return x + layer.out(together(attention(q, k, v)))


def only_mlp(x, layer, attention):
    return x + layer.down(ops.gelu(layer.up(layer.norm2(x))))


def gelu_at_the_end(x, layer, attention):
    x = only_attention(x, layer, attention)
    return x + ops.gelu(layer.down(layer.up(layer.norm2(x))))


def packed_by_heads(x, layer, attention):
    B, L, C = x.shape
    packed = layer.qkv(layer.norm1(x)).reshape(B, L, layer.heads, 3, C // layer.heads)
    q, k, v = (packed[:, :, :, part].transpose(0, 2, 1, 3) for part in range(3))
    x = x + layer.out(together(attention(q, k, v)))
    return x + layer.down(ops.gelu(layer.up(layer.norm2(x))))


def own_attention(x, layer, given):
    return block(x, layer, attention)


def layer_of(numbers, heads):
    """What a block has learned, as the lesson's Layer holds it."""
    norm1, qkv, out, norm2, up, down = (Tensor(a, requires_grad=False) for a in numbers)

    def linear(weight):
        return lambda x: ops.linear(x, weight)

    def norm(weight):
        return lambda x: ops.layer_norm(x, len(weight), weight)

    return SimpleNamespace(
        heads=heads, norm1=norm(norm1), qkv=linear(qkv), out=linear(out), norm2=norm(norm2),
        up=linear(up), down=linear(down),
    )  # fmt: skip


def run_block(answer, x, numbers, heads, sharpness):
    """What comes out of a block with these numbers, and the gradient by x."""

    def sharpened(q, k, v):
        return attention(q * sharpness, k, v)

    tensor = Tensor(x)
    y = as_tensor(answer(tensor, layer_of(numbers, heads), sharpened))
    if y is None:
        return None
    weight = np.cos(np.arange(y.size)).reshape(y.shape)
    if y.requires_grad:
        ops.sum(y * weight).backward()
    return y.data, gradient(tensor)


def some_layer(rng, shape=None, heads=None, sharpness=None):
    heads = int(rng.integers(2, 4)) if heads is None else heads
    B, L, D = rng.integers(2, 5, size=3) if shape is None else shape
    C = heads * D
    sizes = ((C,), (3 * C, C), (C, C), (C,), (4 * C, C), (C, 4 * C))
    numbers = tuple(rng.normal(size=size) / np.sqrt(size[-1]) * 1.5 for size in sizes)
    sharpness = float(rng.uniform(0.3, 2)) if sharpness is None else sharpness
    return rng.normal(0.5, 1.5, size=(B, L, C)), numbers, heads, sharpness


# -- Break it: three small GPTs, each with a fault -------------------------------------------------

FAULTS = {"A": "wrong axis", "B": "targets shifted twice", "C": "no mask"}
FAULT_NAMES = (
    "healthy", "no mask", "wrong axis", "targets not shifted", "targets shifted twice",
)  # fmt: skip


class Patient:
    """A small GPT of the manual, trained in seconds; `name` is A, B, C or "healthy"."""

    context, width, heads, vocab_size = 32, 48, 3, 27

    def __init__(self, name: str, text: np.ndarray, steps: int = 200):
        rng, width = np.random.default_rng(0), self.width
        self._fault = FAULTS.get(name, name)
        self.tokens = mg.nn.Embedding(28, width, rng=rng, std=width**-0.5)
        self.positions = mg.nn.Embedding(self.context, width, rng=rng, std=width**-0.5)
        self.blocks = [Layer(width, self.heads, rng, 0.6 * width**-0.5) for _ in range(2)]
        self.norm = mg.nn.LayerNorm(width, bias=False)
        batches = mg.data.crops(text, self.context, 16, rng)
        losses, _ = mg.fit(self, batches, steps=steps, lr=1e-2, rng=rng)
        self.bits = np.array(losses) / np.log(2)

    def predict(self, inputs: np.ndarray, spy=None) -> Tensor:
        x = self.tokens(inputs) + self.positions.weight[: inputs.shape[1]]
        mistakes = {"wrong axis": {"axis": -2}, "no mask": {"mask": lambda L: np.ones((L, L))}}
        mistake = mistakes.get(self._fault, {})

        def look(q, k, v):
            if spy is not None:
                spy.append(scored(q, k, v, **mistake, gives="weights").data)
            return scored(q, k, v, **mistake)

        for layer in self.blocks:
            x = block(x, layer, look)
        return ops.linear(self.norm(x), self.tokens.weight[:27])

    def weights(self, x: np.ndarray) -> np.ndarray:
        """Where it looks for each token of x (B, L), mean of texts, layers and heads: (L, L)."""
        looks = []
        with mg.no_grad():
            self.predict(self.inputs(x), looks)
        return np.mean(looks, axis=(0, 1, 2))

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """What this run gives its network to predict x (B, L)."""
        before = seen_before(x, 27)
        shifts = {"targets not shifted": x, "targets shifted twice": seen_before(before, 27)}
        return shifts.get(self._fault, before)

    def loss(self, x: np.ndarray, rng=None) -> Tensor:
        return ops.cross_entropy(self.predict(self.inputs(x)), x)

    def token_bits(self, x: np.ndarray) -> np.ndarray:
        """What each token of x (B, L) costs, by the run's own count."""
        with mg.no_grad():
            logits = self.predict(self.inputs(x)).data
        return -mg.sampling.tokens.token_log_probs(logits, x) / np.log(2)

    def logits(self, x: np.ndarray) -> np.ndarray:
        with mg.no_grad():
            return self.predict(self.inputs(x)).data

    def write(self, length: int, rng: np.random.Generator) -> np.ndarray:
        """Tokens, drawn by the run's own sampler: one after the other, the last letter seen."""
        x = np.zeros((1, 0), int)
        for _ in range(length):
            seen = np.concatenate([[[27]], x], axis=1)[:, -self.context :]
            with mg.no_grad():
                logits = self.predict(seen).data[:, -1]
            drawn = mg.sampling.tokens.categorical(logits, rng)
            x = np.concatenate([x, drawn[:, None]], axis=1)
        return x[0]


class Layer:
    """What one block learns."""

    def __init__(self, width, heads, rng, std):
        self.heads = heads
        self.norm1 = mg.nn.LayerNorm(width, bias=False)
        self.qkv = mg.nn.Linear(width, 3 * width, bias=False, rng=rng, std=std)
        self.out = mg.nn.Linear(width, width, bias=False, rng=rng, std=std / 2)
        self.norm2 = mg.nn.LayerNorm(width, bias=False)
        self.up = mg.nn.Linear(width, 4 * width, bias=False, rng=rng, std=std)
        self.down = mg.nn.Linear(4 * width, width, bias=False, rng=rng, std=std / 2)


# -- the exercises ---------------------------------------------------------------------------------

EXERCISES = (
    Exercise(
        "07.attention",
        "Causal attention",
        reference=attention,
        alternatives=(attention_by_adding, attention_by_shares, attention_row_by_row),
        wrong=(
            (
                with_mistake(mask=lambda L: np.ones((L, L))),
                "Every position looks everywhere, also at what is not written yet. Which entries "
                "of the table of scores must count for nothing?",
            ),
            (
                with_mistake(axis=-2),
                "Add up your weights over the positions that one query looks at: is it 1? The "
                "sum runs along another axis here, and so later queries have a say.",
            ),
            (with_mistake(axis=1), "Your weights sum to 1 over the heads. Whose weights should?"),
            (
                with_mistake(axis=0),
                "Your weights sum to 1 over the texts of the batch, which have nothing to do with "
                "one another. Over what should they?",
            ),
            (
                with_mistake(axis=1, hidden=-1e9),
                "Here the heads share out their weights: along which axis should shares sum to 1?",
            ),
            (
                with_mistake(hidden=-10.0),
                "What must not be seen still gets a small share: what is the exponential of -10?",
            ),
            (
                with_mistake(hidden=-1.0),
                "What must not be seen still gets a share: what is the exponential of -1?",
            ),
            (
                with_mistake(scale=lambda q, k, v: (q.shape[1] * q.shape[-1]) ** -0.5),
                "The divisor counts the numbers of all heads; each score adds up one head's.",
            ),
            (
                with_mistake(gives="exchanged"),
                "The weights stand the wrong way round: row i must hold those of query i.",
            ),
            (
                with_mistake(normal=lambda scores, axis: scores),
                "Infinite scores times values: what turns scores into shares that sum to 1?",
            ),
            (
                with_mistake(scale=lambda q, k, v: 1.0),
                "This is what you get without taming the scores: what standard deviation have "
                "they, for vectors of D numbers?",
            ),
            (
                with_mistake(scale=lambda q, k, v: 1 / q.shape[-1]),
                "The scores are divided by D. By what did the standard deviation grow?",
            ),
            (
                with_mistake(scale=lambda q, k, v: q.shape[-1] ** 0.5),
                "The scores are made larger where they should be made smaller.",
            ),
            (
                with_mistake(scale=lambda q, k, v: q.shape[-2] ** -0.5),
                "The divisor depends on how many positions there are. Over what did the scores "
                "add up products?",
            ),
            (
                with_mistake(scale=lambda q, k, v: v.shape[-1] ** -0.5),
                "The divisor comes from the width of v here; v has no part in the scores.",
            ),
            (
                with_mistake(mask=lambda L: np.tri(L, k=-1), hidden=-1e30),
                "No position looks at itself here, and the first has nowhere to look. The input "
                "at a position is known: it is what was written last.",
            ),
            (
                with_mistake(mask=lambda L: np.tri(L, k=-1)),
                "The first position may look nowhere here, and 0 / 0 is no number. Its own input "
                "is known: it is what was written last.",
            ),
            (
                with_mistake(mask=lambda L: np.tri(L, k=1)),
                "Every position sees one step ahead here: look at the edge of your mask.",
            ),
            (
                with_mistake(mask=lambda L: np.tri(L).T),
                "Here each position looks to its right: who is a row, who is a column?",
            ),
            (
                with_mistake(after=True),
                "The weights of a row no longer sum to 1: what lay ahead has taken its share "
                "before it was struck out.",
            ),
            (
                with_mistake(hidden=0.0),
                "A *score* of 0 is not a *weight* of 0: what does the softmax make of it?",
            ),
            (
                with_mistake(normal=lambda scores, axis: scores, hidden=0.0),
                "These are scores times values. Scores can be negative and need not sum to 1: "
                "what turns them into shares?",
            ),
            (
                with_mistake(gives="weights"),
                "These are the weights. What is to be averaged with them?",
            ),
            (
                lambda q, k, v: attention(k, q, v),
                "Queries and keys have changed places: rows belong to those who ask.",
            ),
            (
                lambda q, k, v: attention(q, k, k),
                "The keys are averaged here; what is said are the values.",
            ),
            (
                lambda q, k, v: attention(q, q, v),
                "Each position is compared with the others' *queries*.",
            ),
            (
                cut_off("q"),
                "The values are right, but no gradient reaches q, so nobody would ever learn what "
                "to ask: where does it stop being a Tensor?",
            ),
            (
                cut_off("k"),
                "The values are right, but no gradient reaches k: where does it stop being a "
                "Tensor?",
            ),
        ),
        hints=(
            "Start with the table of all scores, (B, H, L, L): row i holds q_i times every k_j. "
            "One product with @ does it if the last two axes of k are exchanged: "
            "k.transpose(0, 1, 3, 2).",
            "What must not be seen needs a score whose share is 0. np.tri(L) is 1 where the "
            "column is at most the row; mg.ops.where(condition, scores, ...) takes the scores "
            "there.",
            "A score of -np.inf gets the share 0. Shares: mg.ops.softmax along the axis of those "
            "who are looked at. Then one more @ with v.",
        ),
        inputs=some_heads,
        edges=(
            some_heads(np.random.default_rng(0), (1, 1, 3, 2), 2),
            some_heads(np.random.default_rng(1), (2, 3, 1, 4), 5),
            some_heads(np.random.default_rng(2), (1, 2, 4, 1), 3),
            some_heads(np.random.default_rng(3), (2, 1, 5, 3), 1, 4.0),
        ),
        run=run_attention,
        forbidden=(
            "minigen.ops.attention",
            "minigen.ops.attention_weights",
            "minigen.networks.transformer.block_mask",
        ),
        minutes=10,
    ),
    Exercise(
        "07.inputs",
        "What each position sees last",
        reference=seen_before,
        alternatives=(seen_before_by_padding, seen_before_by_rolling, seen_before_row_by_row),
        wrong=(
            (
                lambda x, start: x,
                "Every position is given the very token that it should guess. What would it learn?",
            ),
            (
                lambda x, start: np.concatenate([x[:, 1:], np.full((len(x), 1), start)], axis=1),
                "Here a position is given the token *after* its own. Which one is known when it "
                "is drawn?",
            ),
            (
                lambda x, start: seen_before(seen_before(x, start), start),
                "This is shifted once too often: follow the first token. Who is given it?",
            ),
            (
                lambda x, start: np.roll(x, 1, axis=1),
                "The first position is given the *last* token of its row. What is known before "
                "anything is written?",
            ),
            (lambda x, start: np.roll(x, 1, axis=0), "Whole rows have moved: which axis is time?"),
            (
                lambda x, start: x[:, :-1],
                "One column is missing: the first token needs something to be predicted from.",
            ),
            (
                lambda x, start: np.concatenate([np.full((len(x), 1), start), x], axis=1),
                "One column too many: who would be predicted from the last token?",
            ),
            (
                start_written_over,
                "The first token is overwritten and the others stay where they were: is the "
                "second position given the first token?",
            ),
            (
                lambda x, start: seen_before(x, 27),
                "Always 27 at the beginning here: the start token is an argument.",
            ),
            (
                lambda x, start: seen_before(x, start).astype(float),
                "Fractions of tokens are none: they pick rows of a table, and must be integers.",
            ),
            (rows_run_on, "The end of one text runs on into the next: each row begins for itself."),
            (
                first_text_lost,
                "Whole rows have moved, and the first text is lost: which axis is time?",
            ),
            (
                lambda x, start: seen_before(x, 0),
                "There is a 0 where the start token belongs; 0 is a letter like others.",
            ),
            (
                lambda x, start: seen_before(x, start).T,
                "Rows and columns are exchanged: one row a text, as it came.",
            ),
            (lambda x, start: seen_before(x[:, ::-1], start), "This runs from right to left."),
            (
                shifted_in_place,
                "The result is right, but x has changed, and x still holds the targets.",
            ),
        ),
        hints=(
            "Write down a word of four letters and below each letter the one that was written "
            "just before it.",
            "Nothing was written before the first: there the start token stands, in every row. "
            "And nobody is predicted from the last letter.",
            "One column of start, then all columns of x but one: np.concatenate, axis=1.",
        ),
        inputs=some_tokens,
        edges=(
            (np.array([[3]]), 27),
            (np.array([[1, 2, 3, 4]]), 9),
            (np.array([[5], [6], [7]]), 27),
            (np.array([[2, 0, 1], [0, 0, 2]]), 3),
        ),
        minutes=3,
    ),
    Exercise(
        "07.block",
        "A block of the Transformer",
        reference=block,
        alternatives=(block_by_slices, block_by_heads),
        wrong=(
            (
                block_with(onto=nothing),
                "The first half replaces x instead of adding to it: what happens to what the "
                "position knew already?",
            ),
            (
                block_with(onto_second=nothing),
                "The second half replaces its input instead of adding to it.",
            ),
            (
                block_with(onto=nothing, onto_second=nothing),
                "Nothing is added to x here: both halves replace it.",
            ),
            (
                block_with(onto=lambda x, n: n, onto_second=lambda x, first, n: n),
                "This adds to the *normalised* vectors. The road itself is never normalised: "
                "halves read a normalised copy.",
            ),
            (
                block_with(onto=lambda x, n: n),
                "The first half adds to the normalised x: does x itself go on?",
            ),
            (
                block_with(onto_second=lambda x, first, n: n),
                "The second half adds to its normalised input: does that itself go on?",
            ),
            (
                block_with(first_norm=None),
                "The first half reads x as it is: what stands before it in the picture?",
            ),
            (
                block_with(second_norm=None),
                "The second half reads its input as it is: what stands before it in the picture?",
            ),
            (
                block_with(first_norm="norm2", second_norm="norm1"),
                "Each half has a norm of its own, with its own weights.",
            ),
            (
                block_with(second_norm="norm1"),
                "Both halves use the norm of the first: what stands before the second?",
            ),
            (gelu_at_the_end, "Here the bend comes after `down`: where is it in the picture?"),
            (
                lambda x, layer, attention: x,
                "x comes out as it went in: neither half has added anything.",
            ),
            (
                packed_by_heads,
                "Your cut takes a query, key and value of each head in turn: in what order does "
                "`qkv` pack them?",
            ),
            (
                block_with(after=True),
                "This normalises *after* each addition, as the Transformer of 2017 did. In the "
                "picture each half reads a normalised copy, and the road stays as it is.",
            ),
            (
                block_with(reads=lambda x, first: x),
                "The second half reads the old x: does it know what attention has found?",
            ),
            (
                block_with(onto_second=lambda x, first, n: x),
                "What attention found is read by the second half, and then lost: to what is its "
                "answer added?",
            ),
            (
                block_with(bend=lambda x: x),
                "Between `up` and `down` nothing bends: two linear layers in a row are one.",
            ),
            (
                block_with(bend=ops.relu),
                "The bend is a ReLU here; these weights were trained with another one.",
            ),
            (
                block_with(out=False),
                "The heads' answers are added as they are: which layer mixes them first?",
            ),
            (
                block_with(order=(1, 0, 2)),
                "Queries and keys have changed places: how does `qkv` pack them?",
            ),
            (
                block_with(order=(2, 1, 0)),
                "Queries and values have changed places: how does `qkv` pack them?",
            ),
            (
                block_with(order=(0, 2, 1)),
                "Keys and values have changed places: how does `qkv` pack them?",
            ),
            (
                block_with(split=lambda x, heads: apart(x, 1)),
                "All heads are one here: each should look on its own, at its own part of the "
                "numbers.",
            ),
            (
                block_with(
                    split=lambda x, heads: x.reshape(len(x), heads, x.shape[1], x.shape[2] // heads)
                ),
                "The numbers are cut into heads in the wrong order: a reshape alone mixes "
                "positions. What does `apart` do besides?",
            ),
            (
                block_with(join=lambda x: x.reshape(len(x), x.shape[2], x.shape[1] * x.shape[3])),
                "Put together by a reshape alone, heads and positions are mixed up. What does "
                "`together` do besides?",
            ),
            (
                only_attention,
                "This is the first half. What does each position do with what it has seen?",
            ),
            (only_mlp, "Nobody looks at anybody here: where is attention?"),
            (
                own_attention,
                "This looks with an attention of its own, not with the one it was given.",
            ),
        ),
        hints=(
            "Follow the picture from the left. The first half: norm1, qkv, attention, out; what "
            "comes out is added to x.",
            "mg.ops.split(packed, 3, axis=-1) gives three Tensors (B, L, C); `apart` gives each "
            "its axis of heads, `together` takes it away from what attention returns.",
            "The second half is two linear layers with mg.ops.gelu between them, reads norm2 of "
            "what the first half made of x, and is added to the same.",
        ),
        inputs=some_layer,
        edges=(
            some_layer(np.random.default_rng(0), (1, 1, 2), 1, 1.0),
            some_layer(np.random.default_rng(1), (2, 3, 2), 2, 0.5),
            some_layer(np.random.default_rng(2), (1, 4, 3), 3, 2.0),
        ),
        run=run_block,
        forbidden=("minigen.networks.transformer.Layer.__call__", "minigen.ops.attention"),
        minutes=10,
    ),
    Exercise(
        "07.faults",
        "Three runs: name the faults",
        reference=tuple(FAULTS.values()),
        alternatives=(", ".join(FAULTS.values()), list(FAULTS.values())),
        wrong=(
            (
                ("no mask", "targets shifted twice", "wrong axis"),
                "In which of the two runs that look ahead do the *weights* lie where they may?",
            ),
            (
                ("no mask", "targets shifted twice", "no mask"),
                "Two runs see what they should not, but not in the same way: compare their "
                "weights.",
            ),
            (
                ("wrong axis", "targets shifted twice", "wrong axis"),
                "Two runs look ahead here. In one of them the weights themselves lie where none "
                "may: which?",
            ),
            (
                ("wrong axis", "healthy", "no mask"),
                "A run whose probabilities sum to 1 is not healthy for that: compare what it "
                "pays with the healthy one, and read what it writes.",
            ),
            (
                ("wrong axis", "targets shifted twice", "targets not shifted"),
                "A run that is given the very letter it should guess needs to look nowhere else. "
                "What do its weights say?",
            ),
            (
                ("healthy", "targets shifted twice", "no mask"),
                "No healthy run has probabilities that sum to more than 1.",
            ),
            (
                ("wrong axis", "targets not shifted", "no mask"),
                "A run that is given the letter it should guess would pay next to nothing.",
            ),
            (
                ("healthy", "healthy", "healthy"),
                "One run is shown as healthy. Which of the other three has its numbers?",
            ),
        ),
        hints=(
            "Which runs' probabilities sum to more than 1? They see the answer, in one way or "
            "another.",
            "Of these two: in which do the weights themselves lie above the diagonal, in which "
            "only the dependence?",
            "The run that pays too much: what of its dependence is missing, next to the diagonal?",
        ),
        choices=FAULT_NAMES,
        minutes=3,
    ),
)
