"""The service on a feed, a lead and a training that do what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.errors import NextclickError
from model.errors import LeadLost
from model.trainer.child import Ended
from model.trainer.health import TrainingProgress
from tests.model.trainer.place import PUBLISHED, FakeChild, Place


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


def test_standby_reads_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.lead.leads = False
    place.run_until(lambda: place.trainer.health([]).state == "standby")
    assert place.feed.started == []
    assert place.trainer.health([]).ready
