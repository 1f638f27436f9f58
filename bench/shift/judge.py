"""What stood in the topics after a run: which clicks were hits, and when an item was first in a list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from bench.rig.clients import read_topic
from bench.shift.figures import Judged
from stream.messages.contract import decode_recommendation
from stream.scoreboard import join
from stream.scoreboard.reader import Scoreboard
from stream.topic_names import Topics


@dataclass(slots=True)
class Seen:
    """Of one arm. Times are seconds after the first click of the run."""

    judged: list[Judged] = field(default_factory=list)
    listed: dict[str, float] = field(default_factory=dict)  # new item -> when it was first in a list
    versions: dict[str, float] = field(default_factory=dict)  # version -> when a list of it was first seen


def look_back(bootstrap: str, topics: Topics, start_ms: int, newcomers: Collection[str]) -> Seen:
    """Read the clicks and lists of an arm that is over."""
    seen = Seen(judged=judge(bootstrap, topics, start_ms))
    values = [one.value() for one in read_topic(bootstrap, topics.recommendations)]
    lists = [decode_recommendation(value) for value in values if value is not None]  # None: a session was erased
    for one in sorted(lists, key=lambda one: one.published_ts):
        at_s = (one.published_ts - start_ms) / 1_000
        seen.versions.setdefault(one.model, at_s)
        for entry in one.items:
            if entry.item_id in newcomers:
                seen.listed.setdefault(entry.item_id, at_s)
    return seen


def judge(bootstrap: str, topics: Topics, start_ms: int) -> list[Judged]:
    """Each click that had a list before it, as the scoreboard reads and judges it."""
    found: list[Judged] = []

    def note(judged: Sequence[join.Judged]) -> None:
        found.extend(Judged((one.ts - start_ms) / 1_000, one.rank > 0) for one in judged)

    scoreboard = Scoreboard(bootstrap, topics, on_judged=note)
    try:
        scoreboard.open()
        scoreboard.read_to_end()
    finally:
        scoreboard.close()
    return found
