"""What a load needs, by what a click, a catalogue and a session cost."""

from __future__ import annotations

from dataclasses import replace

from bench.costs.capacity import Cost, needs, table

COST = Cost(items=1_000, clicks_per_cpu_s=10_000.0, peak_mb=200.0)


def test_cores_are_loaded_to_sixty_percent_and_each_worker_has_one() -> None:
    found = needs(12_000, COST, 400.0)
    assert (found.cores, found.workers, found.partitions) == (2.0, 2, 4)
    slower = needs(12_000, replace(COST, clicks_per_cpu_s=4_000.0), 400.0)
    assert (slower.cores, slower.workers, slower.partitions) == (5.0, 5, 16)


def test_small_load_has_a_worker_and_room_for_more() -> None:
    found = needs(1, COST, 400.0)
    assert (found.workers, found.partitions) == (1, 4)
    assert found.cores < 0.1


def test_memory_is_the_worker_s_own_and_its_share_of_the_sessions_with_a_margin() -> None:
    found = needs(12_000, COST, 400.0)
    assert found.sessions == 3_600_000, "half an hour's, of six clicks each"
    assert found.worker_mb == 1_200, "1.3 times 200 MB and half of 1,440 MB, in steps of 10 MB"


def test_table_has_a_line_a_load() -> None:
    head, rule, line = table([needs(12_000, COST, 400.0)])
    assert head.count("|") == rule.count("|") == line.count("|")
    assert "12,000" in line
