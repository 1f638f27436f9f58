"""Popular items answer where no model can."""

from pathlib import Path

import pytest

from bench.rig.toy import ITEMS, toy_bundle
from export.bundle.bundle import Bundle
from export.ranking.popularity import PopularityRanker


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy_bundle(tmp_path_factory.mktemp("popularity") / "bundle")


def test_popularity_ranker_answers_every_session_with_the_same_items_but_for_those_excluded(bundle: Bundle) -> None:
    ranker = PopularityRanker(bundle)
    first, second = ranker.rank_items([["item-1"], []], 3, [(), {"item-40", "unheard of"}])
    assert [name for name, _ in first.items] == ["item-40", "item-39", "item-38"]
    assert [name for name, _ in second.items] == ["item-39", "item-38", "item-37"]
    assert first.fallback
    assert second.fallback
    assert first.items[0][1] == pytest.approx(40 / sum(range(1, ITEMS + 1)))


def test_popularity_ranker_gives_lists_longer_than_the_graph_could(bundle: Bundle) -> None:
    ranker = PopularityRanker(bundle)
    assert bundle.manifest.k_max < ranker.k_max == ITEMS
    assert len(ranker.rank_items([["item-1"]], ITEMS)[0].items) == ITEMS


def test_popularity_ranker_needs_no_graph(tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path / "bundle")
    bundle.onnx_path.write_bytes(b"")
    assert PopularityRanker(bundle).popular(1).items[0][0] == "item-40"
