"""Announcing a model, and reading the announcements."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from export.errors import ConfigError
from export.experiments.experiment import Experiment, Variant
from stream.errors import AnnouncementError, BrokerUnavailable
from stream.messages.announcements import AnnouncementReader, announce, announce_experiment
from stream.messages.contract import ModelAnnouncement, decode_model_message, encode
from tests.stream.kafka.test_clients import NOBODY

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]


def announcement(version: str, variant: str = "default") -> ModelAnnouncement:
    return ModelAnnouncement(version, f"r/{version}", "00" * 32, variant)


def experiment(name: str = "new", shares: tuple[int, int] = (5_000, 5_000), **more: Any) -> Experiment:
    first, second = shares
    return Experiment(name, (Variant("a", "1", share=first), Variant("b", "2", share=second)), **more)


def read_all(reader: AnnouncementReader) -> list[ModelAnnouncement | Experiment]:
    found: list[ModelAnnouncement | Experiment] = []
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


@pytest.mark.waits
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


@pytest.mark.slow
def test_announced_experiments_come_between_models_and_stopped_ones_too(cluster: str, topic: str) -> None:
    running, stopped = experiment(exposure=1_000, started_ts=5), experiment(state="stopped", reason="enough")
    announce_experiment(cluster, running, topic=topic)
    announce(cluster, announcement("1"), topic=topic)
    announce_experiment(cluster, stopped, topic=topic)
    reader = AnnouncementReader(cluster, topic)
    found = read_all(reader)  # of this cluster, in the order of each key only
    assert [one for one in found if isinstance(one, Experiment)] == [running, stopped]
    assert [one for one in found if isinstance(one, ModelAnnouncement)] == [announcement("1")]
    assert reader.errors == 0
    reader.close()


@pytest.mark.waits
def test_announce_an_experiment_that_contradicts_itself_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ConfigError, match="must make 100 %"):
        announce_experiment(NOBODY, experiment(shares=(1, 2)), timeout_s=0.5)
    with pytest.raises(BrokerUnavailable, match="experiment new was not announced"):
        announce_experiment(NOBODY, experiment(), timeout_s=0.5)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"experiment:new", b"{", "not an experiment"),
        (b"experiment:new", encode(announcement("1")), "not an experiment"),
        (b"experiment:new", encode(experiment("other")), "other under the key"),
        (b"experiment:new", encode(experiment(shares=(5_000, 4_999))), "must make 100 %"),
        (b"experiment:new", encode(experiment(exposure=0)), "exposure"),
        (b"experiment:new", b'{"experiment": "new", "variants": []}', "two variants"),
        (b"experiment:new", b'{"experiment": "a b", "variants": []}', "no name"),
        (b"experiment:new", b"[" * 2000, "not an experiment"),
        (b"experiment:new", b"\xff", "not an experiment"),
        (b"new", encode(experiment()), "not a model announcement"),
        (None, b"{}", "not a model announcement"),
    ],
)
def test_message_that_is_neither_a_model_nor_an_experiment_is_refused(
    key: bytes | None, value: bytes, reason: str
) -> None:
    with pytest.raises(AnnouncementError, match=reason):
        decode_model_message(key, value)


def test_experiment_of_a_later_release_is_read_by_the_fields_that_are_known() -> None:
    sent = experiment(started_ts=3, interleave=True)
    value = json.dumps({**json.loads(encode(sent)), "colour": "red"}).encode()
    assert decode_model_message(b"experiment:new", value) == sent


def test_read_unusable_experiment_is_counted_and_a_removed_one_counts_as_stopped(
    cluster: str, topic: str, send: Send
) -> None:
    key, broken = b"experiment:new", encode(experiment(shares=(1, 1)))
    send(topic, [(key, encode(experiment())), (key, broken), (key, None), (b"experiment:\xff", None)])
    reader = AnnouncementReader(cluster, topic)
    first, removed = read_all(reader)
    assert first == experiment()
    assert isinstance(removed, Experiment)
    assert (removed.experiment, removed.state, removed.variants) == ("new", "stopped", ())
    assert (reader.errors, "must make 100 %" in str(reader.last_error)) == (1, True)
    reader.close()
