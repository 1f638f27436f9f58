"""Pictures of products: one for each category, all of them sound SVG that asks for nothing."""

import json
from xml.etree import ElementTree

import pytest

from demo.page.drawings import COLOURS, FORMS, drawing
from demo.page.products import Products
from demo.page.shapes import SHAPES
from demo.simulated.shop import Shop
from demo.simulated.stock import ShopConfig

SHOP = Shop(ShopConfig(items=60))


def test_every_category_of_the_shop_has_a_shape_of_its_own() -> None:
    kinds = {SHOP.describe(item).split(" · ")[0] for item in range(60)}
    assert kinds == SHAPES.keys()
    assert len({drawing(kind, 0) for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("kind", [*SHAPES, "unheard of"])
def test_drawing_is_sound_and_has_nothing_from_elsewhere(kind: str) -> None:
    text = drawing(kind, 5, 1).decode()
    root = ElementTree.fromstring(text)
    assert root.get("viewBox") == "0 0 120 120"
    assert len([*root.iter()]) > 4
    assert text.count("http") == 1, "the name of the format"
    assert "script" not in text
    classes = {part.get("class") for part in root.iter() if part.get("class")}
    assert classes
    assert all(f".{name}{{" in text for name in classes), "each has a colour"


def test_makers_and_forms_differ_in_colour() -> None:
    assert len({drawing("tent", brand, form) for brand in range(len(COLOURS)) for form in range(FORMS)}) == 36


def test_products_say_words_price_and_picture_of_each_item() -> None:
    products = Products(SHOP)
    told = json.loads(products.json)
    item, category, brand, price, form = told["items"][7]
    assert (item, price) == ("i00007", round(float(SHOP.price[7]), 2))
    assert SHOP.describe(7).startswith(f"{told['categories'][category]} · {told['brands'][brand]} · ")
    assert products.picture(category, brand, form) == drawing(told["categories"][category], brand, form)
    assert products.ids == set(SHOP.item_ids())
    with pytest.raises(IndexError):
        products.picture(99, 0, 0)
