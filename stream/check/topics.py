"""The topics against what a worker needs of them; the law is that of its start, in `stream/kafka/`."""

from collections.abc import Iterator, Mapping

from export.errors import ConfigError
from stream.check.facts import Cluster, TopicFacts
from stream.check.finding import Finding, error, info, warning
from stream.config import StreamConfig
from stream.errors import TopicError
from stream.kafka.settings import check_compaction, check_session_timeout
from stream.kafka.topics import check_partitions, missing_topics
from stream.messages.contract import MAX_VALUE_BYTES

__all__ = ["check_broker", "check_topics_of"]

_BATCH_BYTES = 1_000_000  # librdkafka's batch.size: what a busy worker sends at once
_HEADERS_BYTES = 4 * 1024  # that a rejected copy has more than its original
_TRANSACTION_MS = 30_000  # of the workers' transactions (stream/kafka/clients.py)
_FOR_EVER = -1


def check_topics_of(config: StreamConfig, cluster: Cluster) -> Iterator[Finding]:
    """Everything about topics."""
    names = config.topics
    for name in missing_topics(cluster.topics, config.group, names):
        yield error(
            "topic_missing",
            name,
            "there is no such topic",
            f"nextclick topics create --bootstrap-servers HOST --partitions N --group {config.group}"
            f"{names.as_options()}",
        )
    for name in (names.items, names.similar):
        if name not in cluster.topics:
            yield info("topic_optional", name, "there is no such topic; a worker does without it")
    yield from _partitions(config, cluster)
    for name, topic in cluster.topics.items():
        if not topic.refused:
            yield from _copies(name, topic, len(cluster.brokers))
    if not cluster.in_process:
        yield from _of_settings(config, cluster)


def check_broker(config: StreamConfig, cluster: Cluster) -> Iterator[Finding]:
    """The settings of a broker."""
    settings = cluster.settings
    if cluster.in_process:
        yield info("in_process", "cluster", "librdkafka's in-process cluster: it is not Kafka, and has no settings")
        return
    if not settings:
        yield info(
            "settings_unread",
            "broker",
            "its settings can't be read, and were not checked",
            "that takes the right DESCRIBE_CONFIGS on the cluster",
        )
    try:
        check_session_timeout(config.broker_session_timeout_s, settings)
    except ConfigError as problem:
        yield error("session_timeout", "broker", *_split(str(problem)))
    longest = _number(settings, "transaction.max.timeout.ms")
    if config.guarantee == "exactly-once" and longest is not None and longest < _TRANSACTION_MS:
        yield error(
            "transaction_timeout",
            "broker",
            f"transaction.max.timeout.ms={longest} is below the workers' {_TRANSACTION_MS}: no transaction can begin",
            "raise it, or say --kafka transaction.timeout.ms=N",
        )
    if settings.get("auto.create.topics.enable") == "true":
        yield info(
            "auto_create",
            "broker",
            "auto.create.topics.enable: a topic with a wrong name is made with a wrong shape, in silence",
            "set it to false",
        )


def _partitions(config: StreamConfig, cluster: Cluster) -> Iterator[Finding]:
    counts = {name: topic.partitions for name, topic in cluster.topics.items() if not topic.refused}
    if config.topics.clicks not in counts or config.changelog_topic not in counts:
        return
    try:
        check_partitions(counts, config.group, config.topics)
    except TopicError as problem:
        yield error("partitions_differ", config.changelog_topic, *_split(str(problem)))


def _copies(name: str, topic: TopicFacts, brokers: int) -> Iterator[Finding]:
    needed = _number(topic.settings, "min.insync.replicas") or 1
    if topic.leaderless:
        yield error(
            "no_leader",
            name,
            f"{topic.leaderless} partitions have no leader: nothing of them can be read or written",
            "start the brokers that hold them",
        )
    elif needed > topic.replication:
        yield error(
            "min_insync",
            name,
            f"min.insync.replicas={needed}, but it has {topic.replication} copies: every write is refused",
            f"kafka-configs --alter --topic {name} --add-config min.insync.replicas={max(1, topic.replication - 1)}",
        )
    elif topic.in_sync < needed:
        yield error(
            "not_in_sync",
            name,
            f"{topic.in_sync} of its copies are in sync, and {needed} must be: writes are refused",
            "start the brokers that hold the others",
        )
    elif needed == topic.replication and needed > 1:
        yield warning(
            "min_insync",
            name,
            f"all {needed} copies must be in sync: one broker that is down stops its writes",
            f"kafka-configs --alter --topic {name} --add-config min.insync.replicas={needed - 1}",
        )
    if topic.replication == 1 and brokers > 1:
        yield warning(
            "replication",
            name,
            f"it has one copy on a cluster of {brokers} brokers: with that broker's disk it is gone",
            "kafka-reassign-partitions gives it more; `nextclick topics create --replication 3` makes it so",
        )


