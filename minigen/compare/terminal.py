"""How a command speaks: usage in one line, bars that vanish, streams that may be closed."""

import argparse
import contextlib
import errno
import json
import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import minigen as mg


class Parser(argparse.ArgumentParser):
    """An ArgumentParser with a usage of one line; `name` stands after `python -m minigen`."""

    def __init__(self, name: str, described: str, operands: str = "") -> None:
        prog = f"python -m minigen {name}".strip()
        raw = argparse.RawDescriptionHelpFormatter
        usage = " ".join([prog, operands, "[options]"]).replace("  ", " ")
        hint = f"{usage}   (--help lists them)"
        super().__init__(prog, hint, folded(described), formatter_class=raw)

    @contextlib.contextmanager
    def refusing(self, about: str = "") -> Iterator[None]:
        """What goes wrong in here is a setting of the user's: usage, not a traceback."""
        try:
            yield
        except (OSError, ValueError, LookupError, MemoryError) as error:
            self.error(about + " ".join(str(error).split()))

    def folder(self, path: Path) -> None:
        """Make the folder of the results and see that it can be written to, before the work."""
        with self.refusing("--out: "):
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, "not writable", str(path))


def folded(text: str) -> str:
    """Paragraphs of at most 78 columns; what is indented stays as it is."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else textwrap.fill(p, 78) for p in paragraphs)


def whole(lowest: int) -> Callable[[str], int]:
    """An argparse type: an integer of at least `lowest`."""

    def integer(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"expected {lowest} or more, got {value}")
        return value

    return integer


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def say(*words, end: str = "\n") -> None:
    """Print at once: what is said before minutes of work must be seen before them."""
    print(*words, end=end, flush=True)


@contextlib.contextmanager
def stages(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar for work in several parts: call what it gives with the name of each as it begins."""
    from tqdm.auto import tqdm

    with tqdm(total=total, leave=False, bar_format="{desc} |{bar}| {n}/{total}") as bar:
        begun = False

        def begin(name: str) -> None:
            nonlocal begun
            bar.update(begun)
            bar.set_description_str(f"{title}: {name}")
            begun = True

        yield begin


def counted(items: Iterable, unit: str) -> Iterable:
    """The same items, with a bar that counts them."""
    from tqdm.auto import tqdm

    return tqdm(items, unit=unit, leave=False)


def keep(model, ema, about: dict, path: Path) -> None:
    """Save the averaged model as NAME.npz, and as NAME.json what its tokens mean: see `sample`."""
    path.with_suffix(".json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    with ema.applied():
        mg.save(path, model)


LESSONS = Path(mg.__file__).parents[1] / "lessons"  # there in a checkout, not in a plain install


def typed(path: Path) -> str:
    """A path as it can be typed: from the current folder if it lies there, quoted if need be."""
    here = Path.cwd()
    text = str(path.relative_to(here) if path.is_relative_to(here) else path)
    return f'"{text}"' if " " in text else text


def minigen() -> str:
    """How to call this command line with the Python that is running."""
    return f"{typed(Path(sys.executable))} -m minigen"


def jupyter() -> str:
    """How to call the Jupyter installed beside this Python; on Windows without its .exe."""
    beside = Path(sys.executable).with_name("jupyter")
    installed = beside.exists() or beside.with_suffix(".exe").exists()
    return typed(beside) if installed else f"{typed(Path(sys.executable))} -m jupyter"


class Patient:
    """Shows what the stream can show: "?" for what it lacks, nothing once its reader has left."""

    def __init__(self, stream) -> None:
        self._stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

    def write(self, text: str) -> int:
        with self._while_read():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._while_read():
            self._stream.flush()

    @contextlib.contextmanager
    def _while_read(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EINVAL):  # EINVAL: what Windows says
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # what is still buffered goes there, too
            os.close(nowhere)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


def patient_streams() -> None:
    """Make stdout and stderr of this process patient, where it has them."""
    sys.stdout = sys.stdout and Patient(sys.stdout)
    sys.stderr = sys.stderr and Patient(sys.stderr)
