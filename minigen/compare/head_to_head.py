"""Three walks on the same digits: the same Transformer body, the same seconds, one table.

`python -m minigen` trains a GPT and masked diffusion over the 64 pixels and a DDPM over 16 patches,
measures likelihood, speed and samples, trains a GPT on text, and writes models, table, pictures,
samples and `results.json` to runs/digits.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare import arms, terminal, thorough
from minigen.compare.measure import Result, independent_pixels, measure, real_floor, table
from minigen.compare.text import Setting, TextRun
from minigen.training import interrupts

MEASURING = 40  # seconds, on two cores with nothing else to do

# -- the contestants -------------------------------------------------------------------------------


@dataclass
class Contestant:
    """One contestant: how it is built, what it learns from, and, once trained, what came of it."""

    name: str
    walk: str  # the title of its walk
    kind: arms.Arm  # how it is built, what it learns from, what its samples mean
    passes: int  # of the network, for one sample
    recipe: dict  # of `mg.fit`
    model: object = None
    ema: mg.EMA | None = None
    losses: list[float] = field(default_factory=list)
    training_seconds: float = 0.0

    @property
    def training_steps(self) -> int:
        return len(self.losses)

    def train(self, images: np.ndarray, seconds: float, rng: np.random.Generator) -> None:
        """For so many seconds. Ctrl-C: what was learned stays, then KeyboardInterrupt."""
        model = self.kind.build(rng)
        batches = mg.data.batches(self.kind.examples(images), self.kind.batch, rng)
        begin = time.perf_counter()
        with interrupts() as interrupt:
            recipe = {"seconds": seconds, "decay": 0.995, **self.recipe}
            self.losses, self.ema = mg.fit(model, batches, rng=rng, **recipe)
            self.model, self.training_seconds = model, time.perf_counter() - begin
        if interrupt.came:
            raise KeyboardInterrupt


def contestants() -> list[Contestant]:
    """Three with the same body, untrained; their rates are for the seconds of this command."""
    gpt, masked, ddpm = (arms.DIGITS[name] for name in ("GPT", "masked", "DDPM"))
    return [
        Contestant("GPT", "autoregressive: GPT", gpt, 64, {"lr": 4e-3, "weight_decay": 0.5}),
        Contestant(
            "Masked", "between: masked diffusion", masked, 64, {"lr": 4e-3, "weight_decay": 0.1}
        ),
        Contestant("DDPM", "diffusion: DDPM", ddpm, arms.CHAIN, {"lr": 6e-3, "weight_decay": 0.01}),
    ]


# -- the run ---------------------------------------------------------------------------------------


@dataclass
class Run:
    """What is there of a run, from its first second on: whatever happens, `save` writes it."""

    seed: int
    began: float = field(default_factory=time.perf_counter)
    arms: list[Contestant] = field(default_factory=contestants)
    results: list[Result] = field(default_factory=list)
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    pictures: dict[str, Callable[[Path], object]] = field(default_factory=dict)  # what writes each
    real: dict[str, object] = field(default_factory=dict)  # what real images, or counts, would get
    table: str = ""
    text: TextRun | None = None
    interrupted: bool = True  # until it is through

    def go(self, seconds: float, text: Setting) -> None:
        """Train all, measure all, draw, then the text."""
        rng, digits = np.random.default_rng(self.seed), mg.data.digits()
        training = len(self.arms) * seconds + text.seconds
        terminal.say(f"{training:g} s of training, then about {MEASURING} s of measuring.")
        for arm in self.arms:
            terminal.say(f"{arm.walk} learns {len(digits.train):,} digits for {seconds:g} s ...")
            arm.train(digits.train, seconds, rng)
        with terminal.stages("Measuring", 3 * len(self.arms) + 2) as begin:
            for arm in self.arms:
                with arm.ema.applied():
                    result, samples = measure(arm, digits, rng, begin)
                self.results.append(result)
                self.samples[arm.name.lower()] = samples
            begin("real images")
            floor, pixels = real_floor(digits), independent_pixels(digits.train, digits.test)
            self.real = {"floor": floor._asdict(), "independent_pixels_bits": pixels}
            self.table = table(self.results, floor, pixels)
            begin("pictures")
            self.draw(digits.test, rng)
        terminal.say("\n" + self.table)
        terminal.say(f"\nA GPT learns the Python manual for {text.seconds:g} s ...")
        self.text = TextRun(mg.data.python_manual("a-z"), text, rng)
        self.text.go()
        self.interrupted = False

    def draw(self, real: np.ndarray, rng: np.random.Generator) -> None:
        """Real digits above unselected samples; and the walks beside each other."""
        from minigen.compare import draw  # matplotlib

        samples = {arm.name: self.samples[arm.name.lower()] for arm in self.arms}
        rows = {"real test images": real, **samples}
        mosaic = draw.images((8, 8), (0, 16), n=80, columns=20)
        panels = [draw.Panel(name, mosaic, [images[:80]]) for name, images in rows.items()]
        self.pictures["digits.png"] = partial(draw.picture(panels).savefig, dpi=130)
        walks = []
        for arm in self.arms:
            with arm.ema.applied():
                states = list(arm.model.sample_walk(16, rng))
            drawing = draw.drawing(states[-1], (8, 8), symbols=17)
            walks.append(draw.Panel(arm.walk, drawing, states))
        gif = draw.walks(walks)
        self.pictures["walk.gif"] = lambda path: path.write_bytes(gif)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def record(self) -> dict:
        trained = [arm for arm in self.arms if arm.ema is not None]
        return {
            "interrupted": self.interrupted,
            "models": [asdict(result) for result in self.results],
            "real": self.real,
            "losses": {arm.name.lower(): arm.losses for arm in trained},
            "training_seconds": {arm.name.lower(): arm.training_seconds for arm in trained},
            "text": self.text and self.text.record(),
            "seed": self.seed,
            "seconds": self.seconds,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }

    def save(self, folder: Path) -> None:
        """All that is there; results.json comes last and names the files of this run."""
        (folder / "results.json").unlink(missing_ok=True)
        files = {}  # name: what writes it
        for arm in self.arms:
            if arm.ema is not None:
                about = {"shape": [8, 8], "levels": 17}
                files[f"{arm.name.lower()}.npz"] = partial(terminal.keep, arm.model, arm.ema, about)
        if self.text is not None and self.text.ema is not None:
            files["text.npz"] = self.text.save
        if self.table:
            files["table.txt"] = lambda path: path.write_text(self.table + "\n", encoding="utf-8")
        if self.samples:
            files["samples.npz"] = lambda path: np.savez_compressed(path, **self.samples)
        files |= self.pictures
        for name, write in files.items():
            write(folder / name)
        record = json.dumps({"files": list(files), **self.record()}, indent=1)
        (folder / "results.json").write_text(record, encoding="utf-8")


def evidence() -> str:
    """What the thorough edition found, beside which the figures of one run are a first look."""
    claims = thorough.measured()["claims"]
    lines = ["The figures above are of one run. What several seeds and a rule found:"]
    lines += [f"  {one['claim']:4}{one['title']:28}{one['verdict']}" for one in claims]
    lines += ["Each with its evidence:", f"  {terminal.minigen()} compare"]
    return "\n".join(lines)


# -- the command -----------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 130 after Ctrl-C."""
    parser = terminal.Parser("digits", __doc__)
    seconds = {"type": terminal.positive, "metavar": "S"}
    parser.add_argument(
        "--seconds", **seconds, default=45.0, help="training time of each model of digits (45)"
    )
    parser.add_argument(
        "--text-seconds", **seconds, default=25.0, help="training time on the text (25)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/digits"), help="folder for the results (runs/digits)"
    )
    parser.add_argument(
        "--seed", type=terminal.whole(0), default=0, help="of the random numbers (0)"
    )
    options = parser.parse_args(argv)
    parser.folder(options.out)
    run = Run(options.seed)
    try:
        run.go(options.seconds, Setting(width=96, temperature=0.8, seconds=options.text_seconds))
    except KeyboardInterrupt:
        terminal.say(f"\nInterrupted; what there is stands in {options.out}.")
    finally:
        with interrupts():  # a Ctrl-C waits until all is written
            run.save(options.out)
    if run.interrupted:
        return 130
    terminal.say(run.text.report())
    terminal.say("\n" + evidence())
    folder = terminal.typed(options.out)
    terminal.say(
        f"\n{run.seconds:.0f} s in all. Open digits.png and walk.gif in {folder}. To draw more:"
    )
    terminal.say(f"  {terminal.minigen()} sample {terminal.typed(options.out / 'ddpm.npz')} --gif")
    if terminal.LESSONS.exists():
        terminal.say("The first lesson explains what you have just seen. A copy to work in:")
        terminal.say(f"  {terminal.minigen()} work")
        terminal.say(f"  {terminal.jupyter()} lab work")
    return 0
