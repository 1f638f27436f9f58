"""The session's rules: folding, time-out, replay, and the stored form."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ConfigError
from stream.errors import BadState
from stream.messages.contract import Click, ClickType
from stream.messages.record_time import sane_record_time_ms
from stream.partition.session import (
    SessionConfig,
    SessionState,
    decode_head,
    decode_state,
    encode_state,
    fold_click,
    is_expired,
    ranking_items,
)

START = 1_661_724_000_000
CONFIG = SessionConfig()
TYPES: list[ClickType] = ["click", "cart", "order", "like", "skip", "dislike"]


def click(item: str = "a", after_ms: int = 0, kind: ClickType = "click") -> Click:
    return Click("s", item, START + after_ms, kind)


def fold(clicks: list[Click], state: SessionState | None = None, config: SessionConfig = CONFIG) -> SessionState:
    for offset, one in enumerate(clicks):
        state = fold_click(state, one, offset, config)
    assert state is not None
    return state


def test_fold_first_click_starts_a_session() -> None:
    state = fold_click(None, click("a"), 7)
    assert (state.offset, state.last_ts, state.events()) == (7, START, [("a", "click", START)])


def test_fold_replayed_click_returns_the_same_object() -> None:
    state = fold([click("a"), click("b", 1000)])
    assert fold_click(state, click("z", 9000), 1) is state
    assert fold_click(state, click("z", 9000), 0) is state


def test_fold_keeps_the_newest_items_only() -> None:
    state = fold([click(str(n), n) for n in range(60)])
    assert state.items == tuple(str(n) for n in range(10, 60))
    assert state.events()[0] == ("10", "click", START + 10)


def test_fold_gap_of_exactly_the_time_out_continues_the_session() -> None:
    assert fold([click("a"), click("b", CONFIG.timeout_ms)]).items == ("a", "b")


def test_fold_gap_beyond_the_time_out_starts_anew_and_keeps_the_offset() -> None:
    state = fold([click("a"), click("b", CONFIG.timeout_ms + 1)])
    assert (state.items, state.offset, state.start_ts) == (("b",), 1, START + CONFIG.timeout_ms + 1)


def test_fold_late_click_joins_and_leaves_the_newest_time() -> None:
    state = fold([click("a", 5000), click("b", 0)])
    assert (state.items, state.last_ts) == (("a", "b"), START + 5000)
    assert state.events()[1] == ("b", "click", START)


def test_ranking_items_leave_out_what_was_not_liked() -> None:
    state = fold([click(kind, n, kind) for n, kind in enumerate(TYPES)])
    assert ranking_items(state) == ("click", "cart", "order", "like")
    assert state.items == tuple(TYPES)


def test_is_expired_follows_the_time_out() -> None:
    head = decode_head(encode_state(fold([click("a")])))
    assert not is_expired(head, START + CONFIG.timeout_ms)
    assert is_expired(head, START + CONFIG.timeout_ms + 1)


def test_state_encoded_is_compact() -> None:
    assert len(encode_state(fold([click(str(90_000 + n), n * 20_000) for n in range(50)]))) < 650


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", b"\x90", b"\xc1" * 9])
def test_state_damaged_raises_bad_state(data: bytes) -> None:
    with pytest.raises(BadState):
        decode_state(data)
    with pytest.raises(BadState):
        decode_head(data)


def test_state_of_another_format_or_uneven_raises_bad_state() -> None:
    state = fold([click("a")])
    with pytest.raises(BadState):
        decode_state(encode_state(msgspec.structs.replace(state, format=2)))
    with pytest.raises(BadState):
        decode_state(encode_state(msgspec.structs.replace(state, kinds="cc")))


@pytest.mark.parametrize("change", [{"max_items": 0}, {"timeout_ms": 0}])
def test_session_config_out_of_range_raises_config_error(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        replace(CONFIG, **change)


clicks = st.lists(
    st.builds(
        Click,
        st.just("s"),
        st.text(min_size=1, max_size=6),
        st.integers(0, 10 * CONFIG.timeout_ms),
        st.sampled_from(TYPES),
    ),
    min_size=1,
    max_size=80,
)
configs = st.builds(SessionConfig, max_items=st.integers(1, 60), timeout_ms=st.integers(1, 4 * CONFIG.timeout_ms))


@given(clicks, configs, st.data())
def test_fold_replay_from_any_click_changes_nothing(
    log: list[Click], config: SessionConfig, data: st.DataObject
) -> None:
    end = data.draw(st.integers(1, len(log)))
    start = data.draw(st.integers(0, end))
    state = fold(log[:end], config=config)
    for offset in range(start, len(log)):
        state = fold_click(state, log[offset], offset, config)
    assert state == fold(log, config=config)


@given(clicks, configs)
def test_fold_equals_a_plain_retelling_of_the_rules(log: list[Click], config: SessionConfig) -> None:
    kept: list[tuple[str, str, int]] = []
    newest = log[0].ts
    for one in log:
        if one.ts - newest > config.timeout_ms:
            kept, newest = [], one.ts
        kept, newest = [*kept, (one.item_id, one.type, one.ts)][-config.max_items :], max(newest, one.ts)
    state = fold(log, config=config)
    assert (state.events(), state.last_ts, state.offset) == (kept, newest, len(log) - 1)


@given(clicks, configs)
def test_state_encoded_is_read_back(log: list[Click], config: SessionConfig) -> None:
    state = fold(log, config=config)
    assert decode_state(encode_state(state)) == state
    head = decode_head(encode_state(state))
    assert (head.offset, head.last_ts) == (state.offset, state.last_ts)


HOUR_MS = 3_600_000


def fold_written(*clicks: tuple[str, int, int]) -> SessionState:
    """Clicks of (item, ts after START, record timestamp) in ms."""
    state = None
    for offset, (item, after_ms, written_ms) in enumerate(clicks):
        state = fold_click(state, click(item, after_ms), offset, CONFIG, written_ms)
    assert state is not None
    return state


def test_fold_one_wrong_clock_neither_ends_the_session_nor_holds_it() -> None:
    state = fold_written(("a", 0, START), ("b", 0, START), ("c", 23 * HOUR_MS, START + 1000), ("d", 2000, START + 2000))
    assert state.items == ("a", "b", "c", "d")
    assert state.last_ts == START + 1000 + 60_000
    assert state.events()[2] == ("c", "click", START + 23 * HOUR_MS), "what the shop sent stays as it is"
    later = fold_click(state, click("e", HOUR_MS), 4, CONFIG, START + HOUR_MS)
    assert later.items == ("e",), "an hour of silence ends the session, whatever a clock said before"


def test_fold_first_click_of_a_wrong_clock_does_not_hold_the_session() -> None:
    state = fold_written(("a", 23 * HOUR_MS, START), ("b", HOUR_MS, START + HOUR_MS))
    assert state.items == ("b",)


@pytest.mark.parametrize("written", [-1, 0, START // 1000, START * 1000, -62_135_596_800_000])
def test_fold_with_a_record_timestamp_that_is_no_time_goes_by_the_click_alone(written: int) -> None:
    state = fold_click(fold_click(None, click("a"), 0), click("b", CONFIG.timeout_ms), 1, CONFIG, written)
    assert (state.items, state.last_ts) == (("a", "b"), START + CONFIG.timeout_ms)
    assert fold_click(state, click("c", 3 * CONFIG.timeout_ms), 2, CONFIG, written).items == ("c",)


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**14))
def test_fold_sees_no_time_more_than_a_minute_ahead_of_a_sane_record(written: int, ts: int) -> None:
    state = fold_click(None, Click("s", "a", ts), 0, CONFIG, written)
    sane = sane_record_time_ms(written)
    assert state.last_ts == (ts if sane is None else min(ts, sane + 60_000))
    assert state.events() == [("a", "click", ts)]
