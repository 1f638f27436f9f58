"""Cells of a table as the rules of items take them: what CSV writes as text, and what Parquet has types for.

A cell that says nothing (empty, NaN, null) is left out, as null is in JSON. What can't be read stays as it is, for the
rules to refuse.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from export.ids import is_nothing
from export.items.rules import FIELDS

__all__ = ["ATTRIBUTE", "Columns", "columns_of", "fields_of"]

ATTRIBUTE = "attr."  # begins the name of a column that is one attribute
BARE = "attributes"  # the attribute of a column `attributes` that holds values without names
SEPARATOR = "|"  # between the values of a cell of text

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,20}")
_FLAGS = {"true": True, "t": True, "yes": True, "y": True, "1": True}
_FLAGS |= {"false": False, "f": False, "no": False, "n": False, "0": False}

Columns = list[tuple[int, str]]  # place of a column, and the field or `attr.NAME` that it is


def columns_of(names: Sequence[str], item_column: str | None = None) -> tuple[Columns, list[str]]:
    """Return what the columns are, and the names of those that mean nothing; ValueError without one for item ids."""
    found: Columns = []
    ignored: list[str] = []
    for place, written in enumerate(names):
        name = written.strip()
        plain = name.lower()
        if item_column is not None and name == item_column:
            found.append((place, "item_id"))
        elif plain in FIELDS and not (plain == "item_id" and item_column is not None):
            found.append((place, plain))
        elif plain.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE):
            found.append((place, ATTRIBUTE + name[len(ATTRIBUTE) :]))
        else:
            ignored.append(name)
    kinds = [kind for _, kind in found]
    if "item_id" not in kinds:
        raise ValueError(f"no column {item_column or 'item_id'}; there are {', '.join(names[:30])}")
    if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        raise ValueError(f"there is more than one column {twice[0]}")
    return found, ignored


def fields_of(columns: Columns, row: Sequence[Any]) -> dict[str, Any]:
    """Return the fields that a row says, by their names, with plain values."""
    fields: dict[str, Any] = {}
    named: dict[str, Any] = {}
    for place, kind in columns:
        if kind.startswith(ATTRIBUTE):
            values = _values(row[place])
            if values not in (None, "", [], [""]):  # an empty cell takes nothing away from the column `attributes`
                named[kind[len(ATTRIBUTE) :]] = values
        else:
            fields[kind] = _READ[kind](_plain(row[place]))
    if named:
        described = fields.get("attributes")
        if described is None or isinstance(described, dict):
            fields["attributes"] = {**(described or {}), **named}
    return fields


def _plain(value: Any) -> Any:
    """Return what JSON has in place of what Parquet has."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, Decimal):
        return None if value.is_nan() else int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return value


def _item_id(value: Any) -> Any:
    return str(value) if isinstance(value, float) else "" if value is None else value


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        return None if is_nothing(value) else _FLAGS.get(value.strip().lower(), value)
    return bool(value) if value in (0, 1) else value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        return None if is_nothing(text) else float(text) if _NUMBER.fullmatch(text) else value
    return value


def _time(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if is_nothing(text):
            return None
        if _INTEGER.fullmatch(text):
            return int(text)
        try:
            value = _plain(datetime.fromisoformat(text))
        except ValueError:
            return int(float(text)) if _NUMBER.fullmatch(text) and float(text).is_integer() else value
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, date):
        return round(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp() * 1000)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _attributes(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("{"):
            return {BARE: _values(text)} if text else None
        try:
            return msgspec.json.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return value
    if isinstance(value, dict):  # a struct
        return {name: _values(held) for name, held in value.items()}
    if isinstance(value, list) and value and all(isinstance(one, tuple) and len(one) == 2 for one in value):  # a map
        merged: dict[Any, list[Any]] = {}
        for name, held in value:
            values = _values(held)
            merged.setdefault(name, []).extend(values if isinstance(values, list) else [values])
        return merged
    return {BARE: _values(value)}


def _values(value: Any) -> Any:
    """Return the values of one attribute."""
    if isinstance(value, str):
        return value.split(SEPARATOR)
    if isinstance(value, list):
        return [_scalar(one) for one in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    value = _plain(value)
    return value.isoformat() if isinstance(value, date) else value


_READ: dict[str, Callable[[Any], Any]] = {
    "item_id": _item_id,
    "available": _flag,
    "attributes": _attributes,
    "price": _number,
    "boost": _number,
    "created_ts": _time,
}
