"""From clicks and items on disk to a bundle that knows items nobody has clicked, and ones it has never heard of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from export.bundle.bundle import FEATURES, TOWER, Bundle, load_bundle
from export.errors import BundleError
from export.items.item import Item
from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.policy.catalogue import Catalogue, Embedded, Newcomers
from export.policy.config import ListsConfig
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.embedder import Embedder
from export.ranking.fresh_items import FreshItems
from export.ranking.known_features import KnownFeatures
from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker
from export.registry.registry import Registry
from model.codes.config import CodesConfig
from model.reports.progress import Progress
from tests.model.items import tiny_items
from tests.model.test_training_run import published, request
from tests.model.tiny import tiny_preset

pytestmark = pytest.mark.slow

FILE = [*tiny_items(40), *tiny_items(5, first=101)]  # five that nobody has clicked


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, list[str]]:
    """A bundle trained with items, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("run")
    attributes = [[text for values in item.attributes.values() for text in values] for item in FILE]
    pq.write_table(pa.table({"item_id": [item.item_id for item in FILE], "attributes": attributes}), folder / "items")
    seen: list[Progress] = []
    summary = published(request(folder, items=folder / "items"), seen.append)
    return load_bundle(Registry(str(folder / "registry")).fetch(summary.version)), [one.message for one in seen]


def described(item_id: str, group: str) -> Item:
    return Item(item_id=item_id, attributes={"attributes": (group,)})


def test_run_with_items_publishes_newcomers_behind_the_clicked_items(run: tuple[Bundle, list[str]]) -> None:
    bundle, messages = run
    assert bundle.vocabulary.items[-5:] == tuple(f"item-{n}" for n in range(101, 106))
    assert not bundle.popularity[-5:].any()
    assert bundle.popularity[:-5].all()
    assert {TOWER, FEATURES} <= set(bundle.manifest.files)
    assert "5 items without a click, by their attributes" in messages
    ranked, fallback, _ = Ranker(bundle).rank_items([["item-103"]], 45)[0]
    assert not fallback
    assert {f"item-{n}" for n in range(101, 106)} <= {name for name, _ in ranked}


def test_embedder_gives_an_item_the_vector_that_the_catalogue_gave_a_newcomer(run: tuple[Bundle, list[str]]) -> None:
    bundle, _ = run
    file = {item.item_id: tuple(text for texts in item.attributes.values() for text in texts) for item in FILE}
    items = [Item(item_id=f"again-{n}", attributes={"attributes": file[f"item-{n}"]}) for n in range(101, 106)]
    vectors = Embedder(bundle).embed(items)
    assert vectors.shape == (5, 16)
    table = _table_of(bundle)
    np.testing.assert_allclose(vectors, table[-5:], atol=1e-5)


def test_fresh_items_follow_the_table_and_embed_what_changed(run: tuple[Bundle, list[str]]) -> None:
    bundle, _ = run
    table = ItemTable()
    for item in (described("item-1", "g0"), described("n1", "g1"), described("n2", "g2"), Item(item_id="blank")):
        table.put(item)
    view = CatalogueView(table, bundle.vocabulary)
    fresh = FreshItems(bundle, view)
    assert dict(fresh.ids) == {"n1": len(bundle.vocabulary) + 1, "n2": len(bundle.vocabulary) + 2}
    assert fresh.blank == 1
    assert fresh.vectors.shape == (2, 16)
    assert not fresh.refresh()
    first = fresh.vectors.copy()
    table.put(described("n1", "g3"))
    table.put(described("n3", "g1"))
    table.remove("n2")
    view.refresh()
    assert fresh.refresh()
    assert list(fresh.ids) == ["n1", "n3"]
    np.testing.assert_allclose(fresh.vectors[1], first[0])  # n3 is what n1 was
    assert not np.allclose(fresh.vectors[0], first[0])
    table.put(described("item-1", "g2"))
    view.refresh()
    assert not fresh.refresh()  # the model knows that one
    few = FreshItems(bundle, view, most=1)
    assert (few.left_out, list(few.ids)) == (2, ["n3"])  # the one that came last


def test_fresh_items_of_a_table_without_any_are_one_row_that_no_id_has(run: tuple[Bundle, list[str]]) -> None:
    bundle, _ = run
    fresh = FreshItems(bundle, CatalogueView(ItemTable(), bundle.vocabulary))
    assert not fresh.ids
    assert fresh.vectors.shape == (1, 16)


