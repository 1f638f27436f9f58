"""Diginetica, the CIKM Cup 2016, as published: `;` between the columns, header, time = date + ms within the session.

Views: `sessionId;userId;itemId;timeframe;eventdate`; purchases have `ordernumber` as well and are orders. Later copies
of the files write `session_id` and `item_id`.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from model.data.readers.columns.arrow import Column, pc
from model.data.readers.columns.clean import Rows
from model.data.readers.columns.times import clean_times
from model.data.readers.formats.head import first_line
from model.data.readers.formats.header import split_header
from model.data.readers.options import ReadOptions
from model.data.readers.report import ReadReport
from model.data.readers.text.batches import csv_batches
from model.data.readers.text.layout import Layout
from model.errors import DataError

__all__ = ["read_diginetica", "times"]


def read_diginetica(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the lines of one file; DataError if it has not the columns of views or purchases."""
    header = split_header(first_line(path, options.encoding), ";", '"')
    session = "sessionId" if "sessionId" in header else "session_id"
    item = "itemId" if "itemId" in header else "item_id"
    names = (session, item, "timeframe", "eventdate")
    if not set(names) <= set(header):
        raise DataError(f"{path}: Diginetica needs the columns {', '.join(names)}; there are {', '.join(header)}")
    kind = "order" if "ordernumber" in header else "click"
    wanted = {name: header.index(name) for name in names}
    layout = Layout(delimiter=";", quote='"', header=True, width=len(header), wanted=wanted, ts="eventdate")
    for columns, place in csv_batches(path, layout, report, encoding=options.encoding):
        ts = times(columns["eventdate"], columns["timeframe"])
        yield Rows(columns[session], columns[item], ts, kind, place, unit="ms")


def times(date: Column, timeframe: Column) -> Column:
    """Return date + timeframe as text, so that a line without one of them is told apart from one with a bad one."""
    days, day_faults, _ = clean_times(date, "ms")
    within, within_faults, _ = clean_times(timeframe, "ms")
    missing = day_faults["missing_ts"] | within_faults["missing_ts"]
    bad = day_faults["bad_ts"] | within_faults["bad_ts"] | within_faults["negative_ts"]
    text = pc.if_else(pa.array(bad), "?", pa.array(days + within).cast(pa.string()))
    return pc.if_else(pa.array(missing), None, text)
