"""How a running system stands: the group, its lag, what is served, what is compared, and what the workers say.

Nothing is joined, and nothing committed. What can't be had (no registry, a worker that does not answer) is told in
`problems`; only a cluster that does not answer is an error.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from export.errors import NextclickError
from export.registry.registry import Registry
from stream.check.models import AnnouncedNow, read_announced
from stream.check.worker_health import WorkerHealth, ask_worker
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.clients import build_client, consumer_options, wait_for_broker
from stream.kafka.in_process import is_in_process
from stream.kafka.topics import build_admin
from stream.messages.record_time import sane_record_time_ms
from stream.topic_names import Topics

__all__ = ["Look", "Member", "PartitionStatus", "Running", "Status", "TopicSize", "VariantStatus"]

_ANSWER_S = 5.0


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One of the group's."""

    client: str
    host: str
    partitions: list[int]  # of the clicks


class PartitionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Of the clicks. Offsets; -1: nothing was committed yet."""

    partition: int
    begin: int
    end: int
    committed: int
    lag: int  # clicks that nobody has answered for sure


class TopicSize(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets from the oldest to the end: of a compacted topic more than its messages, as are those with markers."""

    topic: str
    partitions: int
    messages: int


class VariantStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is served for a variant: by the registry, and by the newest announcement, which workers follow."""

    variant: str
    live: str | None = None
    announced: str | None = None
    announced_ts: int = 0


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment that runs."""

    experiment: str
    exposure: float  # of all sessions, 0 to 1
    variants: dict[str, str]  # name -> version; `live`: what is live
    stopped: list[str] = []  # of them


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, at `at_ms`."""

    at_ms: int
    group: str
    state: str  # of the group, by Kafka's word; empty where it is not told
    members: list[Member]
    partitions: list[PartitionStatus]
    lag: int
    oldest_unanswered_s: float | None  # age of the oldest click that lags, by its record's time; None without one
    variants: list[VariantStatus]
    experiments: list[Running]
    topics: list[TopicSize]
    workers: list[WorkerHealth]
    problems: list[str]


@dataclass(slots=True, kw_only=True)
class Look:
    """Looks at one system; `take` may be called again and again."""

    bootstrap_servers: str
    group: str  # as options name it
    topics: Topics = field(default_factory=Topics)
    extra: Mapping[str, str] = field(default_factory=dict)
    registry: str | None = None
    workers: Sequence[str] = ()  # URLs
    _problems: list[str] = field(default_factory=list)

    def take(self) -> Status:
        """How it stands now; BrokerUnavailable, AccessRefused or TopicError where that can't be told."""
        self._problems = []
        wait_for_broker(self.bootstrap_servers, self.extra, timeout_s=_ANSWER_S)
        group = self.topics.prefix + self.group
        admin = build_admin(self.bootstrap_servers, self.extra)
        state, members = self._members(admin, group)
        options = consumer_options(self.bootstrap_servers, self.extra, group=group)
        consumer: Consumer = build_client(Consumer, options)
        try:
            partitions = self._partitions(consumer)
            oldest_s = self._oldest_s(consumer, partitions)
            sizes = self._sizes(consumer)
        except KafkaException as error:
            raise BrokerUnavailable(f"the topics can't be looked at: {error.args[0].str()}") from error
        finally:
            consumer.close()
        announced = self._announced()
        return Status(
            at_ms=time.time_ns() // 1_000_000,
            group=group,
            state=state,
            members=members,
            partitions=partitions,
            lag=sum(one.lag for one in partitions),
            oldest_unanswered_s=oldest_s,
            variants=self._variants(announced),
            experiments=[
                Running(
                    experiment=one.experiment,
                    exposure=one.exposure / 10_000,
                    variants={variant.name: variant.version or "live" for variant in one.variants},
                    stopped=[variant.name for variant in one.variants if variant.stopped],
                )
                for one in announced.running()
            ],
            topics=sizes,
            workers=[ask_worker(url) for url in self.workers],
            problems=self._problems,
        )

    def _members(self, admin: Any, group: str) -> tuple[str, list[Member]]:
        try:
            if is_in_process(admin.list_topics(timeout=_ANSWER_S).cluster_id):
                return "", []
            asked = admin.describe_consumer_groups([group], request_timeout=_ANSWER_S)
            found = asked[group].result(2 * _ANSWER_S)
        except (KafkaException, TimeoutError) as error:
            why = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
            self._problems.append(f"the group {group} can't be looked at: {why}")
            return "", []
        members = [
            Member(
                client=one.client_id,
                host=one.host.lstrip("/"),
                partitions=sorted(
                    part.partition
                    for part in (one.assignment.topic_partitions if one.assignment else [])
                    if part.topic == self.topics.clicks
                ),
            )
            for one in found.members
        ]
        if not members:
            self._problems.append(f"the group {group} has no members: no worker runs")
        return found.state.name.lower(), members

    def _partitions(self, consumer: Consumer) -> list[PartitionStatus]:
        topic = self.topics.clicks
        found = consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic]
        if found.error is not None or not found.partitions:
            raise TopicError(f"there is no topic {topic}: nextclick topics create, or check --topic-prefix")
        asked = [TopicPartition(topic, number) for number in sorted(found.partitions)]
        status: list[PartitionStatus] = []
        for one in consumer.committed(asked, timeout=2 * _ANSWER_S):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, one.partition), timeout=_ANSWER_S)
            committed = one.offset if one.offset >= 0 else -1
            lag = max(0, high - max(low, committed))
            status.append(PartitionStatus(partition=one.partition, begin=low, end=high, committed=committed, lag=lag))
        return status

    def _oldest_s(self, consumer: Consumer, partitions: Sequence[PartitionStatus]) -> float | None:
        """Of the first record behind what was committed, in each partition that lags."""
        late = [one for one in partitions if one.lag]
        if not late:
            return None
        topic, waiting = self.topics.clicks, {one.partition for one in late}
        consumer.assign([TopicPartition(topic, one.partition, max(one.begin, one.committed)) for one in late])
        times: list[int] = []
        deadline = time.monotonic() + _ANSWER_S
        while waiting and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            number = None if message is None or message.error() is not None else message.partition()
            if message is None or number not in waiting:
                continue
            waiting.discard(number)
            consumer.pause([TopicPartition(topic, number)])
            sent_ms = sane_record_time_ms(message.timestamp()[1])
            if sent_ms is not None:
                times.append(sent_ms)
        consumer.unassign()
        return max(0.0, time.time() - min(times) / 1000) if times else None

    def _sizes(self, consumer: Consumer) -> list[TopicSize]:
        names = [*self.topics.all(self.group), self.topics.items, self.topics.similar, self.topics.impressions]
        known = consumer.list_topics(timeout=_ANSWER_S).topics
        sizes: list[TopicSize] = []
        for name in names:
            if name not in known:
                continue
            ranges = [
                consumer.get_watermark_offsets(TopicPartition(name, number), timeout=_ANSWER_S)
                for number in known[name].partitions
            ]
            sizes.append(
                TopicSize(topic=name, partitions=len(ranges), messages=sum(high - low for low, high in ranges))
            )
        return sizes

    def _announced(self) -> AnnouncedNow:
        try:
            found = read_announced(self.bootstrap_servers, self.topics.models, self.extra, timeout_s=_ANSWER_S)
        except NextclickError as error:
            self._problems.append(f"what was announced can't be read: {error}")
            return AnnouncedNow()
        self._problems += [f"{self.topics.models}: {words}" for words in found.unreadable]
        return found

    def _variants(self, announced: AnnouncedNow) -> list[VariantStatus]:
        live: dict[str, str | None] = {}
        if self.registry is not None:
            try:
                registry = Registry(self.registry)
                live = {name: registry.live(name) for name in registry.variants()}
            except NextclickError as error:
                self._problems.append(f"the registry can't be read: {error}")
        found: list[VariantStatus] = []
        for name in sorted({*live, *announced.models}):
            told = announced.models.get(name)
            found.append(
                VariantStatus(
                    variant=name,
                    live=live.get(name),
                    announced=told.version if told else None,
                    announced_ts=told.announced_ts if told else 0,
                )
            )
            if told and name in live and told.version != live[name]:
                self._problems.append(
                    f"variant {name}: version {told.version} was announced, and {live[name]} is live in the registry"
                )
        return found
