"""Who of one partition has been silent, and for how long; the rule itself is `stream.partition.expiry`'s."""

from collections.abc import Iterable

__all__ = ["IdleSessions"]


class IdleSessions:
    """Sessions in buckets by the time of a click, and the partition's event clock. Whoever clicks again stands in a
    newer bucket too: only the newest counts."""

    def __init__(self) -> None:
        self._buckets: dict[int, set[bytes]] = {}  # number of the bucket, a stretch of the wall clock -> sessions
        self.event_clock = 0  # ms since the epoch

    def advance(self, ts: int) -> None:
        """The event clock never goes back."""
        self.event_clock = max(self.event_clock, ts)

    def touch(self, bucket: int, keys: Iterable[bytes]) -> None:
        """These sessions had a click, or got a row, at the time of this bucket."""
        self._buckets.setdefault(bucket, set()).update(keys)

    @property
    def oldest(self) -> int | None:
        """The number of the oldest bucket."""
        return min(self._buckets) if self._buckets else None

    def take(self, bucket: int, rows: int) -> tuple[list[bytes], int]:
        """Up to `rows` sessions out of a bucket, which is gone when it is empty. Those that stand in a newer one too
        are not returned, but count: the second number says how many were looked at."""
        keys = self._buckets[bucket]
        newer = [other for number, other in self._buckets.items() if number != bucket]
        found: list[bytes] = []
        looked = 0
        while keys and looked < rows:
            looked += 1
            key = keys.pop()
            if not any(key in other for other in newer):
                found.append(key)
        if not keys:
            del self._buckets[bucket]
        return found, looked
