"""Making the topics with the shape they need, and checking those that exist.

The state topic of a group must have as many partitions as the clicks, since the state of a session lives in the
partition of its clicks. The number can't be changed later without moving sessions apart from their state.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from export.errors import ConfigError
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.clients import admin_options, build_client, wait_for_broker
from stream.kafka.names import check_group
from stream.topic_names import Topics

__all__ = [
    "TopicPlan",
    "TopicReport",
    "build_admin",
    "check_partitions",
    "check_topics",
    "create_topics",
    "missing_topics",
    "partition_counts",
    "topic_plans",
]

_DAY_MS = 24 * 3600 * 1000
_GONE_DAYS = 90  # a tombstone stays so long, for workers that start later: longer than any log that models learn from


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPlan:
    """How one topic is to be made."""

    name: str
    partitions: int
    config: Mapping[str, str]  # by the broker's names
    fixed: bool  # whether another number of partitions is an error


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicReport:
    """What was found or done for one topic."""

    name: str
    partitions: int
    created: bool  # false: it was there before


def topic_plans(topics: Topics, *, partitions: int, group: str, impressions: bool = False) -> list[TopicPlan]:
    """The topics, those that a worker can do without as well; `partitions` holds for clicks and what follows them.

    impressions: the topic of what storefronts showed too, for those that send it.
    """
    compact = {"cleanup.policy": "compact"}
    state = {**compact, "segment.ms": str(_DAY_MS // 4), "min.cleanable.dirty.ratio": "0.3"}
    state |= {"max.compaction.lag.ms": str(_DAY_MS)}  # rows of erased sessions go, however quiet the topic is
    items = {**compact, "delete.retention.ms": str(_GONE_DAYS * _DAY_MS), "segment.ms": str(_DAY_MS)}
    day, week, month = (_of_time(days) for days in (1, 7, 30))
    shown = [TopicPlan(name=topics.impressions, partitions=partitions, config=day, fixed=False)]
    return [
        TopicPlan(name=topics.clicks, partitions=partitions, config=week, fixed=True),
        TopicPlan(name=topics.recommendations, partitions=partitions, config=day, fixed=False),
        TopicPlan(name=topics.rejected, partitions=partitions, config=month, fixed=False),
        TopicPlan(name=topics.models, partitions=1, config=compact, fixed=False),
        TopicPlan(name=topics.items, partitions=1, config=items, fixed=False),
        TopicPlan(name=topics.similar, partitions=1, config=compact, fixed=False),
        TopicPlan(name=topics.changelog(group), partitions=partitions, config=state, fixed=True),
        TopicPlan(name=topics.erasures, partitions=1, config={"retention.ms": str(_GONE_DAYS * _DAY_MS)}, fixed=False),
        *(shown if impressions else ()),
    ]


def _of_time(days: int) -> dict[str, str]:
    """A topic whose messages go after so many days, and a quarter of a day to a day: a segment goes as one."""
    return {"retention.ms": str(days * _DAY_MS), "segment.ms": str(min(days * _DAY_MS // 4, _DAY_MS))}


def create_topics(
    bootstrap_servers: str,
    *,
    partitions: int,
    replication: int = 1,
    group: str = "nextclick",
    topics: Topics = Topics(),
    extra: Mapping[str, str] | None = None,
    impressions: bool = False,
    timeout_s: float = 30.0,
) -> list[TopicReport]:
    """Make what is missing and check the rest; may be repeated. TopicError says what is wrong and what to do.

    impressions: as of `topic_plans`.
    """
    if partitions < 1 or replication < 1:
        raise ConfigError("a topic has at least one partition and one replica")
    check_group(group)
    wait_for_broker(bootstrap_servers, extra, timeout_s=timeout_s)
    client = build_admin(bootstrap_servers, extra)
    plans = topic_plans(topics, partitions=partitions, group=group, impressions=impressions)
    existing = _counts(client, bootstrap_servers, timeout_s)
    for plan in plans:
        _check_plan(client, plan, existing.get(plan.name), timeout_s)
    missing = [plan for plan in plans if plan.name not in existing]
    made = {plan.name for plan in missing if _create(client, plan, replication, timeout_s)}
    if made:
        _await(client, bootstrap_servers, made, timeout_s)
    return [
        TopicReport(name=plan.name, partitions=existing.get(plan.name, plan.partitions), created=plan.name in made)
        for plan in plans
    ]


def partition_counts(
    bootstrap_servers: str, extra: Mapping[str, str] | None = None, *, timeout_s: float = 10.0
) -> dict[str, int]:
    """Every topic of the cluster with its number of partitions; makes none. BrokerUnavailable without an answer."""
    return _counts(build_admin(bootstrap_servers, extra), bootstrap_servers, timeout_s)


def check_topics(counts: Mapping[str, int], *, group: str, topics: Topics = Topics()) -> int:
    """The partitions of the clicks, given `partition_counts`; TopicError where a worker of `group` could not run."""
    missing = missing_topics(counts, group, topics)
    if missing:
        raise TopicError(
            f"topics are missing: {', '.join(missing)}; make them with "
            f"`nextclick topics create --bootstrap-servers HOST --partitions N --group {group}{topics.as_options()}`"
        )
    return check_partitions(counts, group, topics)


def missing_topics(found: Collection[str], group: str, topics: Topics) -> list[str]:
    """Those of a worker's topics that are not among `found`."""
    return [name for name in topics.all(group) if name not in found]


