"""Everything a trainer can be told, checked when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field

from export.checks import require_finite
from export.errors import ConfigError
from export.registry.registry import DEFAULT_VARIANT, check_variant
from model.codes.config import CodesConfig
from model.cycle.config import FreshConfig, GateConfig, RefitConfig

__all__ = ["TrainerConfig", "read_span"]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_YEARS_S = 10 * 365 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """A trainer's settings. ConfigError where they can't be."""

    registry: str  # directory or fsspec URL
    store: str  # directory or fsspec URL of the clicks and the journal
    work: str  # local directory of the checkpoints
    variant: str = DEFAULT_VARIANT  # for which versions are made live
    preset: str = "tron-fast"
    settings: tuple[str, ...] = ()  # fields of it, as `key=value`
    codes: CodesConfig | None = None  # the item table as codes, and no item tower; None: dense
    seed: int = 0
    max_seconds: float | None = None  # of one training
    # Warm: a full training starts from the version before, for the same steps. On two shops that is no better than from
    # scratch: -.003 (-.009 to +.002) and -.012 (-.016 to -.008) Recall@20 on the next clicks (bench.learning.freshness)
    warm: bool = False

    window_s: float = 14 * 86_400.0  # before the newest click
    window_mb: int = 2_048  # of stored clicks; the oldest go first
    gap_minutes: float = 30.0  # a longer pause begins a new session, as for the workers
    min_support: int = 1
    min_sessions: int = 500  # of two clicks or more, before the first training

    every_s: float = 6 * 3600.0  # between two full trainings
    after_clicks: int | None = None  # so many new clicks are enough for one
    fresh_every_s: float | None = None  # between two versions of what is new only; None: no such ones
    flush_clicks: int = 100_000  # clicks of a part of the store
    flush_s: float = 30.0  # after which one is written at all events: no click of it is learned before

    gate: GateConfig = field(default_factory=GateConfig)
    refit: RefitConfig | None = field(default_factory=RefitConfig)
    fresh: FreshConfig = field(default_factory=FreshConfig)
    keep_versions: int = 20  # in the registry
    threads: int = 1  # of a training: the other cores are the workers'
    nice: int = 10
    exact: bool = False  # never score in int8
    mlflow: str = ""  # address of MLflow, as check_uri returns it; empty: it is told nothing

    def __post_init__(self) -> None:
        require_finite(self)
        check_variant(self.variant)
        for name in ("registry", "store", "work"):
            _require(bool(getattr(self, name).strip()), f"the trainer's {name} is missing: a directory or a URL")
        _require("://" not in self.work, f"--work is a local directory, not {self.work}")
        for name in ("window_s", "every_s", "flush_s"):
            _require(0 < getattr(self, name) <= _YEARS_S, f"{name} must be above 0 and at most ten years")
        _require(self.fresh_every_s is None or self.fresh_every_s > 0, "fresh_every must be above 0")
        _require(self.after_clicks is None or self.after_clicks > 0, "after_clicks must be above 0")
        _require(self.max_seconds is None or self.max_seconds > 0, "max_seconds must be above 0")
        _require(self.gap_minutes > 0, f"the session gap must be above 0, not {self.gap_minutes}")
        counts = (self.window_mb, self.min_support, self.min_sessions, self.flush_clicks, self.keep_versions)
        _require(min(counts) >= 1, "window_mb, min_support, min_sessions, flush_clicks and keep_versions are 1 or more")
        _require(self.threads >= 0 and 0 <= self.nice <= 19, "threads must not be negative, nice must be 0 to 19")

    @property
    def window_ms(self) -> int:
        return round(self.window_s * 1000)

    @property
    def gap_ms(self) -> int:
        return round(self.gap_minutes * 60_000)


def read_span(text: str) -> float:
    """Seconds of a span such as 90s, 10m, 6h or 14d; ConfigError for anything else."""
    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise ConfigError(f"a span of time is a number and s, m, h or d, such as 10m or 14d, not {text!r}") from None
    if not 0 < seconds <= _YEARS_S:
        raise ConfigError(f"a span of time is above 0 and at most ten years, not {text!r}")
    return seconds


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
