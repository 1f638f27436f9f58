"""Items of one file, line by line: CSV, Parquet, JSON lines. What is no item is counted in the report, and left out."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from export.errors import BadItem
from export.items.item import Item
from export.items.json_items import MAX_ITEM_BYTES, decode_item
from model.data.items.cells import ATTRIBUTE, columns_of, fields_of
from model.data.items.report import ItemsReport
from model.data.readers.formats.head import first_line, head
from model.data.readers.report import SAMPLE_CHARS
from model.data.readers.text.json_lines import JsonLine, json_lines
from model.data.readers.text.source import open_bytes, open_text
from model.errors import DataError

__all__ = ["READERS", "format_of"]

_DELIMITERS = ",;\t"
_LONGEST_CELL = MAX_ITEM_BYTES  # characters; a quote that never closes ends there
_BATCH_ROWS = 16_384
_NAMED = b'"attr.'  # a member that is one attribute, as columns are elsewhere


def format_of(path: Path) -> str:
    """Return csv, parquet or jsonl, by what a file begins with."""
    start = head(path)
    if start.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"[")) else "csv"


def _csv(path: Path, report: ItemsReport, item_column: str | None) -> Iterator[Item]:
    header = first_line(path)
    delimiter = max(_DELIMITERS, key=header.count)
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        with open_text(path) as source, io.TextIOWrapper(source, "utf-8", errors="replace", newline="") as text:
            rows = csv.reader(text, delimiter=delimiter)
            names = next(row for row in rows if row)
            columns = _columns(path, names, report, item_column)
            yield from _csv_rows(path, rows, len(names), report, lambda row: fields_of(columns, row))
    finally:
        csv.field_size_limit(before)


def _csv_rows(
    path: Path, rows: Any, width: int, report: ItemsReport, fields: Callable[[list[str]], dict[str, Any]]
) -> Iterator[Item]:
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:  # a cell that is too long: of a quote that never closes, most likely
            report.refuse("too_large", path, line, str(error), events=max(1, rows.line_num - line + 1))
            continue
        if row is None:
            return
        text = ",".join(row)[:SAMPLE_CHARS]
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != width:
            report.refuse("wrong_width", path, line, text)
        elif (item := report.judge(fields(row), path, line, text)) is not None:
            yield item


def _parquet(path: Path, report: ItemsReport, item_column: str | None) -> Iterator[Item]:
    with open_bytes(path) as source:
        packed = source.read(4) != b"PAR1"
    if packed:
        raise DataError(f"{path} is not Parquet")
    with pq.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
        columns = _columns(path, names, report, item_column)
        wanted = [names[place] for place, _ in columns]
        kinds = [(place, kind) for place, (_, kind) in enumerate(columns)]
        line = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
            held = [batch[name].to_pylist() for name in wanted]
            for row in zip(*held, strict=True):
                line += 1
                item = report.judge(fields_of(kinds, row), path, line, _shown(row))
                if item is not None:
                    yield item


def _shown(row: tuple[Any, ...]) -> str:
    return ", ".join(str(value)[:SAMPLE_CHARS] for value in row[:4])


def _jsonl(path: Path, report: ItemsReport, item_column: str | None) -> Iterator[Item]:
    with open_text(path) as source:
        for line in json_lines(path, source, report):
            try:
                item = _of_line(line, item_column)
            except BadItem as error:
                line.refuse(error.reason)
                continue
            report.lines += 1
            yield item


def _of_line(line: JsonLine, item_column: str | None) -> Item:
    """Return the item of a line, which may have columns in place of members of `attributes`."""
    content = line.content.strip()
    if item_column is None and _NAMED not in content:
        try:
            return decode_item(content)
        except BadItem as error:
            if error.reason != "wrong_type_attributes":
                raise
    try:
        found = msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return decode_item(content)  # which says why not
    if not isinstance(found, dict) or len(content) > MAX_ITEM_BYTES:
        return decode_item(content)
    attributes = found.get("attributes")
    described = {"attributes": attributes} if isinstance(attributes, list) else attributes
    named = {name[len(ATTRIBUTE) :]: values for name, values in found.items() if name.startswith(ATTRIBUTE)}
    if named and (described is None or isinstance(described, dict)):
        described = {**(described or {}), **named}
    item_id = found if item_column is None else {"item_id": found.get(item_column)}
    plain = {name: value for name, value in {**found, **item_id}.items() if name != "attributes"}
    return decode_item(msgspec.json.encode({**plain, "attributes": described}))


def _columns(path: Path, names: list[str], report: ItemsReport, item_column: str | None) -> list[tuple[int, str]]:
    try:
        columns, ignored = columns_of(names, item_column)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    report.ignored |= dict.fromkeys(ignored)
    return columns


READERS: dict[str, Callable[[Path, ItemsReport, str | None], Iterator[Item]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "jsonl": _jsonl,
}
