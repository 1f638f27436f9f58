"""What may be said of an item, wherever it is said: the rules one by one, and the reason that each broken one gives.

    reason                      rule
    missing_item_id             there is an item id
    wrong_type_F                item_id: a string or an integer; available: true or false; price, boost: numbers;
                                created_ts: an integer; attributes: an object, whose values are strings, numbers, true
                                or false, or arrays of these
    empty_item_id, too_long_item_id, control_characters_item_id      the law of ids (`export/ids.py`)
    out_of_range_F              item_id: an integer of 64 bits; price: 0 to 1e12; boost: 0.000001 to 1,000,000;
                                created_ts: 0 to the year 9999
    created_ts_seconds          created_ts is no time from 2001 to 2106 in seconds (which would be weeks of 1970)
    too_many_attributes         an item has at most 64 attributes
    too_many_values             ... and at most 256 values of them
    empty_attributes            an attribute has a name
    too_long_attributes         a name has at most 64 bytes, a value 256, spaces included
    out_of_range_attributes     a number is finite, an integer of at most 64 bits
    control_characters_attributes     neither holds control characters, nor U+FFFD

The rules with an F are tried field by field, in the order item_id, available, attributes, price, boost, created_ts.
All but the item id may be left out, and null means left out. Attribute values become text as ids do: spaces around them
are no part of them, and 7.0 is `7`; true is `true`; null and the empty text are no value, but words such as NA are. A
value given twice counts once. `too_many_items` and `too_many_different_values` are a table's own reasons: it is full.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from export.errors import BadItem
from export.ids import BROKEN, MAX_ID_BYTES, id_fault, is_plain, normal_id
from export.items.item import Item

__all__ = [
    "FIELDS",
    "LAST_TS_MS",
    "MAX_ATTRIBUTES",
    "MAX_BOOST",
    "MAX_NAME_BYTES",
    "MAX_PRICE",
    "MAX_TEXT_BYTES",
    "MAX_VALUES",
    "MIN_BOOST",
    "REASONS",
    "SECONDS",
    "TABLE_REASONS",
    "judge_attributes",
    "judge_item",
]

FIELDS = ("item_id", "available", "attributes", "price", "boost", "created_ts")
MAX_ATTRIBUTES, MAX_VALUES = 64, 256  # of an item
MAX_NAME_BYTES, MAX_TEXT_BYTES = 64, 256
MAX_PRICE = 1e12
MIN_BOOST, MAX_BOOST = 1e-6, 1e6
LAST_TS_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
SECONDS = range(978_307_200, 2**32)  # 2001 to 2106 in seconds; as milliseconds, weeks of 1970
TABLE_REASONS = frozenset({"too_many_items", "too_many_different_values"})
REASONS = (
    frozenset({"missing_item_id", "empty_item_id", "too_long_item_id", "control_characters_item_id"})
    | {f"wrong_type_{field}" for field in FIELDS}
    | {f"out_of_range_{field}" for field in ("item_id", "price", "boost", "created_ts")}
    | {"created_ts_seconds", "too_many_attributes", "too_many_values"}
    | {f"{rule}_attributes" for rule in ("empty", "too_long", "control_characters", "out_of_range")}
    | TABLE_REASONS
)

_BROKEN = re.compile(BROKEN)


def judge_item(fields: Mapping[str, Any]) -> Item:
    """Return the item that values say, by the names in FIELDS; others are ignored. BadItem with the first rule broken.

    Values are what JSON has: strings, numbers, booleans, None, lists, dictionaries.
    """
    return Item(
        item_id=_item_id(fields),
        available=_available(fields.get("available")),
        attributes=judge_attributes(fields.get("attributes")),
        price=_price(fields.get("price")),
        boost=_boost(fields.get("boost")),
        created_ts=_created(fields.get("created_ts")),
    )


def judge_attributes(value: Any) -> dict[str, tuple[str, ...]]:
    """Return attributes as an item holds them, given an object of scalars and arrays of them; BadItem."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadItem("wrong_type_attributes", f"attributes must be an object, is {_json_type(value)}")
    if len(value) > MAX_ATTRIBUTES:
        raise BadItem("too_many_attributes", f"{len(value)} attributes, at most {MAX_ATTRIBUTES} are allowed")
    found: dict[str, tuple[str, ...]] = {}
    total = 0
    for written, values in value.items():
        name = _name(written)
        texts = tuple(dict.fromkeys(_texts(name, values)))
        total += len(texts)
        if total > MAX_VALUES:
            raise BadItem("too_many_values", f"more than {MAX_VALUES} values of attributes")
        if texts:
            found[name] = texts
    return found


