"""The gate: whether a candidate may take the place of the live model, judged on clicks that neither has learned."""

from dataclasses import dataclass, field

from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["GateConfig", "GateReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """What a candidate must show. ConfigError for values that can't be."""

    tolerance: float = 0.005  # Recall@20 and MRR@20 may be so much below the live model's
    baselines: tuple[str, ...] = ("popularity", "items-after", "vmis-knn")  # whose Recall@20 it must reach
    min_coverage: float = 0.0  # share of the catalogue in its lists, at least this share of the live model's
    max_fallback: float = 0.5  # share of lists that popularity answers, at most
    confidence: float = 0.95  # of the paired interval by session

    def __post_init__(self) -> None:
        require_finite(self)
        if not (0 <= self.tolerance <= 1 and 0 <= self.min_coverage <= 1 and 0 <= self.max_fallback <= 1):
            raise ConfigError("gate: tolerance, coverage and fallback are shares, 0 to 1")
        if not 0 < self.confidence < 1:
            raise ConfigError(f"gate: confidence must be between 0 and 1, not {self.confidence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """The judgement and its reasons; figures by metric name, as `nextclick evaluate --json` has them."""

    passed: bool
    reasons: tuple[str, ...]  # why not, or what was judged with what result: for people
    candidate: dict[str, float]
    live: dict[str, float] | None  # None: nothing is live
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    interval: tuple[float, float] | None = None  # of candidate - live, Recall@20, paired by session
