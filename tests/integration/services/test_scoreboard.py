"""The scoreboard beside workers: its figures are those of a count of the topics, kills or not; it stops what harms."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Flow, Lists, Storefront, read_topic
from bench.rig.workers import Worker, cli
from export.experiments.experiment import BUCKETS, Experiment, Variant
from export.registry.registry import Registry
from stream.errors import BadClick
from stream.experiments.lifecycle import Announced
from stream.messages.announcements import announce_experiment
from stream.messages.contract import Recommendation, decode_click, decode_recommendation
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, StartWorker
from tests.stream.scoreboard.recount import ClickRow, Recount, recount

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

IDLE_MS = 1_800_000


@pytest.fixture
def start_scoreboard(topics: str, naming: tuple[str, ...], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts `nextclick scoreboard` with a state of the test's own."""
    started: list[Worker] = []

    def start(*options: str) -> Worker:
        port = free_port()
        where = ["--bootstrap-servers", topics, *naming, "--state", str(tmp_path / "state"), "--web-port", str(port)]
        command = [sys.executable, "-m", "nextclick", "scoreboard", *where, *options]
        started.append(Worker.of(command, tmp_path / f"scoreboard-{len(started)}.log", port))
        return started[-1]

    yield start
    for one in started:
        one.stop(grace_s=5)


def once(topics: str, naming: tuple[str, ...], state: Path) -> dict[str, Any]:
    done = cli("scoreboard", "--once", "--json", "--bootstrap-servers", topics, *naming, "--state", str(state))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def counted_again(topics: str, names: Topics) -> Recount:
    """From all messages of both topics, whole."""
    clicks = []
    for message in read_topic(topics, names.clicks):
        try:
            click = decode_click(message.value(), message.key(), message.timestamp()[1])
        except BadClick:
            click = None
        clicks.append(ClickRow(message.partition(), message.offset(), message.timestamp()[1], click))
    lists = sorted(
        (message.partition(), message.offset(), decode_recommendation(message.value()))
        for message in read_topic(topics, names.recommendations)
    )
    found: list[Recommendation] = [one for _, _, one in lists]
    return recount(clicks, found, IDLE_MS)


def assert_figures(told: dict[str, Any], expected: Recount) -> None:
    for name in ("first", "missing", "late", "passed", "judged"):
        assert told["clicks"][name] == expected.counts[name], name
    assert told["clicks"]["judged"] > 500
    for name, row in told["experiments"]["new"]["variants"].items():
        tally = expected.tallies[f"new/{name}"]
        assert (row["sessions"], row["clicks"], row["hits"]) == (tally.sessions, tally.clicks, tally.hits), name
        assert row["mrr"] == pytest.approx(tally.mrr)
        assert (row["lists"], row["items"]) == (expected.lists[f"new/{name}"], len(expected.items[f"new/{name}"]))


@pytest.mark.container
def test_figures_are_those_of_a_count_of_the_topics_over_kills_of_scoreboard_and_worker(
    topics: str,
    names: Topics,
    naming: tuple[str, ...],
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    start_scoreboard: Callable[..., Worker],
    registry: Registry,
    tmp_path: Path,
) -> None:
    words = ("new", "--variant", "control=1:50", "--variant", "challenger=2:50", "--exposure", "80")
    done = cli("experiment", "start", *words, "--registry", registry.url, "--bootstrap-servers", topics, *naming)
    assert done.returncode == 0, done.stderr
    worker, scores = start_worker(topics), start_scoreboard()
    worker.await_ready()
    with Flow(storefront, rate=300, sessions=200, items=ITEMS) as flow:
        flow.confirmed(300)
        wait_for("clicks to be counted", lambda: scores.health()["judged"] > 50, 60)
        storefront.raw(b"no click", b"s")
        scores.kill()
        flow.confirmed(200)
        worker.kill()
        scores = start_scoreboard()
        start_worker(topics).await_ready(deadline_s=60)
        flow.confirmed(300)
    lists.await_answers(storefront.sent, deadline_s=60)
    lists.read_on()
    wait_for("all lists to be counted", lambda: scores.health()["behind"][names.recommendations] == 0, 60)
    assert scores.stop() == 0
    expected = counted_again(topics, names)
    assert_figures(once(topics, naming, tmp_path / "state"), expected)
    assert_figures(once(topics, naming, tmp_path / "another"), expected)


def test_variant_whose_lists_are_not_clicked_is_stopped_and_its_sessions_get_the_live_model(
    topics: str,
    names: Topics,
    naming: tuple[str, ...],
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    start_scoreboard: Callable[..., Worker],
    registry: Registry,
) -> None:
    """Shoppers here click what the control shows them, and never what the challenger does."""
    half = BUCKETS // 2
    variants = [
        Variant(name, version, registry.uri(version), registry.manifest_sha256(version), half)
        for name, version in (("control", "1"), ("challenger", "2"))
    ]
    running = Experiment("new", tuple(variants), started_ts=1)
    announce_experiment(topics, running, topic=names.models)

    def announced() -> Experiment:
        return Announced(topics, names).read()["new"]

    worker = start_worker(topics)
    start_scoreboard()
    worker.await_ready()
    sessions = [f"shopper-{number}" for number in range(600)]
    for session in sessions:
        storefront.click(session, "item-1")
    storefront.flush()
    lists.await_answers(storefront.sent, deadline_s=60)
    shown = {one.session_id: one for one in lists.all}
    for session in sessions:
        listed = [one.item_id for one in shown[session].items]
        others = (f"item-{number}" for number in range(1, ITEMS) if f"item-{number}" not in listed)
        storefront.click(session, listed[0] if shown[session].variant == "control" else next(others))
    storefront.flush()
    found = wait_for("the variant to be stopped", lambda: announced().variants[1].stopped, 60)
    assert found.startswith("guard rail hit_rate: its hit rate is")
    known = len(lists.all)

    def served() -> bool:
        for session in sessions[:50]:
            storefront.click(session, "item-2")
        storefront.flush()
        lists.await_answers(storefront.sent, deadline_s=60)
        newest = {one.session_id: one for one in lists.all[known:]}
        expected = {session: running.variant_of(session) for session in sessions[:50]}
        harmed = [
            session for session, variant in expected.items() if variant is not None and variant.name == "challenger"
        ]
        return all((newest[session].experiment, newest[session].model) == ("", "1") for session in harmed)

    wait_for("its sessions to have the live model", served, 30)
    assert announced().state == "running"
