"""The inference thread: ranks what waits, all of it in one run of the graph.

A run costs a few milliseconds however little is in it, as all weights are read. Under light traffic the batches of
several partitions are small and arrive together; ranked one after another, the last one would wait for all the others.
What one turn of the event loop submits is handed over at its end, as the thread would begin with the first batch alone;
or once it is enough for a run, as under backlog the next batch is prepared while this one is ranked.
The thread takes what waits by itself, so that it does not stand still while the event loop is busy.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NamedTuple

from stream.ops.futures import fail
from stream.path.answers import Answer
from stream.path.commit import Prepared

__all__ = ["Inference", "RankTogether", "Ranked"]


_ENOUGH = 256  # clicks; a run of them takes longer than to prepare as many
_FEW = 3  # runs; a single one that lost its core for a moment says nothing of the next
_SLEPT_S = 1.0  # in which the whole process did nothing, though a run was on: it was stopped


class Ranked(NamedTuple):
    """What the inference thread hands back for one batch."""

    answers: list[Answer]
    model: str  # of those that no experiment's variant gave
    seconds: float  # of the run that the batch was part of
    at: float = math.inf  # of the monotonic clock, when it was over; long ago where the process slept meanwhile


RankTogether = Callable[[Sequence[Prepared]], tuple[list[list[Answer]], str]]
_Job = tuple[Prepared, "asyncio.Future[Ranked]"]


class Inference:
    """Used from one event loop; `rank` is called in the thread, never twice at a time."""

    def __init__(self, rank: RankTogether) -> None:
        """`rank` returns the answers of each batch, in order, and the version of the live model."""
        self._rank = rank
        self.run_s = 0.0  # how long runs take now: the shortest of the last few; may be read in any thread
        self.over_at = 0.0  # of the monotonic clock, when the run in work will be, by that; may be read in any thread
        self._last: deque[float] = deque([0.0], maxlen=_FEW)
        self._turn: list[_Job] = []  # submitted in this turn of the loop
        self._waiting: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        """Start the thread; its results come to the loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def submit(self, prepared: Prepared) -> "asyncio.Future[Ranked]":
        """The answers to a batch, when they are there; the future raises what `rank` raised."""
        future: asyncio.Future[Ranked] = self._loop.create_future()
        if not self._turn:
            self._loop.call_soon(self._hand_over)
        self._turn.append((prepared, future))
        if sum(len(job.batch.records) for job, _ in self._turn) >= _ENOUGH:
            self._hand_over()
        return future

    def _hand_over(self) -> None:
        jobs, self._turn = self._turn, []
        if jobs:  # it may have been enough before the turn was over
            self._waiting.put(jobs)

    def stop(self) -> None:
        """End the thread after the run in work, which is not waited for; what waits is not ranked."""
        self._waiting.put(None)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            jobs = list(first)
            while not self._waiting.empty():  # this thread is the only one that takes
                more = self._waiting.get()
                if more is None:
                    return
                jobs += more
            self._rank_jobs(jobs)

    def _rank_jobs(self, jobs: list[_Job]) -> None:
        started, worked = time.perf_counter(), time.process_time()
        self.over_at = time.monotonic() + self.run_s
        try:
            answers, model = self._rank([prepared for prepared, _ in jobs])
        except BaseException as error:
            self._hand_back(jobs, error)
            return
        seconds = time.perf_counter() - started
        self._last.append(seconds)
        self.run_s = min(self._last)
        slept = seconds - (time.process_time() - worked) > _SLEPT_S
        at = -math.inf if slept else time.monotonic()
        self._hand_back(jobs, [Ranked(one, model, seconds, at) for one in answers])

    def _hand_back(self, jobs: list[_Job], outcome: list[Ranked] | BaseException) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle, jobs, outcome)
        except RuntimeError:  # the loop is closed: the worker has ended
            self._waiting.put(None)


def _settle(jobs: list[_Job], outcome: list[Ranked] | BaseException) -> None:
    for number, (_, future) in enumerate(jobs):
        if future.cancelled():
            continue
        if isinstance(outcome, BaseException):
            fail(future, outcome)
        else:
            future.set_result(outcome[number])
