import math

from model.reports.outlook import MemberOutlook, Outlook
from model.reports.progress import Progress
from model.reports.remaining import Remaining


def at(done: float, member: str = "") -> Progress:
    return Progress(stage="train", step=1, steps=10, done=done, member=member)


class Times:
    """Reports at chosen times, and what is said to be left."""

    def __init__(self, plan: Outlook | None = None) -> None:
        self.now, self.seen = 0.0, list[Progress]()
        self.remaining = Remaining(self.seen.append, plan, lambda: self.now)

    def report(self, now: float, done: float, member: str = "") -> float | None:
        self.now = now
        self.remaining(at(done, member))
        return self.seen[-1].remaining_s


def plan(*steps: int, limit_s: float | None = None) -> Outlook:
    members = [
        MemberOutlook(steps=one, step_s=1.0, late_s=1.0, late=0.0, validation_s=0.0, validations=1) for one in steps
    ]
    return Outlook(members=tuple(members), limit_s=limit_s)


def test_remaining_is_by_the_time_so_far() -> None:
    times = Times()
    assert times.report(0, 0.0) is None
    assert times.report(10, 0.25) == 30
    assert times.report(40, 1.0) == 0


def test_remaining_is_the_estimate_until_steps_are_done() -> None:
    times = Times(plan(100))
    assert times.report(0, 0.0) == 100
    assert times.report(50, 0.25) == 150  # the estimate was too low


def test_remaining_counts_encoders_to_come_by_their_cost() -> None:
    times = Times(plan(100, 300))
    times.report(0, 0.0, "1/2")
    assert times.report(100, 1.0, "1/2") == 300
    found = times.report(250, 0.5, "2/2")
    assert found is not None
    assert math.isclose(found, 150)


def test_remaining_of_a_resumed_training_leaves_out_what_was_done_before() -> None:
    times = Times()
    times.report(0, 0.5)
    assert times.report(10, 0.75) == 10


def test_remaining_of_a_time_limit_is_what_the_limit_leaves() -> None:
    times = Times(plan(1000, limit_s=10.0))
    assert times.report(0, 0.0) == 10
    assert times.report(5, 0.5) == 5


def test_remaining_other_stages_pass_untouched() -> None:
    times = Times()
    times.remaining(Progress(stage="validate", steps=10))
    assert times.seen == [Progress(stage="validate", steps=10)]
