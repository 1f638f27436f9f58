"""What is wanted again much later lies in files until then, and takes no memory. The files have no name: they end with
what holds them, however the process ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.gather import AT_ONCE, taken
from model.data.readers.raw import RawLog
from model.errors import DataError

__all__ = ["LaidAside", "taken_aside"]

COLUMNS = ("sessions", "items", "ts", "kinds")  # of a raw log, 17 bytes a click


class _Column(NamedTuple):
    """A row of numbers in a file."""

    file: IO[bytes]
    dtype: np.dtype[Any]
    length: int

    def mapped(self) -> NDArray[Any]:
        """Return it: in memory as far as it is read, until it is let go."""
        return np.memmap(self.file, self.dtype, mode="r", shape=(self.length,))


class LaidAside:
    """A raw log that lies in files."""

    def __init__(self, raw: RawLog, folder: Path) -> None:
        """Write the columns into files of `folder`; DataError where there is no room for them."""
        self._columns = {name: _written(getattr(raw, name), folder) for name in COLUMNS}
        none: dict[str, Any] = {name: np.zeros(0, column.dtype) for name, column in self._columns.items()}
        self._rest = replace(raw, **none)

    def back(self) -> RawLog:
        """Return the log, its columns mapped."""
        columns: dict[str, Any] = {name: column.mapped() for name, column in self._columns.items()}
        return replace(self._rest, **columns)


def taken_aside(values: NDArray[Any], index: NDArray[Any], folder: Path) -> NDArray[Any]:
    """Return values[index] (N,), at least one, as a file of `folder` has it, without having it in memory before;
    DataError where there is no room for it."""
    parts = (taken(values, index[first : first + AT_ONCE]) for first in range(0, len(index), AT_ONCE))
    return _written_in_parts(parts, values.dtype, len(index), folder).mapped()


def _written(column: NDArray[Any], folder: Path) -> _Column:
    return _written_in_parts([column], column.dtype, len(column), folder)


def _written_in_parts(parts: Iterable[NDArray[Any]], dtype: np.dtype[Any], length: int, folder: Path) -> _Column:
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (it is read as long as the column lives)
        for part in parts:
            file.write(np.ascontiguousarray(part).data)
        file.flush()
    except OSError as error:
        raise DataError(
            f"{length:,} clicks can't be laid aside in {folder}, from where the refit reads them again: {error}; "
            "make room, choose another --checkpoint-dir, or train with --no-refit"
        ) from error
    return _Column(file, dtype, length)