def _of_settings(config: StreamConfig, cluster: Cluster) -> Iterator[Finding]:
    names = config.topics
    settings = {name: topic.settings for name, topic in cluster.topics.items() if not topic.refused}
    unread = [name for name, found in settings.items() if not found]
    if unread:
        yield info(
            "settings_unread",
            ", ".join(unread),
            "their settings can't be read, and were not checked",
            "that takes the right DESCRIBE_CONFIGS on topics",
        )
    for name in (config.changelog_topic, names.models, names.items, names.similar):
        if name in settings:
            yield from _compacted(config, name, settings[name])
    for name in (names.clicks, names.rejected):
        if "compact" in settings.get(name, {}).get("cleanup.policy", ""):
            yield error(
                "cleanup_policy",
                name,
                "it is compacted: only the newest message of a key stays, and one without a key is refused",
                f"kafka-configs --alter --topic {name} --add-config cleanup.policy=delete",
            )
    yield from _clicks(config, settings.get(names.clicks, {}))
    yield from _sizes(config, settings)
    for name, found in settings.items():
        if found.get("unclean.leader.election.enable") == "true":
            yield warning(
                "unclean_election",
                name,
                "a copy that is behind may become the leader: confirmed messages are lost then",
                f"kafka-configs --alter --topic {name} --add-config unclean.leader.election.enable=false",
            )


def _compacted(config: StreamConfig, name: str, settings: Mapping[str, str]) -> Iterator[Finding]:
    try:
        check_compaction(name, settings)
    except TopicError as problem:
        yield error("cleanup_policy", name, *_split(str(problem)))
        return
    kept = _number(settings, "retention.ms")
    if "delete" in settings.get("cleanup.policy", "") and kept is not None and kept != _FOR_EVER:
        yield (error if name != config.changelog_topic or kept < _life_ms(config) else warning)(
            "cleanup_policy",
            name,
            f"cleanup.policy={settings['cleanup.policy']}: what is older than {kept / 3_600_000:g} h is deleted, "
            "though it is still in force",
            f"kafka-configs --alter --topic {name} --add-config cleanup.policy=compact",
        )


def _clicks(config: StreamConfig, settings: Mapping[str, str]) -> Iterator[Finding]:
    name, kept = config.topics.clicks, _number(settings, "retention.ms")
    if kept is not None and kept != _FOR_EVER and kept < _life_ms(config):
        yield warning(
            "retention",
            name,
            f"clicks are removed after {kept / 60_000:g} min, and a session may last longer (time-out and grace "
            f"{_life_ms(config) / 60_000:g} min): workers that were away for so long lose clicks",
            f"kafka-configs --alter --topic {name} --add-config retention.ms={7 * 24 * 3_600_000}",
        )
    if settings.get("message.timestamp.type") == "LogAppendTime":
        yield warning(
            "timestamp_type",
            name,
            "message.timestamp.type=LogAppendTime: the time when a click was sent is overwritten, so that latencies "
            "begin at the broker, and clocks of shops that are wrong are not seen",
            f"kafka-configs --alter --topic {name} --add-config message.timestamp.type=CreateTime",
        )
    largest = _number(settings, "max.message.bytes")
    if largest is not None and largest < MAX_VALUE_BYTES + _HEADERS_BYTES:
        yield warning(
            "max_message_bytes",
            name,
            f"max.message.bytes={largest}: the broker refuses clicks of the {MAX_VALUE_BYTES} bytes that are allowed",
            f"kafka-configs --alter --topic {name} --add-config max.message.bytes=1048588",
        )


def _sizes(config: StreamConfig, settings: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    names = config.topics
    clicks = _number(settings.get(names.clicks, {}), "max.message.bytes")
    for name in (names.recommendations, names.rejected, config.changelog_topic):
        largest = _number(settings.get(name, {}), "max.message.bytes")
        if largest is None:
            continue
        if largest < _BATCH_BYTES:
            yield error(
                "max_message_bytes",
                name,
                f"max.message.bytes={largest}: a batch of a busy worker has up to {_BATCH_BYTES} bytes, and is refused",
                f"kafka-configs --alter --topic {name} --add-config max.message.bytes=1048588",
            )
        elif name == names.rejected and clicks is not None and clicks > largest:
            yield error(
                "max_message_bytes",
                name,
                f"max.message.bytes={largest} is below that of {names.clicks} ({clicks}): a large message that is "
                "rejected could not be copied there",
                f"kafka-configs --alter --topic {name} --add-config max.message.bytes={clicks + _HEADERS_BYTES}",
            )


def _life_ms(config: StreamConfig) -> int:
    return config.session.timeout_ms + config.session.grace_ms


def _number(settings: Mapping[str, str], name: str) -> int | None:
    text = settings.get(name, "")
    return int(text) if text.lstrip("-").isdecimal() else None


def _split(message: str) -> tuple[str, str]:
    """The words of an error of the worker's start: what is wrong, and what to do."""
    for between in (": say ", ": kafka-configs", ". Give it", ". Delete", ": make"):
        what, found, remedy = message.partition(between)
        if found:
            return what, (found.lstrip(":. ") + remedy).strip()
    return message, ""
