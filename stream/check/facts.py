"""What a cluster says of itself, read once: so that the checks are functions of facts, and need no cluster in tests.

Whatever the cluster does not tell (no right to ask, an old broker) is None or empty, never an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import ConfigResource, ResourceType

from stream.errors import BrokerUnavailable
from stream.kafka.in_process import is_in_process

__all__ = ["Cluster", "GroupFacts", "TopicFacts", "read_cluster"]

_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFacts:
    """One topic. Without partitions it is one that we may not describe."""

    partitions: int
    replication: int = 1  # copies of the partition that has fewest
    in_sync: int = 1  # of the partition that has fewest
    leaderless: int = 0  # partitions
    settings: Mapping[str, str] = field(default_factory=dict)  # by the broker's names; empty where not readable
    rights: frozenset[str] | None = None  # READ, WRITE, DESCRIBE ...; None: not told
    refused: bool = False  # we may not even describe it


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """The workers' consumer group."""

    rights: frozenset[str] | None = None
    refused: bool = False
    protocol: str = ""  # classic or consumer; empty where there is no group, or it is not told
    members: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All of it."""

    brokers: Mapping[str, str] = field(default_factory=dict)  # id -> host:port, as clients are told
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)  # those asked for that there are
    settings: Mapping[str, str] = field(default_factory=dict)  # of one broker
    group: GroupFacts = GroupFacts()
    in_process: bool = False  # librdkafka's own cluster, which tells little


def read_cluster(admin: Any, names: Sequence[str], group: str) -> Cluster:
    """Ask an AdminClient about these topics and this group; BrokerUnavailable without an answer."""
    try:
        seen = admin.list_topics(timeout=_ANSWER_S)
    except KafkaException as problem:
        raise BrokerUnavailable(f"the cluster does not answer: {problem.args[0].str()}") from problem
    brokers = {str(number): f"{one.host}:{one.port}" for number, one in seen.brokers.items()}
    listed = {name: _of_metadata(seen.topics[name]) for name in names if name in seen.topics}
    if is_in_process(seen.cluster_id):
        return Cluster(brokers=brokers, topics=listed, in_process=True)
    topics = {name: one for name, one in _topics(admin, names).items() if one is not None}
    return Cluster(
        brokers=brokers,
        topics={**listed, **topics},
        settings=_settings(admin, ResourceType.BROKER, min(brokers, default="0")),
        group=_group(admin, group),
    )


def _of_metadata(topic: Any) -> TopicFacts:
    parts = list(topic.partitions.values())
    return TopicFacts(
        partitions=len(parts),
        replication=min((len(one.replicas) for one in parts), default=1),
        in_sync=min((len(one.isrs) for one in parts), default=1),
        leaderless=sum(one.leader < 0 for one in parts),
    )


def _topics(admin: Any, names: Sequence[str]) -> dict[str, TopicFacts | None]:
    asked = admin.describe_topics(
        TopicCollection(list(names)), include_authorized_operations=True, request_timeout=_ANSWER_S
    )
    return {name: _topic(admin, name, answer) for name, answer in asked.items()}


def _topic(admin: Any, name: str, answer: Any) -> TopicFacts | None:
    """None where there is no such topic, or no answer: then what the list of topics says counts."""
    try:
        found = answer.result(2 * _ANSWER_S)
    except KafkaException as problem:
        refused = problem.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        return TopicFacts(partitions=0, rights=frozenset(), refused=True) if refused else None
    except TimeoutError:
        return None
    return TopicFacts(
        partitions=len(found.partitions),
        replication=min((len(one.replicas) for one in found.partitions), default=1),
        in_sync=min((len(one.isr) for one in found.partitions), default=1),
        leaderless=sum(one.leader is None or one.leader.id < 0 for one in found.partitions),
        settings=_settings(admin, ResourceType.TOPIC, name),
        rights=_rights(found),
    )


def _group(admin: Any, name: str) -> GroupFacts:
    try:
        answer = admin.describe_consumer_groups([name], include_authorized_operations=True, request_timeout=_ANSWER_S)[
            name
        ]
        found = answer.result(2 * _ANSWER_S)
    except KafkaException as problem:
        refused = problem.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        return GroupFacts(rights=frozenset() if refused else None, refused=refused)
    except TimeoutError:
        return GroupFacts()
    kind = getattr(getattr(found, "type", None), "name", "")
    return GroupFacts(rights=_rights(found), protocol=kind.lower() if found.members else "", members=len(found.members))


def _rights(found: Any) -> frozenset[str] | None:
    told = getattr(found, "authorized_operations", None)
    return None if not told else frozenset(one.name for one in told)


def _settings(admin: Any, kind: Any, name: str) -> dict[str, str]:
    resource = ConfigResource(kind, name)
    try:
        found = admin.describe_configs([resource], request_timeout=_ANSWER_S)[resource].result(2 * _ANSWER_S)
    except (KafkaException, TimeoutError):
        return {}
    return {key: str(entry.value) for key, entry in found.items() if entry.value is not None}
