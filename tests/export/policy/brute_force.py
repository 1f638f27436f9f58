"""Lists made the slow way, rank everything and then filter one item after the other, and policies to make them by."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from bench.rig.toy import ITEMS
from export.items.item import Item
from export.items.table import ItemTable
from export.policy.config import Boost, Filter, Pin, Placement, Policy

__all__ = ["BRANDS", "NOW", "described", "filtered", "names", "policies", "table_of"]

NOW = 1_700_000_000.0
DAY_MS = 86_400_000
BRANDS, KINDS = ("red", "blue", "green", "rare"), ("toy", "book", "tool")


def table_of(items: Sequence[Item]) -> ItemTable:
    table = ItemTable()
    for item in items:
        table.put(item)
    return table


def filtered(
    ranked_by: Mapping[str, float], table: ItemTable, placement: Placement, last: str | None, barred: Collection[str]
) -> list[str]:
    """The list of items with these scores, boosts left out; `last`: what a filter compares with."""
    policy, scores = placement.policy, dict(ranked_by)
    items = {name: table.get(name) or Item(name, available=not table.is_gone(name)) for name in scores}
    for name, item in items.items():
        scores[name] += np.log(item.boost) if policy.boosts else 0.0
        scores[name] += sum(np.log(b.factor) for b in policy.boost if b.value in item.attributes.get(b.attribute, ()))
    out = {*barred, *policy.blocked}
    out |= {name for name, item in items.items() if policy.unavailable and not item.available}
    ranked = sorted((name for name in scores if name not in out), key=lambda name: -scores[name])
    pins = {pin.place: pin.item for pin in policy.pins if pin.item not in out}
    ranked = [name for name in ranked if name not in pins.values()]
    if (rule := policy.filter) is not None:
        first = [name for name in ranked if passes(items[name], Item("") if last is None else items[last], rule)]
        ranked = first + ([name for name in ranked if name not in first] if rule.fill else [])
    chosen: list[str] = []
    counts: dict[tuple[str, str], int] = {}

    def values(name: str) -> list[tuple[str, str]]:
        return [(a, v) for a in policy.at_most for v in items[name].attributes.get(a, ())]

    for name in pins.values():
        for value in values(name) if name in items else []:
            counts[value] = counts.get(value, 0) + 1
    for name in ranked:
        if len(chosen) == placement.k - len(pins):
            break
        if all(counts.get(value, 0) < policy.at_most[value[0]] for value in values(name)):
            chosen.append(name)
            for value in values(name):
                counts[value] = counts.get(value, 0) + 1
    for place in sorted(pins):
        chosen.insert(place - 1, pins[place])
    return chosen


def passes(item: Item, last: Item, rule: Filter) -> bool:
    wanted = set(last.attributes.get(rule.same, ())) if rule.same else set()
    return (
        (not wanted or bool(wanted & set(item.attributes.get(rule.same, ()))))
        and all(set(values) & set(item.attributes.get(name, ())) for name, values in rule.where.items())
        and (rule.price_from is None or (item.price is not None and item.price >= rule.price_from))
        and (rule.price_to is None or (item.price is not None and item.price <= rule.price_to))
        and (
            rule.newer_than_days is None
            or (item.created_ts is not None and item.created_ts > NOW * 1000 - rule.newer_than_days * DAY_MS)
        )
    )


names = st.integers(1, ITEMS).map(lambda number: f"item-{number}")
described = st.builds(
    Item,
    item_id=names,
    available=st.booleans() | st.just(True),
    attributes=st.fixed_dictionaries(
        {},
        optional={
            "brand": st.sampled_from(BRANDS).map(lambda brand: (brand,)),
            "kind": st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True).map(tuple),
        },
    ),
    price=st.none() | st.sampled_from([1.0, 5.0, 10.0]),
    boost=st.sampled_from([1.0, 1.0, 0.4713, 3.1713, 1013.71]),
    created_ts=st.none() | st.integers(0, 40).map(lambda days: int(NOW * 1000) - days * DAY_MS),
)
filters = st.builds(
    Filter,
    same=st.sampled_from(["", "brand", "kind"]),
    where=st.just({}) | st.just({"brand": ("red", "nobody")}) | st.just({"brand": ("rare",), "kind": ("book",)}),
    price_from=st.none() | st.just(2.0),
    price_to=st.none() | st.just(6.0),
    newer_than_days=st.none() | st.just(20.0),
    fill=st.booleans(),
)
policies = st.builds(
    Policy,
    exclude=st.lists(st.sampled_from(["seen", "carted", "bought", "disliked", "skipped"]), unique=True).map(tuple),
    unavailable=st.booleans(),
    blocked=st.frozensets(names, max_size=5),
    at_most=st.just({}) | st.just({"brand": 2}) | st.just({"brand": 1, "kind": 3}),
    boosts=st.booleans(),
    boost=st.just(()) | st.just((Boost("brand", "blue", 5.1337), Boost("kind", "tool", 0.1313))),
    push=st.sampled_from([0.0, 0.5, 1.0]),
    pins=st.just(()) | st.just((Pin("item-3", 2), Pin("item-40", 1))),
    filter=st.none() | filters,
)
