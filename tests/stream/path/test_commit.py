"""The commit path, step by step."""

from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.config import StreamConfig
from stream.errors import BadState
from stream.guarantee.at_least_once import AtLeastOnce
from stream.guarantee.exactly_once import ExactlyOnce
from stream.guarantee.guarantee import Group
from stream.guarantee.publisher import Outgoing, Publisher
from stream.messages.contract import decode_recommendation
from stream.partition.changelog import ChangelogReader
from stream.partition.positions import POSITION_KEY
from stream.partition.session import decode_state
from stream.path.answers import Answer, ItemRanker
from stream.path.commit import CommitPath, Prepared, WithPosition
from stream.path.lists import ShopLists
from stream.path.policy import PolicyConfig
from tests.stream.records import EchoRanker, FakeRecord, NoPosition, batch, click, partition


def path(guarantee: WithPosition | None = None, **options: object) -> CommitPath:
    config = StreamConfig(bootstrap_servers="nowhere:1", registry="nowhere", **options)  # type: ignore[arg-type]
    return CommitPath(config, guarantee or NoPosition(), ShopLists(config.policy.read(config.k)))


def at_least_once() -> AtLeastOnce:
    group = SimpleNamespace(recovery=None, recovered=None, may_publish=None)
    publisher, reader = cast(Publisher, None), cast(ChangelogReader, None)
    return AtLeastOnce(publisher, "log", cast(Group, group), new_reader=lambda: reader, found=lambda *_: None)


def run(path: CommitPath, prepared: Prepared, ranker: ItemRanker | None = None) -> dict[str, list[Outgoing]]:
    """The messages of a batch by topic."""
    by_topic: dict[str, list[Outgoing]] = {}
    for message in path.messages(prepared, path.rank([prepared], ranker or EchoRanker())[0], "7"):
        by_topic.setdefault(message.topic, []).append(message)
    return by_topic


def test_messages_of_a_batch_answer_each_session_once_with_its_newest_click() -> None:
    store = (of := partition()).rows
    commit = path()
    out = run(commit, commit.prepare(batch(click(0, "a", "1"), click(1, "b", "9"), click(2, "a", "2"), of=of)))
    lists = [decode_recommendation(message.value or b"") for message in out["recommendations"]]
    assert [(r.session_id, r.source.offset, [i.item_id for i in r.items]) for r in lists] == [
        ("a", 2, ["2", "1"]),
        ("b", 1, ["9"]),
    ]
    assert [(m.key, m.partition) for m in out["nextclick-sessions-changelog"]] == [(b"a", 0), (b"b", 0)]
    assert decode_state(store[b"a"]).items == ("1", "2")


def test_prepare_of_a_replayed_click_changes_no_state_but_is_answered_again() -> None:
    store = (of := partition()).rows
    commit = path()
    first = run(commit, commit.prepare(batch(click(0, "a", "1"), click(1, "a", "2"), of=of)))
    row = store[b"a"]
    prepared = commit.prepare(batch(click(0, "a", "1"), of=of))
    again = run(commit, prepared)
    assert (store[b"a"], prepared.repeats) == (row, 1)
    assert again["nextclick-sessions-changelog"] == first["nextclick-sessions-changelog"]
    assert decode_recommendation(again["recommendations"][0].value or b"").source.offset == 1


def test_undo_puts_back_what_batches_replaced_and_a_second_run_gives_the_same() -> None:
    store = (of := partition()).rows
    commit = path()
    commit.prepare(batch(click(0, "a", "1"), of=of))
    kept = dict(store)
    batches = [
        batch(click(1, "a", "2"), click(2, "b", "9"), click(3, "a", "3"), of=of),
        batch(click(4, "b", "8"), of=of),
    ]
    prepared = [commit.prepare(one) for one in batches]
    after, first = dict(store), [run(commit, one) for one in prepared]
    for one in reversed(prepared):
        commit.undo(one)
    assert store == kept
    again = [commit.prepare(one) for one in batches]
    assert (dict(store), [one.repeats for one in again]) == (after, [0, 0])
    lists = [[m.value for m in out["nextclick-sessions-changelog"]] for out in (run(commit, p) for p in again)]
    assert lists == [[m.value for m in out["nextclick-sessions-changelog"]] for out in first]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=20), st.data())
def test_undo_of_the_last_batches_leaves_the_store_of_the_first(
    clicks: list[tuple[str, int]], data: st.DataObject
) -> None:
    records = [click(n, session, str(item)) for n, (session, item) in enumerate(clicks)]
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=len(records), max_size=len(records)))
    batches, stores, commit, begin = [], [], path(), 0
    of = partition()
    for size in sizes:
        if begin < len(records):
            stores.append(dict(of.rows))
            batches.append(commit.prepare(batch(*records[begin : begin + size], of=of)))
            begin += size
    for prepared, before in zip(reversed(batches), reversed(stores), strict=True):
        commit.undo(prepared)
        assert of.rows == before


