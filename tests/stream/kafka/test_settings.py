"""Settings of the cluster that a worker refuses to start with."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from bench.rig.brokers.in_process import InProcessBroker
from export.errors import ConfigError
from stream.config import StreamConfig
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.settings import check_compaction, check_session_timeout, check_settings

BROKER = {"group.min.session.timeout.ms": "6000", "group.max.session.timeout.ms": "1800000"}


@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact"])
def test_check_compaction_of_a_compacted_topic_passes(policy: str) -> None:
    check_compaction("models", {"cleanup.policy": policy})


def test_check_compaction_of_a_topic_that_is_not_gives_the_command() -> None:
    with pytest.raises(TopicError, match=r"kafka-configs --alter --topic models --add-config cleanup.policy=compact"):
        check_compaction("models", {"cleanup.policy": "delete"})


@pytest.mark.parametrize("timeout_s", [6.0, 10.0, 1800.0])
def test_check_session_timeout_within_the_range_passes(timeout_s: float) -> None:
    check_session_timeout(timeout_s, BROKER)


@pytest.mark.parametrize(
    ("timeout_s", "name"), [(5.9, "group.min.session.timeout.ms"), (1801.0, "group.max.session.timeout.ms")]
)
def test_check_session_timeout_outside_of_it_names_range_option_and_setting(timeout_s: float, name: str) -> None:
    with pytest.raises(ConfigError, match=r"allows 6 to 1800 s: say --broker-session-timeout-s") as caught:
        check_session_timeout(timeout_s, BROKER)
    assert name in str(caught.value)


def test_settings_that_cannot_be_read_are_not_held_against_a_worker() -> None:
    check_compaction("models", {})
    check_session_timeout(1.0, {})


@pytest.mark.waits
def test_check_settings_on_the_in_process_cluster_passes() -> None:
    broker = InProcessBroker()
    broker.start()
    check_settings(StreamConfig(bootstrap_servers=broker.bootstrap, registry="nowhere"))
    broker.close()


def test_check_settings_without_a_broker_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.kafka.settings._ANSWER_S", 0.5)
    with pytest.raises(BrokerUnavailable):
        check_settings(StreamConfig(bootstrap_servers="127.0.0.1:1", registry="nowhere", kafka={"log_level": "0"}))


class Guarded:
    """A cluster that lets nobody read its settings."""

    def list_topics(self, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(cluster_id="real", brokers={3: "", 1: ""}, topics={})

    def describe_configs(self, resources: list[Any], request_timeout: float) -> dict[Any, Future[Any]]:
        refused: Future[Any] = Future()
        refused.set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
        return dict.fromkeys(resources, refused)


class Uncompacted(Guarded):
    """A cluster whose topic of items would lose them."""

    def list_topics(self, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(cluster_id="real", brokers={1: ""}, topics={"items": ""})

    def describe_configs(self, resources: list[Any], request_timeout: float) -> dict[Any, Future[Any]]:
        answer: Future[Any] = Future()
        policy = "delete" if resources[0].name == "items" else "compact"
        answer.set_result({"cleanup.policy": SimpleNamespace(value=policy)})
        return dict.fromkeys(resources, answer)


def test_check_settings_with_items_not_compacted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.kafka.settings.build_admin", lambda *_: Uncompacted())
    with pytest.raises(TopicError, match=r"items has cleanup\.policy=delete.*kafka-configs"):
        check_settings(StreamConfig(bootstrap_servers="a:1", registry="nowhere", group="shop"))


def test_check_settings_that_nobody_may_read_says_what_was_not_checked_and_passes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stream.kafka.settings.build_admin", lambda *_: Guarded())
    with caplog.at_level("WARNING"):
        check_settings(StreamConfig(bootstrap_servers="a:1", registry="nowhere", group="shop"))
    said = [record.getMessage() for record in caplog.records]
    assert all(
        words in line for words, line in zip(("shop-sessions-changelog", "models", "broker 1"), said, strict=True)
    )
    assert all("were not checked" in line and "the right to describe configs" in line for line in said)


@pytest.mark.parametrize("silent", [2, 10_000], ids=["for a moment", "for good"])
def test_check_settings_waits_for_a_cluster_that_names_no_broker_yet(
    monkeypatch: pytest.MonkeyPatch, silent: int
) -> None:
    """A broker that has just come back answers before it knows of any, itself among them."""
    asked: list[float] = []

    def list_topics(timeout: float) -> SimpleNamespace:
        asked.append(timeout)
        return SimpleNamespace(brokers={} if len(asked) <= silent else {1: "a broker"}, topics={}, cluster_id="c")

    def describe_configs(*_: Any, **__: Any) -> Any:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    admin = SimpleNamespace(list_topics=list_topics, describe_configs=describe_configs)
    monkeypatch.setattr("stream.kafka.settings.build_admin", lambda *_: admin)
    monkeypatch.setattr("stream.kafka.settings._ANSWER_S", 0.5)
    monkeypatch.setattr("stream.kafka.settings._AGAIN_S", 0.01)
    config = StreamConfig(bootstrap_servers="shop:9092", registry="nowhere")
    if silent == 2:
        check_settings(config)
        assert len(asked) == 3
        return
    with pytest.raises(BrokerUnavailable, match="names no broker"):
        check_settings(config)
