"""The whole demo, small: trainer, worker and shoppers as a user gets them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from demo.config import DemoConfig
from demo.process import Stop
from demo.refresh import RefreshConfig
from demo.run import Demo, run_demo
from demo.training import TrainerConfig

pytestmark = pytest.mark.slow

pytest.importorskip("torch", reason="the demo trains: install nextclick[train]")
ROOT = Path(__file__).parents[2]
SMALL = DemoConfig(
    seconds=3.0,
    live=False,
    items=200,
    history_sessions=3_000,
    clicks_per_s=100.0,
    trainer=TrainerConfig(epochs=1, max_seconds=10.0),
    refresh=RefreshConfig(first_after_s=1.0, max_seconds=2.0, history_sessions=500, min_sessions=10),
    linger_s=1.0,
)


def processes_of(folder: Path) -> list[str]:
    """Command lines that name `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.mark.timeout(240)
def test_run_demo_answers_every_click_and_serves_two_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = threading.active_count()
    result = run_demo(SMALL)
    assert result.clicks == result.answered > 100
    assert result.models == ["1", "2"]
    assert result.hit_rate.model is not None
    assert result.hit_rate.popularity is not None
    assert result.hit_rate.model > result.hit_rate.popularity
    assert result.p50_ms is not None
    assert result.p99_ms is not None
    assert 0.0 < result.p50_ms <= result.p99_ms
    assert list(tmp_path.iterdir()) == []  # temporary files are gone
    assert processes_of(tmp_path) == []  # and so are the children
    assert threading.active_count() <= before + 1
    assert "model 2 is in service" in capfd.readouterr().err


def test_demo_beyond_its_seconds_waits_for_the_fresh_model_for_a_while_and_says_so_once(tmp_path: Path) -> None:
    demo = Demo(DemoConfig(seconds=10.0, refresh_grace_s=50.0, linger_s=2.0, items=50), tmp_path, "nowhere", Stop())
    assert [demo._is_over(seconds, None) for seconds in (9.0, 10.0, 59.0, 60.0)] == [False, False, False, True]
    assert demo._events == ["10 s are over; shopping goes on until the fresh model serves, 50 s at most"]
    assert [demo._is_over(seconds, 8.0) for seconds in (9.9, 10.0)] == [False, True], "seen in time: ends in time"
    assert [demo._is_over(seconds, 20.0) for seconds in (21.9, 22.0)] == [False, True]
    assert len(demo._events) == 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_demo_interrupted_in_training_ends_with_the_figures_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "nextclick", "demo", "--json"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not any(" train " in line for line in processes_of(tmp_path)):
            assert time.monotonic() < deadline, "the trainer did not start"
            time.sleep(0.05)
        time.sleep(1.0)
        demo.send_signal(number)
        out, err = demo.communicate(timeout=45)
    finally:
        demo.kill()
    assert demo.returncode == 0, err
    found = json.loads(out.splitlines()[-1])
    assert (found["clicks"], found["answered"], found["models"]) == (0, 0, [])
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []
