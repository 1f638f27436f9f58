"""Who waits for an update of which list. It belongs to the event loop.

A subscriber that is slower than the lists come gets the newest one; those between are left out, as each list is whole.
"""

import asyncio
from collections.abc import Iterable
from types import TracebackType

from stream.serve.errors import HubFull
from stream.serve.sources.store import Newest

__all__ = ["Hub", "Subscription"]


class Hub:
    """At most `most` subscriptions at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, set[Subscription]] = {}
        self.subscribed = 0
        self.closed = False

    def subscribe(self, key: str) -> "Subscription":
        """A context manager; HubFull."""
        if self.subscribed >= self._most:
            raise HubFull(f"{self._most:,} requests wait already, as many as may (--max-waiting)")
        return Subscription(self, key)

    def publish(self, key: str, newest: Newest) -> None:
        """Tell those who wait for this list."""
        for one in self._waiting.get(key, ()):
            one.put(newest)

    def erase(self, keys: Iterable[str]) -> None:
        """Nobody gets a list of these any more that came and was not taken yet."""
        for key in keys:
            for one in self._waiting.get(key, ()):
                one.erase()

    def close(self) -> None:
        """Wake everybody: the server ends."""
        self.closed = True
        for one in [one for waiting in self._waiting.values() for one in waiting]:
            one.wake()

    def add(self, one: "Subscription") -> None:
        """Called by a subscription that begins."""
        self._waiting.setdefault(one.key, set()).add(one)
        self.subscribed += 1

    def remove(self, one: "Subscription") -> None:
        """Called by a subscription that ends."""
        waiting = self._waiting[one.key]
        waiting.discard(one)
        if not waiting:
            del self._waiting[one.key]
        self.subscribed -= 1


class Subscription:
    """Of one list, as long as its block lasts."""

    def __init__(self, hub: Hub, key: str) -> None:
        self._hub, self.key = hub, key
        self._changed = asyncio.Event()
        self._newest: Newest | None = None

    def __enter__(self) -> "Subscription":
        self._hub.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.remove(self)

    def put(self, newest: Newest) -> None:
        """A newer list is there."""
        self._newest = newest
        self._changed.set()

    def erase(self) -> None:
        """What was put is not to be seen."""
        if self._newest is not None:
            self._newest = None
            self._changed.clear()

    def wake(self) -> None:
        """Nothing more will come."""
        self._changed.set()

    async def next(self, timeout_s: float) -> Newest | None:
        """The newest list that came since the last call; None where none came in time, or the hub was closed."""
        if not self._hub.closed:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                return None
        self._changed.clear()
        newest, self._newest = self._newest, None
        return newest
