"""Which format a file is in, told from its content."""

import re
from pathlib import Path

import msgspec

from model.data.readers.formats.head import first_line, head
from model.data.readers.formats.header import DELIMITERS, header_of, split_header
from model.data.readers.formats.names import find_columns
from model.data.readers.options import Format, ReadOptions
from model.data.readers.text.source import BYTE_ORDER_MARK
from model.errors import DataError

__all__ = ["sniff"]

YOOCHOOSE = re.compile(r"^[^,;]+,\s*\d{4}-\d{2}-\d{2}[T ][\d:.]+(Z|[+-][\d:]+)?,[^,]*,[^,]*(,[^,]*)?$")
DIGINETICA = {"timeframe", "eventdate"}
RETAILROCKET = {"timestamp", "visitorid", "event", "itemid"}


def sniff(path: Path, options: ReadOptions) -> Format:
    """Return the format of a file; DataError says why it is none that is known."""
    start = head(path).removeprefix(BYTE_ORDER_MARK)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.lstrip().startswith(b"{") and b'"events"' in start:  # other JSON lies in many a folder
        return "otto"
    line = first_line(path, options.encoding)
    if line.lstrip().startswith("{"):
        return _json(path, line, options)
    if options.header:
        names = set(split_header(line, max(DELIMITERS, key=line.count), '"'))
        if names >= DIGINETICA and names & {"itemId", "item_id"}:
            return "diginetica"
        if names >= RETAILROCKET:
            return "retailrocket"
    try:
        header_of(path, options)
    except DataError as error:
        if options.header and YOOCHOOSE.match(line):
            return "yoochoose"
        raise DataError(f"{path} is no click log that is known: its first line is {line[:120]!r}; {error}") from error
    return "csv"


def _json(path: Path, line: str, options: ReadOptions) -> Format:
    try:
        content = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DataError(f"{path} is no click log that is known: its first line is {line[:120]!r}") from error
    try:
        find_columns([*content, *({"timestamp", "ts"} - set(content))], options.columns)  # a line may lack its time
    except DataError as error:
        raise DataError(f"{path} is no click log that is known: {error}") from error
    return "jsonl"
