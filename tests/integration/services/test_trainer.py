"""A trainer beside workers: versions come by themselves, from one leader, once each, whoever is killed."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Flow, Lists, Storefront, now_ms
from bench.rig.workers import Worker, cli
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers
from demo.simulated.stock import ShopConfig
from export.bundle.bundle import load_bundle
from export.experiments.experiment import Experiment, Variant
from export.registry.registry import Registry
from stream.kafka.replay import replay
from stream.messages.announcements import announce_experiment
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, StartWorker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

LEAN = (  # a cycle in seconds; what it finds is no matter here
    *(
        "--preset",
        "tron-fast",
        "--counts",
        "off",
        "--max-seconds",
        "1",
        "--min-sessions",
        "100",
        "--baselines",
        "popularity",
    ),
    *("--slack", "1", "--tolerance", "1", "--min-coverage", "0", "--exact", "--flush-s", "0.5"),
)
PATIENCE_S = 240.0  # trainings give way to whatever else runs, other tests among it
NO_REFIT = "--no-refit"  # half of the rest; but for one test
VERSIONS = {"control": "1", "challenger": "2"}
BEGIN = 1_700_000_000_000  # ms since the epoch; a session comes each second
SHOP = Shop(ShopConfig(items=150, categories=6))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty one."""
    made = Registry(tmp_path / "registry")
    made.create()
    return made


@pytest.fixture
def clicked(topics: str, names: Topics) -> Callable[..., int]:
    """Sends the clicks of so many sessions, number `first` and on; how many they are. begin: ms since the epoch."""

    def send(sessions: int, first: int = 0, begin: int = BEGIN) -> int:
        log = Shoppers(SHOP, ShopperConfig(seed=first), first_session=first).sessions(sessions, begin + first * 1000)
        ids = SHOP.item_ids()
        rows = zip(log.session.tolist(), log.item.tolist(), log.ts.tolist(), strict=True)
        clicks = ((f"s{session}", ids[item], ts, "click") for session, item, ts in rows)
        return replay(clicks, bootstrap_servers=topics, topic=names.clicks).sent  # type: ignore[arg-type]

    return send


@pytest.fixture
def compared(topics: str, names: Topics, registry: Registry, staged: list[Path]) -> Experiment:
    """Versions 1, which is live, and 2, which half of the sessions compare with it."""
    for bundle in staged:
        registry.publish(bundle)
    registry.promote("1")
    variants = tuple(
        Variant(name, version, registry.uri(version), registry.manifest_sha256(version), 5_000)
        for name, version in VERSIONS.items()
    )
    made = Experiment("two", variants, exposure=5_000, started_ts=1, announced_ts=1)
    announce_experiment(topics, made, topic=names.models)
    return made


StartTrainer = Callable[..., Worker]


@pytest.fixture
def start_trainer(topics: str, registry: Registry, naming: tuple[str, ...], tmp_path: Path) -> Iterator[StartTrainer]:
    """Starts trainers and ends them with the test."""
    started: list[Worker] = []
    numbers = itertools.count(1)

    def start(*options: str) -> Worker:
        port = free_port()
        words = ("trainer", "--bootstrap-servers", topics, "--registry", registry.url, "--web-port", str(port))
        lean = (*LEAN, NO_REFIT, "--broker-session-timeout-s", "6", *naming)
        command = [sys.executable, "-m", "nextclick", *words, *lean, *options]
        trainer = Worker.of(command, tmp_path / f"trainer-{next(numbers)}.log", port)
        started.append(trainer)
        return trainer

    yield start
    for trainer in started:
        trainer.resume()
        trainer.stop(grace_s=30)


def decisions(registry: Registry) -> list[dict[str, object]]:
    file = Path(registry.url) / ".trainer" / "decisions.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def whole_versions(registry: Registry) -> list[str]:
    """The versions, each of them looked at."""
    found = registry.versions()
    for version in found:
        load_bundle(registry.fetch(version))
    return found


def in_force(worker: Worker) -> bool:
    return [one["in_force"] for one in worker.health().get("experiments", ())] == [True]


def assert_labels(lists: Lists, experiment: Experiment) -> None:
    """Whoever takes part has the variant's model, whatever is live; the others have what was live then."""
    for found in lists.all:
        variant = experiment.variant_of(found.session_id)
        if variant is not None:
            assert (found.experiment, found.variant, found.model) == ("two", variant.name, variant.version)
        else:
            assert (found.experiment, found.variant) == ("", "default")
            assert found.model in ("1", "3")
    assert {one.model for one in lists.all} == {"1", "2", "3"}


