"""The beginning of a file."""

import lzma
import zipfile
import zlib
from pathlib import Path

from model.data.readers.text.source import open_bytes, open_text
from model.errors import DataError

__all__ = ["UNREADABLE", "first_line", "head"]

HEAD_BYTES = 65_536  # enough for a header, or the start of a session
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)  # what a damaged file raises


def head(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked; DataError if it can't be read."""
    try:
        with open_bytes(path) as file:
            return file.read(HEAD_BYTES)
    except UNREADABLE as error:
        raise DataError(f"{path} can't be read: {error}") from error


def first_line(path: Path, encoding: str | None = None) -> str:
    """Return the first line of a text file that is not empty, without its end; DataError if there is none.

    Line feeds end lines, nothing else does: U+2028 and U+0085 are characters of a value.
    """
    try:
        with open_text(path, encoding) as file:
            start = file.read(HEAD_BYTES)
    except UNREADABLE as error:
        raise DataError(f"{path} can't be read: {error}") from error
    lines = (line.removesuffix("\r") for line in start.decode(errors="replace").split("\n"))
    line = next((line for line in lines if line.strip()), None)
    if line is None:
        raise DataError(f"{path} is empty")
    return line
