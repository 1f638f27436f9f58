"""Records, rankers and stores for the tests of the worker's parts."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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


def batch(*records: FakeRecord, epoch: int = 0) -> Batch:
    return Batch(CLICKS, list(records), epoch)


class FakeStore(dict[bytes, bytes]):
    """A store of one partition."""

    def get(self, key: bytes, partition: int) -> bytes | None:  # type: ignore[override]
        return super().get(key)

    def put(self, key: bytes, row: bytes, partition: int) -> None:
        self[key] = row

    def put_new(self, rows: Mapping[bytes, bytes], partition: int) -> bool:
        return self.keys().isdisjoint(rows) and not self.update(rows)

    def delete(self, key: bytes) -> None:
        self.pop(key, None)


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
