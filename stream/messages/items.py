"""The messages of the compacted topic `items`: what is in force of each item, and the rules they keep.

An item (key = item id in UTF-8) is judged by these rules, in this order; the first one broken is the reason for which
it is refused. What was in force of the item stays.

    reason                      rule
    key_missing                 the record has a key
    too_large                   the value has at most 64 KiB (checked before anything is parsed)
    not_utf8                    the value is UTF-8
    too_deep                    objects and arrays are nested at most 500 levels deep
    not_json                    the value is JSON (NaN and Infinity are not, nor is a byte order mark)
    not_object                  the JSON is an object
    (the fields)                what may be said of an item: `export/items/rules.py` has the table
    key_mismatch                the key is the item id
    wrong_key                   of a record without value: the key is an item id by the law of ids
    too_many_items              (a reader's own) its table is full
    too_many_different_values   (a reader's own) the same, of the values of attributes

A record without value, a tombstone, says that the item is gone. What is refused is counted and said by each reader of
the topic, with its place. It is copied to no other topic: every worker reads all of it, and again at each start, so
that each refused record would be copied by all of them, again and again; and it can be read where it stands.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from export.errors import BadItem
from export.ids import id_fault, normal_id
from export.items.item import Item
from export.items.json_items import JSON_REASONS, decode_item, encode_item
from export.items.rules import REASONS

__all__ = ["MESSAGE_REASONS", "ItemMessage", "decode_item_message", "encode_item", "item_key"]

MESSAGE_REASONS = REASONS | JSON_REASONS | {"key_missing", "key_mismatch", "wrong_key"}


class ItemMessage(msgspec.Struct, frozen=True):
    """What a shop says of an item, on the compacted topic `items`, keyed by item_id; without value: it is gone."""

    item_id: Annotated[str, Meta(description="by the shop's own id; also the key of the message")]
    available: Annotated[bool | None, Meta(description="false: in no list")] = True
    attributes: Annotated[
        dict[str, Any] | None,
        Meta(description="name to value or values; of a name that is path or ends in _path, prefixes are values too"),
    ] = None
    price: Annotated[float | None, Meta(description="in whatever currency the shop counts")] = None
    boost: Annotated[float | None, Meta(description="multiplies the odds: ln(boost) is added to the score")] = 1.0
    created_ts: Annotated[int | None, Meta(description="milliseconds since the epoch")] = None


def decode_item_message(value: bytes | None, key: bytes | None) -> Item | str:
    """The item of a message, or the id of one that is gone; BadItem with the first rule broken."""
    if not key:
        raise BadItem("key_missing", "the record has no key; it must be the item id")
    if value is None:
        return _gone(key)
    item = decode_item(value)
    if key != item.item_id.encode() and normal_id(key.decode(errors="replace")) != item.item_id:
        raise BadItem("key_mismatch", "the key of the record is not its item_id")
    return item


def item_key(item_id: str) -> bytes:
    """Under which key an item lies on the topic."""
    return item_id.encode()


def _gone(key: bytes) -> str:
    text = key.decode(errors="replace")
    fault = id_fault(text)
    if fault is not None:
        raise BadItem("wrong_key", f"the key of a record without value is no item id ({fault})")
    return normal_id(text)
