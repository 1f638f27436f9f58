"""Ten times more clicks than a worker can rank: they wait, sessions share lists, and every click is answered."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Lists, Storefront
from bench.rig.oracle import folded
from bench.rig.workers import Worker
from tests.integration.conftest import PARTITIONS

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

QUEUE, FETCH = 2048, 4096  # clicks: the bound, and what one fetch may bring beyond it
CLICKS, SESSIONS = 12_000, 400
A_LIST_S = 0.001  # so that a worker has 1,000 lists a second at most

# A worker whose lists are the session's own items, newest first, each after a while
MAIN = """
import logging, sys, time
from stream.config import StreamConfig
from stream.topic_names import Topics
from stream.worker import run_worker
from tests.stream.records import EchoRanker

class SlowRanker(EchoRanker):
    def rank_items(self, sessions, k, exclude=None):
        time.sleep(len(sessions) * float(sys.argv[4]))
        return super().rank_items(sessions, k, exclude)

logging.basicConfig(level="INFO", stream=sys.stderr)
config = StreamConfig(bootstrap_servers=sys.argv[1], registry="none", web_port=int(sys.argv[3]), group="workers",
                      topics=Topics.named(prefix=sys.argv[2]), queue_clicks=int(sys.argv[5]), max_batch=512)
sys.exit(run_worker(config, ranker=SlowRanker()))
"""


class Peaks(threading.Thread):
    """The greatest queue and lag seen until the block ends."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(daemon=True)
        self._worker, self._ended = worker, threading.Event()
        self.queue = self.lag = 0.0

    def run(self) -> None:
        while not self._ended.wait(0.05):
            self.queue = max(self.queue, self._worker.metric("nextclick_queue_clicks"))
            self.lag = max(self.lag, self._worker.metric("nextclick_lag_clicks"))

    def __enter__(self) -> Peaks:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


def test_burst_of_ten_times_the_capacity_is_answered_in_full_within_bounds(
    topics: str, storefront: Storefront, lists: Lists, prefix: str, tmp_path: Path
) -> None:
    port = free_port()
    command = [sys.executable, "-c", MAIN, topics, prefix, str(port), str(A_LIST_S), str(QUEUE)]
    worker = Worker.of(command, tmp_path / "slow.log", port)
    try:
        worker.await_ready(PARTITIONS)
        with Peaks(worker) as peaks:
            for number in range(CLICKS):
                storefront.click(f"s{number * 7919 % SESSIONS}", f"item-{number % 50}")
            storefront.flush()
            lists.await_answers(storefront.sent, deadline_s=120)
            wait_for("the lag to be gone", lambda: worker.metric("nextclick_lag_clicks") == 0)
        states = folded(storefront.sent)
        assert {name: [item.item_id for item in last.items] for name, last in lists.last.items()} == {
            name: list(reversed(state.items))[:20] for name, state in states.items()
        }
        assert peaks.lag > CLICKS / 10, "the burst was more than the worker could do at once"
        assert peaks.queue <= QUEUE + FETCH
        answered, coalesced = (
            worker.metric("nextclick_recommendations_total"),
            worker.metric("nextclick_coalesced_total"),
        )
        assert coalesced > 0
        assert answered + coalesced == worker.metric("nextclick_clicks_total") >= CLICKS
        assert worker.metric("nextclick_clicks_total") == CLICKS, "no click was read twice"
        assert worker.stop() == 0
    finally:
        worker.stop(grace_s=5)
