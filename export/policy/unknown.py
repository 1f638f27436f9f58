"""What a policy names that nobody knows: blocked and pinned items, and attributes. Nothing is wrong, or a word is."""

from collections.abc import Container, Sequence

from export.items.table import ItemTable
from export.policy.config import ListsConfig

__all__ = ["say_attributes", "say_unknown", "unknown_attributes", "unknown_blocked", "unknown_pins"]

_NAMED = 3  # ids, or attributes, that a message names


def unknown_blocked(config: ListsConfig, vocabulary: Container[str]) -> list[str]:
    """Return the blocked items that a model does not know, in order."""
    return sorted(item for item in config.blocked if item not in vocabulary)


def unknown_pins(config: ListsConfig, vocabulary: Container[str], table: ItemTable | None) -> list[str]:
    """Return the pinned items of which neither a model nor a table knows anything, in order; they are shown."""
    pinned = {pin.item for one in config.placements for pin in one.policy.pins}
    return sorted(item for item in pinned if item not in vocabulary and (table is None or table.get(item) is None))


def unknown_attributes(config: ListsConfig, table: ItemTable | None) -> list[str]:
    """Return what lists ask of items, and none of those that are known ever had: attributes, values that boosts and
    filters name, prices, times of creation; nothing before any is known."""
    if table is None or not len(table):
        return []
    missing = sorted(name for name in config.attributes if table.values.attribute(name) is None)
    named = sorted(pair for pair in config.values if pair[0] not in missing)
    columns = sorted(column for column in config.columns if not table.has(column))
    values = (f"{name} = {text!r}" for name, text in named if table.values.code(name, text) is None)
    return [*missing, *columns, *values]


def say_attributes(config: ListsConfig, table: ItemTable | None) -> str:
    """Return a line for people about those; empty where there are none."""
    unknown = unknown_attributes(config, table)
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    return f"the policy asks for what no item has: {', '.join(unknown[:_NAMED])}{more}" if unknown else ""


def say_unknown(config: ListsConfig, vocabulary: Container[str], version: str, table: ItemTable | None) -> list[str]:
    """Return a line for people about each kind of items that the lists of the model `version` name in vain."""
    lines = []
    if blocked := unknown_blocked(config, vocabulary):
        lines.append(
            f"model {version} does not know {len(blocked)} of the {len(config.blocked)} blocked items, such as "
            f"{_some(blocked)}: nothing is wrong if the shop no longer has them; else spell them as the click log does"
        )
    if pins := unknown_pins(config, vocabulary, table):
        known_by = "" if table is None else ", nor do the items"
        lines.append(
            f"model {version} does not know {len(pins)} pinned items, such as {_some(pins)}{known_by}: they are shown; "
            "see that they are spelled as the click log does"
        )
    return lines


def _some(items: Sequence[str]) -> str:
    return ", ".join(map(repr, items[:_NAMED]))
