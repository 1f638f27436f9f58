"""CSV with a header, and Parquet, by the names of their columns."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from model.data.readers.clean import Rows
from model.data.readers.csv_source import csv_batches
from model.data.readers.options import Columns, ReadOptions
from model.data.readers.raw import ReadReport
from model.data.readers.sniff import delimiter_of, first_line
from model.errors import DataError

__all__ = ["find_columns", "read_csv", "read_parquet"]

BATCH_ROWS = 1 << 19  # of Parquet at a time
TS_NAMES = ("timestamp", "ts")
TYPE_NAME = "type"


def find_columns(names: Sequence[str], columns: Columns) -> tuple[str, str, str, str | None]:
    """Return the names of session, item, time and kind (None: all clicks).

    DataError if `names` lacks one, or has it twice.
    """
    ts = columns.ts or next((name for name in TS_NAMES if name in names), TS_NAMES[0])
    kind = columns.type or (TYPE_NAME if TYPE_NAME in names else None)
    wanted = [columns.session, columns.item, ts] + ([kind] if kind else [])
    absent = [name for name in wanted if name not in names]
    if absent:
        raise DataError(f"no column {', '.join(absent)}; there are {', '.join(names)}")
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise DataError(f"there is more than one column {', '.join(dict.fromkeys(twice))}")
    return columns.session, columns.item, ts, kind


def read_csv(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the lines of one CSV; the delimiter is the one of `,`, `;` and tab that its header uses most."""
    header = first_line(path)
    delimiter = delimiter_of(header)
    names = [name.strip().strip('"') for name in header.split(delimiter)]
    try:
        session, item, ts, kind = find_columns(names, options.columns)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    wanted = tuple(dict.fromkeys([session, item, ts] + ([kind] if kind else [])))
    for batch in csv_batches(path, wanted, report, delimiter=delimiter, header=True, quoted=True):
        yield Rows(batch[session], batch[item], batch[ts], batch[kind] if kind else "click")


def read_parquet(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the rows of one Parquet file."""
    try:
        with pq.ParquetFile(path) as file:
            session, item, ts, kind = find_columns(file.schema_arrow.names, options.columns)
            wanted = list(dict.fromkeys([session, item, ts] + ([kind] if kind else [])))
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                report.lines += batch.num_rows
                yield Rows(batch[session], batch[item], batch[ts], batch[kind] if kind else "click")
    except (DataError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: {error}") from error
