"""Which clicks a list answers, and after how long."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.lists import Answer, Received, Source, answered, decode_answer, latencies, percentiles_ms
from bench.measure.load import Sent
from stream.messages.contract import Recommendation, encode
from stream.messages.contract import Source as ClickSource


def a_list(session: str, offset: int, at: float = 0.0, partition: int = 0) -> Received:
    return Received(Answer(session, Source(partition, offset), "1", 0), at)


def test_a_list_answers_its_session_up_to_its_source() -> None:
    sent: Sent = [("a", 0, 3, 0.0), ("b", 0, 4, 0.0), ("a", 0, 5, 0.0), ("a", 0, 7, 0.0)]
    assert answered(sent, [a_list("a", 5).answer]) == 2
    assert answered(sent, [a_list("a", 7).answer, a_list("b", 4).answer]) == 4


def test_a_list_of_another_partition_answers_nothing() -> None:
    assert answered([("a", 1, 3, 0.0)], [a_list("a", 5, partition=0).answer]) == 0


def test_a_click_is_timed_to_the_first_list_that_covers_it() -> None:
    sent: Sent = [("a", 0, 3, 10.0), ("a", 0, 5, 10.5), ("a", 0, 9, 11.0)]
    took = latencies(sent, [a_list("a", 3, at=10.25), a_list("a", 6, at=11.5), a_list("a", 8, at=12.0)])
    assert took[:2] == pytest.approx([0.25, 1.0])
    assert math.isnan(took[2])


def test_a_list_sent_again_changes_no_latency() -> None:
    lists = [a_list("a", 6, at=11.0), a_list("a", 3, at=12.0), a_list("a", 6, at=13.0)]
    assert latencies([("a", 0, 3, 10.0)], lists) == pytest.approx([1.0])


@given(st.lists(st.integers(0, 30), max_size=20), st.lists(st.integers(0, 30), min_size=1, max_size=20))
def test_latencies_are_those_of_the_plain_definition(listed: list[int], clicked: list[int]) -> None:
    lists = [a_list("a", offset, at=100.0 + number) for number, offset in enumerate(listed)]
    sent: Sent = [("a", 0, offset, 1.0) for offset in clicked]
    for offset, took in zip(clicked, latencies(sent, lists).tolist(), strict=True):
        covering = [one.at - 1.0 for one in lists if one.answer.source.offset >= offset]
        assert took == pytest.approx(covering[0]) if covering else math.isnan(took)
    assert answered(sent, [one.answer for one in lists]) == sum(offset <= max(listed, default=-1) for offset in clicked)


def test_percentiles_are_in_milliseconds() -> None:
    assert percentiles_ms(np.linspace(0.0, 1.0, 101)) == pytest.approx((500.0, 950.0, 990.0))


def test_a_workers_message_is_understood() -> None:
    value = encode(Recommendation("s", [], "3", "default", False, ClickSource("clicks", 2, 41), 1, 2))
    assert decode_answer(value) == Answer("s", Source(2, 41), "3", 2)
