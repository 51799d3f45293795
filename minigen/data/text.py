"""Text as sequences of integers: the Python manual of this very interpreter, or any string."""

import functools
import hashlib
import itertools
import platform
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from minigen import arguments


class Text(NamedTuple):
    """A text as read-only arrays of int64 tokens; token i stands for vocabulary[i].

    source says where the text came from (and the Python version, where it depends on that); sha256
    is the hash of the whole text after cleaning, train and test together. Record both beside every
    figure taken on it.
    """

    train: ndarray  # (L,)
    test: ndarray  # (L,)
    vocabulary: str
    source: str
    sha256: str

    def encode(self, text: str) -> ndarray:
        """Characters -> tokens (L,). Raises ValueError for one that is not in the vocabulary."""
        return _encode(text, self.vocabulary)

    def decode(self, tokens: ndarray) -> str:
        """Tokens (L,) or (1, L), as one sample comes -> characters.

        Raises IndexError for a token outside the vocabulary, TypeError for what is no token,
        ValueError for several rows.
        """
        rows = arguments.tokens(tokens, len(self.vocabulary), "tokens")
        if len(rows) != 1:
            raise ValueError(f"tokens: expected one row at a time, got shape {rows.shape}")
        return "".join(self.vocabulary[token] for token in rows[0])


@functools.cache
def python_manual(alphabet: str = "a-z") -> Text:
    """The reference manual inside every CPython (pydoc_data.topics), about 370,000 characters.

    It differs by version. A fifth of the manual is repeated paragraphs: each is kept once, *before*
    the split by position, or the test part would be full of text seen in training. Where an
    interpreter comes without the module, the docstrings of its standard library stand in, and
    source says so.
    """
    try:
        from pydoc_data.topics import topics

        origin, parts = "pydoc_data.topics", topics.values()
    except ImportError:
        folder = Path(functools.__file__).parent
        library = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))]
        parts = re.findall(r'(?ms)^ *r?"""(.+?)"""', "\n".join(library))
        origin = "docstrings of the standard library (pydoc_data.topics is missing)"
    source = f"{origin}, Python {platform.python_version()}"
    return as_text(drop_repeats("\n\n".join(parts)), alphabet, source)


def as_text(text: str, alphabet: str = "full", source: str = "a string") -> Text:
    """Any string as tokens: its first nine tenths to train, its last tenth to test.

    The split is by position: a shuffled one would test on neighbours of what was trained on. Sorted
    lines, a word list for example, are warned of: their last tenth has other initials than what was
    trained on. alphabet "a-z" keeps 27 symbols (lower-case letters, everything else becomes one
    space); "full" keeps every character that occurs.
    """
    arguments.one_of(("a-z", "full"), alphabet=alphabet)
    beginning = text[:1_000_000]
    if _is_sorted(beginning.splitlines()):
        what = "its lines are sorted, so the last tenth, kept for testing, has other initials"
        remedy = "where their order means nothing, shuffle them first"
        warnings.warn(f"{source}: {what} than the rest; {remedy}", stacklevel=2)
    if alphabet == "a-z":
        text = " ".join(re.findall("[a-z]+", text.lower()))
    if len(text) < 10:
        raise ValueError(f"{source}: a split needs 10 characters or more, got {len(text)}")
    symbols = "".join(sorted(set(text)))
    if len(symbols) == 1:
        raise ValueError(f"{source}: nothing but {symbols!r}, and one symbol has nothing to learn")
    vocabulary = " abcdefghijklmnopqrstuvwxyz" if alphabet == "a-z" else symbols
    tokens = _encode(text, vocabulary)
    tokens.setflags(write=False)
    train, test = np.split(tokens, [len(tokens) * 9 // 10])
    return Text(train, test, vocabulary, source, hashlib.sha256(text.encode()).hexdigest())


def drop_repeats(text: str) -> str:
    """Keep the first of each paragraph (what stands between blank lines), in their order."""
    return "\n\n".join(dict.fromkeys(re.split(r"\n\s*\n", text)))


def _is_sorted(lines: list[str]) -> bool:
    """19 of 20 neighbours that differ are in alphabetical order, and there are 20 or more.

    In random order half of them are: 21 lines are taken for sorted less often than once in 10^13.
    """
    pairs = itertools.pairwise(line.casefold() for line in lines)
    in_order = [first < second for first, second in pairs if first != second]
    return len(in_order) >= 20 and sum(in_order) >= 0.95 * len(in_order)


def _encode(text: str, vocabulary: str) -> ndarray:
    index = {character: token for token, character in enumerate(vocabulary)}
    if unknown := sorted(set(text) - index.keys()):
        raise ValueError(f"encode: {unknown} not in the vocabulary {vocabulary!r}")
    return np.fromiter(map(index.__getitem__, text), np.int64, len(text))
