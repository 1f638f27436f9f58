"""What a fresh training sees: all that is new, and older sessions beside it, with the whole window's catalogue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.errors import ConfigError
from model.cycle.config import FreshConfig
from model.cycle.fresh import fresh_log, fresh_parts, fresh_preset
from model.errors import DataError
from tests.model.cycle.shop import BEGIN, SPACING, joined, raw_log
from tests.model.tiny import tiny_log, tiny_preset

CONFIG = FreshConfig(replay=2.0, least=0)


def test_fresh_log_has_all_new_sessions_and_so_many_old_ones_for_each() -> None:
    log = tiny_log(100)
    begin = int(log.ts[log.offsets[90]])
    chosen = fresh_log(log, begin, CONFIG)
    last = chosen.ts[chosen.offsets[1:] - 1]
    assert np.count_nonzero(last >= begin) == 10
    assert chosen.sessions == 30
    assert chosen.vocabulary.items == log.vocabulary.items, "what nobody clicked lately can still be recommended"
    assert np.all(np.diff(last) >= 0)


def test_fresh_log_of_few_new_sessions_is_filled_up_and_never_beyond_what_there_is() -> None:
    log = tiny_log(100)
    begin = int(log.ts[log.offsets[99]])
    assert fresh_log(log, begin, FreshConfig(replay=0.0, least=40)).sessions == 40
    assert fresh_log(log, begin, FreshConfig(replay=500.0)).sessions == 100


def test_fresh_log_is_repeatable() -> None:
    log = tiny_log(100)
    begin = int(log.ts[log.offsets[90]])
    assert fresh_log(log, begin, CONFIG, seed=3).digest() == fresh_log(log, begin, CONFIG, seed=3).digest()
    assert fresh_log(log, begin, CONFIG, seed=3).digest() != fresh_log(log, begin, CONFIG, seed=4).digest()


def test_fresh_log_without_anything_new_is_refused() -> None:
    with pytest.raises(DataError, match="nothing new"):
        fresh_log(tiny_log(10), 10**15, CONFIG)


def test_fresh_parts_hold_the_newest_of_the_new_sessions_out(tmp_path: Path) -> None:
    raw = joined(tmp_path, raw_log(tmp_path, 90), raw_log(tmp_path, 10, first=90, seed=5, new_items=5))
    parts = fresh_parts(raw, BEGIN + 90 * SPACING, CONFIG)
    assert parts.log.sessions == 98
    assert len(np.unique(parts.newest.sessions)) == 2
    assert int(parts.newest.ts.min()) > int(parts.log.ts[parts.log.offsets[:-1]].max())
    assert any(item.startswith("new-") for item in parts.log.vocabulary.items)


@pytest.mark.parametrize("new", [0, 1])
def test_fresh_parts_of_too_little_are_refused(tmp_path: Path, new: int) -> None:
    with pytest.raises(DataError, match="too few"):
        fresh_parts(raw_log(tmp_path, 50), BEGIN + (50 - new) * SPACING, CONFIG)


def test_fresh_preset_is_short_and_careful() -> None:
    preset = tiny_preset(epochs=50, lr=1e-2)
    fresh = fresh_preset(preset, FreshConfig(epochs=2.0, rate=0.25))
    assert fresh.train.epochs == 2.0
    assert fresh.train.lr == pytest.approx(2.5e-3)
    assert fresh.encoder == preset.encoder


@pytest.mark.parametrize(
    "bad",
    [{"replay": -1}, {"epochs": 0}, {"rate": 0}, {"rate": 2}, {"held_out": 1}, {"least": -1}, {"epochs": float("nan")}],
)
def test_fresh_config_refuses_what_can_not_be(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        FreshConfig(**bad)  # type: ignore[arg-type]
