"""Tests of `stream.feedback.shown`, and of skips that follow from it."""

from __future__ import annotations

import json

from stream.feedback.shown import ImpressionReader, ShownLists
from stream.feedback.skips import Skips
from stream.messages.contract import Click
from stream.messages.impressions import Impression
from stream.scoreboard.visit import Visit
from stream.topic_names import Topics

NOW = 1_700_000_000_000
VISIT = Visit(start=0, last=0, last_ms=NOW)


def test_the_newest_list_before_a_click_is_found_in_whatever_order_they_came() -> None:
    shown = ShownLists(10)
    for ts in (NOW + 50, NOW, NOW + 10):
        shown.add(Impression("s", (str(ts),), ts))
    found = [shown.before("s", NOW + after) for after in (-1, 0, 9, 49, 99)]
    assert [None if one is None else one.ts - NOW for one in found] == [None, 0, 0, 10, 50]
    assert shown.before("other", NOW) is None


def test_lists_and_sessions_are_bounded() -> None:
    shown = ShownLists(2)
    for number in range(20):
        shown.add(Impression("s", ("a",), NOW + number))
    assert shown.before("s", NOW + 5) is None  # the newest eight are kept
    for name in ("t", "u"):
        shown.add(Impression(name, ("a",), NOW))
    assert len(shown) == 2
    assert shown.before("s", NOW + 99) is None


def test_items_above_a_click_in_a_shown_list_are_skipped() -> None:
    skips = Skips()
    click = Click("s", "c", NOW)
    skips.heard(click, VISIT)
    found = skips.shown(click, VISIT, ("a", "b", "a", "c", "d"), NOW)
    assert [skip.item_id for skip in found] == ["a", "b"]
    assert found[0].context == {"feedback": {"clicked": "c"}}
    assert skips.shown(Click("s", "e", NOW), VISIT, ("a", "c"), NOW) == []
    assert skips.shown(Click("s", "e", NOW), VISIT, None, NOW) == []
    assert (skips.counts.clicks, skips.counts.outside, skips.counts.unseen) == (3, 1, 1)


def test_no_skip_follows_from_a_skip() -> None:
    skips = Skips()
    for kind in ("skip", "dislike"):
        assert skips.shown(Click("s", "c", NOW, kind), VISIT, ("a", "c"), NOW) == []
    assert skips.counts.clicks == 0


def test_messages_that_are_no_impressions_are_counted_by_reason() -> None:
    shown = ShownLists(10)
    reader = ImpressionReader("localhost:1", Topics(), shown)
    reader.take(json.dumps({"session_id": "s", "items": ["a"], "ts": NOW}).encode(), b"s", NOW)
    reader.take(b"{", b"s", NOW)
    reader.take(None, b"s", NOW)
    reader.close()
    assert reader.counts == {"lists": 1, "rejected_not_json": 1, "rejected_value_missing": 1}
    assert len(shown) == 1
