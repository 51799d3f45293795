"""A GPT beside n-grams on any text, both in bits per character of its last tenth.

The defaults are the best setting found for 60 seconds on two cores. Karpathy's nanoGPT on a laptop
CPU is `--layers 4 --width 128 --batch 12 --learning-rate 1e-3 --steps 2000` (1.88 nats = 2.71 bits
on tiny shakespeare).

  python -m minigen text book.txt --seconds 60 --out runs/book
  python -m minigen sample runs/book/gpt.npz --prompt "The "
"""

import json
import platform
import textwrap
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare import terminal
from minigen.training import interrupts


def setting(default, kind, meaning: str):
    return field(default=default, metadata={"type": kind, "help": f"{meaning} ({default:g})"})


@dataclass(frozen=True)
class Setting:
    """How large a GPT, trained how long; every field is an option of the command."""

    layers: int = setting(2, terminal.whole(1), "layers of the Transformer")
    heads: int = setting(4, terminal.whole(1), "attention heads; they divide the width")
    width: int = setting(128, terminal.whole(1), "width of the Transformer")
    context: int = setting(64, terminal.whole(2), "characters that GPT can look at")
    batch: int = setting(16, terminal.whole(1), "stretches of text a step")
    learning_rate: float = setting(6e-3, terminal.positive, "highest learning rate")
    seconds: float = setting(60.0, terminal.positive, "training time, unless --steps is given")
    steps: int = setting(0, terminal.whole(0), "training steps; 0: train for --seconds")
    length: int = setting(400, terminal.whole(1), "characters to write")
    temperature: float = setting(1.0, terminal.positive, "of what it writes")


