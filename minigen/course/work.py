"""`python -m minigen work [DIR]`.

A copy of the lessons to work in, so that the checkout stays as it is.
"""

import argparse
import shutil
import sys
from pathlib import Path

LESSONS = Path(__file__).resolve().parents[2] / "lessons"  # said here: notebooks.py is slow to load


def copy_lessons(source: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy every file below `source` that `folder` does not have yet; nothing is overwritten.

    Returns the files copied and the files left as they were, relative to the folder.
    """
    copied, left = [], []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.is_dir() or any(part.startswith(".") for part in name.parts):
            continue
        target = folder / name
        if target.exists():
            left.append(name)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        copied.append(name)
    return copied, left


def main(argv: list[str] | None = None) -> int:
    """Copy the lessons, with what they load, and say how to open them."""
    parser = argparse.ArgumentParser("python -m minigen work", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("work"), help="work")
    folder = parser.parse_args(argv).folder
    if not LESSONS.is_dir():
        parser.error(f"{LESSONS} is not there: the lessons come with the checkout, see README.md")
    try:
        copied, left = copy_lessons(LESSONS, folder)
    except OSError as error:
        parser.error(f"{folder}: {error}")
    print(f"{len(copied)} files copied to {folder}, {len(left)} left as you have them.")
    print(f"Open them with: {sys.executable} -m jupyter lab {folder}")
    return 0
