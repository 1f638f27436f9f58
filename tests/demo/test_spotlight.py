"""The one shopper that is watched."""

from demo.spotlight import OVER_S, ROWS, Spotlight


def test_first_session_is_followed_with_its_lists() -> None:
    spotlight = Spotlight()
    spotlight.clicked("s", "a", True, at=1.0)
    spotlight.answered("s", list("bcdefgh"), "1", at=1.1)
    spotlight.clicked("s", "b", False, at=2.0)
    first, second = spotlight.rows
    assert (first.number, first.item, first.top, first.model) == (1, "a", tuple("bcdef"), "1")
    assert (second.number, second.item, second.hit, second.top) == (2, "b", True, ())


def test_other_sessions_are_ignored_while_it_lasts() -> None:
    spotlight = Spotlight()
    spotlight.clicked("s", "a", True, at=1.0)
    spotlight.clicked("t", "b", True, at=1.5)
    spotlight.answered("t", ["c"], "1", at=1.6)
    assert spotlight.session == "s"
    assert spotlight.rows[-1].top == ()


def test_silence_makes_room_for_a_session_that_begins() -> None:
    spotlight = Spotlight()
    spotlight.clicked("s", "a", True, at=1.0)
    spotlight.clicked("t", "b", True, at=2.0)
    spotlight.clicked("t", "b", False, at=2.0 + OVER_S)  # began while another was watched
    assert spotlight.session == "s"
    spotlight.clicked("u", "c", True, at=2.1 + OVER_S)
    assert spotlight.session == "u"
    assert [row.item for row in spotlight.rows] == ["c"]


def test_rows_are_bounded_and_numbered_on() -> None:
    spotlight = Spotlight()
    for number in range(ROWS + 4):
        spotlight.clicked("s", f"i{number}", number == 0, at=float(number))
    assert len(spotlight.rows) == ROWS
    assert spotlight.rows[-1].number == ROWS + 4


def test_hit_is_by_the_whole_list_shown_before_and_unknown_without_one() -> None:
    spotlight = Spotlight()
    spotlight.clicked("s", "a", True, at=1.0)
    spotlight.clicked("s", "b", False, at=1.2)  # faster than the first list
    spotlight.answered("s", list("bcdefgh"), "1", at=1.3)
    spotlight.clicked("s", "h", False, at=2.0)  # the seventh, more than a row shows
    spotlight.clicked("s", "x", False, at=3.0)
    assert [row.hit for row in spotlight.rows] == [None, None, True, False]


def test_list_of_the_session_before_is_not_shown_to_the_next() -> None:
    spotlight = Spotlight()
    spotlight.clicked("s", "a", True, at=1.0)
    spotlight.answered("s", ["b"], "1", at=1.1)
    spotlight.clicked("t", "b", True, at=2.0 + OVER_S)
    assert [row.hit for row in spotlight.rows] == [None]
