"""What messages of the topic do to a table, in their order."""

from collections.abc import Callable, Sequence

from confluent_kafka import Message

from export.errors import BadItem
from export.items.item import Item
from export.items.table import ItemTable
from stream.messages.items import decode_item_message

__all__ = ["apply_messages"]


def apply_messages(
    table: ItemTable, messages: Sequence[Message], on_refused: Callable[[BadItem, Message], None]
) -> None:
    """Put and remove what the messages say; `on_refused` hears of those that break a rule, or find the table full."""
    items: list[Item] = []
    sources: list[Message] = []

    def put() -> None:
        for place, error in table.put_all(items):
            on_refused(error, sources[place])
        items.clear()
        sources.clear()

    for message in messages:
        try:
            found = decode_item_message(message.value(), message.key())
            if isinstance(found, Item):
                items.append(found)
                sources.append(message)
            else:
                put()
                table.remove(found)
        except BadItem as error:
            on_refused(error, message)
    put()
