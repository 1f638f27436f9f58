"""Small logs that say what each event is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from export.events import code_of
from model.data.log import SessionLog
from tests.model.logs import session_log
from tests.model.tiny import ITEMS, tiny_log

__all__ = ["disliked_log", "typed_log"]


def typed_log(sessions: Sequence[Sequence[tuple[int, str]]], items: int | None = None) -> SessionLog:
    """Return a log of sessions of (catalogue id, kind)."""
    log = session_log([[item for item, _ in session] for session in sessions], items)
    return replace(log, kinds=np.array([code_of(kind) for session in sessions for _, kind in session], np.int8))


def disliked_log(sessions: int = 120, *, seed: int = 0, orders: float = 0.0) -> SessionLog:
    """Return `tiny_log` with a skip after every second click, of the item 20 places on, and some clicks as orders."""
    log, random = tiny_log(sessions, seed=seed), np.random.default_rng(seed + 1)
    found = []
    for number in range(log.sessions):
        events = []
        for item in log.session(number).tolist():
            events.append((item, "order" if random.random() < orders else "click"))
            if random.random() < 0.5:
                events.append(((item + 19) % ITEMS + 1, "skip"))
        found.append(events)
    return typed_log(found, ITEMS)
