"""The figures of a scoreboard in words."""

from typing import Any

from cli.scores import COLUMNS, notes, rows, summary

ROW: dict[str, Any] = {
    "sessions": 1_000,
    "clicks": 4_000,
    "hits": 1_200,
    "hit_rate": 0.3,
    "mrr": 0.125,
    "coverage": 0.5,
}
ROW |= {"items": 5, "fallback": 0.0, "p50_ms": 9.2, "p99_ms": 1_800.4, "lists": 5_000, "sessions_shown": 1_100}
NOBODY: dict[str, Any] = {"sessions": 0, "clicks": 0, "hits": 0, "hit_rate": None, "mrr": None, "coverage": None}
CLICKS = {"clicks": 9_000, "judged": 8_000, "first": 900, "missing": 0, "late": 7, "passed": 0, "unanswered": 0}
CLICKS |= {"before": 0, "waiting": 93}


def figures(**changes: Any) -> dict[str, Any]:
    one = {
        "state": "running",
        "reason": "",
        "variants": {"control": ROW | {"stopped": ""}, "new": ROW | {"hit_rate": 0.33, "stopped": ""}},
        "sample_ratio_ok": True,
        "against_control": {"new": {"uplift": 0.1, "interval": [0.02, 0.19], "difference_interval": [0.01, 0.05]}},
        **changes,
    }
    left_out = {"rejected": 3, "unreadable": 0, "foreign": 0, "lost": 0, "several_variants": 2}
    return {
        "experiments": {"two": one},
        "models": {"7": NOBODY},
        "clicks": CLICKS,
        "left_out": left_out,
        "behind": {"clicks": 5},
    }


def test_a_row_for_each_variant_and_version_under_the_columns() -> None:
    found = rows(figures())
    assert [len(row) for row in found] == [len(COLUMNS)] * 3
    assert found[0] == ["two", "control", "1,000", "4,000", "0.3000", "0.1250", "0.500", "0.000", "9", "1,800", ""]
    assert found[1][-1] == "+10.0% [+2.0%, +19.0%]"
    assert found[2] == ["no experiment", "model 7", "0", "0", "-", "-", "-", "-", "-", "-", ""]


def test_intervals_that_are_not_there_say_why() -> None:
    told = {"uplift": -1.0, "interval": None, "difference_interval": None}
    assert rows(figures(against_control={"new": told}))[1][-1] == "-100.0% (too few sessions)"
    told["difference_interval"] = [-0.3, -0.2]  # type: ignore[assignment]
    assert rows(figures(against_control={"new": told}))[1][-1] == "-100.0% (no hit)"


def test_notes_say_what_became_of_the_rest_and_what_is_wrong() -> None:
    stopped = {"control": ROW | {"stopped": ""}, "new": ROW | {"stopped": "guard rail latency: slow"}}
    preferred = {"control": 3, "new": 9, "share": 0.75, "low": 0.6, "high": 0.9}
    assert notes(figures(variants=stopped, sample_ratio_ok=False, preferred=preferred, reason="by hand")) == [
        "8,000 of 9,000 clicks are judged, first 900, late 7, waiting 93",
        "left out: rejected 3, several variants 2",
        "5 messages are to be read still",
        "two: the sessions are not in the promised shares, so no comparison is sound",
        "two is stopped: by hand",
        "two, new is stopped: guard rail latency: slow",
        "two: sessions prefer control 3, new 9; new 75.0% [60.0%, 90.0%]",
    ]


def test_line_of_a_log_has_what_runs_else_the_newest_versions() -> None:
    assert summary(figures()) == "8,000 clicks judged; two: control 0.3000, new 0.3300 +10.0% [+2.0%, +19.0%]"
    assert summary(figures(state="stopped")) == "8,000 clicks judged; model 7 -"
