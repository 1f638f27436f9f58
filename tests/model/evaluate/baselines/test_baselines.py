"""Tests of `model.evaluate.baselines.baselines`: each against a slow count in plain Python."""

import tracemalloc
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ConfigError
from model.data.log import SessionLog
from model.data.readers import build_log, read_log
from model.evaluate.baselines.baselines import BASELINES, bounded, make_baseline, merged, sum_pairs
from model.evaluate.baselines.counts import distinct_items
from model.evaluate.protocol import evaluate
from tests.model.logs import SHARED_DATA, session_log

ITEMS = 7
COUNTED = (
    "popularity",
    "co-occurrence",
    "next-item",
    "items-after",
)  # by the last item; others have tests of their own
SESSIONS = st.lists(st.lists(st.integers(1, ITEMS), min_size=1, max_size=14), min_size=1, max_size=12)


def counted(name: str, sessions: list[list[int]], last: int) -> Counter[int]:
    """Return the weight of each candidate beside `last`, by the words of the protocol."""
    weights: Counter[int] = Counter()
    for session in sessions:
        if name == "co-occurrence" and last in session:
            weights.update(set(session) - {last})
        for at, item in enumerate(session):
            reach = {"next-item": 1, "items-after": 10}.get(name, 0)
            for distance in range(1, reach + 1):
                if item == last and at + distance < len(session):
                    weights[session[at + distance]] += Fraction(1, distance)  # type: ignore[assignment]
    return weights


def expected(name: str, sessions: list[list[int]], last: int, k: int) -> list[int]:
    """Return the list of the protocol: by weight, then train clicks, then id; filled by train clicks, then id."""
    clicks = Counter(item for session in sessions for item in session)
    weights = counted(name, sessions, last)
    ids = sorted(range(1, ITEMS + 1), key=lambda item: (-weights[item], -clicks[item], item))[:k]
    return ids + [0] * (k - len(ids))


@given(SESSIONS, st.integers(1, ITEMS + 2))
def test_lists_equal_those_counted_by_hand(sessions: list[list[int]], k: int) -> None:
    log = session_log(sessions, items=ITEMS)
    asked = [np.array([3, last], np.int32) for last in range(1, ITEMS + 1)]
    for name in COUNTED:
        ids, scores = make_baseline(name, log).rank(asked, k)
        assert ids.tolist() == [expected(name, sessions, last, k) for last in range(1, ITEMS + 1)], name
        assert ids.dtype == np.int32
        assert scores.shape == ids.shape
        assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("name", BASELINES)
def test_one_session_ranks_as_in_a_batch(name: str) -> None:
    baseline = make_baseline(name, session_log([[1, 2, 3], [3, 1], [2, 2, 1]], items=ITEMS))
    asked = [np.array([item], np.int32) for item in (3, 1, 1, 7)]
    together, _ = baseline.rank(asked, 4)
    assert [baseline.rank([session], 4)[0][0].tolist() for session in asked] == together.tolist()


def test_log_without_pairs_falls_back_to_popularity() -> None:
    log = session_log([[2], [2], [1]], items=3)
    for name in COUNTED:
        assert make_baseline(name, log).rank([np.array([1], np.int32)], 3)[0].tolist() == [[2, 1, 3]]


def test_unknown_baseline_is_refused_with_the_names() -> None:
    with pytest.raises(ConfigError, match="popularity, co-occurrence, next-item, items-after, vmis-knn"):
        make_baseline("knn", session_log([[1]]))


def test_pairs_summed_in_chunks_equal_pairs_summed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    chunks = [(rng.integers(0, 50, 40), rng.integers(1, 9, 40)) for _ in range(9)]
    whole = merged(chunks)
    monkeypatch.setattr("model.evaluate.baselines.baselines.CHUNK_PAIRS", 100)
    keys, weights = sum_pairs(iter(chunks))
    assert keys.tolist() == whole[0].tolist()
    assert weights.tolist() == whole[1].tolist()


@pytest.mark.parametrize("name", BASELINES)
def test_session_of_200_000_clicks_costs_what_as_many_clicks_cost(name: str) -> None:
    robot = np.random.default_rng(0).integers(1, 100_001, 200_000).tolist()
    log = session_log([robot, [1, 2, 3], [3, 1]], items=100_000)
    tracemalloc.start()
    baseline = make_baseline(name, log)
    ids, _ = baseline.rank([np.array([3], np.int32), np.array(robot, np.int32)], 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_500 * log.clicks  # bytes; pairs of all items of that session would take 400,000 a click
    assert (ids > 0).all()


@given(SESSIONS, st.integers(1, 3))
def test_of_a_longer_session_the_newest_items_count(sessions: list[list[int]], newest: int) -> None:
    kept = []
    for session in sessions:
        distinct = list(dict.fromkeys(reversed(session)))[:newest]
        kept.append(sorted(distinct))
    log = distinct_items(session_log(sessions, items=ITEMS), newest)
    assert [log.session(n).tolist() for n in range(log.sessions)] == kept


def test_bound_on_long_sessions_is_said() -> None:
    log = session_log([list(range(1, 202)), [1] * 500, [1, 2]])
    assert bounded("co-occurrence", log) == (
        "co-occurrence: of sessions with more than 200 different items (1) the newest 200 count"
    )
    assert bounded("next-item", log) is None
    assert bounded("vmis-knn", session_log([list(range(1, 201))])) is None


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_DATA.exists(), reason=f"no data at {SHARED_DATA}")
def test_published_table_on_yoochoose_test_day_is_reproduced() -> None:
    raw = read_log(SHARED_DATA / "yoochoose.parquet")
    last = np.zeros(len(raw.session_ids), np.int64)
    np.maximum.at(last, raw.sessions, raw.ts)
    day = (last // 86_400_000)[raw.sessions]
    train = build_log(raw.select(day <= 14))
    test: SessionLog = build_log(raw.select(day == 16), train.vocabulary)
    assert (train.sessions, train.clicks, len(train.vocabulary)) == (750_784, 3_110_535, 25_498)
    assert (test.sessions, test.clicks) == (26_291, 104_973)
    for name, recall, mrr in (("popularity", 0.0611, 0.0093), ("next-item", 0.6732, 0.3541)):
        result = evaluate(make_baseline(name, train), test)
        assert result.predictions == 78_682
        assert round(result.metrics["recall@20"], 4) == recall
        assert round(result.metrics["mrr@20"], 4) == mrr
