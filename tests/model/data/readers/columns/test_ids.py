"""Tests of `model.data.readers.columns.ids`: ids of the types that databases have."""

import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.readers import ReadOptions, iter_clicks, read_log

T0 = 1_700_000_000_000
ID = uuid.UUID("12345678-1234-5678-9234-567812345678")


def items(folder: Path, column: Any, **options: Any) -> tuple[list[str], dict[str, int]]:
    """Return the items of a Parquet file with this column, and what is bad."""
    count = len(column)
    pq.write_table(pa.table({"session_id": [1] * count, "item_id": column, "ts": [T0] * count}), folder / "log.parquet")
    raw = read_log(folder / "log.parquet", ReadOptions(max_bad_share=1.0, **options))
    return [item for _, item, _, _ in iter_clicks(raw)], dict(raw.report.bad)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([700, 701], pa.int64()),
        pa.array([700.0, 701.0]),
        pa.array([700.0, 701.0], pa.float32()),
        pa.array([Decimal(700), Decimal(701)], pa.decimal128(38, 0)),
        pa.array([Decimal("700.00"), Decimal("701.00")], pa.decimal128(12, 2)),
        pa.array([Decimal(700), Decimal(701)], pa.decimal256(60, 0)),
        pa.array(["700.0", "701"]),
        pa.array([" 700 ", "701.00"]),
        pa.array([b"700", b"701"], pa.binary(3)),
        pa.array(["700", "701"], pa.string_view()),
    ],
)
def test_numbers_of_any_type_are_the_same_items(tmp_path: Path, column: Any) -> None:
    if pa.types.is_string_view(column.type) and int(pa.__version__.split(".")[0]) < 22:
        pytest.skip("older versions of pyarrow write no string views")
    assert items(tmp_path, column) == (["700", "701"], {})


def test_decimals_beyond_64_bits_keep_their_digits_and_fractions_are_bad(tmp_path: Path) -> None:
    big = Decimal(10**30 + 1)
    assert items(tmp_path, pa.array([big, Decimal(7)], pa.decimal128(38, 0))) == ([str(10**30 + 1), "7"], {})
    column = pa.array([Decimal("7.50"), None, Decimal("8.00")], pa.decimal128(12, 2))
    assert items(tmp_path, column) == (["8"], {"bad_item": 1, "missing_item": 1})


@pytest.mark.parametrize(
    "column",
    [
        pa.array([ID.bytes, ID.bytes], pa.binary(16)),
        pa.array([ID.bytes, ID.bytes], pa.binary()),
        pa.array([str(ID), f" {ID}"]),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([ID.bytes, ID.bytes], pa.binary(16))),
    ],
)
def test_uuids_of_any_type_are_written_out(tmp_path: Path, column: Any) -> None:
    assert items(tmp_path, column) == ([str(ID), str(ID)], {})


def test_sixteen_bytes_of_text_are_text(tmp_path: Path) -> None:
    assert items(tmp_path, pa.array([b"sku-000000000001"], pa.binary(16))) == (["sku-000000000001"], {})


@pytest.mark.parametrize("word", ["NULL", "null", "nan", "NaN", "\\N", "None", "NA", "N/A", "<NA>", "undefined", "  "])
def test_words_for_nothing_are_no_ids(tmp_path: Path, word: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(f"session_id,item_id,timestamp\ns,a,{T0}\ns,{word},{T0}\n{word},a,{T0}\n")
    raw = read_log(file, ReadOptions(max_bad_share=1.0))
    assert dict(raw.report.bad) == {"missing_item": 1, "missing_session": 1}
    assert raw.clicks == 1


def test_csv_of_a_column_of_floats_has_the_items_of_parquet(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(f"session_id,item_id,timestamp\n1.0,214676010.0,{T0}\n1.0,,{T0}\n2.0,7.0,{T0}\n")
    raw = read_log(file, ReadOptions(max_bad_share=1.0))
    assert [click[:2] for click in iter_clicks(raw)] == [("1", "214676010"), ("2", "7")]
