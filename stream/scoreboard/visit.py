"""What is kept of a session while it lasts: its clicks that wait for an answer, and its newest lists.

These are also the form in which the state file has them (MessagePack, arrays), so that a new field goes to the end and
has a default.
"""

import msgspec

__all__ = ["Part", "Shown", "Visit", "Waiting"]


class Shown(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A list."""

    source: int  # offset of the newest click it answers
    published_ms: int  # the worker's clock
    items: tuple[int, ...]  # best first, by their numbers on the board
    row: int  # of the board: its variant, or its version where there is no experiment
    fallback: bool = False
    teams: tuple[int, ...] = ()  # of an interleaved list: which of the row's teams each item came from


class Waiting(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A click that no list has answered yet."""

    offset: int
    item: str
    ts: int  # event time, ms since the epoch
    at_ms: int  # its record's time, -1 where that is none
    judged: bool = True  # false: skips and dislikes, which are no wish for an item


class Part(msgspec.Struct, array_like=True):
    """What a session has added to a row so far, so that it can be added to, and taken back."""

    clicks: int = 0
    hits: int = 0
    ranks: dict[int, int] = msgspec.field(default_factory=dict)  # place in the list -> hits
    votes: dict[int, int] = msgspec.field(default_factory=dict)  # team -> clicks on its items


class Visit(msgspec.Struct, array_like=True):
    """A session of one partition, from its first click to a silence."""

    start: int  # offset of its first click
    last: int  # of its newest
    last_ms: int  # how late it was in the partition then
    waiting: list[Waiting] = msgspec.field(default_factory=list)  # by offset
    lists: list[Shown] = msgspec.field(default_factory=list)  # the newest ones, by source
    parts: dict[int, Part] = msgspec.field(default_factory=dict)  # row -> what it has added there
    shown: list[int] = msgspec.field(default_factory=list)  # rows that had a list in it
    mixed: list[str] = msgspec.field(default_factory=list)  # experiments of which it saw several variants
