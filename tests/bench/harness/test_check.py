"""The comparison of the fault rounds sees what is lost, wrong or unanswered."""

from collections.abc import Iterator
from threading import Timer
from typing import Any, cast

import msgspec
import pytest
from confluent_kafka import Producer

from bench.harness.check import Checker
from bench.harness.traffic import EXPECTED
from bench.rig.brokers.in_process import InProcessBroker
from export.experiments.experiment import Experiment, Variant
from export.experiments.interleave import coins
from stream.messages.contract import Click, Recommendation, Source, encode, recommended
from stream.partition.session import SessionState, encode_state, fold_click, ranking_items
from tests.stream.records import TS, EchoRanker, FakeList

pytestmark = pytest.mark.waits


class FallingRanker(EchoRanker):
    """The session's items, newest first, each with a lower score than the one before."""

    def rank_items(self, *arguments: Any) -> list[FakeList]:
        lists = super().rank_items(*arguments)
        return [
            FakeList([(item, 1 / (place + 1)) for place, (item, _) in enumerate(one.items)], one.fallback)
            for one in lists
        ]


class Stage:
    """An in-process cluster, on which the test plays the storefront and the worker."""

    def __init__(self) -> None:
        self._broker = InProcessBroker()
        self._broker.start()
        self._producer = Producer({"bootstrap.servers": self._broker.bootstrap})
        self.states: dict[str, SessionState] = {}
        self.offsets = 0

    def send(self, topic: str, key: bytes, value: bytes | None, headers: Any = None, partition: int = 0) -> None:
        self._producer.produce(topic, value, key, partition, headers=headers)
        assert self._producer.flush(10) == 0

    def click(self, session: str, item: str, partition: int = 0) -> int:
        click, offset = Click(session, item, TS), self._next()
        self.send("clicks", session.encode(), encode(click), partition=partition)
        self.states[session] = fold_click(self.states.get(session), click, offset)
        return offset

    def hostile(self, expected: str) -> int:
        self.send("clicks", b"s", b"{}", [(EXPECTED, expected.encode())])
        return self._next()

    def answer(
        self,
        session: str,
        *,
        items: list[str] | None = None,
        key: bytes | None = None,
        partition: int = 0,
        **labels: Any,
    ) -> None:
        state = self.states[session]
        items = items or list(dict.fromkeys(reversed(ranking_items(state))))
        found = Recommendation(
            session,
            recommended([(item, 1 / (place + 1)) for place, item in enumerate(items)]),
            fallback=False,
            source=Source("clicks", partition, state.offset),
            event_ts=TS,
            published_ts=TS,
            **{"model": "7", "variant": "default", **labels},
        )
        self.send("recommendations", key or session.encode(), encode(found))

    def row(self, session: str, partition: int = 0) -> None:
        self.send("changelog", session.encode(), encode_state(self.states[session]), partition=partition)

    def reject(self, offset: int, reason: str) -> None:
        headers = [("reason", reason.encode()), ("partition", b"0"), ("offset", str(offset).encode())]
        self.send("clicks.rejected", b"s", b"{}", headers)

    def checker(self, *, exactly_once: bool = False, experiment: Experiment | None = None) -> Checker:
        for topic in ("clicks", "recommendations", "clicks.rejected", "changelog"):
            self._producer.list_topics(topic, timeout=10)
        return Checker(
            self._broker.bootstrap,
            "changelog",
            cast(Any, {version: FallingRanker() for version in "78"}),
            exactly_once=exactly_once,
            experiment=experiment,
        )

    def check(
        self, *, exactly_once: bool = False, deadline_s: float = 1.0, experiment: Experiment | None = None
    ) -> Checker:
        """Everything read and compared."""
        checker = self.checker(exactly_once=exactly_once, experiment=experiment)
        checker.settle(deadline_s)
        checker.check_sessions(everything=True)
        checker.close()
        return checker

    def close(self) -> None:
        self._broker.close()

    def _next(self) -> int:
        self.offsets += 1
        return self.offsets - 1


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def answered(stage: Stage) -> None:
    """Two clicks of one session, answered as they should be."""
    for item in ("a", "b"):
        stage.click("s", item)
        stage.row("s")
        stage.answer("s")


