"""What no list can keep: found without ranking everything for each list, and said, by what the items have."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.rig.toy import ITEMS, toy_bundle
from export.items.item import Item
from export.items.table import ItemTable
from export.policy.choose import Cap, Choice, Rules, Stage
from export.policy.config import Filter, ListsConfig, Pin, Policy
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.ranker import Ranker

MANY, SHARE = 2_000, 600  # items; the first of them, which have a category of their own
WHOSE = [Shopper.of_clicks([f"item-{number}"]) for number in range(1, 5)]


class Watched(Ranker):
    """Remembers how deep it was asked to rank, and for how many candidates."""

    asked: list[tuple[int, int]]

    def rank_deep(self, rows, depth, *, also=None, **others):  # type: ignore[no-untyped-def]
        self.asked.append((depth, 0 if also is None else len(also)))
        return super().rank_deep(rows, depth, also=also, **others)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(toy_bundle(tmp_path_factory.mktemp("toy"), items=MANY, k_max=20))


@pytest.fixture(scope="module")
def branded() -> ItemTable:
    """All of one brand; the first have a category of their own, the others share one."""
    table = ItemTable()
    for number in range(1, MANY + 1):
        category = (f"c{min(number, SHARE)}",)
        table.put(Item(f"item-{number}", attributes={"brand": ("acme",), "category": category}))
    return table


def made_by(ranker: Watched, table: ItemTable, policy: Policy) -> tuple[ListMaker, list[int]]:
    """The maker after two batches, and the lengths of the second's lists; `asked` is of the second."""
    maker = ListMaker(ranker, ListsConfig.single(20, policy), table)
    ranker.asked = []
    maker.make(WHOSE)
    ranker.asked.clear()
    return maker, [len(row[0].items) for row in maker.make(WHOSE)]


NOBODY = Filter(where={"brand": ("nobody",)}, fill=False)


@pytest.mark.parametrize(
    ("policy", "lengths", "said"),
    [
        (Policy(at_most={"brand": 3}), [3] * 4, "at_most has brand = 3, and the items that may be shown have 1 differ"),
        (Policy(at_most={"brand": 3}, pins=(Pin("item-9"),)), [3] * 4, "have 4 of 20 items at most: at_most has brand"),
        (Policy(at_most={"brand": 3}, filter=Filter(same="category")), [3] * 4, "at_most has brand = 3"),
        (Policy(filter=NOBODY), [0] * 4, "have 0 of 20 items at most: 0 items that may be shown pass the filter"),
        (Policy(blocked=frozenset(f"item-{n}" for n in range(1, MANY + 1))), [0] * 4, "0 of 2,000 items may be shown"),
    ],
    ids=["cap", "cap and pin", "cap and filter", "filter", "blocked"],
)
def test_a_policy_that_no_list_can_meet_is_said_and_costs_no_deeper_ranking(
    many: Watched, branded: ItemTable, policy: Policy, lengths: list[int], said: str
) -> None:
    maker, found = made_by(many, branded, policy)
    assert found == lengths
    assert len(many.asked) == 1
    depth, candidates = many.asked[0]
    assert depth <= 20 + 1 + 8 + 1  # a pin, what the first ranking has beyond, what is disliked
    assert candidates <= 4
    (shortage,) = maker.shortages
    assert said in str(shortage)
    assert shortage.remedy
    assert maker.counts.short == 2 * len(WHOSE)


def test_a_cap_beyond_any_number_of_items_is_none(many: Watched, branded: ItemTable) -> None:
    maker, found = made_by(many, branded, Policy(at_most={"brand": 10**19}))
    assert found == [20] * 4
    assert not maker.shortages


def test_a_cap_that_few_items_are_left_for_asks_for_those(
    many: Watched, branded: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.policy.rule._MOST_OWN", 150)
    policy = Policy(blocked=frozenset(f"item-{number}" for number in range(100, SHARE)), at_most={"category": 1})
    maker, lengths = made_by(many, branded, policy)
    assert lengths == [20] * 4
    assert max(depth for depth, _ in many.asked) < 100
    assert sum(candidates for _, candidates in many.asked) <= 100
    assert not maker.shortages


def test_what_is_said_goes_away_once_it_no_longer_holds(tmp_path: Path) -> None:
    ranker, table = Ranker(toy_bundle(tmp_path)), ItemTable()
    for number in range(1, ITEMS + 1):
        table.put(Item(f"item-{number}", attributes={"brand": ("acme",)}))
    capped = ListsConfig.single(5, Policy(at_most={"brand": 2}))
    maker = ListMaker(ranker, capped, table)
    assert [(one.longest, one.k) for one in maker.shortages] == [(2, 5)]
    maker.use(ListsConfig.single(5, Policy(at_most={"brand": 5})))
    assert not maker.shortages
    maker.use(capped)
    assert maker.shortages
    table.put(Item("item-1"))
    table.put(Item("item-2"))
    table.put(Item("item-3", attributes={"brand": ("other",)}))
    maker._count_from = 0.0  # as if it were a while since
    maker.refresh()
    assert not maker.shortages
    maker.use(ListsConfig.single(ITEMS + 1))
    assert "the model has 40 items" in str(maker.shortages[0])


codes = st.lists(st.lists(st.integers(0, 5), max_size=2, unique=True), min_size=0, max_size=300)


@settings(deadline=None, max_examples=100)
@given(codes, st.integers(1, 4), st.integers(1, 150), st.integers(0, 300))
def test_choice_is_that_of_looking_at_each_candidate(given: list[list[int]], most: int, k: int, sure: int) -> None:
    def holders(code: int) -> NDArray[np.int32]:
        return np.array([item for item, has in enumerate(given) if code in has], np.int32)

    ids = np.arange(len(given), dtype=np.int32)
    bound = -np.inf if sure >= len(given) else -float(sure)
    choice = Choice(Rules(k, len(given) + 1, [Cap(most, given.__getitem__, holders)]))
    done = choice.take(Stage(ids, -ids.astype(np.float64), bound))
    assert choice.chosen[0] == one_by_one(given, most, k, sure)
    assert done == (len(choice.chosen[0]) == k or bound == -np.inf)


def one_by_one(given: Sequence[Sequence[int]], most: int, k: int, sure: int) -> list[int]:
    chosen: list[int] = []
    for item, has in enumerate(given[: sure + 1]):
        if len(chosen) < k and all(sum(code in given[other] for other in chosen) < most for code in has):
            chosen.append(item)
    return chosen
