"""The rules that make a message a click, one by one, and the reason that each broken one gives.

`contract.py` has the table of them. This is the slow path: it runs for messages that the fast path could not accept
at once, and is the only place that words a reason.
"""

import math
import sys
from typing import Any, Literal, NamedTuple, cast

import msgspec
from msgspec import UNSET, UnsetType

from export.ids import MAX_ID_BYTES, id_fault, normal_id
from export.json_depth import MAX_DEPTH, is_too_deep
from stream.errors import BadClick
from stream.messages.record_time import FIRST_PLAUSIBLE_MS, sane_record_time_ms

__all__ = [
    "ERASE",
    "LAST_TS_MS",
    "MAX_DEPTH",
    "MAX_FUTURE_MS",
    "MAX_ID_BYTES",
    "MAX_VALUE_BYTES",
    "RANKING_FAILED",
    "REASONS",
    "SECONDS",
    "TYPES",
    "UNDECODABLE",
    "ClickType",
    "Judged",
    "JudgedErase",
    "is_too_deep",
    "judge_click",
    "judge_erase",
    "newest_ts",
]

MAX_VALUE_BYTES = 64 * 1024
MAX_FUTURE_MS = 24 * 3600 * 1000  # a shop's clock may be wrong by a day, not more
LAST_TS_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
SECONDS = range(FIRST_PLAUSIBLE_MS // 1000, 2**32)  # 2001 to 2106 in seconds; as milliseconds, weeks of 1970
RANKING_FAILED = "ranking_failed"
UNDECODABLE = "undecodable"
ERASE = "erase"

ClickType = Literal["click", "cart", "order", "like", "skip", "dislike"]

_MAGIC = b"\0"  # of Confluent's wire format; no JSON begins with it
_ID_FIELDS = ("session_id", "item_id", "user_id")
REASONS = frozenset(
    {
        "value_missing",
        "too_large",
        UNDECODABLE,
        "not_utf8",
        "too_deep",
        "not_json",
        "not_object",
        "ts_negative",
        "ts_future",
    }
    | {"ts_seconds"}
    | {"missing_session_id", "missing_item_id", "missing_ts", "unknown_type", "key_missing", "key_mismatch"}
    | {f"{rule}_{field}" for field in _ID_FIELDS for rule in ("empty", "too_long", "control_characters")}
    | {f"wrong_type_{field}" for field in (*_ID_FIELDS, "ts", "type", "context")}
    | {f"out_of_range_{field}" for field in (*_ID_FIELDS, "context")}
    | {RANKING_FAILED}
)


class Judged(NamedTuple):
    """The fields of a sound click."""

    session_id: str
    item_id: str
    ts: int
    type: ClickType
    user_id: str | None
    context: dict[str, Any] | None


class JudgedErase(NamedTuple):
    """The fields of a sound message that erases a session."""

    session_id: str
    ts: int


class _LooseClick(msgspec.Struct):
    """The fields of a click as they stand in the value, each judged on its own."""

    session_id: msgspec.Raw | UnsetType = UNSET
    item_id: msgspec.Raw | UnsetType = UNSET
    ts: msgspec.Raw | UnsetType = UNSET
    type: msgspec.Raw | UnsetType = UNSET
    user_id: msgspec.Raw | UnsetType = UNSET
    context: msgspec.Raw | UnsetType = UNSET


TYPES: dict[Any, ClickType] = {
    "click": "click",
    "cart": "cart",
    "order": "order",
    "like": "like",
    "skip": "skip",
    "dislike": "dislike",
    "clicks": "click",
    "carts": "cart",
    "orders": "order",
}
_decode_loose = msgspec.json.Decoder(_LooseClick).decode
_decode_any = msgspec.json.Decoder().decode
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


def judge_click(value: bytes | None, key: bytes | None, record_ts_ms: int) -> Judged:
    """The click's fields, or BadClick with the first rule broken. Arguments as of `contract.decode_click`."""
    fields = _parse(value)
    click = Judged(
        session_id=_required_id("session_id", fields.session_id),
        item_id=_required_id("item_id", fields.item_id),
        ts=_ts(fields.ts, record_ts_ms),
        type=_type(fields.type),
        user_id=_optional_id("user_id", fields.user_id),
        context=_context(fields.context),
    )
    _check_key(key, click.session_id)
    return click


def judge_erase(value: bytes | None, key: bytes | None, record_ts_ms: int) -> JudgedErase | None:
    """The fields of a message of type erase, None for any other; BadClick with the first rule broken. It needs
    session_id, ts and key by the rules of a click, and no item."""
    fields = _parse(value)
    if isinstance(fields.type, UnsetType) or not _is_erase(fields.type):
        return None
    erase = JudgedErase(_required_id("session_id", fields.session_id), _ts(fields.ts, record_ts_ms))
    _check_key(key, erase.session_id)
    return erase


def newest_ts(record_ts_ms: int) -> int:
    """The greatest ts a click may have, given its record's timestamp; where that is no time, only the year counts."""
    record_ms = sane_record_time_ms(record_ts_ms)
    return LAST_TS_MS if record_ms is None else min(record_ms + MAX_FUTURE_MS, LAST_TS_MS)


def _is_erase(type_: msgspec.Raw) -> bool:
    try:
        return bool(_value("type", type_) == ERASE)
    except BadClick:  # its turn comes behind the fields before it
        return False


def _check_key(key: bytes | None, session_id: str) -> None:
    if not key:
        raise BadClick("key_missing", "the record has no key; it must be the session id")
    if key != session_id.encode() and normal_id(key.decode(errors="replace")) != session_id:
        raise BadClick("key_mismatch", "the key of the record is not its session_id")


def _parse(value: bytes | None) -> _LooseClick:
    if value is None:
        raise BadClick("value_missing", "the record has no value")
    if len(value) > MAX_VALUE_BYTES:
        raise BadClick("too_large", f"{len(value)} bytes, at most {MAX_VALUE_BYTES} are allowed")
    if value.startswith(_MAGIC):
        raise BadClick(UNDECODABLE, "it begins as values in a schema registry's formats do, and is not read as one")
    try:
        value.decode()
    except UnicodeDecodeError as error:
        raise BadClick("not_utf8", f"invalid byte at position {error.start}") from error
    if is_too_deep(value):
        raise BadClick("too_deep", f"the JSON is nested more than {MAX_DEPTH} levels deep")
    try:
        return _decode_loose(value)
    except msgspec.ValidationError as error:  # at the first byte: what follows may still be no JSON
        _check_well_formed(value)
        raise BadClick("not_object", "the JSON is no object") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadClick("not_json", str(error)) from error


def _check_well_formed(value: bytes) -> None:
    try:
        _check_json(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadClick("not_json", str(error)) from error


def _value(field: str, raw: msgspec.Raw) -> Any:
    """The value of one field; its JSON is known to be well-formed."""
    try:
        return _decode_any(raw)
    except msgspec.ValidationError as error:  # it is, or holds, a number too large to be read
        return _unreadable(field, bytes(raw).strip(), error)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadClick("not_json", f"{field}: {error}") from error


def _unreadable(field: str, raw: bytes, error: Exception) -> Any:
    """What is judged in place of a value that holds too large a number: another one of its type."""
    if raw.startswith(b"["):
        return []
    if raw.startswith(b"{"):
        if field != "context":
            return {}
        limits = f"integers have at most {sys.get_int_max_str_digits()} digits, others are below 1.8e308"
        raise BadClick("out_of_range_context", f"a number in context is too large: {limits}") from error
    if any(letter in raw for letter in b".eE"):
        return math.inf
    return -(10**30) if raw.startswith(b"-") else 10**30


def _required_id(field: str, raw: msgspec.Raw | UnsetType) -> str:
    if isinstance(raw, UnsetType):
        raise BadClick(f"missing_{field}", f"{field} is required")
    return _check_id(field, _value(field, raw))


def _optional_id(field: str, raw: msgspec.Raw | UnsetType) -> str | None:
    if isinstance(raw, UnsetType):
        return None
    value = _value(field, raw)
    return None if value is None else _check_id(field, value)


def _check_id(field: str, value: Any) -> str:
    if type(value) is int:
        if not -(2**63) <= value < 2**63:
            raise BadClick(f"out_of_range_{field}", f"{field} is an integer that does not fit into 64 bits")
        return str(value)
    if type(value) is not str:
        raise BadClick(f"wrong_type_{field}", f"{field} must be a string or an integer, is {_json_type(value)}")
    fault = id_fault(value)
    if fault == "empty":
        raise BadClick(f"empty_{field}", f"{field} is {value!r}, which stands for nothing")
    if fault == "too_long":
        raise BadClick(f"too_long_{field}", f"{field} has {len(value.encode())} bytes, at most {MAX_ID_BYTES}")
    if fault is not None:
        raise BadClick(f"{fault}_{field}", f"{field} has control characters, or U+FFFD")
    return normal_id(value)


def _ts(raw: msgspec.Raw | UnsetType, record_ts_ms: int) -> int:
    if isinstance(raw, UnsetType):
        raise BadClick("missing_ts", "ts is required")
    value = _value("ts", raw)
    if type(value) is not int:
        raise BadClick("wrong_type_ts", f"ts must be an integer (milliseconds), is {_json_type(value)}")
    if value < 0:
        raise BadClick("ts_negative", "ts is before the epoch")
    if value > LAST_TS_MS:
        raise BadClick("ts_future", "ts is after the year 9999; is it in milliseconds?")
    if value > newest_ts(record_ts_ms):
        raise BadClick("ts_future", f"ts is more than 24 hours after the record's own timestamp ({record_ts_ms} ms)")
    if value in SECONDS:
        raise BadClick("ts_seconds", "ts is in seconds, or of the first weeks of 1970; it must be in milliseconds")
    return value


def _type(raw: msgspec.Raw | UnsetType) -> ClickType:
    if isinstance(raw, UnsetType):
        return "click"
    value = _value("type", raw)
    if type(value) is not str:
        raise BadClick("wrong_type_type", f"type must be a string, is {_json_type(value)}")
    if value not in TYPES:
        raise BadClick("unknown_type", f"type must be one of {', '.join(TYPES)}")
    return TYPES[value]


def _context(raw: msgspec.Raw | UnsetType) -> dict[str, Any] | None:
    if isinstance(raw, UnsetType):
        return None
    value = _value("context", raw)
    if value is not None and type(value) is not dict:
        raise BadClick("wrong_type_context", f"context must be an object, is {_json_type(value)}")
    return cast("dict[str, Any] | None", value)


def _json_type(value: Any) -> str:
    names: dict[type, str] = {bool: "a boolean", float: "a fraction", int: "an integer", str: "a string"}
    return "null" if value is None else names.get(type(value), "an array" if isinstance(value, list) else "an object")
