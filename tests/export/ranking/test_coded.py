"""A coded bundle through the ranker, lists by policy and similar items, against adding everything up."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from bench.rig.coded import coded_bundle, coded_graph, random_codes, vectors_of
from export.bundle.bundle import Bundle
from export.errors import BundleError
from export.policy.config import Placement, Policy
from export.policy.similar import SimilarLists
from export.ranking.coded import CodedRunner
from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker, RankerConfig
from export.ranking.similar import Similar
from export.scan.plain import best_first, sums

V = 3_000


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return coded_bundle(tmp_path_factory.mktemp("coded") / "bundle", random_codes(V, kinds=2_000))


@pytest.fixture(scope="module")
def ranking(coded: Bundle) -> Ranker:
    return Ranker(coded, RankerConfig(threads=1))


def sessions_of(count: int, seed: int = 0) -> list[NDArray[np.int32]]:
    random = np.random.default_rng(seed)
    return [random.integers(1, V + 1, random.integers(1, 7), dtype=np.int32) for _ in range(count)]


def scores_of(bundle: Bundle, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (B, V), everything added up."""
    assert bundle.codes is not None
    return np.stack([sums(bundle.codes.codes[1:], table) for table in bundle.codes.table(vectors)])


def same_list(ids: NDArray[np.int32], scores: NDArray[np.float32], every: NDArray[np.float32]) -> None:
    """The graph's vectors and numpy's differ by rounding, so places may swap where scores nearly tie."""
    places = best_first(every, len(ids))
    np.testing.assert_allclose(scores, every[places], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(every[ids - 1], every[places], rtol=1e-4, atol=1e-4)
    assert len(set(ids.tolist())) == len(ids)


def test_lists_are_those_of_adding_everything_up(coded: Bundle, ranking: Ranker) -> None:
    assert coded.codes is not None
    sessions = sessions_of(40)
    first = ranking.rank(sessions, 10)[0]
    excluded = [row[: number % 11] for number, row in enumerate(first)]
    ids, scores = ranking.rank(sessions, 10, excluded)
    every = scores_of(coded, vectors_of(coded.codes, sessions))
    for row, out in enumerate(excluded):
        every[row, out - 1] = -np.inf
        same_list(ids[row], scores[row], every[row])


def test_equal_items_are_listed_by_catalogue_id(ranking: Ranker) -> None:
    ids, scores = ranking.rank(sessions_of(30), 10)
    tied = scores[:, 1:] == scores[:, :-1]
    assert tied.any()
    assert (ids[:, 1:] > ids[:, :-1])[tied].all()


def test_named_lists_exclude_and_fall_back(ranking: Ranker) -> None:
    best = [name for name, _ in ranking.rank_items([["item-5", "item-9"]], 5)[0].items]
    known, unknown = ranking.rank_items([["item-5", "item-9"], ["who?"]], 4, [best[:1], []])
    assert [name for name, _ in known.items] == best[1:]
    assert unknown.fallback


def test_deep_rankings_tell_scores_of_others_and_hear_dislikes(coded: Bundle, ranking: Ranker) -> None:
    assert coded.codes is not None
    sessions, also = sessions_of(5), np.array([7, 0, V, 8], np.int32)
    away = [np.array(row, np.int32) for row in ([], [3, 4], [9], [], [1])]
    deep = ranking.rank_deep(Ragged.of(sessions), V, also=also, away=Ragged.of(away), push=0.7)
    every = scores_of(coded, vectors_of(coded.codes, sessions, away, 0.7))
    for row, scores in enumerate(every):
        same_list(deep.ids[row], deep.scores[row], scores)
    np.testing.assert_allclose(deep.also[:, [0, 2, 3]], every[:, [6, V - 1, 7]], rtol=1e-4, atol=1e-4)
    assert (deep.also[:, 1] == -np.inf).all()
    with pytest.raises(ValueError, match="no input fresh"):
        ranking.rank_deep(Ragged.of(sessions), 5, fresh=np.zeros((1, 8), np.float32))


def test_ranker_says_what_it_takes(ranking: Ranker) -> None:
    assert {"ids", "exclude", "k", "also", "away", "push"} == ranking.takes
    assert ranking.depth == V


def test_two_threads_give_the_lists_of_one(coded: Bundle, ranking: Ranker) -> None:
    sessions = sessions_of(20, seed=3)
    two = Ranker(coded, RankerConfig(threads=2)).rank(sessions, 10)
    one = ranking.rank(sessions, 10)
    assert two[0].tolist() == one[0].tolist()
    assert two[1].tolist() == one[1].tolist()


def test_vectors_that_are_no_numbers_are_refused_at_start(tmp_path: Path) -> None:
    codes = random_codes(20)
    bundle = coded_bundle(tmp_path / "bundle", codes)
    graph = coded_graph(codes)
    zero = next(one for one in graph.graph.initializer if one.name == "books")
    zero.CopyFrom(onnx.numpy_helper.from_array(np.full((1024, 2), np.nan, np.float32), "books"))
    bundle.onnx_path.write_bytes(graph.SerializeToString())
    with pytest.raises(BundleError, match="not finite") as caught:
        Ranker(bundle)
    assert caught.value.reason == "bad_model"


def test_graphs_of_another_form_or_width_are_refused(coded: Bundle, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="inputs or outputs"):
        Ranker(dataclasses.replace(coded, onnx_path=bundle.onnx_path))  # it ranks
    with pytest.raises(BundleError, match="inputs or outputs"):
        Ranker(dataclasses.replace(bundle, onnx_path=coded.onnx_path))  # it does not
    wider = coded_bundle(tmp_path / "wider", random_codes(V, width=3))
    with pytest.raises(BundleError, match="can't be run"):
        Ranker(dataclasses.replace(coded, onnx_path=wider.onnx_path))
    with pytest.raises(BundleError, match="codes and an item tower"):
        Ranker(dataclasses.replace(coded, tower_path=coded.onnx_path))
    with pytest.raises(ValueError, match="are no codes"):
        CodedRunner(bundle, provider="cpu", threads=1, spin=False)


def test_similar_items_are_those_of_comparing_all_with_all(coded: Bundle) -> None:
    assert coded.codes is not None
    vectors = coded.codes.vectors(np.arange(1, V + 1))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    (found,) = SimilarLists(Similar(coded), Placement(name="", k=5, policy=Policy()), None, 0).of(["item-3"])
    assert found is not None
    cosines = unit @ unit[2]
    cosines[2] = -np.inf
    np.testing.assert_allclose([score for _, score in found], np.sort(cosines)[::-1][:5], rtol=1e-5)
    np.testing.assert_allclose([cosines[int(name.split("-")[1]) - 1] for name, _ in found], np.sort(cosines)[::-1][:5])
