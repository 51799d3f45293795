"""Draw from any saved model: a picture, a GIF of its walk, or text.

  python -m minigen sample runs/digits/ddpm.npz -n 40 --steps 10 --gif
  python -m minigen sample runs/text/gpt.npz --prompt "for example" --length 200

What tokens mean is read from NAME.json beside NAME.npz: {"vocabulary": "abc..."} for text,
{"shape": [8, 8]} for images; --shape says it where there is no such file. Options that the model
does not know are refused.
"""

import argparse
import inspect
import json
from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare import terminal

HOW = {  # what may be handed on to `model.sample`, if the model has it
    "method": (
        str,
        "way of sampling: ancestral, ddim, heun, ... of DDPM; ode, sde, ... of ScoreSDE",
    ),
    "steps": (terminal.whole(1), "of the walk"),
    "eta": (float, "noise of ddim, 0 to 1"),
    "label": (terminal.whole(0), "class to draw from"),
    "guidance_scale": (float, "1 obeys the label, more exaggerates it"),
    "order": (str, "in which positions are written, of models that can choose"),
    "prompt": (str, "text to go on from"),
    "length": (terminal.whole(1), "symbols to write after the prompt, steps of a series"),
    "temperature": (float, "below 1 safer, above 1 wilder"),
    "top_k": (terminal.whole(1), "draw from the k likeliest"),
    "top_p": (float, "draw from the likeliest that have this share"),
}
LENGTH = 200  # where a model needs a length and none is given


def main(argv: list[str] | None = None) -> int:
    parser = arguments()
    options = parser.parse_args(argv)
    with parser.refusing():
        model = mg.load(options.checkpoint)
        about = meaning(options.checkpoint, options.shape)
    vocabulary = about.get("vocabulary")
    how = {name: getattr(options, name) for name in HOW if getattr(options, name) is not None}
    if refused := refusal(model, how, vocabulary, options.gif):
        parser.error(refused)
    out = place(parser, options, ".png" if vocabulary is None else ".txt")
    rng = np.random.default_rng(options.seed)
    with parser.refusing():
        how = completed(model, how, vocabulary)
        n = options.n or (40 if vocabulary is None else 1)
        states = draw_states(model, n, rng, how, options.gif)
        if options.shape is not None and states[-1].dtype.kind == "f":
            parser.error(f"--shape does not apply to this {type(model).__name__}: it has its own")
        if vocabulary is None:
            draw_files(model, about, states, out, options)
        else:
            write_texts(states[-1], vocabulary, out)
    return 0


def arguments() -> terminal.Parser:
    parser = terminal.Parser("sample", __doc__, "CHECKPOINT")
    add, count = parser.add_argument, terminal.whole(1)
    add("checkpoint", type=Path, help="a file of mg.save, such as runs/digits/gpt.npz")
    add("-n", type=count, help="how many (40; of a text 1)")
    for name, (kind, about) in HOW.items():
        add(flag(name), type=kind, help=about)
    add("--shape", type=count, nargs=2, metavar=("Y", "X"), help="tokens are pixels of such images")
    add("--gif", action="store_true", help="the walk as a GIF, too")
    add("--seed", type=terminal.whole(0), default=0, help="of the random numbers (0)")
    add(
        "--out",
        type=Path,
        help="the file to write: name.png (NAME_samples.png), of a text name.txt",
    )
    return parser


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def meaning(path: Path, shape: list[int] | None) -> dict:
    """What the numbers of the model are: the JSON beside it, or {"shape": ...} as given."""
    beside = path.with_suffix(".json")
    about = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    about = about if shape is None else {"shape": shape}
    if isinstance(about, dict):
        vocabulary, pixels = about.get("vocabulary", ""), about.get("shape", [1, 1])
        counts = isinstance(pixels, list) and all(isinstance(k, int) and k > 0 for k in pixels)
        if isinstance(vocabulary, str) and counts and len(pixels) == 2:
            return about
    raise ValueError(f'{beside}: expected {{"vocabulary": "abc..."}} or {{"shape": [Y, X]}}')


