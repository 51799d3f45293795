"""Draw from any saved model: a picture, a GIF of its walk, or text.

  python -m minigen sample runs/digits/ddpm.npz -n 40 --method ddim --steps 10 --gif
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
    parser = terminal.Parser("sample", __doc__, "CHECKPOINT")
    parser.add_argument(
        "checkpoint", type=Path, help="a file of mg.save, such as runs/digits/gpt.npz"
    )
    parser.add_argument("-n", type=terminal.whole(1), help="how many (40; of a text 1)")
    for name, (kind, about) in HOW.items():
        parser.add_argument("--" + name.replace("_", "-"), type=kind, help=about)
    parser.add_argument(
        "--shape", type=terminal.whole(1), nargs=2, metavar=("Y", "X"), help="tokens are pixels"
    )
    parser.add_argument("--gif", action="store_true", help="the walk as a GIF, too")
    parser.add_argument(
        "--seed", type=terminal.whole(0), default=0, help="of the random numbers (0)"
    )
    parser.add_argument(
        "--out", type=Path, help="the file to write (CHECKPOINT's name with _samples.png)"
    )
    options = parser.parse_args(argv)

    with parser.refusing():
        model = mg.load(options.checkpoint)
        about = meaning(options.checkpoint, options.shape)
    vocabulary = about.get("vocabulary")
    how = {name: getattr(options, name) for name in HOW if getattr(options, name) is not None}
    if refused := refusal(model, how, vocabulary, options.gif):
        parser.error(refused)
    if options.out is None and vocabulary is None:
        options.out = options.checkpoint.with_name(options.checkpoint.stem + "_samples.png")
    if options.out is not None:
        parser.folder(options.out.parent)
        if options.out.is_dir() or options.out.suffix not in (
            (".txt",) if vocabulary else (".png",)
        ):
            ending = "name.txt" if vocabulary else "name.png"
            parser.error(f"--out: expected a file {ending}, got {options.out}")

    rng = np.random.default_rng(options.seed)
    n = options.n or (1 if vocabulary else 40)
    with parser.refusing():
        if "prompt" in how:
            how["prompt"] = encoded(how["prompt"], vocabulary)
        takes = parameters(model)
        if "length" in takes and (vocabulary or takes["length"].default is inspect.Parameter.empty):
            how["length"] = len(how.get("prompt", ())) + how.get("length", LENGTH)
        states = draw_states(model, n, rng, how, options.gif)
        if vocabulary is not None:
            write_texts(states[-1], vocabulary, options.out)
        else:
            draw_files(model, about, states, options)
    return 0


def meaning(path: Path, shape: list[int] | None) -> dict:
    """What the numbers of the model are: the JSON beside it, or {"shape": ...} as given."""
    beside = path.with_suffix(".json")
    about = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    if not isinstance(about, dict) or not isinstance(about.get("vocabulary", ""), str):
        raise ValueError(f'{beside}: expected {{"vocabulary": "abc..."}} or {{"shape": [Y, X]}}')
    return about if shape is None else {"shape": shape}


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
    flags = ", ".join("--" + name.replace("_", "-") for name in takes) or "none"
    for name in how:
        if name not in takes:
            return f"--{name.replace('_', '-')} does not apply to this {kind}; what does: {flags}"
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


def draw_files(model, about: dict, states: list[np.ndarray], options: argparse.Namespace) -> None:
    from minigen.compare import draw  # matplotlib: only where it is needed

    samples = states[-1]
    symbols = getattr(model, "vocab_size", getattr(model, "levels", None))
    drawing = draw.drawing(samples, about.get("shape"), symbols)
    panel = draw.Panel(f"{len(samples)} samples: {options.checkpoint.stem}", drawing, states)
    draw.picture([panel]).savefig(options.out, dpi=130)
    terminal.say(f"Wrote {options.out}")
    if options.gif:
        walk = options.out.with_suffix(".gif")
        walk.write_bytes(draw.walks([panel]))
        terminal.say(f"Wrote {walk}")
