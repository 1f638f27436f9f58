"""Exactly once: every batch in a transaction, by one transactional producer a partition of the clicks.

    take_over   a producer with the partition's transactional id. The broker ends what an older producer of that id has
                begun, and refuses whatever it sends from then on. Then a first transaction, of a row that says when
                this was: should a broker have died between a transaction's commit and the markers that show it, and
                have dropped the markers (seen with Kafka 4.3 where a partition was without a leader for a moment;
                nobody can read it to its end then), the marker of the same producer's next transaction stands for them
    publish     begin, the batch's messages, commit. Batches that come while a transaction commits share the next one
    a failure   the transaction is aborted, or, where even that cannot be had, undecided (Fenced): its producer's place
                is gone, or the broker gives no answer. So is every batch handed over before `withdraw`, as they build
                on it. The producer is used no more: the partition is taken over anew, and what was committed is read
                from the changelog. Nothing that was confirmed before is trusted either, for the same broker's sake.
                So it is with a producer that waits while the broker answers others: librdkafka's may lose their way
                in an outage under load, and send nothing for minutes (seen in one round of faults of hundreds)

librdkafka's calls block, so each partition has a thread: its transactions keep their order, and those of other
partitions do not wait for them.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka.admin import AdminClient

from stream.errors import Fenced
from stream.guarantee.publisher import Outgoing, Receipt, broker_answers
from stream.guarantee.transaction_line import TransactionLine, TransactionObserver
from stream.kafka.clients import formatted
from stream.ops.futures import fail
from stream.partition.reading import Partition

__all__ = ["TransactionalPublisher", "transactional_id"]

_SOON_S = 1.0


def transactional_id(group: str, partition: Partition) -> str:
    """The name under which one producer of a group at a time writes for a partition; begins with the group's name, for
    prefixed access rules. No topic's name has a slash."""
    return f"{group}/{partition[0]}/{partition[1]}"


class TransactionalPublisher:
    """`settings` are librdkafka's, as `stream.kafka.clients.transactional_options` gives them."""

    def __init__(self, settings: Mapping[str, Any], group: str, changelog: str, observer: TransactionObserver) -> None:
        """`changelog` is the topic that the first row after each taking over goes to."""
        self._settings, self._group, self._changelog, self._observer = dict(settings), group, changelog, observer
        self._lines: dict[Partition, TransactionLine] = {}
        self._admin = formatted(
            AdminClient, {**settings, "enable.idempotence": False}
        )  # else it asks for an identity, too

    async def publish(self, partition: Partition, messages: Sequence[Outgoing]) -> "asyncio.Future[Receipt]":
        """The future raises PublishFailed where nothing of the batch was committed, Fenced where that is not known."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        line = self._lines.get(partition)
        if line is None:
            fail(future, Fenced(f"{partition[0]}-{partition[1]} was not taken over"))
        else:
            line.put(messages, future)
        return future

    async def take_over(self, partitions: Collection[Partition]) -> Collection[Partition]:
        """Returns when every other producer of these partitions is fenced off, and its transactions are decided.

        A producer of our own that still has its place keeps it: no one else has written since. The partitions of new
        ones are returned. Producers of other partitions are closed. Raises PublishFailed where the broker refuses for
        good.
        """
        for lost in self._lines.keys() - set(partitions):
            self._lines.pop(lost).close()
        for missing in set(partitions) - self._lines.keys():
            settings = {**self._settings, "transactional.id": transactional_id(self._group, missing)}
            self._lines[missing] = TransactionLine(
                settings, self._changelog, missing[1], self._observer, self._answers_soon
            )
        lines = {name: self._lines[name] for name in partitions}  # another call may let some go meanwhile
        await asyncio.gather(*(line.take_over() for line in lines.values()))
        gained = [partition for partition, line in lines.items() if line.is_new]
        for partition in gained:
            lines[partition].is_new = False
        return gained

    def withdraw(self, partition: Partition | None = None) -> None:
        """Batches that no transaction has begun are refused."""
        for name, line in self._lines.items():
            if partition in (None, name):
                line.serial += 1

    def broker_answers(self) -> bool:
        return broker_answers(self._admin)

    def _answers_soon(self) -> bool:
        """The same, for threads that somebody may wait for."""
        return broker_answers(self._admin, _SOON_S)

    def close(self, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        lines = list(self._lines.values())
        self._lines.clear()  # what comes yet is refused
        for line in lines:
            line.close()
        return sum(not line.join(deadline - time.monotonic()) for line in lines)
