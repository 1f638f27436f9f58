"""How a running system stands, on the in-process cluster and with a worker's web server."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from export.experiments.experiment import Experiment, Variant
from stream.check.status import Look
from stream.check.worker_health import ask_worker
from stream.errors import BrokerUnavailable, TopicError
from stream.messages.announcements import announce, announce_experiment
from stream.messages.contract import ModelAnnouncement
from stream.ops.metrics import Metrics
from stream.ops.web import Health, WebServer
from stream.topic_names import Topics

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]


@pytest.fixture
def names(topic: str) -> Topics:
    return Topics.named(prefix=f"{topic}.")


def commit(cluster: str, group: str, *places: TopicPartition) -> None:
    options = {"bootstrap.servers": cluster, "group.id": group, "log_level": 0}
    consumer = Consumer(options)
    consumer.commit(offsets=list(places), asynchronous=False)
    consumer.close()


def test_lag_is_what_is_not_committed_and_the_oldest_of_it_is_told(cluster: str, names: Topics) -> None:
    producer = Producer({"bootstrap.servers": cluster, "log_level": 0})
    sent_ms = time.time_ns() // 1_000_000 - 60_000
    for number in range(10):
        producer.produce(names.clicks, b"{}", b"s", partition=0, timestamp=sent_ms + 1000 * number)
    producer.produce(names.clicks, b"{}", b"s", partition=1)
    assert producer.flush(10) == 0
    commit(cluster, f"{names.prefix}shop", TopicPartition(names.clicks, 0, 7), TopicPartition(names.clicks, 1, 1))
    found = Look(bootstrap_servers=cluster, group="shop", topics=names).take()
    by_number = {one.partition: one for one in found.partitions}
    assert (by_number[0].committed, by_number[0].end, by_number[0].lag) == (7, 10, 3)
    assert by_number[1].lag == 0
    assert found.lag == 3
    assert found.oldest_unanswered_s is not None
    assert 53 <= found.oldest_unanswered_s <= 200  # of offset 7
    assert {one.topic: one.messages for one in found.topics}[names.clicks] == 11


def test_nothing_that_lags_has_no_oldest(cluster: str, names: Topics, send: Send) -> None:
    send(names.clicks, [])
    Producer({"bootstrap.servers": cluster}).list_topics(names.clicks, timeout=10)
    found = Look(bootstrap_servers=cluster, group="shop", topics=names).take()
    assert (found.lag, found.oldest_unanswered_s) == (0, None)


def test_announced_models_and_experiments_are_shown(cluster: str, names: Topics, tmp_path: Path) -> None:
    Producer({"bootstrap.servers": cluster}).list_topics(names.clicks, timeout=10)
    announce(cluster, ModelAnnouncement("7", "r/7", "ab", announced_ts=5), topic=names.models)
    variants = Variant("a", share=5000), Variant("b", version="8", share=5000, stopped="it did harm")
    announce_experiment(cluster, Experiment("colours", variants, exposure=2500), topic=names.models)
    registry = str(tmp_path / "none")
    found = Look(bootstrap_servers=cluster, group="shop", topics=names, registry=registry).take()
    (model,) = found.variants
    assert (model.variant, model.live, model.announced) == ("default", None, "7")
    (running,) = found.experiments
    assert (running.exposure, running.variants, running.stopped) == (0.25, {"a": "live", "b": "8"}, ["b"])
    assert any("registry" in words for words in found.problems)


def test_worker_that_is_not_ready_tells_why_and_one_that_is_away_is_away() -> None:
    health = Health(ready=False, reasons=["no model is live"], partitions=[0, 2], lag={0: 4, 2: 1})
    server = WebServer("127.0.0.1", 0, lambda: health, Metrics())
    port = asyncio.run(server.start())
    try:
        found = ask_worker(f"http://127.0.0.1:{port}")
        assert (found.answers, found.ready, found.reasons) == (True, False, ["no model is live"])
        assert (found.partitions, sum(found.lag.values())) == ([0, 2], 5)
        assert ask_worker(f"127.0.0.1:{port}/health").partitions == [0, 2]
        assert not ask_worker(f"http://127.0.0.1:{port}/metrics/x").answers
    finally:
        asyncio.run(server.stop())
    away = ask_worker(f"http://127.0.0.1:{port}")
    assert not away.answers
    assert "no health" in away.reasons[0]
    assert not ask_worker("file:///etc/passwd").answers


def test_status_without_broker_or_topic_is_an_error(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.check.status._ANSWER_S", 1.0)
    with pytest.raises(BrokerUnavailable):
        Look(bootstrap_servers="127.0.0.1:1", group="shop", extra={"log_level": "0"}).take()

    class Nothing:
        def list_topics(self, topic: str, timeout: float) -> object:
            found = type("Found", (), {"error": "unknown", "partitions": {}})
            return type("Listed", (), {"topics": {topic: found}})

    with pytest.raises(TopicError, match="nextclick topics create"):
        Look(bootstrap_servers=cluster, group="shop")._partitions(Nothing())
