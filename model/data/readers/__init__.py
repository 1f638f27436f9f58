"""Click logs as published, read into arrays: OTTO, Yoochoose, Diginetica, RetailRocket, CSV, Parquet and JSON lines.

`read_log` reads a file or a folder of them into a `RawLog`; `build_log` turns that into the `SessionLog` a model learns
from or is judged by; `iter_clicks` gives the clicks one by one as the stream side takes them.
"""

from model.data.readers.build import build_log
from model.data.readers.columns.kinds import KINDS, POSITIVES
from model.data.readers.options import FORMATS, Columns, ReadOptions
from model.data.readers.raw import RawLog, iter_clicks
from model.data.readers.read import read_log
from model.data.readers.report import ReadReport

__all__ = [
    "FORMATS",
    "KINDS",
    "POSITIVES",
    "Columns",
    "RawLog",
    "ReadOptions",
    "ReadReport",
    "build_log",
    "iter_clicks",
    "read_log",
]
