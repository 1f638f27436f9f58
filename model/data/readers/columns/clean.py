"""Columns as they stand in a file -> ids, times and kinds that can be used, with a reason for every line that can't."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.readers.columns.arrow import Column, decode, is_text, mask, pc
from model.data.readers.columns.ids import as_integers, clean_ids
from model.data.readers.columns.kinds import ALIASES, LEFT_OUT, OTTO_NUMBERS, kind_codes
from model.data.readers.columns.times import TimeUnit, clean_times
from model.data.readers.report import SAMPLES, ReadReport

__all__ = ["Cleaned", "Place", "Rows", "clean"]


class Place(Protocol):
    """Where some rows stand in their file."""

    def __call__(self, row: int, /) -> tuple[int, str]:
        """Return the number of the line that row `row` came from, and its text."""
        ...


class Rows(NamedTuple):
    """Some lines of a file, column by column."""

    session: Column
    item: Column
    ts: Column
    kind: Column | str  # text, or one kind for all
    place: Place
    otto: bool = False  # kinds may be OTTO's numbers
    extra: Column | None = None  # a further column, kept as it is
    unit: TimeUnit | None = None  # of the times, where the format knows it; None: that of the options


class Cleaned(NamedTuple):
    """The usable ones of some lines."""

    sessions: Column  # int64 or string
    items: Column  # int64 or string
    ts: NDArray[np.int64]  # ms
    kinds: NDArray[np.uint8]  # place in KINDS
    extra: Column | None = None  # text or numbers, as the file has them


def clean(
    rows: Rows,
    *,
    file: Path,
    report: ReadReport,
    kinds: frozenset[str],
    ts_unit: TimeUnit,
    aliases: Mapping[str, str] = ALIASES,
) -> Cleaned:
    """Return the lines that can be used and are of the `kinds` kept; the report counts the others, with samples."""
    session, session_faults = clean_ids(rows.session, "session")
    item, item_faults = clean_ids(rows.item, "item")
    ts, ts_faults, hints = clean_times(rows.ts, rows.unit or ts_unit)
    report.hints.update(hints + _undecoded(rows.session, session_faults) + _undecoded(rows.item, item_faults))
    good = np.ones(len(ts), bool)
    for reason, wrong in (*session_faults.items(), *item_faults.items(), *ts_faults.items()):
        found = np.flatnonzero(wrong & good)
        if len(found):
            report.bad[reason] += len(found)
            good &= ~wrong
            for row in found[:SAMPLES].tolist() if report.wants_sample(reason) else ():
                report.sample(file, *_placed(rows.place(row), reason))
    known = {**OTTO_NUMBERS, **aliases} if rows.otto else aliases
    codes = kind_codes(rows.kind, good, kinds, report.left_out, known)
    keep = good & (codes != LEFT_OUT)
    extra = rows.extra if rows.extra is None or keep.all() else rows.extra.filter(pa.array(keep))
    if not keep.all():
        session, item, ts, codes = session.filter(pa.array(keep)), item.filter(pa.array(keep)), ts[keep], codes[keep]
    return Cleaned(as_integers(session), as_integers(item), ts, codes, extra)


def _undecoded(column: Column, faults: Mapping[str, NDArray[np.bool_]]) -> Counter[str]:
    """Return the remedy for ids that are no UTF-8, by the number of them."""
    if not is_text(column.type) or not any(wrong.any() for name, wrong in faults.items() if name.startswith("bad_")):
        return Counter()
    text, broken = decode(column)
    number = int(np.count_nonzero(broken | mask(pc.match_substring(text, "\ufffd"))))
    return Counter({"text that is no UTF-8: what is it (--encoding)?": number} if number else {})


def _placed(place: tuple[int, str], reason: str) -> tuple[int, str, str]:
    line, text = place
    return line, reason, text
