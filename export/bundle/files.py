"""Files that others wrote, opened so that none of them can hold a reader for ever or fill its memory; and our own,
written whole or not at all."""

import errno
import hashlib
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from export.gently import rest

__all__ = ["UnusableFile", "leave_in_file", "open_regular", "parts_of", "read_small", "replace_file", "sha256_of"]

_CHUNK = 1 << 20
_PART = 1 << 16  # rows of an array that are looked at at once


class UnusableFile(OSError):
    """What is there is no file, or larger than a file of its kind can be. Asking again will not help."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file; UnusableFile for anything else: a FIFO waits for its writer, a device may never end."""
    _require_regular(os.stat(path), path)
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115  # the caller closes it
    try:
        _require_regular(os.fstat(file.fileno()), path)  # it may have been replaced meanwhile
    except UnusableFile:
        file.close()
        raise
    return file


def read_small(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes; UnusableFile for a larger one."""
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UnusableFile(errno.EFBIG, f"larger than the {limit:,} bytes it may have", str(path))
    return content


def sha256_of(file: BinaryIO, size: int) -> str:
    """Return the hash of the next `size` bytes, in hexadecimal; of fewer where the file ends before."""
    digest = hashlib.sha256()
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        digest.update(chunk)
        size -= len(chunk)
        rest()
    return digest.hexdigest()


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old content or the new, never a part; durable on return."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def leave_in_file(array: NDArray[Any]) -> None:
    """Give back the memory of an array that is mapped from a file, and that is not read again soon; others stay."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # Windows and some others have none
        base.madvise(mmap.MADV_DONTNEED)


def parts_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield an array some rows at a time, in order; of one that is mapped from a file no more is in memory."""
    for start in range(0, len(array), _PART):
        yield array[start : start + _PART]
        leave_in_file(array)
        rest()


def _require_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile(errno.EINVAL, f"a {_kind(status.st_mode)}, not a file", str(path))


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "FIFO"), (stat.S_ISSOCK, "socket"))
    return next((name for test, name in kinds if test(mode)), "device")
