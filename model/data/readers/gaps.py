"""Visits out of what a visitor did over months: a new session after each longer pause."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.readers.columns.arrow import Column, pc
from model.data.readers.raw import RawLog

__all__ = ["cut_at_gaps", "part_names"]


def cut_at_gaps(raw: RawLog, gap_ms: int) -> RawLog:
    """Return the log with a new session wherever two events of one are more than `gap_ms` of event time apart.

    The first part keeps its id; the n-th is called `ID~n`. Codes are by id, then time, no longer by first appearance.
    """
    order = np.lexsort((raw.ts, raw.sessions))  # stable, so lines of equal time stay in the files' order
    sessions, ts = raw.sessions[order], raw.ts[order]
    changed = np.diff(sessions, prepend=-1) != 0
    starts = changed | (np.diff(ts, prepend=ts[:1]) > gap_ms)
    if np.count_nonzero(starts) == np.count_nonzero(changed):
        return raw
    codes = np.empty(len(order), np.int32)
    codes[order] = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)  # the first event of each part
    owner = sessions[first]
    begin = np.flatnonzero(changed[first])  # the first part of each session
    number = np.arange(len(first)) - np.repeat(begin, np.diff([*begin.tolist(), len(first)]))
    return replace(raw, sessions=codes, session_ids=part_names(raw.session_ids.take(pa.array(owner)), number + 1))


def part_names(ids: Column, number: NDArray[np.int64]) -> Column:
    """Return the name of the n-th part of each session, n from 1."""
    text = ids.cast(pa.string())
    numbered = pc.binary_join_element_wise(text, pa.array(number).cast(pa.string()), "~")
    return pc.if_else(pa.array(number > 1), numbered, text)
