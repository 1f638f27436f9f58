"""Tests of `model.data.readers.formats.parquet`: a session a row, with lists."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.readers import Columns, ReadOptions, iter_clicks, read_log
from model.errors import DataError

T0 = 1_700_000_000_000


def write(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "log.parquet")
    return folder / "log.parquet"


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.large_list(pa.int64())])
def test_session_a_row_is_as_many_clicks_as_its_lists_hold(tmp_path: Path, kind: Any) -> None:
    file = write(
        tmp_path,
        session=[7, 8, 9],
        aid=pa.array([[1, 2], [], [3]], kind),
        ts=pa.array([[T0, T0 + 1], [], [T0 + 2]], kind),
        type=pa.array([[0, 1], [], [2]], pa.list_(pa.int8())),
    )
    raw = read_log(file)
    assert list(iter_clicks(raw)) == [
        ("7", "1", T0, "click"),
        ("7", "2", T0 + 1, "cart"),
        ("9", "3", T0 + 2, "order"),
    ]
    assert raw.report.lines == 3


def test_lists_by_other_names_and_empty_rows(tmp_path: Path) -> None:
    file = write(tmp_path, visit=["a", "b", "c"], skus=[["x", None], None, ["y"]], at=[[T0, T0], None, [T0]])
    options = ReadOptions(columns=Columns(session="visit", item="skus", ts="at"), max_bad_share=1.0)
    raw = read_log(file, options)
    assert [click[:2] for click in iter_clicks(raw)] == [("a", "x"), ("c", "y")]
    assert dict(raw.report.bad) == {"missing_item": 1}


def test_lists_of_unequal_length_are_bad_with_their_row(tmp_path: Path) -> None:
    file = write(tmp_path, session=[7, 8], aid=[[1, 2], [3]], ts=[[T0], [T0]])
    raw = read_log(file, ReadOptions(max_bad_share=1.0))
    assert raw.report.lines == 3
    assert raw.report.shown() == ["unequal_lists at log.parquet:1: session 7"]
    assert list(iter_clicks(raw)) == [("8", "3", T0, "click")]


def test_lists_of_one_column_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the item column holds lists"):
        read_log(write(tmp_path, session=[7], aid=[[1, 2]], ts=[T0]))
