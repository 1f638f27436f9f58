"""What each dashboard shows: rows of panels, each a question and the queries that answer it.

A metric that no panel here asks for gets one of its own in the last row, so that nothing that is measured is unseen.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BOARDS", "NOTHING_YET", "Board", "Panel", "Query"]

# Counters with labels, and problems, have no series before the first of their events: that is none of them, not no data
NOTHING_YET = " or on () vector(0)"


class Query(NamedTuple):
    """A line of a panel."""

    expr: str
    legend: str = "{{instance}}"


class Panel(NamedTuple):
    """A question, its answer, and the unit as Grafana names it."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    about: str = ""


class Board(NamedTuple):
    """A dashboard of a service. `job` is the scrape job of deploy/prometheus.yaml."""

    service: str
    title: str
    job: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def _one(title: str, expr: str, unit: str = "short", legend: str = "{{instance}}") -> Panel:
    return Panel(title, (Query(expr, legend),), unit)


def _quantiles(title: str, stage: str) -> Panel:
    each = 'sum by (le) (rate(nextclick_latency_seconds_bucket{{stage="{stage}"}}[1m]))'
    return Panel(
        title,
        tuple(
            Query(f"histogram_quantile({share}, {each.format(stage=stage)})", legend)
            for share, legend in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
        ),
        "s",
    )


_STAGES = 'sum by (stage) (rate(nextclick_latency_seconds_{part}{{stage!="total"}}[1m]))'

_WORKER = (
    (
        "Is it well?",
        (
            _one("Workers that answer with a model", "sum(nextclick_ready)", legend="ready"),
            _one("What is wrong", "sum by (key) (nextclick_problem)" + NOTHING_YET, legend="{{key}}"),
            _one("Clicks behind, by partition", "nextclick_lag_clicks", legend="{{partition}}"),
            _one("Model in service", "count by (version) (nextclick_model_info)", legend="{{version}}"),
        ),
    ),
    (
        "Clicks and lists",
        (
            _one("Clicks answered", "sum by (instance) (rate(nextclick_clicks_total[1m]))", "cps"),
            _one("Lists published", "sum by (instance) (rate(nextclick_recommendations_total[1m]))", "cps"),
            _one(
                "Share of lists of popular items",
                "sum(rate(nextclick_fallbacks_total[5m])) / sum(rate(nextclick_recommendations_total[5m]))",
                "percentunit",
                "fallback",
            ),
            _one(
                "Rejected, by reason",
                "sum by (reason) (rate(nextclick_rejected_total[5m]))" + NOTHING_YET,
                "cps",
                "{{reason}}",
            ),
        ),
    ),
    (
        "Latency",
        (
            _quantiles("From record to confirmed list", "total"),
            Panel(
                "Mean of each stage",
                (Query(f"{_STAGES.format(part='sum')} / {_STAGES.format(part='count')}", "{{stage}}"),),
                "s",
            ),
            _one(
                "Clicks of a micro-batch",
                "sum(rate(nextclick_batch_clicks_sum[1m])) / sum(rate(nextclick_batch_clicks_count[1m]))",
                legend="mean",
            ),
            _one("Waiting in the worker", "nextclick_queue_clicks"),
        ),
    ),
    (
        "State and memory",
        (
            _one("Sessions", "nextclick_sessions"),
            _one("Bytes of their state", "nextclick_state_bytes", "bytes"),
            _one("Resident memory", 'process_resident_memory_bytes{job="nextclick"}', "bytes"),
            _one("Cores used", 'rate(process_cpu_seconds_total{job="nextclick"}[1m])'),
        ),
    ),
)

_TRAINER = (
    (
        "The trainer",
        (
            _one(
                "Cycles in a day",
                "sum by (outcome) (increase(nextclick_trainer_cycles_total[1d]))" + NOTHING_YET,
                legend="{{outcome}}",
            ),
            _one("Age of what the last version learned", "nextclick_trainer_model_age_seconds", "s"),
            _one("The last candidate passed", "nextclick_trainer_gate_passed"),
            _one("Clicks not stored yet", "nextclick_trainer_lag_clicks"),
        ),
    ),
)

_BY_VARIANT = "{{experiment}} {{variant}}"
_SCOREBOARD = (
    (
        "What the lists are worth",
        (
            _one("Hit rate by variant", "nextclick_scoreboard_hit_rate", "percentunit", _BY_VARIANT),
            _one("MRR by variant", "nextclick_scoreboard_mrr", legend=_BY_VARIANT),
            Panel(
                "Uplift, and its interval",
                (
                    Query("nextclick_scoreboard_uplift", _BY_VARIANT),
                    Query("nextclick_scoreboard_uplift_low", f"{_BY_VARIANT} low"),
                    Query("nextclick_scoreboard_uplift_high", f"{_BY_VARIANT} high"),
                ),
                "percentunit",
            ),
            _one("Judged clicks", "nextclick_scoreboard_clicks", legend=_BY_VARIANT),
        ),
    ),
)

BOARDS = (
    Board("worker", "nextclick: workers", "nextclick", _WORKER),
    Board("trainer", "nextclick: trainer", "nextclick-trainer", _TRAINER),
    Board("scoreboard", "nextclick: scoreboard", "nextclick-scoreboard", _SCOREBOARD),
    Board("similar", "nextclick: similar items", "nextclick-similar", ()),
    Board("feedback", "nextclick: feedback", "nextclick-feedback", ()),
    Board("serve", "nextclick: read API", "nextclick-serve", ()),
)
