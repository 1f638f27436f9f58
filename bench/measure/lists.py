"""Lists as a subscriber has them, and which clicks they answer.

A list answers every click of its session up to its source offset: clicks that shared a micro-batch share a list.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import msgspec
import numpy as np
from confluent_kafka import Consumer, TopicPartition
from numpy.typing import NDArray

from bench.measure.load import Sent

_READ = 1_000  # messages taken at once


class Source(msgspec.Struct, frozen=True):
    partition: int
    offset: int


class Answer(msgspec.Struct, frozen=True):
    """What a list says of itself."""

    session_id: str
    source: Source
    model: str
    published_ts: int  # ms, Unix time; a record's own timestamp may be that of the click


class Received(msgspec.Struct, frozen=True, array_like=True):
    """A list, and when it came: time.monotonic() of the subscriber, which all processes of a machine share."""

    answer: Answer
    at: float  # seconds
    appended: float = 0.0  # the same of when the broker had it, where its topic keeps that


decode_answer = msgspec.json.Decoder(Answer).decode


def answered(sent: Sent, lists: Iterable[Answer]) -> int:
    """How many of the clicks have a list."""
    newest: dict[tuple[str, int], int] = {}
    for answer in lists:
        session = answer.session_id, answer.source.partition
        newest[session] = max(newest.get(session, -1), answer.source.offset)
    return sum(offset <= newest.get((session, partition), -1) for session, partition, offset, _ in sent)


def latencies(sent: Sent, received: Sequence[Received]) -> NDArray[np.float64]:
    """float64 (N,) s from the moment each click was due to its first list; NaN where none came."""
    answers = first_lists(sent, received)
    return np.array([np.nan if one is None else one.at - due for one, (*_, due) in zip(answers, sent, strict=True)])


def first_lists(sent: Sent, received: Sequence[Received]) -> list[Received | None]:
    """The list that answered each click; None where none came."""
    of_session: dict[tuple[str, int], list[Received]] = defaultdict(list)
    for list_ in received:
        of_session[list_.answer.session_id, list_.answer.source.partition].append(list_)
    reached = {s: list(accumulate((one.answer.source.offset for one in of), max)) for s, of in of_session.items()}
    out: list[Received | None] = []
    for session, partition, offset, _ in sent:
        offsets = reached.get((session, partition), [])
        first = bisect_left(offsets, offset)
        out.append(of_session[session, partition][first] if first < len(offsets) else None)
    return out


def percentiles_ms(took: NDArray[np.float64]) -> tuple[float, float, float]:
    """p50, p95 and p99 in ms of latencies in s."""
    p50, p95, p99 = np.percentile(took * 1_000, (50, 95, 99))
    return float(p50), float(p95), float(p99)


def read_lists(
    bootstrap: str, start: dict[int, int], end: dict[int, int], topic: str = "recommendations"
) -> Iterator[Answer]:
    """The lists between two sets of offsets, those of aborted transactions left out."""
    left = {number for number, offset in end.items() if offset > start.get(number, 0)}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, number, start.get(number, 0)) for number in left])
    while left:
        for message in consumer.consume(_READ, 0.2):
            number, value = message.partition() or 0, message.value()
            if message.error() is None and value is not None and (message.offset() or 0) < end[number]:
                yield decode_answer(value)
            if message.error() is not None or (message.offset() or 0) + 1 >= end[number]:
                left.discard(number)
    consumer.close()