def await_state(trainer: Worker, state: str, deadline_s: float = 60.0) -> None:
    wait_for(f"a trainer that is {state}", lambda: trainer.health().get("state") == state, deadline_s, every_s=0.1)


def test_once_reads_the_topic_trains_and_the_workers_serve_it(
    topics: str,
    registry: Registry,
    naming: tuple[str, ...],
    clicked: Callable[..., int],
    start_worker: StartWorker,
) -> None:
    worker = start_worker(topics)
    sent = clicked(400)
    where = ("--bootstrap-servers", topics, "--registry", registry.url, *naming, *LEAN)
    done = cli("trainer", "--once", *where, "--json", timeout_s=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["version"], found["clicks"], found["gate"]["passed"]) == ("1", sent, True)
    assert found["gate"]["baselines"].keys() == {"popularity"}
    worker.await_model("1")
    assert registry.live() == "1"
    lineage = registry.manifest("1").lineage
    assert lineage is not None
    assert lineage.refit is not None
    assert sum(lineage.window["next_offsets"].values()) >= sent

    more = clicked(300, first=1_000)
    again = cli("trainer", "--once", *where, NO_REFIT, "--json", timeout_s=PATIENCE_S)
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout.splitlines()[-1])
    assert (found["version"], found["clicks"]) == ("2", sent + more), "no click twice, none lost"
    worker.await_model("2")


def test_killed_leader_under_traffic_is_succeeded_and_one_version_comes_of_the_cycle(
    topics: str,
    names: Topics,
    registry: Registry,
    compared: Experiment,
    clicked: Callable[..., int],
    storefront: Storefront,
    lists: Lists,
    start_trainer: StartTrainer,
    start_worker: StartWorker,
) -> None:
    worker = start_worker(topics)
    worker.await_model("1")
    wait_for("the experiment", lambda: in_force(worker), 30)
    first = start_trainer("--every", "1h")
    await_state(first, "reading")
    second = start_trainer("--every", "1h")
    await_state(second, "standby")  # before there is anything to train on: a training takes a second
    with Flow(storefront, rate=50, sessions=100, items=ITEMS) as flow:
        sent = clicked(400, begin=now_ms() + 60_000)  # the newest, on which candidates are judged
        first.await_log("train:", PATIENCE_S)
        first.kill()
        assert whole_versions(registry) == ["1", "2"]
        wait_for("a version", lambda: len(registry.versions()) > 2, PATIENCE_S)
        assert whole_versions(registry) == ["1", "2", "3"]
        wait_for("the decision", lambda: decisions(registry), 30)
        worker.await_model("3")
        flow.confirmed(50)
    assert [(one["outcome"], one["version"]) for one in decisions(registry)] == [("published", "3")]
    assert registry.live() == "3"
    total = sent + len(storefront.sent)
    wait_for("all clicks to be stored, once each", lambda: second.health()["clicks"] >= total, 30)
    health = second.health()
    assert (health["version"], health["clicks"]) == ("3", total)
    assert second.metric("nextclick_trainer_leads") == 1
    lists.await_answers(storefront.sent)
    assert_labels(lists, compared)


def test_leader_stopped_past_its_time_publishes_nothing_beside_its_successor_and_fresh_versions_when_it_leads_again(
    registry: Registry, clicked: Callable[..., int], start_trainer: StartTrainer
) -> None:
    first = start_trainer("--every", "1h", "--fresh-every", "1s", "--gate-sessions", "1")
    await_state(first, "reading")
    first.pause()
    second = start_trainer("--every", "1h")
    clicked(400)
    wait_for("a version", registry.versions, PATIENCE_S)
    wait_for("the decision", lambda: decisions(registry), 30)
    first.resume()
    await_state(first, "standby", PATIENCE_S)
    assert whole_versions(registry) == ["1"]
    assert len(decisions(registry)) == 1
    assert second.health()["state"] != "standby", "who leads goes on leading when another comes back"
    second.stop()
    wait_for("the first to lead again", lambda: first.health().get("state") == "reading", PATIENCE_S)
    assert whole_versions(registry) == ["1"], "nothing is new"

    clicked(200, first=5_000)
    wait_for("a fresh version", lambda: len(registry.versions()) > 1, PATIENCE_S)
    lineage = registry.manifest("2").lineage
    assert lineage is not None
    assert (lineage.mode, lineage.parent) == ("fresh", "1")
    assert first.health()["reasons"] == []
