"""One cycle in a process of its own: the service stays small and answers, and the kernel gives the workers the cores.

Parent and child speak in JSON lines. To the child: the task, then an answer to each question. From it:
    {"say": {"stage": ..., "message": ...}}      what happens
    {"progress": {"done": .4, "epoch": 1, ...}}  how far the weights are learned, twice a second at most
    {"ask": "may_publish"}                       whether this trainer still leads; {"answer": true}
    {"result": {...}} or {"error": "...", "kind": "DataError", "code": 2}
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from export.errors import NextclickError
from export.garbage import uncollected
from export.log_lines import in_json, use_json_lines
from export.registry.registry import Registry
from model.evaluate.metrics import MAIN, SECOND, label
from model.reports.progress import Progress
from model.trainer.config import TrainerConfig
from model.trainer.health import TrainingProgress
from model.trainer.kept.journal import OpenCycle

__all__ = ["Child", "Ended", "Task", "main", "tell_of"]

_ROOT = Path(__file__).parents[2]
_DEATH = 1  # PR_SET_PDEATHSIG
_TERM_S = 20.0  # for a checkpoint to be written


class Task(msgspec.Struct, frozen=True):
    """What the child is told."""

    config: TrainerConfig
    cycle: OpenCycle
    items: str = ""  # file of what the shop says about its items; empty: nothing is known of them


class Ended(msgspec.Struct, frozen=True):
    """What came of a cycle."""

    version: str | None = None
    gate: dict[str, Any] = {}
    checkpoints: str | None = None  # folder of the weights that were published, below the cycle's
    refitted: bool = False
    why_not_refitted: str = ""
    seconds: float = 0.0
    mlflow: str = ""  # why MLflow did not keep all of it
    mlflow_lost: int = 0  # records
    error: str = ""  # why it failed
    kind: str = ""  # of error
    code: int = 1  # exit code of a command that fails so


class Child:
    """The process. `say` and `progress` hear of what happens, in a thread; `may_publish` is asked there too."""

    def __init__(
        self,
        task: Task,
        *,
        say: Callable[[str, str], None],
        may_publish: Callable[[], bool],
        nice: int,
        progress: Callable[[TrainingProgress], None] = lambda _: None,
    ) -> None:
        self._say, self._progress, self._may_publish = say, progress, may_publish
        path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
        environment = {**os.environ, "PYTHONPATH": path, "OMP_WAIT_POLICY": "PASSIVE"}  # waits without a core
        self._process = subprocess.Popen(
            [sys.executable, "-m", "model.trainer.child", str(nice), str(os.getpid()), "json" if in_json() else "text"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is the service's, which ends it in order
        )
        self._ended: SimpleQueue[Ended] = SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(task,), name="cycle", daemon=True)
        self._thread.start()

    def poll(self, timeout_s: float = 0.0) -> Ended | None:
        """What came of the cycle; None while it runs."""
        try:
            return self._ended.get(timeout=timeout_s) if timeout_s else self._ended.get_nowait()
        except Empty:
            return None

    def stop(self) -> None:
        """End it, with a checkpoint if there is time for one."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(_TERM_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(5.0)

    def _read(self, task: Task) -> None:
        process = self._process
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018
        ended: Ended | None = None
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._send(msgspec.to_builtins(task))
            for line in process.stdout:
                try:
                    message = msgspec.json.decode(line)
                except msgspec.MsgspecError:  # a library that prints
                    continue
                if "say" in message:
                    self._say(message["say"]["stage"], message["say"]["message"])
                elif "progress" in message:
                    self._progress(msgspec.convert(message["progress"], TrainingProgress))
                elif "ask" in message:
                    self._send({"answer": self._may_publish()})
                elif "result" in message:
                    ended = msgspec.convert(message["result"], Ended)
                elif "error" in message:
                    ended = msgspec.convert(message, Ended)
        code = process.wait()
        self._ended.put(ended or Ended(error=f"the training process ended with {code}", kind="Killed"))

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(message) + b"\n")
        self._process.stdin.flush()