def place(parser: terminal.Parser, options: argparse.Namespace, ending: str) -> Path | None:
    """The file to write, its folder made; None for a text that is only shown."""
    out = options.out
    if out is None and ending == ".txt":
        return None
    if out is None:
        out = options.checkpoint.with_name(options.checkpoint.stem + "_samples.png")
    if out.is_dir() or out.suffix != ending:
        parser.error(f"--out: expected a file name{ending}, got {out}")
    parser.folder(out.parent)
    return out


def completed(model, how: dict, vocabulary: str | None) -> dict:
    """The prompt in tokens; a length, the prompt counted, where the model or a text needs one."""
    takes = parameters(model)
    if "prompt" in how:
        how = {**how, "prompt": encoded(how["prompt"], vocabulary)}
    if "length" in takes and (vocabulary or takes["length"].default is inspect.Parameter.empty):
        written = how.get("length", LENGTH)
        how = {**how, "length": len(how.get("prompt", ())) + written}
    return how


def parameters(model) -> dict[str, inspect.Parameter]:
    """What `model.sample` takes besides n and rng; "**how" are the arguments of `sample_walk`."""
    of = inspect.signature(model.sample).parameters
    if "how" in of:
        of = inspect.signature(model.sample_walk).parameters
    return {name: of[name] for name in of if name not in ("n", "rng")}


def refusal(model, how: dict, vocabulary: str | None, gif: bool) -> str | None:
    """Why these options do not fit this model, or None."""
    kind, takes = type(model).__name__, [name for name in parameters(model) if name in HOW]
    if "prompt" in takes and vocabulary is None:
        takes.remove("prompt")  # a text, which needs a vocabulary
    flags = ", ".join(map(flag, takes)) or "none"
    for name in how:
        if name not in takes:
            return f"{flag(name)} does not apply to this {kind}; what does: {flags}"
    if gif and (vocabulary is not None or not hasattr(model, "sample_walk")):
        return f"--gif does not apply to this {kind}: there is no walk of pictures"
    symbols = getattr(model, "vocab_size", None)
    if vocabulary is not None and len(vocabulary) != symbols:
        return f"the vocabulary beside it has {len(vocabulary)} symbols, the {kind} {symbols}"
    return None


def draw_states(model, n: int, rng: np.random.Generator, how: dict, walk: bool) -> list[np.ndarray]:
    """Every state of the walk, or the samples alone."""
    if not hasattr(model, "sample_walk"):
        return [model.sample(n, rng, **how)]
    states = []
    for state in terminal.counted(model.sample_walk(n, rng, **how), "step"):
        if not walk:
            states.clear()
        states.append(state)
    return states


def encoded(text: str, vocabulary: str) -> np.ndarray:
    if unknown := sorted(set(text) - set(vocabulary)):
        raise ValueError(f"--prompt: {unknown} not among the symbols of this model: {vocabulary!r}")
    return np.array([vocabulary.index(character) for character in text], np.int64)


def write_texts(tokens: np.ndarray, vocabulary: str, out: Path | None) -> None:
    text = "\n\n".join("".join(vocabulary[token] for token in row) for row in tokens)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    terminal.say(text)


def draw_files(model, about: dict, states, out: Path, options: argparse.Namespace) -> None:
    from minigen.compare import draw  # matplotlib: only where it is needed

    samples = states[-1]
    symbols = getattr(model, "vocab_size", getattr(model, "levels", None))
    drawing = draw.drawing(samples, about.get("shape"), symbols)
    panel = draw.Panel(f"{len(samples)} samples: {options.checkpoint.stem}", drawing, states)
    draw.picture([panel]).savefig(out, dpi=130)
    terminal.say(f"Wrote {out}")
    if options.gif:
        walk = out.with_suffix(".gif")
        walk.write_bytes(draw.walks([panel]))
        terminal.say(f"Wrote {walk}")