def test_messages_of_an_exactly_once_worker_say_how_far_the_partition_is_answered() -> None:
    commit = path(ExactlyOnce(cast(Publisher, None), "changelog", cast(Group, None)))
    out = run(commit, commit.prepare(batch(click(7, "a", "1"), FakeRecord(8, b"k", b"{"))))
    last = out["nextclick-sessions-changelog"][-1]
    assert (last.key, last.value, last.partition, last.tracked) == (POSITION_KEY, b"9", 0, True)
    assert [
        m.key
        for m in run(path(at_least_once()), path().prepare(batch(click(7, "a", "1"))))["nextclick-sessions-changelog"]
    ] == [b"a"]


def test_messages_of_an_at_least_once_worker_delete_a_position_that_was_left() -> None:
    commit, of = path(at_least_once()), partition()
    of.old_position = True
    changelog = run(commit, commit.prepare(batch(click(7, "a", "1"), of=of)))["nextclick-sessions-changelog"]
    assert [(m.key, m.value is None) for m in changelog] == [(POSITION_KEY, True), (b"a", False)]


def test_prepare_of_a_bad_click_rejects_it_whole_and_goes_on() -> None:
    commit = path()
    bad = FakeRecord(0, b"k", b"{", headers=[("mine", b"1")])
    rejected = run(commit, commit.prepare(batch(bad, click(1, "a", "1"))))["clicks.rejected"][0]
    assert (rejected.key, rejected.value) == (b"k", b"{")
    headers = dict(rejected.headers or [])
    assert (headers["mine"], headers["reason"]) == (b"1", b"not_json")
    assert (headers["topic"], headers["partition"], headers["offset"]) == (b"clicks", b"0", b"0")


def test_prepare_with_a_damaged_row_stops_the_worker() -> None:
    with pytest.raises(BadState):
        path().prepare(batch(click(0, "a", "1"), of=partition({b"a": b"garbage"})))


def test_rank_of_a_poisoned_session_rejects_its_clicks_and_answers_the_rest() -> None:
    commit = path()
    clicks = [click(0, "a", "1"), click(1, "b", "poison"), click(2, "b", "2"), click(3, "c", "3")]
    prepared = commit.prepare(batch(*clicks))
    ranker = EchoRanker()
    out = run(commit, prepared, ranker)
    assert ranker.calls == [3, 1, 1, 1]
    assert [m.key for m in out["recommendations"]] == [b"a", b"c"]
    rejected = [dict(m.headers or []) for m in out["clicks.rejected"]]
    assert [(h["reason"], h["offset"]) for h in rejected] == [(b"ranking_failed", b"1"), (b"ranking_failed", b"2")]
    assert len(out["nextclick-sessions-changelog"]) == 3


def test_rank_without_a_model_answers_with_empty_fallbacks() -> None:
    commit = path()
    assert commit.rank([commit.prepare(batch(click(0, "a", "1")))], None) == [[Answer((), fallback=True, k=20)]]


def test_rank_with_too_few_lists_fails_sessions_instead_of_mixing_them_up() -> None:
    class Short(EchoRanker):
        def rank_items(self, sessions, k, exclude=None):  # type: ignore[no-untyped-def]
            return super().rank_items(sessions, k, exclude)[1:]

    commit = path()
    answers = commit.rank([commit.prepare(batch(click(0, "a", "1"), click(1, "b", "2")))], Short())[0]
    assert all(answer.error for answer in answers)


def test_rank_leaves_out_skipped_items_and_asks_for_no_more_than_the_model_has() -> None:
    commit = path(k=20)
    ranker = EchoRanker()
    ranker.k_max = 1
    prepared = commit.prepare(batch(click(0, "a", "1"), click(1, "a", "2"), click(2, "a", "3", type="skip")))
    assert commit.rank([prepared], ranker)[0][0].items == [("2", 1.0)]


def test_rank_with_seen_items_excluded_asks_the_ranker_to_leave_them_out() -> None:
    commit = path(policy=PolicyConfig(exclude="seen"))
    assert commit.rank([commit.prepare(batch(click(0, "a", "1")))], EchoRanker())[0][0].items == []


def test_rank_of_a_batch_without_clicks_asks_nobody() -> None:
    commit, ranker = path(), EchoRanker()
    assert commit.rank([commit.prepare(batch(FakeRecord(0)))], ranker) == [[]]
    assert ranker.calls == []
