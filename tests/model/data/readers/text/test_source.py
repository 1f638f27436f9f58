"""Tests of `model.data.readers.text.source`: packers and encodings."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from model.data.readers import ReadOptions, iter_clicks, read_log
from model.errors import DataError

T0 = 1_700_000_000_000
TEXT = "session_id,item_id,timestamp\n" + "".join(f"s{n // 3},ü{n % 4},{T0 + n}\n" for n in range(3_000))


def arrow_packed(codec: str) -> Callable[[bytes], bytes]:
    def pack(content: bytes) -> bytes:
        out = pa.BufferOutputStream()
        with pa.CompressedOutputStream(out, codec) as stream:  # type: ignore[arg-type]
            stream.write(content)
        return out.getvalue().to_pybytes()

    return pack


def zipped(content: bytes, *names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("log.csv",):
            archive.writestr(name, content)
    return out.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": arrow_packed("zstd"),
    "lz4": arrow_packed("lz4"),
    "zip": zipped,
}


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("named", [True, False])
def test_packed_file_is_read_whatever_its_name_says(tmp_path: Path, ending: str, named: bool) -> None:
    file = tmp_path / (f"log.csv.{ending}" if named else "log.csv")
    file.write_bytes(PACKERS[ending](TEXT.encode()))
    assert read_log(file).clicks == 3_000
    assert read_log(tmp_path).clicks == 3_000


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst"])
def test_packed_parts_one_behind_the_other_are_all_read(tmp_path: Path, ending: str) -> None:
    head, tail = TEXT[: len(TEXT) // 2].encode(), TEXT[len(TEXT) // 2 :].encode()
    file = tmp_path / f"log.csv.{ending}"
    file.write_bytes(PACKERS[ending](head) + PACKERS[ending](tail))
    assert read_log(file).clicks == 3_000


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("share", [0.2, 0.7, 0.99])
def test_packed_file_that_was_cut_is_refused_with_its_name(tmp_path: Path, ending: str, share: float) -> None:
    packed = PACKERS[ending](TEXT.encode())
    file = tmp_path / f"log.csv.{ending}"
    file.write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(DataError, match=rf"log\.csv\.{ending}"):
        read_log(file)


def test_zip_of_several_files_says_to_unpack_it(tmp_path: Path) -> None:
    (tmp_path / "log.zip").write_bytes(zipped(TEXT.encode(), "a.csv", "b.csv"))
    with pytest.raises(DataError, match="holds 2 files: unpack it"):
        read_log(tmp_path / "log.zip")


@pytest.mark.parametrize(
    ("encoding", "given"),
    [("cp1252", "cp1252"), ("latin-1", "latin-1"), ("utf-16", None), ("utf-16-le", "utf-16-le"), ("utf-8-sig", None)],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_text_of_another_encoding_is_read(tmp_path: Path, encoding: str, given: str | None, ends: str) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(TEXT.replace("\n", ends).encode(encoding))
    raw = read_log(file, ReadOptions(encoding=given))
    assert raw.clicks == 3_000
    assert {item for _, item, _, _ in iter_clicks(raw)} == {"ü0", "ü1", "ü2", "ü3"}


def test_jsonl_of_another_encoding_is_read(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(f'{{"session_id": "s", "item_id": "ü", "ts": {T0}}}\n'.encode("utf-16"))
    assert [item for _, item, _, _ in iter_clicks(read_log(file))] == ["ü"]


def test_ids_that_are_no_utf8_are_bad_and_other_columns_cost_nothing(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    lines = [f"s,a{n},{T0},caf\xe9" for n in range(9)] + [f"s,\xe9,{T0},x"]
    file.write_bytes("\n".join(["session_id,item_id,timestamp,title", *lines]).encode("latin-1"))
    raw = read_log(file, ReadOptions(max_bad_share=0.5))
    assert (raw.clicks, dict(raw.report.bad)) == (9, {"bad_item": 1})
    assert "--encoding" in raw.report.summary()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_text_without_the_mark_that_its_encoding_needs_is_refused(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(TEXT)
    with pytest.raises(DataError, match=r"log\.csv can't be read: .*--encoding"):
        read_log(file, ReadOptions(encoding=encoding))
