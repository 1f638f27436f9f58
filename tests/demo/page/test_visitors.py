"""The way of a visitor's click, whichever comes first: the broker's report or the list."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from demo.join import ClickJoin
from demo.page.visitors import NotSent, Visitors
from stream.messages.contract import Recommendation, Source, decode_click, recommended
from stream.serve.clicks import Sound

ME = "visitor-00000001"


class FakeWriter:
    """A broker whose report comes when `during` is over."""

    def __init__(self) -> None:
        self.sent: list[Sound] = []
        self.refuses = ""
        self.during: Any = None

    async def send(self, clicks: Sequence[Sound]) -> list[tuple[int, int] | str]:
        self.sent += clicks
        if self.during is not None:
            self.during()
        return [self.refuses] if self.refuses else [(2, len(self.sent) + 9)]


class Shop:
    def __init__(self) -> None:
        self.writer, self.join = FakeWriter(), ClickJoin()
        self.told: list[tuple[str, Any, str]] = []
        self.visitors = Visitors(
            self.writer, self.join, lambda *event: self.told.append(event), topics=("clicks", "recommendations")
        )

    def click(self, item: str, session: str = ME) -> dict[str, Any]:
        return asyncio.run(self.visitors.click(session, item))

    def answer(self, items: str, source: int, session: str = ME) -> None:
        found = Recommendation(
            session,
            recommended([(item, 1.0) for item in items]),
            "3",
            "default",
            False,
            Source("clicks", 2, source),
            1,
            1,
        )
        self.join.answered(session, list(items), "3", False, source, 1e12)
        self.visitors.listed(found, 2, 77)

    def names(self) -> list[str]:
        return [name for name, _, _ in self.told]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_click_is_a_message_of_the_contract_and_its_place_is_told(shop: Shop) -> None:
    assert shop.click("a") == {"number": 1, "topic": "clicks", "partition": 2, "offset": 10}
    [sound] = shop.writer.sent
    click = decode_click(sound.value, sound.key, 0)
    assert (click.session_id, click.item_id, sound.key) == (ME, "a", ME.encode())
    assert shop.join.pending == 1, "it counts as everybody's"


def test_list_is_told_at_once_and_the_way_with_both_places(shop: Shop) -> None:
    shop.click("a")
    shop.answer("bcd", source=10)
    assert shop.names() == ["list", "way"]
    way = shop.told[1][1]
    assert way["click"] == {"topic": "clicks", "partition": 2, "offset": 10}
    assert way["list"] == {"topic": "recommendations", "partition": 2, "offset": 77}
    assert (way["model"], way["variant"], way["item"], way["source"]) == ("3", "default", "a", 10)
    assert sum(way["stages"].values()) == pytest.approx(way["total_ms"], abs=0.2)
    assert all(value >= 0 for value in way["stages"].values())
    assert shop.join.pending == 0


def test_list_before_the_brokers_report_has_its_way_once_the_report_is_there(shop: Shop) -> None:
    shop.writer.during = lambda: shop.answer("bcd", source=10)
    shop.click("a")
    assert shop.names() == ["list", "way"]
    assert shop.told[1][1]["click"]["offset"] == 10


def test_list_of_an_earlier_click_is_no_answer(shop: Shop) -> None:
    shop.click("a")
    shop.answer("bcd", source=9)
    assert shop.names() == ["list"]
    shop.answer("cde", source=10)
    assert shop.names() == ["list", "list", "way"]


def test_list_says_where_its_items_were_before(shop: Shop) -> None:
    shop.click("a")
    shop.answer("bcd", source=10)
    shop.click("b")
    shop.answer("dxb", source=11)
    newest = shop.visitors.known(ME)["list"]
    assert [(item, before) for item, _, before in newest["items"]] == [("d", 3), ("x", 0), ("b", 1)]
    assert not newest["first"]
    assert shop.visitors.known(ME)["clicks"] == 2


def test_lists_of_others_are_not_told(shop: Shop) -> None:
    shop.answer("bcd", source=10, session="s0000001")
    assert shop.told == []
    assert shop.visitors.known("visitor-00000002") == {
        "session": "visitor-00000002",
        "clicks": 0,
        "list": None,
        "way": None,
    }


def test_click_that_the_broker_refuses_is_said_and_waits_for_nothing(shop: Shop) -> None:
    shop.writer.refuses = "no broker"
    with pytest.raises(NotSent, match="no broker"):
        shop.click("a")
    shop.writer.refuses = ""
    shop.answer("bcd", source=99)
    assert shop.names() == ["list"]
