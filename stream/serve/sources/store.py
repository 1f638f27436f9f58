"""The newest list of each session and placement, bounded by bytes and time. It belongs to one thread.

A list replaces one of an earlier click, whatever the workers' clocks say, and one of the same click or of another
partition if it was published later: the rule by which lists go to Redis (stream/redis/newest.py). Those that were
put first go first, by their time or where memory is full. A session that was erased has no list of before, however late
one comes.
"""

from collections import OrderedDict

import msgspec

from stream.messages.contract import Source

__all__ = ["Head", "ListStore", "Newest", "list_key"]

_OVERHEAD = 420  # bytes that an entry takes beside key and value
_PLACEMENTS = 256  # names that are remembered; a shop has a handful


class Head(msgspec.Struct, frozen=True, gc=False):
    """What of a recommendation says where it belongs; the rest is passed on as it came."""

    session_id: str
    items: msgspec.Raw
    source: Source
    published_ts: int
    placement: str = ""


class Newest(msgspec.Struct, frozen=True, gc=False):
    """One list as it came from its topic. gc=False: hundreds of thousands would slow each collection down."""

    value: bytes
    partition: int  # of the click that it answers
    offset: int
    published_ms: int
    until: float  # seconds since the epoch, when it is forgotten

    def answers_later(self, partition: int, offset: int) -> bool:
        """Whether it answers a later click of the same partition."""
        return self.partition == partition and self.offset > offset

    def is_of_before(self, partition: int, offset: int) -> bool:
        """Whether it answers this click of the same partition, or an earlier one."""
        return self.partition == partition and self.offset <= offset


def list_key(session_id: str, placement: str) -> str:
    """One string for both; no id has control characters."""
    return f"{session_id}\0{placement}" if placement else session_id


class ListStore:
    """`size` in bytes, about; `evicted`, `expired`, `outdated` and `erased` count lists since the start."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._lists: OrderedDict[str, Newest] = OrderedDict()
        self._placements: dict[str, None] = {"": None}
        self._gone: OrderedDict[str, tuple[int, int, float]] = OrderedDict()  # up to a click, and for how long
        self.size = 0
        self.evicted = self.expired = self.outdated = self.erased = 0

    def __len__(self) -> int:
        return len(self._lists)

    def get(self, session_id: str, placement: str, now: float) -> Newest | None:
        """The newest list, unless its time is over."""
        found = self._lists.get(list_key(session_id, placement))
        return None if found is None or found.until <= now else found

    def placements(self, session_id: str, now: float) -> list[str]:
        """The names of the placements that the session has lists of."""
        return [name for name in self._placements if self.get(session_id, name, now) is not None]

    def put(self, key: str, placement: str, new: Newest) -> bool:
        """Whether it is the newest one; else the one before stays."""
        if self._gone and (gone := self._gone.get(key.partition("\0")[0])) and new.is_of_before(*gone[:2]):
            self.outdated += 1
            return False
        held = self._lists.get(key)
        if held is not None:
            if not new.answers_later(held.partition, held.offset) and new.published_ms < held.published_ms:
                self.outdated += 1
                return False
            self.size -= _size(key, held)
        elif placement not in self._placements and len(self._placements) < _PLACEMENTS:
            self._placements[placement] = None
        self._lists[key] = new
        self._lists.move_to_end(key)
        self.size += _size(key, new)
        while self.size > self._most and len(self._lists) > 1:
            self._pop_oldest()
            self.evicted += 1
        return True

    def keys(self, session_id: str) -> list[str]:
        """Under which keys the lists of a session may be."""
        return [list_key(session_id, placement) for placement in self._placements]

    def erase(self, session_id: str, up_to: tuple[int, int] | None = None, until: float = 0.0) -> int:
        """Forget all lists of a session; how many these were.

        up_to: partition and offset of a click: lists for later ones stay, and lists for it and earlier ones that come
        before `until`, s since the epoch, are left out.
        """
        gone = 0
        for key in self.keys(session_id):
            held = self._lists.get(key)
            if held is not None and (up_to is None or not held.answers_later(*up_to)):
                del self._lists[key]
                self.size -= _size(key, held)
                gone += 1
        self.erased += gone
        if up_to is not None:
            self._gone[session_id] = (*up_to, until)
            self._gone.move_to_end(session_id)
        return gone

    def sweep(self, now: float, most: int = 10_000) -> None:
        """Forget lists whose time is over, the oldest first, `most` at once."""
        while self._gone and next(iter(self._gone.values()))[2] <= now:
            self._gone.popitem(last=False)
        for _ in range(most):
            oldest = next(iter(self._lists.values()), None)
            if oldest is None or oldest.until > now:
                return
            self._pop_oldest()
            self.expired += 1

    def clear(self) -> None:
        """Forget everything: the topic is another one now."""
        self._lists.clear()
        self._gone.clear()
        self.size = 0

    def _pop_oldest(self) -> None:
        key, held = self._lists.popitem(last=False)
        self.size -= _size(key, held)


def _size(key: str, held: Newest) -> int:
    return len(key) + len(held.value) + _OVERHEAD
