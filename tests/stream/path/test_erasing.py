"""A session is erased: its state is that of the clicks behind, whatever is read again, by whoever owns it."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.config import StreamConfig
from stream.guarantee.publisher import Outgoing
from stream.messages.contract import Erase, decode_event
from stream.messages.erasures import decode_erased
from stream.partition.expiry import Expired, tombstone_headers
from stream.partition.owned import OwnedPartition
from stream.partition.recovery import restore_rows
from stream.partition.session import SessionState, decode_state, fold_click
from stream.path.commit import CommitPath, Prepared
from stream.path.lists import ShopLists
from tests.stream.records import TS, EchoRanker, FakeRecord, NoPosition, batch, click, partition

LOG, LISTS, REJECTED = "nextclick-sessions-changelog", "recommendations", "clicks.rejected"


def erase(offset: int, session: str, **more: object) -> FakeRecord:
    value = json.dumps({"session_id": session, "type": "erase", "ts": TS, **more}).encode()
    return FakeRecord(offset, session.encode(), value)


class Worker:
    """A commit path with a changelog; `of` is its partition."""

    def __init__(self, changelog: Sequence[Outgoing] = ()) -> None:
        config = StreamConfig(bootstrap_servers="nowhere:1", registry="nowhere")
        self._path = CommitPath(config, NoPosition(), ShopLists(config.policy.read(config.k)))
        self.changelog = list(changelog)
        self.of: OwnedPartition = partition()
        rows = [FakeRecord(n, row.key, row.value, headers=row.headers or ()) for n, row in enumerate(changelog)]
        restore_rows(self.of.rows, rows, self.of.stale, self.of.erased)

    def work(self, *records: FakeRecord) -> Prepared:
        return self._path.prepare(batch(*records, of=self.of))

    def undo(self, prepared: Prepared) -> None:
        self._path.undo(prepared)

    def publish(self, prepared: Prepared) -> dict[str, list[Outgoing]]:
        found: dict[str, list[Outgoing]] = {LOG: [], LISTS: [], REJECTED: []}
        for message in self._path.messages(prepared, self._path.rank([prepared], EchoRanker())[0], "7"):
            found[message.topic].append(message)
        self.changelog += found[LOG]
        return found

    def states(self) -> dict[str, SessionState]:
        return {key.decode(): decode_state(row) for key, row in self.of.rows.items()}


def folded(records: Sequence[FakeRecord]) -> dict[str, SessionState]:
    """What the states must be: a fold of the clicks behind the last erase of each session."""
    states: dict[str, SessionState] = {}
    for one in records:
        event = decode_event(one.value, one.key, one.timestamp)
        if isinstance(event, Erase):
            states.pop(event.session_id, None)
        else:
            states[event.session_id] = fold_click(states.get(event.session_id), event, one.offset, record_ms=TS)
    return states


def test_erase_takes_state_and_lists_and_says_of_how_many_clicks() -> None:
    worker = Worker()
    worker.publish(worker.work(click(0, "a", "1"), click(1, "b", "9"), click(2, "a", "2")))
    prepared = worker.work(erase(3, "a"))
    out = worker.publish(prepared)
    assert list(worker.states()) == ["b"]
    assert [(m.key, m.value, m.partition, dict(m.headers or ())) for m in out[LOG]] == [
        (b"a", None, 0, {"source_offset": b"3", "erased_ts": str(TS).encode()})
    ]
    (gone,) = out[LISTS]
    assert (gone.key, gone.value) == (b"a", None)
    said = decode_erased(gone.headers)
    assert said is not None
    assert (said.source.topic, said.source.partition, said.source.offset, said.clicks) == ("clicks", 0, 3, 2)
    assert (prepared.erasures, prepared.left_out, out[REJECTED]) == (1, 0, [])


def test_erase_between_clicks_of_one_batch_leaves_those_before_unanswered_and_starts_anew() -> None:
    worker = Worker()
    prepared = worker.work(click(0, "a", "1"), erase(1, "a"), click(2, "a", "2"))
    out = worker.publish(prepared)
    assert worker.states()["a"].items == ("2",)
    assert [(m.key, m.value is None) for m in out[LOG]] == [(b"a", True), (b"a", False)]
    assert [(m.key, m.value is None) for m in out[LISTS]] == [(b"a", True), (b"a", False)]
    assert (prepared.erasures, prepared.left_out) == (1, 1)


def test_erase_of_a_session_that_nobody_knows_still_takes_its_lists() -> None:
    worker = Worker()
    out = worker.publish(worker.work(erase(0, "a")))
    assert [(m.key, m.value) for m in out[LISTS]] == [(b"a", None)]


def test_erase_of_a_damaged_state_takes_it_and_undo_brings_it_back() -> None:
    worker = Worker()
    worker.of.rows[b"a"] = b"garbage"
    prepared = worker.work(erase(0, "a"))
    assert worker.states() == {}
    worker.undo(prepared)
    assert dict(worker.of.rows) == {b"a": b"garbage"}


def test_erase_read_again_behind_later_clicks_takes_nothing_of_them() -> None:
    worker = Worker()
    records = [click(0, "a", "1"), erase(1, "a"), click(2, "a", "2")]
    for record in records:
        worker.publish(worker.work(record))
    state = worker.states()
    prepared = worker.work(erase(1, "a"))
    out = worker.publish(prepared)
    assert worker.states() == state
    assert out[LOG] == []
    assert [m.value for m in out[LISTS]] == [None], "the crash may have come before its lists were taken back"


def test_clicks_read_again_before_a_known_erase_are_not_answered_again() -> None:
    worker = Worker()
    worker.publish(worker.work(click(0, "a", "1"), erase(1, "a")))
    successor = Worker(worker.changelog)
    prepared = successor.work(click(0, "a", "1"))
    assert successor.publish(prepared) == {LOG: [], LISTS: [], REJECTED: []}
    assert (successor.states(), prepared.left_out) == ({}, 1)


def test_skip_of_an_erased_session_that_comes_behind_begins_no_session() -> None:
    worker = Worker()
    worker.publish(worker.work(click(0, "a", "1"), erase(1, "a")))
    assert worker.work(click(2, "a", "9", ts=TS - 5, type="skip")).left_out == 1
    assert worker.states() == {}
    worker.work(click(3, "a", "9", ts=TS + 5, type="skip"), click(4, "a", "2", ts=TS - 5))
    assert worker.states()["a"].kinds == "sc", "a later skip, and a click whose clock is behind, are of a new session"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (erase(0, "a", session_id=""), "empty_session_id"),
        (FakeRecord(0, b"b", erase(0, "a").value), "key_mismatch"),
        (FakeRecord(0, None, erase(0, "a").value), "key_missing"),
        (erase(0, "a", ts="now"), "wrong_type_ts"),
        (erase(0, "a", type="erase "), "missing_item_id"),
        (erase(0, "a", item_id="1", type="ERASE"), "unknown_type"),
        (erase(0, "a", type=["erase"]), "missing_item_id"),
    ],
)
def test_erase_that_breaks_a_rule_is_rejected_and_erases_nothing(record: FakeRecord, reason: str) -> None:
    worker = Worker()
    worker.publish(worker.work(click(0, "a", "1")))
    out = worker.publish(worker.work(record))
    assert [dict(m.headers or ())["reason"] for m in out[REJECTED]] == [reason.encode()]
    assert list(worker.states()) == ["a"]


def test_row_of_a_zombie_behind_an_erase_is_skipped_and_its_tombstone_written_again() -> None:
    worker = Worker()
    worker.publish(worker.work(click(0, "a", "1")))
    old_row = worker.changelog[0]
    worker.publish(worker.work(erase(1, "a")))
    successor = Worker([*worker.changelog, old_row])
    assert (successor.states(), successor.of.stale) == ({}, {b"a"})
    idle = Outgoing(LOG, b"b", None, tombstone_headers(Expired(b"b", 0)))
    assert len(Worker([idle]).of.erased) == 0, "a session that was only idle has no mark"


events = st.lists(st.tuples(st.sampled_from("ab"), st.integers(-2, 3)), min_size=1, max_size=14)


@given(events, st.data())
@example([("a", 1), ("a", -1), ("a", 2)], None)
def test_state_is_that_of_the_clicks_behind_the_erase_whatever_is_read_again(
    made: list[tuple[str, int]], data: st.DataObject | None
) -> None:
    """Batches of any size, undone, read again by the same worker, or by a successor from any earlier offset."""
    records = [
        erase(offset, session) if item < 0 else click(offset, session, str(item))
        for offset, (session, item) in enumerate(made)
    ]
    worker, begin, committed, most, ahead = Worker(), 0, 0, 0, False
    for _ in range(60):
        if begin >= len(records):
            break
        end = begin + (1 if data is None else data.draw(st.integers(1, 4)))
        prepared = worker.work(*records[begin:end])
        what = (
            "published" if data is None else data.draw(st.sampled_from(["published", "undone", "moved", "published"]))
        )
        if what == "undone":
            worker.undo(prepared)
            ahead = ahead or bool(prepared.erased)  # it is known, and has yet to come again
            continue
        worker.publish(prepared)
        begin = min(end, len(records))
        most = max(most, begin)
        assert ahead or worker.states() == folded(records[:most])
        if what == "moved" and data is not None:  # what it had published is there, its last commit is not
            worker, begin = Worker(worker.changelog), data.draw(st.integers(committed, begin))
            committed = begin
    if begin < len(records):
        worker.publish(worker.work(*records[begin:]))
    assert worker.states() == folded(records)
    assert Worker(worker.changelog).states() == folded(records)
