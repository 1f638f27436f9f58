"""The figures of a board: by experiment and variant, by version, with what was left out and why.

Also the JSON of `nextclick scoreboard --json`. Its first keys are those of one experiment: the one that runs, the
newest of several, or the one that ended last; where there is none, `variants` are the versions.
"""

from collections.abc import Mapping, Sized
from typing import Any

import msgspec

from export.experiments.experiment import CONTROL, INTERLEAVED, Experiment
from export.experiments.ratio import is_ratio_ok
from export.experiments.sequence import SequenceConfig, uplift
from stream.scoreboard.board import Board, Row
from stream.scoreboard.join import Counts
from stream.scoreboard.lanes import Dropped

__all__ = ["POPULARITY", "experiment_figures", "figures", "is_sample_ratio_ok", "names_of", "row_figures"]

POPULARITY = "popularity"  # what lists without a model are called
_USUAL_CONTROL = "control"


def figures(
    board: Board,
    items: Sized,
    counts: Counts,
    dropped: Dropped,
    experiments: Mapping[str, Experiment],
    config: SequenceConfig,
) -> dict[str, Any]:
    """All of them. `items`: that stood in any list. `experiments`: those that are announced, by name."""
    listed = len(items)
    found = {
        name: experiment_figures(board, name, experiments.get(name), config, listed)
        for name in _names(board, experiments)
    }
    models = {name or POPULARITY: row_figures(row, listed) for name, row in board.models.items()}
    first = _first(found, experiments)
    nothing = {"variants": models, "uplift": None, "interval": None, "sample_ratio_ok": None}
    top = {key: found[first][key] for key in nothing} if first else nothing
    return {
        "experiment": first,
        **top,
        "experiments": found,
        "models": models,
        "clicks": msgspec.structs.asdict(counts) | {"waiting": counts.waiting},
        "left_out": msgspec.structs.asdict(dropped) | {"several_variants": sum(board.mixed.values())},
    }


def experiment_figures(
    board: Board, name: str, known: Experiment | None, config: SequenceConfig, listed: int
) -> dict[str, Any]:
    """Of one experiment; `known` is how it is announced, None where its record is gone. `listed`: distinct items in
    any list."""
    rows = {variant: row for (experiment, variant), row in board.variants.items() if experiment == name}
    names = names_of(name, board, known)
    stopped = {} if known is None else {variant.name: variant.stopped for variant in known.variants}
    variants = {one: row_figures(rows.get(one), listed) | {"stopped": stopped.get(one, "")} for one in names}
    body: dict[str, Any] = {
        "state": "unknown" if known is None else known.state,
        "reason": "" if known is None else known.reason,
        "variants": variants,
        "uplift": None,
        "interval": None,
        "sample_ratio_ok": None if known is None else is_sample_ratio_ok(board, known),
        "several_variants": board.mixed.get(name, 0),
    }
    drafted = rows.get(INTERLEAVED)
    if drafted is not None:
        teams, preference = drafted.preference
        order = [one.name for one in known.variants] if known is not None else list(teams)
        if len(teams) == 2:
            body["preferred"] = (preference if tuple(order) == teams else preference.swapped()).to_json(order, config)
        return body
    control = rows.get(names[CONTROL]) if names else None
    against = {
        one: uplift(control.tally, rows[one].tally, config).to_json()
        for one in names[CONTROL + 1 :]
        if control is not None and one in rows
    }
    body["against_control"] = against
    if len(names) == 2:  # plain values; of more they are by variant
        only = against.get(names[1], {})
        body["uplift"], body["interval"] = only.get("uplift"), only.get("interval")
    elif against:
        body["uplift"] = {one: told["uplift"] for one, told in against.items()}
        body["interval"] = {one: told["interval"] for one, told in against.items()}
    return body


def row_figures(row: Row | None, listed: int) -> dict[str, Any]:
    """Of a variant or a version. Shares are None where nothing was counted; latencies in ms."""
    if row is None:
        return {"sessions": 0, "clicks": 0, "hits": 0, "hit_rate": None, "mrr": None, "coverage": None}
    own, tally = row.state, row.tally
    return {
        "sessions": tally.sessions,
        "clicks": tally.clicks,
        "hits": tally.hits,
        "hit_rate": tally.hit_rate,
        "mrr": tally.mrr,
        "coverage": row.items / listed if listed else None,
        "items": row.items,
        "fallback": own.fallbacks / own.lists if own.lists else None,
        "p50_ms": own.latency.quantile(0.5),
        "p99_ms": own.latency.quantile(0.99),
        "lists": own.lists,
        "sessions_shown": own.shown,
    }


def names_of(name: str, board: Board, known: Experiment | None) -> list[str]:
    """The variants of an experiment, the control first; those it is announced with, and those seen in lists."""
    announced = [] if known is None or known.interleave else [variant.name for variant in known.variants]
    seen = sorted(variant for experiment, variant in board.variants if experiment == name)
    if not announced:  # nobody says which one is the control
        seen.sort(key=lambda variant: variant != _USUAL_CONTROL)
    return [*announced, *(variant for variant in seen if variant not in announced)]


def is_sample_ratio_ok(board: Board, known: Experiment) -> bool | None:
    """Of the variants that were not stopped; None where no shares were promised of two or more."""
    served = [variant for variant in known.variants if not variant.stopped]
    if known.interleave or len(served) < 2:
        return None
    rows = [board.variants.get((known.experiment, one.name)) for one in served]
    return is_ratio_ok([row.state.shown if row else 0 for row in rows], [one.share for one in served])


def _names(board: Board, experiments: Mapping[str, Experiment]) -> list[str]:
    """Those that run, and those whose lists were seen; the oldest first."""
    running = {name for name, one in experiments.items() if one.state == "running"}
    seen = {experiment for experiment, _ in board.variants}
    return sorted(running | seen, key=lambda name: (_started(name, experiments), name))


def _first(found: Mapping[str, Any], experiments: Mapping[str, Experiment]) -> str | None:
    running = [name for name in found if found[name]["state"] == "running"]
    among = running or list(found)
    return max(among, key=lambda name: (_started(name, experiments), name)) if among else None


def _started(name: str, experiments: Mapping[str, Experiment]) -> int:
    return experiments[name].started_ts if name in experiments else 0
