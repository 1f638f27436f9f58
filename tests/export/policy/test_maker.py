"""Tests of export/policy/maker.py: exact against brute force (rank everything, then filter), by any policy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rig.coded import coded_bundle, random_codes
from bench.rig.toy import ITEMS, toy_bundle
from export.items.item import Item
from export.items.table import ItemTable
from export.policy import rule as rules
from export.policy.config import Filter, ListsConfig, Pin, Placement, Policy
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper, excluded_items
from export.ranking.popularity import PopularityRanker
from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker
from tests.export.policy.brute_force import BRANDS, NOW, described, filtered, names, policies, table_of


@pytest.fixture(scope="module", params=["dense", "coded"])
def ranker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    folder = tmp_path_factory.mktemp("toy")
    return Ranker(toy_bundle(folder) if request.param == "dense" else coded_bundle(folder, random_codes(ITEMS)))


def brute_force(ranker: Ranker, table: ItemTable, placement: Placement, shopper: Shopper) -> list[str]:
    """Rank everything, then filter, one item after the other."""
    policy, names = placement.policy, ranker.vocabulary.items
    known = [ranker.vocabulary.index(item) for item in shopper.interest if item in ranker.vocabulary]
    if known:
        away = Ragged.look_up(ranker.vocabulary, [shopper.disliked])
        deep = ranker.rank_deep(Ragged.of([known]), ITEMS, away=away, push=policy.push)
        scores = {names[i - 1]: float(s) for i, s in zip(deep.ids[0], deep.scores[0], strict=True)}
    else:
        total = ranker.bundle.popularity.sum()
        scores = {name: float(np.log(n / total)) for name, n in zip(names, ranker.bundle.popularity, strict=True)}
    last = names[known[-1] - 1] if known else None
    return filtered(
        {name: scores[name] for name in names}, table, placement, last, excluded_items(shopper, policy.exclude)
    )


placements = st.lists(
    st.builds(Placement, name=st.just("p"), k=st.integers(3, 10), policy=policies), min_size=1, max_size=2
)
shoppers = st.lists(st.tuples(names | st.just("unknown"), st.sampled_from("caolsd")), min_size=1, max_size=6).map(
    lambda events: Shopper([item for item, _ in events], "".join(kind for _, kind in events))
)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(described, max_size=60),
    placements,
    st.lists(shoppers, min_size=1, max_size=4),
    st.sampled_from([0, 32]),
    st.sampled_from([(1_000, 16_384, 256), (0, 16_384, 2), (0, 4, 2)]),
)
def test_lists_are_those_of_ranking_everything_and_then_filtering(
    ranker: Ranker,
    items: list[Item],
    lists: list[Placement],
    whose: list[Shopper],
    beyond: int,
    few: tuple[int, int, int],
) -> None:
    table = table_of(items)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "_FEW", few[0])  # 0: what is left open is ranked deeper, and not asked for
        patch.setattr(rules, "_MOST_OWN", few[1])
        patch.setattr("export.policy.choose._FEW_OTHERS", few[2])  # of items beside the ranking the best are kept
        maker = ListMaker(ranker, ListsConfig(tuple(lists)), table, now=lambda: NOW)
        maker._beyond = beyond  # 0: most lists are left open by the first ranking
        made = maker.make(whose)
    for shopper, row in zip(whose, made, strict=True):
        for placement, found in zip(lists, row, strict=True):
            expected = brute_force(ranker, table, placement, shopper)
            assert [item for item, _ in found.items] == expected
            scores = [score for _, score in found.items]
            assert placement.policy.filter or scores == sorted(scores, reverse=True)
            assert found.fallback == (not any(item in ranker.vocabulary for item in shopper.interest))


def test_change_of_an_item_is_in_force_in_the_next_list(ranker: Ranker) -> None:
    table = ItemTable()
    maker = ListMaker(ranker, ListsConfig.single(5), table)
    first = maker.make([Shopper.of_clicks(["item-7"])])[0][0].items
    best = first[0][0]
    table.put(Item(best, available=False))
    second = maker.make([Shopper.of_clicks(["item-7"])])[0][0].items
    assert [item for item, _ in second[:4]] == [item for item, _ in first[1:]]
    table.put(Item(best))
    table.remove(first[1][0])
    third = maker.make([Shopper.of_clicks(["item-7"])])[0][0].items
    assert [item for item, _ in third] == [best, *(item for item, _ in second[1:])]


def test_popularity_alone_keeps_the_policy_too(ranker: Ranker) -> None:
    table = table_of([Item(f"item-{ITEMS}", available=False), Item("item-1", boost=1e6)])
    maker = ListMaker(PopularityRanker(ranker.bundle), ListsConfig.single(3), table)
    found = maker.make([Shopper.of_clicks(["item-7"])])[0][0]
    assert found.fallback
    assert [item for item, _ in found.items] == ["item-1", f"item-{ITEMS - 1}", f"item-{ITEMS - 2}"]


def test_without_a_policy_lists_are_the_rankers_own(ranker: Ranker) -> None:
    maker = ListMaker(ranker, ListsConfig.single(5))
    whose = [Shopper.of_clicks(["item-7", "item-2"]), Shopper.of_clicks(["unknown"])]
    assert [row[0] for row in maker.make(whose)] == ranker.rank_items([one.items for one in whose], 5)


def test_short_and_filled_lists_are_counted(ranker: Ranker) -> None:
    table = table_of([Item("item-1", attributes={"brand": ("red",)}), Item("item-2", attributes={"brand": ("red",)})])
    rule = Filter(same="brand")
    maker = ListMaker(ranker, ListsConfig.single(5, Policy(filter=rule)), table)
    maker.make([Shopper.of_clicks(["item-1"]), Shopper.of_clicks(["item-9"])])
    assert (maker.counts.lists, maker.counts.filled, maker.counts.unfiltered) == (2, 1, 1)
    blocked = frozenset(f"item-{number}" for number in range(3, ITEMS + 1))
    maker = ListMaker(ranker, ListsConfig.single(5, Policy(blocked=blocked)), table)
    assert len(maker.make([Shopper.of_clicks(["item-1"])])[0][0].items) == 2
    assert maker.counts.short == 1


def test_ranking_goes_deeper_where_most_is_unavailable(tmp_path: Path) -> None:
    made: dict[str, Any] = {"items": 2_000, "k_max": 20}
    many = Ranker(toy_bundle(tmp_path, **made))
    table = table_of([Item(f"item-{number}", available=number % 50 == 0) for number in range(1, 2_001)])
    maker = ListMaker(many, ListsConfig.single(20), table)
    for _ in range(3):
        found = maker.make([Shopper.of_clicks(["item-7"])] * 4)[0][0].items
    assert len(found) == 20
    assert all(int(item.split("-")[1]) % 50 == 0 for item, _ in found)
    assert maker.counts.again > 0
    assert maker.counts.short == 0


def test_an_unknown_age_passes_no_limit(ranker: Ranker) -> None:
    table = table_of([Item("item-1", created_ts=int(NOW) * 1_000)])
    rule = Filter(newer_than_days=40_000.0, fill=False)  # longer ago than 1970
    maker = ListMaker(ranker, ListsConfig.single(5, Policy(filter=rule)), table, now=lambda: NOW)
    assert [item for item, _ in maker.make([Shopper.of_clicks(["item-7"])])[0][0].items] == ["item-1"]


def test_items_that_were_taken_up_while_a_list_was_made_count_in_the_next(ranker: Ranker) -> None:
    table = ItemTable()
    maker = ListMaker(ranker, ListsConfig.single(5), table)
    first = maker.make([Shopper.of_clicks(["item-7"])])[0][0].items[0][0]
    table.put(Item(first, available=False))
    assert maker._view is not None
    maker._view.refresh()  # as a column does, where rows of the table got other numbers
    assert first not in dict(maker.make([Shopper.of_clicks(["item-7"])])[0][0].items)


def test_a_pinned_item_that_the_model_does_not_know_counts_for_caps(ranker: Ranker) -> None:
    def attributes(number: int) -> dict[str, tuple[str, ...]]:
        return {"brand": BRANDS[number % 2 : number % 2 + 1], "path": (f"a/{number}" if number % 2 else f"b/{number}",)}

    table = table_of([Item(f"item-{number}", attributes=attributes(number)) for number in range(1, ITEMS + 1)])
    table.put(Item("new", attributes=attributes(41)))
    for cap in ("brand", "path"):
        policy = Policy(at_most={cap: 1}, pins=(Pin("new"),))
        found = ListMaker(ranker, ListsConfig.single(5, policy), table).make([Shopper.of_clicks(["item-7"])])[0][0]
        pinned, *others = [item for item, _ in found.items]
        assert pinned == "new"
        assert [int(item.split("-")[1]) % 2 for item in others] == [0]


@pytest.mark.parametrize("cells", [3 * ITEMS, ITEMS // 2])  # less than one session takes: then one at a time
def test_deep_rankings_are_made_a_part_of_the_sessions_at_a_time(
    ranker: Ranker, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    monkeypatch.setattr("export.policy.filling._MOST_CELLS", cells)
    monkeypatch.setattr(rules, "_FEW", 0)
    hidden = [Item(f"item-{number}", available=number > 35) for number in range(1, ITEMS + 1)]
    table, placement = table_of(hidden), Placement(name="", k=5, policy=Policy(pins=(Pin("item-40", 2),)))
    maker = ListMaker(ranker, ListsConfig((placement,)), table, now=lambda: NOW)
    maker._beyond = 0
    whose = [Shopper.of_clicks([f"item-{number}"]) for number in range(1, 20)]
    for shopper, (found,) in zip(whose, maker.make(whose), strict=True):
        assert [item for item, _ in found.items] == brute_force(ranker, table, placement, shopper)
