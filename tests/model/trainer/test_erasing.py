"""A session is erased from what a trainer keeps."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from model.trainer.kept.files import LocalFiles
from model.trainer.kept.store import ClickStore
from model.trainer.kept.window import read_window
from tests.model.trainer.place import Place


class Erase(NamedTuple):
    session_id: str
    partition: int
    offset: int


def test_erased_sessions_leave_store_and_memory_before_the_offsets_behind_them_are_stored(tmp_path: Path) -> None:
    """s10 is clicks 20 and 21, s80 160 and 161: stored before its erase, and waiting when it comes."""
    place = Place(tmp_path, clicks=250, flush_clicks=150)
    told: list[tuple[str, int]] = []
    place.trainer = place.new(flush_clicks=150, on_erased=lambda one, clicks: told.append((one.session_id, clicks)))
    place.feed.erases = [Erase("s10", 0, 210), Erase("s80", 0, 215), Erase("nobody", 0, 5)]
    place.once()
    store = ClickStore(LocalFiles(tmp_path / "store"))
    assert store.next_offsets == {0: 250}
    assert store.clicks == 246
    assert sorted(told) == [("nobody", 0), ("s10", 2), ("s80", 2)]
    value = place.trainer.metrics.registry.get_sample_value("nextclick_trainer_removed_total", {"why": "erased"})
    assert value == 4


def test_clicks_that_a_killed_cycle_left_behind_go_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, read_now = tmp_path / "nextclick-window-left", tmp_path / "nextclick-window-now"
    for folder in (left, read_now):
        folder.mkdir()
        (folder / "1-1.parquet").touch()
    two_hours_ago = time.time() - 7200
    os.utime(left, (two_hours_ago, two_hours_ago))
    store = ClickStore(LocalFiles(tmp_path / "store"))
    store.append({"session_id": ["a"], "item_id": ["x"], "timestamp": [1_700_000_000_000], "type": ["click"]})
    read_window(store, store.names(window_ms=1000), window_ms=1000, gap_ms=1000)
    assert [one.name for one in tmp_path.glob("nextclick-window-*")] == [read_now.name]