def check_partitions(counts: Mapping[str, int], group: str, topics: Topics) -> int:
    """The partitions of the clicks, which exist; TopicError where the state topic of `group` has not as many."""
    changelog = topics.changelog(group)
    clicks, state = counts[topics.clicks], counts[changelog]
    if clicks > state:
        raise TopicError(
            f"{changelog} has {state} partitions, but {topics.clicks} has {clicks}: they must be equal. Give it as "
            f"many: kafka-topics --alter --topic {changelog} --partitions {clicks} (sessions whose clicks now go to "
            "another partition start anew), or use another --group"
        )
    if clicks < state:
        raise TopicError(
            f"{changelog} has {state} partitions, but {topics.clicks} has {clicks}: they must be equal. "
            f"Delete {changelog} and make it again (its sessions start anew), or use another --group"
        )
    return clicks


def build_admin(bootstrap_servers: str, extra: Mapping[str, str] | None) -> Any:
    """A client that makes and describes topics; ConfigError where librdkafka refuses an option."""
    return build_client(AdminClient, admin_options(bootstrap_servers, extra))


def _counts(client: Any, bootstrap_servers: str, timeout_s: float) -> dict[str, int]:
    try:
        found = client.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise BrokerUnavailable(f"no Kafka broker at {bootstrap_servers} within {timeout_s:g} s: {error}") from error
    return {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}


def _check_plan(client: Any, plan: TopicPlan, found: int | None, timeout_s: float) -> None:
    if found is None:
        return
    if plan.fixed and found != plan.partitions:
        raise TopicError(
            f"{plan.name} exists with {found} partitions, not {plan.partitions}. Sessions stay with their partition, "
            f"so the number can't be changed in place: say --partitions {found}, or delete the topic first"
        )
    if "compact" in plan.config.get("cleanup.policy", "") and "compact" not in _policy(client, plan.name, timeout_s):
        raise TopicError(
            f"{plan.name} exists without cleanup.policy=compact, so the broker would delete what is still needed: "
            f"kafka-configs --alter --topic {plan.name} --add-config cleanup.policy=compact"
        )


def _policy(client: Any, name: str, timeout_s: float) -> str:
    resource = ConfigResource(ResourceType.TOPIC, name)
    try:
        found = client.describe_configs([resource], request_timeout=timeout_s)[resource].result()
    except KafkaException as error:
        raise TopicError(f"the settings of {name} can't be read: {error.args[0].str()}") from error
    return str(found["cleanup.policy"].value)


def _create(client: Any, plan: TopicPlan, replication: int, timeout_s: float) -> bool:
    """Whether this call made the topic (another one may have been faster)."""
    topic = NewTopic(plan.name, plan.partitions, replication, config=dict(plan.config))
    try:
        client.create_topics([topic], request_timeout=timeout_s, operation_timeout=timeout_s)[plan.name].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise TopicError(f"{plan.name} could not be made: {error.args[0].str()}") from error
    return True


def _await(client: Any, bootstrap_servers: str, names: set[str], timeout_s: float) -> None:
    """Return once the new topics are visible to clients."""
    deadline = time.monotonic() + timeout_s
    while not names <= _counts(client, bootstrap_servers, timeout_s).keys():
        if time.monotonic() > deadline:
            raise TopicError(f"the new topics did not become visible within {timeout_s:g} s")
        time.sleep(0.05)
