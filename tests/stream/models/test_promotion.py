"""A change of what is live is told to the workers, or not made; and where only one of both came about, it says so."""

from pathlib import Path

import pytest

from export.registry.registry import Registry
from stream.errors import BrokerUnavailable, PublishFailed
from stream.messages.announcements import AnnouncementReader
from stream.messages.contract import ModelAnnouncement
from stream.models import promotion
from stream.models.promotion import make_live
from stream.topic_names import Topics
from tests.stream.kafka.test_clients import NOBODY
from tests.stream.messages.test_announcements import read_all
from tests.stream.models.followed import bundle_in


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three versions, promoted in turn."""
    made = Registry(tmp_path / "registry")
    made.create()
    for version in ("1", "2", "3"):
        made.publish(bundle_in(tmp_path / "staging"))
        made.promote(version)
    return made


@pytest.mark.slow
def test_rollback_without_a_broker_changes_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "_BROKER_S", 0.5)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            make_live(registry, lambda one: one.rollback(), variant="default", bootstrap_servers=NOBODY)
    assert registry.history() == ("1", "2", "3")


def test_change_that_could_not_be_announced_says_how_to_repeat_it(
    registry: Registry, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PublishFailed("version 2 was not announced: no")

    monkeypatch.setattr(promotion, "announce", refuse)
    with pytest.raises(PublishFailed, match=r"models promote 2 --bootstrap-servers .* --topic-prefix shop1\."):
        make_live(
            registry,
            lambda one: one.rollback(),
            variant="default",
            bootstrap_servers=cluster,
            topics=Topics.named(prefix="shop1."),
        )
    assert registry.live() == "2"


def test_what_is_live_at_the_time_is_announced(registry: Registry, cluster: str) -> None:
    def promote(one: Registry) -> None:
        one.promote("1")
        one.promote("2")  # somebody else, a moment later

    assert make_live(registry, promote, variant="default", bootstrap_servers=cluster) == "2"
    reader = AnnouncementReader(cluster)
    assert [one.version for one in read_all(reader) if isinstance(one, ModelAnnouncement)] == ["2"]
    reader.close()


def test_without_servers_nobody_is_told(registry: Registry) -> None:
    assert make_live(registry, lambda one: one.rollback(), variant="default", bootstrap_servers=None) == "2"
