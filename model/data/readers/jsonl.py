"""JSON lines, one click a line, as the stream takes them: what `kcat -C -t clicks` writes of the clicks topic.

Columns are the members of that name: `{"session_id": "s1", "item_id": "sku-7", "ts": 1700000000000, "type": "click"}`.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import msgspec
import pyarrow as pa

from model.data.readers.arrow import Column
from model.data.readers.clean import Rows
from model.data.readers.named import TS_NAMES, TYPE_NAME
from model.data.readers.options import Columns, ReadOptions
from model.data.readers.otto import ids, is_id, refuse
from model.data.readers.raw import ReadReport
from model.data.readers.source import open_text_lines

__all__ = ["click_of", "decode_line", "read_jsonl", "times_of"]

LINES_AT_ONCE = 65_536

Click = tuple[int | str, int | str, int | float | str, str]  # session, item, time, kind


def read_jsonl(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the clicks of one file."""
    with open_text_lines(path) as lines:
        while chunk := list(islice(lines, LINES_AT_ONCE)):
            clicks = [click for line in chunk if line.strip() and (click := decode_line(line, options, report))]
            report.lines += len(clicks)
            sessions, items, times, kinds = zip(*clicks, strict=True) if clicks else ((), (), (), ())
            yield Rows(
                ids(list(sessions)), ids(list(items)), times_of(times), pa.array(kinds, pa.string()).dictionary_encode()
            )


def decode_line(line: bytes, options: ReadOptions, report: ReadReport) -> Click | None:
    """Return the click of a line; None, and the reason counted, where it is none."""
    try:
        content = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        content = None
    click, reason = click_of(content, options.columns)
    if click is None:
        refuse(report, reason)
    return click


def click_of(content: Any, columns: Columns) -> tuple[Click | None, str]:
    """Return the click that a JSON value is, or what is wrong with it."""
    if not isinstance(content, dict):
        return None, "not_json"
    session, item = content.get(columns.session), content.get(columns.item)
    for name, value in (("session", session), ("item", item)):
        if not is_id(value):
            return None, f"missing_{name}" if value in (None, "") else f"bad_{name}"
    ts = content.get(columns.ts or next((name for name in TS_NAMES if name in content), TS_NAMES[0]))
    if not isinstance(ts, int | float | str) or isinstance(ts, bool):
        return None, "missing_ts" if ts is None else "bad_ts"
    kind = content.get(columns.type or TYPE_NAME)
    if kind is not None and not isinstance(kind, str):
        return None, "bad_type"
    return (cast("int | str", session), cast("int | str", item), ts, kind or "click"), ""


def times_of(times: tuple[int | float | str, ...]) -> Column:
    """Return times as int64 where they all are whole numbers of that width, else as text."""
    try:
        return pa.array(times, pa.int64())
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([str(ts) for ts in times], pa.string())
