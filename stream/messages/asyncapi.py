"""The topics and their messages as an AsyncAPI document: `python -m stream.messages.asyncapi docs/asyncapi.json`.

It tells what nextclick receives and sends; a shop's producers do the first, its subscribers read the second. Messages
are those of `schema.py`, topics and their settings those that `nextclick topics create` makes.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from stream.errors import BadClick
from stream.kafka.topics import topic_plans
from stream.messages.click_rules import REASONS
from stream.messages.contract import rejection_headers
from stream.messages.erasures import ERASED
from stream.messages.schema import SCHEMAS, schema_components
from stream.topic_names import Topics

__all__ = ["asyncapi_document", "asyncapi_text"]

_VERSION = "1.0.0"  # of the messages, not of the program: the first number changes where a reader of them would break
_KAFKA = "0.5.0"  # version of AsyncAPI's binding
_WHOLE_NUMBERS = ("retention.ms", "delete.retention.ms")
_CLEANUP = "cleanup.policy"


class _Message(NamedTuple):
    schema: str  # one of SCHEMAS; or _ANY, or _NONE
    key: str
    example: dict[str, Any] | None = None
    headers: str = ""  # which of those that messages may have: _REJECTION or ERASED


class _Channel(NamedTuple):
    word: str  # the field of Topics
    action: str  # what nextclick does
    summary: str
    messages: dict[str, _Message]


_ANY, _NONE = "any", "none"  # bytes of any form; a record without value
_WITHOUT_SCHEMA = {_ANY: {"description": "any bytes"}, _NONE: {"type": "null", "description": "there is no value"}}
_REJECTION = "rejection"


_SESSION = "the session id"
_ITEM = "the item id"
_CLICK = {"session_id": "4711", "item_id": "98765", "ts": 1661724000278, "type": "click"}
_ERASE = {"session_id": "4711", "ts": 1661724360000, "type": "erase"}
_ERASURE = {
    "source": {"topic": "clicks", "partition": 3, "offset": 816},
    "part": "redis",
    "host": "shop-1",
    "erased": {"lists": 1},
    "ts": 1661724360009,
}
_LIST = {
    "session_id": "4711",
    "items": [{"item_id": "10024", "score": 7.25}, {"item_id": "555", "score": 6.5}],
    "model": "12",
    "variant": "default",
    "fallback": False,
    "source": {"topic": "clicks", "partition": 3, "offset": 815},
    "event_ts": 1661724000278,
    "published_ts": 1661724000291,
}
_CHANNELS = (
    _Channel(
        "clicks",
        "receive",
        "What shoppers do, and which sessions are to be erased.",
        {"click": _Message("click", _SESSION, _CLICK), "erase": _Message("erase", _SESSION, _ERASE)},
    ),
    _Channel(
        "recommendations",
        "send",
        "A list for a session after each of its clicks, or after several that came together; a record without value "
        "where the session was erased.",
        {
            "recommendation": _Message("recommendation", _SESSION, _LIST),
            "erasedLists": _Message(_NONE, _SESSION, headers=ERASED),
        },
    ),
    _Channel(
        "rejected",
        "send",
        "Messages of the clicks that are none, as they came; the headers say why.",
        {"rejected": _Message(_ANY, "as it came", headers=_REJECTION)},
    ),
    _Channel(
        "models",
        "receive",
        "Which version is to be served for a variant, and how each experiment stands.",
        {
            "modelAnnouncement": _Message("model-announcement", "the variant"),
            "experimentAnnouncement": _Message("experiment-announcement", "`experiment:` and the experiment's name"),
        },
    ),
    _Channel("items", "receive", "What the shop says of its items.", {"item": _Message("item", _ITEM)}),
    _Channel(
        "similar", "send", "The items that are like each one.", {"similarItems": _Message("similar-items", _ITEM)}
    ),
    _Channel("impressions", "receive", "Lists that were shown.", {"impression": _Message("impression", _SESSION)}),
    _Channel(
        "erasures",
        "send",
        "What each part has erased of a session; it names none.",
        {"erasure": _Message("erasure", "the message that asked for it, TOPIC-PARTITION@OFFSET", _ERASURE)},
    ),
)


def asyncapi_document(topics: Topics = Topics()) -> dict[str, Any]:
    """The document, AsyncAPI 3.0, with the shop's own names of topics where it has some."""
    plans = topic_plans(topics, partitions=1, group="nextclick", impressions=True)
    settings = {plan.name: _topic_settings(plan.config) for plan in plans}
    names = {one.word: str(getattr(topics, one.word)) for one in _CHANNELS}
    references, schemas = schema_components(SCHEMAS, "#/components/schemas/{name}")
    payloads = {**dict(zip(SCHEMAS, references, strict=True)), **_WITHOUT_SCHEMA}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "nextclick",
            "version": _VERSION,
            "description": "Clicks in, the next items out. docs/contract.md has the rules that no schema can tell.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "localhost:9092", "protocol": "kafka", "description": "as deploy/ has it"}},
        "channels": {one.word: _channel(one, names[one.word], settings[names[one.word]]) for one in _CHANNELS},
        "operations": {_operation(one): _described(one) for one in _CHANNELS},
        "components": {
            "messages": {
                name: _message(name, message, payloads) for one in _CHANNELS for name, message in one.messages.items()
            },
            "schemas": schemas,
        },
    }


