"""What the benches on small logs with kinds of events share: the logs, the options, and a preset of that size."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.data.datasets import require_files
from bench.learning.quality import USUAL_DATA
from export.errors import NextclickError
from export.events import KINDS
from model.config import Preset
from model.data.log import SessionLog
from model.data.readers import RawLog, ReadOptions, build_log, read_log
from model.data.split import hold_out
from model.learn.train import Trainer
from model.machine.threads import use_threads
from model.nets.encoder import Encoder
from model.presets import preset

__all__ = [
    *("FILES", "MIN_SUPPORT", "RATES", "Data", "Row", "Watched"),
    *("ended", "file_of", "in_order", "kept", "load", "options", "rounded", "sized"),
]

FILES = {"kuairand": "kuairand_feedback.parquet", "trivago": "large_trivago_impressions.parquet"}
RATES = {"kuairand": 1e-3, "trivago": 3e-3}  # of learning
MIN_SUPPORT = {"kuairand": 1, "trivago": 3}  # events of any kind, in training

Row = dict[str, Any]


class Data(NamedTuple):
    """A data set in three by time, over one catalogue."""

    train: SessionLog
    valid: SessionLog
    test: SessionLog


def options(text: str | None, epochs: int | None) -> argparse.ArgumentParser:
    """Return a parser of what all of them take."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--hidden", type=int, default=64, help="width of the encoder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="each result is kept there as it comes, and not measured again")
    parser.add_argument("--json", action="store_true")
    return parser


def ended(args: argparse.Namespace, measured: Callable[[], list[Row]], *tables: Callable[[list[Row]], Table]) -> None:
    """Measure, and print the rows as the options say; exits with what is wrong where that can be said."""
    use_threads(args.threads)
    try:
        rows = measured()
    except NextclickError as error:
        sys.exit(f"error: {error}")
    if args.json:
        print(json.dumps({"rows": rows}))
        return
    for table in tables:
        Console(width=140).print(table(rows))


def file_of(folder: Path, dataset: str) -> Path:
    """Return the file of a data set. ConfigError where it is not in the folder."""
    require_files(dataset, [FILES[dataset]], folder)
    return folder / FILES[dataset]


def load(folder: Path, dataset: str) -> Data:
    """Return a data set of a folder, all kinds of its events. ConfigError where its file is missing."""
    raw = in_order(read_log(file_of(folder, dataset), ReadOptions(kinds=frozenset(KINDS))))
    rest, test = hold_out(raw)
    older, valid = hold_out(rest)
    train = build_log(older, min_support=MIN_SUPPORT[dataset])
    return Data(train, build_log(valid, train.vocabulary), build_log(test, train.vocabulary))


def in_order(raw: RawLog) -> RawLog:
    """Return the log with skips behind what is as old."""
    no = np.isin(raw.kinds, [KINDS.index("skip"), KINDS.index("dislike")])
    return raw.select(np.argsort(no, kind="stable"))


def kept(file: Path | None, job: Row, measured: Callable[[], Row]) -> Row:
    """Return the row of a job: the one that was measured before, or a new one, kept in the file if there is one."""
    lines = file.read_text().splitlines() if file is not None and file.exists() else []
    found = (json.loads(line) for line in lines)
    row = next((row for row in found if all(row.get(name) == value for name, value in job.items())), None)
    if row is None:
        row = {**job, **measured()}
        if file is not None:
            with file.open("a") as out:
                out.write(json.dumps(row) + "\n")
    said = " ".join(f"{name}={value}" for name, value in row.items() if name not in ("curve", "pushes"))
    print(said, file=sys.stderr, flush=True)
    return row


def sized(name: str, dataset: str, args: argparse.Namespace, **more: Any) -> Preset:
    """Return a preset for such a log, with the options given."""
    sizes = {"hidden": args.hidden, "feed_forward": args.hidden, "batch": 32, "dropout": 0.2, "lr": RATES[dataset]}
    return preset(name).override(**sizes, threads=args.threads, **more)


class Watched(Trainer):
    """A training whose validations have further figures, or others: what `watch` makes of the encoder and those."""

    def __init__(self, data: Data, one: Preset, watch: Callable[[Watched, dict[str, float]], dict[str, float]]) -> None:
        super().__init__(data.train, data.valid, one, run="")
        self.watch = watch

    def validate(self, most: int | None = None) -> dict[str, float]:
        """Return the figures of the weights as they are."""
        return self.watch(self, super().validate(most))

    @property
    def judged(self) -> Encoder:
        """The encoder as it is, to be asked."""
        return self.encoder.eval()


def rounded(row: Row) -> Row:
    """Return a row with its figures in four digits."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
