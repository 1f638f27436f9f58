"""Idle sessions are forgotten, and nobody's list changes by it."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config import StreamConfig
from stream.messages.contract import Click, decode_recommendation
from stream.partition.expiry import Expiry
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.recovery import restore_rows
from stream.partition.session import SessionConfig, encode_state, fold_click
from stream.path.commit import CommitPath
from stream.path.lists import ShopLists
from tests.stream.records import CLICKS, TS, EchoRanker, FakeRecord, NoPosition, batch, click

SESSION = SessionConfig(timeout_ms=60_000, grace_ms=20_000)
SILENCE_S = 80.0
BUCKET_S = SILENCE_S / 4
START_S = TS / 1000
ROW = encode_state(fold_click(None, Click("s", "1", TS), 0))


class AllCommitted(OwnedPartition):
    """A partition of which everything read so far is committed, unless told otherwise."""

    def __init__(self, below: int | None = 1_000_000_000, number: int = 0) -> None:
        super().__init__(("clicks", number))
        self.below = below

    @property
    def committed_offset(self) -> int | None:
        return self.below


@dataclass
class Shop:
    """One partition on a wall clock of the test's own; every click is a batch. Lists are the sessions' own items."""

    forgets: bool = True
    partition: AllCommitted = field(default_factory=AllCommitted)
    now_s: float = START_S
    offset: int = 0
    changelog: list[FakeRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new worker, on the rows that there are."""
        rows = dict(self.partition.rows)
        self.partition = AllCommitted(self.partition.below)
        self.partition.rows.update(rows)
        config = StreamConfig(bootstrap_servers="nowhere:1", registry="nowhere", session=SESSION)
        self.expiry = Expiry(SESSION, lambda: self.now_s)
        self.path = CommitPath(
            config, NoPosition(), ShopLists(config.policy.read(config.k)), self.expiry if self.forgets else None
        )

    def click(self, session: str, ts: int, item: str = "1", written_ms: int | None = None) -> list[str]:
        """The list after a click that is written to Kafka at `written_ms` [now]."""
        sent = click(self.offset, session, item, ts)
        written = int(self.now_s * 1000) if written_ms is None else written_ms
        prepared = self.path.prepare(batch(FakeRecord(self.offset, sent.key, sent.value, written), of=self.partition))
        self.offset += 1
        lists = []
        for message in self.path.messages(prepared, self.path.rank([prepared], EchoRanker())[0], "7"):
            if message.topic == "recommendations":
                lists.append(decode_recommendation(message.value or b""))
            elif message.topic != "clicks.rejected":
                headers = tuple(message.headers or ())
                at = int(self.now_s * 1000)
                self.changelog.append(FakeRecord(len(self.changelog), message.key, message.value, at, headers))
        return [item.item_id for item in lists[0].items]

    def live(self, until_s: float, every_s: float = 5.0) -> None:
        """Other shoppers click while time passes, on the wall as in their events."""
        end = self.now_s + until_s
        while self.now_s < end:
            self.now_s += every_s
            self.click("others", int(self.now_s * 1000))

    def sessions(self) -> set[str]:
        return {key.decode() for key in self.partition.rows}


def test_session_silent_for_time_out_and_grace_is_forgotten_with_a_tombstone() -> None:
    shop = Shop()
    shop.click("idle", TS)
    shop.live(SILENCE_S)
    assert shop.sessions() == {"idle", "others"}
    shop.live(BUCKET_S + 10)
    assert shop.sessions() == {"others"}
    assert shop.expiry.expired == 1
    tombstone = next(row for row in shop.changelog if row.value is None)
    assert (tombstone.key, tombstone.headers) == (b"idle", (("source_offset", b"0"),))


def test_session_that_is_clicked_in_stays() -> None:
    shop = Shop()
    for _ in range(10):
        shop.click("busy", int(shop.now_s * 1000))
        shop.live(50)
    assert "busy" in shop.sessions()


