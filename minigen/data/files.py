"""A user's file as text, within bounds: what is no text is refused by name before anything is built from it."""

from pathlib import Path

MOST_CHARACTERS = 100_000_000  # enwik8 just fits; tokens of that many characters take 800 MB


def read_text(path: str | Path, encoding: str) -> str:
    """The whole file, line ends as newlines. "utf-8-sig" leaves out the byte-order mark that Windows writes.

    Raises OSError for what cannot be read, UnicodeDecodeError (a ValueError) for another encoding, ValueError for a
    file that is too long, or binary.
    """
    with open(path, encoding=encoding) as file:
        try:
            text = file.read(MOST_CHARACTERS + 1)
        except UnicodeDecodeError as error:
            error.reason += f": {path} is no text in {encoding}; encoding= may be latin-1 or utf-16"
            raise
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{path} holds more than {MOST_CHARACTERS:,} characters: cut it first")
    if "\0" in text:
        raise ValueError(
            f"{path} holds NUL characters: a binary file, or UTF-16 (encoding='utf-16')"
        )
    return text
