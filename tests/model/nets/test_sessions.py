"""A dense model ranked outside its graph: the lists, scores and vectors that the graph gives, and what is refused."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

import export.dense
from bench.costs.ranking import sessions
from bench.measure.bundles import publish_random
from export.bundle.bundle import MODEL, SESSIONS, Bundle, load_bundle
from export.bundle.manifest import ItemTable
from export.errors import BundleError
from export.graph.beside import export_beside
from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker, RankerConfig
from export.ranking.runtime import GraphRunner
from export.ranking.scanned import ScannedRunner
from model.nets.encoders import build_encoder
from model.nets.serving import ServingModel
from model.nets.sessions import SessionModel
from model.presets import preset

pytestmark = pytest.mark.slow  # exporting takes seconds

V = 4_200
CONFIG = RankerConfig(threads=1, warm_up=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("dense")
    items = [f"item-{number}" for number in range(V)]
    return load_bundle(publish_random(folder / "registry", items, folder, name="tron-fast", fresh=True))


@pytest.fixture(scope="module")
def scanned(bundle: Bundle) -> Ranker:
    return Ranker(bundle, CONFIG)


@pytest.fixture(scope="module")
def by_graph(bundle: Bundle) -> Ranker:
    return Ranker(dataclasses.replace(bundle, sessions_path=None), CONFIG)


def changed(bundle: Bundle, *tables: ItemTable) -> Bundle:
    return dataclasses.replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, tables=tables))


def test_lists_are_those_of_the_graph(scanned: Ranker, by_graph: Ranker) -> None:
    assert isinstance(scanned._runner, ScannedRunner)
    assert type(by_graph._runner) is GraphRunner
    rows = sessions(70, V, 0)
    first = by_graph.rank(rows, 20)[0]
    excluded = [row[: number % 7] for number, row in enumerate(first)]
    ours, theirs = (ranker.rank(rows, 20, excluded) for ranker in (scanned, by_graph))
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5, atol=1e-6)
    assert (ours[0] == theirs[0]).mean() > 0.99  # neighbours that tie but for rounding may swap
    assert not any(np.isin(row, out).any() for row, out in zip(ours[0], excluded, strict=True))


def test_it_takes_and_gives_what_the_graph_does(scanned: Ranker, by_graph: Ranker) -> None:
    assert scanned.takes == by_graph.takes
    assert scanned.depth == by_graph.depth == V
    random = np.random.default_rng(0)
    asked: dict[str, Any] = {
        "also": np.array([7, 0, V, V + 2, 3], np.int32),
        "away": Ragged.of([np.array(row, np.int32) for row in ([], [9], [4, V + 1])]),
        "push": 0.7,
        "fresh": random.standard_normal((3, 128), dtype=np.float32),
    }
    rows = Ragged.of([np.array(row, np.int32) for row in ([5], [1, V + 3], [8, 8, 2])])
    for depth in (30, V):
        ours, theirs = (ranker.rank_deep(rows, depth, **asked) for ranker in (scanned, by_graph))
        for name in ("scores", "also", "fresh"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-5)
        assert (ours.ids == theirs.ids).mean() > 0.98
    np.testing.assert_array_equal(scanned.vectors_of([3, V]), by_graph.vectors_of([3, V]))


def test_the_second_graph_holds_no_items(bundle: Bundle) -> None:
    assert bundle.sessions_path is not None
    assert bundle.sessions_path.stat().st_size < bundle.onnx_path.stat().st_size / 20
    proto = onnx.load(str(bundle.sessions_path), load_external_data=False)
    outside = {entry.value for weight in proto.graph.initializer for entry in weight.external_data}
    assert MODEL in outside


def test_a_gpu_and_a_process_without_numba_rank_inside_the_graph(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "export.dense.kernel", None)
    monkeypatch.delattr(export.dense, "kernel")
    with caplog.at_level(logging.INFO):
        assert type(Ranker(bundle, CONFIG)._runner) is GraphRunner
    assert "pip install 'nextclick[codes]'" in caplog.text


@pytest.mark.parametrize("table", [ItemTable(at=10**9, width=128), ItemTable(at=-4, width=128)])
def test_tables_that_are_not_in_the_file_are_refused(bundle: Bundle, table: ItemTable) -> None:
    with pytest.raises(BundleError, match="has no item table") as caught:
        Ranker(changed(bundle, table), CONFIG)
    assert caught.value.reason == "bad_model"


def test_tables_of_another_width_are_refused(bundle: Bundle) -> None:
    (table,) = bundle.manifest.tables
    with pytest.raises(BundleError, match="not as items have"):
        Ranker(changed(bundle, ItemTable(at=table.at, width=64)), CONFIG)


def test_nothing_is_written_beside_a_graph_that_has_other_items(bundle: Bundle, tmp_path: Path) -> None:
    serving = ServingModel([build_encoder(preset("tron-fast").encoder, 50)])
    other = [np.ones((51, 128), np.float32)]
    assert export_beside(SessionModel(serving), tmp_path / SESSIONS, bundle.onnx_path, other, window=9, items=50) == ()
    assert not (tmp_path / SESSIONS).exists()
