"""A shop whose cluster, registry and clicks are sound, for tests that make one thing wrong in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export.registry.registry import Registry
from stream.check.clicks import SampledClick
from stream.check.facts import Cluster, GroupFacts, TopicFacts
from stream.check.finding import Finding
from stream.check.models import AnnouncedNow
from stream.check.partitioner import murmur2_partition
from stream.check.run import CheckConfig, Checker
from stream.config import StreamConfig
from stream.messages.announcements import announcement_for
from stream.messages.contract import Click, encode

__all__ = ["CHANGELOG", "NOW_MS", "PARTITIONS", "World"]

PARTITIONS = 4
NOW_MS = 1_700_000_000_000
CHANGELOG = "shop-sessions-changelog"
_ALL = frozenset({"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"})


def _topic(partitions: int, **settings: str) -> TopicFacts:
    plain = {
        "cleanup.policy": "delete",
        "retention.ms": "604800000",
        "max.message.bytes": "1048588",
        "message.timestamp.type": "CreateTime",
        "min.insync.replicas": "2",
        "unclean.leader.election.enable": "false",
    }
    changed = {name.replace("_", "."): value for name, value in settings.items()}
    return TopicFacts(partitions=partitions, replication=3, in_sync=3, settings=plain | changed, rights=_ALL)


class World:
    """`cluster`, `sample`, `announced`, `registry` and `options` are to be changed; `findings` checks them."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.registry = Registry(folder / "registry")
        self.registry.create()
        self.registry.publish(bundle)
        self.registry.promote("1")
        compact = {"cleanup_policy": "compact"}
        self.cluster = Cluster(
            brokers={str(number): f"broker-{number}:9092" for number in range(3)},
            topics={
                "clicks": _topic(PARTITIONS),
                "recommendations": _topic(PARTITIONS),
                "clicks.rejected": _topic(PARTITIONS),
                "models": _topic(1, **compact),
                "items": _topic(1, **compact),
                "similar": _topic(1, **compact),
                CHANGELOG: _topic(PARTITIONS, **compact),
            },
            settings={"group.min.session.timeout.ms": "6000", "group.max.session.timeout.ms": "1800000"},
            group=GroupFacts(rights=frozenset({"READ", "DESCRIBE"})),
        )
        self.sample = [self.click(f"s{number}") for number in range(40)]
        self.announced = AnnouncedNow()
        self.announced.take(announcement_for(self.registry, "1"))
        self.options: dict[str, Any] = {}
        self.refusal: Exception | None = None  # of the cluster, instead of an answer

    def click(
        self, session: str, *, ts: int = NOW_MS, key: bytes | None = b"", at: int | None = None, sent: int = NOW_MS
    ) -> SampledClick:
        """A click as it lies in the topic; `key` empty: the session, `at` None: where murmur2 has it."""
        key = session.encode() if key == b"" else key
        place = murmur2_partition(key or b"", PARTITIONS) if at is None else at
        return SampledClick(place, key, encode(Click(session, "item-1", ts)), sent)

    def set_topic(self, name: str, **changes: Any) -> None:
        """Change a topic; `settings` are added to those it has."""
        topic = self.cluster.topics[name]
        changes["settings"] = {**topic.settings, **changes.get("settings", {})}
        self.cluster = replace(self.cluster, topics={**self.cluster.topics, name: replace(topic, **changes)})

    def drop_topic(self, name: str) -> None:
        """There is no such topic."""
        kept = {one: topic for one, topic in self.cluster.topics.items() if one != name}
        self.cluster = replace(self.cluster, topics=kept)

    def findings(self, patch: pytest.MonkeyPatch) -> list[Finding]:
        """What a check of all of it finds."""
        where = "stream.check.run"
        patch.setattr(f"{where}.wait_for_broker", self._answer)
        patch.setattr(f"{where}.build_admin", lambda *_: None)
        patch.setattr(f"{where}.read_cluster", lambda *_: self.cluster)
        patch.setattr(f"{where}.sample_clicks", lambda *_, **__: self.sample)
        patch.setattr(f"{where}.read_announced", lambda *_, **__: self.announced)
        patch.setattr(f"{where}.time.time_ns", lambda: NOW_MS * 1_000_000)
        patch.setattr(f"{where}.reach", lambda *_: None)
        options: dict[str, Any] = {
            "bootstrap_servers": "broker:9092",
            "registry": self.registry.url,
            "group": "shop",
            "threads": 1,
        }
        return Checker(CheckConfig(worker=StreamConfig(**(options | self.options)))).run()

    def _answer(self, *_: Any, **__: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
