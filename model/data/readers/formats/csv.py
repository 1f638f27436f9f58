"""Delimited text, by the names of its columns."""

from collections.abc import Iterator
from pathlib import Path

from model.data.readers.columns.clean import Rows
from model.data.readers.formats.header import header_of
from model.data.readers.options import ReadOptions
from model.data.readers.report import ReadReport
from model.data.readers.text.batches import csv_batches
from model.data.readers.text.layout import Layout

__all__ = ["read_csv"]


def read_csv(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the lines of one file; DataError if its header lacks a column."""
    names, delimiter, quote, found = header_of(path, options)
    wanted = [found.session, found.item, found.ts, *filter(None, (found.type, found.extra))]
    layout = Layout(
        delimiter=delimiter,
        quote=quote,
        header=options.header,
        width=len(names),
        wanted={name: names.index(name) for name in wanted},
        ts=found.ts,
    )
    for columns, place in csv_batches(path, layout, report, encoding=options.encoding):
        kind = columns[found.type] if found.type else "click"
        extra = columns.get(found.extra or "")
        session, item, ts = columns[found.session], columns[found.item], columns[found.ts]
        yield Rows(session, item, ts, kind, place, found.otto, extra=extra)
