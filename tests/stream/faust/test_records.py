"""To Kafka the name of a header is bytes: whatever they are, the records of a partition are read."""

from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from stream.faust.records import read_any_header_name

TP = TopicPartition("clicks", 0)
NAME = b"name-of-a-header"
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"  # version and type


@pytest.fixture(autouse=True)
def _seam(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MemoryRecords", "PartitionRecords"):
        monkeypatch.setattr(fetcher, name, getattr(fetcher, name))
    read_any_header_name()


def batch(base: int, *, bad: int | None = None, count: int = 3, producer: int = -1) -> bytes:
    """A batch of `count` records from offset `base`, of which the `bad`-th has a header of bytes that are no UTF-8."""
    builder = DefaultRecordBatchBuilder(2, 0, int(producer >= 0), producer, 0, 0, 10_000)
    for number in range(count):
        headers = [(NAME.decode(), b"1"), ("null", None)] if number == bad else []
        builder.append(number, 1_000, b"k", b"%d" % (base + number), headers)
    content = bytearray(builder.build())
    content[:8] = base.to_bytes(8, "big")
    return bytes(content).replace(NAME, b"\xff" + NAME[1:])


def marker(base: int, producer: int, kind: bytes) -> bytes:
    """A control batch that ends a transaction."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, producer, 0, 0, 10_000)
    builder.append(0, 1_000, kind, b"\0" * 6, [])
    content = bytearray(builder.build())
    content[:8] = base.to_bytes(8, "big")
    content[22] |= 0x20
    return bytes(content)


def read(content: bytes, *, start: int = 0, aborted: Any = None) -> list[Any]:
    # No CRC is checked: the bytes were changed after it was counted
    return list(
        fetcher.PartitionRecords(TP, fetcher.MemoryRecords(content), aborted, start, None, None, False, READ_COMMITTED)
    )


def test_record_with_such_a_name_is_read_and_so_are_those_around_it() -> None:
    found = read(batch(0) + batch(3, bad=1) + batch(6))
    assert [record.offset for record in found] == list(range(9))
    assert found[4].headers == (("�" + NAME[1:].decode(), b"1"), ("null", None))
    assert [record.value for record in found] == [b"%d" % number for number in range(9)]


def test_several_of_them_in_one_fetch_are_read() -> None:
    found = read(batch(0, bad=0) + batch(3, bad=2) + batch(6, bad=1))
    assert [record.offset for record in found] == list(range(9))


def test_reading_starts_in_the_middle_of_such_a_batch() -> None:
    assert [record.offset for record in read(batch(0, bad=0) + batch(3), start=2)] == [2, 3, 4, 5]


def test_what_an_aborted_transaction_wrote_is_left_out_before_and_behind_it() -> None:
    content = (
        batch(0, producer=7) + marker(3, 7, ABORT) + batch(4, bad=1) + batch(7, producer=7) + marker(10, 7, COMMIT)
    )
    assert [record.offset for record in read(content, aborted=[(7, 0), (7, 7)])] == [4, 5, 6]
    assert [record.offset for record in read(content, aborted=[(7, 0)])] == [4, 5, 6, 7, 8, 9]


def test_names_in_utf_8_are_left_to_the_fast_code() -> None:
    records = fetcher.PartitionRecords(TP, fetcher.MemoryRecords(batch(0)), None, 0, None, None, True, READ_COMMITTED)
    assert len(list(records)) == 3
    assert type(records._records).__name__ == "_KeptRecords"