def main() -> int:
    """The child: the task from stdin, the outcome to stdout."""
    nice, parent = int(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3] == "json":  # as the service has its own lines
        logging.basicConfig(level=logging.WARNING)
        use_json_lines()
    _die_with(parent)
    os.nice(nice)
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    try:
        ended = _run(task)
    except NextclickError as error:
        _tell({"error": str(error), "kind": type(error).__name__, "code": error.exit_code})
        return 1
    except Exception as error:
        _tell({"error": f"{type(error).__name__}: {error}", "kind": type(error).__name__, "code": 1})
        raise
    _tell({"result": msgspec.to_builtins(ended)})
    return 0


def _run(task: Task) -> Ended:
    from model.machine.openmp import spin_briefly

    spin_briefly()
    with uncollected(stays=True):
        from model.cycle.cycle import run_cycle
        from model.cycle.request import CycleRequest
        from model.data.readers import KINDS, POSITIVES
        from model.errors import DataError
        from model.presets import preset
        from model.settings import read_settings, with_settings
        from model.trainer.cycle_run import CycleRun
        from model.trainer.kept.files import open_files
        from model.trainer.kept.store import ClickStore
        from model.trainer.kept.window import read_window, said_of_window

    config, cycle = task.config, task.cycle

    store = ClickStore(open_files(config.store))
    chosen = with_settings(preset(config.preset), read_settings(config.settings)).override(
        threads=config.threads, seed=config.seed, max_seconds=config.max_seconds
    )
    if config.codes is not None:
        chosen = replace(chosen, codes=config.codes, tower=None)
    kinds = frozenset(KINDS) if chosen.feedback else POSITIVES
    raw = read_window(store, cycle.parts, window_ms=config.window_ms, gap_ms=config.gap_ms, kinds=kinds)
    within = said_of_window(raw.clicks, store.newest.total, config.window_ms)
    _tell({"say": {"stage": "read", "message": within}})
    work = Path(config.work)
    parent = work / cycle.parent if cycle.parent and (work / cycle.parent).is_dir() else None
    request = CycleRequest(
        cycle=cycle.cycle,
        raw=raw,
        mode=cycle.mode if parent is not None else "full",  # the checkpoints may lie on another machine
        preset=chosen,
        registry=Registry(config.registry),
        folder=work / cycle.cycle,
        variant=config.variant,
        parent=parent,
        parent_version=cycle.parent_version,
        since_ts=cycle.since_ts,
        min_support=config.min_support,
        gate=config.gate,
        refit=config.refit,
        fresh=config.fresh,
        scoring="exact" if config.exact else "auto",
        window={"until_ts": cycle.until_ts, "next_offsets": cycle.next_offsets, "parts": len(cycle.parts)},
        may_publish=_ask_parent,
        items=Path(task.items) if task.items else None,
    )
    run = CycleRun(config, request, tell_of)
    with run.ending():
        try:
            result = run_cycle(request, run.on_progress)
        except DataError as error:
            raise DataError(f"{error} ({within})") from error
    tracked = run.ended(result)
    return Ended(
        version=result.version,
        gate=result.gate.to_json(),
        checkpoints=None if result.checkpoints is None else str(result.checkpoints.relative_to(work)),
        refitted=result.refitted,
        why_not_refitted=result.why_not_refitted,
        seconds=result.seconds,
        mlflow=tracked.error,
        mlflow_lost=tracked.lost,
    )


def tell_of(report: Progress) -> None:
    """Pass on what has words, and how far a training is."""
    message = report.message or _said_of(report)
    if message:
        _tell({"say": {"stage": report.stage, "message": message}})
    elif report.stage == "train" and report.steps:
        _tell({"progress": msgspec.to_builtins(TrainingProgress.of(report))})


def _said_of(report: Progress) -> str:
    """The words for a validation's figures."""
    figures = report.metrics if report.stage == "validate" else {}
    return ", ".join(f"{label(name)} {figures[name]:.3f}" for name in (MAIN, SECOND) if name in figures)


def _ask_parent() -> bool:
    _tell({"ask": "may_publish"})
    return bool(msgspec.json.decode(sys.stdin.buffer.readline() or b"{}").get("answer", False))


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def _die_with(parent: int) -> None:
    """A trainer that is killed leaves no training behind that nobody waits for."""
    with contextlib.suppress(OSError, AttributeError):  # not Linux: the pipe that breaks ends it later
        ctypes.CDLL(None).prctl(_DEATH, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
