"""Tests of stream/similar: what is published, on the in-process cluster and a Redis server."""

import json
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka.admin import AdminClient

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

from bench.rig.brokers.redis_server import RedisServer
from bench.rig.clients import read_topic
from bench.rig.toy import toy_bundle
from export.bundle.bundle import Bundle
from export.errors import ConfigError
from export.items.item import Item
from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.policy.config import Placement, Policy
from export.policy.similar import SimilarLists
from export.ranking.similar import Similar
from stream.errors import PublishFailed, TopicError
from stream.kafka.sender import Sender
from stream.similar.publisher import SimilarPublisher
from stream.topic_names import Topics
from tests.export.ranking.test_similar import with_vectors


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy_bundle(tmp_path_factory.mktemp("plain") / "bundle", items=40)


@pytest.fixture
def topics(cluster: str, topic: str) -> Topics:
    AdminClient({"bootstrap.servers": cluster}).list_topics(topic, timeout=10)  # which makes it
    return Topics(similar=topic, prefix="p.")


def on_topic(cluster: str, topic: str) -> dict[str, dict[str, object] | None]:
    """The last record of each key; None: a tombstone."""
    last = {(message.key() or b"").decode(errors="replace"): message.value() for message in read_topic(cluster, topic)}
    return {name: None if value is None else json.loads(value) for name, value in last.items()}


def lists_of(similar: Similar, table: ItemTable | None = None, policy: Policy | None = None) -> SimilarLists:
    view = None if table is None else CatalogueView(table, similar.vocabulary)
    return SimilarLists(similar, Placement(name="", k=5, policy=policy or Policy()), view, 0)


def listed(record: dict[str, object] | None) -> list[str]:
    assert record is not None
    items = record["items"]
    assert isinstance(items, list)
    return [one["item_id"] for one in items]


def test_lists_of_all_items_are_published_and_later_those_that_changed(
    cluster: str, topics: Topics, plain: Bundle, tmp_path: Path
) -> None:
    similar = Similar(with_vectors(plain, tmp_path))
    publisher = SimilarPublisher(cluster, topics)
    done = publisher.publish(lists_of(similar))
    assert (done.items, done.sent, done.gone) == (40, 40, 0)
    found = on_topic(cluster, topics.similar)
    assert {name: listed(record) for name, record in found.items()} == {
        name: [item for item, _ in one] for name, one in lists_of(similar).all()
    }
    assert publisher.publish(lists_of(similar)).sent == 0
    assert SimilarPublisher(cluster, topics).publish(lists_of(similar)).sent == 0, "another process finds what is there"

    best = listed(found["item-1"])[0]
    table = ItemTable()
    table.put(Item(best, available=False))
    holders = {name for name, record in found.items() if best in listed(record)}
    assert publisher.publish(lists_of(similar, table)).sent == len(holders)
    after = on_topic(cluster, topics.similar)
    assert not any(best in listed(record) for record in after.values())
    assert len(listed(after["item-1"])) == 5
    assert best in after, "its own page may still be seen"

    other = listed(after["item-2"])[0]
    table.put(Item(other, available=False))
    some = np.array([similar.vocabulary.index(name) for name in ("item-2", "item-1")], np.int32)
    done = publisher.publish(lists_of(similar, table), some)
    assert (done.items, done.gone, other in listed(on_topic(cluster, topics.similar)["item-2"])) == (2, 0, False)
    publisher.close()


def test_item_that_the_model_lost_gets_a_tombstone_and_strange_records_are_replaced(
    cluster: str, topics: Topics, plain: Bundle, tmp_path: Path
) -> None:
    with Sender(cluster, topics.similar) as sender:
        for key, value in ((b"old", b'{"item_id": "old"}'), (b"item-1", b"{"), (b"gone", None), (b"\xff", b"{")):
            sender.send(key, value)
        sender.finish()
    done = SimilarPublisher(cluster, topics).publish(lists_of(Similar(with_vectors(plain, tmp_path))))
    assert (done.sent, done.gone) == (40, 2)
    assert {one.value() for one in read_topic(cluster, topics.similar) if one.key() == b"\xff"} == {b"{", None}
    found = on_topic(cluster, topics.similar)
    assert found["old"] is None
    assert len(listed(found["item-1"])) == 5


def test_without_the_topic_or_with_no_url_nothing_is_published(
    cluster: str, topic: str, plain: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(TopicError, match="topics create"):
        SimilarPublisher(cluster, Topics(similar=topic)).publish(lists_of(Similar(with_vectors(plain, tmp_path))))
    with pytest.raises(ConfigError, match="not a Redis URL"):
        SimilarPublisher(cluster, redis_url="http://x")


def test_lists_are_in_redis_too_also_when_the_topic_has_them_already(
    cluster: str, topics: Topics, plain: Bundle, tmp_path: Path, redis_server: RedisServer
) -> None:
    similar = Similar(with_vectors(plain, tmp_path))
    SimilarPublisher(cluster, topics).publish(lists_of(similar))
    publisher = SimilarPublisher(cluster, topics, redis_url=redis_server.url)
    assert publisher.publish(lists_of(similar)).sent == 0
    with redis_server.client() as client:
        assert len(list(client.scan_iter("p.similar:*"))) == 40
        assert listed(json.loads(client.get("p.similar:item-3") or "")) == [
            item for item, _ in dict(lists_of(similar).all())["item-3"]
        ]
    redis_server.stop()
    table = ItemTable()
    table.put(Item("item-3", available=False))
    with pytest.raises(PublishFailed, match="Redis"):
        publisher.publish(lists_of(similar, table))
    redis_server.start()
    publisher.publish(lists_of(similar, table))
    with redis_server.client() as client:
        held = [json.loads(client.get(key) or "") for key in client.scan_iter("p.similar:*")]
    assert len(held) >= 39
    assert not any("item-3" in listed(record) for record in held)
    publisher.close()
