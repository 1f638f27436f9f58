"""The clicks that the service keeps: in parts, bounded, and what is said where there is no room."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from model.trainer.kept.bounds import Bounds
from tests.model.trainer.place import Place


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "store").glob("*.parquet"))


def test_once_stores_in_parts_of_their_full_size(tmp_path: Path) -> None:
    place = Place(tmp_path, clicks=1000, flush_clicks=500)
    place.once()
    assert parts(tmp_path) == ["1-1.parquet", "2-2.parquet"]


def test_store_is_bounded_between_cycles_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.trainer.service._LOOK_S", 0.0)
    place = Place(tmp_path, clicks=6000, flush_clicks=1, min_sessions=1_000_000)
    place.run_until(lambda: place.trainer.health([]).clicks == 6000)
    assert 1 < len(parts(tmp_path)) <= 1 + 32 + 16, "60 were written"


def test_store_that_is_full_is_said_until_a_cycle_began_without(tmp_path: Path) -> None:
    place = Place(tmp_path, window_mb=1)
    bounds = Bounds(
        place.trainer._config,
        place.trainer.metrics,
        problem=lambda key, what, remedy: place.problems.update({key: f"{what}: {remedy}"}),
        solved=lambda key: place.problems.pop(key, None),  # type: ignore[arg-type]
    )
    removed = iter([100, 50, 0, 0])
    store: Any = SimpleNamespace(trim=lambda **_: (0, next(removed)), join_small=lambda: 0, parts=[], bytes=2 << 20)
    assert bounds.is_due(store)
    bounds.bound(store)
    bounds.bound(store)
    assert place.problems["store_full"].startswith("150 clicks inside the window")
    bounds.tidy(store, keep="")
    assert "store_full" in place.problems, "since the last cycle"
    bounds.tidy(store, keep="")
    assert place.problems == {}
