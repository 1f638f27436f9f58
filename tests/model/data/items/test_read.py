"""Tests of model/data/items: the same items in each form of file, and files that mean no good."""

import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.items.item import Item
from export.items.table import ItemTable
from model.data.items.read import ItemFile, read_items
from model.data.items.write import write_items
from model.errors import BadLines, DataError

WHEN = 1_700_000_000_000
FULL = Item("a", False, {"brand": ("x",), "colour": ("red", "blue")}, 2.5, 2.0, WHEN)
CSV = f"""item_id,available,price,boost,created_ts,attributes,attr.brand,attr.colour
a,false,2.5,2,{WHEN},,x,red|blue
b,,,,,"{{""brand"": ""y"", ""colour"": [1, 2]}}",,
7.0,YES,nan,1,2023-11-14T22:13:20Z,loose|ends,,
"""
WANTED = [
    FULL,
    Item("b", attributes={"brand": ("y",), "colour": ("1", "2")}),
    Item("7", attributes={"attributes": ("loose", "ends")}, created_ts=WHEN),
]


def items(found: ItemFile) -> list[Item]:
    return list(found.table)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lenient(path: Path) -> ItemFile:
    return read_items(path, max_bad_share=1.0)


@pytest.mark.parametrize("change", ["as it is", "mark", "utf-16", "gzip", "semicolon", "windows"])
def test_csv_is_read_however_it_was_written(tmp_path: Path, change: str) -> None:
    content = CSV.encode()
    if change == "mark":
        content = b"\xef\xbb\xbf" + content
    elif change == "utf-16":
        content = CSV.encode("utf-16")
    elif change == "gzip":
        content = gzip.compress(content)
    elif change == "semicolon":
        content = CSV.replace(",", ";").replace('""y""; ', '""y"", ').replace("[1; 2]", "[1, 2]").encode()
    elif change == "windows":
        content = CSV.replace("\n", "\r\n").encode()
    found = read_items(written(tmp_path, "items.csv", content))
    assert items(found) == WANTED
    assert (found.report.lines, found.report.kept, found.report.bad) == (3, 3, Counter())


def test_parquet_of_each_type_is_read(tmp_path: Path) -> None:
    table = pa.table(
        {
            "item_id": pa.array([1.0, 2.0, None, 4.0]),
            "available": pa.array([1, 0, 1, None], pa.int8()),
            "price": pa.array([Decimal("2.50"), None, None, None]),
            "boost": pa.array([float("nan"), 2.0, 1.0, 1.0]),
            "created_ts": pa.array([WHEN, None, None, 0], pa.timestamp("ms")),
            "attributes": pa.array(
                [[("brand", "x"), ("brand", "y")], [], None, [("n", "z|w")]], pa.map_(pa.string(), pa.string())
            ),
            "attr.size": pa.array([[1, 2], None, [], [3]]),
            "title": pa.array(["t"] * 4),
        }
    )
    pq.write_table(table, tmp_path / "items.parquet")
    found = lenient(tmp_path / "items.parquet")
    assert items(found) == [
        Item("1", attributes={"brand": ("x", "y"), "size": ("1", "2")}, price=2.5, created_ts=WHEN),
        Item("2", available=False, boost=2.0),
        Item("4", attributes={"n": ("z", "w"), "size": ("3",)}, created_ts=0),
    ]
    assert found.report.bad == Counter(empty_item_id=1)
    assert "columns not read: title" in found.report.summary()


def test_parquet_with_a_bare_list_or_a_struct_of_attributes_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item_id": [1, 2], "attributes": [[1, 162], [7]]}), tmp_path / "bare.parquet")
    assert items(read_items(tmp_path / "bare.parquet")) == [
        Item("1", attributes={"attributes": ("1", "162")}),
        Item("2", attributes={"attributes": ("7",)}),
    ]
    struct = pa.array([{"brand": "x", "sizes": [1, None]}, {"brand": None, "sizes": None}])
    pq.write_table(pa.table({"item_id": ["a", "b"], "attributes": struct}), tmp_path / "struct.parquet")
    assert items(read_items(tmp_path / "struct.parquet")) == [
        Item("a", attributes={"brand": ("x",), "sizes": ("1",)}),
        Item("b"),
    ]


