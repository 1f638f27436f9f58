"""What a table of items holds, counted for people."""

from collections import Counter
from typing import Any

from export.items.table import ItemTable

__all__ = ["table_figures"]

_COMMON = 3  # values named of each attribute


def table_figures(table: ItemTable) -> dict[str, Any]:
    """Return counts of items: all, unavailable, gone, boosted, priced, dated; and of each attribute how many items have
    it, how many different values it has, and its most frequent ones."""
    boosted = priced = dated = 0
    held: dict[str, Counter[str]] = {}
    having: Counter[str] = Counter()
    for item in table:
        boosted += item.boost != 1.0
        priced += item.price is not None
        dated += item.created_ts is not None
        for name, texts in item.attributes.items():
            having[name] += 1
            held.setdefault(name, Counter()).update(texts)
    return {
        "items": len(table),
        "unavailable": table.unavailable,
        "gone": table.gone,
        "boosted": boosted,
        "with_price": priced,
        "with_created_ts": dated,
        "attributes": {
            name: {"items": having[name], "values": len(held[name]), "common": dict(held[name].most_common(_COMMON))}
            for name, _ in having.most_common()
        },
    }