def _item_id(fields: Mapping[str, Any]) -> str:
    value = fields.get("item_id")
    if type(value) is str and is_plain(value):
        return value
    if "item_id" not in fields:
        raise BadItem("missing_item_id", "item_id is required")
    if type(value) is int:
        if not -(2**63) <= value < 2**63:
            raise BadItem("out_of_range_item_id", "item_id is an integer that does not fit into 64 bits")
        return str(value)
    if type(value) is not str:
        raise BadItem("wrong_type_item_id", f"item_id must be a string or an integer, is {_json_type(value)}")
    fault = id_fault(value)
    if fault == "empty":
        raise BadItem("empty_item_id", f"item_id is {value!r}, which stands for nothing")
    if fault == "too_long":
        raise BadItem("too_long_item_id", f"item_id has more than the {MAX_ID_BYTES} bytes it may have")
    if fault is not None:
        raise BadItem("control_characters_item_id", "item_id has control characters, or U+FFFD")
    return normal_id(value)


def _available(value: Any) -> bool:
    if value is None:
        return True
    if type(value) is not bool:
        raise BadItem("wrong_type_available", f"available must be true or false, is {_json_type(value)}")
    return value


def _price(value: Any) -> float | None:
    if value is None:
        return None
    number = _number("price", value)
    if not 0 <= number <= MAX_PRICE:
        raise BadItem("out_of_range_price", f"price must be 0 to {MAX_PRICE:g}, is {number:g}")
    return number + 0.0  # which makes -0.0 a 0.0


def _boost(value: Any) -> float:
    if value is None:
        return 1.0
    number = _number("boost", value)
    if not MIN_BOOST <= number <= MAX_BOOST:
        raise BadItem("out_of_range_boost", f"boost must be {MIN_BOOST:g} to {MAX_BOOST:g}, is {number:g}")
    return number


def _number(field: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise BadItem(f"wrong_type_{field}", f"{field} must be a number, is {_json_type(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _created(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int:
        raise BadItem("wrong_type_created_ts", f"created_ts must be an integer (ms), is {_json_type(value)}")
    if not 0 <= value <= LAST_TS_MS:
        raise BadItem("out_of_range_created_ts", "created_ts is before 1970 or after 9999; is it in milliseconds?")
    if value in SECONDS:
        raise BadItem("created_ts_seconds", "created_ts is in seconds, or of the first weeks of 1970; it must be in ms")
    return value


def _name(written: Any) -> str:
    name = written.strip(" ") if isinstance(written, str) else ""
    if not name:
        raise BadItem("empty_attributes", "an attribute has no name")
    _check_text("the name of an attribute", written, MAX_NAME_BYTES)
    return name


def _texts(name: str, values: Any) -> list[str]:
    many = values if isinstance(values, list | tuple) else (values,)
    return [text for value in many if value is not None and (text := _text(name, value))]


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _text_of_number(name, value)
    if not isinstance(value, str):
        raise BadItem(
            "wrong_type_attributes", f"the attribute {name} holds {_json_type(value)}: it must be plain values"
        )
    if is_plain(value):
        return value
    _check_text(f"a value of the attribute {name}", value, MAX_TEXT_BYTES)
    return normal_id(value) or value.strip(" ")  # a word for nothing is a text here


def _text_of_number(name: str, value: int | float) -> str:
    if isinstance(value, int):
        if value.bit_length() > 64:
            raise BadItem("out_of_range_attributes", f"the attribute {name} holds an integer of more than 64 bits")
        return str(value)
    if not math.isfinite(value):
        raise BadItem("out_of_range_attributes", f"the attribute {name} holds a number that is none, or too large")
    return str(int(value)) if value.is_integer() and abs(value) < 2**63 else repr(value)


def _check_text(what: str, text: str, most: int) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > most:
        raise BadItem("too_long_attributes", f"{what} has more than the {most} bytes it may have")
    if _BROKEN.search(text):
        raise BadItem("control_characters_attributes", f"{what} has control characters, or U+FFFD")


def _json_type(value: Any) -> str:
    names: dict[type, str] = {bool: "a boolean", float: "a fraction", int: "an integer", str: "a string"}
    return "null" if value is None else names.get(type(value), "an array" if isinstance(value, list) else "an object")
