"""Which format a file is in, told from its content."""

import re
import zlib
from pathlib import Path

from model.data.readers.options import Columns, Format
from model.data.readers.source import BYTE_ORDER_MARK, open_bytes
from model.errors import DataError

__all__ = ["delimiter_of", "first_line", "head", "sniff"]

HEAD_BYTES = 65_536  # enough for a header, or the start of a session
YOOCHOOSE = re.compile(r"^[^,;]+,\s*\d{4}-\d{2}-\d{2}[T ][\d:.]+(Z|[+-][\d:]+)?,[^,]*,[^,]*(,[^,]*)?$")
DELIMITERS = (",", ";", "\t")


def sniff(path: Path, columns: Columns) -> Format:
    """Return the format of a file; DataError says why it is none that is known."""
    start = head(path)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.lstrip().startswith(b"{") and b'"events"' in start:  # other JSON lies in many a folder
        return "otto"
    line = first_line(path)
    if line.lstrip().startswith("{") and all(f'"{name}"' in line for name in (columns.session, columns.item)):
        return "jsonl"
    delimiter = delimiter_of(line)
    names = {name.strip().strip('"') for name in line.split(delimiter)}
    if {"timeframe", "eventdate"} <= names and names & {"itemId", "item_id"}:
        return "diginetica"
    if {"timestamp", "visitorid", "event", "itemid"} <= names:
        return "retailrocket"
    if {columns.session, columns.item} <= names:
        return "csv"
    if YOOCHOOSE.match(line):
        return "yoochoose"
    raise DataError(f"{path} is no click log that is known: its first line is {line[:120]!r}")


def head(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked if it is gzip; DataError if it can't be read."""
    try:
        with open_bytes(path) as file:
            start = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}") from error
    return start.removeprefix(BYTE_ORDER_MARK)


def first_line(path: Path) -> str:
    """Return the first line of a text file that is not empty, without its end; DataError if there is none."""
    lines = (line for line in head(path).decode(errors="replace").splitlines() if line.strip())
    line = next(lines, None)
    if line is None:
        raise DataError(f"{path} is empty")
    return line


def delimiter_of(header: str) -> str:
    """Return the delimiter that a header uses most."""
    return max(DELIMITERS, key=header.count)
