"""Asking for sessions to be erased: who confirms, who does not, and what Kafka keeps."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.clients import read_topic
from cli.app import app
from export.errors import ConfigError
from stream.erasure import asking as asking_module
from stream.erasure.asking import Asking
from stream.erasure.kept import words_of
from stream.erasure.teller import ErasureTeller
from stream.erasure.users import sessions_of
from stream.errors import TopicError
from stream.messages.contract import Click, Erase, Source, decode_event, encode
from stream.messages.erasures import ErasedLists, decode_erasure, digest, erased_headers
from stream.topic_names import Topics
from tests.stream.records import TS

TOPICS = Topics()


@pytest.fixture
def bootstrap() -> Iterator[str]:
    broker = InProcessBroker()
    broker.start()
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for topic in (TOPICS.clicks, TOPICS.recommendations, TOPICS.erasures):
        producer.list_topics(topic, timeout=10)
    yield broker.bootstrap
    broker.close()


class Worker:
    """Takes lists back as a worker does, whenever it is asked to look."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer = Producer({"bootstrap.servers": bootstrap})

    def look(self) -> None:
        for message in read_topic(self._bootstrap, TOPICS.clicks):
            if b"erase" in (message.value() or b""):
                source = Source(TOPICS.clicks, message.partition() or 0, message.offset() or 0)
                headers = erased_headers(ErasedLists(source, 12))
                self._producer.produce(TOPICS.recommendations, None, message.key(), headers=headers)
        assert self._producer.flush(10) == 0


def test_wish_is_keyed_by_its_session_and_confirmed_by_worker_and_parts(
    bootstrap: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = ErasureTeller("trainer", bootstrap, TOPICS.erasures)
    with caplog.at_level(logging.INFO):
        trainer.tell("before", Source(TOPICS.clicks, 0, 99), {"clicks": 1})
    trainer.close()
    assert digest("before") in caplog.text
    assert "session before" not in caplog.text, "a log names nobody"
    (told,) = read_topic(bootstrap, TOPICS.erasures)
    assert b"before" not in (told.value() or b"")
    assert decode_erasure(told.value()) is not None

    asking = Asking(bootstrap, TOPICS)
    asking.begin()
    assert asking.known == {"trainer"}
    asking.ask([("s", -1), ("t", 2)])
    wishes = read_topic(bootstrap, TOPICS.clicks)
    assert sorted((one.key(), one.partition() == 2) for one in wishes if one.key() == b"t") == [(b"t", True)]
    assert not asking.wait({"worker", "trainer"}, 0.3)
    assert [one.missing for one in asking.asked] == [["trainer", "worker"]] * 2
    Worker(bootstrap).look()
    again = ErasureTeller("trainer", bootstrap, TOPICS.erasures)
    for one in asking.asked:
        again.tell(one.session_id, Source(TOPICS.clicks, one.partition, one.offset), {"clicks": 43})
    assert asking.wait({"worker", "trainer"}, 20)
    asking.close()
    again.close()
    for one in asking.asked:
        said = {confirmation.part: confirmation.erased for confirmation in one.confirmed}
        assert said == {"worker": {"clicks of its state": 12}, "trainer": {"clicks": 43}}
        assert one.missing == []


def test_command_ends_with_1_and_names_who_did_not_confirm(bootstrap: str) -> None:
    found = CliRunner().invoke(
        app, ["erase", "--bootstrap-servers", bootstrap, "--session", "7.0", "--expect", "trainer", "--timeout", "0.2"]
    )
    assert found.exit_code == 1
    lines = " ".join(found.stdout.split())
    for words in ("7 worker - not confirmed within 0.2 s", "7 trainer - not confirmed", "clicks its clicks, as they"):
        assert words in lines, found.stdout
    assert "trainer, worker" in " ".join(found.stderr.split())


def test_command_erases_the_sessions_of_a_user_where_their_clicks_are(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    users: dict[str, list[str | None]] = {"a": ["u1", None], "b": ["u2"], "c": ["u1"], "d": ["u11"]}
    for session, ids in users.items():
        for partition, user in enumerate(ids):
            click = encode(Click(session, "i", TS, user_id=user))
            producer.produce(TOPICS.clicks, click, session.encode(), partition=partition)
    producer.produce(TOPICS.clicks, b"{u1", b"x", partition=0)
    producer.produce(TOPICS.clicks, encode(Click("c", "i", TS, user_id="u1")), b"c", partition=3)
    assert producer.flush(10) == 0
    found = sessions_of("u1", bootstrap, TOPICS.clicks)
    assert found.sessions == {"a": {0}, "c": {0, 3}}
    assert found.read == 7
    monkeypatch.setattr(asking_module, "_FIRST_S", 0.0)
    worker = Worker(bootstrap)
    wait = Asking.wait

    def look_and_wait(self: Asking, expected: set[str], timeout_s: float) -> bool:
        worker.look()
        return wait(self, expected, timeout_s)

    monkeypatch.setattr(Asking, "wait", look_and_wait)
    done = CliRunner().invoke(app, ["erase", "--bootstrap-servers", bootstrap, "--user", "u1", "--json"])
    assert done.exit_code == 0, done.output
    wishes = [one for one in read_topic(bootstrap, TOPICS.clicks) if b"erase" in (one.value() or b"")]
    assert sorted(one.key() or b"" for one in wishes) == [b"a", b"c", b"c", b"u1"]
    events = [decode_event(one.value(), one.key(), one.timestamp()[1]) for one in wishes]
    assert all(isinstance(one, Erase) for one in events)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say whom to erase"),
        (["--session", " NULL "], "no id"),
        (["--user", "a\nb"], "no id"),
        (["--session", "s", "--expect", "nobody"], "no part 'nobody'"),
    ],
)
def test_command_refuses_what_can_be_nobody(arguments: list[str], words: str) -> None:
    found = CliRunner().invoke(app, ["erase", "--bootstrap-servers", "nowhere:1", *arguments])
    assert isinstance(found.exception, ConfigError)
    assert words in str(found.exception)


