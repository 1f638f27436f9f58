"""RetailRocket's events.csv as published: `timestamp,visitorid,event,itemid,transactionid`, times in ms.

A visitor is seen over months, so visits are cut at gaps of 30 minutes unless the options say otherwise.
"""

from collections.abc import Iterator
from pathlib import Path

from model.data.readers.columns.clean import Rows
from model.data.readers.formats.head import first_line
from model.data.readers.formats.header import split_header
from model.data.readers.options import ReadOptions
from model.data.readers.report import ReadReport
from model.data.readers.text.batches import csv_batches
from model.data.readers.text.layout import Layout
from model.errors import DataError

__all__ = ["VISIT_GAP_MS", "read_retailrocket"]

VISIT_GAP_MS = 30 * 60 * 1000  # the worker's session time-out, so that training sees what serving will
NAMES = ("timestamp", "visitorid", "event", "itemid")


def read_retailrocket(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the lines of one file."""
    names = split_header(first_line(path, options.encoding), ",", '"')
    if not set(NAMES) <= set(names):
        raise DataError(f"{path}: RetailRocket has the columns {', '.join(NAMES)}; there are {', '.join(names)}")
    wanted = {name: names.index(name) for name in NAMES}
    layout = Layout(delimiter=",", quote=None, header=True, width=len(names), wanted=wanted, ts="timestamp")
    for columns, place in csv_batches(path, layout, report, encoding=options.encoding):
        yield Rows(columns["visitorid"], columns["itemid"], columns["timestamp"], columns["event"], place, unit="ms")
