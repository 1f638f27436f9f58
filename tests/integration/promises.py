"""What each guarantee promises to those who read a worker's topics, as assertions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import Message

from bench.rig.brokers.process import wait_for
from bench.rig.clients import Lists, Sent, read_topic
from bench.rig.oracle import assert_lists, folded, stored
from export.bundle.bundle import load_bundle
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import Registry
from stream.config import Guarantee
from stream.messages.contract import Recommendation

__all__ = ["GUARANTEES", "Promise", "await_more", "ranker_of", "repeated"]

GUARANTEES: tuple[Guarantee, ...] = ("at-least-once", "exactly-once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """That of a guarantee to the readers of one group's topics; those of exactly once read what is committed."""

    guarantee: Guarantee
    bootstrap: str
    changelog: str  # topic
    registry: Registry

    @property
    def options(self) -> tuple[str, str]:
        """By which a worker is told to keep it."""
        return ("--guarantee", self.guarantee)

    def rows(self) -> list[Message]:
        """The changelog, as its readers see it."""
        return read_topic(self.bootstrap, self.changelog, committed=self.guarantee == "exactly-once")

    def assert_kept(self, sent: Iterable[Sent], lists: Lists) -> None:
        """Each session's state and last list are those of all its clicks, also when late repeats have come; exactly
        once: there are none."""
        sent = list(sent)
        lists.await_answers(sent, deadline_s=60)
        lists.read_on()
        if self.guarantee == "exactly-once":
            assert repeated(lists.all) == []
        states = folded(sent)
        assert_lists(lists.last, states, ranker_of(self.registry, "1"))
        assert stored(self.rows()) == states


def ranker_of(registry: Registry, version: str) -> Ranker:
    """The ranker of a version, in this process."""
    return Ranker(load_bundle(registry.fetch(version)), RankerConfig(threads=1, warm_up=False))


def repeated(found: list[Recommendation]) -> list[tuple[tuple[int, int], int]]:
    """Places of clicks that were answered more than once, and how often."""
    counts = Counter((one.source.partition, one.source.offset) for one in found)
    return [(place, times) for place, times in counts.items() if times > 1]


def await_more(lists: Lists, more: int) -> None:
    """Return when so many more lists than now came."""
    goal = len(lists.all) + more

    def enough() -> bool:
        lists.poll()
        return len(lists.all) >= goal

    wait_for(f"{more} more lists", enough, 60)
