"""The messages of the topics: their types, and the decoding of clicks.

A click (topic `clicks`, key = session id in UTF-8) is judged by these rules, in this order. The first rule broken gives
the reason with which the message goes to the rejected topic.

    reason                      rule
    value_missing               a message has a value
    too_large                   the value has at most 64 KiB (checked before anything is parsed)
    undecodable                 a value that begins with the byte 0 is in a schema registry's format, of a schema that
                                is known, and fits it (stream/formats; without a registry every one breaks this rule)
    not_utf8                    the value is UTF-8
    too_deep                    objects and arrays are nested at most 500 levels deep
    not_json                    the value is JSON (NaN and Infinity are not, nor is a byte order mark)
    not_object                  the JSON is an object
    missing_F                   session_id, item_id and ts are there
    wrong_type_F                session_id, item_id, user_id: a string or an integer (not null, true or 1.0)
                                ts: an integer; type: a string; context: an object
    out_of_range_F              an integer id fits into 64 bits with sign (it becomes its decimal string); within
                                context, integers have at most 4,300 digits and other numbers fit into a double
    empty_F                     an id says something: not NULL, nan, \\N, None or another word for nothing, nor spaces
    too_long_F                  an id has at most 256 bytes of UTF-8
    control_characters_F        an id has no control characters (U+0000-U+001F, U+007F-U+009F), nor U+FFFD
    ts_negative                 ts >= 0, in milliseconds since the epoch
    ts_future                   ts is at most 24 hours after the record's own timestamp, and before the year 10000
    ts_seconds                  ts is no time from 2001 to 2106 in seconds (which would be weeks of 1970)
    unknown_type                type is click, cart, order, like, skip or dislike (or OTTO's clicks, carts, orders)
    key_missing                 the record has a key
    key_mismatch                the key is the session id

The rules with an F are tried field by field, in the order session_id, item_id, ts, type, user_id, context. `type` may
be left out (`click`), and so may `user_id` and `context`, for which null means left out. Unknown fields are ignored,
whatever is in them. Ids are read by the law of `export/ids.py`, as in logs: spaces around one are no part of it, in the
key neither, and `7.0` is `7`. A field given twice counts by its last value. A record's own timestamp is a hint, not a
law: where it is no time in milliseconds (record_time.py), it bounds nothing. `ranking_failed` is the worker's own
reason: the click was sound, but no list could be made for it.

A message of type `erase` is no click: what its session did before it is erased. It keeps the same rules, but for
those of item_id, user_id and context, which it need not have.
"""

from collections.abc import Iterable
from itertools import starmap
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from export.errors import ConfigError
from export.experiments.experiment import Experiment
from export.ids import is_plain
from stream.errors import AnnouncementError, BadClick
from stream.messages.click_rules import (
    MAX_DEPTH,
    MAX_FUTURE_MS,
    MAX_ID_BYTES,
    MAX_VALUE_BYTES,
    RANKING_FAILED,
    REASONS,
    SECONDS,
    ClickType,
    is_too_deep,
    judge_click,
    judge_erase,
    newest_ts,
)

__all__ = [
    "EXPERIMENT_KEY",
    "MAX_FUTURE_MS",
    "MAX_ID_BYTES",
    "MAX_VALUE_BYTES",
    "RANKING_FAILED",
    "REASONS",
    "Click",
    "ClickType",
    "Erase",
    "ModelAnnouncement",
    "Recommendation",
    "RecommendedItem",
    "Source",
    "decode_announcement",
    "decode_click",
    "decode_event",
    "decode_model_message",
    "decode_recommendation",
    "encode",
    "model_message_key",
    "recommended",
    "rejection_headers",
]


