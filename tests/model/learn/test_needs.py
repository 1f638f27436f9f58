"""A training says what it needs, and is refused where that is not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export.errors import ConfigError
from model.codes.config import CodesConfig
from model.learn import needs
from model.learn.committee import train_preset
from model.learn.needs import needs_of, require_room
from model.presets import PRESETS, preset
from model.reports.progress import Progress
from tests.model.tiny import tiny_log, tiny_preset

GIB = 1 << 30


def of(name: str, items: int, **changes: Any) -> needs.Needs:
    return needs_of(replace(preset(name), **changes), items=items, clicks_per_session=4.0)


@pytest.mark.parametrize("name", PRESETS)
def test_needs_grow_with_the_catalogue_a_row_an_item(name: str) -> None:
    small, large = of(name, 20_000), of(name, 2_000_000)
    width = sum(member.encoder.hidden for member in preset(name).members())
    assert large.table == 2_000_001 * width * 4
    assert large.memory - small.memory > 4 * (large.table - small.table)
    assert small.memory < 1 * GIB
    assert large.checkpoint > 3 * large.table
    assert large.table < large.bundle < 2 * large.table + 3_000_000 * 20


def test_needs_of_codes_are_books_and_a_few_bytes_an_item() -> None:
    small, large = (of("tron-fast", items, codes=CodesConfig()) for items in (20_000, 2_000_000))
    assert large.memory - small.memory == 3 * 8 * 1_980_000
    assert large.bundle - small.bundle == (8 + 20) * 1_980_000
    assert large.memory < of("tron-fast", 2_000_000).memory / 10


def test_needs_of_a_committee_are_those_of_all_its_encoders() -> None:
    whole, first = of("tron+", 200_000), of("tron+", 200_000, committee=())
    assert whole.table > 2 * first.table
    assert whole.memory > first.memory


def told(free: int | None, disk: int | None, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(needs, "memory_left", lambda: free)
    monkeypatch.setattr(needs, "disk_left", lambda _: disk)

    def hear(report: Progress) -> None:
        said.append(f"{report.stage}  {report.message}")

    require_room(replace(preset("tron-fast"), **changes), tiny_log(20), Path("checkpoints"), hear)
    return said


def test_training_that_fits_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = told(8 * GIB, 9 * GIB, monkeypatch)
    assert line.startswith("needs  about 4")
    assert "MiB more of memory of 8.0 GiB free" in line
    assert "of disk of 9.0 GiB free" in line


def test_training_where_nothing_says_what_is_free_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = told(None, None, monkeypatch)
    assert "free" not in line


def test_training_without_memory_for_it_is_refused_and_told_what_needs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"about 4\d\d MiB of memory, and 64 MiB are free: 40 items with a row each"):
        told(64 << 20, None, monkeypatch)
    large = needs._remedies(preset("tron+"), 2_000_000, 4.0, of("tron+", 2_000_000))
    assert large.startswith("--items-as svd needs about ")
    assert "--preset tron-fast" in large
    assert "--min-support 5" in large


def test_training_without_disk_for_it_is_refused_and_told_where(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="are free at checkpoints: 40 items as codes"):
        told(None, 1000, monkeypatch, codes=CodesConfig())


def test_several_interests_are_not_told_of_codes() -> None:
    assert "--items-as" not in needs._remedies(preset("mtmi"), 2_000_000, 4.0, of("mtmi", 2_000_000))


def test_a_row_for_each_of_many_items_is_told_what_codes_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    (few,) = told(8 * GIB, None, monkeypatch)
    assert "--items-as" not in few
    monkeypatch.setattr(needs, "_MANY", 40)
    (many,) = told(8 * GIB, None, monkeypatch)
    log = tiny_log(20)
    shape: Any = {"items": len(log.vocabulary), "clicks_per_session": log.clicks / log.sessions}
    coded = needs_of(replace(preset("tron-fast"), codes=CodesConfig()), **shape)
    memory, bundle = needs._size(coded.memory), needs._size(coded.bundle)
    assert many == f"{few}; with --items-as svd {memory} of memory, a bundle of {bundle}"
    (already,) = told(8 * GIB, None, monkeypatch, codes=CodesConfig())
    assert "--items-as" not in already


def test_preset_is_refused_before_anything_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "memory_left", lambda: 1)
    with pytest.raises(ConfigError, match="of memory, and 0 MiB are free"):
        train_preset(tiny_log(20), tiny_log(5), tiny_preset())
