"""What the page shows of the demo, second by second."""

from dataclasses import replace

from demo.hits import Hits
from demo.join import Figures
from demo.page.state import State
from demo.view import Snapshot

FIGURES = Figures(
    clicks=100,
    answered=90,
    p50_ms=5.0,
    p99_ms=20.0,
    recent_p50_ms=4.26,
    recent_p99_ms=None,
    models=("1",),
    fallbacks=0,
    oldest_s=0.123,
)
HITS = Hits(model=0.51234, popularity=0.08, by_variant={"control": 0.5}, uplift=0.1, interval=(-0.1, 0.3))


def test_seconds_are_rates_of_what_was_sent_and_answered_since_the_last() -> None:
    state = State()
    first = Snapshot(figures=FIGURES, hits=HITS)
    assert state.second(Snapshot(), 10.0) is None, "there are no shoppers"
    assert state.second(first, 10.0) is None, "nothing to compare with"
    later = replace(first, figures=replace(FIGURES, clicks=400, answered=290))
    assert state.second(later, 10.5) is None, "once a second"
    found = state.second(later, 12.0)
    assert found is not None
    assert (found["clicks_s"], found["answers_s"], found["waiting"]) == (150.0, 100.0, 110)
    assert (found["p50"], found["p99"], found["oldest_s"]) == (4.3, None, 0.12)
    assert found["hits"]["model"] == 0.5123
    assert (found["hits"]["by_variant"], found["hits"]["interval"]) == ({"control": 0.5}, [-0.1, 0.3])
    assert state.told()["series"] == [found]


def test_stages_are_told_with_when_they_began() -> None:
    state = State()
    assert state.stage == ""
    state.begin("broker")
    told = state.begin("log")
    assert told["stage"] == state.stage == "log"
    assert list(told["stages"]) == ["broker", "log"]
    assert 0 <= told["stages"]["broker"] <= told["stages"]["log"] <= told["now"]


def test_events_are_told_once_and_the_newest_are_kept() -> None:
    state = State()
    assert state.news(Snapshot(events=("a", "b"))) == ["a", "b"]
    assert state.news(Snapshot(events=("a", "b", "c"))) == ["c"]
    for number in range(100):
        state.note(f"event {number}", "button")
    events = state.told()["events"]
    assert len(events) == 40
    assert events[-1]["text"] == "event 99"
