"""How soon clicks are answered again after a start, a graceful stop and a kill -9, and what a live session costs.

    python -m bench.recovery [--sessions N] [--session-timeout-s T] [--json]

The changelog is filled with N sessions, then real workers come and go while one click every 10 ms goes to every
partition in turn. Of each event: how long the group took to rebalance (after a kill: once it had noticed), how long
the state took to recover, and the longest that a click of a partition that changed hands waited for its list.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.measure.bundles import publish_random
from bench.measure.cluster import broker
from bench.rig.brokers.process import start_process
from stream.kafka.topics import create_topics
from stream.messages.contract import encode
from stream.partition.session import SessionState, encode_state

PARTITIONS = 4
ITEMS = 1_000
CLICKS = 6  # of a session, on average, as in the published logs
EVERY_S = 0.01  # between two clicks
REPLICA = {"partitioner": "murmur2_random", "linger.ms": 20, "compression.type": "lz4", "log_level": 0}
LINE = re.compile(r"(\S+ \S+) INFO .*reading partitions \[.+?\]; (\d+) sessions; "
                  r"rebalanced in ([\d.]+) s, state recovered in ([\d.]+) s")  # fmt: skip


def fill(bootstrap: str, topic: str, sessions: int) -> int:
    """Write the rows of so many sessions to the changelog; the bytes of their keys and values."""
    rng, now, size = random.Random(0), int(time.time() * 1000), 0
    producer = Producer({"bootstrap.servers": bootstrap, **REPLICA, "queue.buffering.max.messages": 500_000})
    for number in range(sessions):
        clicks = min(1 + int(rng.expovariate(1 / (CLICKS - 0.5))), 50)
        items = tuple(f"item-{rng.randrange(ITEMS)}" for _ in range(clicks))
        times = tuple(range(0, 30_000 * clicks, 30_000))
        state = SessionState(1, -1, now, now - times[-1], items, "c" * clicks, times)
        key, row = f"session-{number:08d}".encode(), encode_state(state)
        size += len(key) + len(row)
        while True:
            try:
                producer.produce(topic, row, key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise RuntimeError("the changelog could not be filled")
    return size


class _Source(msgspec.Struct):
    partition: int
    offset: int


class _List(msgspec.Struct):
    source: _Source


class Shoppers:
    """Clicks every EVERY_S until the block ends, and when each of them was answered; times by time.time() (s)."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, **REPLICA, "linger.ms": 0})
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "bench-recovery", "fetch.wait.max.ms": 5}
        )
        self._consumer.assign([TopicPartition("recommendations", number, 0) for number in range(PARTITIONS)])
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._click, self._read)]
        self.sent: list[tuple[float, int, int]] = []  # when, partition, offset
        self.answered: list[tuple[float, int, int]] = []  # when, partition, up to this offset

    def __enter__(self) -> Shoppers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10)
        self._consumer.close()

    def first_answer_s(self, since: float, deadline_s: float = 90.0) -> float:
        """Seconds from `since` until every partition has answered a click sent after it."""
        return self._await(since, set(range(PARTITIONS)), deadline_s) - since

    def longest_wait_s(self, partitions: set[int], since: float, until: float, deadline_s: float = 90.0) -> float:
        """The longest that a click of `partitions`, sent from `since` to `until`, waited for its list."""
        self._await(until, partitions, deadline_s)
        answers = {number: [one for one in self.answered[:] if one[1] == number] for number in partitions}
        clicks = [one for one in self.sent[:] if since <= one[0] <= until and one[1] in partitions]
        return max(
            next(when for when, _, answered in answers[number] if answered >= offset) - sent
            for sent, number, offset in clicks
        )

    def _await(self, since: float, partitions: set[int], deadline_s: float) -> float:
        """When the last of `partitions` answered the first of its clicks sent after `since`."""
        end = time.time() + deadline_s
        while time.time() < end:
            firsts = [self._first_answer(since, partition) for partition in partitions]
            if all(firsts):
                return max(first or 0.0 for first in firsts)
            time.sleep(0.05)
        raise RuntimeError(f"no answer from partitions {sorted(partitions)} within {deadline_s:.0f} s")

    def _first_answer(self, since: float, partition: int) -> float | None:
        begin = next((offset for when, p, offset in self.sent[:] if when > since and p == partition), None)
        answers = (w for w, p, offset in self.answered[:] if p == partition and begin is not None and offset >= begin)
        return next((when for when in answers if when > since), None)

    def _click(self) -> None:
        number = 0
        while not self._ended.wait(EVERY_S):
            number, now = number + 1, time.time()
            session = f"probe-{number % 40}"
            click = {"session_id": session, "item_id": f"item-{number % ITEMS}", "ts": int(now * 1000)}

            def note(error: object, message: object, now: float = now) -> None:
                if error is None:
                    self.sent.append((now, message.partition(), message.offset()))  # type: ignore[attr-defined]

            self._producer.produce("clicks", encode(click), session.encode(), on_delivery=note)
            self._producer.poll(0)
        self._producer.flush(10)

    def _read(self) -> None:
        decode = msgspec.json.Decoder(_List).decode
        while not self._ended.is_set():
            message = self._consumer.poll(0.05)
            if message is not None and message.error() is None:
                source = decode(message.value() or b"").source
                self.answered.append((time.time(), source.partition, source.offset))


