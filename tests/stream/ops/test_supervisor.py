"""Who is started again and when, and how all end; with small programs in the place of workers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export.cores import usable_cores
from export.errors import ConfigError
from stream.ops.supervisor import Backoff, SupervisorConfig, _end_with, supervise

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
Eventually = Callable[[Callable[[], bool], str], None]

# Notes its life in a file of its own, then does what it is told
CHILD = """
import os, pathlib, signal, sys, time
folder, does = pathlib.Path(sys.argv[1]), sys.argv[2]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0 if does != "stubborn" else 7))
(folder / f"{os.getpid()}").write_text(" ".join(sys.argv[3:]))
if does == "wrong input" or (does == "wrong input, but first works" and len(list(folder.iterdir())) > 1):
    sys.exit(2)
if does == "wrong input, but first works":
    sys.exit(0)
if does == "fails":
    sys.exit(1)
for _ in range(600):  # a signal just before a long sleep would be handled behind it
    time.sleep(0.1)
"""

MAIN = """
import logging, sys
from stream.ops.supervisor import SupervisorConfig, supervise

logging.basicConfig(level="INFO")
sys.exit(supervise(sys.argv[2:], SupervisorConfig(processes=int(sys.argv[1]), web_port=0)))
"""


class Place:
    """A supervisor on a thread of the test."""

    def __init__(self, folder: Path, does: str, processes: int = 2) -> None:
        self.folder = folder
        self.code: int | None = None
        self.stop: Any = SimpleNamespace(event=threading.Event())
        command = [sys.executable, "-c", CHILD, str(folder), does]
        config = SupervisorConfig(processes=processes, web_port=9000)

        def run() -> None:
            self.code = supervise(command, config, self.stop)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def started(self) -> set[int]:
        """The processes there were so far."""
        return {int(path.name) for path in self.folder.iterdir() if path.read_text()}

    def end(self) -> int | None:
        self.stop.event.set()
        return self.ended()

    def ended(self) -> int | None:
        self._thread.join(30)
        return self.code


def test_supervise_killed_worker_is_started_again_and_the_other_goes_on(tmp_path: Path, eventually: Eventually) -> None:
    place = Place(tmp_path, "works")
    eventually(lambda: len(place.started()) == 2, "two workers")
    victim, other = sorted(place.started())
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(place.started()) == 3, "a third worker")
    os.kill(other, 0)
    assert place.end() == 0
    for pid in place.started():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_supervise_gives_each_worker_its_port_and_share_of_the_cores(tmp_path: Path, eventually: Eventually) -> None:
    place = Place(tmp_path, "works", processes=3)
    eventually(lambda: len(place.started()) == 3, "three workers")
    share = max(1, usable_cores() // 3)
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == [
        f"--processes 0 --web-port {9000 + number} --threads {share}" for number in range(3)
    ]
    assert place.end() == 0


def test_worker_whose_supervisor_ended_before_the_kernel_was_told_never_begins() -> None:
    somebody_else = partial(_end_with, os.getppid())
    assert subprocess.run(["true"], preexec_fn=somebody_else, check=False).returncode == -signal.SIGTERM
    assert subprocess.run(["true"], preexec_fn=partial(_end_with, os.getpid()), check=False).returncode == 0


def test_supervise_worker_told_wrong_things_ends_all_with_its_code(tmp_path: Path) -> None:
    place = Place(tmp_path, "wrong input")
    assert place.ended() == 2
    assert len(place.started()) <= 2


def test_supervise_worker_that_has_worked_and_is_told_wrong_things_later_is_tried_again(
    tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.ops.supervisor._STEADY_S", 0.0)  # every life is long enough
    place = Place(tmp_path, "wrong input, but first works", processes=1)
    eventually(lambda: len(place.started()) == 3, "two more attempts")
    assert place.code is None
    place.end()


def test_supervise_failing_worker_is_tried_again_after_pauses(tmp_path: Path, eventually: Eventually) -> None:
    begun = time.monotonic()
    place = Place(tmp_path, "fails", processes=1)
    eventually(lambda: len(place.started()) == 3, "three attempts")
    assert time.monotonic() - begun >= 3.0, "a second before the second, two before the third"
    place.end()


def test_supervise_worker_that_does_not_end_orderly_is_told_by_the_exit_code(
    tmp_path: Path, eventually: Eventually
) -> None:
    place = Place(tmp_path, "stubborn")
    eventually(lambda: len(place.started()) == 2, "two workers")
    assert place.end() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_supervise_signal_ends_the_workers_and_then_itself(
    tmp_path: Path, eventually: Eventually, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", MAIN, "2", sys.executable, "-c", CHILD, str(tmp_path), "works"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        eventually(lambda: sum(bool(path.read_text()) for path in tmp_path.iterdir()) == 2, "two workers")
        process.send_signal(number)
        assert process.wait(20) == 0
    assert not [path for path in tmp_path.iterdir() if alive(int(path.name))]


def test_supervise_killed_itself_leaves_no_worker_behind(tmp_path: Path, eventually: Eventually) -> None:
    command = [sys.executable, "-c", MAIN, "2", sys.executable, "-c", CHILD, str(tmp_path), "works"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        eventually(lambda: sum(bool(path.read_text()) for path in tmp_path.iterdir()) == 2, "two workers")
        process.kill()
        process.wait(20)
    eventually(lambda: not [path for path in tmp_path.iterdir() if alive(int(path.name))], "the workers to end")


def test_backoff_doubles_up_to_half_a_minute_and_forgets_after_a_good_one() -> None:
    backoff = Backoff()
    assert [backoff.after(0.5) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff.after(61.0) == 0
    assert backoff.after(3.0) == 1


def test_supervisor_config_refuses_ports_that_do_not_exist() -> None:
    with pytest.raises(ConfigError, match="web ports"):
        SupervisorConfig(processes=3, web_port=65_534)
    with pytest.raises(ConfigError, match="at least one"):
        SupervisorConfig(processes=0)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
