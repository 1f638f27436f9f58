"""What a log is like, as far as the choice of a model goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.data.log import SessionLog

__all__ = ["LogTraits", "traits_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTraits:
    """Figures of a log to learn from."""

    sessions: int
    clicks: int
    items: int
    clicks_an_item: float  # mean
    repeats: float  # share of the clicks after a session's first that are on the item just clicked

    @property
    def predictions(self) -> float:
        """Of a session: clicks after its first, mean."""
        return (self.clicks - self.sessions) / max(1, self.sessions)

    def told(self) -> str:
        """Return one line for people."""
        return (
            f"{self.sessions:,} sessions, {self.items:,} items of {self.clicks_an_item:.1f} clicks each, "
            f"{self.repeats:.0%} of the clicks on the item before"
        )


def traits_of(log: SessionLog) -> LogTraits:
    """Return the figures of `log`: one pass over its clicks."""
    first = np.zeros(log.clicks, bool)
    first[log.offsets[:-1]] = True
    again = (log.items[1:] == log.items[:-1]) & ~first[1:]
    after = max(1, log.clicks - log.sessions)
    return LogTraits(
        sessions=log.sessions,
        clicks=log.clicks,
        items=len(log.vocabulary),
        clicks_an_item=log.clicks / max(1, len(log.vocabulary)),
        repeats=float(again.sum()) / after,
    )
