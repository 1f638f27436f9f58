"""Tests of `model.data.readers.otto`."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.ids import normal_id
from model.data.readers import KINDS, RawLog, ReadOptions, build_log, iter_clicks, read_log
from model.errors import BadLines
from tests.model.logs import SHARED_DATA, sessions_of

GOOD = {"session": 1, "events": [{"aid": 5, "ts": 1661724000278, "type": "clicks"}] * 200}
LENIENT = ReadOptions(max_bad_share=1.0, kinds=frozenset(KINDS))


def write(folder: Path, *lines: Any, name: str = "log.jsonl") -> Path:
    file = folder / name
    content = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return file


def clicks_of(raw: RawLog) -> list[tuple[str, str, int, str]]:
    return list(iter_clicks(raw))


def test_first_session_behind_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    event = {"aid": 5, "ts": 100, "type": "clicks"}
    lines = (json.dumps({"session": name, "events": [event, event]}).encode() for name in ("a", "b"))
    raw = read_log(write(tmp_path, b"\xef\xbb\xbf" + next(lines), *lines))
    assert {session for session, *_ in clicks_of(raw)} == {"a", "b"}
    assert not raw.report.bad


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
def test_sessions_with_all_types_are_read_in_order(tmp_path: Path, name: str) -> None:
    line = {
        "session": 12,
        "events": [
            {"aid": 59625, "ts": 100, "type": "clicks"},
            {"aid": 7, "ts": 200, "type": "carts"},
            {"aid": 59625, "ts": 300, "type": "orders"},
        ],
    }
    raw = read_log(write(tmp_path, line, {"session": 13, "events": [{"aid": 7, "ts": 150}]}, b"", name=name))
    assert clicks_of(raw) == [
        ("12", "59625", 100, "click"),
        ("13", "7", 150, "click"),
        ("12", "7", 200, "cart"),
        ("12", "59625", 300, "order"),
    ]
    assert (raw.report.lines, raw.report.kept, raw.report.bad_lines) == (4, 4, 0)
    assert list(raw.report.files.values()) == ["otto"]


@pytest.mark.parametrize(
    ("line", "reason", "lines"),
    [
        (b"{", "not_json", 1),
        (b'{"session": 1, "events": "\xff\xfe"}', "not_json", 1),
        (b'{"session": 2, "events": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "not_json", 1),
        (b"[1]", "missing_events", 1),
        ({"session": 2}, "missing_events", 1),
        ({"session": 2, "events": 5}, "missing_events", 1),
        ({"events": [{"aid": 1, "ts": 1}] * 3}, "missing_session", 3),
        ({"session": "", "events": [{"aid": 1, "ts": 1}]}, "missing_session", 1),
        ({"session": True, "events": [{"aid": 1, "ts": 1}]}, "bad_session", 1),
        ({"session": 2.5, "events": [{"aid": 1, "ts": 1}]}, "bad_session", 1),
        ({"session": 2, "events": [7]}, "bad_event", 1),
        ({"session": 2, "events": [{"ts": 1}]}, "missing_item", 1),
        ({"session": 2, "events": [{"aid": None, "ts": 1}]}, "missing_item", 1),
        ({"session": 2, "events": [{"aid": "", "ts": 1}]}, "missing_item", 1),
        ({"session": 2, "events": [{"aid": False, "ts": 1}]}, "bad_item", 1),
        ({"session": 2, "events": [{"aid": [1], "ts": 1}]}, "bad_item", 1),
        ({"session": 2, "events": [{"aid": "x" * 257, "ts": 1}]}, "bad_item", 1),
        ({"session": 2, "events": [{"aid": "a\tb", "ts": 1}]}, "bad_item", 1),
        ({"session": 2, "events": [{"aid": 1}]}, "missing_ts", 1),
        ({"session": 2, "events": [{"aid": 1, "ts": "1"}]}, "bad_ts", 1),
        ({"session": 2, "events": [{"aid": 1, "ts": 1.5}]}, "bad_ts", 1),
        ({"session": 2, "events": [{"aid": 1, "ts": -1}]}, "negative_ts", 1),
        ({"session": 2, "events": [{"aid": 1, "ts": 10**30}]}, "bad_ts", 1),
        ({"session": 2, "events": [{"aid": 1, "ts": 1, "type": 3}]}, "bad_type", 1),
    ],
)
def test_bad_line_is_counted_by_reason_and_the_others_are_kept(
    tmp_path: Path, line: Any, reason: str, lines: int
) -> None:
    raw = read_log(write(tmp_path, GOOD, line, GOOD), ReadOptions(max_bad_share=0.01))
    assert raw.report.bad == Counter({reason: lines})
    assert raw.report.lines == 400 + lines
    assert raw.clicks == 400


def test_bad_event_costs_only_itself(tmp_path: Path) -> None:
    line = {"session": 2, "events": [{"aid": 1, "ts": 1}, {"aid": None, "ts": 2}, {"aid": 3, "ts": 3, "type": None}]}
    assert clicks_of(read_log(write(tmp_path, line), LENIENT)) == [("2", "1", 1, "click"), ("2", "3", 3, "click")]


def test_too_many_bad_lines_are_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(BadLines, match=r"3 of 203 lines are bad \(not_json 2, missing_events 1\); at most 1.00%"):
        read_log(write(tmp_path, GOOD, b"{x", b"{", b"{}"))


def test_unknown_type_is_left_out_and_named(tmp_path: Path) -> None:
    events = [{"aid": 1, "ts": 1, "type": "Clicks "}, {"aid": 2, "ts": 2, "type": "wish"}, {"aid": 3, "ts": 3}]
    raw = read_log(write(tmp_path, {"session": 1, "events": events}))
    assert [item for _, item, _, _ in clicks_of(raw)] == ["1", "3"]
    assert raw.report.left_out == Counter(wish=1)
    assert raw.report.bad_lines == 0


def test_text_and_huge_ids_stay_as_written(tmp_path: Path) -> None:
    lines = [{"session": f"s{n}", "events": [{"aid": aid, "ts": 1}]} for n, aid in enumerate([5, "007", 2**63, "ü"])]
    items = [item for _, item, _, _ in clicks_of(read_log(write(tmp_path, *lines)))]
    assert items == ["5", "007", str(2**63), "ü"]


LETTERS = st.characters(min_codepoint=33, max_codepoint=1000, exclude_categories=["Cc"])
TEXTS = st.text(LETTERS, min_size=1, max_size=99).filter(lambda text: normal_id(text) == text)
IDS = st.one_of(st.integers(-(2**70), 2**70), TEXTS)
EVENTS = st.lists(
    st.tuples(IDS, st.integers(0, 10**13), st.sampled_from(["clicks", "carts", "orders"])), min_size=1, max_size=5
)


@pytest.mark.slow
@given(sessions=st.dictionaries(st.integers(0, 99), EVENTS, min_size=1, max_size=6))
def test_any_sessions_written_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, sessions: dict[int, list[tuple[int | str, int, str]]]
) -> None:
    lines = [
        {"session": session, "events": [{"aid": aid, "ts": ts, "type": kind} for aid, ts, kind in events]}
        for session, events in sessions.items()
    ]
    raw = read_log(write(tmp_path_factory.mktemp("otto"), *lines), LENIENT)
    wanted = [
        (str(session), str(aid), ts, kind.removesuffix("s"))
        for session, events in sessions.items()
        for aid, ts, kind in events
    ]
    assert clicks_of(raw) == sorted(wanted, key=lambda click: click[2])
    log = build_log(raw, min_length=1)
    by_session = {
        str(session): [str(aid) for aid, _, _ in sorted(events, key=lambda event: event[1])]
        for session, events in sessions.items()
    }
    assert sorted(sessions_of(log)) == sorted(by_session.values())


@pytest.mark.skipif(not SHARED_DATA.exists(), reason=f"no data at {SHARED_DATA}")
def test_published_fixture_is_read_whole() -> None:
    raw = read_log(SHARED_DATA / "otto_fixture.jsonl.gz")
    kinds = Counter(kind for _, _, _, kind in iter_clicks(raw))
    assert kinds == Counter(click=888, cart=70, order=22)
    assert (len(raw.session_ids), len(raw.item_ids), raw.report.bad_lines) == (25, 582, 0)
