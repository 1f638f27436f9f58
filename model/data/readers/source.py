"""Bytes of a file, plain or gzip whatever its name says."""

import codecs
import gzip
import io
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["BYTE_ORDER_MARK", "REPLACED", "Utf8Stream", "open_bytes", "open_text_lines"]

GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = codecs.BOM_UTF8
REPLACED = "\ufffd"  # what bytes that are not UTF-8 become; no id has it


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, unpacked if its content is gzip."""
    with path.open("rb") as file:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")


def open_text_lines(path: Path) -> BinaryIO:
    """Open a text file for reading by lines, behind its byte order mark if it has one."""
    file = open_bytes(path)
    if file.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
        file.seek(0)
    return file


class Utf8Stream(io.RawIOBase):
    """A stream whose bytes that are not UTF-8 are replaced, since pyarrow gives up a whole file for one bad line."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting = b""
        self._ended = False

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes (all of them if negative), fewer at the end only."""
        while not self._ended and (size < 0 or len(self._waiting) < size):
            content = self._source.read(size)
            self._ended = not content
            self._waiting += self._decoder.decode(content, final=self._ended).encode()
        end = len(self._waiting) if size < 0 else size
        head, self._waiting = self._waiting[:end], self._waiting[end:]
        return head
