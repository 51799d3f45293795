"""C16: few data, repeated often.

Changed after a first look at half of the cells: they had looked at the validation part eight times,
evenly, in 500 and 200 epochs; a GPT had overfitted before the first look, and its "best" was none.
So looks begin early, and runs are shorter (200 and 150 epochs). The expectation is the old one.
"""

import itertools

import numpy as np
from numpy import ndarray

import minigen as mg
from minigen import ops
from minigen.compare import experiment
from minigen.compare.arms import BODY, STRETCH, TEXT
from minigen.compare.cells import Cell
from minigen.compare.claims import Claim, figures
from minigen.compare.verdict import Effect, difference
from minigen.networks import causal_mask
from minigen.training import train_step

EPOCHS = {100: 200, 300: 150}  # of so many digits
LETTERS, TEXT_STEPS = 50_000, 1300  # of 32 stretches: 53 times through
SHARES = np.geomspace(1 / 64, 1, 12)  # of its steps, when a run looks at the validation part
DROPPED = 0.1
BATCH = 32


class WithDropout(mg.GPT):
    """A GPT that loses a tenth of what it embeds and of what each layer adds, while it learns."""

    def loss(self, x: ndarray, rng) -> mg.Tensor:
        inputs, targets = self._teacher(x)
        net = self.network
        mask = ops.additive_mask(causal_mask(inputs.shape[1]))
        h = ops.dropout(net._placed(net.tokens(inputs)), DROPPED, rng)
        for layer in net.blocks:
            h = h + ops.dropout(layer.attention(layer.norm1(h), mask), DROPPED, rng)
            up = ops.gelu(layer.up(layer.norm2(h)))
            h = h + ops.dropout(layer.down(up), DROPPED, rng)
        logits = ops.linear(net.norm(h), net.tokens.weight[: self.vocab_size])
        return ops.cross_entropy(logits, targets)


class WithHiddenInputs(mg.GPT):
    """A GPT some of whose inputs are hidden (the start token in their place) while it learns: in
    each row a share drawn uniformly from 0 to one half.
    """

    def loss(self, x: ndarray, rng) -> mg.Tensor:
        inputs, targets = self._teacher(x)
        share = rng.uniform(0, 0.5, (len(x), 1))
        hidden = rng.random(inputs.shape) < share
        return ops.cross_entropy(self.predict(np.where(hidden, self.vocab_size, inputs)), targets)


KINDS = {
    "GPT": mg.GPT,
    "GPT, dropout": WithDropout,
    "GPT, hidden inputs": WithHiddenInputs,
    "masked": mg.MaskedDiffusion,
}


RIVALS = (
    ("100 digits", "GPT"),
    ("100 digits", "GPT, dropout"),
    ("100 digits", "GPT, hidden inputs"),
    ("300 digits", "GPT"),
    ("300 digits", "GPT, hidden inputs"),
    ("50,000 letters", "GPT"),
)


def few(kind: str, images: int, seed: int) -> dict:
    """A cell: so many digits, again and again."""
    rng = np.random.default_rng([seed, images, 16])
    digits = mg.data.digits()
    train, test = (x.reshape(-1, 64).astype(np.int64) for x in (digits.train, digits.test))
    mine, validation = train[:images], train[-90:]
    model = KINDS[kind](17, 64, **BODY, rng=rng)
    steps = EPOCHS[images] * images // BATCH
    found = followed(model, mg.data.batches(mine, BATCH, rng), steps, validation, test, rng)
    return {"kind": kind, "data": f"{images} digits", "seed": seed, **found}


def few_letters(kind: str, seed: int) -> dict:
    """A cell: 50,000 letters, again and again."""
    rng, text = np.random.default_rng([seed, 16]), mg.data.python_manual("a-z")
    model = TEXT[f"{kind} on text"].build(rng)
    validation, test = (
        x[: 64 * STRETCH].reshape(-1, STRETCH) for x in (text.train[-5000:], text.test)
    )
    batches = mg.data.crops(text.train[:LETTERS], STRETCH, BATCH, rng)
    found = followed(model, batches, TEXT_STEPS, validation, test, rng)
    return {"kind": kind, "data": "50,000 letters", "seed": seed, **found}


