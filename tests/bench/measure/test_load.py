"""The load: what is sent, and where each click landed."""

from __future__ import annotations

import pytest

from bench.measure.load import encode_click, matched
from stream.messages.contract import decode_click


def test_a_click_is_sent_as_the_contract_has_it() -> None:
    key, value = encode_click(("s1", "i1", 5))
    click = decode_click(value, key, 0)
    assert (click.session_id, click.item_id, click.ts) == ("s1", "i1", 5)


def test_clicks_of_one_session_are_matched_in_the_order_they_were_sent() -> None:
    clicks = [("a", "x", 1), ("b", "y", 2), ("a", "z", 3)]
    delivered = [(b"b", 1, 70), (b"a", 0, 8), (b"a", 0, 9)]  # partitions report on their own
    assert matched(clicks, delivered, [0.1, 0.2, 0.3]) == [("a", 0, 8, 0.1), ("b", 1, 70, 0.2), ("a", 0, 9, 0.3)]


def test_a_missing_report_is_an_error() -> None:
    with pytest.raises(IndexError):
        matched([("a", "x", 1)], [], [0.1])
