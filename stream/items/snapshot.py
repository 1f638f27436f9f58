"""The items as their topic has them now: read once, from the beginning to the end."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from export.items.table import ItemTable
from stream.errors import BrokerUnavailable, TopicError
from stream.items.apply import apply_messages
from stream.items.reader import ItemsReader
from stream.kafka.clients import wait_for_broker
from stream.topic_names import Topics

__all__ = ["ItemsSnapshot", "read_items_topic"]

_READ_S = 0.2


@dataclass(slots=True, kw_only=True)
class ItemsSnapshot:
    """What is in force, and what of the topic no worker can use."""

    table: ItemTable = field(default_factory=ItemTable)
    messages: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by reason
    seconds: float = 0.0


def read_items_topic(
    bootstrap_servers: str,
    topics: Topics = Topics(),
    extra: Mapping[str, str] | None = None,
    *,
    timeout_s: float = 60.0,
) -> ItemsSnapshot:
    """Read the topic to the end that it has now.

    TopicError where there is none; BrokerUnavailable without an answer, or where nothing more comes for `timeout_s`.
    """
    wait_for_broker(bootstrap_servers, extra, timeout_s=min(timeout_s, 30.0))
    reader = ItemsReader(bootstrap_servers, topics.items, extra)
    found = ItemsSnapshot()
    begun = heard = time.monotonic()
    try:
        while not reader.caught_up:
            messages = reader.read(_READ_S)
            heard = time.monotonic() if messages else heard
            found.messages += len(messages)
            apply_messages(found.table, messages, lambda error, _message: found.refused.update([error.reason]))
            if time.monotonic() - heard > timeout_s:
                why = reader.trouble or "nothing more came"
                raise BrokerUnavailable(f"{topics.items} was not read to its end within {timeout_s:g} s: {why}")
        if reader.missing:
            options = f"--bootstrap-servers HOST{topics.as_options()}"
            raise TopicError(f"there is no topic {topics.items}; `nextclick topics create {options}` makes it")
    finally:
        reader.close()
    found.seconds = time.monotonic() - begun
    return found