class Worker:
    """One `nextclick worker`, and what its log says of its rebalances."""

    def __init__(
        self, bootstrap: str, registry: Path, group: str, log: Path, session_timeout_s: float, *options: str
    ) -> None:
        self.log, self.started = log, time.time()
        command = [sys.executable, "-m", "nextclick", "worker", "--bootstrap-servers", bootstrap]
        command += ["--registry", str(registry), "--group", group, "--web-port", "0", "--threads", "1"]
        command += ["--broker-session-timeout-s", str(session_timeout_s), *options]
        with log.open("wb") as out:
            self.process = start_process(command, stdout=out, stderr=out)

    def line(self, pattern: str | re.Pattern[str], since: float = 0.0, deadline_s: float = 120.0) -> re.Match[str]:
        """The first line after `since` in which the pattern is found; its first group is the time."""
        end = time.time() + deadline_s
        while time.time() < end and self.process.poll() is None:
            for found in re.finditer(pattern, self.log.read_text()):
                if moment(found) >= since:
                    return found
            time.sleep(0.02)
        raise RuntimeError(f"not in the worker's log: {pattern}\n{self.log.read_text()[-2000:]}")

    @property
    def address(self) -> str:
        return self.line(r"(\S+ \S+) INFO .*health and metrics on (\S+)")[2]

    def partitions(self) -> set[int]:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
                return set(json.load(answer)["partitions"])
        except urllib.error.HTTPError:  # not ready
            return set()

    def await_partitions(self, count: int, deadline_s: float = 60.0) -> set[int]:
        end = time.time() + deadline_s
        while len(found := self.partitions()) != count:
            if time.time() > end:
                raise RuntimeError(f"{count} partitions wanted, {found} found")
            time.sleep(0.1)
        return found

    def rss_bytes(self) -> int:
        """Resident memory now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self, how: signal.Signals) -> float:
        """Send the signal; when."""
        when = time.time()
        self.process.send_signal(how)
        return when


def moment(found: re.Match[str]) -> float:
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S,%f").timestamp()


def rebalance(worker: Worker, since: float) -> dict[str, float]:
    found = worker.line(LINE, since)
    return {"rebalance_s": float(found[3]), "state_s": float(found[4])}


def hand_over(shoppers: Shoppers, leaving: Worker, staying: Worker, how: signal.Signals) -> dict[str, float]:
    """End a worker that has half of the partitions, and see the other one take them over."""
    moved = leaving.await_partitions(PARTITIONS // 2)
    staying.await_partitions(PARTITIONS // 2)
    ended = leaving.end(how)
    steps = rebalance(staying, ended)
    return {**steps, "longest_wait_s": shoppers.longest_wait_s(moved, ended - 0.5, time.time())}


def measure(bootstrap: str, registry: Path, folder: Path, sessions: int, timeout_s: float) -> dict[str, object]:
    """One worker on an empty group, then the events on a group of `sessions`."""
    for group in ("empty", "full"):
        create_topics(bootstrap, partitions=PARTITIONS, group=group)
    size = fill(bootstrap, "full-sessions-changelog", sessions)

    def start(name: str, group: str = "full") -> Worker:
        workers.append(Worker(bootstrap, registry, group, folder / f"{name}.log", timeout_s))
        return workers[-1]

    workers: list[Worker] = []
    try:
        with Shoppers(bootstrap) as shoppers:
            empty = start("empty", "empty")
            shoppers.first_answer_s(empty.started)
            empty_bytes = empty.rss_bytes()
            empty.end(signal.SIGTERM)
            empty.process.wait(30)
            first = start("first")
            answer_s = shoppers.first_answer_s(first.started)
            listening = moment(first.line(r"(\S+ \S+) INFO .*health and metrics on (\S+)"))
            cold = {"process_s": listening - first.started, **rebalance(first, 0), "first_answer_s": answer_s}
            full_bytes = first.rss_bytes()
            second = start("second")
            graceful = hand_over(shoppers, second, first, signal.SIGTERM)
            second.process.wait(30)
            killed = hand_over(shoppers, start("third"), first, signal.SIGKILL)
            killed["after_rebalance_began_s"] = killed["rebalance_s"] + killed["state_s"]
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
    return {
        "sessions": sessions,
        "row_bytes": round(size / sessions),
        "memory_bytes_a_session": round((full_bytes - empty_bytes) / sessions),
        "rss_empty_mb": round(empty_bytes / 1e6),
        "rss_mb": round(full_bytes / 1e6),
        "session_timeout_s": timeout_s,
        "start": rounded(cold),
        "graceful_stop_of_another": rounded(graceful),
        "kill_of_another": rounded(killed),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
    }


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--sessions", type=int, default=200_000)
    parser.add_argument(
        "--session-timeout-s", type=float, default=6.0, help="after which a killed worker counts as dead"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="nextclick-bench-") as name,
        broker(args.bootstrap_servers) as bootstrap,
    ):
        folder = Path(name)
        publish_random(folder / "registry", [f"item-{number}" for number in range(ITEMS)], folder)
        result = measure(bootstrap, folder / "registry", folder, args.sessions, args.session_timeout_s)
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
