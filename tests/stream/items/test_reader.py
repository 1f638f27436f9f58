"""Tests of stream/items/reader.py, on the in-process cluster, whose topic is looked for by the test."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from stream.errors import BrokerUnavailable
from stream.items import reader as module
from stream.items.reader import ItemsReader
from stream.kafka.look import Topic

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]


def read_all(reader: ItemsReader, until: Callable[[], bool]) -> list[tuple[bytes | None, bytes | None]]:
    """Read until a condition holds, for a while at most."""
    found: list[tuple[bytes | None, bytes | None]] = []
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline, f"waited in vain; read {found}"
        found += [(message.key(), message.value()) for message in reader.read(0.05)]
    return found


class Cluster:
    """What a look at the topic finds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_MISSING_LOOK_S", 0.05)
        self.topic: Topic | None = None
        self.fails = False

    def look(self) -> Topic | None:
        if self.fails:
            raise BrokerUnavailable("the topics cannot be looked at: no answer")
        return self.topic


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def made(bootstrap: str, topic: str, partitions: int = 4) -> Topic:
    AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=10)  # which makes it, with 4 partitions
    return Topic(partitions, "one")


def test_reader_without_the_topic_has_nothing_to_read_and_finds_it_later(
    cluster: str, topic: str, send: Send, looked: Cluster
) -> None:
    reader = ItemsReader(cluster, topic, look_s=0.05, look=looked.look)
    assert not reader.caught_up
    assert reader.read(0.01) == []
    assert reader.missing
    assert reader.caught_up
    looked.topic = made(cluster, topic)
    send(topic, [(b"a", b"1"), (b"b", None), (b"a", b"2")])
    found = read_all(reader, lambda: reader.there and reader.caught_up)
    assert sorted(pair for pair in found if pair[0] == b"a") == [(b"a", b"1"), (b"a", b"2")]
    assert (b"b", None) in found
    assert (reader.missing, reader.remade, reader.lag()) == (False, 0, 0)
    reader.close()


def test_topic_made_again_is_read_from_its_beginning(cluster: str, topic: str, send: Send, looked: Cluster) -> None:
    looked.topic = made(cluster, topic)
    send(topic, [(b"a", b"1")])
    reader = ItemsReader(cluster, topic, look_s=0.05, look=looked.look)
    assert read_all(reader, lambda: reader.caught_up) == [(b"a", b"1")]
    looked.topic = None
    read_all(reader, lambda: reader.missing)
    looked.topic = Topic(4, "another")
    assert read_all(reader, lambda: reader.there and reader.caught_up) == [(b"a", b"1")]
    assert reader.remade == 1
    looked.topic = Topic(4, "a third")
    assert read_all(reader, lambda: reader.remade == 2 and reader.caught_up) == [(b"a", b"1")]
    reader.close()


def test_topic_missed_by_one_look_only_is_still_there(cluster: str, topic: str, send: Send, looked: Cluster) -> None:
    looked.topic = made(cluster, topic)
    send(topic, [(b"a", b"1")])
    reader = ItemsReader(cluster, topic, look_s=0.01, look=looked.look)
    read_all(reader, lambda: reader.caught_up)
    looks: list[Topic | None] = [None, None]
    reader._ask = lambda: looks.pop() if looks else looked.topic
    send(topic, [(b"b", b"2")])
    assert read_all(reader, lambda: not looks) in ([], [(b"b", b"2")])
    for _ in range(20):
        reader.read(0.02)
        assert not reader.missing
    assert reader.remade == 0
    reader.close()


def test_more_partitions_are_read_as_well_and_said(cluster: str, topic: str, send: Send, looked: Cluster) -> None:
    looked.topic = made(cluster, topic, partitions=1)
    keys = [f"{number}".encode() for number in range(40)]  # some in each of the 4 partitions
    send(topic, [(key, b"1") for key in keys])
    reader = ItemsReader(cluster, topic, look_s=0.05, look=looked.look)
    first = read_all(reader, lambda: reader.caught_up)
    assert 0 < len(first) < 40
    looked.topic = Topic(4, "one")
    then = read_all(reader, lambda: reader.repartitioned != "" and reader.caught_up)
    assert {key for key, _ in first + then} == set(keys)
    assert len(first + then) == len(keys)
    assert reader.repartitioned == f"{topic} has 4 partitions, and had 1"
    reader.close()


def test_broker_that_does_not_answer_is_a_trouble_until_it_does(
    cluster: str, topic: str, send: Send, looked: Cluster
) -> None:
    looked.topic, looked.fails = made(cluster, topic), True
    reader = ItemsReader(cluster, topic, look_s=0.05, look=looked.look)
    assert reader.read(0.01) == []
    assert "no answer" in reader.trouble
    assert not reader.caught_up
    looked.fails = False
    read_all(reader, lambda: reader.caught_up)
    assert reader.trouble == ""
    reader.close()


def test_figures_that_lay_around_count_from_when_they_were_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ItemsReader("127.0.0.1:1", "items", look=lambda: None)
    monkeypatch.setattr(time, "monotonic", lambda: 5_000.0)
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    figures: dict[str, Any] = {
        "brokers": {
            "b": {"nodeid": 1, "rxidle": 100_000},
            "GroupCoordinator": {"nodeid": 1, "rxidle": 9_000_000},  # of the same broker, to older clients
            "other": {"nodeid": 2, "rxidle": -1},
        },
        "topics": {"items": {"partitions": {"0": {"leader": 1}, "-1": {"leader": -1}}}},
    }
    for taken, expected in (
        ({"ts": 5_000_000_000, "time": 1_700_000_000}, 4_999.9),
        ({"ts": 4_996_000_000, "time": 1_699_999_996}, 4_995.9),  # the process was stopped for four seconds
        ({"ts": 1_700_000_000_000_000, "time": 1_699_999_996}, 4_995.9),  # a clock of another kind
    ):
        reader._note_heard(json.dumps(figures | taken))
        assert reader._heard_at == pytest.approx(expected)
