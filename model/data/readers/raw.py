"""`RawLog`: the usable lines of click logs as arrays, in the order of the files, nothing filtered by model yet.

Legend: T lines kept, S distinct sessions, I distinct items.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.readers.arrow import Column
from model.data.readers.clean import KINDS

__all__ = ["RawLog", "ReadReport", "counts", "iter_clicks"]

SECONDS_OF_SHOPS = 1_500_000_000, 3_000_000_000  # 2017 to 2065
REPORTED_NAMES = 8  # kinds named in a summary; a column of garbage would fill the screen
SLICE_CLICKS = 65_536  # clicks turned into Python objects at a time by `iter_clicks`


@dataclass(slots=True)
class ReadReport:
    """What was read, counted while reading. A line is one event; one line of OTTO holds a whole session of them."""

    lines: int = 0  # all events found, good or bad
    kept: int = 0  # events in the RawLog
    bad: Counter[str] = field(default_factory=Counter)  # bad lines by reason, each under its first one only
    left_out: Counter[str] = field(default_factory=Counter)  # good lines of kinds that are not kept, by kind as written
    files: dict[str, str] = field(default_factory=dict)  # path of each file read -> its format
    skipped: dict[str, str] = field(default_factory=dict)  # path of each file of a folder that is no click log -> why

    doubts: list[str] = field(default_factory=list)  # what may have been misunderstood, for people

    @property
    def bad_lines(self) -> int:
        """Number of bad lines."""
        return self.bad.total()

    @property
    def bad_share(self) -> float:
        """Share of bad lines among all, 0 if there are none."""
        return self.bad_lines / self.lines if self.lines else 0.0

    def summary(self) -> str:
        """Return one line for people: what was kept, what was bad and why, what was left out."""
        parts = [f"{self.kept:,} of {self.lines:,} events from {len(self.files)} file{'s' * (len(self.files) != 1)}"]
        if self.bad:
            parts.append(f"{self.bad_lines:,} bad ({counts(self.bad)})")
        if self.left_out:
            parts.append(f"left out: {counts(self.left_out)}")
        if self.skipped:
            parts.append(f"no click log: {', '.join(sorted(self.skipped))}")
        return "; ".join(parts + self.doubts)


def counts(counter: Counter[str]) -> str:
    """Return the most frequent names with their numbers, for a message."""
    named = ", ".join(f"{name} {number:,}" for name, number in counter.most_common(REPORTED_NAMES))
    more = len(counter) - REPORTED_NAMES
    return f"{named}, and {more:,} more" if more > 0 else named


@dataclass(frozen=True, eq=False)
class RawLog:
    """The lines kept. Codes of sessions and items are places in `session_ids` and `item_ids`; some may be unused."""

    sessions: NDArray[np.int64]  # (T,) codes 0..S-1, by first appearance
    items: NDArray[np.int32]  # (T,) codes 0..I-1, in the order of the ids: numbers by value, else text by its bytes
    ts: NDArray[np.int64]  # (T,) ms since the epoch
    kinds: NDArray[np.uint8]  # (T,) place in `KINDS`
    session_ids: Column  # (S,) int64 or string
    item_ids: Column  # (I,) int64 or string
    report: ReadReport

    @property
    def may_count_seconds(self) -> bool:
        """Whether all times, taken as ms, lie in one January of 1970, and as seconds in the years of web shops."""
        return bool(self.clicks) and SECONDS_OF_SHOPS[0] <= self.ts.min() and self.ts.max() < SECONDS_OF_SHOPS[1]

    @property
    def clicks(self) -> int:
        """T, the number of lines kept."""
        return len(self.items)

    def select(self, rows: NDArray[Any]) -> "RawLog":
        """Return the lines of a boolean mask (T,) or of line numbers; ids and codes stay as they are."""
        return replace(
            self, sessions=self.sessions[rows], items=self.items[rows], ts=self.ts[rows], kinds=self.kinds[rows]
        )

    def item_names(self) -> list[str]:
        """Return the shop id of each item code: (I,) strings."""
        return [str(item) for item in self.item_ids.to_pylist()]


def iter_clicks(raw: RawLog) -> Iterator[tuple[str, str, int, str]]:
    """Yield (session id, item id, ts in ms, kind) of every line by time, lines of equal time in the files' order."""
    order = np.argsort(raw.ts, kind="stable")
    items = raw.item_names()
    for start in range(0, len(order), SLICE_CLICKS):
        rows = order[start : start + SLICE_CLICKS]
        sessions = raw.session_ids.take(pa.array(raw.sessions[rows])).to_pylist()
        columns = (raw.items[rows].tolist(), raw.ts[rows].tolist(), raw.kinds[rows].tolist())
        for session, item, ts, kind in zip(sessions, *columns, strict=True):
            yield str(session), items[item], ts, KINDS[kind]