@pytest.mark.waits
def test_missing_topics_are_said_before_anything_is_asked() -> None:
    broker = InProcessBroker()
    broker.start()
    asking = Asking(broker.bootstrap, TOPICS)
    try:
        with pytest.raises(TopicError, match="no topic clicks"):
            asking.begin()
    finally:
        asking.close()
        broker.close()


def test_teller_without_a_broker_says_so_once_and_ends(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.erasure.teller._END_S", 0.1)
    teller = ErasureTeller("serve", "127.0.0.1:1", "erasures")
    for offset in range(2):
        teller.tell("s", Source("clicks", 0, offset), {})
    teller.close()
    assert (teller.told, teller.unsent) == (2, 2)
    assert caplog.text.count("could not be said") == 1


@pytest.mark.parametrize(
    ("config", "until", "remedy"),
    [
        ({"cleanup.policy": "delete", "retention.ms": "604800000"}, "7 days (retention.ms)", ""),
        (
            {"cleanup.policy": "delete", "retention.ms": "5400000", "segment.ms": "3600000"},
            "1.5 hours (retention.ms), and up to 1 hour more for the segment they are in",
            "",
        ),
        (
            {"cleanup.policy": "delete", "retention.ms": "86400000", "segment.ms": "604800000"},
            "1 day (retention.ms), and up to 7 days more for the segment they are in",
            "segment.ms=21600000",
        ),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, "for ever", "retention.ms=604800000"),
        ({"cleanup.policy": "compact"}, "until it is compacted, which no time bounds", "max.compaction.lag.ms"),
        (
            {"cleanup.policy": "compact,delete", "max.compaction.lag.ms": "86400000", "retention.ms": "1"},
            "until it is compacted: 1 day at most, and what its cleaner takes",
            "",
        ),
    ],
)
def test_kept_says_until_when_and_what_to_do_where_it_is_for_ever_or_much_longer(
    config: dict[str, str], until: str, remedy: str
) -> None:
    found, said = words_of("clicks", config)
    assert found == until
    assert remedy in said
    assert bool(said) == bool(remedy)
