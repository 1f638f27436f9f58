"""The products as the page shows them: ids, words, prices, and which picture each has."""

from typing import Any

import msgspec

from demo.page.drawings import FORMS, drawing
from demo.simulated.shop import Shop

__all__ = ["Products"]


class Products:
    """Of one shop. `ids` are those that can be clicked."""

    def __init__(self, shop: Shop) -> None:
        rows: list[tuple[str, int, int, float, int]] = []
        names: dict[str, int] = {}
        brands: dict[str, int] = {}
        for number, item_id in enumerate(shop.item_ids()):
            kind, maker, _ = shop.describe(number).split(" · ")
            category = names.setdefault(kind, len(names))
            brand = brands.setdefault(maker, int(shop.brand[number]))
            rows.append((item_id, category, brand, round(float(shop.price[number]), 2), number % FORMS))
        self.ids = frozenset(row[0] for row in rows)
        makers = {number: name for name, number in brands.items()}
        told: dict[str, Any] = {
            "categories": list(names),
            "brands": [makers.get(number, "") for number in range(max(makers) + 1)],
            "items": rows,  # id, category, brand, price in euros, form
        }
        self.json = msgspec.json.encode(told)
        self._categories = list(names)

    def picture(self, category: int, brand: int, form: int) -> bytes:
        """The drawing of all products that have these; IndexError where the shop has no such category."""
        return drawing(self._categories[category], brand, form)
