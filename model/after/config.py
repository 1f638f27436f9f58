"""What the layer behind a network can be told. Without PyTorch: presets know this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["AfterConfig", "Counts"]

Counts = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterConfig:
    """Counts and biases behind the network (model/after/fit.py); a part of the graph, found on held-out sessions."""

    counts: Counts = "off"  # auto: what held-out sessions gain by; on: their best, gain or not; off: the network alone
    least_bias: float = 0.002  # gain that the biases must show, of Recall@20 + MRR@20
    least_counts: float = 0.005  # and the counts beside them
    most_bias: float = 12.0  # of each term of what a session holds; 0: nothing rises for that
    most_mb: int = 256  # of the table of neighbours; larger catalogues go without counts

    def __post_init__(self) -> None:
        """ConfigError for values without a meaning."""
        require_finite(self)
        if self.counts not in get_args(Counts):
            raise ConfigError(f"counts is one of {', '.join(get_args(Counts))}, not {self.counts!r}")
        if min(self.least_bias, self.least_counts, self.most_bias, self.most_mb) < 0:
            raise ConfigError("least_bias, least_counts, most_bias and most_mb must not be negative")
