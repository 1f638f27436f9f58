"""From the store to a log: the sessions of a window, whole, and cut as the workers cut them."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.data.readers import POSITIVES, RawLog, ReadOptions, read_log
from model.data.readers.columns.kinds import KINDS
from model.data.split import DAY_MS
from model.errors import DataError
from model.trainer.kept.store import SCHEMA, ClickStore

__all__ = ["digest_of", "import_log", "read_window", "said_of_window"]

_FOLDER = "nextclick-window-"  # in the temporary folder: clicks, for as long as they are read
_LEFT_S = 3600.0  # after which no reading goes on
_SLICE = 500_000  # clicks of one part of an import


def read_window(
    store: ClickStore, names: Sequence[str], *, window_ms: int, gap_ms: int, kinds: frozenset[str] = POSITIVES
) -> RawLog:
    """The sessions with a click in the last `window_ms` before the newest one, from these parts.

    gap_ms: a longer pause begins a new session, as for the workers. kinds: of events that are read. DataError where
    nothing is there.
    """
    if not names:
        raise DataError("the trainer has no clicks yet")
    _remove_left_behind()
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
        store.place(names, Path(folder))
        read = ReadOptions(format="parquet", session_gap_ms=gap_ms, max_bad_share=1.0, kinds=kinds)
        raw = read_log(Path(folder), read)
    last = np.zeros(len(raw.session_ids), np.int64)  # (S,) ms since the epoch
    np.maximum.at(last, raw.sessions, raw.ts)
    return raw.select(last[raw.sessions] >= int(raw.ts.max()) - window_ms)


def _remove_left_behind() -> None:
    """Clicks of cycles that were killed while they read them: sessions that were erased since may be among them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with contextlib.suppress(OSError):  # another's, who removes it as well
            if time.time() - folder.stat().st_mtime > _LEFT_S:
                shutil.rmtree(folder)


def said_of_window(clicks: int, stored: int, window_ms: int) -> str:
    """Return what is learned from, for people: `clicks` of those that were ever stored."""
    return (
        f"learned from: {clicks:,} of {stored:,} clicks ever stored, those of sessions that end in the "
        f"{window_ms / DAY_MS:g} days up to the newest click; --window makes that longer"
    )


def import_log(store: ClickStore, path: Path, options: ReadOptions, say: Callable[[str], None]) -> int:
    """Store a click log before the topic is read; how many clicks came in. Once a log: again, nothing happens.

    A kill in between is made up for: the parts of a log are numbered. Raises as `read_log` does.
    """
    digest = digest_of(path)
    there = store.imported(digest)
    raw = read_log(path, replace(options, kinds=frozenset(KINDS)))  # a topic's skips are stored as well
    for line in (raw.report.summary(), *raw.report.shown()):
        say(line)
    parts = -(-raw.clicks // _SLICE)
    came = 0
    for place, table in enumerate(_tables(raw), start=1):
        if place > there:
            store.append_table(table, imported=digest, place=place, imported_until=int(raw.ts.max()))
            came += table.num_rows
    if there:
        say(f"{path}: {there} of its {parts} parts were there before")
    return came


def digest_of(path: Path) -> str:
    """What tells one log from another: its files' names, sizes and times."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    about = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(about).encode()).hexdigest()[:24]


def _tables(raw: RawLog) -> Iterator[pa.Table]:
    """The clicks by time, in slices."""
    order = np.argsort(raw.ts, kind="stable")
    items, kinds = pa.array(raw.item_names(), pa.string()), pa.array(KINDS, pa.string())
    sessions = raw.session_ids.cast(pa.string())
    for start in range(0, len(order), _SLICE):
        rows = order[start : start + _SLICE]
        columns = [
            sessions.take(raw.sessions[rows]),
            items.take(raw.items[rows]),
            pa.array(raw.ts[rows]),
            kinds.take(raw.kinds[rows]),
        ]
        yield pa.table(columns, schema=SCHEMA)
