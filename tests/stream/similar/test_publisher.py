"""Tests of stream/similar: what is published, on the in-process cluster and a Redis server."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

from bench.rig.brokers.redis_server import RedisServer
from bench.rig.clients import read_topic
from bench.rig.toy import toy_bundle
from export.bundle.bundle import Bundle, load_bundle
from export.errors import ConfigError
from export.items.item import Item
from export.items.table import ItemTable
from export.ranking.similar import Similar
from export.registry.registry import Registry
from stream.errors import PublishFailed, TopicError
from stream.kafka.sender import Sender
from stream.similar.publisher import Published, SimilarPublisher
from stream.similar.service import follow
from stream.topic_names import Topics
from tests.export.ranking.test_similar import with_vectors

Eventually = Callable[[Callable[[], bool], str], None]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy_bundle(tmp_path_factory.mktemp("plain") / "bundle", items=40)


@pytest.fixture
def topics(cluster: str, topic: str) -> Topics:
    AdminClient({"bootstrap.servers": cluster}).list_topics(topic, timeout=10)  # which makes it
    return Topics(similar=topic, prefix="p.")


def on_topic(cluster: str, topic: str) -> dict[str, dict[str, object] | None]:
    """The last record of each key; None: a tombstone."""
    last = {(message.key() or b"").decode(): message.value() for message in read_topic(cluster, topic)}
    return {name: None if value is None else json.loads(value) for name, value in last.items()}


def listed(record: dict[str, object] | None) -> list[str]:
    assert record is not None
    items = record["items"]
    assert isinstance(items, list)
    return [one["item_id"] for one in items]


def test_lists_of_all_items_are_published_and_later_those_that_changed(
    cluster: str, topics: Topics, plain: Bundle, tmp_path: Path
) -> None:
    similar = Similar(with_vectors(plain, tmp_path))
    publisher = SimilarPublisher(cluster, topics, k=5)
    done = publisher.publish(similar)
    assert (done.items, done.sent, done.gone) == (40, 40, 0)
    found = on_topic(cluster, topics.similar)
    assert {name: listed(record) for name, record in found.items()} == {
        name: [item for item, _ in one] for name, one in similar.all(5)
    }
    assert publisher.publish(similar).sent == 0
    assert SimilarPublisher(cluster, topics, k=5).publish(similar).sent == 0, "another process finds what is there"

    best = listed(found["item-1"])[0]
    table = ItemTable()
    table.put(Item(best, available=False))
    holders = {name for name, record in found.items() if best in listed(record)}
    assert publisher.publish(similar, table).sent == len(holders)
    after = on_topic(cluster, topics.similar)
    assert not any(best in listed(record) for record in after.values())
    assert len(listed(after["item-1"])) == 5
    assert best in after, "its own page may still be seen"
    publisher.close()


def test_item_that_the_model_lost_gets_a_tombstone_and_strange_records_are_replaced(
    cluster: str, topics: Topics, plain: Bundle, tmp_path: Path
) -> None:
    with Sender(cluster, topics.similar) as sender:
        for key, value in ((b"old", b'{"item_id": "old"}'), (b"item-1", b"{"), (b"gone", None)):
            sender.send(key, value)
        sender.finish()
    done = SimilarPublisher(cluster, topics, k=5).publish(Similar(with_vectors(plain, tmp_path)))
    assert (done.sent, done.gone) == (40, 1)
    found = on_topic(cluster, topics.similar)
    assert found["old"] is None
    assert len(listed(found["item-1"])) == 5


def test_without_the_topic_or_with_no_url_nothing_is_published(
    cluster: str, topic: str, plain: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(TopicError, match="topics create"):
        SimilarPublisher(cluster, Topics(similar=topic)).publish(Similar(with_vectors(plain, tmp_path)))
    with pytest.raises(ConfigError, match="not a Redis URL"):
        SimilarPublisher(cluster, redis_url="http://x")


def test_lists_are_in_redis_too_also_when_the_topic_has_them_already(
    cluster: str, topics: Topics, plain: Bundle, tmp_path: Path, redis_server: RedisServer
) -> None:
    similar = Similar(with_vectors(plain, tmp_path))
    SimilarPublisher(cluster, topics, k=5).publish(similar)
    publisher = SimilarPublisher(cluster, topics, k=5, redis_url=redis_server.url)
    assert publisher.publish(similar).sent == 0
    with redis_server.client() as client:
        assert len(list(client.scan_iter("p.similar:*"))) == 40
        assert listed(json.loads(client.get("p.similar:item-3") or "")) == [
            item for item, _ in dict(similar.all(5))["item-3"]
        ]
    redis_server.stop()
    table = ItemTable()
    table.put(Item("item-3", available=False))
    with pytest.raises(PublishFailed, match="Redis"):
        publisher.publish(similar, table)
    redis_server.start()
    publisher.publish(similar, table)
    with redis_server.client() as client:
        held = [json.loads(client.get(key) or "") for key in client.scan_iter("p.similar:*")]
    assert len(held) >= 39
    assert not any("item-3" in listed(record) for record in held)
    publisher.close()


class Recorded(SimilarPublisher):
    """Remembers what it was to publish; fails where it is told to."""

    def __init__(self) -> None:
        self.turns: list[tuple[str, int]] = []
        self.fails = 0

    def publish(self, similar: Similar, table: ItemTable | None = None) -> Published:
        if self.fails:
            self.fails -= 1
            raise PublishFailed("no")
        self.turns.append((similar.bundle.version, 0 if table is None else table.revision))
        return Published(model=similar.bundle.version, items=1, sent=1, gone=0, seconds=0.0)


def test_service_publishes_with_each_model_and_with_changed_items_and_tries_again(
    plain: Bundle,
    tmp_path: Path,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("export.registry.registry._try_out", lambda directory, _version: load_bundle(directory))
    monkeypatch.setattr("stream.similar.service._LOOK_S", 0.02)
    monkeypatch.setattr("stream.similar.service._BACKOFF_S", (0.02, 0.05))
    registry = Registry(tmp_path / "registry")
    registry.create()
    bundle = with_vectors(plain, tmp_path)
    for path in (bundle.path, bundle.path, plain.path):
        registry.publish(path)
    publisher, table, stopped = Recorded(), ItemTable(), threading.Event()
    publisher.fails = 1
    thread = threading.Thread(
        target=follow, args=(publisher, registry, "default", table, stopped), kwargs={"refresh_s": 0.05}
    )
    thread.start()
    try:
        registry.promote("1")
        eventually(lambda: publisher.turns == [("1", 0)], "the first model, after a failure")
        table.put(Item("item-1", available=False))
        eventually(lambda: publisher.turns[1:] == [("1", 1)], "the items")
        registry.promote("2")
        eventually(lambda: publisher.turns[2:] == [("2", 1)], "the second model")
        registry.promote("3")
        eventually(lambda: "has no vectors" in caplog.text, "the refusal")
        table.put(Item("item-2"))
        eventually(lambda: publisher.turns[3:] == [("2", 2)], "that the one before goes on")
    finally:
        stopped.set()
        thread.join(10)
