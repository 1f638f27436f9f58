"""Items of the tiny logs, and what a training makes of them."""

from __future__ import annotations

from collections.abc import Iterable

from export.items.item import Item
from model.data.known_items import KnownItems
from model.nets.config import TowerConfig

__all__ = ["known", "tiny_items"]


def tiny_items(items: int, *, groups: int = 4, first: int = 1) -> list[Item]:
    """Return item-1 to item-N, item n of the group n modulo `groups`, with a colour and a price."""
    return [
        Item(
            item_id=f"item-{n}",
            attributes={"group": (f"g{n % groups}",), "colours": tuple({f"c{n % 3}", f"c{n % 5}"})},
            price=float(n),
        )
        for n in range(first, first + items)
    ]


def known(items: Iterable[Item], **options: int) -> KnownItems:
    """Return items as a training is given them."""
    return KnownItems(items, TowerConfig(**options))
