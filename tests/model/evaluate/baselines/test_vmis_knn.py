"""Tests of `model.evaluate.baselines.vmis_knn`: lists by hand, and a slow count by its docstring."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ConfigError
from model.data.log import SessionLog
from model.evaluate.baselines.vmis_knn import UNIT, VmisConfig, VmisKnn
from tests.model.logs import session_log

ITEMS = 7
SESSIONS = st.lists(st.lists(st.integers(1, ITEMS), min_size=1, max_size=8), min_size=1, max_size=12)
CONFIGS = st.builds(
    VmisConfig,
    recent=st.integers(1, 12),
    neighbours=st.integers(1, 12),
    last_items=st.integers(1, 9),
    weights=st.sampled_from(["linear", "quadratic"]),
    idf=st.booleans(),
)
TRAIN = [[1, 2], [2, 3], [1, 3], [4]]  # beside [1, 2]: similarity 1.25, 1, .25, 0; match weight 1, 1, 1 / 4


def ranked(log: SessionLog, session: list[int], k: int, **config: Any) -> tuple[list[int], list[float]]:
    ids, scores = VmisKnn(log, VmisConfig(**config)).rank([np.array(session, np.int32)], k)
    return ids[0].tolist(), scores[0].tolist()


def expected(sessions: list[list[int]], session: list[int], k: int, config: VmisConfig) -> list[int]:
    """Return the list by the five steps, similarities and match weights as whole numbers."""
    newest = session[::-1][: config.last_items]
    back = {item: newest.index(item) for item in newest}
    candidates = [at for at, other in enumerate(sessions) if set(other) & set(newest)][-config.recent :]
    linear = config.weights == "linear"
    weight = {item: (len(newest) - back[item]) ** (1 if linear else 2) for item in back}
    similarity = {at: sum(weight[item] for item in set(sessions[at]) & set(newest)) for at in candidates}
    sums: Counter[int] = Counter()
    for at in sorted(candidates, key=lambda at: (similarity[at], at))[-config.neighbours :]:
        nearest = min(back[item] for item in set(sessions[at]) & set(newest))
        match = max(0, 9 - nearest) if linear else UNIT // (nearest + 1) ** 2
        sums.update(dict.fromkeys(sessions[at], similarity[at] * match))
    holders = np.array([max(1, sum(item in other for other in sessions)) for item in range(1, ITEMS + 1)])
    idf = np.log(len(sessions) / holders) if config.idf else np.ones(ITEMS)
    one = len(newest) * 10 if linear else len(newest) ** 2 * UNIT
    score = {item: sums[item] * idf[item - 1] / one for item in range(1, ITEMS + 1)}
    clicks = Counter(item for other in sessions for item in other)
    ids = sorted(score, key=lambda item: (-score[item], -clicks[item], item))[:k]
    return ids + [0] * (k - len(ids))


def test_scores_are_those_of_the_formula() -> None:
    ids, scores = ranked(session_log(TRAIN), [1, 2], 4)
    assert ids == [2, 1, 3, 4]  # 4 is filled in
    idf = math.log(4 / 2)
    assert scores == pytest.approx([idf * (1.25 + 1), idf * (1.25 + 0.25 / 4), idf * (1 + 0.25 / 4), 0])


def test_linear_weights_are_those_of_serenade() -> None:
    ids, scores = ranked(session_log(TRAIN), [1, 2], 4, weights="linear")  # 1.5, 1, .5, 0; .9, .9, .8
    assert ids == [2, 1, 3, 4]
    idf = math.log(4 / 2)
    assert scores == pytest.approx([idf * (1.5 * 0.9 + 0.9), idf * (1.5 * 0.9 + 0.5 * 0.8), idf * (0.9 + 0.4), 0])


def test_last_item_may_come_again() -> None:
    assert ranked(session_log([[1, 1], [1, 1], [2, 3]]), [1], 1)[0] == [1]


def test_only_the_most_recent_sessions_that_share_an_item_are_looked_at() -> None:
    ids, scores = ranked(session_log(TRAIN), [1, 2], 4, recent=1)  # [1, 3], the older ones are not
    assert ids == [1, 3, 2, 4]
    assert scores == pytest.approx([math.log(2) / 16, math.log(2) / 16, 0, 0])


def test_only_the_most_similar_sessions_are_summed_up() -> None:
    assert ranked(session_log(TRAIN), [1, 2], 4, neighbours=1)[0] == [1, 2, 3, 4]  # of [1, 2]; then by clicks, by id


def test_of_equally_similar_sessions_the_more_recent_is_the_neighbour() -> None:
    assert ranked(session_log([[1, 2], [1, 3], [4]], items=4), [1], 2, neighbours=1)[0] == [3, 1]


def test_item_clicked_twice_counts_where_it_is_newest() -> None:
    ids, scores = ranked(session_log(TRAIN), [2, 1, 2], 4, last_items=3)
    idf = math.log(4 / 2)
    two, one = 1.0, (2 / 3) ** 2  # what the items 2 and 1 add to a similarity
    assert ids == [2, 1, 3, 4]
    assert scores[:2] == pytest.approx([idf * (two + one + two), idf * (two + one + one / 4)])


def test_clicks_before_the_newest_ones_do_not_count() -> None:
    log = session_log(TRAIN)
    assert ranked(log, [4, 4, 1, 2], 4, last_items=2) == ranked(log, [1, 2], 4)


def test_neighbour_that_shares_only_an_item_beyond_the_linear_span_adds_nothing() -> None:
    log, session = session_log([[1, 2], [3, 4], [3, 4]], items=5), [1, *[5] * 9]
    assert ranked(log, session, 5, last_items=10, weights="linear") == ([3, 4, 1, 2, 5], [0, 0, 0, 0, 0])
    assert ranked(log, session, 5, last_items=10)[0] == [1, 2, 3, 4, 5]


def test_item_of_every_session_comes_after_those_that_tell_sessions_apart() -> None:
    ids, scores = ranked(session_log([[1, 2], [1, 3], [1, 4]]), [1, 2], 4)
    assert ids == [2, 3, 4, 1]
    assert scores == pytest.approx([math.log(3) * 1.25, math.log(3) / 16, math.log(3) / 16, 0])


@pytest.mark.parametrize("session", [[5], [0], []])
def test_session_without_a_clicked_item_gets_the_popularity_list(session: list[int]) -> None:
    assert ranked(session_log(TRAIN, items=5), session, 5) == ([1, 2, 3, 4, 5], [0, 0, 0, 0, 0])


def test_unclicked_item_beside_a_clicked_one_is_passed_over() -> None:
    ids, _ = ranked(session_log(TRAIN, items=5), [5, 4], 2)
    assert ids[0] == 4


def test_list_longer_than_the_catalogue_ends_in_padding() -> None:
    ids, scores = ranked(session_log(TRAIN), [4], 6)
    assert ids == [4, 1, 2, 3, 0, 0]
    assert scores[1:] == [0] * 5


def test_no_session_gives_no_list() -> None:
    ids, scores = VmisKnn(session_log(TRAIN)).rank([], 3)
    assert ids.shape == scores.shape == (0, 3)


@given(SESSIONS, SESSIONS, st.integers(1, ITEMS + 2), CONFIGS)
def test_lists_equal_those_of_a_slow_count(
    train: list[list[int]], asked: list[list[int]], k: int, config: VmisConfig
) -> None:
    ids, scores = VmisKnn(session_log(train, items=ITEMS), config).rank([np.array(s, np.int32) for s in asked], k)
    assert ids.tolist() == [expected(train, session, k, config) for session in asked]
    assert ids.dtype == np.int32
    assert scores.dtype == np.float32
    assert (np.diff(scores, axis=1) <= 0).all()


def test_lists_do_not_depend_on_how_many_sessions_fit_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    log = session_log([rng.integers(1, 30, rng.integers(1, 9)).tolist() for _ in range(200)], items=30)
    asked = [log.session(n) for n in range(50)]
    whole = VmisKnn(log).rank(asked, 10)
    monkeypatch.setattr("model.evaluate.baselines.vmis_knn.PAIRS", 50_000)
    parts = VmisKnn(log).rank(asked, 10)
    assert whole[0].tolist() == parts[0].tolist()
    assert whole[1].tolist() == parts[1].tolist()


@pytest.mark.parametrize("wrong", [{"recent": 0}, {"neighbours": 0}, {"last_items": 0}, {"weights": "square"}])
def test_values_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        VmisConfig(**wrong)
