"""Stopping a variant: what is announced, and that nobody's change is undone."""

from __future__ import annotations

import msgspec

from stream.experiments.lifecycle import Announced
from stream.messages.announcements import announce_experiment
from stream.scoreboard.guard import Breach
from stream.scoreboard.stopper import Stopper, stopped
from stream.topic_names import Topics
from tests.stream.scoreboard.boards import TWO

BREACH = Breach("two", "challenger", "fallback", "half of its lists are empty")


def test_variant_is_announced_as_stopped_with_the_reason_and_the_others_go_on(bootstrap: str) -> None:
    announce_experiment(bootstrap, TWO)
    stopper = Stopper(bootstrap, Topics())
    assert stopper.stop(BREACH) is not None
    found = Announced(bootstrap).read()["two"]
    control, challenger = found.variants
    assert (found.state, control.stopped) == ("running", "")
    assert challenger.stopped == "guard rail fallback: half of its lists are empty"
    assert stopper.stop(BREACH) is None, "another scoreboard has stopped it"


def test_record_is_read_right_before_so_that_what_was_stopped_by_hand_stays_so(bootstrap: str) -> None:
    over = msgspec.structs.replace(TWO, state="stopped", reason="by hand")
    announce_experiment(bootstrap, over)
    assert Stopper(bootstrap, Topics()).stop(BREACH) is None
    assert Announced(bootstrap).read()["two"].reason == "by hand"
    assert Stopper(bootstrap, Topics()).stop(BREACH._replace(experiment="gone")) is None


def test_interleaved_experiment_is_stopped_whole() -> None:
    found = stopped(msgspec.structs.replace(TWO, interleave=True), BREACH._replace(variant=""), 9)
    assert found is not None
    assert (found.state, found.reason, found.announced_ts) == (
        "stopped",
        "guard rail fallback: half of its lists are empty",
        9,
    )
