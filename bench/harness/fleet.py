"""Workers under a supervisor that starts a new one for each that ends, as an operator's would."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from random import Random

from bench.rig.brokers.process import tail, wait_for
from bench.rig.workers import Worker

__all__ = ["Fleet", "Member"]

_LOOK_S = 0.05
_BROKER_GONE = "the broker went away while the worker started"  # a worker may end of that, and is started again

_WRONG_INPUT = 2  # exit code of a worker that cannot run on the topics as they are
_LOST = re.compile(r"(\d+) clicks of clicks-(\d+) were removed by retention .*\(offsets (\d+) to (\d+)\)")

StartWorker = Callable[[Path, tuple[str, ...]], Worker]


class Member:
    """A place in the fleet: the worker that fills it now, and the options of the next one."""

    def __init__(self, worker: Worker, options: tuple[str, ...] = ()) -> None:
        self.worker = worker
        self.options = options
        self.leaving = False  # not to be replaced
        self.told = False  # asked or made to end
        self.paused = False


class Fleet:
    """`start` makes a worker that logs to a path; it is called by the supervisor's thread only."""

    def __init__(self, start: StartWorker, folder: Path, size: int) -> None:
        self._start, self._folder = start, folder
        self._numbers = itertools.count(1)
        self._members: list[Member] = []
        self._logs: dict[Path, int] = {}  # read up to here
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.wanted = size
        self.restarts = 0
        self.extra: tuple[str, ...] = ()  # options of every worker that is started from now on
        self.excused: tuple[str, ...] = ()  # words in the log of a worker that may end with exit code 2
        self.crashes: list[str] = []  # workers that ended without having been told
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def size(self) -> int:
        """How many workers there are to be."""
        return self.wanted

    def kill(self, random: Random) -> str:
        """SIGKILL one; another takes its place."""
        member = self._victim(random)
        member.told = True
        member.worker.kill()
        return member.worker.log.stem

    def terminate(self, random: Random, *, options: tuple[str, ...] = (), leave: bool = False) -> str:
        """SIGTERM one; another with `options` takes its place, unless it is to leave."""
        member = self._victim(random)
        member.told, member.options = True, options
        if leave:
            self.wanted -= 1
            member.leaving = True
        member.worker.process.terminate()
        return member.worker.log.stem

    def grow(self) -> None:
        """One worker more."""
        self.wanted += 1

    def pause(self, random: Random) -> Member:
        """SIGSTOP one."""
        member = self._victim(random)
        member.paused = True
        member.worker.pause()
        return member

    def resume(self, member: Member) -> None:
        """SIGCONT it."""
        member.worker.resume()
        member.paused = False

    def await_ready(self, model: str, partitions: int, deadline_s: float) -> None:
        """Return when every worker answers by `model` and all partitions are read; DeadlineExceeded otherwise."""

        def ready() -> bool:
            members = [one for one in self._alive() if not one.leaving]
            if len(members) != self.wanted:
                return False
            told = [member.worker.health() for member in members]
            read = [partition for health in told for partition in health.get("partitions", ())]
            same = all(health["ready"] and health.get("model") == model for health in told)
            return same and sorted(read) == list(range(partitions))

        wait_for(f"{self.wanted} workers to be ready with model {model}", ready, deadline_s, every_s=0.1)

    def running(self, *, untold: bool = False) -> list[Worker]:
        """Those that run now; `untold`: of them, those that were not told to end."""
        return [member.worker for member in self._alive() if not (untold and member.told)]

    @property
    def frozen(self) -> bool:
        """Whether one of them is paused."""
        return any(member.paused for member in self._alive())

    def pause_all(self) -> list[Member]:
        """SIGSTOP every one."""
        members = self._alive()
        for member in members:
            member.paused = True
            member.worker.pause()
        return members

    def losses(self) -> list[tuple[int, int, int, int]]:
        """What the logs say of clicks that were removed unread: how many, their partition, first and last offset."""
        found = (_LOST.finditer(path.read_text(errors="replace")) for path in list(self._logs))
        return [tuple(map(int, one.groups())) for matches in found for one in matches]  # type: ignore[misc]

    def said(self, words: str, since: Collection[Path] = ()) -> bool:
        """Whether these words are in a worker's log that is not among `since`."""
        return any(words in path.read_text(errors="replace") for path in list(self._logs) if path not in since)

    @property
    def logs(self) -> set[Path]:
        """Of all workers so far."""
        return set(self._logs)

    def describe(self) -> str:
        """What /health says of each worker."""
        return "; ".join(f"{one.worker.log.stem}: {one.worker.health()}" for one in self._alive())

    def tracebacks(self) -> list[str]:
        """Which logs hold a traceback that was not reported before."""
        found: list[str] = []
        for path, read in list(self._logs.items()):
            text = path.read_bytes()[read:]
            self._logs[path] = read + len(text)
            if b"Traceback" in text:
                found.append(f"{path.stem}: {text[text.index(b'Traceback') :][:3000].decode(errors='replace')}")
        return found

    def close(self) -> None:
        """End every worker."""
        self._ended.set()
        self._thread.join()
        for member in self._members:
            if member.paused:
                member.worker.resume()
            member.worker.process.terminate()
        for member in self._members:
            member.worker.stop(grace_s=20)

    def _alive(self) -> list[Member]:
        with self._lock:
            return [member for member in self._members if member.worker.process.poll() is None]

    def _victim(self, random: Random) -> Member:
        """One that runs and was not told anything yet; waits for one if it must."""

        def free() -> list[Member]:
            return [member for member in self._alive() if not (member.told or member.paused)]

        return random.choice(wait_for("a worker that runs", free, 60))

    def _supervise(self) -> None:
        while not self._ended.wait(_LOOK_S):
            for member in [one for one in self._members if one.worker.process.poll() is not None]:
                self._note_end(member)
                with self._lock:
                    self._members.remove(member)
                if not member.leaving:
                    self._add(member.options)
                    self.restarts += 1
            while len([one for one in self._members if not one.leaving]) < self.wanted and not self._ended.is_set():
                self._add(())

    def _note_end(self, member: Member) -> None:
        code, log = member.worker.process.returncode, member.worker.log
        if not member.told:
            text = log.read_text(errors="replace")
            refused = code == _WRONG_INPUT and any(words in text for words in self.excused)
            if _BROKER_GONE not in text and not refused:
                self.crashes.append(f"{log.stem} ended with {code}:\n{tail(log, 15)}")
        elif member.leaving and code != 0 and log.stat().st_size:  # a process that has not begun ends by the signal
            self.crashes.append(f"{log.stem} was asked to end, and did with {code}:\n{tail(log, 15)}")

    def _add(self, options: tuple[str, ...]) -> None:
        path = self._folder / f"worker-{next(self._numbers)}.log"
        self._logs[path] = 0
        member = Member(self._start(path, (*options, *self.extra)), options)
        with self._lock:
            self._members.append(member)
