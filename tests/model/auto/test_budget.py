"""A budget is a time of the whole command or a number of steps, and is shared out so that it is kept."""

from __future__ import annotations

import pytest

from export.errors import ConfigError
from model.auto.budget import Budget, Spending
from model.auto.settle import bounded, judged_share, limited, timed, untrained
from model.cycle.config import RefitConfig
from model.learn.trained import Trained
from model.presets import preset
from model.reports.outlook import MemberOutlook, Outlook
from model.reports.progress import Progress
from tests.model.tiny import tiny_committee, tiny_preset


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def spending(text: str | None, spent: float = 0.0) -> Spending:
    clock = Clock()
    found = Spending(None if text is None else Budget.parse(text), clock)
    clock.now += spent
    return found


def trained(seconds: float, *, limited: bool = False) -> Trained:
    costs = {"seconds": seconds, "spent": seconds, "sessions_per_s": 1.0}
    return Trained(encoders=(), epochs=5.0, limited=limited, valid={}, history=[], **costs)


STABLE = preset("auto")
FIXED = preset("tron-fast")


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("10m", 600), ("10 min", 600), ("2h", 7_200), ("1.5H", 5_400), ("1d", 86_400)]
)
def test_budget_of_time(text: str, seconds: float) -> None:
    assert Budget.parse(text) == Budget(seconds=seconds)


@pytest.mark.parametrize("text", ["500steps", "500 steps"])
def test_budget_of_steps(text: str) -> None:
    assert Budget.parse(text) == Budget(steps=500)


@pytest.mark.parametrize(
    "text", ["", "60", "s", "-60s", "60 s 3", "1e3s", "nan s", "1.5steps", "0s", "9s", "3steps", "inf", "60s; rm"]
)
def test_budget_that_is_none_is_refused_with_what_one_looks_like(text: str) -> None:
    with pytest.raises(ConfigError, match="--budget"):
        Budget.parse(text)


def test_spending_without_a_budget_has_no_limit() -> None:
    assert spending(None).left() is None
    assert spending(None).for_training(bundles=2) is None


def test_spending_keeps_time_to_export_and_judge() -> None:
    one, two = (spending("60s", 10).for_training(bundles=count) for count in (1, 2))
    assert one is not None
    assert two is not None
    assert 10 < two < one < 50
    assert spending("60s", 70).for_training(bundles=1) == 1.0, "a training still ends well"


def test_spending_more_than_the_budget_is_said_with_how_much() -> None:
    assert spending(None, 1e6).overdrawn() == ""
    assert spending("60s", 64).overdrawn() == ""
    assert spending("10m", 625).overdrawn() == ""
    assert "warning: 235 s, 195 s more than --budget" in spending("40s", 235).overdrawn()


def test_a_budget_that_was_over_before_the_first_step_is_said_with_one_that_has_room_for_a_pass() -> None:
    member = MemberOutlook(steps=9, step_s=0.5, late_s=0.5, late=0.0, validation_s=1.0, validations=1)
    told = untrained(spending("60s", 50), Outlook(members=(member,)), STABLE.override(batch=100), RefitConfig(), 36_000)
    assert "no step was trained" in told
    assert "a pass takes about 3 min more" in told
    assert "--budget 11m" in told  # 50 s, 21 to export and to judge twice, a pass, and a refit of twice its time
    assert untrained(spending("60s", 50), None, STABLE, RefitConfig(), 36_000).endswith("give it more time")
    alone = untrained(spending("60s", 50), Outlook(members=(member,)), STABLE.override(batch=100), None, 36_000)
    assert "--budget 5m" in alone, "50 s, 12 to export and to judge, and a pass"


def test_limited_without_a_budget_is_the_same() -> None:
    assert limited(STABLE, spending(None), RefitConfig()) == STABLE


def test_limited_time_is_shared_with_the_refit_and_told() -> None:
    told: list[Progress] = []
    found = limited(STABLE, spending("100s", 10), RefitConfig(), told.append).train.max_seconds
    alone = limited(STABLE, spending("100s", 10), None).train.max_seconds
    assert found is not None
    assert alone is not None
    assert found < alone < 90
    assert 0.2 < found / alone < 0.4, "what is published gets the larger part"
    assert "10 s are over" in told[0].message
    assert "for the refit" in told[0].message


def test_judged_share_is_all_without_a_refit_and_else_the_smaller_part() -> None:
    assert judged_share(STABLE, None) == 1.0
    assert 0.25 < judged_share(STABLE, RefitConfig()) < 0.4


def test_judged_share_of_a_preset_that_chooses_an_epoch_leaves_no_more_than_as_long_again() -> None:
    assert 0.45 < judged_share(preset("tron"), RefitConfig()) < 0.5


def test_limited_time_does_not_lengthen_what_was_asked() -> None:
    assert limited(STABLE.override(max_seconds=5.0), spending("100s"), None).train.max_seconds == 5.0


