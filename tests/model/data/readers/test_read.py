"""Tests of `model.data.readers`: files and folders, and what is refused; `options` and `gaps`."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ConfigError
from model.data import readers
from model.data.readers import Columns, ReadOptions, iter_clicks, read_log
from model.data.readers.gaps import cut_at_gaps
from model.errors import BadLines, CheckpointError, DataError, TrainingError

CSV = "session_id,item_id,ts\n"
T0 = 1_700_000_000_000


def test_folder_of_several_formats_is_one_log(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.csv").write_text(CSV + f"1,10,{T0 + 1}\n1,11,{T0 + 2}\n")
    table = pa.table({"session_id": ["1", "x"], "item_id": [10, 12], "ts": [T0 + 3, T0 + 4]})
    pq.write_table(table, tmp_path / "deep/b.parquet")
    event = f'{{"session": 5, "events": [{{"aid": "n", "ts": {T0 + 5}, "type": "orders"}}]}}\n'
    (tmp_path / "c.jsonl").write_text(event)
    raw = read_log(tmp_path)
    assert list(iter_clicks(raw)) == [
        ("1", "10", T0 + 1, "click"),
        ("1", "11", T0 + 2, "click"),
        ("1", "10", T0 + 3, "click"),
        ("x", "12", T0 + 4, "click"),
        ("5", "n", T0 + 5, "order"),
    ]
    assert sorted(raw.report.files.values()) == ["csv", "otto", "parquet"]
    assert raw.report.summary() == "5 of 5 events from 3 files"


def test_hidden_and_foreign_files_of_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(CSV + "1,1,1\n")
    (tmp_path / "_temporary").mkdir()
    for name in (".log.csv", "_SUCCESS", "_temporary/part.csv", "notes.md"):
        (tmp_path / name).write_text("no log")
    (tmp_path / "items.csv").write_text("item_id,price\n1,2\n")
    raw = read_log(tmp_path)
    assert raw.clicks == 1
    assert list(raw.report.skipped) == [str(tmp_path / "items.csv")]


@pytest.mark.parametrize("content", ["", "\n\n", "hello\n", "a,b,c\n1,2,3\n", "\x00\x01\x02"])
def test_file_that_is_no_log_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(DataError, match=r"log\.csv"):
        read_log(tmp_path / "log.csv")
    with pytest.raises(DataError, match="holds no click log"):
        read_log(tmp_path)


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", "\ufeff\n", "\x1c"])
def test_file_without_a_line_is_refused_as_empty(tmp_path: Path, content: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="is empty"):
        read_log(file)


def test_json_in_a_folder_that_holds_no_events_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text("session_id,item_id,timestamp\n1,2,3\n1,3,4\n")
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "manifest.json").write_text('{"format": 1, "items": 3}\n')
    raw = read_log(tmp_path)
    assert (raw.clicks, raw.report.bad.total(), len(raw.report.skipped)) == (2, 0, 1)


def test_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        read_log(tmp_path / "nowhere")


def test_header_without_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(CSV)
    with pytest.raises(DataError, match="holds no event that can be used"):
        read_log(tmp_path / "log.csv")


@pytest.mark.parametrize("format", readers.FORMATS)
def test_wrong_format_given_is_an_error_for_people(tmp_path: Path, format: Any) -> None:
    (tmp_path / "log.bin").write_bytes(b"\x00\xff binary; nothing,\nto see\n")
    with pytest.raises(DataError, match=r"log\.bin"):
        read_log(tmp_path / "log.bin", ReadOptions(format=format))


def test_format_given_overrides_the_content(tmp_path: Path) -> None:
    (tmp_path / "clicks").write_text("1,1970-01-01T00:00:00Z,5,\n")
    assert list(read_log(tmp_path / "clicks").report.files.values()) == ["yoochoose"]
    with pytest.raises(DataError, match="no column session_id"):
        read_log(tmp_path / "clicks", ReadOptions(format="csv"))


def test_bad_share_counts_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(CSV + "1,1,1\n" * 300)
    (tmp_path / "poor.csv").write_text(CSV + "1,1,1\n,1,1\n")
    assert read_log(tmp_path).report.bad_share == pytest.approx(1 / 302)
    with pytest.raises(BadLines, match="1 of 302"):
        read_log(tmp_path, ReadOptions(max_bad_share=0.001))


@pytest.mark.parametrize(
    "options",
    [
        {"format": "tsv"},
        {"kinds": frozenset()},
        {"kinds": frozenset({"wish"})},
        {"ts_unit": "min"},
        {"delimiter": "||"},
        {"delimiter": '"'},
        {"encoding": "utf-99"},
        {"encoding": "base64"},
        {"type_map": {"view": "wish"}},
        {"max_bad_share": 1.5},
        {"session_gap_ms": -1},
    ],
)
def test_bad_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ReadOptions(**options)


def test_empty_column_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="name of the item column"):
        Columns(item="")


def test_gap_starts_a_new_session_and_equal_gap_does_not(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(CSV + "b,1,0\na,1,5\nb,2,10\nb,3,21\nb,4,21\nb,5,40\n")
    raw = read_log(tmp_path / "log.csv", ReadOptions(session_gap_ms=10))
    assert [click[:2] for click in iter_clicks(raw)] == [
        ("b", "1"), ("a", "1"), ("b", "2"), ("b~2", "3"), ("b~2", "4"), ("b~3", "5"),
    ]  # fmt: skip
    whole = read_log(tmp_path / "log.csv")
    assert cut_at_gaps(whole, 1000) is whole


def test_data_errors_end_the_command_with_wrong_input_and_the_others_with_failed() -> None:
    assert (DataError.exit_code, BadLines.exit_code) == (2, 2)
    assert (TrainingError.exit_code, CheckpointError.exit_code) == (1, 1)


def test_readers_export_what_they_say() -> None:
    assert all(hasattr(readers, name) for name in readers.__all__)
    assert sorted(readers.__all__, key=str) == sorted(set(readers.__all__))


OTTO_LINES = b'{"session": 1, "events": [{"aid": 5, "ts": 9, "type": "clicks"}, {"aid": 6, "ts": 10}]}\n' * 3
CSV_LINES = b'session_id,item_id,ts,type\n"s 1",5,9,click\ns,6,2014-04-07T10:51:09.277Z,\n' * 1
YOOCHOOSE_LINES = b"1,2014-04-07T10:51:09.277Z,214536502,0\n" * 3
DIGINETICA_LINES = b"sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n"
RETAILROCKET_LINES = b"timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"


@given(
    content=st.sampled_from([OTTO_LINES, CSV_LINES, YOOCHOOSE_LINES, DIGINETICA_LINES, RETAILROCKET_LINES]),
    edits=st.lists(st.tuples(st.integers(0, 250), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4),
    share=st.sampled_from([0.01, 1.0]),
)
def test_damaged_text_is_read_or_refused_and_every_line_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, edits: list[tuple[int, int, bytes]], share: float
) -> None:
    for place, removed, added in edits:
        content = content[:place] + added + content[place + removed :]
    file = tmp_path_factory.mktemp("damaged") / "log.txt"
    file.write_bytes(content)
    try:
        raw = read_log(file, ReadOptions(max_bad_share=share))
    except DataError:
        with pytest.raises(DataError, match=r"log\.txt"):
            read_log(file, ReadOptions(max_bad_share=share))
        return
    report = raw.report
    assert report.lines == report.kept + report.bad_lines + report.left_out.total()
    assert raw.clicks == report.kept
    assert all(ts >= 0 and session and item for session, item, ts, _ in iter_clicks(raw))