def test_session_fed_by_a_replay_of_an_old_log_stays_however_slow_the_replay() -> None:
    shop = Shop()
    for step in range(20):
        shop.click("replayed", TS - 10**10 + step * 1000)  # a second of the log takes ten minutes
        for _ in range(10):
            shop.now_s += 60
            shop.click("others", TS - 10**10 + step * 1000)
    assert shop.click("replayed", TS - 10**10 + 20_000, "2") == ["2", *["1"] * 19]


def test_session_of_a_fast_replay_is_forgotten_when_it_has_been_silent_by_the_wall_too() -> None:
    shop = Shop()
    shop.click("replayed", TS - 10**10)
    for step in range(100):
        shop.click("others", TS - 10**10 + step * 60_000)
    assert "replayed" in shop.sessions()
    for step in range(100, 130):
        shop.now_s += 5
        shop.click("others", TS - 10**10 + step * 60_000)
    assert "replayed" not in shop.sessions()


def test_session_is_silent_by_the_wall_only_after_its_newest_click() -> None:
    shop = Shop()
    shop.click("replayed", TS - 10**10)
    shop.now_s += SILENCE_S - 10
    shop.click("replayed", TS - 10**10 + 1)
    shop.now_s += BUCKET_S + 15
    shop.click("others", TS - 10**9)
    assert "replayed" in shop.sessions()


def test_sessions_in_a_backlog_outlive_a_click_with_a_ts_of_the_future() -> None:
    shop = Shop()
    shop.click("waiting", TS)
    shop.now_s += 3600  # the worker was down; what waited is as old as it is
    shop.click("hostile", TS + 20 * 3600 * 1000, written_ms=TS + 1000)
    shop.click("others", TS + 2000, written_ms=TS + 2000)
    assert shop.click("waiting", TS + 3000, "2", written_ms=TS + 3000) == ["2", "1"]


def test_session_with_clicks_above_the_committed_offset_stays() -> None:
    shop = Shop(partition=AllCommitted(0))
    shop.click("idle", TS)
    shop.live(3 * SILENCE_S)
    assert "idle" in shop.sessions(), "its click would be read again, without the ones before it"
    shop.partition.below = shop.offset
    shop.live(2 * SILENCE_S)
    assert "idle" not in shop.sessions()


def test_nothing_is_forgotten_while_no_commit_is_known() -> None:
    shop = Shop(partition=AllCommitted(None))
    shop.click("idle", TS)
    shop.live(5 * SILENCE_S)
    assert "idle" in shop.sessions()


def test_recovered_sessions_are_silent_since_their_rows_were_written() -> None:
    before = Shop()
    before.click("idle", TS)
    before.live(60)
    after = Shop(now_s=before.now_s, offset=before.offset)
    restore_rows(after.partition.rows, before.changelog, set())
    half = len(before.changelog) // 2
    after.expiry.restored(after.partition, before.changelog[:half])
    after.expiry.restored(after.partition, before.changelog[half:])
    after.live(10)
    assert after.sessions() == {"idle", "others"}
    after.live(SILENCE_S)
    assert after.sessions() == {"others"}


def test_a_turn_looks_at_a_bounded_number_of_rows_and_keeps_up_with_new_sessions() -> None:
    shop = Shop()
    keys = [f"s{number}".encode() for number in range(2000)]
    for key in keys:
        shop.partition.rows[key] = ROW
    shop.expiry.touch(shop.partition, keys, START_S)
    shop.now_s += SILENCE_S + BUCKET_S
    gone = []
    for _ in range(10):
        before = len(shop.partition.rows)
        shop.click("others", int(shop.now_s * 1000))
        gone.append(before - len(shop.partition.rows))
    assert max(gone) <= 258
    assert shop.sessions() == {"others"}


def test_lose_forgets_who_was_idle_in_the_partitions_that_are_no_longer_ours() -> None:
    now = START_S
    expiry = Expiry(SESSION, lambda: now)
    lost, kept = AllCommitted(), AllCommitted(number=1)
    for partition, key in ((lost, b"a"), (kept, b"b")):
        partition.rows[key] = ROW
        expiry.touch(partition, [key], now)
    lost.lose()
    lost.rows[b"a"] = ROW
    now += 10 * SILENCE_S
    late = FakeRecord(9, timestamp=int(now * 1000))
    assert expiry.turn(lost, [], 0, late.timestamp) == []
    assert expiry.turn(kept, [], 0, late.timestamp) == [], "without clicks event time stands still"


