"""Text as sequences of integers: the Python manual of this very interpreter, any file or string."""

import functools
import hashlib
import platform
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Text(NamedTuple):
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
            raise IndexError(
                f"decode: tokens must lie in 0..{len(self.vocabulary) - 1}, got {tokens}"
            )
        return "".join(self.vocabulary[token] for token in tokens)


@functools.cache
def python_manual(alphabet: str = "a-z") -> Text:
    """The reference manual inside every CPython (pydoc_data.topics), about 370,000 characters; it differs by version.

    A fifth of the manual is repeated paragraphs: each is kept once, *before* the split by position, or the test part
    would be full of text seen in training. Where an interpreter comes without the module, the docstrings of its
    standard library stand in, and source says so.
    """
    try:
        from pydoc_data.topics import topics

        origin, parts = "pydoc_data.topics", topics.values()
    except ImportError:
        library = [
            path.read_text(encoding="utf-8")
            for path in sorted(Path(functools.__file__).parent.glob("*.py"))
        ]
        parts = re.findall(r'(?ms)^ *r?"""(.+?)"""', "\n".join(library))
        origin = "docstrings of the standard library (pydoc_data.topics is missing)"
    return as_text(
        drop_repeats("\n\n".join(parts)), alphabet, f"{origin}, Python {platform.python_version()}"
    )


def text_file(path: str | Path, alphabet: str = "full", encoding: str = "utf-8") -> Text:
    """Any text file. Repeated paragraphs stay: see drop_repeats.

    Raises OSError for a file that cannot be read, UnicodeDecodeError for one that is not text in this encoding.
    """
    return as_text(Path(path).read_text(encoding=encoding), alphabet, Path(path).name)


def as_text(text: str, alphabet: str = "full", source: str = "a string") -> Text:
    """Any string as tokens: its first nine tenths to train, its last tenth to test.

    The split is by position: a shuffled one would test on neighbours of what was trained on. alphabet "a-z" keeps 27
    symbols (lower-case letters, everything else becomes one space); "full" keeps every character that occurs.
    """
    if alphabet not in ("a-z", "full"):
        raise ValueError(f"alphabet must be 'a-z' or 'full', got {alphabet!r}")
    if alphabet == "a-z":
        text = " ".join(re.findall("[a-z]+", text.lower()))
    if len(text) < 10:
        raise ValueError(f"{source}: a split needs 10 characters or more, got {len(text)}")
    vocabulary = " abcdefghijklmnopqrstuvwxyz" if alphabet == "a-z" else "".join(sorted(set(text)))
    tokens = _encode(text, vocabulary)
    tokens.setflags(write=False)
    train, test = np.split(tokens, [len(tokens) * 9 // 10])
    return Text(train, test, vocabulary, source, hashlib.sha256(text.encode()).hexdigest())


def drop_repeats(text: str) -> str:
    """Keep the first of each paragraph (what stands between blank lines), in their order."""
    return "\n\n".join(dict.fromkeys(re.split(r"\n\s*\n", text)))


def _encode(text: str, vocabulary: str) -> np.ndarray:
    index = {character: token for token, character in enumerate(vocabulary)}
    if unknown := sorted(set(text) - index.keys()):
        raise ValueError(f"encode: {unknown} not in the vocabulary {vocabulary!r}")
    return np.array([index[character] for character in text], dtype=np.int64)
