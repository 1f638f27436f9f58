"""Clicks of a tiny shop as a trainer has them: sessions of a click a second, half an hour for each hundred of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from export.registry.registry import Registry
from model.cycle.config import GateConfig, RefitConfig
from model.cycle.request import CycleRequest
from model.data.readers import RawLog, ReadOptions, read_log
from tests.model.tiny import tiny_log, tiny_preset

BEGIN = 1_700_000_000_000  # ms since the epoch
SPACING = 18_000  # ms between the begins of two sessions
REFIT = RefitConfig(min_overlap=0.0, tolerance=0.5)
LENIENT = GateConfig(baselines=("popularity",), tolerance=0.2, min_coverage=0.0, min_sessions=20)


def raw_log(folder: Path, sessions: int = 300, *, seed: int = 0, first: int = 0, new_items: int = 0) -> RawLog:
    """Sessions number `first` and on. new_items: so many of the shop's 40 items have other names in these."""
    log = tiny_log(sessions, seed=seed, longest=8)
    number = np.repeat(np.arange(log.sessions), log.lengths) + first
    within = np.arange(log.clicks) - np.repeat(log.offsets[:-1], log.lengths)
    names = [f"{'new' if item <= new_items else 'item'}-{item}" for item in log.items.tolist()]
    columns = {"session_id": number, "item_id": names, "timestamp": BEGIN + number * SPACING + within * 1000}
    file = folder / f"clicks-{first}-{seed}-{new_items}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return read_log(file, ReadOptions())


def joined(folder: Path, *parts: RawLog) -> RawLog:
    """Several logs as one."""
    file = folder / f"joined-{len(list(folder.glob('joined-*')))}.parquet"
    rows: dict[str, list[Any]] = {"session_id": [], "item_id": [], "timestamp": []}
    for raw in parts:
        names, sessions = raw.item_names(), raw.session_ids.to_pylist()
        rows["session_id"] += [str(sessions[code]) for code in raw.sessions.tolist()]
        rows["item_id"] += [names[code] for code in raw.items.tolist()]
        rows["timestamp"] += raw.ts.tolist()
    pq.write_table(pa.table(rows), file)
    return read_log(file, ReadOptions())


def request(folder: Path, raw: RawLog, cycle: str = "c1", **options: Any) -> CycleRequest:
    """A cycle in a shop whose registry is in `folder`."""
    registry = Registry(folder / "registry")
    registry.create()
    options = {
        "mode": "full",
        "preset": tiny_preset(epochs=3, layers=1, validate_epochs=False),
        "gate": LENIENT,
        "refit": None,  # half the time; tests of it say so
        "scoring": "exact",
        **options,
    }
    return CycleRequest(cycle=cycle, raw=raw, registry=registry, folder=folder / "cycles" / cycle, **options)
