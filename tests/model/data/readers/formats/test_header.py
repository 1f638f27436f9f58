"""Tests of `model.data.readers.formats`: headers as people's tools write them, and what is said of others."""

from pathlib import Path

import pytest

from model.data.readers import Columns, ReadOptions, iter_clicks, read_log
from model.errors import DataError

T0 = 1_700_000_000_000
LINES = [f"s{n // 3},i{n % 4},{T0 + n}" for n in range(12)]


def write(folder: Path, header: str, lines: list[str] | None = None, name: str = "log.csv") -> Path:
    file = folder / name
    file.write_text("\n".join([*([header] if header else []), *(LINES if lines is None else lines)]) + "\n")
    return file


@pytest.mark.parametrize(
    "header",
    [
        "session_id, item_id, timestamp",
        " session_id ,item_id ,\ttimestamp",
        "Session_ID,Item_ID,Timestamp",
        "SESSION_ID,ITEM_ID,TS",
        "SessionId,ItemId,TimeStamp",
        "session-id,item id,timestamp",
        '"session_id", "item_id", "timestamp"',
        "session,aid,ts",
        "\ufeffsession_id,item_id,timestamp",
    ],
)
def test_header_in_another_spelling_is_understood(tmp_path: Path, header: str) -> None:
    assert read_log(write(tmp_path, header)).clicks == 12


def test_exact_name_goes_before_another_spelling(tmp_path: Path) -> None:
    file = write(tmp_path, "Item_ID,session_id,item_id,timestamp", [f"x,s,a,{T0}"])
    assert next(iter_clicks(read_log(file)))[1] == "a"
    with pytest.raises(DataError, match="more than one column item_id"):
        read_log(write(tmp_path, "Item_ID,session_id,ITEM_ID,timestamp", [f"x,s,a,{T0}"]))


@pytest.mark.parametrize("delimiter", ["|", ";", "\t", ","])
def test_delimiter_is_found_by_the_header(tmp_path: Path, delimiter: str) -> None:
    lines = [line.replace(",", delimiter) for line in LINES]
    assert read_log(write(tmp_path, f"session_id{delimiter}item_id{delimiter}timestamp", lines)).clicks == 12


@pytest.mark.parametrize("delimiter", ["^", " ", "\x01", "~"])
def test_delimiter_that_is_given_is_used(tmp_path: Path, delimiter: str) -> None:
    lines = [line.replace(",", delimiter) for line in LINES]
    file = write(tmp_path, f"session_id{delimiter}item_id{delimiter}timestamp", lines)
    assert read_log(file, ReadOptions(delimiter=delimiter)).clicks == 12
    if delimiter != " ":
        with pytest.raises(DataError, match="--delimiter"):
            read_log(file)


def test_log_without_a_header_is_read_by_numbers(tmp_path: Path) -> None:
    assert read_log(write(tmp_path, ""), ReadOptions(header=False)).clicks == 12
    lines = [f"{T0},x,i{n},s,cart" for n in range(4)]
    columns = Columns(session="4", item="3", ts="1", type="5")
    clicks = list(iter_clicks(read_log(write(tmp_path, "", lines), ReadOptions(header=False, columns=columns))))
    assert clicks[0] == ("s", "i0", T0, "cart")
    assert len(clicks) == 4


def test_first_line_that_is_no_header_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--no-header"):
        read_log(write(tmp_path, ""))


def test_misnamed_columns_are_named_with_the_options_that_choose_them(tmp_path: Path) -> None:
    file = write(tmp_path, "visitor,sku,at")
    for options in (ReadOptions(), ReadOptions(format="csv")):
        with pytest.raises(DataError) as caught:
            read_log(file, options)
        for text in ("visitor, sku, at", "--session-column", "--item-column", "--time-column", "log.csv"):
            assert text in str(caught.value)
    jsonl = tmp_path / "log.jsonl"
    jsonl.write_text(f'{{"visitor": "s", "sku": "a", "at": {T0}}}\n')
    with pytest.raises(DataError, match=r"visitor, sku.*--session-column, --item-column"):
        read_log(jsonl)


def test_jsonl_in_other_spelling_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(f'{{"sessionId": "s", "ItemId": "a", "ts": {T0}}}\n')
    assert list(iter_clicks(read_log(file))) == [("s", "a", T0, "click")]


def test_kinds_by_the_names_of_a_shop_are_mapped(tmp_path: Path) -> None:
    lines = [f"s,i,{T0 + n},{kind}" for n, kind in enumerate(["Visit", "bought", "view", "purchase", "wish"])]
    file = write(tmp_path, "session_id,item_id,timestamp,type", lines)
    options = ReadOptions(type_map={"visit": "click", "bought": "order", "view": "like"})
    raw = read_log(file, options)
    assert [kind for *_, kind in iter_clicks(raw)] == ["click", "order", "like", "order"]
    assert raw.report.left_out == {"wish": 1}
    assert "--type-map wish=click" in raw.report.summary()


def test_numbers_of_kinds_are_left_out_aloud_unless_they_are_ottos(tmp_path: Path) -> None:
    lines = [f"1,2,{T0},0", f"1,2,{T0},1", f"1,2,{T0},2"]
    otto = read_log(write(tmp_path, "session,aid,ts,type", lines))
    assert [kind for *_, kind in iter_clicks(otto)] == ["click", "cart", "order"]
    with pytest.raises(DataError, match=r"left out: 0 1, 1 1, 2 1"):
        read_log(write(tmp_path, "session_id,item_id,ts,type", lines))
    options = ReadOptions(type_map={"0": "click", "1": "cart", "2": "skip"})
    mapped = read_log(write(tmp_path, "session_id,item_id,ts,type", lines), options)
    assert [kind for *_, kind in iter_clicks(mapped)] == ["click", "cart"]
