"""The service on a feed, a lead and a training that do what they are told."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from export.errors import NextclickError
from model.errors import LeadLost
from model.trainer.bounds import Bounds
from model.trainer.child import Ended, Task
from model.trainer.config import TrainerConfig
from model.trainer.health import TrainingProgress
from model.trainer.service import Trainer

BEGIN = 1_700_000_000_000


class FakeFeed:
    """A topic of one partition."""

    topic = "clicks"

    def __init__(self, clicks: int = 0) -> None:
        self.lost, self.at, self.end = 0, 0, clicks
        self.identities: list[str | None] = ["one"]
        self.started: list[Mapping[int, int]] = []
        self.error: NextclickError | None = None
        self.erases: list[Any] = []

    def identity(self) -> str | None:
        return self.identities[-1]

    def start(self, next_offsets: Mapping[int, int]) -> None:
        self.started.append(dict(next_offsets))
        self.at = next_offsets.get(0, 0)

    def read(self, timeout_s: float) -> Any:
        if self.error is not None:
            raise self.error
        begin, self.at = self.at, min(self.at + 100, self.end)
        offsets = range(begin, self.at)
        return SimpleNamespace(
            session_id=[f"s{offset // 2}" for offset in offsets],
            item_id=[f"i{offset % 9}" for offset in offsets],
            timestamp=[BEGIN + offset for offset in offsets],
            type=["click" for _ in offsets],
            next_offsets={0: self.at},
            rejected=Counter({"bad_json": 1} if begin == 0 and self.end else {}),
            erased=[one for one in self.erases if begin <= one.offset < self.at],
            left_out=0,
        )

    def ends(self) -> Mapping[int, int]:
        return {0: self.end}

    def lag(self) -> int:
        return self.end - self.at


class FakeLead:
    def __init__(self) -> None:
        self.leads = self.sure = True

    def await_lead(self, timeout_s: float) -> bool:
        return self.leads

    def is_sure(self) -> bool:
        return self.leads and self.sure


class FakeChild:
    """A cycle that ends at once, as `outcomes` say."""

    outcomes: ClassVar[list[Ended]] = []
    tasks: ClassVar[list[Task]] = []

    def __init__(
        self,
        task: Task,
        *,
        say: Callable[[str, str], None],
        may_publish: Callable[[], bool],
        nice: int,
        progress: Callable[[TrainingProgress], None],
    ) -> None:
        self.tasks.append(task)
        say("train", "100 sessions")
        self.say, self.progress = say, progress

    def poll(self, timeout_s: float = 0.0) -> Ended | None:
        return self.outcomes.pop(0) if self.outcomes else Ended(gate={"passed": False, "reasons": ["poorer"]})

    def stop(self) -> None: ...


class Place:
    """A trainer and what it talks to."""

    def __init__(self, folder: Path, *, clicks: int = 250, **options: Any) -> None:
        FakeChild.outcomes, FakeChild.tasks = [], []
        self.folder = folder
        self.feed, self.lead = FakeFeed(clicks), FakeLead()
        self.live: list[str] = []
        self.pruned: list[int] = []
        self.problems: dict[str, str] = {}
        self.refuse: NextclickError | None = None
        self.trainer = self.new(**options)

    def new(self, *, reset_offsets: bool = False, on_erased: Any = lambda *_: None, **options: Any) -> Trainer:
        options = {"min_sessions": 10, "flush_clicks": 120, **options}
        where: dict[str, Any] = {name: str(self.folder / name) for name in ("registry", "store", "work")}
        return Trainer(
            TrainerConfig(**where, **options),
            feed=self.feed,
            leading=self.lead,
            announcing=SimpleNamespace(make_live=self._make_live, prune=self._prune),
            problem=lambda key, what, remedy: self.problems.update({key: f"{what}: {remedy}"}),
            solved=lambda key: self.problems.pop(key, None),  # type: ignore[arg-type]
            new_child=FakeChild,
            reset_offsets=reset_offsets,
            on_erased=on_erased,
        )

    def _make_live(self, version: str, variant: str) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.live.append(version)

    def _prune(self, keep: int) -> list[str]:
        self.pruned.append(keep)
        return []

    def once(self) -> Ended:
        return self.trainer.once(threading.Event())

    def run_until(self, done: Callable[[], bool]) -> None:
        stop = threading.Event()
        thread = threading.Thread(target=self.trainer.run, args=(stop,))
        thread.start()
        try:
            for _ in range(2_000):
                if done():
                    return
                threading.Event().wait(0.01)
            raise AssertionError(f"not reached: {self.problems}, {self.trainer.health([])}")
        finally:
            stop.set()
            thread.join(20)

    def journal(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "store" / "journal.json").read_text()))

    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "work" / "decisions.jsonl").read_text().splitlines()]


PUBLISHED = Ended(version="1", gate={"passed": True, "reasons": ["better"]}, checkpoints="default-000001/refit")


def test_once_stores_all_there_is_trains_on_it_and_makes_it_live(tmp_path: Path) -> None:
    place = Place(tmp_path)
    FakeChild.outcomes = [PUBLISHED]
    assert place.once().version == "1"
    assert (place.live, place.pruned, place.trainer.health([]).clicks) == (["1"], [20], 250)
    [task] = FakeChild.tasks
    assert (task.cycle.mode, task.cycle.total, task.cycle.next_offsets) == ("full", 250, {"0": 250})
    assert place.journal()["parent"] == "default-000001/refit"
    assert place.decisions()[0]["outcome"] == "published"
    assert (
        place.trainer.metrics.registry.get_sample_value("nextclick_trainer_rejected_total", {"reason": "bad_json"}) == 1
    )


def test_health_says_how_far_a_training_is_until_another_step_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    seen = []

    def poll(child: FakeChild, timeout_s: float = 0.0) -> Ended:
        child.progress(TrainingProgress(done=0.25, epoch=1, epochs=2, step=5, steps=10, loss=4.5, sessions_per_s=900.0))
        seen.append(place.trainer.health([]))
        child.say("gate", "the candidate passed")
        seen.append(place.trainer.health([]))
        return PUBLISHED

    monkeypatch.setattr(FakeChild, "poll", poll)
    place.once()
    learning, judged = seen
    assert learning.progress is not None
    assert (learning.progress.done, learning.step) == (
        0.25,
        "train: 25%, epoch 1 of 2, loss 4.500, 900 sessions/s",
    )
    assert (judged.progress, judged.step) == (None, "gate: the candidate passed")
    assert (place.trainer.health([]).progress, place.trainer.health([]).step) == (None, "")


def test_refused_candidate_is_a_decision_with_its_reasons(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.once().version is None
    assert (place.live, place.journal()["last_passed"]) == ([], False)
    assert (
        place.decisions()[0] | {"outcome": "refused", "gate": {"passed": False, "reasons": ["poorer"]}}
        == place.decisions()[0]
    )
    assert place.trainer.health([]).gate == ["poorer"]


def test_once_that_fails_says_why_with_its_exit_code(tmp_path: Path) -> None:
    place = Place(tmp_path)
    FakeChild.outcomes = [Ended(error="nothing can be held out", kind="DataError", code=2)]
    with pytest.raises(NextclickError, match="held out") as raised:
        place.once()
    assert raised.value.exit_code == 2
    assert place.journal().get("open") is None


def test_version_that_can_not_be_announced_keeps_its_cycle_open_for_the_next(tmp_path: Path) -> None:
    place = Place(tmp_path)
    FakeChild.outcomes = [PUBLISHED]
    place.refuse = NextclickError("no broker")
    with pytest.raises(NextclickError, match="no broker"):
        place.once()
    first = place.journal()["open"]
    place.refuse, place.trainer = None, place.new()
    FakeChild.outcomes = [PUBLISHED]
    assert place.once().version == "1"
    assert [task.cycle.cycle for task in FakeChild.tasks] == [first["cycle"]] * 2, (
        "the same cycle, which publishes once"
    )
    assert place.live == ["1"]


def test_trainer_that_lost_its_lead_makes_nothing_live(tmp_path: Path) -> None:
    place = Place(tmp_path)
    FakeChild.outcomes = [PUBLISHED]
    place.lead.sure = False
    with pytest.raises(LeadLost):
        place.once()
    assert (place.live, place.journal()["open"]["cycle"]) == ([], "default-000001")


def test_trainer_killed_between_parts_reads_on_where_the_store_ends(tmp_path: Path) -> None:
    place = Place(tmp_path, clicks=250)
    place.once()
    place.feed.end = 400
    place.trainer = place.new()
    place.once()
    assert place.feed.started[-1] == {0: 250}
    assert place.trainer.health([]).clicks == 400


def test_service_that_is_asked_trains_once_more_though_nothing_is_due(tmp_path: Path) -> None:
    place = Place(tmp_path, every_s=3600.0, flush_s=0.05)
    FakeChild.outcomes = [PUBLISHED, Ended(version="2", gate={"passed": True}, checkpoints="default-000002/refit")]
    place.run_until(lambda: place.live == ["1"])
    place.trainer.ask()
    place.run_until(lambda: place.live == ["1", "2"])
    assert [task.cycle.why for task in FakeChild.tasks][1:] == ["asked for"]


def test_service_trains_as_soon_as_there_is_enough_and_then_only_what_is_new(tmp_path: Path) -> None:
    place = Place(tmp_path, every_s=0.05, flush_s=0.05)
    FakeChild.outcomes = [PUBLISHED]
    place.run_until(lambda: place.live == ["1"])
    assert len(FakeChild.tasks) == 1, "nothing is new since"
    assert place.trainer.health([]).state == "reading"


def test_service_with_too_few_clicks_says_how_many_are_missing(tmp_path: Path) -> None:
    place = Place(tmp_path, clicks=15)
    place.run_until(lambda: "20 are needed" in place.trainer.health([]).waiting)
    assert place.problems == {}
    assert place.trainer.health([]).ready, "a new shop's trainer is no fault"
    assert FakeChild.tasks == []


def test_service_goes_on_after_a_broker_that_was_away(tmp_path: Path) -> None:
    place = Place(tmp_path)
    FakeChild.outcomes = [PUBLISHED]
    place.feed.error = NextclickError("no broker")
    place.run_until(lambda: "trainer" in place.problems)
    place.feed.error = None
    place.run_until(lambda: place.live == ["1"])
    assert "trainer" not in place.problems


def test_service_says_of_a_cycle_that_failed_and_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.trainer.schedule._BACK_MS", (10, 20))
    place = Place(tmp_path, every_s=0.01, flush_s=0.05)
    FakeChild.outcomes = [Ended(error="the loss is nan", kind="TrainingError"), PUBLISHED]
    place.run_until(lambda: place.live == ["1"])
    assert [one["outcome"] for one in place.decisions()] == ["failed", "published"]
    assert "cycle_failed" not in place.problems


def test_fresh_cycle_without_enough_that_is_new_is_no_failure(tmp_path: Path) -> None:
    """A quiet night: single clicks came, and no session of two. Nothing is wrong, and no back-off begins."""
    place = Place(tmp_path, every_s=1e6, fresh_every_s=0.01, flush_s=0.02)
    too_few = Ended(error="0 sessions have two clicks or more since the last version", kind="DataError", code=2)
    FakeChild.outcomes = [PUBLISHED, too_few, Ended(version="2", gate={"passed": True}, checkpoints="x")]
    place.run_until(lambda: place.live == ["1"])
    (tmp_path / "work" / "default-000001" / "refit").mkdir(parents=True)
    place.feed.end += 100
    place.run_until(lambda: len(place.decisions()) >= 2)
    assert place.problems.keys() <= {"no_model"}, "children of this test publish into no registry"
    place.feed.end += 100
    place.run_until(lambda: place.live == ["1", "2"])
    assert [one["outcome"] for one in place.decisions()][:3] == ["published", "skipped", "published"]


def test_topic_that_was_made_again_is_refused_until_it_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.once()
    place.feed.identities.append("two")
    place.trainer = place.new()
    with pytest.raises(NextclickError, match="--reset-offsets"):
        place.once()
    place.trainer = place.new(reset_offsets=True)
    place.once()
    assert place.feed.started[-1] == {}
    assert place.trainer.health([]).clicks == 500


def test_checkpoints_of_old_cycles_go_and_those_of_the_version_stay(tmp_path: Path) -> None:
    place = Place(tmp_path)
    FakeChild.outcomes = [PUBLISHED]
    place.once()
    for name in ("default-000001", "default-000000", "other"):
        (tmp_path / "work" / name).mkdir()
    place.feed.end = 300
    place.once()
    left = sorted(path.name for path in (tmp_path / "work").iterdir() if path.is_dir())
    assert left == ["default-000001", "other"]


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "store").glob("*.parquet"))


def test_once_stores_in_parts_of_their_full_size(tmp_path: Path) -> None:
    place = Place(tmp_path, clicks=1000, flush_clicks=500)
    place.once()
    assert parts(tmp_path) == ["1-1.parquet", "2-2.parquet"]


def test_store_is_bounded_between_cycles_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.trainer.service._LOOK_S", 0.0)
    place = Place(tmp_path, clicks=6000, flush_clicks=1, min_sessions=1_000_000)
    place.run_until(lambda: place.trainer.health([]).clicks == 6000)
    assert 1 < len(parts(tmp_path)) <= 1 + 32 + 16, "60 were written"


def test_store_that_is_full_is_said_until_a_cycle_began_without(tmp_path: Path) -> None:
    place = Place(tmp_path, window_mb=1)
    bounds = Bounds(
        place.trainer._config,
        place.trainer.metrics,
        problem=lambda key, what, remedy: place.problems.update({key: f"{what}: {remedy}"}),
        solved=lambda key: place.problems.pop(key, None),  # type: ignore[arg-type]
    )
    removed = iter([100, 50, 0, 0])
    store: Any = SimpleNamespace(trim=lambda **_: (0, next(removed)), join_small=lambda: 0, parts=[], bytes=2 << 20)
    assert bounds.is_due(store)
    bounds.bound(store)
    bounds.bound(store)
    assert place.problems["store_full"].startswith("150 clicks inside the window")
    bounds.tidy(store, keep="")
    assert "store_full" in place.problems, "since the last cycle"
    bounds.tidy(store, keep="")
    assert place.problems == {}


def test_standby_reads_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.lead.leads = False
    place.run_until(lambda: place.trainer.health([]).state == "standby")
    assert place.feed.started == []
    assert place.trainer.health([]).ready
