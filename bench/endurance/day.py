"""A day's clicks through a trainer and a scoreboard: whether memory and disk stay flat, and how long a cycle takes.

    python -m bench.endurance.day [--clicks N] [--items V] [--window-mb MB] [--train-seconds S] [--whole] [--json]

N clicks, whose times spread over a day, are sent as fast as the broker takes them, each with the list that a worker
would have published. `nextclick trainer` stores them, `--window-mb` at most, and learns twice: at a third of the day,
and half a day later. `nextclick scoreboard` counts them. Both are sampled each second: their peaks, and what they grew
in the second half of the day (a line through it); the store must end within its bound. `--whole` then gives all N
clicks to a new `trainer --once`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.costs.polite import EASY
from bench.endurance.clicks_of_a_day import DAY_S, Day, send_day
from bench.endurance.footprint import Footprint, children_mb, folder_mb, rss_mb
from bench.endurance.memory import growth_mb
from bench.measure.cluster import PARTITIONS, broker
from bench.rig.brokers.process import free_port
from bench.rig.workers import Worker
from stream.kafka.topics import create_topics

NICKED = 0.1  # of its peak that a series may grow by in the second half, and be called flat
LEAST_MB = 10.0  # or so much: what an allocator takes and gives
SETTLED_S = 30.0  # after the last cycle: the store is bounded every 10 s
TELL_S = 60.0  # between two lines of how far it is
PATIENCE_S = 1_800.0  # without progress, before it is given up

progress = Console(stderr=True)


class Reader:
    """A process that reads the day, and when it was done with it."""

    def __init__(self, worker: Worker, count: Callable[[Worker], float]) -> None:
        self.worker, self._count = worker, count
        self.begun = time.monotonic()
        self.ended: float | None = None
        self.read = 0

    def look(self, clicks: int) -> bool:
        """Whether it has read all."""
        if self.worker.process.poll() is not None:
            raise RuntimeError(f"it ended:\n{self.worker.log.read_text()[-3000:]}")
        with contextlib.suppress(OSError, AssertionError):  # it does not listen yet, or is busy
            self.read = max(self.read, int(self._count(self.worker)))
        if self.ended is None and self.read >= clicks:
            self.ended = time.monotonic()
        return self.ended is not None


def start_trainer(bootstrap: str, folder: Path, args: argparse.Namespace) -> Worker:
    port = free_port()
    when = ["--min-sessions", str(args.clicks // 6), "--after-clicks", str(args.clicks // 2), "--every", "30d"]
    words = [*trainer_words(bootstrap, folder, args), *when, "--window-mb", str(args.window_mb), "--flush-s", "10"]
    return Worker.of([*words, "--web-port", str(port)], folder / "trainer.log", port)


def trainer_words(bootstrap: str, folder: Path, args: argparse.Namespace) -> list[str]:
    """`nextclick trainer` with a registry, clicks and checkpoints below a folder."""
    where = ["--registry", str(folder / "registry"), "--store", str(folder / "store"), "--work", str(folder / "work")]
    model = ["--preset", args.preset, "--max-seconds", str(args.train_seconds), *EASY]
    base = [sys.executable, "-m", "nextclick", "trainer", "--bootstrap-servers", bootstrap]
    return [*base, *where, *model]


def start_scoreboard(bootstrap: str, folder: Path) -> Worker:
    port = free_port()
    words = ["--bootstrap-servers", bootstrap, "--state", str(folder / "scores"), "--web-port", str(port)]
    command = [sys.executable, "-m", "nextclick", "scoreboard", *words]
    return Worker.of(command, folder / "scoreboard.log", port)


def whole(bootstrap: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """All clicks of the topic by a trainer that begins with them."""
    command = [*trainer_words(bootstrap, folder, args), "--once", "--window-mb", "100000", "--json"]
    folder.mkdir()
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        probes = {"service": partial(rss_mb, process.pid), "training": partial(children_mb, process.pid)}
        with Footprint(probes) as footprint:
            said = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"trainer --once ended with {process.returncode}")
    took, found = time.monotonic() - begun, json.loads(said.splitlines()[-1])
    return {
        "clicks": found["clicks"],
        "cycle_minutes": round(found["seconds"] / 60, 2),
        "reading_minutes": round((took - found["seconds"]) / 60, 2),
        "service_peak_mb": round(max(footprint.series("service"))),
        "training_peak_mb": round(max(footprint.series("training"))),
        "store_mb": round(folder_mb(folder / "store"), 1),
    }


def flat(footprint: Footprint, name: str, until: float) -> dict[str, float | bool]:
    """Peak and growth of a series up to when its process was done."""
    series = footprint.series(name, until)
    peak, grown = float(series.max(initial=0.0)), growth_mb(series) if len(series) > 3 else 0.0
    return {"peak_mb": round(peak, 1), "grown_mb": round(grown, 1), "flat": grown <= max(LEAST_MB, NICKED * peak)}


def bounded(footprint: Footprint, name: str, most_mb: float) -> dict[str, float | bool]:
    """Peak of a series, and whether it ends where it has to. A store grows while a cycle runs, which has names of its
    parts: here, for as long as a good part of the day takes."""
    series = footprint.series(name)
    end = float(series[-1])
    return {"peak_mb": round(float(series.max()), 1), "end_mb": round(end, 1), "flat": end <= most_mb * 1.1}


def await_all(readers: Sequence[Reader], clicks: int, sending: Future[float], footprint: Footprint) -> None:
    """Return when all have read the day; RuntimeError where none gets on, or it can't be sent."""
    known, moved, told = -1, time.monotonic(), time.monotonic()
    while True:
        done = [reader.look(clicks) for reader in readers]
        if all(done):
            return
        if sending.done():
            sending.result()
        now = sum(reader.read for reader in readers)
        if now != known:
            known, moved = now, time.monotonic()
        elif time.monotonic() - moved > PATIENCE_S:
            raise RuntimeError(f"nothing was read for {PATIENCE_S:.0f} s: {[reader.read for reader in readers]}")
        if time.monotonic() - told > TELL_S:
            told = time.monotonic()
            last = {name: round(values[-1]) for name, values in footprint.values.items() if values}
            progress.print(f"read: {', '.join(f'{reader.read:,}' for reader in readers)}; MB: {last}")
        time.sleep(1.0)


