"""JSON lines, one click a line, as the stream takes them: what `kcat -C -t clicks` writes of the clicks topic.

Columns are the members of that name: `{"session_id": "s1", "item_id": "sku-7", "ts": 1700000000000, "type": "click"}`.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from model.data.readers.columns.arrow import Column
from model.data.readers.columns.clean import Rows
from model.data.readers.formats.names import TS, TYPE, find_columns
from model.data.readers.formats.otto import ids, is_id
from model.data.readers.options import Columns, ReadOptions
from model.data.readers.report import ReadReport
from model.data.readers.text.json_lines import JsonLine, decoded, json_lines, places
from model.data.readers.text.source import open_text
from model.errors import DataError

__all__ = ["click_of", "decode_line", "names_in", "read_jsonl", "times_of"]

LINES_AT_ONCE = 65_536

Click = tuple[int | str, int | str, int | float | str, int | str]  # session, item, time, kind


def read_jsonl(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the clicks of one file; the first line decides how the members are called."""
    columns: Columns | None = None
    with open_text(path, options.encoding) as source:
        lines = json_lines(path, source, report)
        while chunk := list(islice(lines, LINES_AT_ONCE)):
            columns = columns or names_in(chunk, options.columns)
            found = [(click, line) for line in chunk if (click := decode_line(line, columns)) is not None]
            report.lines += len(found)
            sessions, items, times, kinds = zip(*(click for click, _ in found), strict=True) if found else ((),) * 4
            kind = pa.array([str(kind) for kind in kinds], pa.string()).dictionary_encode()
            place = places([line for _, line in found])
            extra = _extra([line for _, line in found], columns.extra)
            otto = columns.item == "aid"
            yield Rows(ids(list(sessions)), ids(list(items)), times_of(times), kind, place, otto, extra=extra)


def names_in(lines: list[JsonLine], columns: Columns) -> Columns:
    """Return the names of session and item as the first object writes them, those given if it lacks one."""
    first = next((content for line in lines if isinstance(content := decoded(line.content), dict)), {})
    try:
        found = find_columns([*first, *(set(TS) - set(first))], columns)
        return Columns(
            session=found.session, item=found.item, ts=columns.ts, type=found.type or columns.type, extra=columns.extra
        )
    except DataError:
        return Columns(
            session=columns.session or "session_id",
            item=columns.item or "item_id",
            ts=columns.ts,
            type=columns.type,
            extra=columns.extra,
        )


def decode_line(line: JsonLine, columns: Columns) -> Click | None:
    """Return the click of a line; None, and the reason counted, where it is none."""
    click, reason = click_of(decoded(line.content), columns)
    if click is None:
        line.refuse(reason)
    return click


def click_of(content: Any, columns: Columns) -> tuple[Click | None, str]:
    """Return the click that a JSON value is, or what is wrong with it."""
    if not isinstance(content, dict):
        return None, "not_json"
    session, item = content.get(columns.session), content.get(columns.item)
    for name, value in (("session", session), ("item", item)):
        if not is_id(value):
            return None, f"missing_{name}" if value in (None, "") else f"bad_{name}"
    ts = content.get(columns.ts or next((name for name in TS if name in content), TS[0]))
    if not isinstance(ts, int | float | str) or isinstance(ts, bool):
        return None, "missing_ts" if ts is None else "bad_ts"
    kind = content.get(columns.type or TYPE)
    if kind is not None and not isinstance(kind, str) and (isinstance(kind, bool) or columns.item != "aid"):
        return None, "bad_type"
    return (cast("int | str", session), cast("int | str", item), ts, "click" if kind in (None, "") else kind), ""


def _extra(lines: list[JsonLine], name: str | None) -> Column | None:
    """Return a further member of each object as text."""
    if name is None:
        return None
    values = [decoded(line.content).get(name) for line in lines]
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def times_of(times: tuple[int | float | str, ...]) -> Column:
    """Return times as int64 where they all are whole numbers of that width, else as text."""
    try:
        return pa.array(times, pa.int64())
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([str(ts) for ts in times], pa.string())
