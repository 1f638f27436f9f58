"""How much of a held-out log stands in the training log as well: what has been seen is no test."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.readers.columns.arrow import Column, pc
from model.data.readers.raw import RawLog

__all__ = ["Overlap", "overlap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What two logs share."""

    rows: int  # of the held-out log that the training log has too: session, item and time
    of_rows: int
    sessions: int  # of the held-out log whose ids the training log has too
    of_sessions: int

    def warning(self, name: str = "the held-out log") -> str | None:
        """Return what to tell people; None where the logs share nothing."""
        if not self.sessions:
            return None
        sessions = f"{self.sessions:,} of {self.of_sessions:,} sessions ({self.sessions / self.of_sessions:.1%})"
        if self.rows:
            share = self.rows / self.of_rows
            return (
                f"{share:.1%} of the rows of {name} ({self.rows:,} of {self.of_rows:,}) stand in the training log too, "
                f"in {sessions}: figures of what was learned by heart; hold out other clicks"
            )
        return (
            f"{sessions} of {name} have ids that the training log has too, with other clicks: "
            "sessions cut in two, or ids that are used again"
        )


def overlap(train: RawLog, held_out: RawLog) -> Overlap:
    """Return what `held_out` shares with `train`: by the ids of sessions and items, and by time."""
    sessions = _codes(held_out.session_ids, train.session_ids)[held_out.sessions]  # (T,) codes of train, -1: unknown
    items = _codes(held_out.item_ids, train.item_ids)[held_out.items]
    used = np.zeros(len(train.session_ids) + 1, bool)  # codes of a selected log may have no line
    used[train.sessions] = True
    shared = (sessions >= 0) & used[sessions]
    both = shared & (items >= 0)
    # Rows of train in sessions that are shared: the others can't be equal
    of_interest = np.zeros(len(train.session_ids), bool)
    of_interest[sessions[both]] = True
    rows = of_interest[train.sessions]
    known = _keys(train.sessions[rows], train.items[rows], train.ts[rows])
    found = np.isin(_keys(sessions[both], items[both], held_out.ts[both]), known)
    return Overlap(
        rows=int(np.count_nonzero(found)),
        of_rows=held_out.clicks,
        sessions=len(np.unique(held_out.sessions[shared])),
        of_sessions=len(np.unique(held_out.sessions)),
    )


def _codes(ids: Column, known: Column) -> NDArray[np.int64]:
    """Return the place of each id among the known ones, -1 where it is none of them."""
    if ids.type != known.type:
        ids, known = ids.cast(pa.string()), known.cast(pa.string())
    found: NDArray[np.int64] = pc.fill_null(pc.index_in(ids, value_set=known), -1).to_numpy().astype(np.int64)
    return found


def _keys(sessions: NDArray[Any], items: NDArray[Any], ts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return one number a row: two rows have the same where they are equal, and by chance once in 2^64."""
    mixed = np.zeros(len(ts), np.uint64)
    for column, factor in ((sessions, 0x9E3779B97F4A7C15), (items, 0xC2B2AE3D27D4EB4F), (ts, 0x165667B19E3779F9)):
        mixed = (mixed ^ column.astype(np.uint64)) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(29)
    return mixed
