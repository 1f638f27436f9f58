"""One worker in a process of its own, on the in-process cluster: from a click to a list, and over a crash.

What needs a real broker (two workers, rebalances, restarts of the broker) is in tests/integration.
"""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from bench.rig.brokers.in_process import InProcessBroker
from export.bundle.bundle import Bundle
from export.ranking.ranker import Ranker, RankerConfig
from stream.config import StreamConfig
from stream.errors import BrokerUnavailable, TopicError
from stream.messages.contract import Recommendation, decode_recommendation
from stream.ops.startup import worker_topics
from stream.partition.session import SessionState, decode_state
from stream.path.policy import PolicyConfig
from stream.worker import Worker, run_worker
from tests.export.conftest import bundle  # noqa: F401  # the fixture
from tests.stream.records import EchoRanker

ROOT = Path(__file__).parents[2]
PARTITIONS = range(4)
READY_S = 40.0

MAIN = """
import logging, sys
from stream.config import StreamConfig
from stream.worker import run_worker
from tests.stream.records import EchoRanker
logging.basicConfig(level="INFO", stream=sys.stderr)
config = StreamConfig(bootstrap_servers=sys.argv[1], registry="nowhere", web_port=int(sys.argv[2]),
                      broker_session_timeout_s=6, broker_heartbeat_s=1, delivery_timeout_s=5)
sys.exit(run_worker(config, ranker=EchoRanker()))
"""


class Workplace:
    """An in-process cluster, and the worker that runs on it."""

    def __init__(self, log: Path) -> None:
        self.broker = InProcessBroker()
        self.broker.start()
        self.log = log
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.producer = Producer({"bootstrap.servers": self.broker.bootstrap, "partitioner": "murmur2_random"})
        worker_topics(StreamConfig(bootstrap_servers=self.broker.bootstrap, registry="nowhere"))

    def start(self) -> None:
        """Start the worker and wait until it is ready."""
        command = [sys.executable, "-c", MAIN, self.broker.bootstrap, "0"]
        written = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})
        deadline = time.monotonic() + READY_S
        while not self.health(written).get("ready"):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def health(self, written: int = 0) -> dict[str, Any]:
        lines = self.log.read_bytes()[written:].decode().splitlines() if self.log.exists() else []
        address = next((line.rpartition("http://")[2] for line in lines if "health and metrics" in line), None)
        if address is None:
            return {}
        self.address = address
        try:
            return json.loads(self.get("/health"))  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            return json.loads(error.read())  # type: ignore[no-any-return]
        except OSError:
            return {}

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(40)

    def click(self, session: str, item: str, **more: object) -> None:
        value = {"session_id": session, "item_id": item, "ts": int(time.time() * 1000), **more}
        self.producer.produce("clicks", json.dumps(value).encode(), session.encode())

    def flush(self) -> None:
        assert self.producer.flush(10) == 0

    def read(self, topic: str) -> list[Message]:
        """All messages of a topic."""
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": "reader"})
        ends = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), 10)[1] for n in PARTITIONS}
        consumer.assign([TopicPartition(topic, n, 0) for n in PARTITIONS])
        messages: list[Message] = []
        while len(messages) < sum(ends.values()):
            messages += consumer.consume(1000, 1)
        consumer.close()
        return messages

    def lists(self) -> dict[str, Recommendation]:
        """The last list of each session."""
        found = (decode_recommendation(message.value() or b"") for message in self.read("recommendations"))
        return {recommendation.session_id: recommendation for recommendation in found}

    def states(self) -> dict[str, SessionState]:
        rows = {message.key(): message.value() for message in self.read("nextclick-sessions-changelog")}
        return {(key or b"").decode(): decode_state(row or b"") for key, row in rows.items()}

    def answered(self, items: dict[str, str]) -> dict[str, Recommendation]:
        """The lists, once each session's newest item is first in its own."""
        deadline = time.monotonic() + 30
        while True:
            lists = self.lists()
            if all(s in lists and lists[s].items and lists[s].items[0].item_id == items[s] for s in items):
                return lists
            assert time.monotonic() < deadline, f"unanswered; the worker says: {self.log.read_text()}"
            time.sleep(0.1)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.broker.close()


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path / "worker.log")
    yield place
    place.close()


@pytest.mark.slow
def test_worker_with_good_and_bad_clicks_answers_or_rejects_each(workplace: Workplace) -> None:
    workplace.start()
    for number in range(200):
        workplace.click(f"s{number % 20}", f"i{number}")
    workplace.click("poisoned", "poison")
    workplace.producer.produce("clicks", b"\xff", b"k", headers=[("mine", b"1")])
    workplace.producer.produce("clicks", b"{}", None)
    workplace.flush()
    lists = workplace.answered({f"s{n}": f"i{180 + n}" for n in range(20)})
    newest = lists["s3"]
    assert [item.item_id for item in newest.items] == [f"i{n}" for n in range(183, -1, -20)]
    assert (newest.model, newest.fallback, newest.source.topic) == ("7", False, "clicks")
    assert "poisoned" not in lists
    rejected = [dict(message.headers() or []) for message in workplace.read("clicks.rejected")]
    assert sorted(h["reason"] for h in rejected) == [b"missing_session_id", b"not_utf8", b"ranking_failed"]
    assert workplace.end(signal.SIGTERM) == 0
    assert workplace.states()["s3"].items == tuple(f"i{n}" for n in range(3, 200, 20))


@pytest.mark.slow
def test_worker_reports_partitions_lag_and_figures(workplace: Workplace) -> None:
    workplace.start()
    workplace.click("a", "1")
    workplace.flush()
    workplace.answered({"a": "1"})
    health = workplace.health()
    assert (health["model"], health["partitions"]) == ("7", [0, 1, 2, 3])
    metrics = workplace.get("/metrics")
    assert "nextclick_clicks_total 1.0" in metrics
    assert "nextclick_recommendations_total 1.0" in metrics


