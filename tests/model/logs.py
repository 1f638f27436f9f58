"""Small logs for the tests of the model side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.bundle.vocabulary import Vocabulary
from model.data.log import SessionLog

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def session_log(sessions: Sequence[Sequence[int]], items: int | None = None) -> SessionLog:
    """Return a log of these sessions of catalogue ids, a click a second, over items called `i1`, `i2`, ..."""
    clicks = [item for session in sessions for item in session]
    names = [f"i{n}" for n in range(1, (items or max(clicks, default=0)) + 1)]
    return SessionLog(
        items=np.array(clicks, np.int32),
        offsets=np.cumsum([0, *map(len, sessions)]).astype(np.int64),
        ts=np.arange(len(clicks), dtype=np.int64) * 1000,
        vocabulary=Vocabulary(names),
    )


def random_log(items: int, sessions: int, length: int, seed: int = 0) -> SessionLog:
    """Return a log of sessions of one length, of items drawn at random."""
    clicks = sessions * length
    return SessionLog(
        items=np.random.default_rng(seed).integers(1, items + 1, clicks).astype(np.int32),
        offsets=np.arange(0, clicks + 1, length),
        ts=np.zeros(clicks, np.int64),
        vocabulary=Vocabulary([str(item) for item in range(items)]),
    )


def sessions_of(log: SessionLog) -> list[list[str]]:
    """Return the shop ids of each session."""
    return [log.vocabulary.decode(log.session(n).tolist()) for n in range(log.sessions)]
