"""Impressions: what a storefront showed a shopper, on an optional topic keyed by session_id.

    {"session_id": "4711", "items": ["98765", "12345"], "ts": 1661724000278}

Ids, ts and key are judged by the rules of clicks (contract.py), an item after the other, with their reasons. Beyond
them:

    missing_items      items is there
    wrong_type_items   it is a list
    no_items           of at least one item
    too_many_items     and at most 500
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stream.errors import BadClick
from stream.messages.click_rules import MAX_VALUE_BYTES
from stream.messages.contract import decode_click, encode

__all__ = ["MAX_ITEMS", "Impression", "decode_impression"]

MAX_ITEMS = 500


class Impression(msgspec.Struct, frozen=True, gc=False):
    """A list that was shown."""

    session_id: Annotated[str, Meta(description="the session; also the key of the message")]
    items: Annotated[tuple[str, ...], Meta(description="by the shop's own ids, the uppermost first")]
    ts: Annotated[int, Meta(description="when it was shown, ms since the epoch")]


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def decode_impression(value: bytes | None, key: bytes | None, record_ts_ms: int) -> Impression:
    """The impression of a message, or BadClick with the first rule broken."""
    found = _object(value)
    items = found.get("items")
    if items is None:
        raise BadClick("missing_items", "the message has no items")
    if not isinstance(items, list):
        raise BadClick("wrong_type_items", f"items is a {type(items).__name__}, not a list")
    if not items:
        raise BadClick("no_items", "nothing was shown: leave the message out")
    if len(items) > MAX_ITEMS:
        raise BadClick("too_many_items", f"{len(items)} items, at most {MAX_ITEMS}")
    others = {name: found[name] for name in ("session_id", "ts") if name in found}
    clicks = [decode_click(encode({**others, "item_id": item}), key, record_ts_ms) for item in items]
    return Impression(clicks[0].session_id, tuple(click.item_id for click in clicks), clicks[0].ts)


def _object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise BadClick("value_missing", "the record has no value")
    if len(value) > MAX_VALUE_BYTES:
        raise BadClick("too_large", f"{len(value):,} bytes, at most {MAX_VALUE_BYTES:,}")
    try:
        return _decode(value)
    except msgspec.ValidationError as error:
        raise BadClick("not_object", str(error)) from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadClick("not_json", str(error)) from error