def test_partition_knows_the_committed_offset_from_the_seek_and_from_commits() -> None:
    ours = Partitions("clicks")
    clicks = ours.clicks(0)
    assert clicks.committed_offset is None
    clicks.expect(7, serial=1, epoch=0)
    assert clicks.committed_offset == 7
    clicks.confirm(9, epoch=0)
    assert clicks.committed_offset == 7
    ours.committed({CLICKS: 9}, epoch=0)
    assert clicks.committed_offset == 9
    ours.give_up_all()
    assert clicks.committed_offset is None


arrivals = st.lists(
    st.tuples(
        st.integers(0, 1),  # the shopper
        st.sampled_from([0, SESSION.grace_ms // 2, SESSION.grace_ms]),  # how late the click comes, in event time
        st.sampled_from([0, 30_000, 61_000, 81_000]),  # event time since the last one (ms)
        st.sampled_from([0.0, 30.0, 120.0, 120.0]),  # wall clock since the last one (s)
        st.sampled_from(["on", "on", "on", "on", "restart", "crash"]),
    ),
    min_size=10,
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=400)
@given(arrivals, st.booleans())
def test_forgetting_changes_no_list_of_clicks_that_are_late_by_the_grace_at_most(
    clicks: list[tuple[int, int, int, float, str]], replay: bool
) -> None:
    ours, reference = Shop(), Shop(forgets=False)
    event = TS - (10**10 if replay else 0)
    for number, (shopper, late, gap, wall_s, fate) in enumerate(clicks):
        event += gap
        for shop in (ours, reference):
            shop.now_s += wall_s if replay else gap / 1000
        if fate == "restart":
            ours.restart()
            ours.expiry.touch(ours.partition, list(ours.partition.rows), ours.now_s)
        elif fate == "crash":  # memory is lost, and comes back from the changelog
            ours.partition.rows.clear()
            restore_rows(ours.partition.rows, ours.changelog, set())
            ours.restart()
            if ours.changelog:
                ours.expiry.restored(ours.partition, ours.changelog)
        lists = [shop.click(f"s{shopper}", event - late, str(number)) for shop in (ours, reference)]
        assert lists[0] == lists[1]


def test_session_forgotten_by_a_batch_that_is_undone_is_back_and_forgotten_by_a_later_one() -> None:
    shop = Shop()
    shop.click("idle", TS)
    shop.live(SILENCE_S)
    shop.now_s += 2 * BUCKET_S
    now = int(shop.now_s * 1000)
    other = click(shop.offset, "others", "1", now)
    before = dict(shop.partition.rows)
    prepared = shop.path.prepare(batch(FakeRecord(shop.offset, other.key, other.value, now), of=shop.partition))
    assert [one.key for one in prepared.expired] == [b"idle"]
    shop.path.undo(prepared)
    assert dict(shop.partition.rows) == before
    shop.live(SILENCE_S + 2 * BUCKET_S)
    assert shop.sessions() == {"others"}


def test_idle_sessions_of_a_partition_whose_batch_was_not_confirmed_are_forgotten_all_the_same() -> None:
    """Between the giving up and the rewind nobody may forget who was idle: no row is recovered, nobody clicks again."""
    ours = Partitions("clicks")
    shop = Shop()
    shop.click("idle", TS)
    shop.live(10)
    prepared = shop.path.prepare(batch(click(shop.offset, "others", "1", TS), of=shop.partition))
    shop.partition.begin(prepared)
    for undone in ours.give_up(shop.partition):
        shop.path.undo(undone)
    shop.partition.expect(shop.offset, serial=1, epoch=ours.epoch)
    shop.live(2 * SILENCE_S)
    assert shop.sessions() == {"others"}
