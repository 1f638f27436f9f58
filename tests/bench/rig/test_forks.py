"""Forked processes are what started ones are, to who started them and to themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.rig import forks as module
from bench.rig.brokers.process import start_process, wait_for
from bench.rig.forks import Forks

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="prctl")]

ROOT = Path(__file__).parents[3]
NOBODY = ("worker", "--registry", "/nowhere", "--bootstrap-servers", "127.0.0.1:1")
SERVE = ("serve", "--bootstrap-servers", "127.0.0.1:1", "--web-port", "0")
SAYS = "tests.bench.rig.says"  # run in place of nextclick: what it finds


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "nextclick", *words]


def test_fork_finds_what_a_started_process_finds(forks: Forks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_SERVED", ("-m", SAYS))
    found = []
    for start in forks.start, start_process:
        process = start(
            [sys.executable, "-m", SAYS, "--an", "argument"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        found.append((json.loads(process.communicate()[0]), process.returncode))
    assert found[0] == found[1]
    assert found[0][0]["parent"] == os.getpid()
    assert found[0][1] == 7
    assert forks.forked


def test_output_and_exit_code_of_a_refused_command_are_the_same(forks: Forks) -> None:
    said = []
    for start in forks.start, start_process:
        process = start(command(*NOBODY), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said.append((process.communicate(), process.returncode))
    assert said[0] == said[1]
    assert said[0][1] == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_signal_ends_the_process_that_was_asked_for(forks: Forks, how: signal.Signals) -> None:
    process = forks.start(command(*SERVE), stderr=subprocess.DEVNULL)
    assert process.poll() is None
    process.send_signal(how)
    assert process.wait(30) in (-how, 0)
    assert not Path(f"/proc/{process.pid}").exists()


def test_fork_ends_with_the_process_that_asked_for_it() -> None:
    program = (
        "import subprocess, sys; from bench.rig.forks import Forks\n"
        f"process = Forks().start({command(*SERVE)!r}, stderr=subprocess.DEVNULL)\n"
        "print(process.pid, flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as asking:
        assert asking.stdout is not None
        forked = Path(f"/proc/{int(asking.stdout.readline())}")
        assert forked.exists()
        asking.kill()
    wait_for("the fork to end", lambda: not _runs(forked))


def test_fork_whose_parent_ended_before_the_kernel_was_told_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([77, 1])  # it ends between the two calls
    told = []
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(module, "_prctl", lambda *given: told.append(given))
    monkeypatch.setattr(os, "_exit", _Exit.raised)
    with pytest.raises(_Exit, match="1"):
        module._end_with(77)
    assert len(told) == 1


class _Exit(Exception):  # in place of the end of this process
    @classmethod
    def raised(cls, code: int) -> None:
        raise cls(code)


def _runs(process: Path) -> bool:
    """Whether this folder of /proc is of a process that has not ended, or that only nobody has asked for its end."""
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_other_programs_and_environments_are_started_for_real(forks: Forks) -> None:
    before = forks.forked
    for words, environment in (
        ([sys.executable, "-c", "pass"], dict(os.environ)),
        (command("--version"), {**os.environ, "FAUST_LOOP": "aio"}),
    ):
        assert forks.start(words, env=environment, stdout=subprocess.DEVNULL).wait(60) == 0
    assert forks.forked == before


@pytest.mark.parametrize("name", ["TMPDIR", "TESTCONTAINERS_RYUK_DISABLED"])
def test_what_the_rig_sets_on_its_way_is_forked_still(forks: Forks, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = forks.forked
    monkeypatch.setenv(name, "set since the server began")
    assert forks.start(command("--version"), stdout=subprocess.DEVNULL).wait(60) == 0
    assert forks.forked == before + 1


def test_fork_after_the_server_was_killed_is_of_another(forks: Forks, capfd: pytest.CaptureFixture[str]) -> None:
    said = []
    before = forks.forked
    for _ in range(2):
        process = forks.start(command("--version"), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        said.append((process.communicate()[0], process.returncode))
        assert forks._server is not None
        forks._server.kill()
        forks._server.wait()
    assert forks.forked == before + 2
    assert said[0] == said[1]
    assert b"nextclick" in said[0][0]
    assert "ended with -9; another begins" in capfd.readouterr().err