def asyncapi_text(topics: Topics = Topics()) -> str:
    """The same as it is published."""
    return msgspec.json.format(msgspec.json.encode(asyncapi_document(topics)), indent=2).decode() + "\n"


def _channel(one: _Channel, topic: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": topic,
        "description": one.summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in one.messages},
        "bindings": {"kafka": {"topicConfiguration": settings, "bindingVersion": _KAFKA}},
    }


def _topic_settings(config: Any) -> dict[str, Any]:
    """Those of `topics create` that AsyncAPI's binding knows; a topic without a policy is cleaned up by time."""
    found: dict[str, Any] = {_CLEANUP: [config.get(_CLEANUP, "delete")]}
    return found | {name: int(config[name]) for name in _WHOLE_NUMBERS if name in config}


def _operation(one: _Channel) -> str:
    return f"{one.action}{one.word.capitalize()}"


def _described(one: _Channel) -> dict[str, Any]:
    channel = f"#/channels/{one.word}"
    return {
        "action": one.action,
        "channel": {"$ref": channel},
        "summary": one.summary,
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in one.messages],
    }


def _message(name: str, message: _Message, payloads: dict[str, Any]) -> dict[str, Any]:
    key = {"type": "string", "description": f"{message.key}; in UTF-8"}
    found: dict[str, Any] = {
        "name": name,
        "bindings": {"kafka": {"key": key, "bindingVersion": _KAFKA}},
        "payload": payloads[message.schema],
    }
    if message.schema == _ANY:
        found["contentType"] = "application/octet-stream"
    if message.headers:
        found["headers"] = _rejection_headers() if message.headers == _REJECTION else _erased_headers(payloads)
    if message.example is not None:
        found["examples"] = [{"name": name, "payload": message.example}]
    return found


def _rejection_headers() -> dict[str, Any]:
    names = [name for name, _value in rejection_headers(BadClick("", ""), "", 0, 0)]
    properties: dict[str, Any] = {name: {"type": "string"} for name in names}
    properties["reason"]["enum"] = sorted(REASONS)
    return {"type": "object", "properties": properties, "required": names}


def _erased_headers(payloads: dict[str, Any]) -> dict[str, Any]:
    """The value of the header is JSON, too."""
    return {"type": "object", "properties": {ERASED: payloads["erased-lists"]}, "required": [ERASED]}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncapi_text(), encoding="utf-8")
    print(sys.argv[1])