@dataclass
class TextRun:
    """A GPT on a text, and what came of it. A setting that cannot work is a ValueError at once."""

    text: mg.data.Text
    how: Setting
    rng: np.random.Generator
    rungs: list[float] = field(default_factory=list)  # bits per character, by characters of context
    losses: list[float] = field(default_factory=list)
    training_seconds: float = 0.0
    bits: float | None = None
    written: str = ""
    ema: mg.EMA | None = None

    def __post_init__(self) -> None:
        how, symbols = self.how, len(self.text.vocabulary)
        if how.width % how.heads:
            raise ValueError(f"--heads {how.heads} does not divide --width {how.width}")
        if len(self.text.train) <= how.context:
            came = f"the part to learn from has {len(self.text.train)}"
            raise ValueError(f"--context {how.context}: the text is too short, {came}")
        self.gpt = mg.GPT(symbols, how.context, how.layers, how.heads, how.width, rng=self.rng)
        self.batches = mg.data.crops(self.text.train, how.context + 1, how.batch, self.rng)
        next(self.batches)

    def go(self) -> None:
        """Count, train, measure, write. Ctrl-C: what was learned stays, then KeyboardInterrupt."""
        self.count()
        self.train()
        prompt = self.prompt
        with terminal.stages("Measuring", 2) as begin, self.ema.applied():
            begin("bits of the test part")
            self.bits = mg.evaluate.bits_per_dim(self.gpt, self.text.test).value
            begin("writing")
            how = {"length": len(prompt) + self.how.length, "temperature": self.how.temperature}
            tokens = self.gpt.sample(1, self.rng, prompt=prompt, **how)[0]
        self.written = self.text.decode(tokens[len(prompt) :])

    @property
    def prompt(self) -> np.ndarray:
        return self.text.test[: self.how.context // 2]

    def count(self, highest: int = 6) -> None:
        """Bits per character by interpolated Kneser-Ney with 0, 1, 2, ... characters of context."""
        size = len(self.text.vocabulary)
        orders = [order for order in range(highest + 1) if size ** (order + 1) < 2**63]
        with terminal.stages("Counting", len(orders)) as begin:
            for order in orders:
                begin(f"n-grams, {order} characters of context")
                model = mg.NGram(order, size).fit(self.text.train)
                self.rungs.append(mg.evaluate.bits_per_dim(model, self.text.test).value)

    def train(self) -> None:
        how, begin = self.how, time.perf_counter()
        budget = {"steps": how.steps} if how.steps else {"seconds": how.seconds}
        recipe = {"lr": how.learning_rate, "decay": 0.99, **budget}
        with interrupts() as interrupt:
            self.losses, self.ema = mg.fit(self.gpt, self.batches, rng=self.rng, **recipe)
            self.training_seconds = time.perf_counter() - begin
        if interrupt.came:
            raise KeyboardInterrupt

    def report(self) -> str:
        """Both models in bits per character, who wins and why, and what the GPT writes."""
        size = sum(parameter.size for parameter in mg.nn.parameters(self.gpt).values())
        name = f"GPT, {size:,} parameters, {len(self.losses):,} steps"
        scores = {
            f"Kneser-Ney, {k} characters of context": bits for k, bits in enumerate(self.rungs)
        }
        lines = [
            f"{who:45} {bits:.3f} bits per character"
            for who, bits in [*scores.items(), (name, self.bits)]
        ]
        given = textwrap.shorten(self.text.decode(self.prompt), 60, placeholder=" ...")
        lines += [self.verdict(), "", f'Given "{given}" (the test part begins so), it goes on:']
        lines += self.written.splitlines()
        return "\n".join(textwrap.fill(line, 79) for line in lines)

    def verdict(self) -> str:
        best = min(range(len(self.rungs)), key=self.rungs.__getitem__)
        gap = self.bits - self.rungs[best]
        if gap < 0:
            return f"The GPT beats every n-gram, the best of them by {-gap:.3f} bits per character."
        how = self.how
        readings = len(self.losses) * how.batch * how.context / len(self.text.train)
        return (
            f"The GPT loses to counting with {best} characters of context, by {gap:.3f} bits per "
            f"character. Counting needs one reading of the text; a GPT learns by small steps, and "
            f"in {self.training_seconds:.3g} s it has read the text {readings:.2g} times. Give it "
            f"more seconds."
        )

    def record(self) -> dict:
        return {
            "source": self.text.source,
            "sha256": self.text.sha256,
            "setting": asdict(self.how),
            "training_steps": len(self.losses),
            "training_seconds": self.training_seconds,
            "test_characters": len(self.text.test),
            "bits_per_character": self.bits,
            "ngram_bits": self.rungs,
            "prompt": self.text.decode(self.prompt),
            "written": self.written,
        }

    def save(self, path: Path) -> None:
        """The GPT, if it was trained, and beside it the vocabulary that its tokens stand for."""
        if self.ema is not None:
            source = {"source": self.text.source, "sha256": self.text.sha256}
            about = {"vocabulary": self.text.vocabulary, **source}
            terminal.keep(self.gpt, self.ema, about, path)


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 130 after Ctrl-C."""
    parser = terminal.Parser("text", __doc__, "[FILE]")
    about = "any text file (UTF-8); the manual of this Python if not given"
    parser.add_argument("file", nargs="?", help=about)
    alphabets = "default: a-z for the manual, full for a file"
    parser.add_argument("--alphabet", choices=("a-z", "full"), help=alphabets)
    for option in fields(Setting):
        name = "--" + option.name.replace("_", "-")
        parser.add_argument(name, default=option.default, **option.metadata)
    parser.add_argument(
        "--seed", type=terminal.whole(0), default=0, help="of the random numbers (0)"
    )
    default = Path("runs/text")
    parser.add_argument(
        "--out", type=Path, default=default, help=f"folder for the results ({default})"
    )
    options = parser.parse_args(argv)
    with parser.refusing(f"{options.file or 'the manual'}: "):
        if options.file:
            text = mg.data.text_file(options.file, options.alphabet or "full")
        else:
            text = mg.data.python_manual(options.alphabet or "a-z")
    how = Setting(**{option.name: getattr(options, option.name) for option in fields(Setting)})
    with parser.refusing():
        run = TextRun(text, how, np.random.default_rng(options.seed))
    parser.folder(options.out)

    train, test = (f"{len(part):,} characters" for part in (text.train, text.test))
    terminal.say(f"{text.source}: {train} to learn from, {test} to be tested on")
    version = f"sha256 {text.sha256[:16]}, Python {platform.python_version()}"
    terminal.say(f"{len(text.vocabulary)} symbols, {version}\n")
    interrupted = True
    try:
        run.go()
        interrupted = False
    except KeyboardInterrupt:
        terminal.say(f"Interrupted; what there is stands in {options.out}.")
    finally:
        with interrupts():
            run.save(options.out / "gpt.npz")
            record = json.dumps({"interrupted": interrupted, **run.record()}, indent=1)
            (options.out / "results.json").write_text(record, encoding="utf-8")
    if interrupted:
        return 130
    terminal.say(run.report())
    checkpoint = terminal.typed(options.out / "gpt.npz")
    terminal.say(f"\nIt can write more:\n  {terminal.minigen()} sample {checkpoint}")
    return 0
