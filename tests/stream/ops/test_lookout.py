"""What the lookout tells, and when it ends the worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from export.errors import NextclickError
from stream.config import StreamConfig
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.look import Topic
from stream.kafka.surroundings import Change
from stream.ops.lookout import Lookout
from stream.ops.metrics import Metrics

CONFIG = StreamConfig(bootstrap_servers="a:1", registry="nowhere", group="shop", topics_look_s=0.02)
TOPICS = {
    name: Topic(4, name) for name in ("clicks", "recommendations", "clicks.rejected", "models", CONFIG.changelog_topic)
}
FEWER = {name: topic for name, topic in TOPICS.items() if name != "models"}
WAIT_S = 20.0


class Scene:
    """A lookout that sees what the test shows it: one sight a look, the last one for ever."""

    def __init__(self, *sights: Mapping[str, Topic] | Exception) -> None:
        self.sights = list(sights)
        self.looks = 0
        self.heard: list[str] = []
        self.over = threading.Event()
        self.clear = threading.Event()
        self.metrics = Metrics()
        self.lookout = Lookout(
            CONFIG, self.metrics, on_change=self._note, on_clear=self.clear.set, on_end=self._end, look=self._look
        )

    def _look(self) -> Mapping[str, Topic]:
        self.looks += 1
        sight = self.sights.pop(0) if len(self.sights) > 1 else self.sights[0]
        if isinstance(sight, Exception):
            raise sight
        return sight

    def _note(self, change: Change) -> None:
        self.heard.append(f"change {change.kind}, {self.lookout.trouble is not None}")

    def _end(self, error: NextclickError) -> None:
        self.heard.append(f"end {error.exit_code}")
        self.over.set()

    def trouble(self, kind: str) -> float:
        return self.metrics.registry.get_sample_value("nextclick_topic_trouble", {"kind": kind}) or 0.0

    def lost(self) -> float:
        return self.metrics.registry.get_sample_value("nextclick_clicks_lost_to_retention_total") or 0.0


@pytest.fixture
def scene() -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(*sights: Mapping[str, Topic] | Exception) -> Scene:
        scenes.append(Scene(*sights))
        return scenes[-1]

    yield make
    for one in scenes:
        one.lookout.stop()


def test_lookout_of_topics_that_stay_says_nothing_and_goes_on(scene: Callable[..., Scene]) -> None:
    quiet = scene(TOPICS)
    quiet.lookout.start()
    assert quiet.clear.wait(WAIT_S)
    assert quiet.lookout.clicks_identity(WAIT_S) == "clicks"
    assert not quiet.over.wait(0.2)
    assert (quiet.heard, quiet.lookout.trouble) == ([], None)


def test_lookout_topic_deleted_tells_before_it_ends(
    scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture
) -> None:
    deleted = scene(TOPICS, FEWER)
    deleted.lookout.start()
    assert deleted.over.wait(WAIT_S)
    assert deleted.heard == ["change missing, True", "end 2"]
    assert "topics were deleted under the worker: models" in str(deleted.lookout.trouble)
    assert deleted.trouble("missing") == 1
    assert sum("models" in record.getMessage() for record in caplog.records) == 1


def test_lookout_topic_that_a_starting_broker_does_not_know_yet_is_looked_for_again(
    scene: Callable[..., Scene],
) -> None:
    starting = scene(TOPICS, FEWER, FEWER, TOPICS)
    starting.lookout.start()
    assert not starting.over.wait(0.3)
    assert (starting.heard, starting.lookout.trouble) == ([], None)


def test_lookout_without_an_answer_says_so_once_and_finds_nothing(
    scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture
) -> None:
    away = scene(TOPICS, BrokerUnavailable("the topics cannot be looked at"))
    with caplog.at_level("WARNING"):
        away.lookout.start()
        assert not away.over.wait(0.5)
    assert away.looks > 4
    assert away.lookout.clicks_identity(WAIT_S) == "clicks"
    assert [record.getMessage() for record in caplog.records] == ["the topics cannot be looked at"]


def test_lookout_report_of_someone_else_ends_as_a_look_does(scene: Callable[..., Scene]) -> None:
    reported = scene(TOPICS)
    reported.lookout.report(Change(kind="state", topic="clicks", error=TopicError("of other clicks")))
    reported.lookout.start()
    assert reported.over.wait(WAIT_S)
    assert reported.heard == ["change state, True", "end 2"]
    assert (reported.lookout.trouble, reported.trouble("state")) == ("of other clicks", 1)


def test_lookout_clicks_removed_unread_are_counted_once(
    scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture
) -> None:
    lookout = (one := scene(TOPICS)).lookout
    assert lookout.moved(("clicks", 1), 20, 1000)
    assert one.lost() == 980
    assert "980 clicks of clicks-1 were removed by retention" in caplog.text
    assert "(offsets 20 to 999)" in caplog.text
    assert lookout.moved(("clicks", 1), 20, 1000), "a batch before them was not confirmed, and they are passed again"
    assert one.lost() == 980
    assert lookout.moved(("clicks", 1), 500, 1010)
    assert lookout.moved(("clicks", 2), 0, 5)
    assert lookout.moved((CONFIG.changelog_topic, 2), 0, 5), "rows, not clicks"
    assert one.lost() == 980 + 10 + 5


def test_lookout_clicks_lost_before_what_the_group_was_told_are_not_counted_again(
    scene: Callable[..., Scene],
) -> None:
    lookout = (one := scene(TOPICS)).lookout
    lookout.accounted(("clicks", 1), 1000)
    lookout.accounted(("clicks", 1), 30)
    assert lookout.moved(("clicks", 1), 20, 1000)
    assert one.lost() == 0
    assert lookout.moved(("clicks", 1), 20, 1005)
    assert one.lost() == 5


def test_lookout_clicks_lost_of_a_log_that_was_cut_since_count_whatever_was_counted_of_the_one_before(
    scene: Callable[..., Scene],
) -> None:
    lookout = (one := scene(TOPICS)).lookout
    lookout.accounted(("clicks", 1), 1000)
    assert not lookout.moved(("clicks", 1), 1000, 0)
    assert lookout.moved(("clicks", 1), 0, 30)
    assert one.lost() == 30


def test_lookout_log_that_ends_before_the_position_is_no_retention(scene: Callable[..., Scene]) -> None:
    lookout = (one := scene(TOPICS)).lookout
    assert not lookout.moved(("clicks", 1), 20, 0)
    assert one.lost() == 0


@pytest.mark.waits
def test_lookout_that_never_gets_an_answer_keeps_nobody_waiting(scene: Callable[..., Scene]) -> None:
    blind = scene(BrokerUnavailable("the topics cannot be looked at"))
    blind.lookout.start()
    begun = time.monotonic()
    assert blind.lookout.clicks_identity(WAIT_S) is None
    assert time.monotonic() - begun < WAIT_S


def test_lookout_goes_on_after_a_look_that_failed_in_a_way_nobody_foresaw(scene: Callable[..., Scene]) -> None:
    stopped = scene(TOPICS, TimeoutError(), FEWER)
    stopped.lookout.start()
    assert stopped.over.wait(WAIT_S)
    assert stopped.heard == ["change missing, True", "end 2"]


def test_lookout_topic_that_the_first_look_did_not_find_is_known_from_the_next_on(scene: Callable[..., Scene]) -> None:
    other = {**TOPICS, "clicks": Topic(4, "another")}
    late = scene({name: topic for name, topic in TOPICS.items() if name != "clicks"}, TOPICS, other)
    late.lookout.start()
    assert late.over.wait(WAIT_S)
    assert late.heard == ["change remade, True", "end 2"]


def test_lookout_stopped_while_it_gives_time_to_notice_ends_nothing(scene: Callable[..., Scene]) -> None:
    asked = scene(TOPICS)
    asked.lookout._on_change = lambda _: asked.lookout.stop()  # SIGTERM comes at this moment
    asked.lookout.report(Change(kind="state", topic="clicks", error=TopicError("of other clicks")))
    asked.lookout.start()
    asked.lookout._thread.join(WAIT_S)
    assert asked.heard == []
