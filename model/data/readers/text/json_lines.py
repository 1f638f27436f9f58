"""Lines of a text file that hold JSON, with their numbers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from model.data.readers.columns.clean import Place
from model.data.readers.report import SAMPLE_CHARS, ReadReport

__all__ = ["JsonLine", "decoded", "json_lines", "places"]


class JsonLine(NamedTuple):
    """One line."""

    path: Path
    number: int  # from 1
    content: bytes
    report: ReadReport

    def refuse(self, reason: str, events: int = 1) -> None:
        """Count the line, or `events` of it, as bad."""
        self.report.refuse(reason, self.path, self.number, self.text, events)

    @property
    def text(self) -> str:
        """The line's beginning, for people."""
        return self.content[: 4 * SAMPLE_CHARS].decode(errors="replace").strip()


def json_lines(path: Path, source: BinaryIO, report: ReadReport) -> Iterator[JsonLine]:
    """Yield the lines that are not empty."""
    return (JsonLine(path, number, line, report) for number, line in enumerate(source, 1) if line.strip())


def places(lines: Sequence[JsonLine]) -> Place:
    """Return where each of some rows stands, a line each."""
    return lambda row, /: (lines[row].number, lines[row].text)


def decoded(content: bytes) -> Any:
    """Return what a line of JSON means; None where it is no JSON."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
