"""Records, rankers and stores for the tests of the worker's parts."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.partition.owned import OwnedPartition
from stream.path.batcher import Batch

CLICKS = ("clicks", 0)
TS = 1_700_000_000_000


@dataclass(frozen=True)
class FakeRecord:
    """What the worker uses of a fetched record."""

    offset: int
    key: bytes | None = None
    value: bytes | None = None
    timestamp: int = TS
    headers: Sequence[tuple[str, bytes | None]] = field(default_factory=tuple)


def click(offset: int, session: str, item: str, ts: int = TS, **more: object) -> FakeRecord:
    value = json.dumps({"session_id": session, "item_id": item, "ts": ts, **more}).encode()
    return FakeRecord(offset, session.encode(), value)


def partition(rows: Mapping[bytes, bytes] | None = None) -> OwnedPartition:
    """A partition of the clicks with these rows, that nothing else is known of."""
    made = OwnedPartition(CLICKS)
    made.rows.update(rows or {})
    return made


def batch(*records: FakeRecord, of: OwnedPartition | None = None, epoch: int = 0) -> Batch:
    return Batch(of or partition(), list(records), epoch)


class NoPosition:
    """A guarantee that writes nothing of how far a partition is answered."""

    def with_position(
        self, partition: OwnedPartition, rows: Sequence[tuple[bytes, bytes]], next_offset: int
    ) -> list[tuple[bytes, bytes | None]]:
        return list(rows)


class FakeList(NamedTuple):
    items: list[tuple[str, float]]
    fallback: bool


class EchoRanker:
    """Answers with the session's own items, newest first; fails on the item `poison`."""

    version = "7"
    k_max = 50

    def __init__(self) -> None:
        self.calls: list[int] = []

    def rank_items(
        self, sessions: Sequence[Sequence[str]], k: int, exclude: Sequence[Collection[str]] | None = None
    ) -> list[FakeList]:
        self.calls.append(len(sessions))
        if any("poison" in session for session in sessions):
            raise ValueError("poisoned")
        excluded = exclude or [()] * len(sessions)
        return [
            FakeList([(item, 1.0) for item in reversed(session) if item not in out][:k], not session)
            for session, out in zip(sessions, excluded, strict=True)
        ]