def test_checker_of_right_answers_finds_nothing(stage: Stage) -> None:
    answered(stage)
    stage.reject(stage.hostile("missing_session_id"), "missing_session_id")
    checker = stage.check(exactly_once=True)
    assert (checker.wrong, checker.unanswered(), checker.clicks, checker.lists) == ([], 0, 2, 2)


def two(**more: Any) -> Experiment:
    return Experiment("new", (Variant("a", "7", share=5_000), Variant("b", "8", share=5_000)), **more)


@pytest.mark.parametrize(
    ("session", "labels", "found"),
    [
        ("s4", {"experiment": "new", "variant": "b", "model": "8"}, None),
        ("s1", {"experiment": "new", "variant": "a"}, None),
        ("s4", {"experiment": "new", "variant": "a"}, "new/a by model '7', not new/b by 8"),
        ("s4", {"experiment": "new", "variant": "b"}, "new/b by model '7', not new/b by 8"),
        ("s4", {}, "-/default by model '7', not new/b by 8"),
        ("s0", {"experiment": "new", "variant": "a"}, "new/a by model '7', not -/default by what is live"),
        ("s0", {}, None),
    ],
)
def test_checker_list_of_another_variant_than_the_hash_says_is_wrong(
    stage: Stage, session: str, labels: dict[str, Any], found: str | None
) -> None:
    experiment = two(exposure=7_000)
    chosen = [one and one.name for one in map(experiment.variant_of, ("s4", "s0", "s1"))]
    assert chosen == ["b", None, "a"], "what the sessions of this test stand for"
    stage.click(session, "x")
    stage.row(session)
    stage.answer(session, **labels)
    wrong = stage.check(experiment=experiment).wrong
    assert wrong == [] if found is None else found in wrong[0]


@pytest.mark.parametrize("good", [True, False])
def test_checker_interleaved_list_of_other_teams_than_the_draft_is_wrong(stage: Stage, good: bool) -> None:
    experiment = two(interleave=True)
    offset = stage.click("s", "x")
    team = "ab"[coins("new", "s", offset) & 1]
    stage.row("s")
    teams = [team if good else "ab".replace(team, "")]
    stage.answer("s", experiment="new", variant="interleaved", model="7+8", teams=teams)
    wrong = stage.check(experiment=experiment).wrong
    assert wrong == [] if good else "picked in the place of" in wrong[0]


def test_checker_click_without_a_list_is_unanswered(stage: Stage) -> None:
    answered(stage)
    stage.click("s", "c")
    stage.row("s")
    checker = stage.check()
    assert checker.unanswered() == 1
    assert checker.describe_unanswered() == ["s at 2"]


def test_checker_waits_for_an_answer_that_comes_late(stage: Stage) -> None:
    stage.click("s", "a")

    def answer() -> None:
        stage.row("s")
        stage.answer("s")

    late = Timer(2.0, answer)
    late.start()
    checker = stage.check(deadline_s=20)
    late.join()
    assert (checker.wrong, checker.unanswered()) == ([], 0)


@pytest.mark.parametrize("items", [["b", "a"], ["c"], ["c", "b"]])
def test_checker_list_with_other_items_or_another_order_is_wrong(stage: Stage, items: list[str]) -> None:
    answered(stage)
    stage.click("s", "c")
    stage.row("s")
    stage.answer("s", items=items)
    assert "its list for offset 2" in stage.check().wrong[0]


def test_checker_older_row_behind_the_newest_is_wrong(stage: Stage) -> None:
    stage.click("s", "a")
    older = encode_state(stage.states["s"])
    stage.click("s", "b")
    stage.row("s")
    stage.answer("s")
    stage.send("changelog", b"s", older)
    assert "its row is" in stage.check().wrong[0]


