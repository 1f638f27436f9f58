"""Announcing a model, and reading the announcements."""

from collections.abc import Callable

import pytest

from stream.errors import BrokerUnavailable
from stream.messages.announcements import AnnouncementReader, announce
from stream.messages.contract import ModelAnnouncement, encode
from tests.stream.kafka.test_clients import NOBODY

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]


def announcement(version: str, variant: str = "default") -> ModelAnnouncement:
    return ModelAnnouncement(version, f"r/{version}", "00" * 32, variant)


def read_all(reader: AnnouncementReader) -> list[ModelAnnouncement]:
    found = []
    for _ in range(100):
        one = reader.read(0.2)
        if one is not None:
            found.append(one)
        elif reader.caught_up:
            break
    return found


@pytest.mark.slow
def test_announce_then_read_gives_them_in_order(cluster: str, topic: str) -> None:
    sent = [announcement("1"), announcement("2"), announcement("1")]
    for one in sent:
        announce(cluster, one, topic=topic)
    reader = AnnouncementReader(cluster, topic)
    assert read_all(reader) == sent
    later = announcement("3", "b")
    announce(cluster, later, topic=topic)
    assert read_all(reader) == [later]
    reader.close()


def test_announce_without_a_broker_raises_broker_unavailable() -> None:
    with pytest.raises(BrokerUnavailable, match="not announced"):
        announce(NOBODY, announcement("1"), timeout_s=0.5)


def test_read_topic_missing_returns_none_and_looks_again(cluster: str, topic: str) -> None:
    reader = AnnouncementReader(cluster, topic)
    assert reader.read(0.1) is None
    assert reader.missing
    assert not reader.caught_up
    announce(cluster, announcement("1"), topic=topic)
    assert read_all(reader) == [announcement("1")]
    assert not reader.missing
    reader.close()


def test_read_unreadable_message_is_counted_and_skipped(cluster: str, topic: str, send: Send) -> None:
    good = announcement("4")
    send(topic, [(b"default", b"{"), (b"default", None), (b"default", encode(good))])
    reader = AnnouncementReader(cluster, topic)
    assert read_all(reader) == [good]
    assert (reader.errors, "announcement" in str(reader.last_error)) == (1, True)
    reader.close()
