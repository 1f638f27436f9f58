"""A shop with a schema registry: its own serializer's clicks are answered, its own deserializer reads the lists, and
all services of ours keep to its formats."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.process import wait_for
from bench.rig.clients import now_ms, read_topic
from bench.rig.schema_registry import RegistryServer
from bench.rig.workers import Worker, cli
from export.registry.registry import Registry
from stream.topic_names import Topics
from tests.integration.conftest import StartService, StartWorker

pytest.importorskip("fastavro", reason="Avro comes with the extra formats")

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

ANNA = "shopper-anna"
PARTS = ("serve", "trainer", "scoreboard", "feedback")  # that confirm an erase, beside the worker
VIEW = """{"type": "record", "name": "View", "namespace": "shop", "fields": [
  {"name": "session_id", "type": "string"}, {"name": "item_id", "type": "string"},
  {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}}%s]}"""
MORE = ', {"name": "page", "type": "string", "default": "home"}'


@pytest.fixture
def client(schemas: RegistryServer) -> Any:
    """Confluent's own client of registries."""
    from confluent_kafka.schema_registry import SchemaRegistryClient

    schemas.password = "shop:secret"
    return SchemaRegistryClient({"url": schemas.url, "basic.auth.user.info": schemas.password})


@pytest.fixture
def serialized(names: Topics, client: Any) -> Callable[..., bytes]:
    """A click as a service with Confluent's serializer has it, which registers its schema."""
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    context = SerializationContext(names.clicks, MessageField.VALUE)

    def one(session: str, item: str, more: str = "") -> bytes:
        content = {"session_id": session, "item_id": item, "ts": now_ms(), "page": "home"}
        return bytes(AvroSerializer(client, VIEW % more)(content, context))

    return one


@pytest.fixture
def send(topics: str, names: Topics) -> Callable[[str, bytes], None]:
    """Sends a value of a session."""
    producer = Producer({"bootstrap.servers": topics, "partitioner": "murmur2_random", "log_level": 0})

    def one(session: str, value: bytes) -> None:
        producer.produce(names.clicks, value, session.encode())
        assert producer.flush(30) == 0

    return one


def test_avro_clicks_are_answered_by_avro_lists_and_bad_ones_are_rejected_as_they_came(
    topics: str,
    names: Topics,
    schemas: RegistryServer,
    client: Any,
    serialized: Callable[..., bytes],
    send: Callable[[str, bytes], None],
    start_worker: StartWorker,
) -> None:
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    options = ("--schema-registry", schemas.url, "--list-format", "avro")
    worker = start_worker(topics, *options, "--kafka", f"basic.auth.user.info={schemas.password}")
    bad = b"\0\0\0\0\x63no schema"
    send("s-1", serialized("s-1", "item-1"))
    send("s-1", bad)
    send("s-2", b'{"session_id": "s-2", "item_id": "item-2", "ts": %d}' % now_ms())

    read = AvroDeserializer(client)
    context = SerializationContext(names.recommendations, MessageField.VALUE)

    def answered(*sessions: str) -> bool:
        values = [message.value() for message in read_topic(topics, names.recommendations)]
        found = {one["session_id"]: one for one in (read(value, context) for value in values)}
        return set(sessions) <= found.keys() and all(len(one["items"]) == 20 for one in found.values())

    wait_for("lists for both sessions", lambda: answered("s-1", "s-2"), 60)
    assert f"{names.recommendations}-value" in schemas.subjects
    wait_for("the bad click", lambda: rejected(topics, names), 30)
    assert rejected(topics, names) == [(bad, b"undecodable", b"the schema registry knows no schema 99")]

    value = serialized("s-3", "item-3", MORE)
    schemas.away = True
    send("s-3", value)
    send("s-4", b"\0\0\0\0\x64")
    wait_for("the worker to say that it waits", lambda: waits(worker), 30)
    schemas.away = False
    wait_for("a list for who waited", lambda: answered("s-3"), 60)
    wait_for("what came after it", lambda: len(rejected(topics, names)) == 2, 30)
    assert not waits(worker)


def test_every_service_reads_and_writes_avro(
    topics: str,
    names: Topics,
    registry: Registry,
    schemas: RegistryServer,
    start_worker: StartWorker,
    start_service: StartService,
    naming: tuple[str, ...],
    group: str,
    tmp_path: Path,
) -> None:
    options = ("--schema-registry", schemas.url, "--click-format", "avro", "--list-format", "avro")
    worker, serve = start_worker(topics, *options), start_service("serve", *options)
    feedback = start_service("feedback", "--state", str(tmp_path / "skips"), *options)
    scoreboard = start_service("scoreboard", *options)
    trainer = start_service("trainer", "--registry", registry.url, "--flush-s", "0.5", *options)
    for one in (worker, serve, feedback, scoreboard):
        one.await_ready()

    click(serve, "item-1")
    shown = wait_for("a list over HTTP", lambda: shown_to_anna(serve), 30)
    click(serve, next(item for item in shown[3:] if item != "item-1"))
    wait_for("the second click to be judged", lambda: scoreboard.health()["judged"], 30)
    wait_for("skips of what stood above it", lambda: feedback.health()["skips"] >= 2, 30)
    wait_for("clicks and skips in the trainer's store", lambda: trainer.health().get("clicks", 0) >= 4, 30)

    expected = itertools.chain.from_iterable(("--expect", part) for part in PARTS)
    where = ("--bootstrap-servers", topics, *naming, "--group", group)
    erased = cli("erase", "--session", ANNA, *where, *options, *expected, "--timeout", "45")
    assert erased.returncode == 0, erased.stderr
    for topic in (names.clicks, names.recommendations):
        values = [one.value() for one in read_topic(topics, topic)]
        assert {value[:1] for value in values if value is not None} == {b"\0"}, topic
    assert {f"{names.clicks}-value", f"{names.recommendations}-value"} == set(schemas.subjects)
    assert read_topic(topics, names.rejected) == []


def click(serve: Worker, item: str) -> None:
    content = json.dumps({"session_id": ANNA, "item_id": item, "ts": now_ms()}).encode()
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"http://127.0.0.1:{serve.port}/clicks", content, headers), timeout=20) as answer:
        assert json.load(answer)["accepted"] == 1


def shown_to_anna(serve: Worker) -> list[str]:
    try:
        with urlopen(f"http://127.0.0.1:{serve.port}/recommendations/{ANNA}", timeout=5) as answer:
            return [one["item_id"] for one in json.load(answer)["items"]]
    except HTTPError as error:
        error.close()
        return []


def rejected(topics: str, names: Topics) -> list[tuple[bytes | None, bytes | None, bytes | None]]:
    found = read_topic(topics, names.rejected)
    headers = [dict(one.headers() or ()) for one in found]
    return [(one.value(), said["reason"], said["detail"]) for one, said in zip(found, headers, strict=True)]


def waits(worker: Worker) -> bool:
    return any("clicks wait for schema" in reason for reason in worker.health()["reasons"])
