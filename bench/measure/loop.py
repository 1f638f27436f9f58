"""One open loop: clicks come at a fixed rate whatever becomes of them, and each is timed from the moment it was due."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.clicks import Click
from bench.measure.answers import Answers, wait_until_answered
from bench.measure.lists import Received, latencies
from bench.measure.load import Sent, send
from bench.measure.subscriber import Subscriber
from stream.topic_names import Topics

WARM_UP_S = 1.0  # of each loop, not counted
# At 1,000 a second, of each system, not counted: the broker's JVM compiles what it runs, and that is other code for
# each. After a third of them exactly once was slower by a third in its first loops than in its later ones
WARM_UP_CLICKS = 30_000
_READY_S = 120.0
_REST_S = 1.5  # for the last lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What became of the clicks that count."""

    sent: Sent  # N
    took: NDArray[np.float64]  # (N,) s from due to the list at a subscriber
    lists: Sequence[Received]  # of the whole loop
    load_cpu: float  # cores the load took, and the subscriber
    subscriber_cpu: float


def live(clicks: Sequence[Click]) -> Iterator[Click]:
    """The clicks over and over, each time of other sessions."""
    turn = 0
    while True:
        yield from ((f"live-{turn}-{session}", item, ts) for session, item, ts in clicks)
        turn += 1


def warm_up(
    bootstrap: str,
    source: Iterator[Click],
    running: Sequence[subprocess.Popen[bytes]],
    *,
    clicks: int = WARM_UP_CLICKS,
    topics: Topics = Topics(),
) -> None:
    """Return when the processes, and the broker, have answered enough clicks to be at their speed."""
    answers = Answers(bootstrap, topics.recommendations)
    try:
        sent = send(bootstrap, list(islice(source, clicks)), rate=1_000, topic=topics.clicks)
        wait_until_answered(answers, sent, running, _READY_S)
    finally:
        answers.close()


def open_loop(
    bootstrap: str,
    source: Iterator[Click],
    rate: float,
    seconds: float,
    folder: Path,
    *,
    at_start: Callable[[], object] = lambda: None,
    topics: Topics = Topics(),
) -> Loop:
    """`rate` clicks a second for so long. `at_start` is called before the first. RuntimeError where one has no list."""
    clicks = list(islice(source, int(rate * (seconds + WARM_UP_S))))
    with Subscriber(bootstrap, folder, topics.recommendations) as subscriber:
        at_start()
        before, began = _cpu_s(), time.monotonic()
        sent = send(bootstrap, clicks, rate=rate, topic=topics.clicks)
        load_cpu = (_cpu_s() - before) / (time.monotonic() - began)
        time.sleep(_REST_S)
    counted = sent[int(rate * WARM_UP_S) :]
    took = latencies(counted, subscriber.lists)
    if missing := int(np.isnan(took).sum()):
        raise RuntimeError(f"{missing} of {len(counted)} clicks at {rate:g}/s had no list after {_REST_S} s")
    return Loop(sent=counted, took=took, lists=subscriber.lists, load_cpu=load_cpu, subscriber_cpu=subscriber.cpu_share)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
