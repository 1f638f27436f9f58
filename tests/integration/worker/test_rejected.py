"""Unusable messages: each on the rejected topic with its reason, as it came, and the worker goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from confluent_kafka import Message, Producer

from bench.rig.brokers.process import wait_for
from bench.rig.clients import Lists, Storefront, now_ms, read_topic
from stream.topic_names import Topics
from tests.integration.conftest import StartWorker
from tests.integration.promises import GUARANTEES

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]


def value(**changes: object) -> bytes:
    """A good click of session `s` with some fields changed; None leaves a field out."""
    fields: dict[str, object] = {"session_id": "s", "item_id": "item-1", "ts": now_ms(), **changes}
    return json.dumps({name: one for name, one in fields.items() if one is not None}).encode()


def headers_of(message: Message) -> dict[str, bytes]:
    return {name: one or b"" for name, one in message.headers() or []}


def bad_messages() -> list[tuple[str, bytes | None, bytes | None]]:
    """(reason, value, key) of each kind of message that is no click."""
    day = 24 * 3600 * 1000
    return [
        ("value_missing", None, b"s"),
        ("too_large", value(context={"x": "y" * 900_000}), b"s"),
        ("not_utf8", b'{"session_id": "\xff\xfe"}', b"s"),
        ("not_json", b"clicked!", b"s"),
        ("not_json", b"", b"s"),
        ("not_json", value().replace(b"item-1", b"item-1\n"), b"s"),
        ("not_json", b'{"session_id": "s", "item_id": "item-1", "ts": NaN}', b"s"),
        ("too_deep", b'{"context": ' + b"[" * 60_000, b"s"),
        ("not_object", b"[1, 2]", b"s"),
        ("missing_session_id", value(session_id=None), b"s"),
        ("missing_item_id", value(item_id=None), b"s"),
        ("missing_ts", value(ts=None), b"s"),
        ("wrong_type_item_id", value().replace(b'"item-1"', b"null"), b"s"),
        ("wrong_type_item_id", value(item_id=True), b"s"),
        ("wrong_type_session_id", value(session_id=["s"]), b"s"),
        ("wrong_type_ts", value(ts="now"), b"s"),
        ("wrong_type_ts", value(ts=1.5), b"s"),
        ("empty_item_id", value(item_id=""), b"s"),
        ("too_long_item_id", value(item_id="i" * 257), b"s"),
        ("control_characters_item_id", value(item_id="a\u0000b"), b"s"),
        ("out_of_range_item_id", value(item_id=2**64), b"s"),
        ("ts_negative", value(ts=-1), b"s"),
        ("ts_future", value(ts=now_ms() + 2 * day), b"s"),
        ("unknown_type", value(type="stare"), b"s"),
        ("wrong_type_context", value(context=[]), b"s"),
        ("key_missing", value(), None),
        ("key_mismatch", value(), b"other"),
    ]


def test_malformed_clicks_arrive_on_the_rejected_topic_with_their_reasons(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, names: Topics
) -> None:
    worker = start_worker(topics)
    worker.await_ready()
    bad = bad_messages()
    for number, (_, content, key) in enumerate(bad):
        storefront.raw(content, key, [("trace", str(number).encode())], partition=1)
    storefront.click("good", "item-2")
    storefront.click("1234", "item-2")
    storefront.raw(b'{"session_id": 77, "item_id": "item-4", "ts": 1, "type": "clicks", "new_field": 1}', b"77")
    storefront.flush()
    lists.await_answers(storefront.sent)

    def all_rejected() -> list[Message] | None:
        found = read_topic(topics, names.rejected)
        return found if len(found) >= len(bad) else None

    rejected = wait_for("all bad messages on the rejected topic", all_rejected)
    by_trace = {int(headers_of(one)["trace"]): one for one in rejected}
    assert sorted(by_trace) == list(range(len(bad)))
    for number, (reason, content, key) in enumerate(bad):
        message = by_trace[number]
        headers = headers_of(message)
        assert (number, headers["reason"]) == (number, reason.encode())
        assert headers["topic"] == names.clicks.encode()
        assert headers["partition"] == b"1"
        assert int(headers["offset"]) == number
        assert headers["detail"]
        assert (message.value() or None, message.key()) == (content or None, key)
    assert {"good", "1234", "77"} == set(lists.last), "good clicks are answered, bad ones are not"
    assert worker.metric("nextclick_rejected_total") == len(bad)
    assert worker.metric("nextclick_rejected_total", reason="ts_future") == 1


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_hostile_keys_and_headers_cost_nobody_an_answer(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, names: Topics, guarantee: str
) -> None:
    kcat = shutil.which("kcat")
    if kcat is None:
        pytest.skip("kcat is not on the PATH (Debian: apt-get install kcat)")
    worker = start_worker(topics, "--guarantee", guarantee)
    worker.await_ready()
    storefront.click("before", "item-1")
    storefront.flush()
    headers: list[str | bytes] = ["-H", "no-value", "-H", b"\xff\xfe=1"]
    send: list[str | bytes] = [kcat, "-P", "-b", topics, "-t", names.clicks, "-p", "1", "-K", "|", *headers]
    subprocess.run(send, input=b"odd|" + value(session_id="odd") + b"\n" + b"odd|no click\n", check=True, timeout=30)
    largest = {"bootstrap.servers": topics, "message.max.bytes": 4_000_000, "compression.type": "none"}
    producer = Producer(largest)  # messages that the broker takes, and to which no header can be added
    producer.produce(names.clicks, b"no click", os.urandom(1_048_480), 1)
    producer.produce(names.clicks, b"no click", b"s", 1, headers=[("h", os.urandom(1_048_480))])
    assert producer.flush(20) == 0
    storefront.click("behind", "item-1")
    storefront.flush()
    lists.await_answers(storefront.sent)

    def all_rejected() -> list[Message] | None:
        found = read_topic(topics, names.rejected, committed=True)
        return found if len(found) >= 3 else None

    rejected = wait_for("three rejections", all_rejected)
    odd, key, header = [headers_of(message) for message in sorted(rejected, key=offset_of)]
    assert (odd["no-value"], odd["\ufffd\ufffd"], odd["reason"]) == (b"", b"1", b"not_json")
    assert (key["truncated_key_from"], key["reason"]) == (b"1048480", b"not_json")
    assert (header["dropped_headers"], header["reason"]) == (b"1", b"not_json")
    assert {"before", "odd", "behind"} <= set(lists.last)
    assert worker.process.poll() is None


def offset_of(message: Message) -> int:
    return int(headers_of(message)["offset"])
