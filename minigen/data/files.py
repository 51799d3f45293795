"""A user's file as text: what is none, or too long, is refused before anything is built from it."""

from pathlib import Path


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
