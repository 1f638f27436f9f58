"""Rows that land in the changelog behind the owner's: they never stay a session's newest, which compaction keeps."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Message, Producer

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import wait_for
from bench.rig.clients import Lists, Sent, Storefront, Tail
from bench.rig.oracle import assert_lists, folded, stored
from export.registry.registry import Registry
from stream.messages.contract import Recommendation
from stream.partition.positions import is_reserved
from stream.partition.session import decode_head, encode_state
from tests.integration.conftest import PARTITIONS, StartWorker
from tests.integration.promises import ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

TIMEOUT_S = 3.0  # of a session in the group
SESSIONS = [f"s{number}" for number in range(40)]

# A worker whose messages wait in its producer for a while, and go out however late it has become
SLOW_SENDER = """
import stream.guarantee.choose as guarantees
options = guarantees.producer_options
guarantees.producer_options = lambda *a, **k: {**options(*a, **k), "linger.ms": 8000, "message.timeout.ms": 60000}
from nextclick import main
main()
"""


def click_each(storefront: Storefront, item: str) -> None:
    for name in SESSIONS:
        storefront.click(name, item)
    storefront.flush()


def late_rows(changelog: list[Message]) -> int:
    """Rows that stand behind a row of a newer offset."""
    late, newest = 0, dict[bytes, int]()
    for message in changelog:
        if is_reserved(message.key()):
            continue
        key, offset = message.key() or b"", decode_head(message.value() or b"").offset
        late += offset < newest.get(key, -1)
        newest[key] = max(offset, newest.get(key, -1))
    return late


def newest_lists(lists: Lists) -> dict[str, Recommendation]:
    """The list of each session with the highest source offset, by which a consumer drops late and repeated ones."""
    return {one.session_id: one for one in sorted(lists.all, key=lambda one: one.source.offset)}


def await_compacted(changelog: Tail, rows: list[Message], sent: list[Sent]) -> None:
    """Return when what compaction would keep of the changelog is right, and stays so."""

    def right() -> bool:
        rows.extend(changelog.read_to_end())
        return stored(rows) == folded(sent)

    wait_for("the changelog to be right as compaction would keep it", right, 20)
    time.sleep(1.5)
    assert right()


def test_zombie_continued_with_rows_queued_its_late_rows_are_written_over(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    changelog: str,
) -> None:
    timeout = ("--broker-session-timeout-s", str(TIMEOUT_S))
    zombie = start_worker(topics, *timeout, program=("-c", SLOW_SENDER))
    zombie.await_ready(PARTITIONS)
    click_each(storefront, "item-1")
    time.sleep(2.0)  # the rows and lists are in its queue, and stay there for 8 s
    zombie.pause()
    owner = start_worker(topics, *timeout)
    owner.await_ready(PARTITIONS)
    lists.await_answers(storefront.sent)
    click_each(storefront, "item-2")
    lists.await_answers(storefront.sent)
    assert {one.source.offset for one in lists.all} == {one.offset for one in storefront.sent}

    tail = Tail(topics, changelog)
    rows = tail.read_to_end()
    assert not late_rows(rows), "nothing of the zombie's yet"
    zombie.resume()

    def landed() -> int:
        rows.extend(tail.read_to_end())
        return late_rows(rows)

    wait_for("rows of the zombie", landed, 20, every_s=0.02)
    await_compacted(tail, rows, storefront.sent)
    tail.close()
    lists.read_on()
    assert_lists(newest_lists(lists), folded(storefront.sent), ranker_of(registry, "1"))
    assert owner.process.poll() is None


def test_late_rows_found_in_recovery_are_written_over(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, changelog: str
) -> None:
    first = start_worker(topics)
    click_each(storefront, "item-1")
    older = folded(storefront.sent)
    click_each(storefront, "item-2")
    lists.await_answers(storefront.sent)
    assert first.stop() == 0

    place = {one.click.session_id: one.partition for one in storefront.sent}
    producer = Producer({"bootstrap.servers": topics})
    for name in SESSIONS[:10]:
        row = encode_state(older[name])
        producer.produce(changelog, row, name.encode(), place[name])
    assert producer.flush(10) == 0

    tail = Tail(topics, changelog)
    rows = tail.read_to_end()
    assert stored(rows) != folded(storefront.sent)
    start_worker(topics)
    await_compacted(tail, rows, storefront.sent)
    tail.close()
