"""Tests of stream/items/follower.py, on the in-process cluster."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
from confluent_kafka import Message
from prometheus_client import CollectorRegistry, generate_latest

from export.items.item import Item
from stream.errors import BrokerUnavailable, TopicError
from stream.items import follower as module
from stream.items.figures import ItemsMetrics
from stream.items.follower import ItemsFollower
from stream.items.snapshot import read_items_topic
from stream.kafka.look import Topic
from stream.messages.items import encode_item
from stream.ops.problems import Problems
from stream.topic_names import Topics
from tests.stream.kafka.test_clients import NOBODY

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]
Eventually = Callable[[Callable[[], bool], str], None]


class Followed:
    """A follower and what it tells."""

    def __init__(self, cluster: str, topic: str, max_items: int = 1_000) -> None:
        self.problems, self.registry = Problems(), CollectorRegistry()
        self.follower = ItemsFollower(
            cluster, topic, max_items=max_items, look_s=0.1, problems=self.problems, metrics=ItemsMetrics(self.registry)
        )
        self.table = self.follower.table
        self.follower.start()

    def metric(self, line: str) -> bool:
        return line in generate_latest(self.registry).decode().splitlines()

    def said(self) -> str:
        return "\n".join(map(str, self.problems.lasting()))


@pytest.fixture
def follow(cluster: str, topic: str) -> Iterator[Callable[..., Followed]]:
    made: list[Followed] = []

    def start(**options: int) -> Followed:
        made.append(Followed(cluster, topic, **options))
        return made[-1]

    yield start
    for one in made:
        one.follower.stop()


def pairs(*items: Item | str) -> list[tuple[bytes, bytes | None]]:
    return [(i.item_id.encode(), encode_item(i)) if isinstance(i, Item) else (i.encode(), None) for i in items]


def test_items_said_before_the_start_are_restored_and_later_ones_follow(
    topic: str, send: Send, follow: Callable[..., Followed], eventually: Eventually
) -> None:
    red = Item("b", attributes={"colour": ("red",)}, price=2.5)
    send(topic, pairs(Item("a"), red, Item("c"), "c", Item("a", boost=2.0)))
    one = follow()
    assert one.follower.restored.wait(20)
    assert sorted(one.table, key=lambda item: item.item_id) == [Item("a", boost=2.0), red]
    assert one.table.is_gone("c")
    send(topic, pairs(Item("b", available=False), Item("c")))
    eventually(lambda: one.table.get("c") is not None and one.table.get("b") == Item("b", available=False), "changes")
    eventually(lambda: one.follower.health().items == 3, "the figures")
    health = one.follower.health()
    assert (health.unavailable, health.gone, health.refused, health.lag) == (1, 0, 0, 0)
    assert health.topic
    assert 0 <= (health.age_s or 0.0) < 60
    assert one.metric("nextclick_items 3.0")
    assert one.metric("nextclick_items_unavailable 1.0")
    assert one.said() == ""


def test_change_that_comes_alone_is_in_the_table_soon(
    topic: str, send: Send, follow: Callable[..., Followed], eventually: Eventually
) -> None:
    send(topic, pairs(Item("a")))
    one = follow()
    assert one.follower.restored.wait(20)
    send(topic, pairs(Item("a", available=False)))
    eventually(lambda: one.table.get("a") == Item("a", available=False), "the change")


def test_refused_messages_are_counted_and_said_with_their_place_and_change_nothing(
    topic: str, send: Send, follow: Callable[..., Followed], eventually: Eventually
) -> None:
    send(topic, pairs(Item("a", price=1.0)))
    one = follow()
    assert one.follower.restored.wait(20)
    send(topic, [(b"a", b'{"item_id": "a", "price": -1}'), (b"x", b'{"item_id": "a"}'), *pairs(Item("b"))])
    eventually(lambda: one.follower.health().refused == 2 and one.table.get("b") is not None, "the refusals")
    assert one.table.get("a") == Item("a", price=1.0)
    assert one.metric('nextclick_items_refused_total{reason="out_of_range_price"} 1.0')
    assert one.metric('nextclick_items_refused_total{reason="key_mismatch"} 1.0')
    assert f"2 messages of {topic} were refused, the last: " in one.said()
    assert "at offset" in one.said()


def test_table_that_is_full_refuses_what_is_new_with_the_remedy(
    topic: str, send: Send, follow: Callable[..., Followed], eventually: Eventually
) -> None:
    send(topic, pairs(Item("a"), Item("b"), Item("c"), Item("a", price=1.0)))
    one = follow(max_items=2)
    assert one.follower.restored.wait(20)
    assert len(one.table) == 2
    eventually(lambda: "--max-items" in one.said(), "the remedy")
    assert one.metric('nextclick_items_refused_total{reason="too_many_items"} 1.0')


def test_without_the_topic_nothing_is_known_and_all_is_well(
    topic: str, send: Send, follow: Callable[..., Followed], eventually: Eventually
) -> None:
    one = follow()
    assert one.follower.restored.wait(20)
    assert len(one.table) == 0
    assert not one.follower.health().topic
    assert one.said() == ""
    send(topic, pairs(Item("a")))
    eventually(lambda: one.table.get("a") is not None, "the item of a topic made later")


@pytest.mark.waits
def test_broker_that_is_away_is_said(eventually: Eventually) -> None:
    one = Followed(NOBODY, "items")
    try:
        eventually(lambda: "the items may be behind" in one.said(), "the problem")
        assert not one.follower.restored.is_set()
    finally:
        one.follower.stop()


def test_follower_that_fails_reads_on_anew_and_says_so(
    topic: str, send: Send, follow: Callable[..., Followed], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(topic, pairs(Item("a")))
    calls = itertools.count()
    real = ItemsFollower._take

    def take(self: ItemsFollower, messages: list[Message]) -> None:
        if messages and next(calls) == 0:
            raise RuntimeError("a bug")
        real(self, messages)

    monkeypatch.setattr(ItemsFollower, "_take", take)
    monkeypatch.setattr("stream.items.follower._BACKOFF_S", 0.05)
    one = follow()
    eventually(lambda: one.table.get("a") is not None, "the second try")
    assert next(calls) > 1


def test_snapshot_is_what_the_topic_holds_now(cluster: str, topic: str, send: Send) -> None:
    with pytest.raises(TopicError, match="topics create"):
        read_items_topic(cluster, Topics(items=topic))
    send(topic, [*pairs(Item("a"), Item("b"), "b"), (b"c", b"{")])
    found = read_items_topic(cluster, Topics(items=topic))
    assert list(found.table) == [Item("a")]
    assert (found.messages, dict(found.refused)) == (4, {"not_json": 1})


def test_lists_wait_for_what_the_topic_held_a_second_ago(
    cluster: str, topic: str, send: Send, follow: Callable[..., Followed]
) -> None:
    send(topic, pairs(Item("a")))
    followed = follow()
    followed.follower.restored.wait(20)
    for _ in range(3):
        followed.follower.await_current()
        assert time.monotonic() - followed.follower._known_at <= module._KNOWN_S
    assert "items_outdated" not in followed.said()


def test_knowledge_that_stays_old_is_waited_for_once_and_said(
    cluster: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AWAIT_S", 0.05)
    problems = Problems()
    follower = ItemsFollower(cluster, topic, max_items=10, problems=problems)  # never started: it hears of nothing
    follower.restored.set()
    begun = time.monotonic()
    for _ in range(100):
        follower.await_current()
    assert time.monotonic() - begun < 2.0
    assert [one.key for one in problems.lasting()] == ["items_outdated"]
    follower._known_at = time.monotonic()
    follower.await_current()
    assert not problems.lasting()


class Looks:
    """In place of looks at the cluster."""

    topics: ClassVar[dict[str, Topic]] = {}

    def __init__(self, *_: object) -> None: ...

    def at(self, _names: object) -> dict[str, Topic]:
        return dict(self.topics)


def test_topic_deleted_leaves_the_table_and_made_again_begins_an_empty_one(
    topic: str, send: Send, follow: Callable[..., Followed], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(topic, pairs(Item("a"), Item("b")))
    monkeypatch.setattr("stream.items.reader.TopicLook", Looks)
    monkeypatch.setattr("stream.items.reader._MISSING_LOOK_S", 0.05)
    monkeypatch.setattr(Looks, "topics", {topic: Topic(4, "one")})
    one = follow()
    assert one.follower.restored.wait(20)
    one.table.put(Item("only in the old one"))
    monkeypatch.setattr(Looks, "topics", {})
    eventually(lambda: "was deleted: the items stay as they were" in one.said(), "the problem")
    assert len(one.table) == 3
    eventually(lambda: not one.follower.health().topic, "the figures")
    monkeypatch.setattr(Looks, "topics", {topic: Topic(4, "two")})
    eventually(lambda: "was deleted and made again" in one.said() and len(one.table) == 2, "the new topic")
    assert one.table.get("only in the old one") is None
    assert "nextclick items load" in one.said()


def test_items_that_are_late_are_said_until_they_are_restored(
    topic: str, send: Send, eventually: Eventually, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(topic, pairs(Item("a")))
    monkeypatch.setattr("stream.items.reader.TopicLook", Looks)
    monkeypatch.setattr("stream.items.reader._MISSING_LOOK_S", 0.05)
    problems, away = Problems(), threading.Event()
    monkeypatch.setattr(Looks, "topics", {topic: Topic(4, "one")})
    real = Looks.at

    def at(self: Looks, names: object) -> dict[str, Topic]:
        if not away.is_set():
            raise BrokerUnavailable("the topics cannot be looked at")
        return real(self, names)

    monkeypatch.setattr(Looks, "at", at)
    follower = ItemsFollower(cluster, topic, max_items=10, problems=problems)
    follower.start()
    follower.wait(0.05)
    assert follower.awaited.is_set()
    assert "items_late" in [one.key for one in problems.lasting()]
    away.set()
    eventually(follower.restored.is_set, "the items")
    eventually(lambda: not problems.lasting(), "the end of the problems")
    follower.stop()
