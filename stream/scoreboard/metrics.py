"""The figures for Prometheus: made of the board when they are asked for.

Counts are gauges, as what a session has added may be taken back.
"""

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["ScoreboardMetrics"]

_NAME = "nextclick_scoreboard_{}".format
_ROWS = {  # of a variant, or a version where there is no experiment
    "sessions": "Sessions with a judged click.",
    "clicks": "Judged clicks.",
    "hits": "Judged clicks on an item of the list before.",
    "hit_rate": "Hits of the judged clicks.",
    "mrr": "Mean reciprocal rank of the judged clicks, 0 where the item was not in the list.",
    "coverage": "Distinct items of its lists, of those in any list.",
    "fallback": "Share of its lists of popular items, or without items.",
    "lists": "Lists that answered a click.",
    "p50_ms": "Median time from a click to its list.",
    "p99_ms": "The 99th percentile of it.",
}
_BESIDE = {
    "uplift": "Hit rate beside the control's: .18 is 18 % more.",
    "uplift_low": "Lower bound of it.",
    "uplift_high": "Upper bound of it.",
}


class _Figures(Collector):
    def __init__(self, figures: Callable[[], dict[str, Any]]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        found = self._figures()
        rows = {name: _family(name, text) for name, text in _ROWS.items()}
        beside = {name: _family(name, text) for name, text in _BESIDE.items()}
        groups = {name: one["variants"] for name, one in found["experiments"].items()} | {"": found["models"]}
        for experiment, variants in groups.items():
            for variant, figures in variants.items():
                for name, family in rows.items():
                    if figures.get(name) is not None:
                        family.add_metric((experiment, variant), figures[name])
        for experiment, one in found["experiments"].items():
            for variant, told in one.get("against_control", {}).items():
                low, high = told["interval"] or (None, None)
                for name, value in zip(_BESIDE, (told["uplift"], low, high), strict=True):
                    if value is not None:
                        beside[name].add_metric((experiment, variant), value)
        yield from rows.values()
        yield from beside.values()
        ratio = GaugeMetricFamily(
            _NAME("sample_ratio_ok"), "0: sessions are not in the promised shares.", labels=("experiment",)
        )
        for experiment, one in found["experiments"].items():
            if one["sample_ratio_ok"] is not None:
                ratio.add_metric((experiment,), one["sample_ratio_ok"])
        yield ratio
        for name, text, label in (
            ("clicks", "What became of the clicks (docs/scoreboard.md).", "outcome"),
            ("left_out", "Messages, and sessions of several variants, that count for nothing.", "why"),
        ):
            family = GaugeMetricFamily(_NAME("all_clicks" if name == "clicks" else name), text, labels=(label,))
            for key, value in found[name].items():
                family.add_metric((key,), value)
            yield family


def _family(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(_NAME(name), text, labels=("experiment", "variant"))


class ScoreboardMetrics:
    """Of one scoreboard, in a registry of their own. `figures`: as figures.figures gives them."""

    def __init__(self, figures: Callable[[], dict[str, Any]]) -> None:
        self.registry = CollectorRegistry()
        self.behind = Gauge(
            _NAME("behind_messages"), "Messages that were not counted yet.", ("topic",), registry=self.registry
        )
        self.stopped = Counter(
            _NAME("stopped_variants"),
            "Variants that a guard rail stopped.",
            ("experiment", "variant", "rail"),
            registry=self.registry,
        )
        self.problem = Gauge(
            _NAME("problem"), "1 while something is wrong, by what it is.", ("key",), registry=self.registry
        )
        self.registry.register(_Figures(figures))

    def render(self) -> bytes:
        """The figures as text."""
        return generate_latest(self.registry)
