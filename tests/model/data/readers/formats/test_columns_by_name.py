"""Tests of `model.data.readers.formats`: CSV with a header and Parquet, by the names of their columns."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.readers import Columns, ReadOptions, build_log, iter_clicks, read_log
from model.errors import DataError
from tests.model.logs import SHARED_DATA, sessions_of

Clicks = list[tuple[str, str, int, str]]


def csv_clicks(folder: Path, content: str | bytes, options: ReadOptions | None = None) -> Clicks:
    file = folder / "log.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(iter_clicks(read_log(file, options)))


def parquet_clicks(folder: Path, columns: dict[str, Any], options: ReadOptions | None = None) -> Clicks:
    pq.write_table(pa.table(columns), folder / "log.parquet")
    return list(iter_clicks(read_log(folder / "log.parquet", options)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ts", ["timestamp", "ts"])
def test_csv_with_any_delimiter_is_read(tmp_path: Path, delimiter: str, ts: str) -> None:
    content = f"item_id,{ts},session_id,type,price\na,5,s,click,1\nb,6,s,cart,2\nc,7,s,,3\n".replace(",", delimiter)
    assert csv_clicks(tmp_path, content) == [("s", "a", 5, "click"), ("s", "b", 6, "cart"), ("s", "c", 7, "click")]


def test_csv_from_windows_with_quotes_and_mark_is_read(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf"session_id","item_id","timestamp"\r\n"s,1","a ""b""",5\r\n\r\ns, c ,6\r\n'
    assert csv_clicks(tmp_path, content) == [("s,1", 'a "b"', 5, "click"), ("s", "c", 6, "click")]


def test_quote_that_never_closes_is_never_silent(tmp_path: Path) -> None:
    lines = [f"s{n},i{n},{n}\n" for n in range(100)]
    content = "session_id,item_id,ts\n" + "".join(lines[:50]) + 's,"i,1\n' + "".join(lines[50:])
    file = tmp_path / "log.csv"
    file.write_text(content)
    try:
        report = read_log(file, ReadOptions(max_bad_share=1)).report
    except DataError:
        return
    assert report.lines == 101
    assert report.kept + report.bad_lines == 101


def test_renamed_columns_are_found(tmp_path: Path) -> None:
    columns = Columns(session="SessionId", item="ItemId", ts="Time", type="what")
    options = ReadOptions(columns=columns, ts_unit="s")
    content = "SessionId,ItemId,Time,what\n1,2,1396861348.277,click\n1,3,1396861349,skip\n"
    assert csv_clicks(tmp_path, content, options) == [("1", "2", 1396861348277, "click")]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1396861348277", 1396861348277),
        ("1970-01-01", 0),
        ("1970-01-01 00:00:01", 1000),
        ("1970-01-01T00:00:01.5", 1500),
        ("1970-01-01T00:00:01.123456789Z", 1123),
        ("1970-01-01T02:00+02:00", 0),
        ("1970-01-01T02:00:00+0200", 0),
        ("12.0", 12),
    ],
)
def test_csv_time_in_any_form_becomes_ms(tmp_path: Path, text: str, ms: int) -> None:
    content = f"session_id,item_id,ts\n1,1,{text}\n1,2,86400000\n1,3,1970-01-02\n"
    assert ("1", "1", ms, "click") in csv_clicks(tmp_path, content)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("s,a,", "missing_ts"),
        ("s,a,-5", "negative_ts"),
        ("s,a,soon", "bad_ts"),
        ("s,a,nan", "bad_ts"),
        ("s,a,1e3", "bad_ts"),
        ("s,a,1396861348277000000", "bad_ts"),
        ("s,a,99999999999999999999999", "bad_ts"),
        ("s,,5", "missing_item"),
        (",a,5", "missing_session"),
        ("s,a", "wrong_columns"),
        ("s,a\x00b,5", "bad_item"),
        ("s" * 300 + ",a,5", "bad_session"),
    ],
)
def test_bad_csv_line_is_counted_by_reason(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(f"session_id,item_id,ts\ns,a,5\n{line}\ns,b,6\n")
    raw = read_log(file, ReadOptions(max_bad_share=0.5))
    assert raw.report.bad == Counter({reason: 1})
    assert (raw.clicks, raw.report.lines) == (2, 3)


def test_ids_keep_their_text_and_numbers_sort_by_value(tmp_path: Path) -> None:
    numbers = csv_clicks(tmp_path, "session_id,item_id,ts\n1,10,1\n1,9,2\n")
    assert [click[1] for click in numbers] == ["10", "9"]
    log = build_log(read_log(tmp_path / "log.csv"))
    assert log.vocabulary.items == ("9", "10")
    texts = csv_clicks(tmp_path, "session_id,item_id,ts\n1,10,1\n1,007,2\n")
    assert [click[1] for click in texts] == ["10", "007"]
    assert build_log(read_log(tmp_path / "log.csv")).vocabulary.items == ("007", "10")


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([7, 8, 7], pa.int16()),
        pa.array([7, 8, 7], pa.uint64()),
        pa.array(["7", "8", "7"]),
        pa.array(["7", "8", "7"], pa.large_string()),
        pa.array(["7", "8", "7"]).dictionary_encode(),
        pa.array([b"7", b"8", b"7"]),
        pa.array([7.0, 8.0, 7.0]),
    ],
)
def test_parquet_ids_of_any_type_mean_the_same(tmp_path: Path, ids: "pa.Array[Any]") -> None:
    clicks = parquet_clicks(tmp_path, {"session_id": ids, "item_id": ids, "timestamp": [1, 2, 3]})
    assert clicks == [("7", "7", 1, "click"), ("8", "8", 2, "click"), ("7", "7", 3, "click")]


