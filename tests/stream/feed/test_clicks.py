"""The topic as columns, from offsets its reader keeps, on the in-process cluster."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from stream.errors import TopicError
from stream.feed.clicks import Clicks, ClicksFeed, Forgotten
from stream.feed.lead import Lead
from stream.formats.away import REMEDY, read_on, waits_for_schema
from stream.messages.contract import Click, Erase, encode
from stream.ops.problems import Problems

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]


def clicks(*items: str) -> list[tuple[bytes, bytes | None]]:
    return [
        (b"s1", encode(Click(session_id="s1", item_id=item, ts=1_700_000_000_000 + at)))
        for at, item in enumerate(items)
    ]


class FakeMessage:
    """A message of partition 0, or what the client says of it."""

    def __init__(self, offset: int, value: bytes | None, key: bytes | None, error: KafkaError | None = None) -> None:
        self._offset, self._value, self._key, self._error = offset, value, key, error

    def error(self) -> KafkaError | None:
        return self._error

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes | None:
        return self._key

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000


def read_all(feed: ClicksFeed, wanted: int) -> tuple[list[str], dict[int, int], dict[str, int]]:
    items: list[str] = []
    rejected: dict[str, int] = {}
    offsets: dict[int, int] = {}
    for _ in range(100):
        found = feed.read(0.1)
        items += found.item_id
        offsets = found.next_offsets
        for reason, number in found.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + number
        if len(items) + sum(rejected.values()) >= wanted:
            break
    return items, {number: offset for number, offset in offsets.items() if offset}, rejected


def test_feed_reads_from_the_beginning_and_counts_what_is_no_click(cluster: str, topic: str, send: Send) -> None:
    send(topic, [*clicks("a", "b"), (b"s1", b"no json"), *clicks("c")])
    feed = ClicksFeed(cluster, topic)
    feed.start({})
    items, offsets, rejected = read_all(feed, 4)
    assert items == ["a", "b", "c"]
    assert sum(rejected.values()) == 1
    assert list(offsets.values()) == [4]
    assert (feed.lag(), feed.lost, sum(feed.ends().values())) == (0, 0, 4)
    feed.close()


def test_feed_reads_on_from_offsets(cluster: str, topic: str, send: Send) -> None:
    send(topic, clicks("a", "b", "c"))
    first = ClicksFeed(cluster, topic)
    first.start({})
    _, offsets, _ = read_all(first, 3)
    first.close()
    send(topic, clicks("d"))
    again = ClicksFeed(cluster, topic)
    again.start(offsets)
    assert read_all(again, 1)[0] == ["d"]
    again.close()


def test_feed_behind_the_end_of_the_log_is_of_another_topic(cluster: str, topic: str, send: Send) -> None:
    send(topic, clicks("a"))
    feed = ClicksFeed(cluster, topic)
    with pytest.raises(TopicError, match="--reset-offsets"):
        feed.start(dict.fromkeys(range(4), 100))
    feed.close()


def test_clicks_that_are_gone_are_counted_once(
    cluster: str, topic: str, send: Send, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = ClicksFeed(cluster, topic)
    ranges: dict[int, tuple[int, int]] = {0: (30, 50)}
    monkeypatch.setattr(feed, "_ranges", lambda: ranges)
    feed.start({0: 10})
    assert (feed.lost, feed.lag()) == (20, 20)
    ranges[0] = (45, 50)
    assert (feed.lag(), feed.lost) == (5, 35)
    assert (feed.lag(), feed.lost) == (5, 35)
    assert "15 clicks" in caplog.text
    feed.close()


def test_clicks_that_go_while_the_feed_runs_are_counted_before_it_reads_on(
    cluster: str, topic: str, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client says that its place is gone: read on in silence, the gap would be nobody's."""
    feed = ClicksFeed(cluster, topic)
    ranges = {0: (0, 50)}
    monkeypatch.setattr(feed, "_ranges", lambda: ranges)
    feed.start({0: 10})
    ranges[0] = (30, 50)
    gone, sought = FakeMessage(0, None, None, KafkaError(KafkaError._AUTO_OFFSET_RESET)), list[Any]()
    consumer = SimpleNamespace(consume=lambda *_: [gone], assign=sought.extend, close=feed._consumer.close)
    monkeypatch.setattr(feed, "_consumer", consumer)
    assert (feed.read(0.1).item_id, feed.lost, sought[0].offset) == ([], 20, 30)
    ranges[0] = (0, 5)
    with pytest.raises(TopicError, match="made again, or cut"):
        feed.read(0.1)
    feed.close()


