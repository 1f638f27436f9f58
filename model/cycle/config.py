"""What a cycle can be told. Without PyTorch: the service that starts cycles knows this, and trains elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from export.checks import require_finite
from export.errors import ConfigError
from model.evaluate.baselines.baselines import BASELINES

__all__ = ["FreshConfig", "GateConfig", "Mode", "RefitConfig"]

Mode = Literal["full", "fresh"]  # the whole window, or only what is new since the last version
How = Literal["scratch", "continue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """What a candidate must show. ConfigError for values that can't be."""

    tolerance: float = 0.005  # Recall@20 and MRR@20 may be so much below the live model's
    baselines: tuple[str, ...] = ("popularity", "items-after", "vmis-knn")  # judged beside it
    slack: float = 0.0  # Recall@20 may be so much below the best of them
    min_coverage: float = 0.5  # of the catalogue in its lists, as a share of the live model's coverage
    max_fallback: float = 0.5  # share of lists that popularity answers, at most
    min_sessions: int = 100  # newer than what the live model has learned; of fewer nothing can be said
    confidence: float = 0.95  # of the paired interval by session

    def __post_init__(self) -> None:
        require_finite(self)
        shares = (self.tolerance, self.slack, self.min_coverage, self.max_fallback)
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError("gate: tolerance, slack, coverage and fallback are shares, 0 to 1")
        if not 0 < self.confidence < 1:
            raise ConfigError(f"gate: confidence must be between 0 and 1, not {self.confidence}")
        if self.min_sessions < 1:
            raise ConfigError(f"gate: at least one session must be judged, not {self.min_sessions}")
        if unknown := [name for name in self.baselines if name not in BASELINES]:
            raise ConfigError(f"gate: {unknown[0]!r} is no baseline; there are: {', '.join(BASELINES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitConfig:
    """How the newest clicks are learned as well, and what the result must show."""

    how: How = "scratch"  # the same recipe on all clicks; continue: further steps from the judged weights
    # Scratch: on two shops continue is .008 to .012 Recall@20 below it on the next clicks, at .35 of its passes, and
    # .013 to .014 at .2 (python -m bench.learning.freshness, docs/trainer.md)
    share: float = 0.35  # of the recipe's passes, where it is continued
    max_seconds: float | None = None  # for its training; None: no limit, or that of the training that it repeats
    # Where a limit ended the judged training, for each encoder; None: as that
    max_steps: int | None = None
    newest_sessions: int | None = None  # of which it draws
    min_overlap: float = 0.25  # mean share of the same items among 20, before and after
    tolerance: float = 0.01  # Recall@20 on the newest clicks, which it has learned now, may be so much below

    def __post_init__(self) -> None:
        require_finite(self)
        if self.how not in get_args(How):
            raise ConfigError(f"refit: {', '.join(get_args(How))}, not {self.how!r}")
        if not (0 < self.share <= 1 and 0 <= self.min_overlap <= 1 and 0 <= self.tolerance <= 1):
            raise ConfigError("refit: share, overlap and tolerance are shares, 0 to 1")
        limits = (self.max_seconds, self.max_steps, self.newest_sessions)
        if any(limit is not None and limit <= 0 for limit in limits):
            raise ConfigError(f"refit: max_seconds, max_steps and newest_sessions must be above 0, not {limits}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshConfig:
    """How much is learned, and how fast.

    The defaults give half of what a full training on the new clicks gains, on two shops, for an eighth of its processor
    time, and older sessions lose nothing. On one of the two they do without older ones (-.010 Recall@20), and at the
    whole rate (-.008), and neither gains anything on the other. Four passes gain .001 and .004 on the next clicks for
    twice the time (python -m bench.learning.freshness, docs/trainer.md).
    """

    replay: float = 2.0  # older sessions for each new one
    least: int = 2_000  # sessions, older ones making up what new ones lack: a few hundred alone pull a model astray
    epochs: float = 2.0  # passes over both
    rate: float = 0.5  # of the preset's learning rate
    held_out: float = 0.2  # share of the new sessions, the newest, that judge before they are learned

    def __post_init__(self) -> None:
        require_finite(self)
        if self.replay < 0 or self.least < 0 or self.epochs <= 0 or not 0 < self.rate <= 1 or not 0 < self.held_out < 1:
            raise ConfigError(
                "fresh: replay and least must not be negative, epochs above 0, the rate in (0, 1], the share held out "
                "between 0 and 1"
            )
