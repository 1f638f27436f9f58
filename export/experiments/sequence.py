"""Confidence sequences: intervals that may be looked at all the time, and stopped on whenever one likes.

An asymptotic confidence sequence of a mean holds at all times at once, in the limit of large samples, for data of any
distribution with a variance. Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory
and asymptotic confidence sequences", Annals of Statistics 52(6), 2024, theorem 2.2 and appendix B.2 (choice of rho).

A session's clicks depend on each other, so a session is one observation. A hit rate is a ratio of sums over sessions;
it is linearised: the residuals h - R n, over the mean number of clicks, are what varies (delta method: Deng, Knoblich,
Lu, "Applying the delta method in metric analytics", KDD 2018).
"""

import math
from dataclasses import dataclass
from typing import Any

from export.checks import require_finite
from export.errors import ConfigError
from export.experiments.tally import Tally

__all__ = ["SequenceConfig", "Uplift", "radius", "rho_for", "uplift"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceConfig:
    """How sure, and when it is to be tightest. ConfigError for values that can't be."""

    alpha: float = 0.05  # false alarms of an experiment without a difference, over all looks together
    tightest_at: int = 10_000  # sessions; elsewhere the interval is wider, and always valid
    least: int = 200  # sessions a variant: of fewer nothing is said, as the limit is far

    def __post_init__(self) -> None:
        require_finite(self)
        if not 0 < self.alpha < 1 or self.tightest_at < 1 or self.least < 2:
            raise ConfigError("alpha must be between 0 and 1, tightest_at at least 1 session, least at least 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplift:
    """A variant beside the control. Intervals are None while there are too few sessions."""

    difference: float | None  # of the rates
    difference_interval: tuple[float, float] | None
    relative: float | None  # of the control's rate: .18 is 18 % more
    interval: tuple[float, float] | None  # of `relative`

    @property
    def is_better(self) -> bool:
        """Whether the variant's rate is above the control's, for sure."""
        return self.difference_interval is not None and self.difference_interval[0] > 0

    @property
    def is_worse(self) -> bool:
        """Whether it is below, for sure."""
        return self.difference_interval is not None and self.difference_interval[1] < 0

    def to_json(self) -> dict[str, Any]:
        """As commands print it with `--json`."""
        return {
            "uplift": self.relative,
            "interval": None if self.interval is None else list(self.interval),
            "difference": self.difference,
            "difference_interval": None if self.difference_interval is None else list(self.difference_interval),
        }


def rho_for(n: int, alpha: float) -> float:
    """The parameter by which the sequence is about tightest after `n` observations."""
    by = -2 * math.log(alpha)
    return math.sqrt((by + math.log(by) + 1) / n) if by > 0 and by + math.log(by) + 1 > 0 else 1 / math.sqrt(n)


def radius(n: float, deviation: float, config: SequenceConfig) -> float:
    """Half the width of the interval around a mean of `n` observations with this standard deviation."""
    rho2 = rho_for(config.tightest_at, config.alpha) ** 2
    spread = n * rho2 + 1
    return deviation * math.sqrt(2 * spread / (n * n * rho2) * math.log(math.sqrt(spread) / config.alpha))


def uplift(control: Tally, variant: Tally, config: SequenceConfig | None = None) -> Uplift:
    """The hit rate of a variant beside the control's, each session in one of them."""
    config = config or SequenceConfig()
    first, second = control.hit_rate, variant.hit_rate
    if first is None or second is None:
        return Uplift(difference=None, difference_interval=None, relative=None, interval=None)
    difference, relative = second - first, second / first - 1 if first else None
    if min(control.sessions, variant.sessions) < config.least:
        return Uplift(difference=difference, difference_interval=None, relative=relative, interval=None)
    n = control.sessions + variant.sessions
    spread = control.rate_variance + variant.rate_variance  # of the difference of the rates
    width = radius(n, math.sqrt(n * spread), config)
    bounds: tuple[float, float] | None = None
    if first > 0 and second > 0:  # of the logarithm of their ratio, which is nearly normal
        of_ratio = control.rate_variance / first**2 + variant.rate_variance / second**2
        log_width = radius(n, math.sqrt(n * of_ratio), config)
        ratio = math.log(second / first)
        bounds = (math.expm1(ratio - log_width), math.expm1(min(ratio + log_width, 700.0)))
    return Uplift(
        difference=difference,
        difference_interval=(difference - width, difference + width),
        relative=relative,
        interval=bounds,
    )
