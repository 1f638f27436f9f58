"""Tests of export/policy/similar.py: exact against comparing with everything and then filtering, by any policy."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rig.toy import ITEMS, toy_bundle
from export.bundle.bundle import Bundle
from export.items.item import Item
from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.policy import similar as module
from export.policy.config import Filter, Pin, Placement, Policy
from export.policy.similar import SimilarLists, of_sessions
from export.ranking.similar import Similar, write_vectors
from tests.export.policy.brute_force import NOW, described, filtered, names, policies, table_of
from tests.export.ranking.test_similar import with_vectors

NOW_MS = int(NOW * 1000)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy_bundle(tmp_path_factory.mktemp("plain") / "bundle")


@pytest.fixture(scope="module")
def similar(plain: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Similar:
    return Similar(with_vectors(plain, tmp_path_factory.mktemp("similar")))


def lists_of(similar: Similar, table: ItemTable | None, placement: Placement) -> SimilarLists:
    view = None if table is None else CatalogueView(table, similar.vocabulary)
    return SimilarLists(similar, placement, view, NOW_MS)


def brute_force(similar: Similar, table: ItemTable, placement: Placement, item: str) -> list[str]:
    names = similar.vocabulary.items
    cosines = similar.cosines(similar.vocabulary.look_up([item], 1))[0, 1:].astype(np.float64)
    odds = np.log(np.maximum(1 + cosines, 1e-30)) - np.log(np.maximum(1 - cosines, 1e-7))
    return filtered(dict(zip(names, odds.tolist(), strict=True)), table, placement, item, {item})


@settings(deadline=None, max_examples=100)
@given(
    st.lists(names, min_size=1, max_size=4),
    st.lists(described, max_size=60),
    st.builds(Placement, name=st.just("p"), k=st.integers(3, 10), policy=policies),
    st.sampled_from([0, 8]),
    st.sampled_from([1, 7, 512]),
)
def test_lists_are_those_of_comparing_everything_and_then_filtering(
    similar: Similar, asked: list[str], items: list[Item], placement: Placement, beyond: int, at_once: int
) -> None:
    table = table_of(items)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BEYOND", beyond)
        patch.setattr(module, "_AT_ONCE", at_once)
        patch.setattr("export.ranking.best._GROUP", 1)
        made = lists_of(similar, table, placement)
        found = dict(made.all())
        again = made.of(asked)
    assert list(found) == list(similar.vocabulary.items)
    for name, one in zip(asked, again, strict=True):
        assert one is not None
        assert [item for item, _ in one] == [item for item, _ in found[name]]
        assert [item for item, _ in found[name]] == brute_force(similar, table, placement, name), name
        assert all(-1.001 <= score <= 1.001 for _, score in found[name])
    assert made.counts.lists == ITEMS + len(asked)
    few = [name for name in (*found, *asked) if len(found[name]) < placement.k]
    assert made.counts.short == len(few)


def test_without_boosts_scores_are_cosines_and_with_them_the_cosine_of_the_odds(similar: Similar) -> None:
    plain = lists_of(similar, None, Placement(name="", k=3, policy=Policy()))
    [found] = plain.of(["item-9"])
    assert found is not None
    cosines = similar.cosines(np.array([9], np.int32))[0]
    assert [score for _, score in found] == [float(cosines[similar.vocabulary.index(item)]) for item, _ in found]
    second, cosine = found[1]
    table = table_of([Item(second, boost=1e6)])
    [boosted] = lists_of(similar, table, Placement(name="", k=3, policy=Policy())).of(["item-9"])
    assert boosted is not None
    assert boosted[0][0] == second
    odds = 1e6 * (1 + cosine) / (1 - cosine)
    assert boosted[0][1] == pytest.approx((odds - 1) / (odds + 1), abs=1e-6)
    assert plain.of(["never", "item-9"]) == [None, found]


def test_pin_stands_in_all_lists_but_its_own_and_an_unknown_one_too(similar: Similar) -> None:
    policy = Policy(pins=(Pin("item-5"), Pin("new", 2)))
    found = dict(lists_of(similar, ItemTable(), Placement(name="", k=4, policy=policy)).all())
    assert [item for item, _ in found["item-1"][:2]] == ["item-5", "new"]
    assert "item-5" not in dict(found["item-5"])
    assert "new" in dict(found["item-5"])
    assert {len(one) for one in found.values()} == {4}


def test_filled_and_unfiltered_lists_are_counted(similar: Similar) -> None:
    table = table_of([Item(f"item-{n}", attributes={"brand": ("red",)}) for n in (1, 2)])
    made = lists_of(similar, table, Placement(name="", k=5, policy=Policy(filter=Filter(same="brand"))))
    found = dict(made.all())
    assert found["item-1"][0][0] == "item-2"
    assert (made.counts.filled, made.counts.unfiltered) == (2, ITEMS - 2)


def test_rules_about_sessions_are_named() -> None:
    assert of_sessions(Policy(exclude=("seen", "bought"))) == ["exclude (seen, bought)", "push"]
    assert of_sessions(Policy(exclude=(), push=0.0)) == []
    assert of_sessions(Policy(exclude=(), push=0.9)) == ["push"]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 5), st.integers(1, 45), st.integers(1, 50), st.none() | st.floats(0, 1))
def test_lists_without_a_policy_are_those_of_comparing_all_with_all(
    plain: Bundle, tmp_path_factory: pytest.TempPathFactory, seed: int, k: int, once: int, share: float | None
) -> None:
    found = Similar(with_vectors(plain, tmp_path_factory.mktemp("v"), seed))
    shown = np.ones(ITEMS + 1, np.bool_) if share is None else np.random.default_rng(seed).random(ITEMS + 1) < share
    table = table_of([Item(name, available=bool(shown[n])) for n, name in enumerate(plain.vocabulary.items, 1)])
    unit = np.asarray(found._vectors, dtype=np.float32)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)
    scores[:, ~shown[1:]] = -np.inf
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_ONCE", once)
        made = lists_of(found, None if share is None else table, Placement(name="", k=k, policy=Policy()))
        lists = dict(made.all())
    assert list(lists) == list(plain.vocabulary.items)
    for row, name in zip(scores, plain.vocabulary.items, strict=True):
        wanted = np.sort(row[row > -np.inf])[::-1][:k]
        assert [score for _, score in lists[name]] == pytest.approx(wanted.tolist(), abs=1e-6)
        for item, score in lists[name]:
            assert row[plain.vocabulary.index(item) - 1] == pytest.approx(score, abs=1e-6)
        assert len({item for item, _ in lists[name]} - {name}) == len(wanted)


def test_items_whose_lists_hold_some_are_known(similar: Similar) -> None:
    made = lists_of(similar, None, Placement(name="", k=4, policy=Policy(pins=(Pin("item-5"), Pin("new", 2)))))
    found = dict(made.all())
    wanted = np.zeros(ITEMS + 1, np.bool_)
    wanted[[0, 3, 5]] = True
    holders = [similar.vocabulary.items[item - 1] for item in made.holding(wanted).tolist()]
    assert holders == [name for name, one in found.items() if {"item-3", "item-5"} & set(dict(one))]


@pytest.mark.parametrize("boost", [10.0, 1e4, 1e6])
def test_boosts_leave_scores_cosines_and_lower_nothing(plain: Bundle, tmp_path: Path, boost: float) -> None:
    """Cosines of rounded vectors that point in one direction, or in opposite ones, are not quite 1 and -1."""
    half = np.random.default_rng(0).normal(size=(ITEMS // 2, 6))
    write_vectors(tmp_path / "vectors.npy", np.concatenate([half, -half]))
    found = Similar(dataclasses.replace(plain, vectors_path=tmp_path / "vectors.npy"))
    names = found.vocabulary.items
    table = table_of([Item(name, boost=boost) for name in names[ITEMS // 2 :]])
    placement = Placement(name="", k=ITEMS - 1, policy=Policy())
    before, after = (dict(lists_of(found, one, placement).all()) for one in (None, table))
    for name, listed in after.items():
        assert all(-1.0 <= score <= 1.0 for _, score in listed)
        was = dict(before[name])
        assert all(score >= was[item] - 1e-3 for item, score in listed)
