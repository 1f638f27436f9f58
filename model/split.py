"""Hold out the newest sessions of a click log by time, as the published evaluations of session models do."""

import numpy as np

from model.errors import DataError
from model.readers.raw import RawLog

__all__ = ["hold_out"]

DAY_MS = 86_400_000
SHARE = 0.1  # of the sessions, held out where the newest day has fewer


def hold_out(raw: RawLog) -> tuple[RawLog, RawLog]:
    """Return (train, valid): valid has the sessions that end on the newest day, or the newest tenth by last click.

    Whichever has more is held out; days are UTC. A newest day with more than half of the sessions (a log of one day, or
    little more) would leave too little to learn from: then it is the tenth. DataError for fewer than 2 sessions.
    """
    last = np.full(len(raw.session_ids), -1, np.int64)  # (S,) time of the last click, -1: no line of that session
    np.maximum.at(last, raw.sessions, raw.ts)
    order = np.flatnonzero(last >= 0)
    order = order[np.argsort(last[order], kind="stable")]
    if len(order) < 2:
        raise DataError(f"{len(order)} session can't be split into training and validation")
    tenth = max(1, round(SHARE * len(order)))
    day = int(np.count_nonzero(last[order] // DAY_MS == last[order[-1]] // DAY_MS))
    held = max(day, tenth) if 2 * day <= len(order) else tenth
    is_valid = np.zeros(len(last), bool)
    is_valid[order[len(order) - held :]] = True
    rows = is_valid[raw.sessions]
    return raw.select(~rows), raw.select(rows)
