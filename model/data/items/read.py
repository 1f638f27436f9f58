"""Read files of items (CSV, Parquet, JSON lines) into a table.

    item_id       any id, by the law of ids
    available     true, false (in CSV also yes, no, 1, 0)
    price, boost  numbers
    created_ts    milliseconds since the epoch, or a date with or without a time
    attributes    an object of names and values; as JSON text, struct or map; values without names are those of the
                  attribute `attributes`
    attr.NAME     one attribute; in CSV, `|` stands between several values, in Parquet they are a list

All but the first may be left out. What the values may be is said in `export/items/rules.py`, for files as for the
topic.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from export.items.table import ItemTable
from model.data.items.formats import READERS, format_of
from model.data.items.report import ItemsReport
from model.data.readers.files import drop_copies, is_candidate
from model.data.readers.formats.head import UNREADABLE
from model.data.readers.report import counts
from model.errors import BadLines, DataError

__all__ = ["ItemFile", "read_items"]

_MAX_BAD_SHARE = 0.01
_TOLD_EVERY = 65_536  # items


class ItemFile(NamedTuple):
    """What files say."""

    table: ItemTable
    report: ItemsReport


def read_items(
    path: str | os.PathLike[str],
    *,
    item_column: str | None = None,
    max_bad_share: float = _MAX_BAD_SHARE,
    on_progress: Callable[[int], None] | None = None,
) -> ItemFile:
    """Return the items of a file, or of a folder of files in the order of their names; the last line of each counts.

    DataError where there is no such file, its format is not known, or nothing in it can be used; BadLines where the
    share of bad lines is above `max_bad_share`. The report says what was bad, said twice or not read.
    """
    report, table = ItemsReport(), ItemTable()
    for file, format in _files(Path(path), report):
        report.files[str(file)] = format
        try:
            for item in READERS[format](file, report, item_column):
                report.duplicates += item.item_id in table
                table.put(item)
                if on_progress is not None and report.lines % _TOLD_EVERY == 0:
                    on_progress(report.lines)
        except (*UNREADABLE, pa.ArrowException) as error:
            raise DataError(f"{file} can't be read as {format}: {error}") from error
    report.kept = len(table)
    shown = "".join(f"\n  {line}" for line in report.shown())
    if report.bad_share > max_bad_share:
        raise BadLines(
            f"{path}: {report.bad_lines:,} of {report.lines:,} lines are bad ({counts(report.bad)}); "
            f"at most {max_bad_share:.2%} may be{shown}"
        )
    if not len(table):
        raise DataError(f"{path} holds no item that can be used: {report.summary()}{shown}")
    return ItemFile(table, report)


def _files(path: Path, report: ItemsReport) -> list[tuple[Path, str]]:
    if path.is_file():
        return [(path, format_of(path))]
    if not path.is_dir():
        raise DataError(f"{path} does not exist")
    found = [(file, format_of(file)) for file in sorted(path.rglob("*")) if file.is_file() and is_candidate(file, path)]
    if not found:
        raise DataError(f"{path} holds no file of items: CSV, Parquet or JSON lines")
    return drop_copies(found, report)  # type: ignore[arg-type,return-value]  # formats are names of logs' there
