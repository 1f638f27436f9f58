"""What the newest clicks say: who is rejected and why, which partitioners are at work, whose clocks are wrong."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream.check.finding import Finding, error, info, warning
from stream.check.partitioner import crc32_partition, murmur2_partition
from stream.errors import BadClick, BrokerUnavailable
from stream.kafka.clients import build_client, consumer_options
from stream.messages.contract import decode_event
from stream.messages.record_time import sane_record_time_ms
from stream.partition.split import REMEDY

__all__ = ["SampledClick", "check_clicks", "sample_clicks"]

_POLL_S = 0.5
_AHEAD_MS = 60_000  # of a clock, before it is said
_MOST = 0.5  # of all clicks rejected: more of them is an error
_RARE = 0.02  # of keys that a partitioner explains by accident are no mix
_OLD_MS = 24 * 3_600_000
_REMEDIES = {
    "key_missing": "the producer must give each message its session id as key",
    "key_mismatch": "the key of a message must be its session_id",
    "ts_seconds": "ts is in milliseconds since the epoch: multiply by 1000",
    "ts_future": "set the clock of the shop's server (NTP); ts is in milliseconds",
    "undecodable": "give --schema-registry URL; see whether it has the schemas of all producers: docs/formats.md",
    "not_json": "values are JSON objects: docs/contract.md",
}


class SampledClick(NamedTuple):
    """A record of the topic as it is."""

    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int  # the record's own


def sample_clicks(
    bootstrap_servers: str, topic: str, extra: Mapping[str, str], *, records: int, timeout_s: float
) -> list[SampledClick]:
    """The newest records, `records` of each partition at most, those that come within `timeout_s`. Joins no group."""
    consumer: Consumer = build_client(
        Consumer, consumer_options(bootstrap_servers, extra) | {"enable.partition.eof": True}
    )
    try:
        parts = consumer.list_topics(topic, timeout=timeout_s).topics[topic].partitions
        starts: list[TopicPartition] = []
        for number in parts:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=timeout_s)
            if high > low:
                starts.append(TopicPartition(topic, number, max(low, high - records)))
        consumer.assign(starts)
        return _read(consumer, {one.partition for one in starts}, records, timeout_s)
    except KafkaException as problem:
        raise BrokerUnavailable(f"{topic} can't be read: {problem.args[0].str()}") from problem
    finally:
        consumer.close()


def _read(consumer: Consumer, unread: set[int], records: int, timeout_s: float) -> list[SampledClick]:
    found: list[SampledClick] = []
    polls = max(1, round(timeout_s / _POLL_S))
    while unread and polls:
        batch = consumer.consume(records, _POLL_S)
        polls -= not batch
        for message in batch:
            failed = message.error()
            if failed is not None:
                unread.discard(message.partition() or 0)
                continue
            found.append(SampledClick(message.partition() or 0, message.key(), message.value(), message.timestamp()[1]))
    return found


def check_clicks(topic: str, sample: Sequence[SampledClick], partitions: int, now_ms: int) -> Iterator[Finding]:
    """Judge them. `now_ms`: the clock of this machine."""
    if not sample:
        yield info("clicks_empty", topic, "it holds no clicks, so that nothing is said of partitioner and clocks")
        return
    yield from _rejected(topic, sample)
    yield from _placed(topic, sample, partitions)
    yield from _times(topic, sample, now_ms)


def _rejected(topic: str, sample: Sequence[SampledClick]) -> Iterator[Finding]:
    reasons: Counter[str] = Counter()
    for one in sample:
        try:
            decode_event(one.value, one.key, one.timestamp)
        except BadClick as bad:
            reasons[bad.reason] += 1
    for reason, count in reasons.most_common():
        share = count / len(sample)
        yield (error if share > _MOST else warning)(
            f"rejected_{reason}",
            topic,
            f"{100 * share:.3g} % of the newest {len(sample)} messages would be rejected as {reason}",
            _REMEDIES.get(reason, f"docs/contract.md says what {reason} means"),
        )


def _placed(topic: str, sample: Sequence[SampledClick], partitions: int) -> Iterator[Finding]:
    where: dict[bytes, set[int]] = defaultdict(set)
    for one in sample:
        if one.key:
            where[one.key].add(one.partition)
    if partitions < 2 or not where:
        return
    split = sum(len(places) > 1 for places in where.values())
    if split:
        yield error(
            "session_split",
            topic,
            f"{split} of {len(where)} sessions are in two partitions or more, and are folded apart",
            REMEDY,
        )
    placed = [(key, place) for key, places in where.items() for place in places]
    rules = {"murmur2": murmur2_partition, "crc32": crc32_partition}
    fits = {
        name: sum(rule(key, partitions) == place for key, place in placed) / len(placed) for name, rule in rules.items()
    }
    if fits["murmur2"] >= 1 - _RARE:
        return
    if before := _partitions_before(placed, partitions):
        yield info(
            "partitions_added",
            topic,
            f"clicks lie where murmur2 has them among {before} partitions, and it has {partitions}: it was given more",
            "none: sessions of that time start anew, and what is sent from now on lies together",
        )
        return
    if fits["crc32"] >= 1 - _RARE:
        words = "all keys lie where librdkafka's default partitioner (CRC32) has them"
    else:
        words = f"{100 * fits['murmur2']:.0f} % of the keys lie where murmur2 has them, and {100 * fits['crc32']:.0f} %"
        words += " where librdkafka's default (CRC32) has them"
    yield warning(
        "partitioner",
        topic,
        f"{words}: a producer with another rule would put sessions into two partitions",
        "set partitioner=murmur2_random in producers that use librdkafka, or keep one rule in all of them",
    )


def _partitions_before(placed: Sequence[tuple[bytes, int]], partitions: int) -> int | None:
    """Return with how many partitions, before those there are, murmur2 explains the places; None: with no number."""
    for before in range(partitions - 1, 0, -1):
        explained = sum(place in {murmur2_partition(key, n) for n in (before, partitions)} for key, place in placed)
        if explained >= (1 - _RARE) * len(placed):
            return before
    return None


def _times(topic: str, sample: Sequence[SampledClick], now_ms: int) -> Iterator[Finding]:
    times = [sane_record_time_ms(one.timestamp) for one in sample]
    sane = [one for one in times if one is not None]
    if len(sane) < len(times):
        yield warning(
            "record_time",
            topic,
            f"{len(times) - len(sane)} of {len(times)} records have a timestamp that is no time in milliseconds "
            "(seconds, 0 or none): what happened when is not measured",
            "leave the timestamp to the client, or give milliseconds since the epoch",
        )
    ahead = [one - now_ms for one in sane if one - now_ms > _AHEAD_MS]
    if ahead:
        yield warning(
            "clock_skew",
            topic,
            f"{len(ahead)} of {len(times)} records are from the future, up to {max(ahead) / 1000:.0f} s by this "
            "machine's clock",
            "set the clocks of shops, brokers and this machine by NTP",
        )
    if sane and now_ms - max(sane) > _OLD_MS:
        hours = (now_ms - max(sane)) / 3_600_000
        yield info("clicks_old", topic, f"its newest click was sent {hours:.0f} h ago", "does the shop send?")
