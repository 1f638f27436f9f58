"""Hold out the newest sessions of a click log by time, as the published evaluations of session models do."""

from typing import NamedTuple

import numpy as np

from model.data.log import SessionLog
from model.data.readers.build import build_log, usable
from model.data.readers.raw import RawLog
from model.errors import DataError

__all__ = ["Parts", "hold_out", "part", "split"]

DAY_MS = 86_400_000
SHARES = (0.1, 0.2, 0.35, 0.5)  # of the sessions, held out where the newest day has fewer; the first that will do


class Parts(NamedTuple):
    """A log in two by time."""

    log: SessionLog  # to train on
    valid: SessionLog  # to validate with, over the items of `log`
    newest: RawLog  # the clicks that are held out, those on items that `log` does not have among them


def split(raw: RawLog, *, min_support: int = 1) -> tuple[SessionLog, SessionLog]:
    """Return what to train on and what to validate with, as `part` does."""
    parts = part(raw, min_support=min_support)
    return parts.log, parts.valid


def part(raw: RawLog, *, min_support: int = 1) -> Parts:
    """Return what to train on and what to validate with, which has the vocabulary of the first.

    Sessions of one click count for neither. Where nothing of what is held out is known from the rest, as in a small log
    whose newest sessions are all about new items, more is held out. DataError where even half of it is not enough.
    """
    long = usable(raw)
    for share in SHARES:
        older, newer = hold_out(long, share)
        log = build_log(older, min_support=min_support)
        try:
            return Parts(log, build_log(newer, log.vocabulary), newer)
        except DataError:
            continue
    raise DataError(
        "no session among the newer half of the log has two clicks on items of the older half: nothing can be held out "
        "to validate with; name another log with --valid"
    )


def hold_out(raw: RawLog, share: float = SHARES[0]) -> tuple[RawLog, RawLog]:
    """Return (train, valid): valid has the sessions that end on the newest day, or the newest `share` by last click.

    Whichever has more is held out; days are UTC. A newest day with more than half of the sessions (a log of one day, or
    little more) would leave too little to learn from: then it is the share. DataError for fewer than 2 sessions.
    """
    last = np.full(len(raw.session_ids), -1, np.int64)  # (S,) time of the last click, -1: no line of that session
    np.maximum.at(last, raw.sessions, raw.ts)
    order = np.flatnonzero(last >= 0)
    order = order[np.argsort(last[order], kind="stable")]
    if len(order) < 2:
        raise DataError(f"too few sessions to hold some out for validation: {len(order)}; it takes 2")
    least = max(1, round(share * len(order)))
    day = int(np.count_nonzero(last[order] // DAY_MS == last[order[-1]] // DAY_MS))
    held = max(day, least) if 2 * day <= len(order) else least
    is_valid = np.zeros(len(last), bool)
    is_valid[order[len(order) - held :]] = True
    rows = is_valid[raw.sessions]
    return raw.select(~rows), raw.select(rows)
