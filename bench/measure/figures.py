"""From runs to what is printed: medians and ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.table import Table

from bench.measure.latency import Latency
from bench.measure.throughput import Throughput

SWAP_RATE = 1_000.0  # clicks a second of the latency that is promised
Runs = Mapping[str, Sequence[Throughput]]
_OURS = "nextclick"
_RATIOS = {
    "of_bare_loop": "bare_loop",
    "x_quix": "quix",
    "x_quix_batched": "quix_batched",
    "x_naive_faust": "naive_faust",
}


def summary(runs: Runs, latencies: Sequence[Latency]) -> dict[str, Any]:
    """Medians over the runs of each system, ratios of those medians, and the latencies as they were measured."""
    out: dict[str, Any] = {}
    if _OURS in runs:
        ours = runs[_OURS]
        out["clicks_per_s"] = round(_median(ours, lambda run: run.clicks_per_s))
        out["lists_per_s"] = round(_median(ours, lambda run: run.lists_per_s))
        for key, other in _RATIOS.items():
            if other in runs:
                out |= ratios(key, ours, runs[other])
    if "no_ranking" in runs:
        out["no_ranking_clicks_per_s"] = round(_median(runs["no_ranking"], lambda run: run.clicks_per_s))
    for latency in latencies:
        if latency.system != _OURS:
            out[f"{latency.system}_p50_ms"] = round(latency.p50_ms, 2)
            out[f"{latency.system}_p99_ms"] = round(latency.p99_ms, 2)
        elif latency.swap_p99_ms is not None:
            out["swap_p99_ms"] = round(latency.swap_p99_ms, 2)
        elif latency.rate == SWAP_RATE or "p99_ms" not in out:
            out |= {"rate": latency.rate, "p50_ms": round(latency.p50_ms, 2), "p99_ms": round(latency.p99_ms, 2)}
    out["systems"] = {name: system_row(of) for name, of in runs.items()}
    out["latency"] = [
        {
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in asdict(one).items()
            if value is not None
        }
        for one in latencies
    ]
    return out


def ratios(key: str, ours: Sequence[Throughput], other: Sequence[Throughput]) -> dict[str, float]:
    """Clicks, lists, and clicks a CPU-second of ours, as multiples of the other's."""
    return {
        key: _ratio(ours, other, lambda run: run.clicks_per_s),
        f"{key}_lists": _ratio(ours, other, lambda run: run.lists_per_s),
        f"{key}_per_cpu_s": _ratio(ours, other, lambda run: run.clicks_per_cpu_s),
    }


def system_row(runs: Sequence[Throughput]) -> dict[str, Any]:
    """The medians of one system, and each run's clicks a second."""
    return {
        "clicks_per_s": round(_median(runs, lambda run: run.clicks_per_s)),
        "lists_per_s": round(_median(runs, lambda run: run.lists_per_s)),
        "clicks_per_cpu_s": round(_median(runs, lambda run: run.clicks_per_cpu_s)),
        "clicks": min(run.clicks for run in runs),
        "runs": [round(run.clicks_per_s) for run in runs],
    }


def systems_table(runs: Runs) -> Table:
    """The systems side by side, for people."""
    shown = Table(title="backlog, medians")
    for column in ("system", "clicks/s", "lists/s", "clicks per CPU-second", "each run"):
        shown.add_column(column, justify="left" if column == "system" else "right")
    for name, of in runs.items():
        row = system_row(of)
        figures = (f"{row[key]:,}" for key in ("clicks_per_s", "lists_per_s", "clicks_per_cpu_s"))
        shown.add_row(name, *figures, " ".join(f"{run:,}" for run in row["runs"]))
    return shown


def latency_table(latencies: Sequence[Latency]) -> Table:
    """The open loops, for people."""
    shown = Table(title="open loop, ms from due to list")
    for column in ("system", "clicks/s", "p50", "p95", "p99", "around the swap, p99", "cores of load and subscriber"):
        shown.add_column(column, justify="right")
    for one in latencies:
        swap = "" if one.swap_p99_ms is None else f"{one.swap_p99_ms:.1f}"
        cores = f"{one.load_cpu:.2f} {one.subscriber_cpu:.2f}"
        shown.add_row(
            one.system, f"{one.rate:,.0f}", f"{one.p50_ms:.1f}", f"{one.p95_ms:.1f}", f"{one.p99_ms:.1f}", swap, cores
        )
    return shown


def _median(runs: Sequence[Throughput], figure: Callable[[Throughput], float]) -> float:
    return median(map(figure, runs))


def _ratio(ours: Sequence[Throughput], other: Sequence[Throughput], figure: Callable[[Throughput], float]) -> float:
    return round(_median(ours, figure) / _median(other, figure), 3)
