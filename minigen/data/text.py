"""Text as sequences of integers: the Python manual of this very interpreter, any file, and the names of colours."""

import ast
import functools
import hashlib
import platform
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class Text:
    """A text as tokens: train and test are read-only int64 arrays, and token i stands for vocabulary[i].

    source says where the text came from (and the Python version, where it depends on that); sha256 is the hash of
    the whole text after cleaning, train and test together. Record both beside every figure taken on it.
    """

    train: np.ndarray  # (L,)
    test: np.ndarray  # (L,)
    vocabulary: str
    source: str
    sha256: str

    def encode(self, text: str) -> np.ndarray:
        """Characters -> tokens (L,). Raises ValueError for a character that is not in the vocabulary."""
        return _encode(text, self.vocabulary)

    def decode(self, tokens: np.ndarray) -> str:
        """Tokens (L,) -> characters. Raises IndexError for a token outside the vocabulary."""
        if any(not 0 <= token < len(self.vocabulary) for token in tokens):
            raise IndexError(f"decode: tokens must lie in 0..{len(self.vocabulary) - 1}, got {tokens}")
        return "".join(self.vocabulary[token] for token in tokens)


@functools.cache
def python_manual(alphabet: str = "a-z") -> Text:
    """The reference manual inside every CPython (pydoc_data.topics), about 370,000 characters; it differs by version.

    alphabet "a-z" keeps 27 symbols (lower-case letters; everything else becomes one space), "full" keeps all.
    A fifth of the manual is repeated paragraphs: each is kept once, *before* the split by position, or the test part
    would be full of text seen in training. Where an interpreter comes without the module, the docstrings of its
    standard library stand in, and source says so. Raises OSError where even those are missing.
    """
    try:
        from pydoc_data.topics import topics

        origin, text = "pydoc_data.topics", "\n\n".join(topics.values())
    except ImportError:
        origin, text = "docstrings of the standard library (pydoc_data.topics is missing)", _library_docstrings()
    return _text(drop_repeats(text), alphabet, f"{origin}, Python {platform.python_version()}")


def text_file(path: str | Path, alphabet: str = "full", encoding: str = "utf-8") -> Text:
    """Any text file, first nine tenths to train, last tenth to test.

    Repeated paragraphs stay (see drop_repeats). Raises OSError for a file that cannot be read, ValueError for one that
    is not text in this encoding.
    """
    try:
        text = Path(path).read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"text_file: {str(path)!r} is not {encoding} text ({error}); pass its encoding") from error
    return _text(text, alphabet, Path(path).name)


def drop_repeats(text: str) -> str:
    """Keep the first of each paragraph; two are the same if they differ in spaces and line breaks only."""
    first: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        first.setdefault(" ".join(paragraph.split()), paragraph)
    return "\n\n".join(first.values())


class Colors(NamedTuple):
    """949 names that people gave to colours, and the colours: as short text, and as points in three dimensions."""

    names: tuple[str, ...]
    rgb: np.ndarray  # (949, 3) float32 in [-1, 1], read-only
    text: Text  # one name a line


@functools.cache
def colors() -> Colors:
    """The XKCD colour survey (2010, CC0), from matplotlib. Shuffled once: the survey's own order is by popularity."""
    from matplotlib.colors import XKCD_COLORS, to_rgb

    names = tuple(np.random.default_rng(0).permutation([name.removeprefix("xkcd:") for name in XKCD_COLORS]).tolist())
    rgb = np.array([to_rgb(f"xkcd:{name}") for name in names], dtype=np.float32) * 2 - 1
    rgb.setflags(write=False)
    return Colors(names, rgb, _text("\n".join(names) + "\n", "full", "XKCD colour names in matplotlib"))


def _text(text: str, alphabet: str, source: str) -> Text:
    """Clean, split by position (a shuffled split would test on neighbours of what was trained on), and encode."""
    if alphabet not in ("a-z", "full"):
        raise ValueError(f"alphabet must be 'a-z' or 'full', got {alphabet!r}")
    if alphabet == "a-z":
        text = " ".join(re.findall("[a-z]+", text.lower()))
    vocabulary = " abcdefghijklmnopqrstuvwxyz" if alphabet == "a-z" else "".join(sorted(set(text)))
    if len(text) < 10:
        raise ValueError(f"{source}: a split needs 10 characters or more, got {len(text)}")
    tokens = _encode(text, vocabulary)
    tokens.setflags(write=False)
    split = len(tokens) * 9 // 10
    return Text(tokens[:split], tokens[split:], vocabulary, source, hashlib.sha256(text.encode()).hexdigest())


def _encode(text: str, vocabulary: str) -> np.ndarray:
    index = {character: token for token, character in enumerate(vocabulary)}
    if unknown := sorted(set(text) - index.keys()):
        raise ValueError(f"encode: {unknown} not in the vocabulary {vocabulary!r}")
    return np.array([index[character] for character in text], dtype=np.int64)


def _library_docstrings() -> str:
    """Every docstring of the standard library's top-level modules, read from the sources without importing them."""
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    if not sources:
        raise OSError("python_manual: this Python has neither pydoc_data.topics nor the sources of its library")
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_bytes()))]
    documented = [node for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    return "\n\n".join(ast.get_docstring(node) or "" for node in documented)
