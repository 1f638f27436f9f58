"""Yoochoose, the RecSys Challenge 2015, as published: no header, `session,ISO time,item,category` a click.

The file of buys has five columns, `session,ISO time,item,price,quantity`: those lines are orders.
"""

from collections.abc import Iterator
from pathlib import Path

from model.data.readers.columns.clean import Rows
from model.data.readers.formats.head import first_line
from model.data.readers.options import ReadOptions
from model.data.readers.report import ReadReport
from model.data.readers.text.batches import csv_batches
from model.data.readers.text.layout import Layout

__all__ = ["read_yoochoose"]

CLICK = ("session", "ts", "item", "category")
BUY = ("session", "ts", "item", "price", "quantity")


def read_yoochoose(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the lines of one file."""
    buys = first_line(path, options.encoding).count(",") == len(BUY) - 1
    names, kind = (BUY, "order") if buys else (CLICK, "click")
    wanted = {name: names.index(name) for name in ("session", "ts", "item")}
    layout = Layout(delimiter=",", quote=None, header=False, width=len(names), wanted=wanted, ts="ts")
    for columns, place in csv_batches(path, layout, report, encoding=options.encoding):
        yield Rows(columns["session"], columns["item"], columns["ts"], kind, place)
