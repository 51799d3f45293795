"""The command line: `python -m minigen` is the head-to-head on digits; --help lists the rest."""

import argparse
import difflib
import importlib
import sys

COMMANDS = {  # name: the module with its main(argv), what it does, an example
    "digits": (
        "minigen.compare.head_to_head",
        "train three models on the same digits and compare them (the default)",
        "digits --seconds 45 --out runs/digits",
    ),
    "text": (
        "minigen.compare.text",
        "train a GPT on a text file, beside n-grams",
        "text book.txt --seconds 60 --out runs/book",
    ),
    "sample": (
        "minigen.compare.sample",
        "draw from a saved model: pictures, a GIF of the walk, text",
        "sample runs/digits/ddpm.npz -n 40 --steps 10 --gif",
    ),
    "ddim": (
        "minigen.compare.ddim_sweep",
        "samplers and numbers of steps against sample quality, on the digits",
        "ddim --steps 5 20 100",
    ),
    "dial": (
        "minigen.compare.dial",
        "from autoregression to diffusion by the size of a block, with three seeds",
        "dial --sizes 1 8 64 --out runs/dial",
    ),
    "compare": (
        "minigen.compare.thorough",
        "claims about the two families, each with its evidence and its verdict",
        "compare",
    ),
    "work": (
        "minigen.course.work",
        "copy the lessons to a folder of your own, which nothing overwrites",
        "work my_lessons",
    ),
    "lessons": (
        "minigen.course.notebooks",
        "execute and refresh the lesson notebooks",
        "lessons 03",
    ),
    "checkpoints": (
        "minigen.course.checkpoints",
        "train and verify the checkpoints that the lessons load",
        "checkpoints --verify",
    ),
    "pictures": ("minigen.compare.pictures", "make README's pictures and tables anew", "pictures"),
    "check": (
        "minigen.course.handed_in",
        "mark handed-in notebooks",
        "check lessons/03_layers_and_training.ipynb",
    ),
}


def main(argv: list[str]) -> int:
    """Hand the arguments to the command's own `main(argv)`; options alone belong to `digits`.

    Returns the exit code: 130 after Ctrl-C, as a shell expects.
    """
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv = ["digits", *argv]
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m minigen", formatter_class=raw)
    lines = [
        f"  {name:12} {about}\n{'':15}python -m minigen {example}"
        for name, (_, about, example) in COMMANDS.items()
    ]
    parser.epilog = "\n".join(["commands, each with an example:", *lines])
    what = "one of those below; digits if not given. COMMAND --help lists its options"
    parser.add_argument("command", nargs="?", metavar="COMMAND", help=what)
    command = parser.parse_args(argv[:1]).command
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS)
        hint = f"did you mean {' or '.join(near)}?" if near else "--help lists all"
        parser.error(f"no command {command!r}; {hint}")
    try:
        return importlib.import_module(COMMANDS[command][0]).main(argv[1:]) or 0
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    from minigen.compare.terminal import patient_streams

    patient_streams()
    sys.exit(main(sys.argv[1:]))
