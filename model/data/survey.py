"""What a click log holds and what is odd about it, before it is used: `nextclick log`.

Legend: T clicks, S sessions.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.data.readers import RawLog, ReadOptions, read_log
from model.data.readers.report import counts

__all__ = ["Survey", "oddities", "repeated", "survey"]

DAY_MS = 86_400_000
LONG_CLICKS = 1_000  # more in one session is no shopper
MOSTLY = 0.5  # a larger share is worth a word
REPEATED = 0.01  # rows that are there twice
SPANNING = 0.05  # sessions over more than a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found."""

    rows: int  # events found, good or bad
    read: int  # events that can be used
    bad: Counter[str]  # reason -> events
    left_out: Counter[str]  # kind -> events that are no sign of interest, or of no kind that is known
    files: dict[str, str]  # file -> format
    not_read: dict[str, str]  # file -> why
    joined: int  # line breaks within quotes
    sessions: int
    items: int
    first: str  # time of the first click, ISO 8601, UTC
    last: str
    lengths: dict[str, float]  # clicks a session: mean, median, p99, longest; and the share of sessions with one
    warnings: list[str]
    samples: list[str]  # bad lines

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {name: getattr(self, name) for name in self.__slots__}

    def lines(self) -> list[tuple[str, str]]:
        """Return names and texts, for people; further lines of one thing have no name."""
        length = self.lengths
        found = [
            ("read", f"{self.read:,} of {self.rows:,} rows from {len(self.files)} file{'s' * (len(self.files) != 1)}"),
            ("format", ", ".join(f"{name} {n}" for name, n in Counter(self.files.values()).items())),
            ("sessions", f"{self.sessions:,}"),
            ("items", f"{self.items:,}"),
            ("first", self.first),
            ("last", self.last),
            (
                "clicks",
                f"a session: mean {length['mean']:.1f}, median {length['median']:g}, 99 % up to {length['p99']:g}, "
                f"longest {length['longest']:,.0f}; {length['one_click']:.0%} of the sessions have one",
            ),
        ]
        several = {
            "bad": [counts(self.bad)] if self.bad else [],
            "samples": self.samples,
            "left out": [counts(self.left_out)] if self.left_out else [],
            "joined": [f"{self.joined:,} line breaks within quotes"] if self.joined else [],
            "not read": [f"{Path(name).name}: {why}" for name, why in self.not_read.items()],
            "warnings": self.warnings or ["none"],
        }
        for name, texts in several.items():
            found += [(name if not place else "", text) for place, text in enumerate(texts)]
        return found


def survey(path: Path, read: ReadOptions) -> Survey:
    """Return what a log holds, however large its share of bad lines; DataError where nothing of it can be used."""
    raw = read_log(path, replace(read, max_bad_share=1.0))
    report = raw.report
    lengths = np.bincount(raw.sessions)
    lengths = lengths[lengths > 0]  # (S,)
    warnings = [*report.warnings(), *oddities(raw, lengths)]
    if report.bad_share > read.max_bad_share:
        warnings.insert(0, f"{report.bad_share:.1%} of the rows are bad: refused unless --max-bad-share says otherwise")
    return Survey(
        rows=report.lines,
        read=report.kept,
        bad=report.bad,
        left_out=report.left_out,
        files=report.files,
        not_read=report.skipped,
        joined=report.joined,
        sessions=len(lengths),
        items=len(np.unique(raw.items)),
        first=_iso(int(raw.ts.min())),
        last=_iso(int(raw.ts.max())),
        lengths={
            "mean": float(lengths.mean()),
            "median": float(np.median(lengths)),
            "p99": float(np.percentile(lengths, 99)),
            "longest": float(lengths.max()),
            "one_click": float((lengths == 1).mean()),
        },
        warnings=warnings,
        samples=report.shown(),
    )


def oddities(raw: RawLog, lengths: NDArray[np.int64]) -> list[str]:
    """Return what is odd about the clicks of a log, a line each; `lengths` (S,) are the clicks of its sessions."""
    found = []
    twice = repeated(raw)
    if twice > REPEATED * raw.clicks:
        found.append(f"{twice:,} rows ({twice / raw.clicks:.0%}) repeat another: the same session, item and time")
    if (single := float((lengths == 1).mean())) > MOSTLY:
        found.append(
            f"{single:.0%} of the sessions have one click: nothing is learned from those; is the column right?"
        )
    if (robots := int(np.count_nonzero(lengths > LONG_CLICKS))) > 0:
        found.append(f"{robots:,} sessions have more than {LONG_CLICKS:,} clicks: robots, or visitors over months?")
    order = np.argsort(raw.sessions, kind="stable")
    starts = np.flatnonzero(np.diff(raw.sessions[order], prepend=-1))
    ts = raw.ts[order]
    spans = np.maximum.reduceat(ts, starts) - np.minimum.reduceat(ts, starts)
    if (days := float((spans > DAY_MS).mean())) > SPANNING:
        found.append(f"{days:.0%} of the sessions last longer than a day: visitors? --session-gap-minutes 30 cuts them")
    if raw.clicks > len(lengths) and not np.any(raw.ts % DAY_MS):
        found.append("all times are at midnight: dates only, so that clicks of a day stay in the order of the file")
    if raw.clicks > 1 and raw.clicks == len(np.unique(raw.items)):
        found.append("no item is clicked twice: is that the item's column?")
    return found


def repeated(raw: RawLog) -> int:
    """Return how many rows are the same as an earlier one in session, item and time."""
    order = np.lexsort((raw.ts, raw.items, raw.sessions))
    same = np.ones(max(0, raw.clicks - 1), bool)
    for column in (raw.sessions, raw.items, raw.ts):
        same &= np.diff(column[order]) == 0
    return int(np.count_nonzero(same))


def _iso(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
