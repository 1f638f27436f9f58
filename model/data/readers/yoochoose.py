"""Yoochoose, the RecSys Challenge 2015, as published: no header, `session,ISO time,item,category` a click.

The file of buys has five columns, `session,ISO time,item,price,quantity`: those lines are orders.
"""

from collections.abc import Iterator
from pathlib import Path

from model.data.readers.clean import Rows
from model.data.readers.csv_source import csv_batches
from model.data.readers.options import ReadOptions
from model.data.readers.raw import ReadReport
from model.data.readers.sniff import first_line

__all__ = ["read_yoochoose"]

CLICK = ("session", "ts", "item", "category")
BUY = ("session", "ts", "item", "price", "quantity")


def read_yoochoose(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the lines of one file."""
    buys = first_line(path).count(",") == len(BUY) - 1
    names, kind = (BUY, "order") if buys else (CLICK, "click")
    for batch in csv_batches(path, names, report, delimiter=",", header=False, quoted=False):
        yield Rows(batch["session"], batch["item"], batch["ts"], kind)
