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
_BARE = "bare_loop"
Kind = tuple[str, float, bool]  # of loops: system, clicks a second, whether the model was swapped
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
    out |= latency_summary(latencies)
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


def latency_summary(latencies: Sequence[Latency]) -> dict[str, Any]:
    """Medians over the loops of a kind, in ms and as multiples of the bare loop's, at the rate of the promise or, where
    that was not measured, the first one; and the multiples at every rate."""
    kinds, of_bare = _by_kind(latencies), latency_ratios(latencies)
    rates = [rate for system, rate, _ in kinds if system == _OURS]
    told = SWAP_RATE if SWAP_RATE in rates or not rates else rates[0]
    out: dict[str, Any] = {"rate": told} if rates else {}
    for kind, loops in kinds.items():
        system, rate, swapped = kind
        prefix = "swap_loop_" if swapped else "" if system == _OURS else f"{system}_"
        if rate == told:
            figures = {key: round(value, 2) for key, value in _percentiles(loops).items()} | of_bare.get(kind, {})
            out |= {f"{prefix}{key}".removeprefix("swap_loop_around_"): value for key, value in figures.items()}
    out["of_bare_loop_latency"] = [
        {"system": system, "rate": rate, "swap": swapped, **found} for (system, rate, swapped), found in of_bare.items()
    ]
    return out


def latency_ratios(latencies: Sequence[Latency]) -> dict[Kind, dict[str, float]]:
    """Each kind of loop's percentiles as multiples of the bare loop's at that rate, of medians over the loops. Left out
    are kinds at whose rate the bare loop was not measured."""
    kinds = _by_kind(latencies)
    out: dict[Kind, dict[str, float]] = {}
    for (system, rate, swapped), loops in kinds.items():
        bare = kinds.get((_BARE, rate, False))
        if bare is not None and system != _BARE:
            theirs = _percentiles(bare)
            out[system, rate, swapped] = {
                f"{key.removesuffix('_ms')}_of_bare_loop": round(value / theirs[key.removeprefix("around_swap_")], 3)
                for key, value in _percentiles(loops).items()
            }
    return out


def _by_kind(latencies: Sequence[Latency]) -> dict[Kind, list[Latency]]:
    kinds: dict[Kind, list[Latency]] = {}
    for one in latencies:
        kinds.setdefault((one.system, one.rate, one.swap_p99_ms is not None), []).append(one)
    return kinds


def _percentiles(loops: Sequence[Latency]) -> dict[str, float]:
    """Medians over loops of a kind; of the clicks around the swap as well, where there was one."""
    out = {"p50_ms": median(one.p50_ms for one in loops), "p99_ms": median(one.p99_ms for one in loops)}
    around = [one.swap_p99_ms for one in loops if one.swap_p99_ms is not None]
    return out | ({"around_swap_p99_ms": median(around)} if around else {})


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
    """The open loops, medians over those of a kind, for people."""
    shown = Table(title="open loop, ms from due to list (times the bare loop's)")
    columns = ("system", "clicks/s", "p50", "p95", "p99", "around the swap, p99", "cores: system, load, subscriber")
    for column in columns:
        shown.add_column(column, justify="right")
    of_bare = latency_ratios(latencies)
    for (system, rate, swapped), loops in _by_kind(latencies).items():
        ratio = of_bare.get((system, rate, swapped), {})
        figures = _percentiles(loops)
        p50, p99 = (_beside(figures[f"{key}_ms"], ratio.get(f"{key}_of_bare_loop")) for key in ("p50", "p99"))
        around = figures.get("around_swap_p99_ms")
        swap = "" if around is None else _beside(around, ratio.get("around_swap_p99_of_bare_loop"))
        p95 = f"{median(one.p95_ms for one in loops):.1f}"
        cores = (median(getattr(one, name) for one in loops) for name in ("system_cpu", "load_cpu", "subscriber_cpu"))
        shown.add_row(system, f"{rate:,.0f}", p50, p95, p99, swap, " ".join(f"{used:.2f}" for used in cores))
    return shown


def spans_tables(latencies: Sequence[Latency]) -> list[Table]:
    """Where the time of the clicks goes: a table a kind of loop, its first loop."""
    tables = []
    for (system, rate, swapped), (first, *_) in _by_kind(latencies).items():
        if not first.spans:
            continue
        shown = Table(title=f"{system} at {rate:,.0f} clicks/s{', with a swap' if swapped else ''}: mean ms")
        groups = first.spans
        for column in ("span", *groups):
            shown.add_column(column, justify="left" if column == "span" else "right")
        for span in dict.fromkeys(name for of in groups.values() for name in of):
            shown.add_row(span, *(f"{of[span]:.1f}" for of in groups.values()))
        tables.append(shown)
    return tables


def _beside(value: float, ratio: float | None) -> str:
    return f"{value:.1f}" if ratio is None else f"{value:.1f} ({ratio:.2f})"


def _median(runs: Sequence[Throughput], figure: Callable[[Throughput], float]) -> float:
    return median(map(figure, runs))


def _ratio(ours: Sequence[Throughput], other: Sequence[Throughput], figure: Callable[[Throughput], float]) -> float:
    return round(_median(ours, figure) / _median(other, figure), 3)