def test_feed_is_at_the_end_of_a_topic_that_ends_with_the_marker_of_a_transaction(
    cluster: str, topic: str, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = ClicksFeed(cluster, topic)
    monkeypatch.setattr(feed, "_ranges", lambda: {0: (0, 2)})
    feed.start({})
    [(key, value)] = [(key, value) for key, value in clicks("a")]
    click, end = FakeMessage(0, value, key), FakeMessage(2, None, None, KafkaError(KafkaError._PARTITION_EOF))
    consumer = SimpleNamespace(consume=lambda *_: [click, end], close=feed._consumer.close)
    monkeypatch.setattr(feed, "_consumer", consumer)
    found = feed.read(0.1)
    assert (found.item_id, found.next_offsets, feed.lag()) == (["a"], {0: 2}, 0)
    feed.close()


def test_lead_is_one_of_two_and_goes_to_the_other_when_it_leaves(cluster: str, topic: str, send: Send) -> None:
    send(topic, clicks("a"))  # the topic is there
    leads: list[Any] = [Lead(cluster, topic, f"{topic}-trainers") for _ in range(2)]
    leads[0].start()
    assert leads[0].await_lead(30)
    assert leads[0].is_sure()
    leads[1].start()
    assert not leads[1].is_sure()
    leads[0].stop()
    assert leads[1].await_lead(60)
    assert leads[1].is_sure()
    assert not leads[0].is_sure()
    leads[1].stop()


def test_identity_on_the_in_process_cluster_is_none_at_once(
    cluster: str, topic: str, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request for it would be left without an answer, and a trainer would begin ten seconds late."""
    send(topic, clicks("a"))
    feed = ClicksFeed(cluster, topic)
    monkeypatch.setattr(feed, "_admin", None)  # not asked
    assert feed.identity() is None
    feed.close()


def test_feed_leaves_out_what_a_session_did_before_it_was_erased(cluster: str, topic: str, send: Send) -> None:
    ts = 1_700_000_000_000
    other = (b"s2", encode(Click(session_id="s2", item_id="x", ts=ts)))
    late = [(b"s1", encode(Click("s1", "y", ts + when, "skip"))) for when in (5, 50)]
    send(topic, [*clicks("a", "b"), other, (b"s1", encode(Erase("s1", ts + 9))), *late, *clicks("c")])
    feed = ClicksFeed(cluster, topic)
    feed.start({})
    items: list[str] = []
    erased: list[Forgotten] = []
    left_out = 0
    for _ in range(100):
        found = feed.read(0.1, most=1)
        items = [item for item in items if not (found.erased and item in "ab")] + found.item_id
        erased, left_out = erased + found.erased, left_out + found.left_out
        if {"c", "x"} <= set(items):
            break
    assert sorted(items) == ["c", "x", "y"], "a skip of later counts, one of before does not"
    assert [(one.session_id, one.offset) for one in erased] == [("s1", 2)]
    assert left_out == 1
    feed.close()


def test_clicks_of_one_read_before_an_erase_are_left_out() -> None:
    found = Clicks(["s", "t", "s"], ["a", "b", "c"], [1, 2, 3], ["click", "cart", "skip"])
    found.erase("s")
    assert (found.session_id, found.item_id, found.timestamp, found.type) == (["t"], ["b"], [2], ["cart"])
    assert found.left_out == 2


def test_schema_registry_that_is_away_is_among_the_problems_until_clicks_are_read_on(
    cluster: str, topic: str, send: Send
) -> None:
    send(topic, clicks("a"))
    problems = Problems()
    feed = ClicksFeed(cluster, topic, None, problems)
    feed.start({})
    waits_for_schema(topic, "clicks are read no further")
    feed.read(0.1)
    assert [(one.key, one.remedy) for one in problems.lasting()] == [("schema_registry", REMEDY)]
    read_on(topic)
    feed.read(0.1)
    assert problems.lasting() == []
    feed.close()
