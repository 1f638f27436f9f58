"""Clicks in, recommendations out: the right model, the right items in the right order, for any reader of the topic."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from bench.rig.brokers.base import Broker
from bench.rig.clients import Flow, Lists, Storefront, now_ms, read_topic
from bench.rig.oracle import assert_lists, folded, stored
from bench.rig.workers import cli
from export.registry.registry import Registry
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, PARTITIONS, StartWorker
from tests.integration.promises import ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]


@pytest.mark.usefixtures("real_starts")
@pytest.mark.container
def test_worker_clicks_flow_answers_equal_the_oracle(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    names: Topics,
    changelog: str,
) -> None:
    worker = start_worker(topics)
    worker.await_ready(PARTITIONS)
    begun = now_ms()
    with Flow(storefront, rate=1000, sessions=150, items=ITEMS + 20) as flow:  # the last 20 are unknown to the model
        flow.confirmed(2500)
    lists.await_answers(storefront.sent)

    states = folded(storefront.sent)
    assert_lists(lists.last, states, ranker_of(registry, "1"))
    assert stored(read_topic(topics, changelog)) == states
    places: dict[str, int] = {}
    for one in lists.all:
        assert one.source.offset > places.get(one.session_id, -1), "lists of a session come in the order of its clicks"
        places[one.session_id] = one.source.offset
        assert one.source.topic == names.clicks
        assert one.variant == "default"
        assert begun <= one.event_ts <= one.published_ts <= now_ms()
    assert worker.metric("nextclick_clicks_total") == len(storefront.sent)
    assert worker.stop() == 0


def test_worker_stopped_and_started_goes_on_with_its_sessions(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry
) -> None:
    first = start_worker(topics)
    first.await_ready()
    for item in ("item-1", "item-2"):
        storefront.click("shopper", item)
    storefront.flush()
    lists.await_answers(storefront.sent)
    assert first.stop() == 0
    count = len(lists.all)

    second = start_worker(topics)
    storefront.click("shopper", "item-3")
    storefront.flush()
    lists.await_answers(storefront.sent)
    lists.read_on()
    assert_lists(lists.last, folded(storefront.sent), ranker_of(registry, "1"))
    assert len(lists.all) == count + 1, "a clean stop leaves nothing to be answered again"
    assert second.health()["ready"]


def test_worker_policy_seen_lists_hold_no_item_of_the_session(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked.txt"
    blocked.write_text("item-5\n")
    start_worker(topics, "--exclude", "seen", "--k", "10", "--blocked-items", str(blocked)).await_ready()
    for number in range(1, 13):
        storefront.click("shopper", f"item-{number * 3}")
    storefront.flush()
    lists.await_answers(storefront.sent)
    seen = folded(storefront.sent)["shopper"].items
    shown = [item.item_id for item in lists.last["shopper"].items]
    assert not {*seen, "item-5"} & set(shown)
    expected = ranker_of(registry, "1").rank_items([seen], 10, [{*seen, "item-5"}])
    assert shown == [item for item, _ in expected[0].items]


def test_worker_fallback_only_where_no_item_is_known(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry
) -> None:
    start_worker(topics).await_ready()
    storefront.click("stranger", "nobody-sells-this")
    storefront.click("hater", "item-7", kind="dislike")
    storefront.click("half", "nobody-sells-this")
    storefront.click("half", "item-7")
    storefront.flush()
    lists.await_answers(storefront.sent)
    assert {name: one.fallback for name, one in lists.last.items()} == {"stranger": True, "hater": True, "half": False}
    assert_lists(lists.last, folded(storefront.sent), ranker_of(registry, "1"))


def test_worker_session_older_than_its_time_out_starts_anew(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry
) -> None:
    start_worker(topics, "--session-timeout-minutes", "30").await_ready()
    hour_ago = now_ms() - 3_600_000
    storefront.click("shopper", "item-1", hour_ago)
    storefront.click("shopper", "item-2", hour_ago + 1000)
    storefront.click("shopper", "item-9")
    storefront.flush()
    lists.await_answers(storefront.sent)
    states = folded(storefront.sent)
    assert states["shopper"].items == ("item-9",)
    assert_lists(lists.last, states, ranker_of(registry, "1"))


def test_storefront_compresses_its_clicks_are_answered(
    topics: str, lists: Lists, start_worker: StartWorker, names: Topics
) -> None:
    start_worker(topics).await_ready()
    for compression in ("gzip", "snappy", "lz4", "zstd"):
        storefront = Storefront(topics, compression, topic=names.clicks)
        for number in range(50):
            storefront.click(f"shopper of {compression}", f"item-{number + 1}")
        storefront.flush()
        lists.await_answers(storefront.sent)


def test_kcat_reads_recommendations_and_sends_plain_json(topics: str, names: Topics, start_worker: StartWorker) -> None:
    kcat = shutil.which("kcat")
    if kcat is None:
        pytest.skip("kcat is not on the PATH (Debian: apt-get install kcat)")
    start_worker(topics).await_ready()
    click = json.dumps({"session_id": "k", "item_id": "item-3", "ts": now_ms()})
    partitioner = ["-X", "partitioner=murmur2_random"]
    subprocess.run(
        [kcat, "-P", "-b", topics, "-t", names.clicks, "-K", "|", *partitioner],
        input=f"k|{click}\n",
        text=True,
        check=True,
        timeout=30,
    )
    read = subprocess.run(
        [kcat, "-C", "-b", topics, "-t", names.recommendations, "-o", "beginning", "-c", "1", "-q", "-f", "%k %s\n"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    key, _, value = read.stdout.partition(" ")
    found = json.loads(value)
    assert (key, found["session_id"], found["model"], len(found["items"])) == ("k", "k", "1", 20)


@pytest.mark.usefixtures("real_starts")
@pytest.mark.container
def test_topics_created_have_partitions_and_compaction(
    real_broker: Broker, names: Topics, naming: tuple[str, ...], group: str, prefix: str
) -> None:
    there = ("--bootstrap-servers", real_broker.bootstrap, "--group", group, *naming)
    for _ in range(2):  # the second time they are there
        done = cli("topics", "create", "--partitions", str(PARTITIONS), "--impressions", *there)
        assert done.returncode == 0, done.stderr
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    counts = {name: len(topic.partitions) for name, topic in admin.list_topics(timeout=10).topics.items()}
    changelog = names.changelog(group)
    several = (names.clicks, names.recommendations, names.rejected, names.impressions, changelog)
    single = (names.models, names.items, names.similar, names.erasures)
    wanted = dict.fromkeys(several, PARTITIONS) | dict.fromkeys(single, 1)
    assert {name: count for name, count in counts.items() if name.startswith(prefix)} == wanted
    for name in (names.models, names.items, names.similar, changelog):
        resource = ConfigResource(ResourceType.TOPIC, name)
        assert "compact" in admin.describe_configs([resource])[resource].result(10)["cleanup.policy"].value

    other = cli("topics", "create", "--partitions", "2", *there)
    assert other.returncode == 2
    assert "exists with 4 partitions" in other.stderr
    assert "Traceback" not in other.stderr
