"""Which model is served when."""

from pathlib import Path

import pytest

from export.errors import RegistryMissing
from stream.config import StreamConfig
from stream.models.follower import ModelFollower
from stream.ops.metrics import Metrics
from tests.stream.models.followed import Eventually, Make


def test_follower_registry_missing_raises_at_start(tmp_path: Path, cluster: str) -> None:
    config = StreamConfig(bootstrap_servers=cluster, registry=str(tmp_path / "none"))
    with pytest.raises(RegistryMissing):
        ModelFollower(config, Metrics(), lambda _ranker: None).start()


def test_follower_nothing_announced_or_promoted_serves_the_newest(followed: Make, eventually: Eventually) -> None:
    one = followed(2)
    one.follower.start()
    eventually(lambda: one.models == ["2"], "the newest version")
    assert one.follower.version == "2"
    assert one.metrics.registry.get_sample_value("nextclick_model_swaps_total") == 1


def test_follower_nothing_announced_follows_what_is_promoted(followed: Make, eventually: Eventually) -> None:
    one = followed(3)
    one.registry.promote("1")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the live version")
    one.registry.promote("3")
    eventually(lambda: one.models == ["1", "3"], "the promoted version")


@pytest.mark.slow
def test_follower_new_version_not_promoted_is_not_served(followed: Make, eventually: Eventually) -> None:
    one = followed(1)
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first version")
    one.registry.publish(one.staging)
    one.announce("2", variant="other")
    one.announce("1")
    one.announce("2")
    eventually(lambda: one.models == ["1", "2"], "the announced version")
    assert [wanted.version for wanted in one.loads] == ["1", "2"]


def test_follower_announced_before_the_start_beats_the_registry(followed: Make, eventually: Eventually) -> None:
    one = followed(3)
    one.registry.promote("3")
    one.announce("2")
    one.announce("1")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the announced version")


def test_follower_empty_registry_waits_for_the_first_version(followed: Make, eventually: Eventually) -> None:
    one = followed(0)
    one.follower.start()
    assert one.follower.version is None
    one.registry.publish(one.staging)
    eventually(lambda: one.models == ["1"], "the first version")
