"""Lines of a delimited text file, plain or gzip, as batches of untouched columns."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, cast

import pyarrow as pa
import pyarrow.csv as csv

from model.data.readers.raw import ReadReport
from model.data.readers.source import Utf8Stream, open_bytes
from model.errors import DataError

__all__ = ["csv_batches"]

BLOCK_BYTES = 16 * 2**20  # parsed at a time; no line may be longer


def csv_batches(
    path: Path, names: Sequence[str], report: ReadReport, *, delimiter: str, header: bool, quoted: bool
) -> Iterator[pa.RecordBatch]:
    """Yield batches whose columns hold the text of each field; lines of another width are counted as bad.

    `names` are the columns wanted where the file has a header, else all columns in order. DataError if one is missing.
    """

    def refuse(row: csv.InvalidRow) -> Literal["skip", "error"]:
        # A stray quote swallows the lines up to the next one: they are all lost, so they all count.
        lost = 1 + row.text.count("\n")
        report.lines += lost
        report.bad["wrong_columns"] += lost
        return "skip"

    read = csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False, column_names=None if header else list(names))
    parse = csv.ParseOptions(
        delimiter=delimiter, quote_char='"' if quoted else False, invalid_row_handler=refuse, ignore_empty_lines=True
    )
    convert = csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, include_columns=list(names), check_utf8=False
    )
    try:
        with open_bytes(path) as source:
            stream = cast(IO[Any], Utf8Stream(source))  # all of it that pyarrow asks for
            for batch in csv.open_csv(stream, read_options=read, parse_options=parse, convert_options=convert):
                report.lines += batch.num_rows
                yield batch
    except (pa.ArrowInvalid, pa.ArrowKeyError, KeyError) as error:
        raise DataError(f"{path}: {error}") from error
