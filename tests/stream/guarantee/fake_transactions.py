"""A librdkafka whose transactions fail as a test wants it, and a publisher on it."""

import asyncio
import threading
from typing import Any, ClassVar

from confluent_kafka import KafkaError, KafkaException

from stream.errors import PublishFailed
from stream.guarantee.publisher import Outgoing, Receipt
from stream.guarantee.transactions import TransactionalPublisher
from stream.partition.positions import OWNER_KEY
from tests.stream.records import CLICKS


def refusal(*, retriable: bool = False, fatal: bool = False, abortable: bool = False) -> KafkaException:
    return KafkaException(
        KafkaError(KafkaError._FAIL, "refused", fatal=fatal, retriable=retriable, txn_requires_abort=abortable)
    )


class FakeMessage:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset


class FakeProducer:
    """librdkafka's producer: what it is told to fail at, it fails at once, in this order."""

    made: ClassVar[list["FakeProducer"]] = []

    def __init__(self, settings: dict[str, Any]) -> None:
        self.id = settings["transactional.id"]
        self.calls: list[str] = []
        self.committed: list[list[bytes | None]] = []
        self.failures: dict[str, list[Exception]] = {}
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.too_large: set[bytes] = set()
        self._open: list[bytes | None] = []
        self._opening = False
        self._reports: list[tuple[Any, bytes | None]] = []
        self.made.append(self)

    def init_transactions(self, timeout: float) -> None:
        self._call("init")

    def begin_transaction(self) -> None:
        self._call("begin")
        self._open, self._reports = [], []

    def produce(
        self, topic: str, value: bytes, key: bytes, partition: int, on_delivery: Any = None, headers: Any = None
    ) -> None:
        self._fail("produce")
        if value is not None and len(value) > 50_000:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self._open.append(value)
        self._opening = key == OWNER_KEY and (topic, partition) == ("log", int(self.id[-1]))
        if on_delivery is not None:
            self._reports.append((on_delivery, value))

    def commit_transaction(self, timeout: float) -> None:
        assert self.may_commit.wait(10)
        refused = [(report, value) for report, value in self._reports if value in self.too_large]
        for report, _ in refused:
            report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
        if refused:
            raise refusal(abortable=True)
        self._call("commit")
        if self._opening:
            self.calls[-2:] = ["opening"]
            return
        for report, _ in self._reports:
            report(None, FakeMessage(10 * len(self.committed) + len(self._open)))
        self.committed.append(self._open)

    def abort_transaction(self, timeout: float) -> None:
        self._call("abort")

    def poll(self, timeout: float) -> None:
        self.calls.append("poll")

    def _raise(self, error: Exception) -> None:
        raise error

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self._fail(name)

    def _fail(self, name: str) -> None:
        if self.failures.get(name):
            raise self.failures[name].pop(0)


class Counts(dict[str, int]):
    """Outcomes of transactions."""

    def transaction(self, outcome: str) -> None:
        self[outcome] = self.get(outcome, 0) + 1


class Bench:
    """A publisher on fake producers."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.publisher = TransactionalPublisher({"bootstrap.servers": "127.0.0.1:1"}, "shop", "log", self.counts)

    def producer(self, number: int = -1) -> FakeProducer:
        return FakeProducer.made[number]

    async def publish(
        self, *values: bytes, partition: tuple[str, int] = CLICKS, **more: Any
    ) -> asyncio.Future[Receipt]:
        return await self.publisher.publish(partition, [Outgoing("t", b"k", value, **more) for value in values])

    async def outcome(self, receipt: asyncio.Future[Receipt]) -> Receipt | type[BaseException]:
        try:
            return await asyncio.wait_for(receipt, 10)
        except PublishFailed as error:
            return type(error)


def scenario(run: Any) -> None:
    async def guarded() -> None:
        bench = Bench()
        await bench.publisher.take_over([CLICKS])
        await asyncio.wait_for(run(bench), 30)
        assert bench.publisher.close(5) == 0

    asyncio.run(guarded())
