"""The figures over time, a line of JSON each, in a file that is kept small."""

import os
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["History"]

_LARGEST = 64 << 20  # bytes; then the file is renamed to .1, in place of the one before


class History:
    """Appends to one file."""

    def __init__(self, path: Path, *, largest: int = _LARGEST) -> None:
        self._path, self._largest = path, largest

    def add(self, at_ms: int, figures: dict[str, Any]) -> None:
        """One line; OSError where it can't be written. A half line of a scoreboard that was killed is ended first."""
        line = msgspec.json.encode({"at_ms": at_ms, **figures}) + b"\n"
        with self._path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
        if size + len(line) > self._largest:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
