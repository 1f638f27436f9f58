"""Similar items as their topic has them, bounded by bytes. It belongs to one thread."""

from collections import OrderedDict

__all__ = ["SimilarStore"]

_OVERHEAD = 250  # bytes that an entry takes beside item and list


class SimilarStore:
    """`evicted` counts lists that went for want of room, those put first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._lists: OrderedDict[str, bytes] = OrderedDict()
        self.size = self.evicted = 0

    def __len__(self) -> int:
        return len(self._lists)

    def get(self, item_id: str) -> bytes | None:
        """The list of an item, as it came from the topic."""
        return self._lists.get(item_id)

    def put(self, item_id: str, value: bytes | None) -> None:
        """Take a message; None: no model knows the item any more."""
        held = self._lists.pop(item_id, None)
        if held is not None:
            self.size -= _size(item_id, held)
        if value is None:
            return
        self._lists[item_id] = value
        self.size += _size(item_id, value)
        while self.size > self._most and len(self._lists) > 1:
            self.size -= _size(*self._lists.popitem(last=False))
            self.evicted += 1

    def clear(self) -> None:
        """Forget everything: the topic is another one now."""
        self._lists.clear()
        self.size = 0


def _size(item_id: str, value: bytes) -> int:
    return len(item_id) + len(value) + _OVERHEAD
