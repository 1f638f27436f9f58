"""One cycle of the trainer: what it is asked to do, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from export.registry.registry import DEFAULT_VARIANT, Registry
from model.config import Preset
from model.data.readers.raw import RawLog
from model.trainer.gate import GateConfig, GateReport

__all__ = ["CycleRequest", "CycleResult", "Mode"]

Mode = Literal["full", "fresh"]  # the whole window, or only what is new since the last version


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRequest:
    """One cycle, the same after a kill as before it."""

    cycle: str  # its name, unique in the trainer's life; in the manifest of what it publishes
    raw: RawLog  # the clicks of the window
    mode: Mode
    preset: Preset  # options already put in
    registry: Registry
    folder: Path  # checkpoints and the staged bundle; kept over kills, the cycle's own
    variant: str = DEFAULT_VARIANT
    parent: Path | None = None  # checkpoints of the version to start from (warm), None: from scratch
    since_ts: int = 0  # fresh: clicks before this were learned by the parent, ms since the epoch
    min_support: int = 1
    gate: GateConfig = field(default_factory=GateConfig)
    window: dict[str, Any] = field(default_factory=dict)  # where the clicks come from (topic, offsets, parts): lineage
    mlflow: str | None = None  # tracking URI
    may_publish: Callable[[], bool] = lambda: True  # asked right before publishing: False once another trainer leads


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """What came of a cycle."""

    version: str | None  # published by this cycle, now or before a kill; None: the gate or the guard refused
    gate: GateReport
    checkpoints: Path | None  # of the weights published, to start the next from
    refitted: bool
    seconds: float
