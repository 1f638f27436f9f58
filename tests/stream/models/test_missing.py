"""Storage that fails, and versions that are announced and not there."""

import time

import pytest

from stream.messages.announcements import announce
from stream.messages.contract import ModelAnnouncement
from tests.stream.models.followed import Eventually, Make


def test_follower_storage_failing_is_asked_again(followed: Make, eventually: Eventually) -> None:
    one = followed(1)
    one.broken["1"] = OSError("the storage is away")
    one.follower.start()
    eventually(lambda: one.failures("registry") >= 1, "the first attempt")
    del one.broken["1"]
    eventually(lambda: one.models == ["1"], "the second attempt")


def test_follower_version_announced_but_not_published_keeps_the_current(followed: Make, eventually: Eventually) -> None:
    one = followed(1)
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    announce(one.cluster, ModelAnnouncement("9", "nowhere", "00" * 32), topic=one.topic)
    announce(one.cluster, ModelAnnouncement("../..", "nowhere", "00" * 32), topic=one.topic)
    eventually(lambda: one.failures("registry") >= 1, "the failure")
    assert one.models == ["1"]


def test_follower_first_version_announced_is_lost_takes_one_that_is_there(
    followed: Make, eventually: Eventually
) -> None:
    one = followed(2)
    announce(one.cluster, ModelAnnouncement("9", "nowhere", "00" * 32), topic=one.topic)
    one.follower.start()
    eventually(lambda: one.models == ["2"], "the newest version")
    eventually(lambda: one.failures("registry") >= 2, "the lost one asked for again")
    assert one.models == ["2"]


@pytest.mark.slow
def test_follower_nothing_to_serve_and_the_announced_lost_asks_less_and_less_often(
    followed: Make, eventually: Eventually
) -> None:
    one = followed(1)
    one.broken["1"] = RuntimeError("the graph is not for this runtime")
    announce(one.cluster, ModelAnnouncement("9", "nowhere", "00" * 32), topic=one.topic)
    one.follower.start()
    asked: list[float] = []  # when: polls are 0.05 s apart, pauses .5, 1, 2 s

    def thrice() -> bool:
        if one.failures("registry") > len(asked):
            asked.append(time.monotonic())
        return len(asked) >= 3

    eventually(thrice, "the lost version asked for three times")
    assert asked[2] - asked[0] > 0.7
    assert one.models == []