def followed(model, batches, steps: int, validation: ndarray, test: ndarray, rng) -> dict:
    """Train, looking now and then at the validation part; exact bits of the test part with the
    values that did best there, and at the end.
    """
    parameters = mg.nn.parameters(model)
    optimizer = mg.AdamW(parameters, 2e-3, betas=(0.9, 0.99), weight_decay=0.1)
    ema, looks, best = mg.EMA(parameters, 0.98), [], None
    look_at = {round(steps * share) for share in SHARES}
    for step in range(1, steps + 1):
        optimizer.lr = 2e-3 * min(1.0, step / 50)
        train_step(model, next(batches), optimizer, rng, max_norm=1.0)
        ema.update()
        if step in look_at:
            with ema.applied():
                looks.append(exact_bits(model, validation))
                if looks[-1] == min(looks):
                    best = {name: x.copy() for name, x in mg.nn.state(model).items()}
    with ema.applied():
        end = exact_bits(model, test)
    mg.nn.load_state(model, best)
    return {"best": exact_bits(model, test), "end": end, "looks": looks}


def exact_bits(model, x: ndarray) -> float:
    """By log_prob or, of masked diffusion, by the chain rule."""
    if isinstance(model, mg.MaskedDiffusion):
        return experiment.chain_bits(model, x)
    return mg.evaluate.bits_per_dim(model, x).value


def effects(records: list[dict], delta: float) -> list[Effect]:
    """What autoregression pays more than masked diffusion, each stopped at its best."""
    return paid(records, "best", delta)


def controls(records: list[dict]) -> list[Effect]:
    """The same at the end, with nobody stopped."""
    return paid(records, "end", 0.02)


def paid(records: list[dict], when: str, delta: float) -> list[Effect]:
    found = []
    for data, kind in RIVALS:
        pair = [figures(records, when, data=data, kind=which) for which in (kind, "masked")]
        found.append(difference(f"{data}: {kind} minus masked, bits", *pair, delta))
    return found


CLAIM = Claim(
    "C16",
    "Few data",
    "With few data, repeated often, diffusion overtakes autoregression.",
    refuted="At its best by a validation part, an autoregressive model pays no more bits than the"
    " chain rule of a masked network that saw the same few examples as often.",
    expected="At the end, yes: a plain GPT has overfitted by then. At its best, no on letters; on"
    " 100 digits perhaps, and hidden inputs give the GPT most of what masked diffusion has.",
    delta=0.02,
    scope="100 and 300 digits (200 and 150 epochs), 50,000 letters (53 epochs); exact bits; three"
    " seeds; one learning rate for all, which never falls",
    cells=tuple(
        Cell(
            f"few_{images}_{experiment.typed(kind)}_seed{seed}",
            f"{__name__}:few",
            {"kind": kind, "images": images, "seed": seed},
            EPOCHS[images] * images / BATCH / 18 + (85 if kind == "masked" else 10),
        )
        for seed in experiment.FEWER
        for images, kind in itertools.product(EPOCHS, KINDS)
        if (images, kind) != (300, "GPT, dropout")
    )
    + tuple(
        Cell(
            f"few_letters_{kind}_seed{seed}",
            f"{__name__}:few_letters",
            {"kind": kind, "seed": seed},
            100,
        )
        for seed in experiment.FEWER
        for kind in ("GPT", "masked")
    ),
    effects=effects,
    surprise="At the end, with nobody stopped, masked diffusion leads on digits (controls), as"
    " expected. On letters the GPT, though it overfits, leads, and masked diffusion still learns.",
    controls=controls,
)
