"""What was shown above a click comes back to the topic as skips, once, over a kill of the service."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Lists, Storefront, now_ms, read_topic
from bench.rig.workers import Worker
from stream.messages.contract import Click, decode_click, encode
from stream.topic_names import Topics
from tests.integration.conftest import StartWorker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

PLACE = 4  # of the item that shoppers click


@pytest.fixture
def start_feedback(topics: str, naming: tuple[str, ...], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts `nextclick feedback` with a state of the test's own."""
    started: list[Worker] = []

    def start(*options: str) -> Worker:
        port = free_port()
        where = ["--bootstrap-servers", topics, *naming, "--state", str(tmp_path / "state"), "--web-port", str(port)]
        command = [sys.executable, "-m", "nextclick", "feedback", *where, *options]
        started.append(Worker.of(command, tmp_path / f"feedback-{len(started)}.log", port))
        return started[-1]

    yield start
    for one in started:
        one.stop(grace_s=5)


def skips_in(topics: str, names: Topics) -> list[Click]:
    found = [decode_click(one.value(), one.key(), one.timestamp()[1]) for one in read_topic(topics, names.clicks)]
    return [click for click in found if click.type == "skip"]


def test_items_above_a_click_become_skips_of_its_session_also_after_a_kill(
    topics: str,
    names: Topics,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    start_feedback: Callable[[], Worker],
) -> None:
    start_worker(topics).await_ready()
    service = start_feedback()
    expected: set[tuple[str, str]] = set()

    def click_the_fourth(sessions: list[str]) -> None:
        for session in sessions:
            storefront.click(session, "item-1")
        storefront.flush()
        lists.await_answers(storefront.sent, deadline_s=60)
        shown = {one.session_id: [item.item_id for item in one.items] for one in lists.all}
        for session in sessions:
            above = [item for item in shown[session][: PLACE - 1] if item != "item-1"]
            expected.update((session, item) for item in above)
            storefront.click(session, shown[session][PLACE - 1])
        storefront.flush()

    def told(skips: int) -> bool:
        return len({(one.session_id, one.item_id) for one in skips_in(topics, names)}) >= skips

    click_the_fourth([f"shopper-{number}" for number in range(30)])
    wait_for("skips of the first shoppers", lambda: told(len(expected)), 60)
    service.kill()
    click_the_fourth([f"shopper-{number}" for number in range(30, 60)])
    service = start_feedback()
    wait_for("skips of those who came meanwhile", lambda: told(len(expected)), 60)
    skips = skips_in(topics, names)
    assert {(one.session_id, one.item_id) for one in skips} == expected
    content = Counter((one.session_id, one.item_id, one.ts, str(one.context)) for one in skips)
    assert len(content) == len(expected)  # a repeated one is the same
    assert service.health()["skips"] >= len({one for one in expected if int(one[0].split("-")[1]) >= 30})
    assert service.stop() == 0


def test_lists_that_a_storefront_showed_take_the_place_of_ours(
    topics: str,
    names: Topics,
    naming: tuple[str, ...],
    storefront: Storefront,
    start_worker: StartWorker,
    start_feedback: Callable[..., Worker],
) -> None:
    shown_on = names.impressions
    admin = AdminClient({"bootstrap.servers": topics})
    for future in admin.create_topics([NewTopic(shown_on, 2)]).values():
        future.result(30)
    start_worker(topics).await_ready()
    start_feedback("--impressions")
    producer = Producer({"bootstrap.servers": topics, "partitioner": "murmur2_random"})
    ts = now_ms()
    for session in ("anna", "ben"):
        shown = {"session_id": session, "items": ["item-7", "item-8", "item-9"], "ts": ts}
        producer.produce(shown_on, encode(shown), session.encode())
    producer.flush(30)
    storefront.click("anna", "item-9", ts + 1_000)
    storefront.click("ben", "item-7", ts + 1_000)
    storefront.flush()
    wait_for("the skips of what Anna passed over", lambda: len(skips_in(topics, names)) >= 2, 60)
    assert {(one.session_id, one.item_id) for one in skips_in(topics, names)} == {
        ("anna", "item-8"),
        ("anna", "item-7"),
    }
