"""The stamps of a traced worker."""

from __future__ import annotations

import pytest

from bench.measure.spans import STAGES
from bench.peers.traced import Trace, stamp_batches
from stream.config import StreamConfig
from stream.faust.thread import LeanThread
from stream.ops.reporting import Reporter
from stream.path.batcher import Batcher
from stream.path.commit import CommitPath
from stream.path.lists import ShopLists
from stream.path.pipeline import Pipeline
from tests.stream.records import EchoRanker, NoPosition, batch, click, partition

SEAMS = [
    (LeanThread, "_fetch_with_serial"),
    (Batcher, "put"),
    (CommitPath, "prepare"),
    (CommitPath, "rank"),
    (Reporter, "ranked"),
    (Pipeline, "_settling_of"),
]


class Kept(Trace):
    """Keeps the stages."""

    def __init__(self) -> None:
        self.stamps: list[tuple[str, int, int]] = []

    def note(self, stage: str, partition: int, offset: int) -> None:
        self.stamps.append((stage, partition, offset))


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Kept:
    for kind, name in SEAMS:  # put back after the test; an error where the worker has no such step any more
        monkeypatch.setattr(kind, name, getattr(kind, name))
    kept = Kept()
    stamp_batches(kept)
    return kept


def test_a_batch_is_stamped_with_its_last_click_at_each_step(trace: Kept) -> None:
    config = StreamConfig(bootstrap_servers="nowhere:1", registry="nowhere")
    path, of = CommitPath(config, NoPosition(), ShopLists(config.policy.read(5))), partition()
    records = [click(6, "a", "1"), click(7, "b", "2")]
    Batcher(max_batch=10, max_queued=10).put(of, records)
    prepared = path.prepare(batch(*records, of=of))
    assert len(path.rank([prepared], EchoRanker())[0]) == 2
    stages = ["taken", "begun", "folded", "ranking", "ranked"]
    assert trace.stamps == [(stage, 0, 7) for stage in stages]
    assert stages == [stage for stage in STAGES if stage in stages]  # in the order in which spans are made of them


def test_what_is_empty_has_no_stamp(trace: Kept) -> None:
    Batcher(max_batch=10, max_queued=10).put(partition(), [])
    assert trace.stamps == []