def cycles(folder: Path) -> list[dict[str, Any]]:
    """Each cycle of the trainer, from its log of decisions."""
    file = folder / "work" / "decisions.jsonl"
    found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [{"outcome": one["outcome"], "minutes": round(one["seconds"] / 60, 2)} for one in found]


def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All of it; returns what is printed."""
    day = Day(args.clicks, args.items, PARTITIONS, int((time.time() - DAY_S) * 1000))
    with broker(args.bootstrap_servers) as bootstrap:
        create_topics(bootstrap, partitions=PARTITIONS)
        trainer, scores = start_trainer(bootstrap, folder, args), start_scoreboard(bootstrap, folder)
        probes = {
            "service": partial(rss_mb, trainer.process.pid),
            "training": partial(children_mb, trainer.process.pid),
            "store": partial(folder_mb, folder / "store"),
            "scoreboard": partial(rss_mb, scores.process.pid),
            "state": partial(folder_mb, folder / "scores"),
        }
        stored = Reader(trainer, lambda worker: worker.metric("nextclick_trainer_clicks_total"))
        counted = Reader(scores, lambda worker: worker.health().get("lists", 0))
        try:
            with Footprint(probes) as footprint, ThreadPoolExecutor(1) as sender:
                sending = sender.submit(send_day, bootstrap, day)
                await_all((stored, counted), args.clicks, sending, footprint)
                sent_s = sending.result()
                while trainer.health().get("state") == "training":
                    time.sleep(1.0)
                time.sleep(SETTLED_S)
            found = scores.health()
        finally:
            for worker in (trainer, scores):
                worker.stop(60.0)
        assert stored.ended is not None, "it was awaited"
        assert counted.ended is not None, "it was awaited"
        result: dict[str, Any] = {
            "clicks": args.clicks,
            "sent_s": round(sent_s),
            "trainer": {
                "clicks_per_s": round(args.clicks / (stored.ended - stored.begun)),
                "memory": flat(footprint, "service", stored.ended),
                "store": bounded(footprint, "store", args.window_mb),
                "training_peak_mb": round(float(footprint.series("training").max(initial=0.0))),
                "cycles": cycles(folder),
            },
            "scoreboard": {
                "clicks_per_s": round(args.clicks / (counted.ended - counted.begun)),
                "memory": flat(footprint, "scoreboard", counted.ended),
                "state": flat(footprint, "state", counted.ended),
                "judged": found.get("judged"),
            },
        }
        progress.print(result)
        if args.whole:
            result["whole"] = whole(bootstrap, folder / "whole", args)
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "at": time.strftime("%Y-%m-%d")}
    return {**result, "items": args.items, "preset": args.preset, "train_seconds": args.train_seconds, **machine}


def grows(result: dict[str, Any]) -> list[str]:
    """What is not flat."""
    kinds = [("trainer", "memory"), ("trainer", "store"), ("scoreboard", "memory"), ("scoreboard", "state")]
    return [f"{part}'s {kind}" for part, kind in kinds if not result[part][kind]["flat"]]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--clicks", type=int, default=10_000_000)
    parser.add_argument("--items", type=int, default=26_000, help="catalogue of the simulated shop")
    parser.add_argument("--window-mb", type=int, default=40, help="of stored clicks, as of the trainer")
    parser.add_argument("--preset", default="tron-fast", metavar="NAME")
    parser.add_argument("--train-seconds", type=float, default=60, help="of one training, of which a cycle has two")
    parser.add_argument("--whole", action="store_true", help="then a cycle of all clicks together")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main() -> None:
    args = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        result = run(args, Path(folder))
    print(json.dumps(result, indent=None if args.json else 2))
    if found := grows(result):
        sys.exit(f"not flat: {', '.join(found)}")


if __name__ == "__main__":
    main()
