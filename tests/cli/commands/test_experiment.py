"""`experiment`: what it announces, what it refuses before, and what it prints."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

import nextclick
from bench.rig.brokers.in_process import InProcessBroker
from export.bundle.bundle import Bundle
from export.experiments.experiment import Experiment, Variant
from export.registry.registry import Registry
from stream.experiments.lifecycle import Announced
from stream.messages.announcements import AnnouncementReader, announce_experiment
from stream.messages.contract import ModelAnnouncement
from tests.export.conftest import bundle  # noqa: F401  # the fixture

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, dict[str, Any], str]]
TWO = ("--variant", "control=1:50", "--variant", "challenger=2:50")


@pytest.fixture
def cluster() -> Iterator[str]:
    broker = InProcessBroker()
    broker.start()
    yield broker.bootstrap
    broker.close()


@pytest.fixture
def registry(tmp_path: Path, bundle: Bundle) -> Registry:  # noqa: F811
    made = Registry(tmp_path / "registry")
    made.create()
    for _ in range(2):
        made.publish(bundle.path)
    made.promote("1")
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cluster: str, registry: Registry) -> Run:
    """Run `experiment`: its exit code, its last line of JSON, and what it said."""

    def command(*words: str, where: bool = True) -> tuple[int, dict[str, Any], str]:
        there = ("--registry", registry.url) if where and words[0] in ("start", "stop") else ()
        monkeypatch.setattr(
            sys, "argv", ["nextclick", "experiment", *words, *there, "--bootstrap-servers", cluster, "--json"]
        )
        with pytest.raises(SystemExit) as ended:
            nextclick.main()
        found = capsys.readouterr()
        lines = found.out.splitlines()
        return int(ended.value.code or 0), json.loads(lines[-1]) if lines else {}, found.err

    return command


def announced(cluster: str) -> dict[str, Experiment]:
    return Announced(cluster).read()


@pytest.fixture(autouse=True)
def topic(cluster: str) -> None:
    """The in-process cluster makes a topic when it is first asked for."""
    AdminClient({"bootstrap.servers": cluster}).list_topics("models", timeout=10)


def test_start_announces_versions_with_place_and_hash(run: Run, cluster: str, registry: Registry) -> None:
    code, told, _ = run("start", "new", *TWO, "--exposure", "10")
    assert code == 0
    assert (told["experiment"], told["state"], told["exposure"], told["warnings"]) == ("new", "running", 10, [])
    assert told["variants"]["challenger"] == {"version": "2", "share": 50, "stopped": ""}
    found = announced(cluster)["new"]
    assert (found.exposure, found.interleave) == (1_000, False)
    assert found.variants == (
        Variant("control", "1", registry.uri("1"), registry.manifest_sha256("1"), 5_000),
        Variant("challenger", "2", registry.uri("2"), registry.manifest_sha256("2"), 5_000),
    )
    assert found.started_ts == found.announced_ts > 1_700_000_000_000


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("new", "--variant", "a=1:50", "--variant", "b=9:50"), 2, "no version 9"),
        (("new", "--variant", "a=1:50", "--variant", "b=2:49"), 2, "must make 100 %"),
        (("new", "--variant", "a=1:50", "--variant", "a=2:50"), 2, "a name of its own"),
        (("new", "--variant", "a=1"), 2, "two variants or more"),
        (("new", *TWO, "--exposure", "0"), 2, "above 0"),
        (("a b", *TWO), 2, "no name of an experiment"),
        (("new", *TWO, "--variant", "c=live:1", "--interleave"), 2, "two variants are interleaved"),
    ],
)
def test_start_of_what_can_not_be_is_refused_and_nothing_announced(
    run: Run, cluster: str, words: tuple[str, ...], code: int, said: str
) -> None:
    found, _, error = run("start", *words)
    assert (found, said in error) == (code, True), error
    assert announced(cluster) == {}


def test_start_of_a_damaged_version_is_refused(run: Run, cluster: str, registry: Registry) -> None:
    graph = registry.fetch("2") / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    code, _, error = run("start", "new", *TWO)
    assert (code, "variant challenger: version 2" in error, announced(cluster)) == (1, True, {})


def test_start_of_a_name_that_runs_or_ran_is_refused_unless_again_is_said(run: Run, cluster: str) -> None:
    assert run("start", "new", *TWO)[0] == 0
    code, _, error = run("start", "new", *TWO, "--again")
    assert (code, "runs already" in error) == (2, True)
    assert run("stop", "new")[0] == 0
    code, _, error = run("start", "new", *TWO)
    assert (code, "the same sessions are exposed" in error) == (2, True)
    assert announced(cluster)["new"].state == "stopped"
    assert run("start", "new", *TWO, "--again")[0] == 0
    assert announced(cluster)["new"].state == "running"


def test_start_beside_another_says_what_that_leaves_of_the_exposure(run: Run) -> None:
    assert run("start", "first", *TWO, "--exposure", "60")[2] == ""
    _, told, error = run("start", "second", *TWO, "--exposure", "50")
    assert "first (60 %)" in error
    assert "about 20 % do" in told["warnings"][0]


def test_list_has_all_and_status_those_that_run(run: Run) -> None:
    run("start", "first", *TWO)
    run("start", "second", "--variant", "a=live", "--variant", "b=2", "--interleave")
    run("stop", "first", "--reason", "seen enough")
    told = run("list")[1]["experiments"]
    assert [(one["experiment"], one["state"], one["reason"]) for one in told] == [
        ("first", "stopped", "seen enough"),
        ("second", "running", ""),
    ]
    assert [one["experiment"] for one in run("status")[1]["experiments"]] == ["second"]
    one = run("status", "second")[1]
    assert (one["interleave"], one["variants"]["a"]) == (True, {"version": "", "share": 50, "stopped": ""})
    assert run("status", "third")[0] == 2


def test_stop_and_promote_makes_the_variant_live_for_everybody(run: Run, cluster: str, registry: Registry) -> None:
    run("start", "new", *TWO)
    code, told, _ = run("stop", "new", "--promote", "challenger")
    assert (code, told["promoted"], told["state"]) == (0, "2", "stopped")
    assert registry.live() == "2"
    assert announced(cluster)["new"].reason == "variant challenger was promoted"
    reader, heard = AnnouncementReader(cluster), []
    while not reader.caught_up:
        heard.append(reader.read(0.2))
    reader.close()
    assert [one.version for one in heard if isinstance(one, ModelAnnouncement)] == ["2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none",), "those that run: new"),
        (("new", "--promote", "winner"), "has no variant winner; it has control, challenger"),
    ],
)
def test_stop_of_what_is_not_there_is_refused_and_all_stays(
    run: Run, cluster: str, registry: Registry, words: tuple[str, ...], said: str
) -> None:
    run("start", "new", *TWO)
    code, _, error = run("stop", *words)
    assert (code, said in error) == (2, True), error
    assert (announced(cluster)["new"].state, registry.live()) == ("running", "1")


def test_stop_twice_is_refused_and_promote_needs_a_registry(run: Run) -> None:
    run("start", "new", *TWO)
    code, _, error = run("stop", "new", "--promote", "challenger", where=False)
    assert (code, "--registry" in error) == (2, True)
    run("stop", "new")
    code, _, error = run("stop", "new")
    assert (code, "stopped already" in error) == (2, True)


def test_stop_promoting_what_is_live_anyway_says_so(run: Run, registry: Registry) -> None:
    run("start", "new", "--variant", "a=live:50", "--variant", "b=2:50")
    code, told, error = run("stop", "new", "--promote", "a")
    assert (code, told["promoted"], registry.live()) == (0, None, "1")
    assert "nothing was to be promoted" in error


def test_messages_that_are_no_experiments_are_said_and_the_others_shown(run: Run, cluster: str) -> None:
    announce_experiment(cluster, Experiment("new", (Variant("a", share=5_000), Variant("b", share=5_000))))
    producer = Producer({"bootstrap.servers": cluster})
    producer.produce("models", b"{", b"experiment:other")
    assert producer.flush(10) == 0
    _, told, error = run("list")
    assert [one["experiment"] for one in told["experiments"]] == ["new"]
    assert "1 messages were left out" in error


def test_tables_for_people_name_the_variants(
    run: Run, cluster: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("start", "new", *TWO, "--exposure", "12.5")
    for words in (("list",), ("status", "new"), ("status",)):
        monkeypatch.setattr(sys, "argv", ["nextclick", "experiment", *words, "--bootstrap-servers", cluster])
        with pytest.raises(SystemExit) as ended:
            nextclick.main()
        assert not ended.value.code
        shown = capsys.readouterr().out
        assert all(word in shown for word in ("new", "running", "12.5 %", "control", "challenger"))