class Click(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One event of a shopper, as a shop sends it to the topic `clicks`, keyed by session_id."""

    session_id: Annotated[str, Meta(description="the session; also the key of the message")]
    item_id: Annotated[str, Meta(description="the item the event is about, by the shop's own id")]
    ts: Annotated[int, Meta(description="event time, ms since the epoch, at most 24 h after the record's timestamp")]
    type: Annotated[ClickType, Meta(description="skip and dislike never stand for interest")] = "click"
    user_id: Annotated[str | None, Meta(description="the shopper, where known")] = None
    context: Annotated[dict[str, Any] | None, Meta(description="free; carried by the click, not used yet")] = None


class Erase(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="erase"):
    """A shopper's wish to be forgotten, on the topic `clicks`: what came before it of its session is erased."""

    session_id: Annotated[str, Meta(description="the session; also the key of the message")]
    ts: Annotated[int, Meta(description="when it was asked for, ms since the epoch; by the rules of a click's")]


class RecommendedItem(msgspec.Struct, frozen=True, gc=False):
    """One item of a list."""

    item_id: Annotated[str, Meta(description="the shop's own id")]
    score: Annotated[float, Meta(description="comparable within one list only; of interleaved ones, within a team")]


class Source(msgspec.Struct, frozen=True, gc=False):
    """Where the newest click stands that a list answers; a repeated list carries the same one."""

    topic: str
    partition: int
    offset: int


class Recommendation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to the newest click of a session, on the topic `recommendations`, keyed by session_id."""

    session_id: str
    items: Annotated[list[RecommendedItem], Meta(description="best first")]
    model: Annotated[
        str, Meta(description="version of the bundle; of interleaved lists 12+15; empty where no model could be had")
    ]
    variant: str
    fallback: Annotated[bool, Meta(description="true where popularity was served")]
    source: Source
    event_ts: Annotated[int, Meta(description="ts of the newest click answered, milliseconds since the epoch")]
    published_ts: Annotated[int, Meta(description="the worker's clock, milliseconds since the epoch")]
    experiment: Annotated[str, Meta(description="whose variant it is; left out where there is none")] = ""
    teams: Annotated[list[str], Meta(description="of interleaved lists: the variant that each item came from")] = []
    placement: Annotated[str, Meta(description="where it stands; left out where the shop names no placements")] = ""
    interests: Annotated[
        list[int],
        Meta(description="of a model of several: which of them each item came from, from 0; -1: none of them"),
    ] = []


class ModelAnnouncement(msgspec.Struct, frozen=True):
    """What a worker is to serve for a variant, on the compacted topic `models`, keyed by variant."""

    version: str
    uri: Annotated[str, Meta(description="where the bundle lies: <registry>/<version>; said where it can't be found")]
    sha256: Annotated[str, Meta(description="of the bundle's manifest.json, in hexadecimal")]
    variant: str = "default"
    announced_ts: Annotated[int, Meta(description="milliseconds since the epoch")] = 0


EXPERIMENT_KEY = b"experiment:"  # begins the key of an experiment on the topic `models`; no variant's name has a colon

_decode_strict = msgspec.json.Decoder(Click).decode
_decode_recommendation = msgspec.json.Decoder(Recommendation).decode
_decode_announcement = msgspec.json.Decoder(ModelAnnouncement).decode
_decode_experiment = msgspec.json.Decoder(Experiment).decode
_encoder = msgspec.json.Encoder()
encode = _encoder.encode  # any message type of this module -> JSON bytes


def decode_click(value: bytes | None, key: bytes | None, record_ts_ms: int) -> Click:
    """The click of a message, or BadClick with the first rule broken (see the module's table).

    `record_ts_ms`: the record's timestamp; where it is no time in milliseconds, only the year counts.
    """
    if (
        value is not None
        and len(value) <= MAX_VALUE_BYTES
        and value.isascii()
        and (len(value) <= MAX_DEPTH or not is_too_deep(value))
    ):
        try:
            click = _decode_strict(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Click(*judge_click(value, key, record_ts_ms))
        session_id, item_id, user_id = click.session_id, click.item_id, click.user_id
        if (
            is_plain(session_id)
            and is_plain(item_id)
            and SECONDS.stop <= click.ts <= newest_ts(record_ts_ms)
            and (user_id is None or is_plain(user_id))
            and key == session_id.encode()
        ):
            return click
    return Click(*judge_click(value, key, record_ts_ms))


def decode_event(value: bytes | None, key: bytes | None, record_ts_ms: int) -> Click | Erase:
    """What a message of the topic `clicks` is: a click, or the wish to erase its session. BadClick as of
    `decode_click`; an erase breaks the same rules in the same order, but needs no item."""
    try:
        return decode_click(value, key, record_ts_ms)
    except BadClick:
        erase = judge_erase(value, key, record_ts_ms)
        if erase is None:
            raise
        return Erase(*erase)


def recommended(items: Iterable[tuple[str, float]]) -> list[RecommendedItem]:
    """The ranker's (item id, score) pairs as a message carries them."""
    return list(starmap(RecommendedItem, items))


def decode_recommendation(value: bytes) -> Recommendation:
    """A message of the topic `recommendations`; msgspec.MsgspecError where it is none."""
    return _decode_recommendation(value)


def decode_announcement(value: bytes) -> ModelAnnouncement:
    """A model announcement, or AnnouncementError with the reason."""
    try:
        return _decode_announcement(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise AnnouncementError(f"not a model announcement: {error}") from error


def decode_model_message(key: bytes | None, value: bytes) -> ModelAnnouncement | Experiment:
    """A message of the topic `models`, by its key a model's or an experiment's; AnnouncementError with the reason, also
    for an experiment that contradicts itself (`Experiment.check`)."""
    if key is None or not key.startswith(EXPERIMENT_KEY):
        return decode_announcement(value)
    try:
        found = _decode_experiment(value).check()
    except (msgspec.MsgspecError, ValueError, RecursionError, ConfigError) as error:
        raise AnnouncementError(f"not an experiment: {error}") from error
    if key != model_message_key(found):
        raise AnnouncementError(f"not an experiment: {found.experiment} under the key {key!r}")
    return found


def model_message_key(message: ModelAnnouncement | Experiment) -> bytes:
    """Under which key a message lies on the topic `models`."""
    return EXPERIMENT_KEY + message.experiment.encode() if isinstance(message, Experiment) else message.variant.encode()


def rejection_headers(error: BadClick, topic: str, partition: int, offset: int) -> list[tuple[str, bytes]]:
    """What is added to the original headers of a rejected message, all values in UTF-8."""
    return [
        ("reason", error.reason.encode()),
        ("detail", error.detail.encode()),
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
    ]
