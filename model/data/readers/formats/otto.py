"""OTTO: a JSON line a session, `{"session": 1, "events": [{"aid": 5, "ts": 1661724000278, "type": "clicks"}]}`.

Source: otto-de/recsys-dataset. Lines are decoded into typed records; a line that does not fit is looked at event by
event, so that one bad event doesn't cost the session.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from model.data.readers.columns.arrow import Column
from model.data.readers.columns.clean import Place, Rows
from model.data.readers.columns.times import MAX_TS
from model.data.readers.options import ReadOptions
from model.data.readers.report import ReadReport
from model.data.readers.text.json_lines import JsonLine, decoded, json_lines, places
from model.data.readers.text.source import open_text

__all__ = ["Event", "Session", "decode_line", "fault", "ids", "is_id", "read_otto", "rows_of", "salvage"]

LINES_AT_ONCE = 8_192  # sessions whose events are Python objects at the same time


class Event(msgspec.Struct, gc=False):
    """One event as published."""

    aid: int | str
    ts: Annotated[int, msgspec.Meta(ge=0, le=MAX_TS)]
    type: str = "clicks"


class Session(msgspec.Struct, gc=False):
    """One line as published."""

    session: int | str
    events: list[Event]


DECODER = msgspec.json.Decoder(Session)


def read_otto(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[Rows]:
    """Yield the events of one file."""
    with open_text(path, options.encoding) as source:
        lines = json_lines(path, source, report)
        while chunk := list(islice(lines, LINES_AT_ONCE)):
            found = [(session, line) for line in chunk if (session := decode_line(line)) is not None]
            sessions = [session for session, _ in found]
            report.lines += sum(len(session.events) for session in sessions)
            yield rows_of(sessions, places([line for session, line in found for _ in session.events]))


def rows_of(sessions: list[Session], place: Place) -> Rows:
    """Return the events of some sessions column by column."""
    return Rows(
        ids([session.session for session in sessions for _ in session.events]),
        ids([event.aid for session in sessions for event in session.events]),
        pa.array([event.ts for session in sessions for event in session.events], pa.int64()),
        pa.array([event.type for session in sessions for event in session.events], pa.string()).dictionary_encode(),
        place,
        unit="ms",
    )


def ids(values: list[int | str]) -> Column:
    """Return ids as int64, or as text where they are not all integers of that width."""
    try:
        return pa.array(values, pa.int64())
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([str(value) for value in values], pa.string())


def decode_line(line: JsonLine) -> Session | None:
    """Return the usable events of one line, None if there is none; what is not usable is counted."""
    try:
        return DECODER.decode(line.content)
    except msgspec.ValidationError:
        return salvage(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        line.refuse("not_json")
        return None


def salvage(line: JsonLine) -> Session | None:
    """Return what fits of a line that is JSON but not as published."""
    content = decoded(line.content)
    if content is None:
        line.refuse("not_json")
        return None
    if not isinstance(content, dict) or not isinstance(content.get("events"), list):
        line.refuse("missing_events")
        return None
    session: Any = content.get("session")
    events: list[Any] = content["events"]
    if not is_id(session):
        line.refuse("missing_session" if session in (None, "") else "bad_session", max(1, len(events)))
        return None
    good = []
    for event in events:
        reason = fault(event)
        if reason:
            line.refuse(reason)
        else:
            good.append(Event(event["aid"], event["ts"], event.get("type") or "clicks"))
    return Session(session, good)


def is_id(value: Any) -> bool:
    """Tell whether a JSON value can be an id: an integer or text, no boolean."""
    return isinstance(value, int | str) and not isinstance(value, bool) and value != ""


def fault(event: Any) -> str | None:
    """Return what is wrong with a JSON value that should be an event, None if nothing is."""
    if not isinstance(event, dict):
        return "bad_event"
    aid, ts, kind = event.get("aid"), event.get("ts"), event.get("type")
    if not is_id(aid):
        return "missing_item" if aid in (None, "") else "bad_item"
    if not isinstance(ts, int) or isinstance(ts, bool):
        return "missing_ts" if ts is None else "bad_ts"
    if not 0 <= ts <= MAX_TS:
        return "negative_ts" if ts < 0 else "bad_ts"
    return None if kind is None or isinstance(kind, str) else "bad_type"
