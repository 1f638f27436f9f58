"""What Kafka itself keeps of a session that was erased, until when, and how that is changed.

No message of a topic can be taken out of it. A topic that is cleaned by time lets go of it by time; a compacted one
once it is compacted, where a record without value stands behind it.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType

from stream.kafka.in_process import is_in_process
from stream.kafka.topics import build_admin
from stream.topic_names import Topics

__all__ = ["Kept", "kept", "words_of"]

_ANSWER_S = 10.0
_ENDLESS = 2**63 - 1
_HOUR_MS = 3_600_000
_UNITS = ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1_000, "s"))


class Kept(msgspec.Struct, frozen=True):
    """One topic."""

    topic: str
    what: str
    until: str  # in words
    remedy: str = ""  # where that is for ever, longer than it seems, or not known


def kept(bootstrap_servers: str, topics: Topics, group: str, extra: Mapping[str, str] | None = None) -> list[Kept]:
    """The topics that hold ids of sessions, of those that there are."""
    whats = {
        topics.clicks: "its clicks, as they came",
        topics.rejected: "what was rejected of them",
        topics.recommendations: "its lists",
        topics.impressions: "what it was shown",
        topics.changelog(group): "its states",
    }
    admin: Any = build_admin(bootstrap_servers, extra)
    try:
        listed = admin.list_topics(timeout=_ANSWER_S)
    except KafkaException:
        return []
    there = [name for name in whats if name in listed.topics]
    if is_in_process(listed.cluster_id):
        return [Kept(name, whats[name], "as long as this cluster lives") for name in there]
    asked = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in there], request_timeout=_ANSWER_S
    )
    found = []
    for resource, answer in asked.items():
        try:
            config = {name: entry.value for name, entry in answer.result(2 * _ANSWER_S).items()}
        except (KafkaException, TimeoutError) as error:
            why = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
            found.append(Kept(resource.name, whats[resource.name], "not known", f"its settings can't be read: {why}"))
            continue
        found.append(Kept(resource.name, whats[resource.name], *words_of(resource.name, config)))
    return sorted(found, key=lambda one: list(whats).index(one.topic))


def words_of(topic: str, config: Mapping[str, str | None]) -> tuple[str, str]:
    """Until when a topic with these settings keeps a message; and what to do where that is for ever, or more than twice
    as long as it seems."""
    alter = f"kafka-configs --alter --entity-type topics --entity-name {topic} --add-config"
    if "compact" in (config.get("cleanup.policy") or ""):
        lag = _ms(config.get("max.compaction.lag.ms"))
        if lag >= _ENDLESS:
            return "until it is compacted, which no time bounds", f"{alter} max.compaction.lag.ms=86400000"
        return f"until it is compacted: {_span(lag)} at most, and what its cleaner takes", ""
    retention = _ms(config.get("retention.ms"))
    if retention < 0:
        return "for ever", f"{alter} retention.ms=604800000"
    segment = _ms(config.get("segment.ms"))
    late = f", and up to {_span(segment)} more for the segment they are in" if segment < _ENDLESS else ""
    remedy = f"{alter} segment.ms={max(retention // 4, _HOUR_MS)}" if late and segment > retention else ""
    return f"{_span(retention)} (retention.ms){late}", remedy


def _ms(value: str | None) -> int:
    try:
        return int(value or "")
    except ValueError:
        return _ENDLESS


def _span(ms: int) -> str:
    unit, name = next(((unit, name) for unit, name in _UNITS if ms >= unit), (1, "ms"))
    number = math.ceil(10 * ms / unit) / 10
    return f"{number:g} {name.removesuffix('s') if number == 1 and len(name) > 2 else name}"
