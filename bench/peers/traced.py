"""The worker, its batches stamped on their way, for `bench.measure.spans`.

    python -m bench.peers.traced OUT worker ...

All behind OUT is a command line of nextclick. A line of OUT is a stage, a partition, the offset of the last click that
is there, and time.monotonic() (s). A stamp costs microseconds a batch; what is written is written by a thread.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nextclick
from bench.measure.spans import Stamp
from stream.faust.thread import LeanThread
from stream.ops.reporting import Reporter
from stream.partition.owned import OwnedPartition
from stream.partition.reading import Record
from stream.path.batcher import Batch, Batcher
from stream.path.commit import CommitPath, Prepared
from stream.path.pipeline import Pipeline

_EVERY_S = 0.3


class Trace:
    """Stamps, written a few times a second."""

    def __init__(self, out: Path) -> None:
        self._stamps: list[Stamp] = []
        self._file = out.open("ab")
        threading.Thread(target=self._run, name="trace", daemon=True).start()

    def note(self, stage: str, partition: int, offset: int) -> None:
        """The clicks of the partition up to `offset` are there now."""
        self._stamps.append(Stamp(stage, partition, offset, time.monotonic()))

    def note_all(self, stage: str, batches: Sequence[Prepared]) -> None:
        for prepared in batches:
            self.note(stage, *_end(prepared.batch))

    def _run(self) -> None:
        while True:
            time.sleep(_EVERY_S)
            stamps, self._stamps = self._stamps, []
            self._file.write(b"".join(stamp.line() for stamp in stamps))
            self._file.flush()


def stamp_batches(trace: Trace) -> None:
    """Put stamps around the steps that a batch goes through."""

    async def fetch(self: LeanThread, *args: Any) -> Any:
        fetched = await fetch_plainly(self, *args)
        clicks = self.app.intake.partitions.clicks_topic
        for tp, records in fetched.records.items():
            if tp.topic == clicks and records:
                trace.note("fetched", tp.partition, records[-1].offset)
        return fetched

    def taken(partition: OwnedPartition, records: Sequence[Record]) -> None:
        if records:
            trace.note("taken", partition.number, records[-1].offset)

    def prepare(self: CommitPath, batch: Batch) -> Prepared:
        trace.note("begun", *_end(batch))
        prepared = prepare_plainly(self, batch)
        trace.note("folded", *_end(batch))
        return prepared

    def rank(self: CommitPath, batches: Sequence[Prepared], *args: Any) -> Any:
        trace.note_all("ranking", batches)
        answers = rank_plainly(self, batches, *args)
        trace.note_all("ranked", batches)
        return answers

    fetch_plainly, prepare_plainly, rank_plainly = LeanThread._fetch_with_serial, CommitPath.prepare, CommitPath.rank
    places: list[tuple[type, str, Callable[..., Any]]] = [
        (LeanThread, "_fetch_with_serial", fetch),
        (CommitPath, "prepare", prepare),
        (CommitPath, "rank", rank),
    ]
    for kind, name, stamped in places:
        setattr(kind, name, stamped)
    _before(Batcher, "put", taken)
    _before(Reporter, "ranked", lambda prepared, ranked: trace.note_all("resumed", [prepared]))
    _before(Pipeline, "_settling_of", lambda prepared: trace.note_all("published", [prepared]))


def _before(kind: type, name: str, note: Callable[..., object]) -> None:
    plainly = getattr(kind, name)

    def noting(self: Any, *args: Any) -> Any:
        note(*args)
        return plainly(self, *args)

    setattr(kind, name, noting)


def _end(batch: Batch) -> tuple[int, int]:
    return batch.partition.number, batch.records[-1].offset


def main() -> None:
    stamp_batches(Trace(Path(sys.argv.pop(1))))
    nextclick.main()


if __name__ == "__main__":
    main()
