"""What each button runs, and what it refuses."""

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from demo.errors import DemoError
from demo.hits import HitCounter
from demo.page import actions
from demo.page.actions import Actions, Refused
from demo.system import System
from demo.trainer import TrainerService
from demo.workers import Workers


class Bench:
    """Actions whose commands print what they are told to."""

    def __init__(self, folder: Path) -> None:
        self.ran: list[list[str]] = []
        self.says = "{}"
        self.system = System("b:1", folder / "registry", folder, ["i1", "i2"], hits=HitCounter())
        self.actions = Actions(lambda: self.system, self._run)
        self.where = ["--bootstrap-servers", "b:1"]
        self.stored = ["--registry", str(folder / "registry")]

    def _run(self, name: str, args: list[str], folder: Path) -> str:
        self.ran.append(args)
        return self.says

    def do(self, button: str, **given: Any) -> dict[str, str]:
        return self.actions.do(button, given)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(actions, "versions_of", lambda _: {"versions": [{"version": "2"}, {"version": "1"}]})
    return Bench(tmp_path)


def test_promote_and_rollback_are_the_commands_that_anybody_would_run(bench: Bench) -> None:
    done = bench.do("promote", version="2")
    assert bench.ran == [["models", "promote", "2", *bench.where, *bench.stored, "--json"]]
    assert done["command"].startswith("nextclick models promote 2 --bootstrap-servers b:1 --registry ")
    bench.says = '{"version": "1"}'
    assert bench.do("rollback")["text"] == "version 1 is live again"


@pytest.mark.parametrize("version", ["3", "../1", "", None, 2, "1 --json"])
def test_version_that_there_is_not_is_refused(bench: Bench, version: object) -> None:
    with pytest.raises(Refused):
        bench.do("promote", version=version)
    assert bench.ran == []


def test_experiment_compares_two_versions_and_is_the_one_whose_hits_are_told(bench: Bench) -> None:
    bench.do("experiment-start", control="1", challenger="2")
    assert bench.ran[0][:7] == [
        *("experiment", "start", "from-the-page-1", "--variant", "control=1:50", "--variant", "challenger=2:50"),
    ]
    assert bench.system.hits is not None
    assert bench.system.hits.experiment == "from-the-page-1"
    bench.do("experiment-stop", name="from-the-page-1", promote="challenger")
    assert bench.ran[1][:5] == ["experiment", "stop", "from-the-page-1", "--promote", "challenger"]
    bench.do("experiment-start", control="2", challenger="1")
    assert bench.ran[2][2] == "from-the-page-2", "one that ran before is not begun again"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("experiment-start", {"control": "1", "challenger": "1"}),
        ("experiment-start", {"control": "1"}),
        ("experiment-stop", {}),
        ("experiment-stop", {"name": "--help"}),
        ("experiment-stop", {"name": "a", "promote": "--registry"}),
        ("item", {"item": "i9"}),
        ("item", {"item": ["i1"]}),
        ("kill", {"worker": 0}),
        ("train", {}),
        ("reformat", {}),
    ],
)
def test_what_makes_no_sense_or_is_not_there_yet_is_refused(bench: Bench, name: str, given: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        bench.do(name, **given)
    assert bench.ran == []


def test_item_is_switched_off_and_on_again(bench: Bench) -> None:
    bench.do("item", item="i1")
    assert bench.actions.off == {"i1"}
    bench.do("item", item="i1", available=True)
    assert [args[:4] for args in bench.ran] == [
        ["items", "set", "i1", "--unavailable"],
        ["items", "set", "i1", "--available"],
    ]
    assert bench.actions.off == set()


def test_train_now_is_a_signal_to_the_trainer(bench: Bench) -> None:
    sent: list[signal.Signals] = []
    child = SimpleNamespace(running=True, pid=42, signal=sent.append)
    bench.system.trainer = cast("TrainerService", SimpleNamespace(child=child))
    assert bench.do("train")["command"] == "kill -USR1 42"
    assert sent == [signal.SIGUSR1]


def test_kill_says_which_processes(bench: Bench) -> None:
    workers = SimpleNamespace(places=lambda: [SimpleNamespace()], kill=lambda number: (7 + number, 8))
    bench.system.workers = cast("Workers", workers)
    assert bench.do("kill", worker=0) == {
        "command": "kill -KILL 7",
        "text": "process 7 is dead; process 8 starts in its place, from the state in the topics",
    }
    for number in (1, -1, "0", None):
        with pytest.raises(Refused):
            bench.do("kill", worker=number)


def test_command_that_fails_says_why(bench: Bench) -> None:
    bench.says = "no JSON"
    with pytest.raises(DemoError, match="printed no JSON"):
        bench.do("rollback")
