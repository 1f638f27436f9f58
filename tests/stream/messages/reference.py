"""The rules of a click, written a second time from the table of docs/contract.md, on Python's own JSON reader."""

import json
import re
from typing import Any

from stream.messages.click_rules import MAX_DEPTH, MAX_FUTURE_MS, MAX_ID_BYTES, MAX_VALUE_BYTES, TYPES

Outcome = str | tuple[str, str, int, str, str | None, bool]  # a reason, or the fields; of context, whether it is there
LAST_MS = 253_402_300_799_999
NOTHING = ("", "null", "nan", "-nan", "none", "nil", "na", "n/a", "#n/a", "<na>", "nat", "undefined", "\\n", "(null)")
ID_FIELDS = ("session_id", "item_id", "user_id")


class Integer(str):
    """A number without fraction and exponent, as it is written."""


class Fraction(str):
    """Any other number, as it is written."""


class Pairs(dict[str, Any]):
    """An object that remembers what its names stood for before they were given again."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.values_given = [value for _, value in pairs]
        for name, value in pairs:
            check_text(name)
            check_text(value)


def check_text(value: Any) -> None:
    """ValueError for half a surrogate pair; objects have looked after themselves."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left += one
        elif isinstance(one, str):
            one.encode()


def no_constant(name: str) -> Any:
    raise ValueError(name)


def depth_of(text: str) -> int:
    deepest = depth = 0
    inside = escaped = False
    for letter in text:
        if inside:
            inside = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
            continue
        inside = letter == '"'
        depth += (letter in "[{") - (letter in "]}")
        deepest = max(deepest, depth)
    return deepest


def parse(text: str) -> Any:
    found = json.loads(
        text, parse_int=Integer, parse_float=Fraction, parse_constant=no_constant, object_pairs_hook=Pairs
    )
    check_text(found)
    return found


def has_too_large_a_number(value: Any) -> bool:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Integer) and len(one.lstrip("-")) > 4300:
            return True
        if isinstance(one, Fraction) and abs(float(one)) == float("inf"):
            return True
        left += one.values_given if isinstance(one, Pairs) else one if isinstance(one, list) else []
    return False


def id_of(field: str, value: Any) -> tuple[str, str]:
    """(reason, id); one of them is empty."""
    if isinstance(value, Integer):
        number = int(value) if len(value) < 30 else 10**30
        return ("", str(number)) if -(2**63) <= number < 2**63 else (f"out_of_range_{field}", "")
    if type(value) is not str:
        return f"wrong_type_{field}", ""
    if value.strip(" ").lower() in NOTHING:
        return f"empty_{field}", ""
    if len(value.encode()) > MAX_ID_BYTES:
        return f"too_long_{field}", ""
    if re.search("[\x00-\x1f\x7f-\x9f\ufffd]", value):
        return f"control_characters_{field}", ""
    return "", as_read(value)


def as_read(value: str) -> str:
    """An id without the spaces around it, and a whole number that was written as a fraction as that number."""
    value = value.strip(" ")
    whole, point, zeros = value.partition(".")
    digits = whole.removeprefix("-")
    number = point and zeros and not zeros.strip("0") and re.fullmatch("0|[1-9][0-9]{0,17}", digits)
    return str(int(whole)) if number else value


def ts_of(value: Any, record: int) -> tuple[str, int]:
    if not isinstance(value, Integer):
        return "wrong_type_ts", 0
    number = int(value) if len(value) < 30 else 10**30 * (-1 if value.startswith("-") else 1)
    is_time = 978_307_200_000 <= record <= LAST_MS
    if number < 0:
        return "ts_negative", 0
    if number > LAST_MS or (is_time and number > record + MAX_FUTURE_MS):
        return "ts_future", 0
    return ("ts_seconds", 0) if 978_307_200 <= number < 2**32 else ("", number)


def judged(fields: Any, record: int) -> tuple[str, dict[str, Any]]:
    """(reason, fields of the click); field by field."""
    found: dict[str, Any] = {"type": "click", "user_id": None, "context": None}
    for field in ("session_id", "item_id", "ts", "type", "user_id", "context"):
        if field not in fields:
            if field not in found:
                return f"missing_{field}", found
            continue
        value, reason = fields[field], ""
        if value is None and field in ("user_id", "context"):
            continue
        if field in ID_FIELDS:
            reason, found[field] = id_of(field, value)
        elif field == "ts":
            reason, found[field] = ts_of(value, record)
        elif field == "type":
            if type(value) is not str:
                reason = "wrong_type_type"
            elif value not in TYPES:
                reason = "unknown_type"
            else:
                found[field] = value.removesuffix("s") if value != "dislikes" else value
        elif not isinstance(value, dict):
            reason = "wrong_type_context"
        else:
            reason = "out_of_range_context" if has_too_large_a_number(value) else ""
            found[field] = value
        if reason:
            return reason, found
    return "", found


def judge(value: bytes | None, key: bytes | None, record: int) -> Outcome:
    """What must become of a message."""
    if value is None:
        return "value_missing"
    if len(value) > MAX_VALUE_BYTES:
        return "too_large"
    if value[:1] == b"\0":
        return "undecodable"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    if depth_of(text) > MAX_DEPTH:
        return "too_deep"
    try:
        fields = parse(text)
    except ValueError:
        return "not_json"
    if not isinstance(fields, dict):
        return "not_object"
    reason, found = judged(fields, record)
    if reason:
        return reason
    if not key:
        return "key_missing"
    if id_of("session_id", key.decode(errors="replace")) != ("", found["session_id"]):
        return "key_mismatch"
    context = found["context"] is not None
    return found["session_id"], found["item_id"], found["ts"], found["type"], found["user_id"], context
