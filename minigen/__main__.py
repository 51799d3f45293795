"""The command line: `python -m minigen` is the head-to-head on digits; `python -m minigen --help` lists the rest."""

import argparse
import importlib
import sys

COMMANDS = {
    "digits": (
        "minigen.compare.head_to_head",
        "train both families on the same digits and compare them (the default)",
    ),
    "text": ("minigen.compare.text", "train a GPT on a text file, beside n-grams"),
    "ddim": (
        "minigen.compare.ddim_sweep",
        "samplers and numbers of steps against sample quality, on the digits",
    ),
    "lessons": ("minigen.course.notebooks", "execute and refresh the lesson notebooks"),
    "checkpoints": (
        "minigen.course.checkpoints",
        "train and verify the checkpoints that the lessons load",
    ),
    "check": ("minigen.course.handed_in", "mark handed-in notebooks"),
}


def main(argv: list[str]) -> int:
    """Hand the arguments to the command's own `main(argv)`; options alone belong to the default command."""
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv = ["digits", *argv]
    parser = argparse.ArgumentParser(
        prog="python -m minigen", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.epilog = "commands:\n" + "\n".join(
        f"  {name:12} {help_}" for name, (_, help_) in COMMANDS.items()
    )
    parser.add_argument(
        "command",
        choices=COMMANDS,
        metavar="COMMAND",
        help="one of those below; digits if not given",
    )
    command = parser.parse_args(argv[:1]).command
    return importlib.import_module(COMMANDS[command][0]).main(argv[1:]) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
