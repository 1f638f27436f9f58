"""Putting items onto their topic: those of a table, and on demand tombstones for those that the table lacks."""

import time
from collections.abc import Iterable, Mapping

import msgspec

from export.errors import ConfigError
from export.items.item import Item
from export.items.table import ItemTable
from stream.items.snapshot import read_items_topic
from stream.kafka.sender import Sender
from stream.messages.items import encode_item, item_key
from stream.topic_names import Topics

__all__ = ["LoadReport", "load_items", "send_items"]


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent; all of it is confirmed."""

    sent: int  # items
    gone: int  # tombstones
    unchanged: int  # items that the topic has so already; not looked for without `replace`
    seconds: float


def load_items(
    table: ItemTable,
    bootstrap_servers: str,
    topics: Topics = Topics(),
    extra: Mapping[str, str] | None = None,
    *,
    replace: bool = False,
    max_gone_share: float = 0.5,
) -> LoadReport:
    """Send all items of a table. `replace`: items that the topic has and the table lacks go, what is there already is
    not sent again.

    ConfigError, and nothing is sent, where a larger share of the topic's items than `max_gone_share` would go.
    TopicError without the topic; BrokerUnavailable or PublishFailed where not all is confirmed.
    """
    begun = time.monotonic()
    gone: list[str] = []
    wanted: Iterable[Item] = table
    unchanged = 0
    if replace:
        there = read_items_topic(bootstrap_servers, topics, extra).table
        gone = [item.item_id for item in there if item.item_id not in table]
        if len(gone) > max_gone_share * len(there):
            raise ConfigError(
                f"{len(gone):,} of the {len(there):,} items of {topics.items} would go; at most "
                f"{max_gone_share:.0%} may: say --max-gone-share where that is meant"
            )
        wanted = [item for item in table if there.get(item.item_id) != item]
        unchanged = len(table) - len(wanted)
    sent = send_items(wanted, gone, bootstrap_servers, topics, extra)
    return LoadReport(sent=sent, gone=len(gone), unchanged=unchanged, seconds=time.monotonic() - begun)


def send_items(
    items: Iterable[Item],
    gone: Iterable[str],
    bootstrap_servers: str,
    topics: Topics = Topics(),
    extra: Mapping[str, str] | None = None,
) -> int:
    """Send items, and tombstones for ids that are gone; how many items, once all is confirmed. Errors of `Sender`."""
    with Sender(bootstrap_servers, topics.items, extra, what="items") as sender:
        for item in items:
            sender.send(item_key(item.item_id), encode_item(item))
        sent = sender.sent
        for item_id in gone:
            sender.send(item_key(item_id), None)
        sender.finish()
    return sent
