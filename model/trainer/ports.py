"""What the trainer needs of Kafka, handed in by the command line: the model side knows no broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from export.items.table import ItemTable

__all__ = ["Announcing", "Feed", "Forgotten", "Items", "Leading", "Read"]


class Forgotten(Protocol):
    """A session whose shopper is to be forgotten, and where that was asked for."""

    @property
    def session_id(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


class Read(Protocol):
    """What was read of the topic: columns of clicks, what is read next, and whose clicks of before are to be erased;
    `left_out` of them were read just now."""

    @property
    def session_id(self) -> Sequence[str]: ...
    @property
    def item_id(self) -> Sequence[str]: ...
    @property
    def timestamp(self) -> Sequence[int]: ...
    @property
    def type(self) -> Sequence[str]: ...
    @property
    def next_offsets(self) -> Mapping[int, int]: ...
    @property
    def rejected(self) -> Counter[str]: ...
    @property
    def erased(self) -> Sequence[Forgotten]: ...
    @property
    def left_out(self) -> int: ...


class Feed(Protocol):
    """The topic of the clicks. Every method raises NextclickError where the broker is away or the topic is another."""

    topic: str
    lost: int  # clicks that were gone before they were read

    def identity(self) -> str | None: ...
    def start(self, next_offsets: Mapping[int, int]) -> None: ...
    def read(self, timeout_s: float) -> Read: ...
    def ends(self) -> Mapping[int, int]: ...
    def lag(self) -> int: ...


class Items(Protocol):
    """What the shop says about its items."""

    @property
    def table(self) -> ItemTable: ...
    def wait(self, timeout_s: float) -> None: ...


class Leading(Protocol):
    """Whether this trainer is the one that trains."""

    @property
    def leads(self) -> bool: ...
    def await_lead(self, timeout_s: float) -> bool: ...
    def is_sure(self) -> bool: ...


class Announcing(Protocol):
    """What becomes of a version that was published."""

    def make_live(self, version: str, variant: str) -> None: ...
    def prune(self, keep: int) -> Sequence[str]: ...
