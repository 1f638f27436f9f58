"""Lines of a delimited text file as batches of untouched columns; pyarrow parses, block by block."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
from numpy.typing import NDArray

from model.data.readers.columns.arrow import Column
from model.data.readers.report import ReadReport
from model.data.readers.text.layout import Layout
from model.data.readers.text.quotes import Mended, Mender
from model.data.readers.text.source import open_text
from model.errors import DataError

__all__ = ["Batch", "csv_batches", "sound"]

BLOCK_BYTES = 8 * 2**20  # parsed at a time
MAX_LINE_BYTES = 64 * 2**20


class Batch(NamedTuple):
    """Some records of a file."""

    columns: dict[str, Column]  # text of each field wanted
    place: "_Places"


class _Places:
    """Where the records of a batch stand in their file."""

    def __init__(self, mended: Mended, first_line: int, refused: NDArray[np.int64]) -> None:
        self._mended, self._first_line, self._refused = mended, first_line, refused

    def __call__(self, row: int, /) -> tuple[int, str]:
        """Return the number and the text of the line that row `row` of the batch came from."""
        records = np.flatnonzero(_lengths(self._mended.clean))  # lines that are not empty
        return self.record(int(np.delete(records, self._refused)[row]))

    def record(self, line: int) -> tuple[int, str]:
        """Return the same of a line of the mended text, empty ones counted too."""
        start = 0
        for _ in range(line):
            start = self._mended.clean.index(b"\n", start) + 1
        end = self._mended.clean.find(b"\n", start)
        text = self._mended.clean[start : end if end >= 0 else None].decode(errors="replace")
        place = line if self._mended.first is None else int(self._mended.first[line])
        return self._first_line + place, text


def csv_batches(path: Path, layout: Layout, report: ReadReport, *, encoding: str | None = None) -> Iterator[Batch]:
    """Yield the records of a file; lines of another width are counted as bad.

    DataError if a line is absurdly long, or the parser returns another number of records than the file has.
    """
    mender = Mender(path, layout, report)
    header_to_come = layout.header
    with open_text(path, encoding) as source:
        waiting, line, final = b"", 1, False
        while not final:
            chunk = source.read(BLOCK_BYTES)
            final = not chunk
            data, waiting = _whole_lines(waiting + chunk, final, path, line)
            data = sound(data)
            if header_to_come and (behind := _behind_header(data)):
                line, data, header_to_come = line + data.count(b"\n", 0, behind), data[behind:], False
            mended = mender.mend(data, line, final)
            waiting = data[mended.used :] + waiting
            yield from _parse(path, layout, mended, line, report)
            line += data.count(b"\n", 0, mended.used)


def sound(data: bytes) -> bytes:
    """Return lines as UTF-8 with line feeds only at their ends; what is no UTF-8 becomes U+FFFD."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b" ")  # one in a value would end the line for the parser
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="replace").encode()
    return data


def _whole_lines(data: bytes, final: bool, path: Path, line: int) -> tuple[bytes, bytes]:
    cut = len(data) if final else data.rfind(b"\n") + 1
    if len(data) - cut > MAX_LINE_BYTES:
        raise DataError(f"{path}: a line behind line {line} is longer than {MAX_LINE_BYTES >> 20} MiB")
    return data[:cut], data[cut:]


def _behind_header(data: bytes) -> int:
    """Return where the line behind the header begins; 0 where there is only empty space yet."""
    start = len(data) - len(data.lstrip(b"\n"))
    if start == len(data):
        return 0
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end + 1


def _lengths(clean: bytes) -> NDArray[np.int64]:
    """Return the length of each line of a text, without its end."""
    ends = np.flatnonzero(np.frombuffer(clean, np.uint8) == 10)
    if clean and not clean.endswith(b"\n"):
        ends = np.append(ends, len(clean))
    return np.diff(ends, prepend=-1) - 1


def _records(clean: bytes) -> int:
    if b"\n\n" in clean or clean.startswith(b"\n"):
        return int(np.count_nonzero(_lengths(clean)))
    return clean.count(b"\n") + (bool(clean) and not clean.endswith(b"\n"))


def _parse(path: Path, layout: Layout, mended: Mended, line: int, report: ReadReport) -> Iterator[Batch]:
    records = _records(mended.clean)
    if not records:
        return
    refused: list[int] = []

    def refuse(row: csv.InvalidRow) -> Literal["skip", "error"]:
        refused.append(int(row.number or 0) - 1)
        return "skip"

    wanted = sorted(set(layout.wanted.values()))
    names = [str(place) for place in wanted]
    read = csv.ReadOptions(
        block_size=len(mended.clean) + 1, use_threads=False, column_names=[str(n) for n in range(layout.width)]
    )
    parse = csv.ParseOptions(
        delimiter=layout.delimiter,
        quote_char=layout.quote or False,
        invalid_row_handler=refuse,
        ignore_empty_lines=True,
    )
    convert = csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        include_columns=names,
        check_utf8=False,
        strings_can_be_null=False,
    )
    try:
        table: Any = csv.read_csv(
            cast(Any, pa.BufferReader(mended.clean)), read_options=read, parse_options=parse, convert_options=convert
        )
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: lines {line} and on can't be read: {error}") from error
    lines = np.flatnonzero(_lengths(mended.clean))[refused] if refused else np.zeros(0, np.int64)
    places = _Places(mended, line, np.array(refused, np.int64))
    for at in lines.tolist():
        number, text = places.record(at) if report.wants_sample("wrong_columns") else (0, "")
        report.refuse("wrong_columns", path, number, text)
    if table.num_rows + len(refused) != records:
        raise DataError(
            f"{path}: {records:,} records from line {line} on, of which the parser returned "
            f"{table.num_rows + len(refused):,}: a quote may be out of place"
        )
    report.lines += table.num_rows
    columns = {name: table.column(str(place)).combine_chunks() for name, place in layout.wanted.items()}
    if table.num_rows:
        yield Batch({name: _array(column) for name, column in columns.items()}, places)


def _array(column: Any) -> Column:
    return column if not isinstance(column, pa.ChunkedArray) else pa.concat_arrays(column.chunks)
