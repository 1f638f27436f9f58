"""Events on their way to the browsers that look: server-sent events, to all or to those of one session."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

__all__ = ["Hub", "event"]

_AHEAD = 200  # events that wait for a browser that does not take them; the oldest go

Queue = asyncio.Queue[bytes]


def event(name: str, data: Any) -> bytes:
    """One event on the wire."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


class Hub:
    """`open` says in which loop the browsers are; `tell` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: dict[Queue, str] = {}  # and the session of each
        self.closed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queues)

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on events go to this loop."""
        self._loop = loop

    def close(self) -> None:
        """In the loop: streams end."""
        self._loop = None
        self.closed.set()
        for queue in self._queues:
            _put(queue, event("over", {}))

    @contextmanager
    def listen(self, session: str) -> Iterator[Queue]:
        """In the loop: the events for one browser, while the block lasts."""
        queue: Queue = asyncio.Queue(_AHEAD)
        self._queues[queue] = session
        try:
            yield queue
        finally:
            del self._queues[queue]

    def tell(self, name: str, data: Any, session: str | None = None) -> None:
        """Send to all browsers, or to those of one session."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._spread, event(name, data), session)

    def _spread(self, what: bytes, session: str | None) -> None:
        for queue, whose in self._queues.items():
            if session is None or session == whose:
                _put(queue, what)


def _put(queue: Queue, what: bytes) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(what)
