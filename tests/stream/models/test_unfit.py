"""Models that a worker of these settings can't serve: it keeps its own, lets popularity answer, or refuses to serve."""

import pytest

from export.errors import BundleError, ConfigError, NextclickError, ProviderUnavailable
from tests.stream.models.followed import Eventually, Make

TOO_SHORT = ConfigError("k is 60; model 2 returns lists of 1 to 50")
NO_CUDA = ProviderUnavailable("the CUDA provider can't run here")


@pytest.mark.parametrize("error", [TOO_SHORT, NO_CUDA, BundleError("bad_model", "an operator it does not know")])
def test_follower_later_model_unfit_for_this_worker_is_said_and_the_current_stays(
    followed: Make, eventually: Eventually, error: NextclickError
) -> None:
    one = followed(3)
    one.registry.promote("1")
    one.broken["2"] = error
    one.serving.start()
    eventually(lambda: one.models == ["1"], "the first model")
    one.announce("2")
    eventually(lambda: "model_refused" in one.wrong(), "the refusal")
    assert str(error) in one.wrong()["model_refused"]
    assert one.serving.version == "1"
    assert (one.stand_ins, one.serving.refusal) == ([], None)
    one.announce("3")
    eventually(lambda: one.models == ["1", "3"], "the next one")
    eventually(lambda: one.wrong() == {}, "nothing wrong any more")


@pytest.mark.parametrize("error", [TOO_SHORT, NO_CUDA])
def test_follower_every_model_refused_at_start_for_its_settings_is_a_refusal_to_serve(
    followed: Make, error: NextclickError
) -> None:
    one = followed(2)
    one.broken = {"1": BundleError("altered", "damaged"), "2": error}
    one.serving.start()
    assert one.serving.looked.wait(10)
    assert one.serving.refusal is error
    assert (one.models, one.stand_ins) == ([], [])


def test_follower_refusal_to_serve_is_left_to_the_worker_to_say(
    followed: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends with the reason; a line for each version that has it too would say the same again and again."""
    one = followed(3)
    one.broken = dict.fromkeys("123", TOO_SHORT)
    with caplog.at_level("INFO", logger="stream.models.follower"):
        one.serving.start()
        assert one.serving.looked.wait(10)
    assert one.serving.refusal is TOO_SHORT
    assert caplog.messages == []


def test_follower_newest_model_unfit_at_start_is_said_where_an_older_one_serves(
    followed: Make, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    one = followed(2)
    one.broken["2"] = TOO_SHORT
    with caplog.at_level("ERROR", logger="stream.models.follower"):
        one.serving.start()
        eventually(lambda: one.models == ["1"], "the older model")
        assert one.serving.looked.wait(10)
    assert [message for message in caplog.messages if "model 2 refused: k is 60" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_follower_graph_that_cannot_run_at_start_makes_its_popular_items_stand_in(
    followed: Make, eventually: Eventually
) -> None:
    one = followed(1)
    one.broken["1"] = BundleError("bad_model", "an operator it does not know")
    one.serving.start()
    assert one.serving.looked.wait(10)
    assert one.serving.refusal is None
    assert [ranker.version for ranker in one.stand_ins] == ["1"]
    assert set(one.wrong()) == {"model_refused", "no_model"}
    assert one.serving.version is None
    one.registry.publish(one.staging)
    eventually(lambda: one.models == ["2"], "the model that can run")
    eventually(lambda: one.wrong() == {}, "nothing wrong any more")


def test_follower_nothing_readable_at_start_is_a_refusal_to_serve(followed: Make) -> None:
    one = followed(1)
    (one.registry.fetch("1") / "items.json").unlink()
    one.serving.start()
    assert one.serving.looked.wait(10)
    assert isinstance(one.serving.refusal, BundleError)
    assert one.stand_ins == []


def test_follower_first_model_after_the_start_unfit_for_this_worker_makes_popular_items_stand_in(
    followed: Make, eventually: Eventually
) -> None:
    one = followed(0)
    one.broken["1"] = TOO_SHORT
    one.serving.start()
    assert one.serving.looked.wait(10)
    assert (one.serving.refusal, one.wrong()) == (None, {})
    one.registry.publish(one.staging)
    eventually(lambda: len(one.stand_ins) == 1, "the popular items")
    assert one.serving.refusal is None
    assert "k is 60" in one.wrong()["model_refused"]


def test_follower_registry_that_fails_at_start_is_no_empty_registry(followed: Make, eventually: Eventually) -> None:
    one = followed(1)
    one.broken["1"] = OSError("the storage is away")
    one.serving.start()
    eventually(lambda: one.failures("registry") >= 2, "two attempts")
    assert not one.serving.looked.is_set()
    assert "the storage is away" in one.wrong()["registry"]
    del one.broken["1"]
    eventually(lambda: one.models == ["1"], "the model")
    assert one.serving.looked.wait(10)
    assert one.wrong() == {}
