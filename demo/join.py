"""How soon shoppers see an answer: each click joined with the first list that answers it.

A recommendation answers every click of its session up to its source offset, so a click's latency runs from produce() to
the first recommendation of its session with a source offset at or above its own (a session stays in one partition, so
offsets compare). The offset of a click is known from its delivery report, which may come after the answer does; answers
are kept until the report is there.

All times are seconds of one monotonic clock. Safe for several threads.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from demo.spotlight import Spotlight

__all__ = ["ClickJoin", "Figures", "Ticket"]

RECENT = 2_000  # answers behind the latency of the moment
IDLE_S = 120.0  # a session silent for so long is forgotten
_EDGES_MS = np.geomspace(0.05, 600_000.0, 3_000)  # 0.5 % apart


@dataclass(slots=True, eq=False)
class Ticket:
    """One click on its way."""

    session: str
    at: float  # when produce() was called
    offset: int | None = None  # known from the delivery report


@dataclass(slots=True)
class _Session:
    seen_at: float
    pending: list[Ticket] = field(default_factory=list)
    answers: list[tuple[int, float]] = field(default_factory=list)  # (source offset, time) while a report is awaited


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the join has seen so far. Latencies are None before the first answer."""

    clicks: int
    answered: int
    p50_ms: float | None
    p99_ms: float | None
    recent_p50_ms: float | None
    recent_p99_ms: float | None
    models: tuple[str, ...]  # in the order their lists first arrived
    fallbacks: int  # lists of popular items, or empty
    oldest_s: float = 0.0  # how long the click has waited that waits longest


class ClickJoin:
    """Counts what is sent and what comes back."""

    def __init__(self, spotlight: Spotlight | None = None) -> None:
        self._lock = threading.Lock()
        self._spotlight = spotlight or Spotlight()
        self._sessions: dict[str, _Session] = {}
        self._clicks = self._answered = self._fallbacks = 0
        self._histogram = np.zeros(len(_EDGES_MS) + 1, np.int64)
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._models: list[str] = []

    def sent(self, session: str, item: str, at: float) -> Ticket:
        """A click is about to be produced. Returns the ticket for `located`."""
        with self._lock:
            begins = session not in self._sessions
            state = self._sessions.setdefault(session, _Session(at))
            state.seen_at = at
            ticket = Ticket(session, at)
            state.pending.append(ticket)
            self._clicks += 1
            self._spotlight.clicked(session, item, begins, at)
            return ticket

    def located(self, ticket: Ticket, offset: int) -> None:
        """The click's delivery report came: it stands at `offset` of its session's partition."""
        with self._lock:
            ticket.offset = offset
            state = self._sessions.get(ticket.session)
            if state is None:
                return
            times = [at for source, at in state.answers if source >= offset]
            if times:
                self._settle(state, ticket, min(times))
            if all(other.offset is not None for other in state.pending):
                state.answers.clear()

    def answered(self, session: str, items: Sequence[str], model: str, fallback: bool, offset: int, at: float) -> None:
        """A recommendation arrived: it answers the clicks of `session` up to `offset`."""
        with self._lock:
            state = self._sessions.setdefault(session, _Session(at))
            state.seen_at = at
            self._fallbacks += fallback
            if model and model not in self._models:
                self._models.append(model)
            for ticket in [ticket for ticket in state.pending if ticket.offset is not None and ticket.offset <= offset]:
                self._settle(state, ticket, at)
            if any(ticket.offset is None for ticket in state.pending):
                state.answers.append((offset, at))
            self._spotlight.answered(session, items, model, at)

    def _settle(self, state: _Session, ticket: Ticket, at: float) -> None:
        state.pending.remove(ticket)
        latency_ms = (at - ticket.at) * 1000.0
        self._answered += 1
        self._histogram[np.searchsorted(_EDGES_MS, latency_ms)] += 1
        self._recent.append(latency_ms)

    def forget_idle(self, now: float) -> None:
        """Drop sessions that are over. Those with a click unanswered stay."""
        with self._lock:
            for name, state in list(self._sessions.items()):
                if not state.pending and now - state.seen_at > IDLE_S:
                    del self._sessions[name]

    @property
    def pending(self) -> int:
        """Clicks sent and not answered yet."""
        return self._clicks - self._answered

    def figures(self) -> Figures:
        """Everything counted so far."""
        with self._lock:
            recent = np.array(self._recent)
            return Figures(
                clicks=self._clicks,
                answered=self._answered,
                p50_ms=self._percentile(0.50),
                p99_ms=self._percentile(0.99),
                recent_p50_ms=float(np.percentile(recent, 50)) if len(recent) else None,
                recent_p99_ms=float(np.percentile(recent, 99)) if len(recent) else None,
                models=tuple(self._models),
                fallbacks=self._fallbacks,
                oldest_s=self._oldest_s() if self.pending else 0.0,
            )

    def _oldest_s(self) -> float:
        sent = [ticket.at for state in self._sessions.values() for ticket in state.pending]
        return max(time.monotonic() - min(sent), 0.0) if sent else 0.0

    def _percentile(self, share: float) -> float | None:
        """The upper edge of the bin that holds this share of the answers: at most 0.6 % too high."""
        if not self._answered:
            return None
        place = int(np.searchsorted(np.cumsum(self._histogram), share * self._answered))
        return float(_EDGES_MS[min(place, len(_EDGES_MS) - 1)])
