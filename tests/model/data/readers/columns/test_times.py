"""Tests of `model.data.readers.columns.times` and `iso`: units, zones, and what is doubted."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.readers import RawLog, ReadOptions, iter_clicks, read_log
from model.errors import BadLines

NOON = 1_569_931_200_000  # 2019-10-01T12:00:00Z
PER_MS = {"s": (1, 1000), "ms": (1, 1), "us": (1000, 1), "ns": (1_000_000, 1)}


def read(folder: Path, *times: object, **options: Any) -> RawLog:
    file = folder / "log.csv"
    lines = [f"s{n // 3},i{n % 4},{ts}" for n, ts in enumerate(times)]
    file.write_text("\n".join(["session_id,item_id,timestamp", *lines]) + "\n")
    return read_log(file, ReadOptions(**{"max_bad_share": 1.0, **options}))


def counted(unit: str, ts: int) -> int:
    times, by = PER_MS[unit]
    return ts * times // by


@pytest.mark.parametrize(
    "text",
    [
        "2019-10-01 12:00:00 UTC",
        "2019-10-01 12:00:00 GMT",
        "2019-10-01 12:00:00+00",
        "2019-10-01 14:00:00+02",
        "2019-10-01 07:00:00-05",
        "2019-10-01 12:00:00+0000",
        "2019-10-01 12:00:00 +0000",
        "2019-10-01 12:00:00 +0000 UTC",
        "2019-10-01 17:30:00+05:30",
        "2019-10-01T12:00:00z",
        "2019-10-01T12:00:00,000Z",
        "2019-10-01 12:00:00.000000 UTC",
        "2019/10/01 12:00:00",
        "2019-10-01 12:00",
    ],
)
def test_zones_and_spellings_of_databases_are_times(tmp_path: Path, text: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(f'session_id;item_id;timestamp\ns;a;{text}\ns;b;"{text}"\ns;c;{NOON}\n')
    raw = read_log(file)
    assert raw.ts.tolist() == [NOON] * 3
    file.write_text(f"session_id;item_id;timestamp\ns;a;{text}\n")  # alone in its column
    assert read_log(file).ts.tolist() == [NOON]


@pytest.mark.parametrize("unit", PER_MS)
def test_numbers_of_any_unit_are_times_where_it_is_said(tmp_path: Path, unit: str) -> None:
    value = counted(unit, NOON)
    raw = read(tmp_path, value, f"{value}.0", f"+{value}", ts_unit=unit)
    assert raw.ts.tolist() == [NOON] * 3
    assert not raw.report.doubts
    for column in ([value, None], [Decimal(value), None], pa.array([value, None], pa.int64())):
        table = pa.table({"session_id": [1, 1], "item_id": [1, 2], "ts": column})
        pq.write_table(table, tmp_path / "log.parquet")
        parquet = read_log(tmp_path / "log.parquet", ReadOptions(ts_unit=unit, max_bad_share=1.0))  # type: ignore[arg-type]
        assert parquet.ts.tolist() == [NOON]
        assert parquet.report.bad == {"missing_ts": 1}


def test_nanoseconds_are_not_rounded_by_way_of_floats(tmp_path: Path) -> None:
    assert read(tmp_path, 1_569_931_200_999_999_999, ts_unit="ns").ts.tolist() == [NOON + 999]


@pytest.mark.parametrize(  # nanoseconds as seconds do not fit into 64 bits: refused, but without a remedy
    ("said", "real"), [(said, real) for said in PER_MS for real in PER_MS if (said, real) != ("s", "ns")]
)
def test_wrong_unit_is_doubted_aloud_with_the_right_one(tmp_path: Path, real: str, said: str) -> None:
    values = [counted(real, NOON + n * 1000) for n in range(3)]
    try:
        summary = read(tmp_path, *values, ts_unit=said, max_bad_share=0.0).report.summary()
    except BadLines as error:
        summary = str(error)
    assert (f"--time-unit {real}" in summary) == (real != said)


def test_seconds_of_2014_are_doubted(tmp_path: Path) -> None:
    raw = read(tmp_path, *(1_396_860_000 + n for n in range(36)))
    assert raw.report.doubts == ["all times are before 1971: are they seconds (--time-unit s)?"]


def test_early_and_future_times_are_counted_aloud(tmp_path: Path) -> None:
    summary = read(tmp_path, NOON, 5, NOON, 32_503_680_000_000).report.summary()
    assert "1 of 4 times are before 1971" in summary
    assert "1 of 4 times are in the future, up to 3000-01-01" in summary
    assert "is that the right column" in read(tmp_path, 5, 6, 7).report.summary()


def test_bad_times_are_shown_with_their_lines(tmp_path: Path) -> None:
    raw = read(tmp_path, NOON, "soon", NOON, "2019-02-30 00:00:00 UTC", "")
    assert [str(sample) for sample in sorted(raw.report.samples, key=lambda sample: sample.line)] == [
        "bad_ts at log.csv:3: s0,i1,soon",
        "bad_ts at log.csv:5: s1,i3,2019-02-30 00:00:00 UTC",
        "missing_ts at log.csv:6: s1,i0,",
    ]
    with pytest.raises(BadLines, match=r"bad_ts at log\.csv:3: s0,i1,soon"):
        read(tmp_path, NOON, "soon", max_bad_share=0.1)


def test_bad_rows_of_parquet_are_shown_with_their_numbers(tmp_path: Path) -> None:
    table = pa.table({"session_id": [1, 1, 2], "item_id": [5, None, 7], "ts": [NOON, NOON, -3]})
    pq.write_table(table, tmp_path / "log.parquet")
    raw = read_log(tmp_path / "log.parquet", ReadOptions(max_bad_share=1.0))
    assert raw.report.shown() == [
        f"missing_item at log.parquet:2: 1, None, {NOON}",
        "negative_ts at log.parquet:3: 2, 7, -3",
    ]
    assert len(list(iter_clicks(raw))) == 1
