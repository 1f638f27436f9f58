"""The scoreboard on topics: what it counts is what a count of the messages gives, also after a kill."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.brokers.process import wait_for
from export.errors import ConfigError
from stream.errors import BadState, BrokerUnavailable, TopicError
from stream.kafka.look import Topic
from stream.scoreboard.join import Judged
from stream.scoreboard.reader import Scoreboard
from stream.scoreboard.state import StateFolder
from stream.topic_names import Topics
from tests.stream.scoreboard.shop import Shop

TOPICS = Topics()


def facts(board: Scoreboard) -> dict[str, Any]:
    with board.lock:
        return board.board.facts()


def counted(bootstrap: str, folder: Path | None = None) -> dict[str, Any]:
    """What a scoreboard has after reading to the end."""
    board = Scoreboard(bootstrap, state=None if folder is None else StateFolder(folder))
    board.open()
    board.read_to_end()
    found = facts(board) | {"clicks": board.join.counts.clicks, "judged": board.join.counts.judged}
    board.close()
    return found


def test_clicks_and_lists_of_the_topics_are_counted(bootstrap: str, shop: Shop) -> None:
    for item in "abcab":
        shop.click("s", item)
        shop.answer("s")
    shop.raw(TOPICS.clicks, b"no click")
    shop.raw(TOPICS.recommendations, b"{")
    shop.answer("s", offset=0, topic="other.clicks")
    shop.click("t", "a")
    shop.answer("t")
    shop.flush()
    heard: list[Judged] = []
    board = Scoreboard(bootstrap, on_judged=heard.extend)
    board.start()
    try:
        wait_for("all messages to be read", lambda: board.join.counts.first == 2, 30)
        board.check()
        tally = board.board.models["7"].tally
        assert (tally.sessions, tally.clicks, tally.hits) == (1, 4, 3)  # b, a and b; c was in no list
        assert tally.reciprocal == pytest.approx(1 + 2 * 0.5)
        assert [(one.item, one.rank) for one in heard] == [("b", 2), ("c", 0), ("a", 1), ("b", 2)]
        dropped = board.lanes.dropped
        assert (dropped.rejected, dropped.unreadable, dropped.foreign, dropped.lost) == (1, 1, 1, 0)
        nothing = {TOPICS.clicks: 0, TOPICS.recommendations: 0}
        wait_for("nothing to be left", lambda: board.behind == nothing, 30)
    finally:
        board.close()
    board.close()


def test_scoreboard_that_ended_or_was_killed_goes_on_with_the_same_figures(
    bootstrap: str, shop: Shop, tmp_path: Path
) -> None:
    luck = random.Random(1)
    for part in range(3):
        shop.run(luck, 60)
        whole = counted(bootstrap)
        assert counted(bootstrap, tmp_path) == whole, part
        killed = Scoreboard(bootstrap, state=StateFolder(tmp_path))
        killed.open()
        shop.run(luck, 20)
        for _ in range(20):
            killed.step()  # and it never wrote what it counted
        killed.close()
    assert counted(bootstrap, tmp_path) == counted(bootstrap)


def test_messages_that_are_far_ahead_wait_in_the_topic(
    bootstrap: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.scoreboard.reader._AHEAD", 10)
    monkeypatch.setattr("stream.scoreboard.reader._AT_ONCE", 10)
    for number in range(300):
        shop.click(f"s{number % 7}", "a")
    shop.flush()
    board = Scoreboard(bootstrap)
    board.start()
    try:
        wait_for("clicks to be read", lambda: len(board.lanes.clicks[0].waiting) > 10, 30)
        time.sleep(1)  # in which a scoreboard that did not wait would have read on
        assert len(board.lanes.clicks[0].waiting) <= 30
        for offset in range(300):
            shop.answer(f"s{offset % 7}", offset=offset)
        shop.flush()
        wait_for("all to be joined", lambda: board.join.counts.lists == 300, 60)
        board.check()
    finally:
        board.close()
    assert (board.join.counts.first, board.join.counts.waiting) == (7, 0)


def test_list_of_a_click_that_does_not_exist_is_dropped_and_counted(
    bootstrap: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.scoreboard.reader._STUCK_S", 0.3)
    shop.click("s", "a")
    shop.answer("s")
    shop.answer("s", offset=1_000)  # of the topic that was there before
    shop.answer("s", offset=1_001)
    shop.click("s", "b")
    shop.answer("s")
    shop.flush()
    board = Scoreboard(bootstrap)
    board.open()
    board.read_to_end()
    assert (board.join.counts.lists, board.lanes.dropped.foreign) == (2, 2)
    assert board.board.models["7"].tally.hits == 1
    board.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"teams": ["a"]},
        {"source": {"topic": "clicks", "partition": -1, "offset": 0}},
        {"source": {"topic": "clicks", "partition": 0, "offset": -5}},
        {"source": {"topic": "clicks", "partition": 0, "offset": 1 << 64}},
        {"published_ts": 1 << 80},
        {"published_ts": -1},
        {"experiment": "e" * 10_000},
        {"items": [{"item_id": "a", "score": 1.0}] * 10_001},
        {"items": "none"},
    ],
    ids=["teams", "partition", "offset", "large-offset", "large-time", "negative-time", "name", "items", "no-items"],
)
def test_lists_that_no_worker_writes_are_counted_and_the_state_can_be_kept(
    bootstrap: str, shop: Shop, tmp_path: Path, changes: dict[str, Any]
) -> None:
    shop.click("s", "a")
    shop.answer("s")
    shop.click("s", "a")
    item = {"item_id": "a", "score": 1.0}
    source = {"topic": "clicks", "partition": 0, "offset": 1}
    whole = {
        "session_id": "s",
        "items": [item, item],
        "model": "1",
        "variant": "v",
        "fallback": False,
        "source": source,
    }
    hostile = json.dumps(whole | {"event_ts": 1, "published_ts": 1, "experiment": "x"} | changes)
    shop.raw(TOPICS.recommendations, hostile.encode())
    shop.answer("s")
    shop.flush()
    board = Scoreboard(bootstrap, state=StateFolder(tmp_path))
    board.open()
    board.read_to_end()
    assert (board.lanes.dropped.unreadable, board.join.counts.judged, board.unsaved) == (1, 1, "")
    board.close()


def test_start_without_a_broker_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.kafka.look._ANSWER_S", 0.5)
    board = Scoreboard("127.0.0.1:1")
    with pytest.raises(BrokerUnavailable, match="the topics cannot be looked at"):
        board.start()
    board.close()


def test_state_of_a_topic_that_was_made_again_is_refused(bootstrap: str, shop: Shop, tmp_path: Path) -> None:
    shop.run(random.Random(1), 20)
    counted(bootstrap, tmp_path)
    other = InProcessBroker()
    other.start()
    for topic in (TOPICS.clicks, TOPICS.recommendations):
        Producer({"bootstrap.servers": other.bootstrap}).list_topics(topic, timeout=10)
    board = Scoreboard(other.bootstrap, state=StateFolder(tmp_path))
    with pytest.raises(TopicError, match=r"made again, or cut\. Start the scoreboard with another --state"):
        board.open()
    board.close()
    other.close()


def test_topics_that_are_deleted_or_made_again_later_are_found_by_a_look_also_after_a_restart(
    bootstrap: str, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = {name: Topic(4, f"{name}-1") for name in (TOPICS.clicks, TOPICS.recommendations)}
    monkeypatch.setattr("stream.kafka.look.TopicLook.at", lambda *_: cluster)
    shop.run(random.Random(1), 20)
    board = Scoreboard(bootstrap, state=StateFolder(tmp_path))
    board.open()
    board.look()
    board.save()
    cluster[TOPICS.clicks] = Topic(4, "clicks-2")
    with pytest.raises(TopicError, match=r"clicks was deleted and made again.*another --state"):
        board.look()
    board.close()
    again = Scoreboard(bootstrap, state=StateFolder(tmp_path))
    with pytest.raises(TopicError, match="clicks was deleted and made again"):
        again.open()
    del cluster[TOPICS.recommendations]
    with pytest.raises(TopicError, match="there is no topic recommendations"):
        again.look()
    again.close()


def test_state_is_one_scoreboards_and_of_its_topics(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    with pytest.raises(ConfigError, match="another scoreboard keeps its state"):
        StateFolder(tmp_path)
    assert folder.read(("clicks", "recommendations")) is None
    (tmp_path / "scoreboard.state").write_bytes(b"half a sta")
    with pytest.raises(BadState, match="no state of a scoreboard"):
        folder.read(("clicks", "recommendations"))
    folder.close()


def test_state_that_can_not_be_written_is_said_and_tried_again(bootstrap: str, shop: Shop, tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    board = Scoreboard(bootstrap, state=folder)
    board.open()
    (tmp_path / ".scoreboard.partial").mkdir()
    board.save()
    assert "directory" in board.unsaved
    (tmp_path / ".scoreboard.partial").rmdir()
    board.save()
    assert board.unsaved == ""
    board.close()
    folder.close()


def test_failure_of_the_thread_is_handed_on(bootstrap: str, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Scoreboard(bootstrap)
    failed = threading.Event()

    def fail(*_: object) -> None:
        failed.set()
        raise TopicError("gone")

    monkeypatch.setattr(board.lanes, "drain", fail)
    board.start()
    assert failed.wait(30)
    board.close()
    with pytest.raises(TopicError, match="gone"):
        board.check()
