"""RetailRocket's events.csv as published: `timestamp,visitorid,event,itemid,transactionid`, times in ms.

A visitor is seen over months, so visits are cut at gaps of 30 minutes unless the options say otherwise.
"""

from collections.abc import Iterator
from pathlib import Path

from model.data.readers.clean import Rows
from model.data.readers.csv_source import csv_batches
from model.data.readers.options import ReadOptions
from model.data.readers.raw import ReadReport

__all__ = ["VISIT_GAP_MS", "read_retailrocket"]

VISIT_GAP_MS = 30 * 60 * 1000  # the worker's session time-out, so that training sees what serving will
NAMES = ("timestamp", "visitorid", "event", "itemid")


def read_retailrocket(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the lines of one file."""
    for batch in csv_batches(path, NAMES, report, delimiter=",", header=True, quoted=False):
        yield Rows(batch["visitorid"], batch["itemid"], batch["timestamp"], batch["event"])
