"""The figures of a scoreboard as people read them."""

from collections.abc import Mapping
from typing import Any

__all__ = ["COLUMNS", "notes", "rows", "summary"]

_DIGITS = {"hit_rate": 4, "mrr": 4, "coverage": 3, "fallback": 3}
_FIGURES = ["sessions", "clicks", "hit rate", "MRR", "coverage", "fallback", "p50 ms", "p99 ms"]
COLUMNS = ["experiment", "variant", *_FIGURES, "beside control"]


def rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """A row for each variant of each experiment, and for each version that served no experiment."""
    found = []
    for name, one in figures["experiments"].items():
        title = name if one["state"] == "running" else f"{name} ({one['state']})"
        for variant, row in one["variants"].items():
            found.append([title, variant, *_row(row), _beside(one, variant)])
            title = ""
    title = "no experiment" if found else ""
    for version, row in figures["models"].items():
        found.append([title, f"model {version}", *_row(row), ""])
        title = ""
    return found


def notes(figures: Mapping[str, Any]) -> list[str]:
    """What is to be known of the figures, a line each."""
    clicks, left_out = figures["clicks"], figures["left_out"]
    judged = f"{clicks['judged']:,} of {clicks['clicks']:,} clicks are judged"
    others = ("first", "missing", "late", "passed", "unanswered", "before", "waiting")
    found = [", ".join([judged, *(f"{name} {clicks[name]:,}" for name in others if clicks[name])])]
    dropped = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in left_out.items() if count)
    if dropped:
        found.append(f"left out: {dropped}")
    behind = sum(figures.get("behind", {}).values())
    if behind:
        found.append(f"{behind:,} messages are to be read still")
    for name, one in figures["experiments"].items():
        if one["sample_ratio_ok"] is False:
            found.append(f"{name}: the sessions are not in the promised shares, so no comparison is sound")
        if one["reason"]:
            found.append(f"{name} is stopped: {one['reason']}")
        found += [
            f"{name}, {label} is stopped: {row['stopped']}" for label, row in one["variants"].items() if row["stopped"]
        ]
        if "preferred" in one:
            found.append(f"{name}: {_preferred(one['preferred'])}")
    return found


def summary(figures: Mapping[str, Any]) -> str:
    """One line, for a log."""
    parts = [f"{figures['clicks']['judged']:,} clicks judged"]
    running = {name: one for name, one in figures["experiments"].items() if one["state"] == "running"}
    for name, one in running.items():
        rates = [
            f"{label} {_share(row['hit_rate'], 4)} {_beside(one, label)}" for label, row in one["variants"].items()
        ]
        parts.append(f"{name}: {', '.join(map(str.strip, rates))}")
    if len(parts) == 1:
        parts += [f"model {name} {_share(row['hit_rate'], 4)}" for name, row in list(figures["models"].items())[-3:]]
    return "; ".join(parts)


def _row(row: Mapping[str, Any]) -> list[str]:
    sizes = [f"{row['sessions']:,}", f"{row['clicks']:,}"]
    shares = [_share(row.get(name), digits) for name, digits in _DIGITS.items()]
    return [*sizes, *shares, *(_ms(row.get(name)) for name in ("p50_ms", "p99_ms"))]


def _beside(one: Mapping[str, Any], variant: str) -> str:
    told = one.get("against_control", {}).get(variant)
    if told is None or told["uplift"] is None:
        return ""
    if told["interval"] is None:
        why = "too few sessions" if told["difference_interval"] is None else "no hit"
        return f"{told['uplift']:+.1%} ({why})"
    low, high = told["interval"]
    return f"{told['uplift']:+.1%} [{low:+.1%}, {high:+.1%}]"


def _preferred(told: Mapping[str, float]) -> str:
    teams = {name: count for name, count in told.items() if name not in ("share", "low", "high")}
    said = "sessions prefer " + ", ".join(f"{name} {count:,}" for name, count in teams.items())
    if "share" not in told:
        return said
    bounds = f" [{told['low']:.1%}, {told['high']:.1%}]" if "low" in told else " (too few sessions)"
    return f"{said}; {list(teams)[-1]} {told['share']:.1%}{bounds}"


def _share(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
