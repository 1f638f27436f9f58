"""A dense model with a layer behind its network, ranked outside its graph: what the graph gives."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.costs.ranking import sessions
from bench.measure.bundles import publish_random
from export.bundle.bundle import Bundle, load_bundle
from export.errors import BundleError
from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker, RankerConfig
from export.ranking.runtime import GraphRunner
from export.ranking.scanned import ScannedRunner

pytestmark = pytest.mark.slow  # exporting takes seconds

V = 4_200
CONFIG = RankerConfig(threads=1, warm_up=False)
NEAR = 1e-3  # both round the scores that their norm sums up


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("layered")
    items = [f"item-{number}" for number in range(V)]
    return load_bundle(publish_random(folder / "registry", items, folder, name="tron-fast", fresh=True, counted=4))


def test_it_takes_and_gives_what_the_graph_does(bundle: Bundle) -> None:
    scanned, by_graph = Ranker(bundle, CONFIG), Ranker(dataclasses.replace(bundle, sessions_path=None), CONFIG)
    assert isinstance(scanned._runner, ScannedRunner)
    assert type(by_graph._runner) is GraphRunner
    rows = sessions(40, V, 0)
    excluded = [row[: number % 7] for number, row in enumerate(by_graph.rank(rows, 20)[0])]
    lists, theirs = (ranker.rank(rows, 20, excluded) for ranker in (scanned, by_graph))
    np.testing.assert_allclose(lists[1], theirs[1], rtol=NEAR, atol=NEAR)
    assert (lists[0] == theirs[0]).mean() > 0.99
    asked: dict[str, Any] = {
        "also": np.array([7, 0, V, V + 2, 3], np.int32),
        "away": Ragged.of([np.array(row, np.int32) for row in ([], [9], [4, V + 1])]),
        "push": 0.7,
        "fresh": np.random.default_rng(0).standard_normal((3, 128), dtype=np.float32),
    }
    some = Ragged.of([np.array(row, np.int32) for row in ([5], [1, V + 3], [8, 8, 2])])
    for depth in (30, V):
        ours, other = (ranker.rank_deep(some, depth, **asked) for ranker in (scanned, by_graph))
        for name in ("scores", "also", "fresh"):
            np.testing.assert_allclose(getattr(ours, name), getattr(other, name), rtol=NEAR, atol=NEAR)


def test_a_release_that_knows_no_layer_outside_the_graph_ranks_inside_it(bundle: Bundle) -> None:
    assert bundle.manifest.tables == ()


def test_a_layer_that_is_none_is_refused(bundle: Bundle) -> None:
    wrong = msgspec.structs.replace(bundle.manifest, afterwards={**bundle.manifest.afterwards, "share": 2.0})
    with pytest.raises(BundleError, match="share") as caught:
        Ranker(dataclasses.replace(bundle, manifest=wrong), CONFIG)
    assert caught.value.reason == "bad_model"
