"""A cycle by a preset that learns from skips: its clicks are judged as those of any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.bundle.bundle import load_bundle
from export.events import KINDS
from export.ranking.ranker import Ranker
from model.cycle.cycle import run_cycle
from model.data.readers import RawLog, ReadOptions, read_log
from model.trainer.kept.files import open_files
from model.trainer.kept.store import ClickStore
from model.trainer.kept.window import import_log, read_window
from tests.model.cycle.shop import BEGIN, SPACING, request
from tests.model.feedback import disliked_log
from tests.model.tiny import tiny_preset

pytestmark = pytest.mark.slow


def write(folder: Path, sessions: int) -> Path:
    log = disliked_log(sessions)
    assert log.kinds is not None
    number = np.repeat(np.arange(log.sessions), log.lengths)
    within = np.arange(log.clicks) - np.repeat(log.offsets[:-1], log.lengths)
    columns = {
        "session_id": number,
        "item_id": [f"item-{item}" for item in log.items.tolist()],
        "timestamp": BEGIN + number * SPACING + within * 1000,
        "type": [KINDS[code - 1] for code in log.kinds.tolist()],
    }
    file = folder / "clicks.parquet"
    pq.write_table(pa.table(columns), file)
    return file


def window(folder: Path, kinds: frozenset[str]) -> RawLog:
    store = ClickStore(open_files(str(folder / "store")))
    return read_window(store, store.names(window_ms=10**12), window_ms=10**12, gap_ms=1_800_000, kinds=kinds)


def test_a_store_keeps_skips_and_gives_them_to_who_asks(tmp_path: Path) -> None:
    file = write(tmp_path, 40)
    store = ClickStore(open_files(str(tmp_path / "store")))
    every = read_log(file, ReadOptions(kinds=frozenset(KINDS))).clicks
    assert import_log(store, file, ReadOptions(), lambda _: None) == every
    wanted = window(tmp_path, frozenset(KINDS) - {"skip", "dislike"})
    assert not wanted.typed
    assert wanted.clicks == read_log(file).clicks < every
    assert window(tmp_path, frozenset(KINDS)).clicks == every


def test_cycle_of_a_typed_preset_publishes_a_model_that_reads_kinds(tmp_path: Path) -> None:
    raw = read_log(write(tmp_path, 160), ReadOptions(kinds=frozenset(KINDS)))
    preset = tiny_preset(epochs=2, layers=1, validate_epochs=False, typed=True, own=4)
    asked = request(tmp_path, raw, preset=preset)
    result = run_cycle(asked)
    assert result.version == "1", result.gate.reasons
    assert Ranker(load_bundle(asked.registry.fetch("1"))).typed
    assert result.gate.candidate["predictions"] > 20