def test_json_lines_are_read_as_the_topic_has_them_and_with_columns(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"item_id": "a", "available": False, "attributes": {"brand": "x", "colour": ["red", "blue"]}, "price": 2.5,
         "boost": 2, "created_ts": WHEN},
        {"item_id": "b", "attr.brand": "y", "attr.colour": [1, 2]},
        {"item_id": 7, "attributes": ["loose", "ends"], "created_ts": WHEN, "title": {"de": "x"}},
    ]  # fmt: skip
    content = "\ufeff" + "\n\n".join(json.dumps(line) for line in lines)
    assert items(read_items(written(tmp_path, "items.jsonl", content))) == WANTED


def test_item_said_twice_counts_by_its_last_line_and_is_counted(tmp_path: Path) -> None:
    found = read_items(written(tmp_path, "i.csv", "item_id,price\na,1\nb,1\n a ,2\na,3\n"))
    assert items(found) == [Item("a", price=3.0), Item("b", price=1.0)]
    assert found.report.duplicates == 2
    assert "2 said again later" in found.report.summary()


def test_folder_is_read_in_the_order_of_names_and_copies_once(tmp_path: Path) -> None:
    written(tmp_path, "1.csv", "item_id,price\na,1\nb,1\n")
    written(tmp_path, "2.jsonl", '{"item_id": "a", "price": 2}\n')
    written(tmp_path, "3.csv", "item_id,price\na,1\nb,1\n")
    found = read_items(tmp_path)
    assert items(found) == [Item("a", price=2.0), Item("b", price=1.0)]
    assert list(found.report.files.values()) == ["csv", "jsonl"]
    assert "not read" in found.report.summary()


BAD_CELLS = [
    ("available", "perhaps", "wrong_type_available"),
    ("price", "3,50", "wrong_type_price"),
    ("price", "-1", "out_of_range_price"),
    ("price", "1_000", "wrong_type_price"),
    ("price", "inf", "wrong_type_price"),
    ("price", "1e300", "out_of_range_price"),
    ("boost", "0", "out_of_range_boost"),
    ("boost", "-2", "out_of_range_boost"),
    ("created_ts", "yesterday", "wrong_type_created_ts"),
    ("created_ts", "1700000000", "created_ts_seconds"),
    ("created_ts", "-5", "out_of_range_created_ts"),
    ("attributes", "{not json", "wrong_type_attributes"),
    ("attributes", '{"a": {"b": 1}}', "wrong_type_attributes"),
    ("attr.brand", "x" * 300, "too_long_attributes"),
    ("attr.brand", "a\x01b", "control_characters_attributes"),
    ("attr.brand", "a\udcffb", "control_characters_attributes"),
    ("attr.brand", "x" * 70_000, "too_large"),
]


