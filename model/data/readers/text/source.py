"""Bytes of a file, unpacked whatever its name says, and its text as UTF-8."""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import pyarrow as pa

from model.errors import DataError

__all__ = ["BYTE_ORDER_MARK", "PACKED_ENDINGS", "Utf8Stream", "encoding_of", "open_bytes", "open_text"]

BYTE_ORDER_MARK = codecs.BOM_UTF8
PACKED_ENDINGS = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".zip")
UTF16_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # Excel's "Unicode text"
MAGIC_BYTES = 6
BUFFER_BYTES = 1 << 20


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, unpacked if its content is gzip, zstd, bzip2, xz, lz4 or a zip of one file."""
    with path.open("rb") as file:
        magic = file.read(MAGIC_BYTES)
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    if magic.startswith(b"BZh"):
        return cast(BinaryIO, bz2.open(path, "rb"))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return cast(BinaryIO, lzma.open(path, "rb"))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _unpacked(path, "zstd")
    if magic.startswith(b"\x04\x22\x4d\x18"):
        return _unpacked(path, "lz4")
    if magic.startswith(b"PK\x03\x04"):
        return _zipped(path)
    return path.open("rb")


def _unpacked(path: Path, codec: Literal["lz4", "zstd"]) -> BinaryIO:
    stream: Any = pa.CompressedInputStream(pa.OSFile(str(path), "rb"), codec)
    return cast(BinaryIO, io.BufferedReader(stream, BUFFER_BYTES))


def _zipped(path: Path) -> BinaryIO:
    archive = zipfile.ZipFile(path)
    files = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(files) != 1:
        raise DataError(f"{path} holds {len(files)} files: unpack it into a folder, and name that")
    try:
        return cast(BinaryIO, archive.open(files[0]))
    except (RuntimeError, NotImplementedError) as error:  # a password, or a codec that zipfile lacks
        raise DataError(f"{path} can't be unpacked: {error}") from error


def encoding_of(start: bytes, given: str | None) -> str:
    """Return the encoding of a text by its first bytes, unless it is given; UTF-8 behind its mark is `utf-8-sig`."""
    marked = next((name for mark, name in UTF16_MARKS.items() if start.startswith(mark)), None)
    if marked is None and start.startswith(BYTE_ORDER_MARK):
        marked = "utf-8-sig"
    return marked or given or "utf-8"


def open_text(path: Path, encoding: str | None = None) -> BinaryIO:
    """Open a text file as bytes of UTF-8 behind its byte order mark, whatever its encoding.

    Line ends of old Macs become those of all others. What is not UTF-8 in a file of that stays as it is.
    """
    source = open_bytes(path)
    start = b""
    while len(start) < BUFFER_BYTES and (more := source.read(BUFFER_BYTES - len(start))):
        start += more
    name = encoding_of(start, encoding)
    plain = codecs.lookup(name).name in ("utf-8", "utf-8-sig", "ascii")
    if plain:
        start = start.removeprefix(BYTE_ORDER_MARK)
    old_mac = b"\r" in start and b"\n" not in start
    return cast(BinaryIO, io.BufferedReader(Utf8Stream(source, start, None if plain else name, old_mac), BUFFER_BYTES))


class Utf8Stream(io.RawIOBase):
    """A text of any encoding as bytes of UTF-8; what can't be decoded is replaced by U+FFFD, which no id holds."""

    def __init__(self, source: BinaryIO, start: bytes, encoding: str | None, old_mac: bool = False) -> None:
        """Take what was read of `source` already, and None for bytes that are passed on as they are."""
        super().__init__()
        self._source, self._start, self._old_mac = source, start, old_mac
        self._decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
        self._waiting = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as may be; 0 at the end."""
        while not self._waiting and not self._ended:
            self._waiting = memoryview(self._next())
        size = min(len(buffer), len(self._waiting))
        buffer[:size] = self._waiting[:size]
        self._waiting = self._waiting[size:]
        return size

    def close(self) -> None:
        """Close the file as well."""
        if not self.closed:
            self._source.close()
        super().close()

    def _next(self) -> bytes:
        content = self._start or self._source.read(BUFFER_BYTES)
        self._start = b""
        self._ended = not content
        if self._decoder is not None:
            try:
                content = self._decoder.decode(content, final=self._ended).encode()
            except UnicodeError as error:  # what can't be replaced: UTF-16 and UTF-32 without their mark
                raise OSError(f"{error}: is it another encoding (--encoding), or utf-16-le, utf-16-be?") from error
        return content.replace(b"\r", b"\n") if self._old_mac else content
