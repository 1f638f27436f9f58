"""Checks that hang, fail, or have no cluster to ask: each is a finding, and the others are made."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from stream.check.clicks import check_clicks, sample_clicks
from stream.check.finding import Finding, warning
from stream.check.partitioner import crc32_partition, murmur2, murmur2_partition
from stream.check.run import CheckConfig, Checker, guarded
from stream.config import StreamConfig
from stream.errors import TopicError

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]
CLICK = b'{"session_id":"%s","item_id":"i","ts":1700000000000}'


def test_check_that_hangs_is_a_finding_beside_what_it_found() -> None:
    forever = threading.Event()

    def check() -> Iterator[Finding]:
        yield warning("first", "there", "it is so")
        forever.wait(60)

    found = guarded("slow", check, 0.2)
    forever.set()
    assert [one.check for one in found] == ["first", "slow_late"]


def test_check_that_fails_is_a_finding() -> None:
    def ours() -> list[Finding]:
        raise TopicError("there is no topic")

    def bug() -> list[Finding]:
        raise KeyError("oops")

    assert [one.what for one in guarded("ours", ours, 5)] == ["there is no topic"]
    (found,) = guarded("bug", bug, 5)
    assert found.severity == "error"
    assert "oops" in found.what


@pytest.mark.waits
def test_unreachable_broker_and_missing_registry_are_findings_within_the_limit(tmp_path: Path) -> None:
    config = StreamConfig(
        bootstrap_servers="127.0.0.1:1", registry=str(tmp_path / "none"), kafka={"log_level": "0"}, threads=1
    )
    begun = time.monotonic()
    checker = Checker(CheckConfig(worker=config, limit_s=2.0))
    found = checker.run()
    assert {one.check for one in found} == {"registry_missing", "broker_unreachable"}
    assert checker.done == ["provider", "policy", "registry", "redis", "schemas", "kafka"]
    assert time.monotonic() - begun < 20


def test_in_process_cluster_is_checked_as_far_as_it_tells(cluster: str, tmp_path: Path) -> None:
    config = StreamConfig(bootstrap_servers=cluster, registry=str(tmp_path / "none"), group="never-seen", threads=1)
    checker = Checker(CheckConfig(worker=config, limit_s=10.0))
    found = checker.run()
    assert {"topic_missing", "in_process", "registry_missing"} <= {one.check for one in found}
    assert "rights" in checker.done


def test_partitioners_are_those_of_the_clients(cluster: str, topic: str) -> None:
    for name, rule in (("murmur2_random", murmur2_partition), ("consistent_random", crc32_partition)):
        placed: dict[bytes, int] = {}

        def note(_error: object, message: Any, placed: dict[bytes, int] = placed) -> None:
            placed[message.key()] = message.partition()

        producer = Producer({"bootstrap.servers": cluster, "partitioner": name, "log_level": 0})
        for number in range(50):
            key = b"k" * (number % 7) + str(number * 7919).encode()
            producer.produce(topic, b"", key, on_delivery=note)
        assert producer.flush(10) == 0
        partitions = len(producer.list_topics(topic, timeout=10).topics[topic].partitions)
        assert placed == {key: rule(key, partitions) for key in placed}
    assert murmur2(b"21") - 2**32 == -973932308  # of Kafka's own test


def test_newest_clicks_are_read_and_judged(cluster: str, topic: str, send: Send) -> None:
    send(topic, [(b"s%d" % number, CLICK % b"s%d" % number) for number in range(30)])
    send(topic, [(b"x", b"no json"), (b"y", None)])
    sample = sample_clicks(cluster, topic, {}, records=1000, timeout_s=10)
    assert len(sample) == 32
    found = {one.check for one in check_clicks(topic, sample, 4, time.time_ns() // 1_000_000)}
    assert found == {"rejected_not_json", "rejected_value_missing", "partitioner"}  # that of librdkafka
    few = sample_clicks(cluster, topic, {}, records=2, timeout_s=10)
    assert 0 < len(few) <= 8


def test_topic_without_clicks_says_so(cluster: str, topic: str) -> None:
    sample = sample_clicks(cluster, topic, {}, records=10, timeout_s=10)
    assert [one.check for one in check_clicks(topic, sample, 4, 0)] == ["clicks_empty"]