def test_run_without_a_tower_has_none_and_says_so(tmp_path: Path, run: tuple[Bundle, list[str]]) -> None:
    pq.write_table(pa.table({"item_id": ["item-1", "item-900"], "attributes": [["a"], ["a"]]}), tmp_path / "items")
    preset = replace(tiny_preset(epochs=1, layers=1), tower=None)
    summary = published(request(tmp_path, preset, items=tmp_path / "items"))
    bundle = load_bundle(Registry(str(tmp_path / "registry")).fetch(summary.version))
    assert bundle.features is None
    assert "item-900" not in bundle.vocabulary
    with pytest.raises(BundleError, match="--items"):
        Embedder(bundle)


def test_run_with_codes_lists_items_without_clicks_beside_those_of_their_kind(tmp_path: Path) -> None:
    kinds = [(f"item-{n}", [f"g{n % 4}"]) for n in range(1, 41)] + [("item-101", ["g1"]), ("item-102", ["nobody's"])]
    names, attributes = zip(*kinds, strict=True)
    pq.write_table(pa.table({"item_id": names, "attributes": attributes}), tmp_path / "items")
    preset = replace(tiny_preset(epochs=1, layers=1), codes=CodesConfig(splits=4), tower=None)
    seen: list[Progress] = []
    summary = published(request(tmp_path, preset, items=tmp_path / "items"), seen.append)
    said = "1 items without a click have codes by their attributes; 1 have no value that a clicked item has"
    assert said in [one.message for one in seen]
    bundle = load_bundle(Registry(str(tmp_path / "registry")).fetch(summary.version))
    assert (bundle.vocabulary.items[-1], "item-102" in bundle.vocabulary) == ("item-101", False)
    assert bundle.codes is not None
    assert bundle.codes.items == len(bundle.vocabulary)
    assert bundle.known_path is None
    ranked, fallback, _ = Ranker(bundle).rank_items([["item-101"]], len(bundle.vocabulary))[0]  # also in the graph
    assert not fallback
    assert "item-101" in {name for name, _ in ranked}


def _table_of(bundle: Bundle) -> NDArray[np.float32]:
    graph = onnx.load(bundle.onnx_path).graph
    shape = (len(bundle.vocabulary) + 1, 16)
    arrays = [numpy_helper.to_array(one) for one in graph.initializer]
    return next(array for array in arrays if array.shape == shape)


def test_lists_have_items_newer_than_the_model_and_understand_clicks_on_them(run: tuple[Bundle, list[str]]) -> None:
    bundle, _ = run
    table = ItemTable()
    ranker = Ranker(bundle)
    maker, newcomers = ListMaker(ranker, ListsConfig.single(45), table), Newcomers(bundle, table)
    assert newcomers.look() is None
    table.put(described("newer", "g1"))
    table.put(Item(item_id="gone", attributes={"attributes": ("g1",)}, available=False))
    assert maker.make([Shopper.of_clicks(["newer"])])[0][0].fallback  # until somebody looks
    catalogue = newcomers.look()
    assert catalogue is not None
    maker.take(catalogue)
    of_known, of_newer = (row[0] for row in maker.make([Shopper.of_clicks(["item-1"]), Shopper.of_clicks(["newer"])]))
    assert not of_newer.fallback
    assert "newer" in dict(of_known.items)
    assert "gone" not in dict(of_known.items)
    scores = [score for _, score in of_known.items]
    assert scores == sorted(scores, reverse=True)
    disliked = maker.make([Shopper(["item-1", "newer"], "cd")])[0][0]
    assert "newer" not in dict(disliked.items)
    popular = maker.make([Shopper.of_clicks(["nobody-knows"])])[0][0]
    assert popular.fallback
    assert dict(popular.items).get("newer", 0.0) == 0.0
    assert newcomers.look() is None
    table.put(Item(item_id="newer", attributes={"attributes": ("g1",)}, available=False))
    assert "newer" not in dict(maker.make([Shopper.of_clicks(["item-1"])])[0][0].items)
    table.remove("newer")
    table.remove("gone")
    catalogue = newcomers.look()
    assert catalogue is not None
    maker.take(catalogue)
    assert catalogue.fresh is None
    assert maker.make([Shopper.of_clicks(["newer"])])[0][0].fallback


def as_trained() -> ItemTable:
    """Return the items of the file as the training read it."""
    table = ItemTable()
    for item in FILE:
        texts = tuple(text for values in item.attributes.values() for text in values)
        table.put(Item(item_id=item.item_id, attributes={"attributes": texts}))
    return table


def by_hand(ranker: Ranker, catalogue: Catalogue, session: list[str], k: int) -> list[tuple[str, float]]:
    """Return the best K: each item's score asked for by itself, by its new vector where it has one."""
    assert catalogue.fresh is not None
    fresh, names = catalogue.fresh, catalogue.vocabulary
    ids = Ragged.of([fresh.ports[names.encode(session)]])
    every = np.arange(1, len(names) + 1)
    deep = ranker.rank_deep(ids, 1, also=fresh.ports[every], fresh=fresh.vectors)
    best = np.argsort(-deep.also[0], kind="stable")[:k]
    return [(names.items[place], float(deep.also[0][place])) for place in best]


