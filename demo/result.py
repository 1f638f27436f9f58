"""The figures of a demo: `nextclick demo --json`."""

import msgspec

from demo.hits import Hits
from demo.join import Figures

__all__ = ["Compared", "DemoResult", "HitRate", "result_of"]


class HitRate(msgspec.Struct, frozen=True):
    """Share of clicks on an item of the list shown before; None if no list was shown."""

    model: float | None
    popularity: float | None


class Compared(msgspec.Struct, frozen=True):
    """The experiment: half of the sessions kept the first model, half got the newest one."""

    variants: dict[str, float]  # hit rates, the control first
    uplift: float | None  # of the newest over the first: .05 is 5 % more hits; None before both were clicked
    interval: tuple[float, float] | None  # that holds at all times at once; None while there are too few sessions


class DemoResult(msgspec.Struct, frozen=True):
    """The figures of the demo. Latencies are from produce() to the recommendation read, of all clicks."""

    clicks: int
    answered: int
    clicks_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    hit_rate: HitRate
    models: list[str]  # versions served, in order
    experiment: Compared | None = None  # None where it did not begin


def result_of(figures: Figures, hits: Hits, seconds: float) -> DemoResult:
    """What is printed of the figures, `seconds` of shopping."""
    return DemoResult(
        clicks=figures.clicks,
        answered=figures.answered,
        clicks_per_s=round(figures.clicks / seconds, 1) if seconds else 0.0,
        p50_ms=_rounded(figures.p50_ms, 2),
        p99_ms=_rounded(figures.p99_ms, 2),
        hit_rate=HitRate(_rounded(hits.model, 4), _rounded(hits.popularity, 4)),
        models=list(figures.models),
        experiment=_compared(hits) if hits.by_variant else None,
    )


def _compared(hits: Hits) -> Compared:
    interval = hits.interval
    return Compared(
        variants={name: round(rate, 4) for name, rate in hits.by_variant.items()},
        uplift=_rounded(hits.uplift, 4),
        interval=None if interval is None else (round(interval[0], 4), round(interval[1], 4)),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
