"""The data sets that quality is measured on, each as train.parquet, valid.parquet and test.parquet.

A data set lies in a folder of published logs: Parquet with `session_id`, `item_id`, `timestamp` (ms since the epoch).
Validation and test lose the clicks on items that train does not have, then sessions of fewer than 2 clicks.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from export.errors import ConfigError

COLUMNS = ["session_id", "item_id", "timestamp"]
TENTH = 0.1  # of the train sessions, the newest ones, validate where a data set names none
FILES = {  # what each data set is made of
    "recent": ("yoochoose.parquet", "split.py"),
    "full": ("yoochoose.parquet", "split.py"),
    "yoochoose_100k": ("yoochoose_100k_ts.parquet",),
    "serenade": ("serenade_bolcom.parquet",),
    "tmall": ("tmall.parquet",),
    "nowplaying": ("nowplaying.parquet",),
    "beauty": ("beauty.parquet",),
}
DATASETS = tuple(FILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The three files of a data set."""

    train: Path
    valid: Path
    test: Path


def require(name: str, folder: Path) -> None:
    """Raise ConfigError unless `folder` has the files that the data set `name` is made of."""
    require_files(name, FILES[name], folder)


def require_files(name: str, files: Iterable[str], folder: Path) -> None:
    """Raise ConfigError unless `folder` has these files, of which a data set called `name` is made."""
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise ConfigError(
            f"{name} is made of {', '.join(missing)}, not found in {folder}: name its folder with --data-dir"
        )


def make_parts(name: str, folder: Path, out: Path) -> Parts:
    """Write the parts of the data set `name` of `folder` into `out`. ConfigError where a file of it is missing."""
    require(name, folder)
    out.mkdir(parents=True, exist_ok=True)
    if "split.py" in FILES[name]:
        run_split_program(folder / "split.py", out, full=name == "full")
    else:
        for part, table in split_by_column(pq.read_table(folder / FILES[name][0])).items():
            pq.write_table(table, out / f"{part}.parquet")
    return Parts(train=out / "train.parquet", valid=out / "valid.parquet", test=out / "test.parquet")


def run_split_program(program: Path, out: Path, *, full: bool) -> None:
    """Let the data set's own program write the parts. ConfigError, with what it said, where it fails."""
    command = [sys.executable, str(program), str(out), *(["--full"] if full else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(f"{program} failed: {done.stderr.strip()}")
    print(done.stdout, end="", file=sys.stderr, flush=True)


def split_by_column(table: pa.Table) -> dict[str, pa.Table]:
    """Return train, valid and test by the column `split`; without valid there, the newest tenth of train is it."""
    split = table["split"].to_numpy(zero_copy_only=False)
    rows = {name: np.flatnonzero(split == name) for name in ("train", "valid", "test")}
    if not len(rows["valid"]):
        newest = newest_tenth(table.take(rows["train"]))
        rows["train"], rows["valid"] = rows["train"][~newest], rows["train"][newest]
    parts = {name: table.select(COLUMNS).take(index) for name, index in rows.items()}
    known = np.unique(parts["train"]["item_id"].to_numpy())
    return {"train": parts["train"], **{name: usable(parts[name], known) for name in ("valid", "test")}}


def newest_tenth(table: pa.Table) -> NDArray[np.bool_]:
    """Return which rows (T,) belong to the tenth of the sessions whose last click is newest."""
    ids, inverse = np.unique(table["session_id"].to_numpy(), return_inverse=True)
    last = np.full(len(ids), np.iinfo(np.int64).min)  # (S,) ms
    np.maximum.at(last, inverse, table["timestamp"].to_numpy())
    newest = np.zeros(len(ids), bool)
    newest[np.argsort(last, kind="stable")[-max(1, round(TENTH * len(ids))) :]] = True
    rows: NDArray[np.bool_] = newest[inverse]
    return rows


def usable(table: pa.Table, known: NDArray[np.int64]) -> pa.Table:
    """Return the clicks on `known` items, of the sessions that have at least 2 of them."""
    table = table.take(np.flatnonzero(np.isin(table["item_id"].to_numpy(), known)))
    _, inverse, counts = np.unique(table["session_id"].to_numpy(), return_inverse=True, return_counts=True)
    return table.take(np.flatnonzero(counts[inverse] >= 2))
