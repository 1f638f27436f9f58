"""Tests of export/dense/layered.py: lists are those of the layer's formula, made of all items in fp64."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import export.dense.scan
from export.afterwards import BARRED, AfterwardsConfig, reads
from export.dense import kernel
from export.dense.layered import LayeredScan
from export.dense.scan import DenseScan
from export.ranking.ragged import Ragged, padded
from tests.export.graph.test_after import bias

pytestmark = [pytest.mark.skipif(not kernel.ways(), reason="this processor has no AVX2"), pytest.mark.program]
V, H, N = 1_500, 24, 30
BOTH = AfterwardsConfig(last=BARRED, seen=0.5, share=0.3, decay=0.8, newest=4)
SESSIONS = [[3, 4, 3], [6], [1, 2, 2], [9, 8, 7, 8, 9, 11], [V, 1], [V + 2, 5], [5, V + 1], [V + 2, 5, V + 2, 5]]
NEAR = 5e-3  # the norm is of rounded scores, but for the heaviest items

every_config = pytest.mark.parametrize(
    "config",
    [
        BOTH,
        AfterwardsConfig(last=-1.0),
        AfterwardsConfig(last=-2.0, seen=3.0, again=2.0, fade=-0.5, share=0.2),
        AfterwardsConfig(share=0.2),
        AfterwardsConfig(share=0.5, newest=8, decay=0.5),
    ],
    ids=["both", "bias", "often and long ago", "counts of the newest", "counts of eight"],
)


def tables(config: AfterwardsConfig, items: int = V) -> tuple[Any, ...]:
    """Return the items' vectors, and counts of random neighbours where they have a part."""
    random = np.random.default_rng(5)
    vectors = random.standard_normal((items + 1, H), dtype=np.float32)
    if not config.counts:
        return (vectors,)
    neighbours, weights = np.zeros((items + 1, N), np.int32), np.zeros((items + 1, N), np.float32)
    for row in range(1, items + 1):
        found = random.choice(items, int(random.integers(0, N + 1)), replace=False) + 1
        neighbours[row, : len(found)], weights[row, : len(found)] = found, np.sort(random.random(len(found)))[::-1] / 9
    return vectors, neighbours, weights


def layered(config: AfterwardsConfig, items: int = V, threads: int = 1) -> LayeredScan:
    vectors, *counts = tables(config, items)
    return LayeredScan(DenseScan([vectors], threads=threads), config, *counts)


def expected(config: AfterwardsConfig, session: list[int], vector: NDArray[np.float32]) -> NDArray[np.float64]:
    """The formula of `export/graph/after.py`, item by item, of the ids 1..V + 2, the last two without a vector."""
    items, *counts = tables(config)
    c, scores = np.zeros(V + 3), np.concatenate([items.astype(np.float64) @ vector, [0.0, 0.0]])
    shares = [config.decay**back for back in range(min(len(session), config.newest))]
    for click, share, most in zip(session[::-1], shares, reads(config), strict=False):
        if counts and click <= V:
            np.add.at(c, counts[0][click, :most], share * counts[1][click, :most] / sum(shares))
    norm = math.log(np.exp(scores[1 : V + 1]).sum())
    mixed = norm + np.log(np.exp(scores - norm) + config.weight * c)
    biases = np.zeros(V + 3)
    for item in set(session):
        biases[item] = bias(config, session, item)
    return np.asarray((np.where(c > 0, mixed, scores) + biases)[1:])


def of(sessions: list[list[int]]) -> NDArray[np.int32]:
    return padded(np.concatenate([np.array(row, np.int32) for row in sessions]), np.array([*map(len, sessions)]))


