"""What is counted of a variant: sums over its sessions, from which every rate and its spread follow."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Tally"]


class Tally(msgspec.Struct):
    """Sums over sessions. `n` are a session's judged clicks, `h` those that stood in the list shown before."""

    sessions: int = 0
    clicks: int = 0  # sum of n
    hits: int = 0  # sum of h
    reciprocal: float = 0.0  # sum of 1 / rank of the hits
    nn: int = 0  # sum of n * n
    hn: int = 0  # sum of h * n
    hh: int = 0  # sum of h * h

    def add(self, clicks: int, hits: int, reciprocal: float = 0.0) -> None:
        """One session is over; one without a judged click counts for nothing."""
        if clicks < 1:
            return
        self.sessions += 1
        self.clicks += clicks
        self.hits += hits
        self.reciprocal += reciprocal
        self.nn += clicks * clicks
        self.hn += hits * clicks
        self.hh += hits * hits

    @classmethod
    def of(cls, clicks: NDArray[np.int64], hits: NDArray[np.int64], reciprocal: NDArray[np.float64]) -> "Tally":
        """Many sessions at once: arrays (S,), each session with a judged click at least."""
        return cls(
            sessions=len(clicks),
            clicks=int(clicks.sum()),
            hits=int(hits.sum()),
            reciprocal=float(reciprocal.sum()),
            nn=int((clicks * clicks).sum()),
            hn=int((hits * clicks).sum()),
            hh=int((hits * hits).sum()),
        )

    @classmethod
    def total(cls, parts: "Sequence[Tally]") -> "Tally":
        """All of them together."""
        names = cls.__struct_fields__
        return cls(**{name: sum(getattr(part, name) for part in parts) for name in names})

    @property
    def hit_rate(self) -> float | None:
        """Hits a judged click; None without one."""
        return self.hits / self.clicks if self.clicks else None

    @property
    def mrr(self) -> float | None:
        """Mean reciprocal rank, 0 for a click that was not in the list; None without a judged click."""
        return self.reciprocal / self.clicks if self.clicks else None

    @property
    def rate_variance(self) -> float:
        """Variance of `hit_rate`, by sessions, linearised; 0 for fewer than two."""
        if self.sessions < 2 or not self.clicks:
            return 0.0
        rate, mean = self.hits / self.clicks, self.clicks / self.sessions
        squares = self.hh - 2 * rate * self.hn + rate * rate * self.nn  # the residuals add up to 0
        return max(squares, 0.0) / (self.sessions - 1) / self.sessions / (mean * mean)
