"""A session whose clicks come from two partitions: neither wipes the other's history, and it is said."""

import pytest

from stream.config import StreamConfig
from stream.ops.metrics import Metrics
from stream.ops.reporting import Reporter
from stream.partition.partitions import Partitions
from stream.partition.session import decode_state
from stream.partition.split import SplitSessions
from stream.path.batcher import Batch
from stream.path.commit import CommitPath, Prepared
from stream.path.inference import Ranked
from stream.path.lists import ShopLists
from stream.topic_names import Topics
from tests.stream.records import NoPosition, click


class Shop:
    """Some partitions of one worker."""

    def __init__(self) -> None:
        config = StreamConfig(bootstrap_servers="nowhere:1", registry="nowhere")
        self.partitions = Partitions("clicks")
        self.split = SplitSessions(self.partitions)
        self.path = CommitPath(config, NoPosition(), ShopLists(config.policy.read(config.k)), split=self.split)

    def click(self, number: int, offset: int, *sessions: str) -> Prepared:
        records = [click(offset + n, session, f"{number}:{offset + n}") for n, session in enumerate(sessions)]
        return self.path.prepare(Batch(self.partitions.clicks(number), list(records), 0))

    def items(self, number: int, session: str) -> tuple[str, ...]:
        return decode_state(self.partitions.clicks(number).rows[session.encode()]).items


def test_session_in_two_partitions_keeps_the_history_of_each(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop()
    counted = [shop.click(offset % 2, offset, "torn").split for offset in range(6)]
    assert shop.items(0, "torn") == ("0:0", "0:2", "0:4")
    assert shop.items(1, "torn") == ("1:1", "1:3", "1:5")
    assert counted == [0, 1, 0, 0, 0, 0], "once, as it appears in the second one"
    said = [record for record in caplog.records if "partitioner=murmur2_random" in record.getMessage()]
    assert len(said) == 1
    assert "torn" not in said[0].getMessage(), "the shopper's id is nobody's business"
    assert shop.split.warning == said[0].getMessage()


def test_sessions_that_stay_where_they_are_blame_nobody_whatever_the_partitioner() -> None:
    shop = Shop()
    for offset in range(0, 30, 3):
        for number in range(3):
            shop.click(number, offset, f"a{number}", f"b{number}", f"a{number}")
    assert shop.split.warning is None


def test_every_session_of_a_batch_that_is_known_elsewhere_counts() -> None:
    shop = Shop()
    shop.click(0, 0, "a", "b", "c")
    assert shop.click(1, 0, "b", "new", "c", "b").split == 2
    assert shop.split.warning is not None


def test_sessions_of_a_partition_that_was_lost_are_not_held_against_others() -> None:
    shop = Shop()
    shop.click(0, 0, "a")
    shop.partitions.assign([1])
    assert shop.click(1, 0, "a").split == 0


def test_reporter_counts_split_sessions_once_they_are_confirmed() -> None:
    metrics = Metrics()
    reporter = Reporter(metrics, Topics(), None)
    shop = Shop()
    shop.click(0, 0, "a")
    prepared = shop.click(1, 0, "a")
    answers = shop.path.rank([prepared], None)[0]
    reporter.confirmed(prepared, Ranked(answers, "", 0.0), [], 0.0)
    assert b"nextclick_split_sessions_total 1.0" in metrics.render()
