"""`python -m minigen text FILE`: GPT beside the ladder of n-grams on any text, both in bits per character.

The defaults are the best setting found for 60 seconds on two cores. Karpathy's nanoGPT on a laptop CPU is
`--layers 4 --width 128 --batch 12 --learning-rate 1e-3 --steps 2000` (1.88 nats = 2.71 bits on tiny shakespeare).
"""

import argparse
import platform

import numpy as np

from minigen import data, evaluate, nn, optim
from minigen.models.gpt import GPT
from minigen.models.markov import NGram
from minigen.training import train

SETTINGS = {
    "layers": (2, "layers of the Transformer"),
    "heads": (4, "attention heads"),
    "width": (128, "width of the Transformer"),
    "context": (64, "characters that GPT can look at"),
    "batch": (16, "stretches of text a step"),
    "learning-rate": (6e-3, "highest learning rate"),
    "seconds": (60.0, "training time, unless --steps is given"),
    "steps": (0, "training steps; 0: train for --seconds"),
    "length": (400, "characters to write"),
    "seed": (0, "of the random numbers"),
}


def ladder(text: data.Text, highest: int = 6) -> list[evaluate.Bits]:
    """Bits per character on the test part by interpolated Kneser-Ney with 0, 1, 2, ... context characters."""
    size = len(text.vocabulary)
    orders = [order for order in range(highest + 1) if size ** (order + 1) < 2**63]
    return [
        evaluate.bits_per_dim(NGram(order, size).fit(text.train), text.test) for order in orders
    ]


def train_gpt(
    text: data.Text, how: argparse.Namespace, rng: np.random.Generator
) -> tuple[GPT, optim.EMA, int]:
    """A GPT of the given size, trained on random stretches of text; its averaged parameters; the number of steps."""
    gpt = GPT(len(text.vocabulary), how.context, how.layers, how.heads, how.width, rng=rng)
    parameters = nn.parameters(gpt)
    ema = optim.EMA(parameters, decay=0.99)
    optimizer = optim.AdamW(parameters, lr=how.learning_rate, betas=(0.9, 0.99), weight_decay=0.1)
    batches = data.crops(text.train, how.context + 1, how.batch, rng)
    budget = {"steps": how.steps} if how.steps else {"seconds": how.seconds}
    schedule = {
        "learning_rate": optim.warmup_cosine(how.learning_rate),
        "max_norm": 1.0,
        "ema": ema,
    }
    steps = sum(1 for _ in train(gpt, batches, optimizer=optimizer, rng=rng, **schedule, **budget))
    return gpt, ema, steps


def main(argv: list[str] | None = None) -> None:
    """The command line; see `python -m minigen text --help`."""
    parser = argparse.ArgumentParser("python -m minigen text", description=__doc__)
    parser.add_argument(
        "file", nargs="?", help="any text file (UTF-8); the manual of this Python if not given"
    )
    parser.add_argument(
        "--alphabet", choices=("a-z", "full"), help="default: a-z for the manual, full for a file"
    )
    for name, (default, meaning) in SETTINGS.items():
        parser.add_argument(
            f"--{name}", type=type(default), default=default, help=f"{meaning} ({default})"
        )
    how = parser.parse_args(argv)
    try:
        text = (
            data.text_file(how.file, how.alphabet or "full")
            if how.file
            else data.python_manual(how.alphabet or "a-z")
        )
    except (OSError, ValueError) as error:
        parser.error(f"{how.file}: {error}")
    rng = np.random.default_rng(how.seed)
    print(
        f"{text.source}: {len(text.train):,} characters to learn from, {len(text.test):,} to be tested on"
    )
    print(
        f"{len(text.vocabulary)} symbols, sha256 {text.sha256[:16]}, Python {platform.python_version()}\n"
    )
    rungs = ladder(text)
    for order, bits in enumerate(rungs):
        print(f"Kneser-Ney, {order} characters of context  {bits.value:.3f} bits per character")
    gpt, ema, steps = train_gpt(text, how, rng)
    prompt = text.test[: how.context // 2]
    with ema.applied():
        bits = evaluate.bits_per_dim(gpt, text.test)
        written = gpt.sample(1, rng, prompt=prompt, length=len(prompt) + how.length)[0]
    size = sum(parameter.size for parameter in nn.parameters(gpt).values())
    print(f"GPT, {size:,} parameters, {steps:,} steps   {bits.value:.3f} bits per character")
    beaten = max(
        (order for order, rung in enumerate(rungs) if bits.value < rung.value), default=None
    )
    verdict = "beats none of them" if beaten is None else f"beats {beaten} characters of context"
    print(
        f"It {verdict}; to the best rung: {bits.value - min(r.value for r in rungs):+.3f} bits per character\n"
    )
    print(f"[{text.decode(prompt)}] {text.decode(written[len(prompt) :])}")
