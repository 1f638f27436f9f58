"""Tests of `stream.feedback.skips`."""

from __future__ import annotations

import pytest

from export.errors import ConfigError
from stream.feedback.skips import SkipConfig, Skips
from stream.messages.contract import Click, decode_click, encode
from stream.scoreboard.join import Judged
from stream.scoreboard.visit import Shown, Visit

NAMES = [f"i{n}" for n in range(20)]
NOW = 1_700_000_000_000


def judged(rank: int, *, start: int = 0, items: int = 10, ts: int = NOW, fallback: bool = False) -> Judged:
    """A click on the item at a rank of a list i0, i1, ...; rank 0: on one that is not in it."""
    item = NAMES[rank - 1] if rank else "elsewhere"
    shown = Shown(source=4, published_ms=ts - 5, items=tuple(range(items)), row=0, fallback=fallback)
    return Judged("s", item, ts, rank, shown, Visit(start=start, last=9, last_ms=ts))


def test_what_stands_above_a_click_is_skipped_the_nearest_first() -> None:
    skips = Skips()
    found = skips.of(judged(4), NAMES, NOW)
    assert [skip.item_id for skip in found] == ["i2", "i1", "i0"]
    assert {(skip.session_id, skip.type, skip.ts) for skip in found} == {("s", "skip", NOW)}
    assert skips.counts.skips == 3


def test_a_skip_is_a_click_of_the_contract_and_says_where_it_is_from() -> None:
    (skip,) = Skips().of(judged(2), NAMES, NOW)
    again = decode_click(encode(skip), b"s", NOW)
    assert again == skip
    assert again.context == {"feedback": {"list": 4, "clicked": "i1"}}


def test_an_item_is_skipped_once_a_session_and_never_one_that_was_clicked() -> None:
    skips = Skips()
    visit = Visit(start=0, last=9, last_ms=NOW)
    skips.heard(Click("s", "i0", NOW), visit)
    skips.heard(Click("s", "i5", NOW, "skip"), visit)
    assert [skip.item_id for skip in skips.of(judged(3), NAMES, NOW)] == ["i1"]
    assert [skip.item_id for skip in skips.of(judged(7), NAMES, NOW)] == ["i4", "i3", "i2"]
    assert skips.counts.known == 4  # i0 twice, i1, i5
    other = skips.of(judged(2, start=50), NAMES, NOW)  # the same shopper's next session
    assert [skip.item_id for skip in other] == ["i0"]


def test_a_session_that_was_told_as_much_as_it_may_says_no_more() -> None:
    skips = Skips(SkipConfig(most=3, most_of_session=5))
    assert len(skips.of(judged(10), NAMES, NOW)) == 3
    assert len(skips.of(judged(9), NAMES, NOW)) == 2
    assert skips.of(judged(8), NAMES, NOW) == []
    assert skips.counts.beyond == 6 + 4 + 4


@pytest.mark.parametrize(
    ("click", "why"),
    [
        (judged(0), "outside"),
        (judged(1), "first"),
        (judged(5, fallback=True), "fallback"),
        (judged(5, ts=NOW - 601_000), "old"),
    ],
)
def test_a_click_that_says_nothing_is_counted(click: Judged, why: str) -> None:
    skips = Skips()
    assert skips.of(click, NAMES, NOW) == []
    assert getattr(skips.counts, why) == 1
    assert skips.counts.skips == 0


def test_what_is_remembered_is_bounded_and_survives() -> None:
    skips = Skips(SkipConfig(max_sessions=1))
    skips.heard(Click("other", "i1", NOW), Visit(start=0, last=0, last_ms=NOW))
    skips.of(judged(3), NAMES, NOW)
    assert skips.sessions == 1
    again = Skips()
    again.restore(skips.stored())
    assert again.of(judged(3), NAMES, NOW) == []


@pytest.mark.parametrize("options", [{"most": 0}, {"max_age_s": 0.0}, {"max_sessions": 0}])
def test_bounds_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SkipConfig(**options)  # type: ignore[arg-type]
