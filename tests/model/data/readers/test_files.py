"""Tests of `model.data.readers.files`: which files of a folder are the log."""

import gzip
from pathlib import Path

import pytest

from model.data.readers import read_log
from model.errors import DataError

T0 = 1_700_000_000_000
HEADER = "session_id,item_id,timestamp\n"
TEXT = HEADER + "".join(f"s{n // 3},i{n % 4},{T0 + n}\n" for n in range(12))


def test_parts_without_an_ending_are_read(tmp_path: Path) -> None:
    for number, name in enumerate(("part-00000", "part-00001", "part-00002-0a1b.c000", "clicks")):
        (tmp_path / name).write_text(TEXT.replace("\ns", f"\nt{number}"))
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part-00000.crc").write_bytes(b"crc\0")
    raw = read_log(tmp_path)
    assert (raw.clicks, raw.report.skipped) == (48, {})


@pytest.mark.parametrize("copy", ["a.csv.gz", "b.csv", "deep/a.csv"])
def test_copy_of_a_file_is_no_second_log(tmp_path: Path, copy: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.csv").write_text(TEXT)
    content = TEXT.encode()
    (tmp_path / copy).write_bytes(gzip.compress(content) if copy.endswith(".gz") else content)
    raw = read_log(tmp_path)
    assert raw.clicks == 12
    assert raw.report.skipped == {str(tmp_path / copy): "the same content as a.csv"}
    assert "the same content as a.csv" in raw.report.summary()


def test_packed_copy_that_differs_is_refused_with_both_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TEXT)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT[:-20].encode()))
    with pytest.raises(DataError, match=r"a\.csv and .*a\.csv\.gz"):
        read_log(tmp_path)


def test_file_with_another_header_is_left_out_aloud(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TEXT)
    (tmp_path / "b.csv").write_text(TEXT.replace(HEADER, "visitor,sku,at\n"))
    summary = read_log(tmp_path).report.summary()
    assert "b.csv" in summary
    assert "visitor, sku, at" in summary
    assert "--session-column" in summary


def test_file_with_its_header_in_capitals_is_read_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TEXT)
    (tmp_path / "b.csv").write_text(TEXT.replace(HEADER, HEADER.upper()).replace("s", "t"))
    assert read_log(tmp_path).clicks == 24


def test_folder_without_a_log_says_what_its_files_are(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("visitor,sku,at\n1,2,3\n")
    with pytest.raises(DataError, match=r"holds no click log.*b\.csv.*visitor, sku, at"):
        read_log(tmp_path)