@pytest.mark.parametrize(("column", "cell", "reason"), BAD_CELLS)
def test_cell_that_breaks_a_rule_refuses_its_line_only(tmp_path: Path, column: str, cell: str, reason: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    content = f"item_id,{column}\nbefore,\nbad,{quoted}\nafter,\n".encode("utf-8", "surrogateescape")
    found = lenient(written(tmp_path, "items.csv", content))
    assert [item.item_id for item in found.table] == ["before", "after"]
    assert found.report.bad == Counter({reason: 1})
    [sample] = found.report.samples
    assert (sample.line, sample.reason) == (3, reason)


def test_quote_that_never_closes_refuses_what_it_swallows_and_says_how_much(tmp_path: Path) -> None:
    rows = "".join(f"i{number},ok\n" for number in range(20_000))
    found = lenient(written(tmp_path, "items.csv", f'item_id,attr.n\na,"open\n{rows}'))
    assert found.report.bad["too_large"] > 1
    assert found.report.lines == 20_001
    assert found.report.kept + found.report.bad_lines == 20_001


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"item_id": "a", "price": NaN}', "not_json"),
        ('{"item_id": "a"', "not_json"),
        ('["a"]', "not_object"),
        ('{"item_id": "a", "attr.": 1, "attributes": {"": 1}}', "empty_attributes"),
        ('{"item_id": null, "attr.x": 1}', "wrong_type_item_id"),
        ('{"price": 1}', "missing_item_id"),
        ('{"item_id": "' + "x" * 70_000 + '"}', "too_large"),
        ('{"item_id": "a", "attr.x": "' + "x" * 70_000 + '"}', "too_large"),
    ],
)
def test_line_of_json_that_is_no_item_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    found = lenient(written(tmp_path, "items.jsonl", f'{{"item_id": "z"}}\n{line}\n'))
    assert (items(found), found.report.bad) == ([Item("z")], Counter({reason: 1}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("i.csv", "", "empty"),
        ("i.csv", "sku,price\na,1\n", "no column item_id; there are sku, price"),
        ("i.csv", "item_id,ITEM_ID\na,b\n", "more than one column item_id"),
        ("i.csv", "item_id,price\n", "no item that can be used"),
        ("i.csv", "item_id,price\na,-1\n", "1 of 1 lines are bad"),
        ("i.csv", "item_id,price\na,1,2\n", "wrong_width"),
        ("i.parquet", b"PAR1 and no more", "can't be read as parquet"),
        ("i.csv.gz", gzip.compress(b"item_id\na\n", mtime=0)[:-6], "can't be read"),
    ],
)
def test_file_that_is_no_good_is_refused_with_its_name(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as refused:
        read_items(path)
    assert str(path) in str(refused.value)


def test_too_many_bad_lines_are_refused_with_samples(tmp_path: Path) -> None:
    content = "item_id,price\n" + "".join(f"i{n},{-1 if n % 10 == 0 else 1}\n" for n in range(100))
    path = written(tmp_path, "items.csv", content)
    with pytest.raises(BadLines, match=r"10 of 100 lines are bad \(out_of_range_price 10\)[\s\S]*items.csv:2: i0,-1"):
        read_items(path)
    assert read_items(path, max_bad_share=0.1).report.kept == 90


def test_no_such_path_or_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_items(tmp_path / "none")
    with pytest.raises(DataError, match="no file of items"):
        read_items(tmp_path)


def test_other_item_column_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "items.csv", "sku,item_id,price\na,1,2\n")
    assert items(read_items(path, item_column="sku")) == [Item("a", price=2.0)]
    lines = written(tmp_path, "items.jsonl", '{"sku": "a", "item_id": "1", "price": 2}\n')
    assert items(read_items(lines, item_column="sku")) == [Item("a", price=2.0)]


TEXTS = st.text(st.sampled_from("abé ,;|\"'/{}"), min_size=1, max_size=6).filter(lambda text: text.strip(" ") != "")


@given(st.lists(st.builds(Item, st.sampled_from("abcdef"), st.booleans(),
       st.dictionaries(st.sampled_from(["n", "attr.m", "x y"]), st.lists(TEXTS.map(lambda t: t.strip(" ")), min_size=1,
       max_size=3, unique=True).map(tuple), max_size=2), st.none() | st.floats(0, 1e6), st.floats(0.1, 10),
       st.none() | st.just(WHEN)), min_size=1, max_size=8))  # fmt: skip
def test_table_written_and_read_is_the_same(tmp_path_factory: pytest.TempPathFactory, said: list[Item]) -> None:
    table = ItemTable()
    for item in said:
        table.put(item)
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    assert write_items(table, path) == len(table)
    assert items(read_items(path)) == list(table)