def vectors_of(sessions: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((sessions, H), dtype=np.float32)


@every_config
@pytest.mark.parametrize("k", [20, V], ids=["some", "all"])
def test_lists_are_those_of_the_formula(config: AfterwardsConfig, k: int) -> None:
    scan, vectors = layered(config), vectors_of(len(SESSIONS))
    excluded = [[], [], [2, 7], [*range(1, 400)], [V], [], [6], []]
    barred = Ragged.of([np.array(row, np.int32) for row in excluded])
    ids, scores = scan.best(vectors, k, barred, scan.changed(of(SESSIONS)))
    for row, session in enumerate(SESSIONS):
        truth = expected(config, session, vectors[row])[:V]
        truth[np.array(excluded[row], int) - 1] = -np.inf
        left = min(k, V - len(excluded[row]))
        assert set(excluded[row]).isdisjoint(ids[row].tolist())
        assert len({*ids[row, :left].tolist()}) == left
        np.testing.assert_allclose(scores[row, :left], truth[ids[row, :left] - 1], atol=NEAR)
        np.testing.assert_allclose(scores[row, :left], np.sort(truth)[::-1][:left], atol=NEAR)
        assert (ids[row, left:] == 0).all()
        assert (scores[row, left:] == -np.inf).all()


@every_config
def test_candidates_score_as_in_lists_and_fresh_items_by_their_bias(config: AfterwardsConfig) -> None:
    scan, vectors = layered(config), vectors_of(len(SESSIONS))
    changed = scan.changed(of(SESSIONS))
    ids, scores = scan.best(vectors, V, Ragged.empty(len(SESSIONS)), changed)
    wanted = np.arange(1, V + 1, dtype=np.int32)
    also = scan.scan.scores(vectors, wanted)
    scan.change(also, wanted, changed)
    assert (np.take_along_axis(also, ids - 1, 1) == scores).all()
    fresh = np.zeros((len(SESSIONS), 2), np.float32)
    scan.change_fresh(fresh, changed)
    assert fresh[5].tolist() == [0.0, pytest.approx(bias(config, SESSIONS[5], V + 2))]
    assert fresh[6].tolist() == [pytest.approx(bias(config, SESSIONS[6], V + 1)), 0.0]
    assert fresh[7].tolist() == [0.0, pytest.approx(bias(config, SESSIONS[7], V + 2))]
    assert not fresh[:5].any()


def test_a_list_is_the_same_alone_by_threads_and_at_any_length() -> None:
    sessions = [row[:5] for row in SESSIONS] * 8
    vectors, none = vectors_of(len(sessions)), Ragged.empty(len(sessions))
    scan = layered(BOTH)
    ids, scores = scan.best(vectors, 30, none, scan.changed(of(sessions)))
    for threads, some in ((1, slice(3, 4)), (1, slice(2, 9)), (3, slice(0, 50))):
        other, rows = layered(BOTH, threads=threads), sessions[some]
        again = other.best(vectors[some], 12, Ragged.empty(len(rows)), other.changed(of(rows)))
        assert (again[0] == ids[some, :12]).all()
        assert (again[1] == scores[some, :12]).all()


def test_a_list_is_the_same_where_threads_share_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, none = vectors_of(len(SESSIONS)), Ragged.empty(len(SESSIONS))
    scan = layered(BOTH)
    ids, scores = scan.best(vectors, 20, none, scan.changed(of(SESSIONS)))
    monkeypatch.setattr(export.dense.scan, "_BLOCKS", 5)
    other = layered(BOTH, threads=3)
    assert other.scan.shared(len(SESSIONS)) == (1, 3)
    again = other.best(vectors, 20, none, other.changed(of(SESSIONS)))
    assert (again[0] == ids).all()
    assert (again[1] == scores).all()


def test_items_that_tie_come_by_their_ids_behind_those_that_counts_know() -> None:
    vectors, neighbours, weights = tables(BOTH)
    vectors[:] = vectors[1]
    scan = LayeredScan(DenseScan([vectors]), BOTH, neighbours, weights)
    own = vectors_of(len(SESSIONS))
    changed = scan.changed(of(SESSIONS))
    ids, scores = scan.best(own, 60, Ragged.empty(len(SESSIONS)), changed)
    for row, session in enumerate(SESSIONS):
        size = changed.sizes[row]
        mixed = set(changed.ids[row, :size][changed.counted[row, :size] > 0].tolist()) - {*session}
        held = {item for item in session if item != session[-1] and item <= V}
        rest = [item for item in range(1, V + 1) if item not in mixed | {*session}]
        first = len(mixed | held)
        assert set(ids[row, :first].tolist()) == mixed | held
        assert ids[row, first:].tolist() == rest[: 60 - first]
        assert (np.diff(scores[row]) <= 0).all()


def test_items_of_which_no_count_knows_a_number_are_refused() -> None:
    vectors, neighbours, weights = tables(BOTH, 40)
    scan = DenseScan([vectors])
    with pytest.raises(ValueError, match="needs their neighbours"):
        LayeredScan(scan, BOTH)
    with pytest.raises(ValueError, match="rows"):
        LayeredScan(scan, BOTH, neighbours[:-1], weights[:-1])
    with pytest.raises(ValueError, match="catalogue ids"):
        LayeredScan(scan, BOTH, neighbours + 40, weights)
    with pytest.raises(ValueError, match="negative or none"):
        LayeredScan(scan, BOTH, neighbours, weights * np.float32(np.nan))