def test_checker_older_list_behind_the_newest_is_wrong(stage: Stage) -> None:
    stage.click("s", "a")
    older = stage.states["s"]
    stage.click("s", "b")
    stage.row("s")
    stage.answer("s")
    stage.states["s"] = older
    stage.answer("s")
    assert "its last list is for offset 0" in stage.check().wrong[0]


def test_checker_repeated_list_is_counted_and_wrong_only_where_each_comes_once(stage: Stage) -> None:
    answered(stage)
    stage.answer("s")
    assert (stage.check().wrong, stage.check().repeats) == ([], 1)
    assert "answered twice" in stage.check(exactly_once=True).wrong[0]


def test_checker_list_where_no_click_of_its_session_stands_is_wrong(stage: Stage) -> None:
    answered(stage)
    stage.states["s"] = msgspec.structs.replace(stage.states["s"], offset=99)
    stage.answer("s")
    assert "where no click of it stands" in stage.check().wrong[0]


def test_checker_list_with_the_key_of_another_session_is_wrong(stage: Stage) -> None:
    answered(stage)
    stage.answer("s", key=b"other")
    assert "has the key b'other'" in stage.check().wrong[0]


def test_checker_rejection_that_is_missing_or_of_another_reason_is_found(stage: Stage) -> None:
    first = stage.hostile("missing_session_id")
    assert stage.check().unanswered() == 1
    stage.reject(first, "not_json")
    assert "rejected as not_json" in stage.check().wrong[0]


def test_checker_good_click_rejected_is_wrong(stage: Stage) -> None:
    answered(stage)
    stage.reject(1, "ranking_failed")
    assert "rejected as ranking_failed" in stage.check().wrong[0]


def test_checker_row_of_a_session_nobody_clicked_in_is_wrong(stage: Stage) -> None:
    answered(stage)
    stage.send("changelog", b"ghost", encode_state(stage.states["s"]))
    assert "ghost" in stage.check().wrong[0]


def test_checker_clicks_removed_unread_are_no_part_of_their_sessions_and_not_unanswered(stage: Stage) -> None:
    stage.click("s", "a")
    stage.states.clear()  # no worker has read it
    stage.click("s", "b")
    stage.row("s")
    stage.answer("s")
    checker = stage.checker()
    checker.hold()
    assert checker.release({(0, 0), (0, 7)}) == [(0, 7)], "where no click stands"
    checker.settle(1)
    checker.check_sessions(everything=True)
    assert (checker.wrong, checker.unanswered(), checker.clicks, checker.removed) == ([], 0, 1, 1)
    checker.close()


def test_checker_list_for_a_click_said_to_be_removed_is_wrong(stage: Stage) -> None:
    answered(stage)
    checker = stage.checker()
    checker.hold()
    checker.release({(0, 1)})
    checker.settle(0)
    assert "where no click of it stands" in checker.wrong[0]
    checker.close()


def test_checker_session_that_goes_on_in_another_partition_starts_anew_there(stage: Stage) -> None:
    answered(stage)
    first = stage.states.pop("s")
    stage.offsets = 0
    for item in ("c", "d", "e"):
        stage.click("s", item, partition=1)
    stage.row("s", partition=1)
    stage.answer("s", partition=1)
    checker = stage.check()
    assert (checker.wrong, checker.unanswered()) == ([], 0)
    assert set(checker.states) == {(0, "s"), (1, "s")}
    assert checker.states[0, "s"] == first


def test_checker_lists_and_states_of_topics_made_again_are_not_missed(stage: Stage) -> None:
    answered(stage)
    checker = stage.checker()
    checker.settle(1)
    checker.states_gone()
    checker.lists_gone()
    checker.check_sessions(everything=True)
    assert (checker.wrong, checker.last, checker.states) == ([], {}, {})
    checker.close()


def test_checker_clicks_made_again_have_places_of_their_own(stage: Stage) -> None:
    answered(stage)
    stage.click("s", "unanswered")
    checker = stage.checker()
    checker.settle(0)
    made: list[bool] = []
    checker.start_anew(lambda: made.append(True))
    assert (made, checker.unanswered(), checker.states) == ([True], 0, {})
    checker.close()
