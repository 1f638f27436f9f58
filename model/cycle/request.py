"""What a cycle of the trainer is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.graph.choice import Scoring
from export.registry.registry import DEFAULT_VARIANT, Registry
from model.config import Preset
from model.cycle.config import FreshConfig, GateConfig, Mode, RefitConfig
from model.cycle.gate import GateReport
from model.data.readers.raw import RawLog

__all__ = ["CycleRequest", "CycleResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRequest:
    """One cycle, the same after a kill as before it."""

    cycle: str  # its name, unique in the trainer's life; in the manifest of what it publishes
    raw: RawLog  # the clicks of the window
    mode: Mode
    preset: Preset  # options already put in
    registry: Registry
    folder: Path  # checkpoints and the judgement; kept over kills, the cycle's own
    variant: str = DEFAULT_VARIANT
    parent: Path | None = None  # checkpoints of the version to start from (warm), None: from scratch
    parent_version: str = ""  # that version
    since_ts: int = 0  # fresh: clicks before this were learned by the parent, ms since the epoch
    min_support: int = 1
    gate: GateConfig = field(default_factory=GateConfig)
    refit: RefitConfig | None = field(default_factory=RefitConfig)  # None: what was judged is published
    fresh: FreshConfig = field(default_factory=FreshConfig)
    scoring: Scoring = "auto"  # how the graph scores the catalogue
    window: dict[str, Any] = field(default_factory=dict)  # where the clicks come from (topic, offsets, parts): lineage
    items: Path | None = None  # what the shop says about its items, where the preset has a tower
    may_publish: Callable[[], bool] = lambda: True  # asked right before publishing: False once another trainer leads


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """What came of a cycle."""

    version: str | None  # published by this cycle, now or before a kill; None: the gate refused
    gate: GateReport
    checkpoints: Path | None  # of the weights published, to start the next from
    refitted: bool
    seconds: float  # of this run of it; where an earlier one published, of that
    why_not_refitted: str = ""  # what the guard found
