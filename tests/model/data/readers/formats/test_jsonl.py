"""Tests of `model.data.readers.jsonl`."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from model.data.readers import Columns, RawLog, ReadOptions, iter_clicks, read_log
from model.errors import BadLines

CLICK = {"session_id": "s1", "item_id": "sku-7", "ts": 1_700_000_000_000}
LENIENT = ReadOptions(format="jsonl", max_bad_share=1.0)


def read(folder: Path, *lines: Any, options: ReadOptions | None = None) -> RawLog:
    file = folder / "clicks.jsonl"
    encoded = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    file.write_bytes(b"".join(line + b"\n" for line in encoded))
    return read_log(file, options)


def test_clicks_as_the_stream_takes_them_are_read(tmp_path: Path) -> None:
    order = {**CLICK, "item_id": 8, "ts": 1_700_000_000_005, "type": "order", "event_id": "e", "context": {"page": [1]}}
    raw = read(tmp_path, CLICK, order, {**CLICK, "type": "skip"})
    first, second = iter_clicks(raw)
    assert first == ("s1", "sku-7", 1_700_000_000_000, "click")
    assert second == ("s1", "8", 1_700_000_000_005, "order")
    assert set(raw.report.files.values()) == {"jsonl"}
    assert raw.report.left_out == Counter(skip=1)


def test_first_line_behind_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + json.dumps(CLICK).encode(), CLICK).clicks == 2


def test_other_names_and_other_times_are_read(tmp_path: Path) -> None:
    columns = Columns(session="visit", item="sku", ts="at")
    lines = ({"visit": 1, "sku": "a", "at": at} for at in ("2023-11-14T22:13:20Z", 1_700_000_000_001, "1700000000002"))
    raw = read(tmp_path, *lines, options=ReadOptions(columns=columns))
    assert raw.ts.tolist() == [1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_002]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[" * 10_000, "not_json"),
        ([1], "not_json"),
        ({**CLICK, "session_id": None}, "missing_session"),
        ({**CLICK, "session_id": ["s"]}, "bad_session"),
        ({"session_id": "s", "ts": 1}, "missing_item"),
        ({**CLICK, "item_id": True}, "bad_item"),
        ({**CLICK, "ts": None}, "missing_ts"),
        ({**CLICK, "ts": {}}, "bad_ts"),
        ({**CLICK, "ts": "yesterday"}, "bad_ts"),
        ({**CLICK, "ts": 10**30}, "bad_ts"),
        ({**CLICK, "ts": -5}, "negative_ts"),
        ({**CLICK, "type": 5}, "bad_type"),
    ],
)
def test_bad_line_is_counted_by_reason_and_costs_no_other(tmp_path: Path, line: Any, reason: str) -> None:
    raw = read(tmp_path, CLICK, line, CLICK, options=LENIENT)
    assert raw.clicks == 2
    assert raw.report.bad == Counter({reason: 1})
    assert raw.report.lines == 3


def test_log_of_bad_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadLines, match="missing_item"):
        read(tmp_path, CLICK, {**CLICK, "item_id": ""})
