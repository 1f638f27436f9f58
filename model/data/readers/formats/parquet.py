"""Parquet, by the names of its columns: a click a row, or a session a row with lists of items, times and kinds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.data.readers.columns.arrow import Column, is_list, mask, pc
from model.data.readers.columns.clean import Rows
from model.data.readers.formats.names import Found, find_columns
from model.data.readers.options import ReadOptions
from model.data.readers.report import ReadReport
from model.errors import DataError

__all__ = ["read_parquet"]

BATCH_ROWS = 1 << 19  # at a time
BATCH_SESSIONS = 1 << 14


class _Places:
    """Where the rows of a batch stand in their file."""

    def __init__(self, columns: list[Column], first: int) -> None:
        self._columns, self._first = columns, first

    def __call__(self, row: int, /) -> tuple[int, str]:
        """Return the number of a row in the file, from 1, and its values."""
        return self._first + row, ", ".join(str(column[row].as_py()) for column in self._columns)


def read_parquet(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the rows of one file."""
    try:
        with pq.ParquetFile(path) as file:
            schema: Any = file.schema_arrow
            found = find_columns(schema.names, options.columns)
            wanted = list(dict.fromkeys(name for name in (*found[:4], found.extra) if isinstance(name, str)))
            lists = [name for name in wanted if is_list(schema.field(name).type)]
            first = 1
            for batch in file.iter_batches(batch_size=BATCH_SESSIONS if lists else BATCH_ROWS, columns=wanted):
                columns = {name: batch[name] for name in wanted}
                events = _events(path, columns, found, lists, first, report) if lists else columns
                report.lines += len(events[found.session])
                yield _rows(events, found, first)
                first += len(events[found.session]) if lists else batch.num_rows
    except (DataError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: {error}") from error


def _rows(columns: dict[str, Column], found: Found, first: int) -> Rows:
    kind = columns[found.type] if found.type else "click"
    place = _Places(list(columns.values()), first)
    extra = columns.get(found.extra or "")
    session, item, ts = columns[found.session], columns[found.item], columns[found.ts]
    return Rows(session, item, ts, kind, place, found.otto, extra=extra)


def _events(
    path: Path, columns: dict[str, Column], found: Found, lists: list[str], first: int, report: ReadReport
) -> dict[str, Column]:
    """Return the events of sessions whose items and times are lists; those with lists of unequal length are bad."""
    parts = {"session": found.session, "item": found.item, "time": found.ts, "type": found.type, "further": found.extra}
    if found.session in lists or found.item not in lists or found.ts not in lists:
        held = " and ".join(f"the {part} column" for part, name in parts.items() if name in lists)
        raise DataError(
            f"{held} holds lists: a file with a session a row has lists in both {found.item} and {found.ts}, "
            f"and one id a row in {found.session}"
        )
    lengths = {name: pc.fill_null(pc.list_value_length(columns[name]), 0).to_numpy() for name in lists}
    size = lengths[found.item]
    unequal = np.any([other != size for other in lengths.values()], axis=0)
    for row in np.flatnonzero(unequal).tolist():
        session = columns[found.session][row].as_py()
        report.refuse("unequal_lists", path, first + row, f"session {session}", events=max(1, int(size[row])))
    if unequal.any():
        good = pa.array(~unequal)
        columns, size = {name: column.filter(good) for name, column in columns.items()}, size[~unequal]
    rows = pa.array(np.repeat(np.arange(len(size)), size))
    filled = {
        name: column.filter(pa.array(~mask(column.is_null()))) for name, column in columns.items() if name in lists
    }
    return {
        name: pc.list_flatten(filled[name]) if name in lists else column.take(rows) for name, column in columns.items()
    }
