"""What is said of an erased session: by workers on the topic `recommendations`, by every part on the topic `erasures`.

A session is erased by a message on the clicks (`contract.Erase`). Its worker says so by a record without value under
the session's key; the header `erased` has which message it was. Parts that keep anything of sessions say what they have
erased on a topic of their own, which holds no ids: only the place of the message. Logs name sessions by a digest.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from stream.messages.contract import Source, encode

__all__ = ["ERASED", "ErasedLists", "Erasure", "decode_erased", "decode_erasure", "digest", "erased_headers"]

ERASED = "erased"  # the header


class ErasedLists(msgspec.Struct, frozen=True):
    """In the header of a record without value on the topic `recommendations`: its session was erased."""

    source: Annotated[Source, Meta(description="where the message stands that asked for it")]
    clicks: Annotated[int, Meta(description="that the worker's state had of the session")]


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What a part has erased, on the topic `erasures`, keyed by its source as TOPIC-PARTITION@OFFSET. No ids."""

    source: Annotated[Source, Meta(description="where the message stands that asked for it")]
    part: Annotated[str, Meta(description="redis, serve, trainer, scoreboard or feedback")]
    host: Annotated[str, Meta(description="where it runs")]
    erased: Annotated[dict[str, int], Meta(description="what, and how many: clicks, lists; may be none")]
    ts: Annotated[int, Meta(description="when, ms since the epoch")]


_decode_lists = msgspec.json.Decoder(ErasedLists).decode
_decode_erasure = msgspec.json.Decoder(Erasure).decode


def erased_headers(erased: ErasedLists) -> list[tuple[str, bytes]]:
    """The headers of the record without value."""
    return [(ERASED, encode(erased))]


def decode_erased(headers: Sequence[tuple[str, bytes | None]] | None) -> ErasedLists | None:
    """What a record without value says; None where it says nothing that can be read: somebody else's."""
    for name, value in headers or ():
        if name == ERASED and value is not None:
            try:
                return _decode_lists(value)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return None
    return None


def decode_erasure(value: bytes | None) -> Erasure | None:
    """A message of the topic `erasures`; None where it is none."""
    try:
        return _decode_erasure(value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def digest(session_id: str) -> str:
    """Of a session, for logs: who knows the session finds it, nobody else does where ids are random."""
    return f"sha256:{hashlib.sha256(session_id.encode()).hexdigest()[:16]}"
