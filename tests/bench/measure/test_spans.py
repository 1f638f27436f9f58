"""Where the time of each click goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.measure.lists import Answer, Received, Source
from bench.measure.load import Sent
from bench.measure.spans import GROUPS, STAGES, Stamp, TraceFile, moments, spans_ms

SENT: Sent = [("a", 0, 3, 10.0), ("b", 1, 4, 10.1), ("a", 0, 5, 10.2), ("c", 1, 9, 10.3)]
IN_KAFKA = np.array([10.01, 10.11, 10.21, 10.31])


def a_list(session: str, partition: int, offset: int, at: float) -> Received:
    return Received(Answer(session, Source(partition, offset), "1", 0), at, appended=at - 0.005)


LISTS = [a_list("a", 0, 3, 10.05), a_list("b", 1, 4, 10.15), a_list("a", 0, 5, 10.26), a_list("c", 1, 9, 10.38)]


def test_a_click_is_at_a_stage_with_the_first_stamp_of_its_partition_that_covers_it() -> None:
    stamps = [Stamp("fetched", 0, 4, 10.02), Stamp("fetched", 1, 4, 10.12), Stamp("fetched", 0, 5, 10.22)]
    when = moments(SENT, IN_KAFKA, LISTS, stamps)
    assert list(when) == ["due", "in_kafka", "fetched", "listed", "received"]
    assert when["fetched"][:3] == pytest.approx([10.02, 10.12, 10.22])
    assert np.isnan(when["fetched"][3])
    assert when["received"] == pytest.approx([10.05, 10.15, 10.26, 10.38])


def test_a_stamp_repeated_after_a_rewind_changes_nothing() -> None:
    stamps = [Stamp("begun", 0, 5, 10.02), Stamp("begun", 0, 3, 11.0), Stamp("begun", 0, 5, 11.1)]
    assert moments(SENT, IN_KAFKA, LISTS, stamps)["begun"][[0, 2]] == pytest.approx([10.02, 10.02])


def test_spans_of_a_group_add_up_to_the_time_from_due_to_list() -> None:
    count = 200
    sent: Sent = [("s", 0, number, number / 100) for number in range(count)]
    due = np.array([at for *_, at in sent])
    took = np.where(np.arange(count) < 198, 0.010, 0.110)  # s
    lists = [a_list("s", 0, number, float(due[number] + took[number])) for number in range(count)]
    stamps = [Stamp("fetched", 0, number, float(due[number] + took[number] - 0.006)) for number in range(count)]
    found = spans_ms(moments(sent, due + 0.001, lists, stamps))
    assert tuple(found) == GROUPS
    for spans in found.values():
        parts = [value for name, value in spans.items() if name != "due to list"]
        assert sum(parts) == pytest.approx(spans["due to list"], abs=0.05)
    assert found["middle 50 %"] == pytest.approx(
        {"to the broker": 1.0, "fetch": 3.0, "broker": 1.0, "subscriber": 5.0, "due to list": 10.0}, abs=0.01
    )
    assert found["slowest 1 %"]["fetch"] == pytest.approx(103.0, abs=0.01)


def test_of_a_system_without_stamps_what_is_between_its_topics_is_one_span() -> None:
    assert list(spans_ms(moments(SENT, IN_KAFKA, LISTS, []))["up to 99 %"]) == [
        "to the broker",
        "answer",
        "subscriber",
        "due to list",
    ]


def test_clicks_of_which_a_moment_is_missing_are_in_no_group() -> None:
    stamps = [Stamp("fetched", 0, 5, 10.02)]
    assert spans_ms(moments(SENT, IN_KAFKA, LISTS, stamps))["slowest 1 %"]["due to list"] == 60.0
    assert spans_ms(moments(SENT, IN_KAFKA, [], stamps)) == {}


def test_a_trace_is_read_on_from_where_it_was_read_and_half_a_line_later(tmp_path: Path) -> None:
    file, stamp = tmp_path / "trace", Stamp("ranked", 2, 41, 12.5)
    trace = TraceFile(file)
    file.write_bytes(stamp.line() + stamp.line()[:9])
    assert trace.stamps() == [stamp]
    with file.open("ab") as more:
        more.write(stamp.line()[9:])
    assert trace.stamps() == [stamp]
    assert trace.stamps() == []
    assert stamp.stage in STAGES
