"""Tests of export/ranking/ranker.py."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rig.toy import ITEMS, WINDOW, ToyServing
from export.bundle.bundle import Bundle, load_bundle
from export.errors import ConfigError
from export.ranking.ranker import RankedList, Ranker, RankerConfig, _by_length

K = 10
lengths_of = st.lists(st.integers(1, 60), min_size=1, max_size=200)


def sessions_of(count: int, seed: int = 0, longest: int = WINDOW) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    return [random.integers(1, ITEMS + 1, size=random.integers(1, longest + 1)) for _ in range(count)]


def by_torch(session: Any, exclude: Any = ()) -> tuple[list[int], list[float]]:
    """Return what the model says of one session by itself."""
    ids = torch.tensor([list(session)[-WINDOW:]], dtype=torch.int32)
    top_ids, top_scores = ToyServing().lists(
        ids, torch.tensor([list(exclude) or [0]], dtype=torch.int32), torch.tensor(K)
    )
    return top_ids[0].tolist(), top_scores[0].tolist()


def same(found: Any, expected: Any) -> None:
    """Ids equal in order, scores to rounding."""
    assert np.asarray(found[0]).tolist() == np.asarray(expected[0]).tolist()
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-4)


def test_rank_equals_pytorch_row_by_row_in_the_order_given(ranker: Ranker) -> None:
    sessions = sessions_of(50)
    ids, scores = ranker.rank(sessions, K)
    assert ids.shape == scores.shape == (50, K)
    assert (ids.dtype, scores.dtype) == (np.dtype(np.int32), np.dtype(np.float32))
    for row, session in enumerate(sessions):
        same((ids[row], scores[row]), by_torch(session))


@pytest.mark.parametrize(("padding", "cells"), [(0, 32_000_000), (10_000, 32_000_000), (512, 1), (40, 200_000)])
def test_rank_alone_equals_batched_however_it_is_bucketed(bundle: Bundle, padding: int, cells: int) -> None:
    ranker = Ranker(bundle, RankerConfig(threads=1, max_padding=padding, max_cells=cells))
    sessions = sessions_of(40, seed=1)
    exclude = [session[: row % 4].tolist() for row, session in enumerate(sessions)]
    batched = ranker.rank(sessions, K, exclude)
    for row, session in enumerate(sessions):
        alone = ranker.rank([session], K, [exclude[row]])
        same((batched[0][row], batched[1][row]), (alone[0][0], alone[1][0]))


def test_rank_with_exclusions_never_returns_them_and_stays_full(ranker: Ranker) -> None:
    sessions = sessions_of(30, seed=2)
    best = ranker.rank(sessions, K)[0]
    exclude = [best[row, : row % (K + 1)].tolist() for row in range(30)]
    ids, scores = ranker.rank(sessions, K, exclude)
    for row in range(30):
        assert not set(ids[row].tolist()) & set(exclude[row])
        same((ids[row], scores[row]), by_torch(sessions[row], exclude[row]))
    assert (ids > 0).all()


def test_rank_reads_the_newest_items_only(ranker: Ranker) -> None:
    newest = list(range(1, WINDOW + 1))
    same(ranker.rank([[30, 31, 32, *newest]], K), ranker.rank([newest], K))


def test_rank_of_fewer_places_is_a_prefix(ranker: Ranker) -> None:
    sessions = sessions_of(5)
    ids, scores = ranker.rank(sessions, K)
    for k in range(1, K + 1):
        same(ranker.rank(sessions, k), (ids[:, :k], scores[:, :k]))


def test_rank_of_no_sessions_returns_no_rows(ranker: Ranker) -> None:
    ids, scores = ranker.rank([], 3)
    assert ids.shape == scores.shape == (0, 3)
    assert ranker.rank_items([], 3) == []


@pytest.mark.parametrize("k", [0, -1, K + 1])
def test_k_the_graph_can_not_return_is_refused(ranker: Ranker, k: int) -> None:
    with pytest.raises(ConfigError, match="k is"):
        ranker.rank([[1]], k)
    with pytest.raises(ConfigError, match="k is"):
        ranker.rank_items([["unknown"]], k)


@pytest.mark.parametrize("session", [[], [0], [1, 0], [ITEMS + 1], [-1]])
def test_session_that_can_not_be_ranked_is_refused(ranker: Ranker, session: list[int]) -> None:
    with pytest.raises(ValueError, match="session"):
        ranker.rank([[1], session], K)


@pytest.mark.parametrize("exclude", [[[]], [[0], []], [[ITEMS + 1], []]])
def test_exclusions_that_do_not_fit_are_refused(ranker: Ranker, exclude: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="exclusion"):
        ranker.rank([[1], [2]], K, exclude)


def test_exclusions_for_another_number_of_named_sessions_are_refused(ranker: Ranker) -> None:
    with pytest.raises(ValueError, match="exclusions for 1"):
        ranker.rank_items([["item-1"], ["item-2"]], K, [[]])


def test_small_catalogue_with_a_longer_list_ends_in_padding(small: Ranker) -> None:
    ids, scores = small.rank([[1], [2]], 8, [[3], []])
    assert ids[0, 4:].tolist() == [0] * 4
    assert (scores[0, 4:] == -np.inf).all()
    assert sorted(ids[0, :4].tolist()) == [1, 2, 4, 5]
    assert sorted(ids[1, :5].tolist()) == [1, 2, 3, 4, 5]


def test_rank_items_of_a_small_catalogue_names_no_padding(small: Ranker) -> None:
    everything = [f"item-{number}" for number in range(1, 6)]
    assert len(small.rank_items([["item-1"]], 20)[0].items) == 5
    assert small.rank_items([["item-1"]], 20, [everything]) == [RankedList([], False)]
    assert small.rank_items([["unknown"]], 20, [everything]) == [RankedList([], True)]


def test_rank_items_leaves_unknown_items_out_and_names_the_lists(ranker: Ranker) -> None:
    lists = ranker.rank_items([["item-3", "nothing known", "item-9"], ["item-4"]], 5)
    for ranked, session in zip(lists, ([3, 9], [4]), strict=True):
        ids, scores = by_torch(session)
        assert not ranked.fallback
        assert [name for name, _ in ranked.items] == [f"item-{index}" for index in ids[:5]]
        np.testing.assert_allclose([score for _, score in ranked.items], scores[:5], rtol=1e-4, atol=1e-4)
        assert all(type(score) is float for _, score in ranked.items)


def test_rank_items_cuts_to_the_window_after_leaving_unknown_items_out(ranker: Ranker) -> None:
    known = [f"item-{number}" for number in range(1, WINDOW + 1)]
    mixed = [part for name in known for part in (name, "unknown")]
    assert ranker.rank_items([mixed], K) == ranker.rank_items([known], K)


def test_rank_items_without_a_known_item_returns_popularity(ranker: Ranker) -> None:
    lists = ranker.rank_items([["unknown"], ["item-1"], []], 3, [["item-40"], [], set()])
    assert [ranked.fallback for ranked in lists] == [True, False, True]
    assert [name for name, _ in lists[0].items] == ["item-39", "item-38", "item-37"]
    assert [name for name, _ in lists[2].items] == ["item-40", "item-39", "item-38"]


def test_rank_items_excludes_shop_ids(ranker: Ranker) -> None:
    best = [name for name, _ in ranker.rank_items([["item-5"]], 4)[0].items]
    rest = [name for name, _ in ranker.rank_items([["item-5"]], 4, [{*best, "unknown"}])[0].items]
    assert len(rest) == 4
    assert not set(best) & set(rest)


def test_popular_scores_by_share_of_clicks_with_ties_by_catalogue_id(bundle: Bundle) -> None:
    ties = msgspec.structs.replace(bundle.manifest)
    counts = np.array([2] * ITEMS, dtype=np.int64)
    counts[10] = 22
    even = Bundle(
        path=bundle.path,
        manifest=ties,
        vocabulary=bundle.vocabulary,
        popularity=counts,
        onnx_path=bundle.onnx_path,
        manifest_sha256=bundle.manifest_sha256,
    )
    items = Ranker(even, RankerConfig(warm_up=False)).popular(3).items
    assert items == [("item-11", 0.22), ("item-1", 0.02), ("item-2", 0.02)]


def test_popular_may_return_the_whole_catalogue(ranker: Ranker) -> None:
    assert len(ranker.popular(10_000).items) == ITEMS
    assert ranker.popular(0).items == []


def test_ranker_tells_what_it_serves(ranker: Ranker, bundle: Bundle) -> None:
    assert (ranker.version, ranker.window, ranker.k_max) == ("0", WINDOW, K)
    assert ranker.vocabulary is bundle.vocabulary
    assert ranker.provider == "CPUExecutionProvider"


def test_ranker_used_from_several_threads_gives_the_same_lists(ranker: Ranker) -> None:
    sessions = [sessions_of(20, seed=seed) for seed in range(8)]
    alone = [ranker.rank(batch, K) for batch in sessions]
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(pool.map(lambda batch: ranker.rank(batch, K), sessions), alone, strict=True):
            same(found, expected)


@settings(deadline=None)
@given(lengths_of, st.integers(0, 300))
def test_by_length_yields_every_row_once_within_the_padding_allowed(lengths: list[int], padding: int) -> None:
    array = np.array(lengths, dtype=np.int64)
    groups = list(_by_length(array, padding))
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    for group in groups:
        assert len(group) * array[group].max() - array[group].sum() <= padding
    with_no_padding = list(_by_length(array, 0))
    assert len(with_no_padding) == len(set(lengths))


def test_by_length_of_a_few_short_rows_keeps_a_long_one_apart() -> None:
    groups = list(_by_length(np.array([3] * 500 + [50]), 512))
    assert [len(group) for group in groups] == [500, 1]
    assert [len(group) for group in _by_length(np.array([1, 2, 3, 4, 5]), 512)] == [5]


@pytest.mark.parametrize("fields", [{"provider": "tpu"}, {"threads": -1}, {"max_padding": -1}, {"max_cells": 0}])
def test_config_with_a_bad_value_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RankerConfig(**fields)


def test_config_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        RankerConfig().threads = 2  # type: ignore[misc]


@pytest.mark.slow
def test_ranking_needs_no_torch(bundle: Bundle, tmp_path: Path) -> None:
    directory = shutil.copytree(bundle.path, tmp_path / "served")
    code = (
        "import json, sys; from export.bundle.bundle import load_bundle; from export.ranking.ranker import Ranker; "
        "import export.registry.registry; ranked = Ranker(load_bundle(sys.argv[1])).rank_items([['item-1']], 2)[0]; "
        "print(json.dumps([ranked.items, sorted({'torch', 'onnx', 'faust'} & set(sys.modules))]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    output = subprocess.run(
        [sys.executable, "-c", code, str(directory)], env=environment, capture_output=True, text=True, timeout=60
    )
    items, loaded = json.loads(output.stdout)
    assert len(items) == 2
    assert loaded == []


def test_loaded_bundle_ranks_as_the_written_one(bundle: Bundle, copied: Path, ranker: Ranker) -> None:
    same(Ranker(load_bundle(copied)).rank([[1, 2]], K), ranker.rank([[1, 2]], K))


@pytest.mark.gpu
def test_rank_on_cuda_equals_the_cpu(bundle: Bundle, ranker: Ranker) -> None:
    if "CUDAExecutionProvider" not in ort.get_available_providers() or not torch.cuda.is_available():
        pytest.skip("no CUDA device, or an ONNX Runtime without the CUDA provider")
    on_gpu = Ranker(bundle, RankerConfig(provider="cuda"))
    assert on_gpu.provider == "CUDAExecutionProvider"
    sessions = sessions_of(64, seed=5)
    exclude = [session[:2].tolist() for session in sessions]
    same(on_gpu.rank(sessions, K, exclude), ranker.rank(sessions, K, exclude))
