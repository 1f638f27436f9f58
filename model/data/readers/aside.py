"""Clicks that are wanted again much later lie in files until then, and take no memory."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from model.data.readers.raw import RawLog
from model.errors import DataError

__all__ = ["LaidAside"]

COLUMNS = ("sessions", "items", "ts", "kinds")  # of a raw log, 17 bytes a click


class LaidAside:
    """A raw log. Its files have no name, so they end with it, however the process ends."""

    def __init__(self, raw: RawLog, folder: Path) -> None:
        """Write the columns into files of `folder`; DataError where there is no room for them."""
        self._files: dict[str, tuple[IO[bytes], np.dtype[Any]]] = {}
        try:
            for name in COLUMNS:
                column: NDArray[Any] = getattr(raw, name)
                file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (it is read as long as this lives)
                file.write(np.ascontiguousarray(column).data)
                file.flush()
                self._files[name] = file, column.dtype
        except OSError as error:
            raise DataError(
                f"{raw.clicks:,} clicks can't be laid aside in {folder}, from where the refit reads them again: "
                f"{error}; make room, choose another --checkpoint-dir, or train with --no-refit"
            ) from error
        self.clicks = raw.clicks
        none: dict[str, Any] = {name: np.zeros(0, dtype) for name, (_, dtype) in self._files.items()}
        self._rest = replace(raw, **none)

    def back(self) -> RawLog:
        """Return the log, its columns as the files have them: in memory where they are read, until it is let go."""
        columns: dict[str, Any] = {
            name: np.memmap(file, dtype, mode="r", shape=(self.clicks,)) for name, (file, dtype) in self._files.items()
        }
        return replace(self._rest, **columns)
