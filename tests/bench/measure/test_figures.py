"""What is printed of the runs."""

from __future__ import annotations

from dataclasses import replace

from bench.measure.figures import latency_table, ratios, spans_tables, summary, systems_table
from bench.measure.latency import Latency
from bench.measure.throughput import Throughput


def run(clicks: int, lists: int = 10, seconds: float = 1.0, cpu_s: float = 2.0) -> Throughput:
    return Throughput(clicks=clicks, lists=lists, seconds=seconds, cpu_s=cpu_s)


def loop(rate: float, p99_ms: float, swap_p99_ms: float | None = None, system: str = "nextclick") -> Latency:
    return Latency(
        system=system,
        rate=rate,
        clicks=1,
        p50_ms=1.0,
        p95_ms=2.0,
        p99_ms=p99_ms,
        load_cpu=0.1,
        subscriber_cpu=0.1,
        swap_p99_ms=swap_p99_ms,
        swap_s=None if swap_p99_ms is None else 0.5,
    )


def test_a_ratio_is_of_medians_so_that_one_bad_run_of_three_does_not_count() -> None:
    ours, other = [run(300), run(290), run(10)], [run(100), run(100), run(900)]
    assert ratios("x_other", ours, other) == {"x_other": 2.9, "x_other_lists": 1.0, "x_other_per_cpu_s": 2.9}


def test_fewer_lists_for_the_same_clicks_show() -> None:
    found = ratios("x_other", [run(300, lists=50)], [run(300, lists=100)])
    assert (found["x_other"], found["x_other_lists"]) == (1.0, 0.5)


def test_the_summary_has_the_promised_names() -> None:
    runs = {name: [run(60)] for name in ("nextclick", "bare_loop", "no_ranking", "quix", "naive_faust")}
    loops = [loop(500.0, 3.0), loop(1_000.0, 5.0), loop(1_000.0, 9.0, swap_p99_ms=20.0)]
    found = summary(runs, [*loops, loop(1_000.0, 7.0, system="exactly_once")])
    assert found["clicks_per_s"] == 60
    assert found["lists_per_s"] == 10
    assert found["of_bare_loop"] == found["x_quix"] == found["x_naive_faust"] == 1.0
    assert found["no_ranking_clicks_per_s"] == 60
    assert (found["p99_ms"], found["swap_p99_ms"], found["exactly_once_p99_ms"]) == (5.0, 20.0, 7.0)


def test_what_was_not_measured_is_not_in_the_summary() -> None:
    found = summary({"nextclick": [run(60)]}, [])
    assert not {"of_bare_loop", "x_quix", "x_naive_faust", "no_ranking_clicks_per_s", "p99_ms"} & set(found)


def test_latency_is_told_as_a_multiple_of_the_bare_loops_at_the_same_rate_by_medians() -> None:
    ours = [loop(1_000.0, p99) for p99 in (11.0, 12.0, 90.0)] + [loop(2_000.0, 30.0)]
    bare = [loop(1_000.0, p99, system="bare_loop") for p99 in (10.0, 10.0, 50.0)]
    found = summary(
        {}, [*ours, *bare, loop(1_000.0, 15.0, swap_p99_ms=20.0), loop(1_000.0, 16.0, system="exactly_once")]
    )
    assert (found["p99_ms"], found["bare_loop_p99_ms"], found["p50_of_bare_loop"]) == (12.0, 10.0, 1.0)
    assert (found["p99_of_bare_loop"], found["exactly_once_p99_of_bare_loop"]) == (1.2, 1.6)
    assert (found["swap_loop_p99_of_bare_loop"], found["swap_p99_of_bare_loop"]) == (1.5, 2.0)
    assert [one for one in found["of_bare_loop_latency"] if one["rate"] == 2_000.0] == []  # no bare loop was at 2,000


def test_spans_have_a_table_a_kind_of_loop_and_none_where_none_are_known() -> None:
    spans = {"middle 50 %": {"rank": 2.0, "line": 0.5}, "slowest 1 %": {"rank": 9.0, "line": 1.0}}
    tables = spans_tables([replace(loop(500.0, 3.0), spans=spans), loop(1_000.0, 3.0)])
    assert [table.row_count for table in tables] == [2]


def test_the_rate_that_was_measured_stands_beside_its_latency() -> None:
    assert summary({}, [loop(500.0, 3.0)])["rate"] == 500.0


def test_tables_have_a_row_a_system_and_a_row_a_rate() -> None:
    assert systems_table({"nextclick": [run(60)], "bare_loop": [run(60)]}).row_count == 2
    assert latency_table([loop(500.0, 3.0), loop(1_000.0, 9.0, swap_p99_ms=20.0)]).row_count == 2
