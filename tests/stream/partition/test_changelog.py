"""Parts of a topic read without a group, from the in-process cluster."""

import pytest
from confluent_kafka import KafkaException, Producer

from bench.rig.brokers.process import free_port
from stream.partition.changelog import ChangelogReader


@pytest.fixture
def filled(cluster: str, topic: str) -> str:
    """A topic with ten rows in partition 1."""
    producer = Producer({"bootstrap.servers": cluster})
    for number in range(10):
        producer.produce(topic, f"row {number}".encode(), f"key {number}".encode(), 1)
    assert producer.flush(10) == 0
    return topic


def test_reader_knows_the_end_of_each_partition(cluster: str, filled: str) -> None:
    assert ChangelogReader(cluster, filled).ends([0, 1]) == {0: 0, 1: 10}


@pytest.mark.parametrize(("begin", "end"), [(0, 10), (3, 7), (9, 10), (4, 5)])
def test_reader_reads_a_part_and_no_more(cluster: str, filled: str, begin: int, end: int) -> None:
    rows = ChangelogReader(cluster, filled).read(1, begin, end)
    assert [row.key for row in rows] == [f"key {number}".encode() for number in range(begin, end)]
    assert [row.value for row in rows] == [f"row {number}".encode() for number in range(begin, end)]


def test_reader_part_reaches_beyond_the_end_ends_there(cluster: str, filled: str) -> None:
    reader = ChangelogReader(cluster, filled)
    assert len(reader.read(1, 8, 20)) == 2
    assert len(reader.read(1, 0, 3)) == 3, "a reader may be used again"


@pytest.mark.slow
def test_reader_broker_away_says_so_soon() -> None:
    with pytest.raises(KafkaException):
        ChangelogReader(f"127.0.0.1:{free_port()}", "t").ends([0])
