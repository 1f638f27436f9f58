"""Whoever clicks in the page: their clicks go to the topic like everybody's, and their lists come from it.

The way of a click is told by the clocks of this one machine, and by what the contract holds: the click's place in its
topic, `source` and `published_ts` of the list that answers it, and that list's place.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from demo.join import ClickJoin, Ticket
from stream.messages.contract import Click, Recommendation, encode
from stream.serve.clicks import Sound

__all__ = ["PREFIX", "NotSent", "Visitors", "Writer"]

PREFIX = "visitor-"  # of their sessions
_SESSIONS = 500  # that are remembered
_ANSWERS = 50  # of a session, that wait for the report of their click


class NotSent(Exception):
    """The broker did not confirm a click."""


class Writer(Protocol):
    """Who sends clicks, and says (partition, offset) of each, or why it is not known to be there."""

    async def send(self, clicks: Sequence[Sound]) -> list[tuple[int, int] | str]: ...


@dataclass(slots=True)
class _Sent:
    """A click on its way. Times are time.time()."""

    item: str
    number: int  # within its session, from 1
    at: float
    ticket: Ticket
    partition: int = -1
    offset: int = -1
    confirmed: float = 0.0


@dataclass(slots=True)
class _Answer:
    found: Recommendation
    partition: int
    offset: int
    read: float


@dataclass(slots=True)
class _Visit:
    clicks: int = 0
    waiting: list[_Sent] = field(default_factory=list)
    answers: deque[_Answer] = field(default_factory=lambda: deque(maxlen=_ANSWERS))
    newest: dict[str, Any] | None = None  # list
    way: dict[str, Any] | None = None


class Visitors:
    """Their sessions. `tell` hears of lists and ways: event, data, session; from any thread."""

    def __init__(
        self, writer: Writer, join: ClickJoin, tell: Callable[[str, Any, str], None], *, topics: tuple[str, str]
    ) -> None:
        self._writer, self._join, self._tell = writer, join, tell
        self._topics = topics  # of clicks, and of lists
        self._lock = threading.Lock()
        self._visits: OrderedDict[str, _Visit] = OrderedDict()

    async def click(self, session: str, item: str) -> dict[str, Any]:
        """Send a click, and say where the broker put it. NotSent."""
        now = time.time()
        with self._lock:
            visit = self._visit(session)
            visit.clicks += 1
            sent = _Sent(item, visit.clicks, now, self._join.sent(session, item, time.monotonic()))
            visit.waiting.append(sent)
        click = Click(session_id=session, item_id=item, ts=int(now * 1000))
        outcome = (await self._writer.send([Sound(session.encode(), encode(click))]))[0]
        if isinstance(outcome, str):
            with self._lock:
                visit.waiting.remove(sent)
            raise NotSent(outcome)
        sent.confirmed = time.time()
        self._join.located(sent.ticket, outcome[1])
        with self._lock:
            sent.partition, sent.offset = outcome
            self._settle(session, visit)
        return {"number": sent.number, "topic": self._topics[0], "partition": sent.partition, "offset": sent.offset}

    def listed(self, found: Recommendation, partition: int, offset: int) -> None:
        """A list came; of others it is nothing to us."""
        if not found.session_id.startswith(PREFIX):
            return
        answer = _Answer(found, partition, offset, time.time())
        with self._lock:
            visit = self._visit(found.session_id)
            before = [] if visit.newest is None else [one[0] for one in visit.newest["items"]]
            visit.newest = _shown(found, before)
            visit.answers.append(answer)
            self._tell("list", visit.newest, found.session_id)
            self._settle(found.session_id, visit)

    def known(self, session: str) -> dict[str, Any]:
        """What a browser that comes back is shown."""
        with self._lock:
            visit = self._visits.get(session) or _Visit()
            return {"session": session, "clicks": visit.clicks, "list": visit.newest, "way": visit.way}

    def _visit(self, session: str) -> _Visit:
        visit = self._visits.setdefault(session, _Visit())
        self._visits.move_to_end(session)
        while len(self._visits) > _SESSIONS:
            self._visits.popitem(last=False)
        return visit

    def _settle(self, session: str, visit: _Visit) -> None:
        """Tell the way of each click that was located and answered. The lock is held."""
        for sent in [one for one in visit.waiting if one.offset >= 0]:
            answer = next((one for one in visit.answers if one.found.source.offset >= sent.offset), None)
            if answer is not None:
                visit.waiting.remove(sent)
                visit.way = self._way(session, sent, answer)
                self._tell("way", visit.way, session)
        if not visit.waiting:
            visit.answers.clear()

    def _way(self, session: str, sent: _Sent, answer: _Answer) -> dict[str, Any]:
        found = answer.found
        published = min(max(found.published_ts / 1000, sent.at), answer.read)
        confirmed = min(sent.confirmed, published)  # the report may come after the list
        return {
            "item": sent.item,
            "number": sent.number,
            "session": session,
            "click": {"topic": self._topics[0], "partition": sent.partition, "offset": sent.offset},
            "list": {"topic": self._topics[1], "partition": answer.partition, "offset": answer.offset},
            "source": found.source.offset,
            "stages": {
                "broker": _ms(confirmed - sent.at),
                "worker": _ms(published - confirmed),
                "reader": _ms(answer.read - published),
            },
            "total_ms": _ms(answer.read - sent.at),
            "published_ts": found.published_ts,
        } | _origin(found)


def _shown(found: Recommendation, before: Sequence[str]) -> dict[str, Any]:
    """A list for the page: items with their score and the place they had; 0: none."""
    places = {item: place for place, item in enumerate(before, start=1)}
    return {
        "items": [[one.item_id, round(one.score, 3), places.get(one.item_id, 0)] for one in found.items],
        "first": not before,
        "source": found.source.offset,
    } | _origin(found)


def _origin(found: Recommendation) -> dict[str, Any]:
    return {
        "model": found.model,
        "variant": found.variant,
        "experiment": found.experiment,
        "fallback": found.fallback,
    }


def _ms(seconds: float) -> float:
    return round(max(seconds, 0.0) * 1000, 1)
