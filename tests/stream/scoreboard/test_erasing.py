"""A session is erased from what a scoreboard remembers; sums that name nobody stay."""

from __future__ import annotations

from pathlib import Path

from stream.feedback.shown import ShownLists
from stream.feedback.skips import Skips
from stream.messages.contract import Click, Erase, Source, encode
from stream.messages.erasures import ErasedLists, erased_headers
from stream.messages.impressions import Impression
from stream.scoreboard.join import ListJoin
from stream.scoreboard.reader import Scoreboard
from stream.scoreboard.state import StateFolder
from stream.scoreboard.visit import Visit
from tests.stream.scoreboard.shop import BEGIN, Shop


class Told:
    """In place of a teller."""

    def __init__(self) -> None:
        self.all: list[tuple[str, int, dict[str, int]]] = []

    def tell(self, session_id: str, source: Source, erased: dict[str, int]) -> None:
        self.all.append((session_id, source.offset, erased))

    def close(self) -> None: ...


def test_erased_session_is_in_no_state_and_its_next_click_is_a_first_one(
    bootstrap: str, shop: Shop, tmp_path: Path
) -> None:
    for session in ("secret", "other"):
        shop.click(session, "a")
        shop.answer(session)
    shop.click("secret", "b")
    shop.answer("secret")  # judged: a hit, which stays in the sums
    shop.click("secret", "c")  # never answered
    erase = shop.offset
    shop.raw("clicks", encode(Erase("s", BEGIN)))  # of a session that is not known
    shop._producer.produce("clicks", encode(Erase("secret", BEGIN)), b"secret", partition=0)
    shop.offset += 1
    taken_back = erased_headers(ErasedLists(Source("clicks", 0, erase + 1), 3))
    shop._producer.produce("recommendations", None, b"secret", partition=0, headers=taken_back)
    shop._producer.produce("recommendations", None, b"secret", partition=0)
    shop.flush()

    told = Told()
    board = Scoreboard(bootstrap, state=StateFolder(tmp_path), teller=told)  # type: ignore[arg-type]
    board.open()
    board.read_to_end()
    assert [one[0] for one in told.all] == ["s", "secret"]
    assert told.all[1] == ("secret", erase + 1, {"waiting clicks": 1})
    state = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"other" in state
    assert b"secret" not in state
    counts, dropped = board.join.counts, board.lanes.dropped
    assert (counts.judged, counts.erased, counts.waiting) == (1, 1, 0)
    assert (dropped.erased, dropped.unreadable) == (1, 1)
    board.close()

    shop.click("secret", "d")
    shop.answer("secret")
    shop.flush()
    again = Scoreboard(bootstrap, state=StateFolder(tmp_path))
    again.open()
    again.read_to_end()
    assert again.join.counts.first == counts.first + 1
    again.close()


def test_join_forgets_an_ended_session_that_waits_for_its_answer_too() -> None:
    join = ListJoin()
    join.clicked(Click("a", "1", BEGIN), 0, 0, BEGIN)
    join.clicked(Click("b", "1", BEGIN), 0, 1, BEGIN + 10**9)  # after which a's session is over
    assert [name for name, _ in join.snapshot()[0].ended] == ["a"]
    join.erase(Erase("a", BEGIN), Source("clicks", 0, 2))
    assert (join.snapshot()[0].ended, join.counts.erased) == ([], 1)
    join.erase(Erase("b", BEGIN), Source("clicks", 0, 0))
    assert len(join) == 1, "what was clicked behind the erase stays"


def test_feedback_forgets_what_a_session_clicked_and_saw() -> None:
    skips, shown = Skips(), ShownLists(10)
    visit = Visit(start=0, last=0, last_ms=0)
    skips.heard(Click("s", "a", BEGIN), visit)
    skips.heard(Click("s", "b", BEGIN, "skip"), visit)
    shown.add(Impression("s", ("a",), BEGIN))
    assert (skips.erase("s"), shown.erase("s")) == (2, 1)
    assert (skips.erase("s"), shown.erase("s"), b"s" in skips.stored()) == (0, 0, False)