@pytest.mark.parametrize(
    "ts",
    [
        pa.array([1000, 2000], pa.int64()),
        pa.array([1000, 2000], pa.int32()),
        pa.array([1000.0, 2000.0]),
        pa.array([1, 2], pa.timestamp("s")),
        pa.array([1_000_000_000, 2_000_000_000], pa.timestamp("ns", "Europe/Paris")),
        pa.array(["1970-01-01T00:00:01Z", "2000"]),
    ],
)
def test_parquet_times_of_any_type_mean_the_same(tmp_path: Path, ts: "pa.Array[Any]") -> None:
    clicks = parquet_clicks(tmp_path, {"session_id": [1, 1], "item_id": [1, 2], "ts": ts})
    assert [click[2] for click in clicks] == [1000, 2000]


def test_parquet_holes_are_counted(tmp_path: Path) -> None:
    columns = {
        "session_id": pa.array([1.0, None, 2.0, 3.0, float("nan")]),
        "item_id": pa.array([1, 2, None, 3, 4]),
        "ts": pa.array([1, 2, 3, None, 5]),
        "type": pa.array([None, "click", "click", "click", "click"]),
    }
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    raw = read_log(tmp_path / "log.parquet", ReadOptions(max_bad_share=1))
    assert raw.report.bad == Counter(missing_session=2, missing_item=1, missing_ts=1)
    assert list(iter_clicks(raw)) == [("1", "1", 1, "click")]


def test_fractions_and_infinities_are_no_ids(tmp_path: Path) -> None:
    columns = {"session_id": [1, 1, 1], "item_id": [1.5, float("inf"), 2.0], "ts": [1, 2, 3]}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    raw = read_log(tmp_path / "log.parquet", ReadOptions(max_bad_share=1))
    assert raw.report.bad == Counter(bad_item=2)


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"session_id": [1], "timestamp": [1]}, "no column item_id; there are session_id, timestamp"),
        ({"session_id": [1], "item_id": [1]}, "no column timestamp"),
        ({"session_id": [1], "item_id": [[1]], "ts": [1]}, "the item column holds list"),
        ({"session_id": [True], "item_id": [1], "ts": [1]}, "the session column holds bool"),
        ({"session_id": [1], "item_id": [1], "ts": [True]}, "the time column holds bool"),
    ],
)
def test_parquet_without_usable_columns_is_refused(tmp_path: Path, columns: dict[str, Any], fault: str) -> None:
    with pytest.raises(DataError, match=fault) as caught:
        parquet_clicks(tmp_path, columns)
    assert str(tmp_path / "log.parquet") in str(caught.value)


def test_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than one column item_id"):
        csv_clicks(tmp_path, "session_id,item_id,timestamp,item_id\n1,2,3,4\n")
    names, columns = ["session_id", "item_id", "timestamp", "session_id"], [pa.array([1])] * 4
    pq.write_table(pa.Table.from_arrays(columns, names=names), tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="more than one column session_id"):
        read_log(tmp_path / "twice.parquet")


def test_one_time_with_a_sign_costs_no_file(tmp_path: Path) -> None:
    assert [ts for *_, ts, _ in csv_clicks(tmp_path, "session_id,item_id,timestamp\n1,2,+5\n1,2,6\n")] == [5, 6]


def test_times_in_seconds_are_scaled_where_that_is_said_and_suspected_where_not(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("session_id,item_id,timestamp\n1,2,1700000000\n1,2,1700000100.5\n")
    assert "(--time-unit s)" in read_log(file).report.summary()
    raw = read_log(file, ReadOptions(ts_unit="s"))
    assert raw.ts.tolist() == [1_700_000_000_000, 1_700_000_100_500]
    assert not raw.report.doubts


def test_explicit_type_column_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column kind"):
        csv_clicks(tmp_path, "session_id,item_id,ts\n1,1,1\n", ReadOptions(columns=Columns(type="kind")))


def test_negative_feedback_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    kinds = ["like", "skip", "dislike", "hate", "order"]
    columns = {"session_id": [1] * 5, "item_id": [1, 2, 3, 4, 5], "ts": [1, 2, 3, 4, 5], "type": kinds}
    assert [click[3] for click in parquet_clicks(tmp_path, columns)] == ["like", "order"]
    every = ReadOptions(kinds=frozenset({"like", "skip", "dislike", "order"}))
    assert [click[3] for click in parquet_clicks(tmp_path, columns, every)] == [
        "like", "skip", "dislike", "dislike", "order",
    ]  # fmt: skip


def test_log_of_skips_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no event that can be used.*left out: skip 1"):
        csv_clicks(tmp_path, "session_id,item_id,ts,type\n1,1,1,skip\n")


def test_truncated_parquet_is_refused_with_its_name(tmp_path: Path) -> None:
    parquet_clicks(tmp_path, {"session_id": np.arange(999), "item_id": np.arange(999), "ts": np.arange(999)})
    file = tmp_path / "log.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"log\.parquet"):
        read_log(file)


@pytest.mark.skipif(not SHARED_DATA.exists(), reason=f"no data at {SHARED_DATA}")
def test_published_feedback_keeps_likes_and_leaves_dislikes_out() -> None:
    raw = read_log(SHARED_DATA / "kuairand_feedback.parquet")
    assert (raw.clicks, raw.report.left_out) == (33_707, Counter(dislike=7_997))
    assert sessions_of(build_log(raw))
