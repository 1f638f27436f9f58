"""Tests of `model.data.readers.aside`: what comes back is what was laid aside, and nothing stays behind."""

import errno
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.data.readers import RawLog, build_log
from model.data.readers import aside as aside_module
from model.data.readers.aside import LaidAside, taken_aside
from model.data.readers.report import ReadReport
from model.errors import DataError


def raw_log(clicks: int = 2_000) -> RawLog:
    random = np.random.default_rng(0)
    return RawLog(
        sessions=random.integers(0, clicks // 5, clicks).astype(np.int32),
        items=random.integers(0, 50, clicks).astype(np.int32),
        ts=random.integers(0, 1 << 40, clicks),
        kinds=random.integers(0, 2, clicks).astype(np.uint8),
        session_ids=pa.array(np.arange(clicks // 5)),
        item_ids=pa.array(np.arange(50)),
        report=ReadReport(),
    )


def test_log_comes_back_as_often_as_it_is_wanted(tmp_path: Path) -> None:
    raw = raw_log()
    aside = LaidAside(raw, tmp_path)
    for _ in range(2):
        assert build_log(aside.back()).digest() == build_log(raw).digest()
    back = aside.back()
    for name in ("sessions", "items", "ts", "kinds"):
        found, put = getattr(back, name), getattr(raw, name)
        assert np.array_equal(found, put)
        assert found.dtype == put.dtype
    assert back.session_ids is raw.session_ids


def test_folder_is_as_empty_as_before(tmp_path: Path) -> None:
    aside = LaidAside(raw_log(), tmp_path)
    assert not list(tmp_path.iterdir()), "a process that is killed leaves nothing"
    assert aside.back().clicks == 2_000


def test_columns_take_no_memory_until_they_are_wanted(tmp_path: Path) -> None:
    clicks = 200_000
    tracemalloc.start()
    aside = LaidAside(raw_log(clicks), tmp_path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * clicks  # the ids of the sessions; the columns would take 17
    assert aside.back().clicks == clicks


def test_full_disk_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DataError, match=r"2,000 clicks can't be laid aside .* No space left .* --no-refit"):
        LaidAside(raw_log(), tmp_path)


def test_chosen_numbers_are_read_from_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside_module, "AT_ONCE", 2)  # of several parts
    found = taken_aside(np.arange(0, 50, 10), np.array([4, 0, 0, 2, 1], np.int32), tmp_path)
    assert found.tolist() == [40, 0, 0, 20, 10]
    assert isinstance(found, np.memmap)
    assert not list(tmp_path.iterdir())


def test_log_is_the_same_with_its_times_in_a_file(tmp_path: Path) -> None:
    found = build_log(raw_log(), times_in=tmp_path)
    assert found.digest() == build_log(raw_log()).digest()
    assert isinstance(found.ts, np.memmap)
