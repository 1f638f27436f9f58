"""The topics change under a worker: it says so in log, /health and metrics, and ends as it would at its start."""

from __future__ import annotations

import urllib.request
from collections import Counter

import pytest

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import tail, wait_for
from bench.rig.clients import Lists, Storefront, read_topic
from bench.rig.operator import COMPACTED, Operator
from bench.rig.oracle import assert_lists, folded, stored
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.config import Guarantee
from stream.topic_names import Topics
from tests.integration.conftest import PARTITIONS, StartWorker, make_topics
from tests.integration.promises import GUARANTEES, ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

LOOK = ("--topics-look-s", "1")


@pytest.fixture
def operator(topics: str, real_broker: Broker) -> Operator:
    return Operator(topics)


def click(storefront: Storefront, sessions: int, *, rounds: int = 1) -> None:
    for number in range(rounds):
        for session in range(sessions):
            storefront.click(f"s{session}", f"item-{(session + number) % 50 + 1}")
    storefront.flush()


def assert_ends(worker: Worker, kind: str, words: str, code: int = 2) -> None:
    """Unready and saying why, then over with `code`; the log has the reason once and no traceback."""

    def told() -> bool:
        health = worker.health()
        return not health["ready"] and any(words in reason for reason in health.get("reasons", ()))

    try:
        wait_for(f"/health to say {words!r}", told, 20, every_s=0.1)
        assert worker.metric("nextclick_topic_trouble", kind=kind) == 1
        wait_for("the metric to say so", lambda: worker.metric("nextclick_ready") == 0, 5)
        assert wait_for("the worker to end", lambda: worker.process.poll() is not None, 30) is True
    except AssertionError as error:
        raise AssertionError(f"{error}\n{worker.health()}\n{tail(worker.log, 30)}") from error
    assert worker.process.returncode == code, tail(worker.log)
    text = worker.log.read_text()
    assert words in text
    assert "Traceback" not in text


def assert_refused(worker: Worker, words: str) -> None:
    """It ends before it reads anything, in words."""
    assert worker.process.wait(40) == 2, tail(worker.log)
    assert words in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


def test_partitions_added_end_the_worker_and_once_the_changelog_has_them_all_is_answered(
    topics: str,
    names: Topics,
    operator: Operator,
    changelog: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
) -> None:
    worker = start_worker(topics, *LOOK)
    worker.await_ready(PARTITIONS)
    click(storefront, 20)
    lists.await_answers(storefront.sent)
    operator.grow(names.clicks, PARTITIONS + 2)
    assert_ends(worker, "partitions", f"--topic {changelog} --partitions {PARTITIONS + 2}")
    late = Storefront(topics, topic=names.clicks)
    click(late, 40)
    assert {one.partition for one in late.sent} == set(range(PARTITIONS + 2))
    operator.grow(changelog, PARTITIONS + 2)
    again = start_worker(topics, *LOOK)
    again.await_ready(PARTITIONS + 2)
    lists.await_answers(late.sent)


@pytest.mark.parametrize("name", ["clicks", "recommendations", "changelog"])
def test_topic_deleted_ends_the_worker_with_the_remedy(
    topics: str,
    names: Topics,
    operator: Operator,
    storefront: Storefront,
    start_worker: StartWorker,
    changelog: str,
    name: str,
) -> None:
    worker = start_worker(topics, *LOOK)
    worker.await_ready(PARTITIONS)
    if name != "clicks":
        click(storefront, 10)
    topic = {"clicks": names.clicks, "recommendations": names.recommendations, "changelog": changelog}[name]
    operator.delete(topic)
    if name != "clicks":
        click(storefront, 10)  # that cannot be answered
    assert_ends(worker, "missing", f"topics were deleted under the worker: {topic}; make them again")


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_clicks_made_again_under_and_between_workers_are_refused_and_read_anew_on_reset_state(
    topics: str,
    names: Topics,
    operator: Operator,
    changelog: str,
    storefront: Storefront,
    start_worker: StartWorker,
    registry: Registry,
    guarantee: Guarantee,
) -> None:
    options = (*LOOK, "--guarantee", guarantee)
    worker = start_worker(topics, *options)
    worker.await_ready(PARTITIONS)
    lists = Lists(topics, names.recommendations, committed=guarantee == "exactly-once")
    click(storefront, 20, rounds=3)
    lists.await_answers(storefront.sent)
    operator.remake(names.clicks)
    assert_ends(worker, "remade", f"{names.clicks}; the states in")
    again = Storefront(topics, topic=names.clicks)
    click(again, 20, rounds=5)  # the log ends above the old states: only its identity tells
    refused = start_worker(topics, *options)
    assert_ends(refused, "state", "--reset-state")
    lists.read_on(0.2)
    assert len(lists.last) == 20
    lists.close()
    fresh = Lists(topics, names.recommendations, committed=guarantee == "exactly-once")
    begun = len(fresh.all)
    reset = start_worker(topics, *options, "--reset-state")
    reset.await_ready(PARTITIONS)
    newest = {one.click.session_id: one for one in again.sent}

    def answered() -> bool:
        fresh.poll()
        return all(name in fresh.last and fresh.last[name].source.offset == one.offset for name, one in newest.items())

    wait_for("all clicks of the new topic to be answered", answered, 45)
    fresh.read_on(0.5)
    assert len(fresh.all) > begun
    states = folded(again.sent)
    assert_lists(fresh.last, states, ranker_of(registry, "1"))
    assert stored(read_topic(topics, changelog, committed=guarantee == "exactly-once")) == states
    assert reset.metric("nextclick_states_reset_total") == 20
    assert reset.stop() == 0
    plain = start_worker(topics, *options)
    plain.await_ready(PARTITIONS)
    click(again, 20)
    fresh.await_answers(again.sent)
    assert_lists(fresh.last, folded(again.sent), ranker_of(registry, "1"))
    fresh.close()


