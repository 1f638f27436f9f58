"""Items in JSON, as the topic and files of lines have them: to items, and back.

Rules before those of `rules.py`, in this order, with the reasons `too_large` (at most 64 KiB), `not_utf8`, `too_deep`
(at most 500 levels), `not_json`, `not_object`. Unknown fields are ignored, whatever is in them; a field given twice
counts by its last value.
"""

import math
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from export.errors import BadItem
from export.ids import is_plain
from export.items.item import Item
from export.items.rules import (
    FIELDS,
    LAST_TS_MS,
    MAX_ATTRIBUTES,
    MAX_BOOST,
    MAX_PRICE,
    MAX_VALUES,
    MIN_BOOST,
    SECONDS,
    judge_item,
)
from export.json_depth import MAX_DEPTH, is_too_deep

__all__ = ["JSON_REASONS", "MAX_ITEM_BYTES", "decode_item", "encode_item"]

MAX_ITEM_BYTES = 64 * 1024
JSON_REASONS = frozenset({"too_large", "not_utf8", "too_deep", "not_json", "not_object"})

encode_item = msgspec.json.Encoder().encode


class _Strict(msgspec.Struct, gc=False):
    """An item as most are written; what differs is judged at leisure."""

    item_id: str
    available: bool = True
    attributes: dict[str, str | list[str]] | None = None
    price: float | None = None
    boost: float = 1.0
    created_ts: int | None = None


class _Loose(msgspec.Struct):
    """The fields as they stand in the value, each judged on its own."""

    item_id: msgspec.Raw | UnsetType = UNSET
    available: msgspec.Raw | UnsetType = UNSET
    attributes: msgspec.Raw | UnsetType = UNSET
    price: msgspec.Raw | UnsetType = UNSET
    boost: msgspec.Raw | UnsetType = UNSET
    created_ts: msgspec.Raw | UnsetType = UNSET


_MOST_PLAIN = 65_536
_PLAIN: set[str] = set()  # names and values that were found plain; texts come again and again

_decode_strict = msgspec.json.Decoder(_Strict).decode
_decode_loose = msgspec.json.Decoder(_Loose).decode
_decode_any = msgspec.json.Decoder().decode
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


def decode_item(value: bytes) -> Item:
    """Return the item that a JSON text says; BadItem with the first rule broken."""
    if len(value) > MAX_ITEM_BYTES or (len(value) > MAX_DEPTH and is_too_deep(value)):
        return judge_item(_fields(value))
    try:
        if not value.isascii():
            value.decode()  # what is skipped unread is UTF-8 as well
        item = _plain_item(_decode_strict(value))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        item = None
    return judge_item(_fields(value)) if item is None else item


def _plain_item(found: _Strict) -> Item | None:
    """Return the item where it is plain to see that all rules are kept, else None: look closer."""
    created, price, attributes = found.created_ts, found.price, found.attributes
    if not (
        is_plain(found.item_id)
        and MIN_BOOST <= found.boost <= MAX_BOOST
        and (price is None or 0 < price <= MAX_PRICE)
        and (created is None or SECONDS.stop <= created <= LAST_TS_MS)
    ):
        return None
    texts = _plain_attributes(attributes) if attributes else {}
    return None if texts is None else Item(found.item_id, found.available, texts, price, found.boost, created)


def _plain_attributes(attributes: dict[str, str | list[str]]) -> dict[str, tuple[str, ...]] | None:
    """Return attributes as an item holds them, where it is plain to see that all rules are kept."""
    if not (_PLAIN.issuperset(attributes) or all(map(_plain_text, attributes))):
        return None
    total = 0
    texts: dict[str, tuple[str, ...]] = {}
    for name, values in attributes.items():
        if isinstance(values, str):
            if values not in _PLAIN and not _plain_text(values):
                return None
            total += 1
            texts[name] = (values,)
            continue
        if not values or not (_PLAIN.issuperset(values) or all(map(_plain_text, values))):
            return None
        total += len(values)
        texts[name] = tuple(dict.fromkeys(values))
    return None if len(texts) > MAX_ATTRIBUTES or total > MAX_VALUES else texts


def _plain_text(text: str) -> bool:
    """As `is_plain`, for texts that many items have."""
    if text in _PLAIN:
        return True
    if not is_plain(text):
        return False
    if len(_PLAIN) >= _MOST_PLAIN:
        _PLAIN.clear()
    _PLAIN.add(text)
    return True


def _fields(value: bytes) -> dict[str, Any]:
    if len(value) > MAX_ITEM_BYTES:
        raise BadItem("too_large", f"{len(value)} bytes, at most {MAX_ITEM_BYTES} are allowed")
    try:
        value.decode()
    except UnicodeDecodeError as error:
        raise BadItem("not_utf8", f"invalid byte at position {error.start}") from error
    if is_too_deep(value):
        raise BadItem("too_deep", f"the JSON is nested more than {MAX_DEPTH} levels deep")
    try:
        loose = _decode_loose(value)
    except msgspec.ValidationError as error:  # at the first byte: what follows may still be no JSON
        _check_well_formed(value)
        raise BadItem("not_object", "the JSON is no object") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadItem("not_json", str(error)) from error
    raws = {name: getattr(loose, name) for name in FIELDS}
    return {name: _value(name, raw) for name, raw in raws.items() if raw is not UNSET}


def _check_well_formed(value: bytes) -> None:
    try:
        _check_json(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadItem("not_json", str(error)) from error


def _value(field: str, raw: msgspec.Raw) -> Any:
    """Return the value of one field; its JSON is known to be well-formed."""
    try:
        return _decode_any(raw)
    except msgspec.ValidationError:  # it is, or holds, a number too large to be read: judged as one
        text = bytes(raw).strip()
        if text.startswith(b"["):
            return []
        if text.startswith(b"{"):
            return {"number": math.inf}
        return math.inf if any(letter in text for letter in b".eE") else 10**30
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadItem("not_json", f"{field}: {error}") from error
