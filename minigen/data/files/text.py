"""A user's text: what is none, or too long, is refused before anything is built from it."""

from pathlib import Path

from minigen.data.text import Text, as_text

MOST_CHARACTERS = 100_000_000  # enwik8 just fits; so many tokens take 800 MB


def read_text(path: str | Path, encoding: str, most: int) -> str:
    """The whole file; "utf-8-sig" leaves out the byte-order mark that Windows writes.

    Raises OSError for what cannot be read, UnicodeDecodeError (a ValueError) for another encoding,
    ValueError for a file of more than `most` characters, or a binary one.
    """
    with open(path, encoding=encoding) as file:
        try:
            text = file.read(most + 1)
        except UnicodeDecodeError as error:
            error.reason += f": {path} is no text in {encoding}; encoding= may be latin-1 or utf-16"
            raise
    if len(text) > most:
        raise ValueError(f"{path} holds more than {most:,} characters: cut it first")
    if "\0" in text:
        raise ValueError(
            f"{path} holds NUL characters: a binary file, or UTF-16 (encoding='utf-16')"
        )
    return text


def text_file(path: str | Path, alphabet: str = "full", encoding: str = "utf-8-sig") -> Text:
    """Any text file of at most 100,000,000 characters. Repeated paragraphs stay: see drop_repeats.

    Raises OSError for a file that cannot be read, ValueError for one that is not text in this
    encoding (as UnicodeDecodeError), binary, too long, or too short for `as_text`. Takes about 16
    bytes a character.
    """
    return as_text(read_text(path, encoding, MOST_CHARACTERS), alphabet, Path(path).name)
