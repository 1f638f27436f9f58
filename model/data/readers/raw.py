"""`RawLog`: the usable lines of click logs as arrays, in the order of the files, nothing filtered by model yet.

Legend: T lines kept, S distinct sessions, I distinct items.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.readers.columns.arrow import Column
from model.data.readers.columns.kinds import KINDS
from model.data.readers.report import ReadReport

__all__ = ["Extra", "RawLog", "iter_clicks"]

SLICE_CLICKS = 65_536  # clicks turned into Python objects at a time by `iter_clicks`


@dataclass(frozen=True, eq=False)
class Extra:
    """A further column of a log. E distinct values."""

    name: str
    codes: NDArray[np.int32]  # (T,) 0..E-1; -1: the line has none
    values: Column  # (E,) text, by first appearance

    def select(self, rows: NDArray[Any]) -> "Extra":
        """Return the values of some lines."""
        return replace(self, codes=self.codes[rows])


@dataclass(frozen=True, eq=False)
class RawLog:
    """The lines kept. Codes of sessions and items are places in `session_ids` and `item_ids`; some may be unused."""

    sessions: NDArray[np.int32]  # (T,) codes 0..S-1, by first appearance
    items: NDArray[np.int32]  # (T,) codes 0..I-1, in the order of the ids: numbers by value, else text by its bytes
    ts: NDArray[np.int64]  # (T,) ms since the epoch
    kinds: NDArray[np.uint8]  # (T,) place in `KINDS`
    session_ids: Column  # (S,) int64 or string
    item_ids: Column  # (I,) int64 or string
    report: ReadReport
    typed: bool = False  # skips and dislikes were kept, so that kinds matter
    extra: Extra | None = None  # a further column, where one was asked for

    @property
    def clicks(self) -> int:
        """T, the number of lines kept."""
        return len(self.items)

    def select(self, rows: NDArray[Any]) -> "RawLog":
        """Return the lines of a boolean mask (T,) or of line numbers; ids and codes stay as they are."""
        return replace(
            self,
            sessions=self.sessions[rows],
            items=self.items[rows],
            ts=self.ts[rows],
            kinds=self.kinds[rows],
            extra=None if self.extra is None else self.extra.select(rows),
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