def test_output_topics_made_again_end_the_worker_and_the_next_one_goes_on(
    topics: str,
    names: Topics,
    operator: Operator,
    changelog: str,
    storefront: Storefront,
    start_worker: StartWorker,
    registry: Registry,
) -> None:
    worker = start_worker(topics, *LOOK)
    worker.await_ready(PARTITIONS)
    click(storefront, 10)
    operator.remake(names.recommendations)
    assert_ends(worker, "remade", f"made again under the worker: {names.recommendations}")
    next_one = start_worker(topics, *LOOK)
    next_one.await_ready(PARTITIONS)
    click(storefront, 10)
    lists = Lists(topics, names.recommendations)
    lists.await_answers(storefront.sent)
    assert_lists(lists.last, folded(storefront.sent), ranker_of(registry, "1"))
    lists.close()
    operator.remake(changelog, COMPACTED)
    assert_ends(next_one, "remade", "the sessions' states are gone")


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_clicks_removed_unread_are_counted_and_said_and_the_rest_answered(
    topics: str,
    names: Topics,
    operator: Operator,
    storefront: Storefront,
    start_worker: StartWorker,
    guarantee: Guarantee,
) -> None:
    options = (*LOOK, "--guarantee", guarantee)
    worker = start_worker(topics, *options)
    worker.await_ready(PARTITIONS)
    click(storefront, 40)
    lists = Lists(topics, names.recommendations, committed=guarantee == "exactly-once")
    lists.await_answers(storefront.sent)
    assert worker.metric("nextclick_clicks_lost_to_retention_total") == 0
    assert worker.stop() == 0
    read = len(storefront.sent)
    click(storefront, 40, rounds=20)
    ends = Counter(one.partition for one in storefront.sent)
    operator.remove(names.clicks, {number: min(100, ends[number]) for number in range(PARTITIONS)})
    lost = [one for one in storefront.sent[read:] if one.offset < 100]
    assert len(lost) > 100
    again = start_worker(topics, *options)
    again.await_ready(PARTITIONS)
    lists.await_answers([one for one in storefront.sent if one not in lost])
    assert again.metric("nextclick_clicks_lost_to_retention_total") == len(lost)
    again.await_log("removed by retention before they were read")
    assert again.health()["ready"]
    assert again.stop() == 0
    last = start_worker(topics, *options)
    last.await_ready(PARTITIONS)
    assert last.metric("nextclick_clicks_lost_to_retention_total") == 0, "counted once"
    lists.close()


def test_wrong_settings_are_refused_at_the_start_in_words(
    topics: str, names: Topics, operator: Operator, changelog: str, start_worker: StartWorker
) -> None:
    short = start_worker(topics, "--broker-session-timeout-s", "0.9")
    assert_refused(short, "which allows 1 to 1800 s")
    for name in (names.models, changelog):
        operator.configure(name, "cleanup.policy", "delete")
        worker = start_worker(topics)
        assert_refused(worker, f"kafka-configs --alter --topic {name} --add-config cleanup.policy=compact")
        operator.configure(name, "cleanup.policy", "compact")


def test_more_workers_than_partitions_the_idle_one_says_that_it_stands_by_and_takes_over(
    real_broker: Broker, names: Topics, group: str, start_worker: StartWorker
) -> None:
    make_topics(real_broker, names, group, partitions=1)
    first = start_worker(real_broker.bootstrap)
    first.await_ready(1)
    second = start_worker(real_broker.bootstrap)

    def idle() -> Worker | None:
        said = {one: one.health() for one in (first, second)}
        found = [one for one, health in said.items() if health.get("standby") and not health["ready"]]
        return found[0] if len(found) == 1 and sum(health["ready"] for health in said.values()) == 1 else None

    standby = wait_for("one worker to serve and one to stand by", idle, 45)
    assert "standby: no partition is assigned" in standby.health()["reasons"][0]
    assert (standby.metric("nextclick_standby"), standby.metric("nextclick_ready")) == (1, 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{standby.port}/health/ready", timeout=10) as answer:
        assert answer.status == 200, "a rollout would wait for it for ever"
    serving = first if standby is second else second
    assert serving.stop() == 0
    standby.await_ready(1)
    assert standby.metric("nextclick_standby") == 0
