"""Workers made to hang for real, each in a process of its own: each ends by itself, and says why."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.brokers.process import tail, wait_for
from bench.rig.workers import Worker
from stream.config import StreamConfig
from stream.ops.startup import worker_topics
from stream.ops.watchdog import EXIT_STUCK

pytestmark = pytest.mark.slow

PATIENCE_S = 3

# A worker that falls ill a second after its first list, in the way it is told
MAIN = """
import asyncio, logging, sys, time
import stream.worker as worker
from stream.config import StreamConfig
from tests.stream.records import EchoRanker


illness = sys.argv[2]
logging.basicConfig(level="INFO", stream=sys.stderr)

class Ranker(EchoRanker):
    def rank_items(self, sessions, k, exclude=None):
        if illness == "ranker" and any("hang" in items for items in sessions):
            time.sleep(10_000)
        return super().rank_items(sessions, k, exclude)

class Sick(worker.Worker):
    async def serve(self, stop):
        asyncio.get_running_loop().create_task(self.fall_ill())
        return await super().serve(stop)

    async def fall_ill(self):
        while not self.metrics.recommendations._value.get():
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        print("ill now", file=sys.stderr, flush=True)
        self._watchdog._patience_s = float(sys.argv[3])  # a busy machine may start slowly: only now it is short
        self._watchdog._grace_s = float(sys.argv[3])
        if illness == "loop":
            time.sleep(10_000)
        elif illness == "fetch task":
            async def die(intake):
                raise asyncio.CancelledError
            self._app.consumer._drain_once = die
        elif illness == "fetch thread":
            self._app.consumer._thread.thread_loop.call_soon_threadsafe(time.sleep, 10_000)

worker.Worker = Sick
config = StreamConfig(bootstrap_servers=sys.argv[1], registry="nowhere", web_port=0,
                      broker_session_timeout_s=6, broker_heartbeat_s=1, delivery_timeout_s=5)
sys.exit(worker.run_worker(config, ranker=Ranker()))
"""


@pytest.fixture
def broker() -> Iterator[InProcessBroker]:
    broker = InProcessBroker()
    broker.start()
    worker_topics(StreamConfig(bootstrap_servers=broker.bootstrap, registry="nowhere"))
    yield broker
    broker.close()


@pytest.mark.parametrize(
    ("illness", "words", "codes"),
    [
        ("loop", "the event loop has stood still", {EXIT_STUCK}),
        ("fetch task", "the fetch loop has stood still", {1, EXIT_STUCK}),
        ("fetch thread", "the fetch loop has stood still", {1, EXIT_STUCK}),
        ("ranker", "clicks wait, but none was finished", {1, EXIT_STUCK}),
    ],
)
def test_worker_stuck_ends_by_itself_with_the_reason(
    broker: InProcessBroker, tmp_path: Path, illness: str, words: str, codes: set[int]
) -> None:
    log = tmp_path / "worker.log"
    producer = Producer({"bootstrap.servers": broker.bootstrap, "partitioner": "murmur2_random"})

    def click(item: str) -> None:
        value = {"session_id": "s", "item_id": item, "ts": int(time.time() * 1000)}
        producer.produce("clicks", json.dumps(value).encode(), b"s")
        assert producer.flush(10) == 0

    command = [sys.executable, "-c", MAIN, broker.bootstrap, illness, str(PATIENCE_S)]
    worker = Worker.of(command, log)
    try:
        click("1")
        wait_for("the worker to fall ill", lambda: "ill now" in log.read_text(), 120)
        begun = time.monotonic()
        if illness == "ranker":  # a click that came in before the fetch loop fell ill may be a reason before that is
            click("hang")
        code = worker.process.wait(90)
    finally:
        worker.stop(grace_s=0)
    assert words in log.read_text(), tail(log)
    assert code in codes, tail(log)
    assert time.monotonic() - begun > PATIENCE_S / 2, "it was given time"
