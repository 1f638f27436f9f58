import pytest

from model.learn.train import train
from model.reports.outlook import MemberOutlook, Outlook, in_words, outlook
from tests.model.tiny import tiny_committee, tiny_log, tiny_preset


def member(**options: float) -> MemberOutlook:
    given = {"steps": 100, "step_s": 0.1, "late_s": 0.3, "late": 0.25, "validation_s": 2.0, "validations": 3, **options}
    return MemberOutlook(**given)  # type: ignore[arg-type]


def test_outlook_dear_steps_at_the_end_count() -> None:
    assert member().seconds == 7.5 + 7.5 + 6.0
    assert member().work(0.75) == 0.5
    assert (member().work(0.0), member().work(1.0)) == (0.0, 1.0)


def test_outlook_time_limit_ends_it() -> None:
    both = (member(), member())
    assert Outlook(members=both).seconds == 42.0
    limited = Outlook(members=both, limit_s=10.0)
    assert limited.seconds == 10.0
    assert "about 10 s by the time limit" in limited.told()
    assert "200 steps of 2 encoders of 100 to 300 ms, 6 validations" in Outlook(members=both).told()


def test_outlook_of_a_training_is_of_its_steps_and_validations() -> None:
    log, valid = tiny_log(400), tiny_log(20, seed=1)
    found = outlook(log, valid, tiny_committee(epochs=2, layers=1))
    assert found is not None
    assert [one.steps for one in found.members] == [50, 50]
    assert [one.validations for one in found.members] == [2, 2]
    assert all(one.step_s > 0 and one.validation_s > 0 for one in found.members)
    assert outlook(log, valid, tiny_preset(epochs=0.1)) is None  # over in a moment


@pytest.mark.slow
def test_outlook_changes_nothing_of_the_training_that_follows() -> None:
    log, valid, preset = tiny_log(200), tiny_log(20, seed=1), tiny_preset(epochs=4, layers=1)
    alone = train(log, valid, preset).history
    assert outlook(log, valid, preset) is not None
    assert train(log, valid, preset).history == alone


def test_in_words_has_the_unit_people_use() -> None:
    assert [in_words(s) for s in (0.2, 45, 600, 5400, 7500)] == ["1 s", "45 s", "10 min", "1 h 30 min", "2 h 5 min"]