def test_changed_items_are_ranked_and_understood_by_what_is_said_of_them_now(run: tuple[Bundle, list[str]]) -> None:
    bundle, _ = run
    table, ranker, session = as_trained(), Ranker(bundle), ["item-5", "item-1"]
    whose = [Shopper.of_clicks(session), Shopper.of_clicks(["item-2"])]
    maker = ListMaker(ranker, ListsConfig.single(9), table)
    newcomers = Newcomers(bundle, table, maker.catalogue, vectors_of=ranker.vectors_of)
    assert newcomers.look() is None  # all is as it was
    assert newcomers.found == Embedded()
    first = [row[0] for row in maker.make(whose)]
    best = next(item for item, _ in first[0].items if item not in ("item-1", "item-40"))
    for name in ("item-1", best, "item-40"):  # one of the session, its best, one from far below
        table.put(Item(name, attributes={"attributes": ("g3", "new")}, price=1e6))  # there are no prices in the file
    table.put(described("newer", "g1"))
    catalogue = newcomers.look()
    assert catalogue is not None
    assert newcomers.found == Embedded(newer=1, changed=3)
    maker.take(catalogue)
    second = [row[0] for row in maker.make(whose)]
    assert dict(first[0].items)[best] != dict(second[0].items).get(best)
    for after, asked in zip(second, [session, ["item-2"]], strict=True):
        expected = by_hand(ranker, catalogue, asked, 9)
        assert [item for item, _ in after.items] == [item for item, _ in expected]
        np.testing.assert_allclose([score for _, score in after.items], [score for _, score in expected], rtol=1e-4)
    assert newcomers.look() is None
    blank = Item("item-40", attributes={})
    table.put(blank)
    assert newcomers.look() is not None  # it has its id alone
    for item in as_trained():
        table.put(item)
    table.remove("newer")
    catalogue = newcomers.look()
    assert catalogue is not None
    maker.take(catalogue)
    assert catalogue.fresh is None
    assert newcomers.found == Embedded()
    assert [row[0] for row in maker.make(whose)] == first


def test_of_too_many_changed_items_those_that_changed_last_are_ranked_as_they_are_now(
    run: tuple[Bundle, list[str]],
) -> None:
    bundle, _ = run
    table = as_trained()
    for number in range(1, 6):
        table.put(described(f"item-{number}", "other"))
    newcomers = Newcomers(bundle, table, most=3, vectors_of=Ranker(bundle).vectors_of)
    first = newcomers.look(0.0)
    assert newcomers.found.uncompared == len(FILE)  # what stood there before is compared as there is time
    assert first is None
    catalogue = newcomers.look()
    assert catalogue is not None
    assert newcomers.found == Embedded(changed=3, kept=2)
    assert catalogue.fresh is not None
    assert catalogue.fresh.ids.tolist() == bundle.vocabulary.encode(["item-3", "item-4", "item-5"])
    table.put(described("item-1", "another"))
    table.put(described("newer", "g1"))  # newer ones are in no list else
    catalogue = newcomers.look(0.0)
    assert catalogue is not None
    assert catalogue.fresh is not None
    assert newcomers.found == Embedded(newer=1, changed=2, kept=3)
    last = len(bundle.vocabulary) + 1
    assert catalogue.fresh.ids.tolist() == [last, *bundle.vocabulary.encode(["item-1", "item-5"])]
    table.clear()
    catalogue = newcomers.look()
    assert catalogue is not None
    assert catalogue.fresh is None
    assert newcomers.found == Embedded()


def test_a_bundle_that_does_not_say_what_its_items_had_serves_newer_ones_alone(run: tuple[Bundle, list[str]]) -> None:
    bundle, _ = run
    table = as_trained()
    table.put(described("item-1", "other"))
    table.put(described("newer", "g1"))
    vectors_of = Ranker(bundle).vectors_of
    for newcomers in (
        Newcomers(replace(bundle, known_path=None), table, vectors_of=vectors_of),
        Newcomers(bundle, table),
    ):
        catalogue = newcomers.look()
        assert catalogue is not None
        assert newcomers.found == Embedded(newer=1)
    np.save(bundle.path / "other.npy", np.load(bundle.known_path or "")[::-1])
    with pytest.raises(BundleError, match="ascending") as refused:
        KnownFeatures(replace(bundle, known_path=bundle.path / "other.npy"))
    assert refused.value.reason == "bad_known"
