"""The figures of a demo: `nextclick demo --json`."""

import msgspec

from demo.join import Figures

__all__ = ["DemoResult", "HitRate", "result_of"]


class HitRate(msgspec.Struct, frozen=True):
    """Share of clicks on an item of the list shown before; None if no list was shown."""

    model: float | None
    popularity: float | None


class DemoResult(msgspec.Struct, frozen=True):
    """The figures of the demo. Latencies are from produce() to the recommendation read, of all clicks."""

    clicks: int
    answered: int
    clicks_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    hit_rate: HitRate
    models: list[str]  # versions served, in order


def result_of(figures: Figures, seconds: float) -> DemoResult:
    """What is printed of the figures, `seconds` of shopping."""
    return DemoResult(
        clicks=figures.clicks,
        answered=figures.answered,
        clicks_per_s=round(figures.clicks / seconds, 1) if seconds else 0.0,
        p50_ms=_rounded(figures.p50_ms, 2),
        p99_ms=_rounded(figures.p99_ms, 2),
        hit_rate=HitRate(_rounded(figures.hit_rate_model, 4), _rounded(figures.hit_rate_popularity, 4)),
        models=list(figures.models),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