@pytest.mark.slow
def test_worker_killed_in_flow_and_restarted_keeps_every_state_and_answers_every_click(workplace: Workplace) -> None:
    workplace.start()
    for number in range(3000):
        workplace.click(f"s{number % 50}", f"i{number}")
        if number == 1500:
            workplace.flush()
            workplace.end(signal.SIGKILL)
    workplace.flush()
    workplace.start()
    lists = workplace.answered({f"s{n}": f"i{2950 + n}" for n in range(50)})
    states = workplace.states()
    for n in range(50):
        assert states[f"s{n}"].items == tuple(f"i{number}" for number in range(n, 3000, 50))[-50:]
        assert lists[f"s{n}"].source.offset == states[f"s{n}"].offset


@pytest.mark.slow
def test_worker_asked_to_end_twice_ends_orderly_and_the_next_repeats_nothing(workplace: Workplace) -> None:
    workplace.start()
    for number in range(100):
        workplace.click(f"s{number}", "i")
    workplace.flush()
    workplace.answered({f"s{n}": "i" for n in range(100)})
    assert workplace.process is not None
    workplace.process.send_signal(signal.SIGINT)
    assert workplace.end(signal.SIGTERM) == 0
    published = len(workplace.read("recommendations"))
    workplace.start()
    workplace.click("new", "j")
    workplace.flush()
    workplace.answered({"new": "j"})
    assert len(workplace.read("recommendations")) == published + 1


@pytest.mark.slow
def test_worker_under_clients_that_pipeline_metrics_and_read_nothing_answers_and_ends_at_once(
    workplace: Workplace,
) -> None:
    workplace.start()
    host, _, port = workplace.address.rpartition(":")
    with Pipelining(host, int(port)):
        for number in range(400):
            workplace.click(f"s{number % 20}", f"i{number}")
        workplace.flush()
        workplace.answered({f"s{n}": f"i{380 + n}" for n in range(20)})
        begun = time.monotonic()
        assert workplace.end(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 15, "the end waits for no client of /metrics"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process is set on Linux only")
def test_worker_out_of_file_descriptors_says_so_in_few_lines_and_goes_on(workplace: Workplace) -> None:
    workplace.start()
    assert workplace.process is not None
    pid = workplace.process.pid
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 8, hard))
    host, _, port = workplace.address.rpartition(":")
    with Pipelining(host, int(port)):
        idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(40)]
        deadline = time.monotonic() + 30
        while "ulimit -n" not in workplace.log.read_text():
            assert time.monotonic() < deadline, workplace.log.read_text()
            time.sleep(0.1)
        workplace.click("a", "1")
        workplace.flush()
        workplace.answered({"a": "1"})
    for client in idle:
        client.close()
    assert len(workplace.log.read_text().splitlines()) < 500
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert workplace.end(signal.SIGTERM) == 0


class Pipelining:
    """Sixty clients that ask for /metrics as fast as they can and read nothing; who is closed comes again."""

    def __init__(self, host: str, port: int) -> None:
        self._address, self._stopped = (host, port), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        clients: dict[int, socket.socket | None] = dict.fromkeys(range(60))
        while not self._stopped.wait(0.01):
            for number, client in clients.items():
                clients[number] = self._send(client)
        for client in filter(None, clients.values()):
            client.close()

    def _send(self, client: socket.socket | None) -> socket.socket | None:
        try:
            if client is None:
                client = socket.create_connection(self._address, timeout=1)
                client.setblocking(False)
            client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        except BlockingIOError:
            return client
        except OSError:
            if client is not None:
                client.close()
            return None
        return client


@pytest.mark.slow
def test_run_worker_with_a_web_port_in_use_fails_with_the_reason(workplace: Workplace) -> None:
    workplace.start()
    port = workplace.address.rpartition(":")[2]
    command = [sys.executable, "-c", MAIN, workplace.broker.bootstrap, port]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    assert b"can't listen" in done.stderr


@pytest.mark.waits
def test_run_worker_broker_goes_away_again_while_it_starts_waits_on(
    monkeypatch: pytest.MonkeyPatch, workplace: Workplace
) -> None:
    looks = iter([BrokerUnavailable("gone again"), TopicError("no clicks")])

    def look(config: StreamConfig) -> None:
        raise next(looks)

    monkeypatch.setattr("stream.ops.startup.worker_topics", look)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own handlers stay
    with pytest.raises(TopicError):
        run_worker(StreamConfig(bootstrap_servers=workplace.broker.bootstrap, registry="none"), ranker=EchoRanker())


def test_run_worker_without_a_registry_says_so_before_it_looks_for_a_broker(tmp_path: Path) -> None:
    from export.errors import RegistryMissing

    with pytest.raises(RegistryMissing):
        run_worker(StreamConfig(bootstrap_servers="127.0.0.1:1", registry=str(tmp_path / "none")))


def test_worker_counts_blocked_items_that_a_loaded_model_does_not_know(
    tmp_path: Path,
    bundle: Bundle,  # noqa: F811
) -> None:
    (tmp_path / "blocked.txt").write_text("item-1\nitem-01\n")
    policy = PolicyConfig(blocked_items=tmp_path / "blocked.txt")
    config = StreamConfig(bootstrap_servers="127.0.0.1:1", registry="nowhere", policy=policy)

    async def unknown() -> float | None:
        worker = Worker(config)
        worker._on_model(Ranker(bundle, RankerConfig(threads=1, warm_up=False)))
        return worker.metrics.registry.get_sample_value("nextclick_blocked_items_unknown")

    assert asyncio.run(unknown()) == 1
