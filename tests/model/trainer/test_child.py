"""The process of a cycle: told what to do, asking before it publishes, and gone with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from export.bundle.bundle import load_bundle
from export.registry.registry import Registry
from model.cycle.config import GateConfig
from model.reports.progress import Progress
from model.trainer.child import Child, Ended, Task, tell_of
from model.trainer.config import TrainerConfig
from model.trainer.health import TrainingProgress
from model.trainer.kept.files import open_files
from model.trainer.kept.journal import OpenCycle
from model.trainer.kept.store import ClickStore
from tests.model.tiny import tiny_log

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def task(folder: Path, parts: list[str] | None = None) -> Task:
    Registry(folder / "registry").create()
    store = ClickStore(open_files(str(folder / "store")))
    log = tiny_log(150, longest=6)
    sessions = [session for session, length in enumerate(log.lengths.tolist()) for _ in range(length)]
    store.append(
        {
            "session_id": [f"s{session}" for session in sessions],
            "item_id": [f"i{item}" for item in log.items.tolist()],
            "timestamp": [1_700_000_000_000 + 20_000 * session + place for place, session in enumerate(sessions)],
            "type": ["click"] * len(sessions),
        }
    )
    config = TrainerConfig(
        registry=str(folder / "registry"),
        store=str(folder / "store"),
        work=str(folder / "work"),
        max_seconds=0.5,
        refit=None,
        exact=True,
        gate=GateConfig(baselines=()),
    )
    names = store.names(window_ms=config.window_ms)
    cycle = OpenCycle(
        cycle="c1", mode="full", why="asked", parts=names if parts is None else parts, until_ts=1, total=1
    )
    return Task(config, cycle)


def outcome(child: Child) -> Ended:
    ended = child.poll(120)
    child.stop()
    assert ended is not None
    return ended


def test_cycle_killed_and_then_out_of_lead_shows_no_version_and_is_gone_on_with(tmp_path: Path) -> None:
    """At which steps of a cycle a kill may come, test_cycle.py tries; this is of the process, killed twice."""
    asked, registry = task(tmp_path), Registry(tmp_path / "registry")
    said: list[str] = []
    leads: list[str] = []
    moments = ["train", "export"]

    def kill(stage: str, _: str) -> None:
        said.append(stage)
        if stage == moments[0]:
            child._process.send_signal(signal.SIGKILL)

    def may_publish() -> bool:
        leads.append("may publish")
        return True

    while moments:
        child = Child(asked, say=kill, may_publish=may_publish, nice=0)
        assert outcome(child).kind == "Killed"
        assert registry.versions() == []
        moments.pop(0)
    lost = outcome(Child(asked, say=lambda stage, _: said.append(stage), may_publish=lambda: False, nice=0))
    assert (lost.version, lost.kind) == (None, "LeadLost")
    assert registry.versions() == leads == []
    ended = outcome(Child(asked, say=lambda stage, _: said.append(stage), may_publish=may_publish, nice=5))
    assert (ended.version, ended.error, leads) == ("1", "", ["may publish"])
    assert ended.checkpoints == "c1/candidate"
    assert registry.versions() == ["1"]
    load_bundle(registry.fetch("1"))
    assert {"train", "gate", "publish"} <= set(said)


def test_reports_go_to_the_parent_as_words_or_as_progress(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    tell_of(Progress(stage="gate", message="the candidate passed"))
    tell_of(Progress(stage="train", epoch=1, epochs=2, step=3, steps=9, done=0.5, loss=2.0))
    tell_of(Progress(stage="validate", epoch=2, epochs=2, metrics={"recall@20": 0.5123, "mrr@20": 0.2}))
    said = [msgspec.json.decode(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert said[0] == {"say": {"stage": "gate", "message": "the candidate passed"}}
    assert msgspec.convert(said[1]["progress"], TrainingProgress).done == 0.5
    assert said[2] == {"say": {"stage": "validate", "message": "Recall@20 0.512, MRR@20 0.200"}}


def test_child_that_fails_says_why(tmp_path: Path) -> None:
    ended = outcome(Child(task(tmp_path, parts=[]), say=lambda *_: None, may_publish=lambda: True, nice=0))
    assert (ended.kind, ended.code) == ("DataError", 2)
    assert "no clicks yet" in ended.error


def test_child_whose_clicks_are_older_than_the_window_says_how_many_and_what_helps(tmp_path: Path) -> None:
    """As a log of last year beside the first clicks of today."""
    asked = task(tmp_path)
    store = ClickStore(open_files(str(tmp_path / "store")))
    newest: dict[str, list[Any]] = {
        "session_id": ["new"],
        "item_id": ["i1"],
        "timestamp": [1_800_000_000_000],
        "type": ["click"],
    }
    store.append(newest)
    cycle = msgspec.structs.replace(asked.cycle, parts=store.names(window_ms=asked.config.window_ms))
    ended = outcome(
        Child(msgspec.structs.replace(asked, cycle=cycle), say=lambda *_: None, may_publish=lambda: True, nice=0)
    )
    assert ended.kind == "DataError"
    assert f"learned from: 1 of {store.newest.total:,} clicks ever stored" in ended.error
    assert "--window" in ended.error


def test_child_that_is_killed_is_told(tmp_path: Path) -> None:
    child = Child(task(tmp_path), say=lambda *_: None, may_publish=lambda: True, nice=0)
    child._process.send_signal(signal.SIGKILL)
    assert outcome(child).kind == "Killed"


def test_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    program = (
        "import sys, time, subprocess; "
        "child = subprocess.Popen([sys.executable, '-m', 'model.trainer.child', '0', str(__import__('os').getpid())], "
        "stdin=subprocess.PIPE); print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(2.0)  # it has imported what it needs, and said with whom it dies
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if "Z" in Path(f"/proc/{child}/stat").read_text().split(")")[-1].split()[0]:
            return
        time.sleep(0.05)
    raise AssertionError("it lives on")