def test_limited_steps_are_shared_by_the_encoders() -> None:
    alone, both = tiny_preset(), tiny_committee()
    assert limited(alone, spending("500steps"), None).train.max_steps == 500
    assert limited(both, spending("500steps"), None).train.max_steps == 250
    assert limited(alone, spending("500steps"), None).train.max_seconds is None
    assert limited(STABLE, spending("1000steps"), RefitConfig()).train.max_steps == round(
        1000 * judged_share(STABLE, RefitConfig())
    )


def test_refit_without_a_budget_is_the_whole_training_again() -> None:
    found, why = timed(RefitConfig(), STABLE, trained(600), spending(None), more=1.1)
    assert found == RefitConfig()
    assert "660 s" in why


def test_refit_of_a_training_that_held_out_sessions_ended_is_as_long() -> None:
    found, why = timed(RefitConfig(), STABLE, trained(10), spending("100s", 30), more=1.1)
    assert found is not None
    assert found.max_seconds is not None
    assert found.max_seconds < 70
    assert why.startswith("the same again, about 11 s")


def test_refit_of_a_training_that_its_limit_ended_has_all_that_is_left() -> None:
    found, why = timed(RefitConfig(), STABLE, trained(20, limited=True), spending("100s", 30), more=1.1)
    assert found is not None
    assert found.max_seconds == spending("100s", 30).for_training(bundles=1)
    assert why.startswith("from the start again, for ")


def test_refit_of_the_newest_sessions_draws_of_more_as_it_is_longer() -> None:
    short = STABLE.override(newest_sessions=1_000)
    left = spending("100s", 30).for_training(bundles=1)
    assert left is not None
    newest = [
        found.newest_sessions
        for given in (frozenset[str](), frozenset({"newest_sessions"}))
        for found, _ in [
            timed(RefitConfig(), short, trained(20, limited=True), spending("100s", 30), more=1, given=given)
        ]
        if found is not None
    ]
    assert newest == [round(1_000 * left / 20), None], "what was given stays"


def test_refit_takes_no_more_than_was_asked_of_a_training_by_hand() -> None:
    short = bounded(RefitConfig(), STABLE.override(max_seconds=5.0, max_steps=20))
    assert short == RefitConfig(max_seconds=5.0, max_steps=20)
    assert bounded(None, STABLE) is None
    found, _ = timed(short, STABLE, trained(5, limited=True), spending("100s", 30), more=1)
    assert found is not None
    assert found.max_seconds == 5.0
    found, _ = timed(short, STABLE.override(max_steps=20), trained(5, limited=True), spending("100steps"), more=1)
    assert found is not None
    assert found.max_steps == 20


def test_refit_of_few_steps_by_hand_draws_of_no_more_sessions() -> None:
    short = STABLE.override(max_steps=20, newest_sessions=1_000)
    found, _ = timed(RefitConfig(max_steps=20), short, trained(2, limited=True), spending("100s", 30), more=1)
    assert found is not None
    assert found.newest_sessions == 1_000


def test_refit_of_nothing_in_no_time_is_left_out() -> None:
    found, why = timed(RefitConfig(), STABLE, trained(0, limited=True), spending("60s", 58), more=1)
    assert found is None
    assert "longer --budget" in why


def test_refit_of_a_chosen_epoch_is_told_to_be_as_long() -> None:
    chosen = preset("tron").override(max_seconds=20.0)
    _, why = timed(RefitConfig(), chosen, trained(20, limited=True), spending("100s", 30), more=1.1)
    assert why.startswith("the same again")


def test_refit_is_left_out_where_it_would_be_cut_short() -> None:
    found, why = timed(RefitConfig(), STABLE, trained(50), spending("100s", 84), more=1.1)
    assert found is None
    assert "longer --budget" in why


def test_refit_has_the_time_that_an_export_really_takes_kept() -> None:
    slow = spending("100s", 60)
    before = slow.for_training(bundles=1)
    slow.exported(40.0)
    after = slow.for_training(bundles=1)
    assert before == pytest.approx(40.0 - Spending.EXPORT_S), "nothing was exported yet"
    assert after == pytest.approx(40.0 - Spending.AGAIN * 40.0), "what was found once is not looked for again"


def test_refit_in_a_budget_of_steps_has_the_rest_of_them() -> None:
    limit = limited(STABLE, spending("100steps"), RefitConfig())
    found, why = timed(RefitConfig(), limit, trained(50, limited=True), spending("100steps"), more=1.1)
    assert limit.train.max_steps == 33
    assert found == RefitConfig(max_steps=67)
    assert "67 steps" in why
    both = tiny_committee().override(validate_epochs=False)
    found, _ = timed(
        RefitConfig(), limited(both, spending("100steps"), RefitConfig()), trained(50), spending("100steps"), more=1.1
    )
    assert found is not None
    assert found.max_steps == 33, "of each encoder"


def test_refit_for_which_no_time_is_left_is_left_out_with_the_remedy() -> None:
    found, why = timed(RefitConfig(), FIXED, trained(50), spending("100s", 70), more=1.1)
    assert found is None
    assert "longer --budget" in why
