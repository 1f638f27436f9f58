"""Tests of `model.evaluate.protocol`."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from export.errors import ConfigError
from model.evaluate.baselines.baselines import make_baseline
from model.evaluate.protocol import evaluate, prefixes
from tests.model.logs import session_log


class Recorder:
    """A scorer that writes down what it was given; ranks the last item first, then 1, 2, ..."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []
        self.batches: list[int] = []

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        self.given += [session.tolist() for session in sessions]
        self.batches.append(len(sessions))
        ids = np.array([[session[-1], *range(1, k)] for session in sessions], np.int32)
        return ids, np.zeros(ids.shape, np.float32)


def test_every_position_after_the_first_is_predicted_from_what_came_before() -> None:
    scorer = Recorder()
    result = evaluate(scorer, session_log([[1, 2, 3], [4], [5, 5]]), cutoffs=(1,))
    assert sorted(scorer.given) == [[1], [1, 2], [5]]
    assert (result.predictions, result.sessions) == (3, 2)
    assert result.metrics["recall@1"] == pytest.approx(1 / 3)  # 5 after 5
    assert result.sessions_per_s > 0


@pytest.mark.parametrize("window", [None, 1])
def test_ranks_stand_in_the_order_of_the_clicks(window: int | None) -> None:
    log = session_log([[1, 2, 2, 3], [3, 3], [2, 1, 1]])
    assert evaluate(Recorder(), log, cutoffs=(2,), batch=2, window=window).ranks.tolist() == [0, 1, 0, 1, 2, 1]


def test_batches_hold_sessions_of_about_equal_length() -> None:
    scorer = Recorder()
    seen: list[tuple[int, int]] = []
    log = session_log([[1, 2, 3, 4], [2, 3], [1, 2, 3]])
    evaluate(scorer, log, cutoffs=(1,), batch=4, on_progress=lambda done, total: seen.append((done, total)))
    assert [len(session) for session in scorer.given] == [1, 1, 1, 2, 2, 3]
    assert scorer.batches == [4, 2]
    assert seen == [(4, 6), (6, 6)]


def test_window_cuts_what_is_given_and_max_items_what_is_looked_at() -> None:
    windowed, cut = Recorder(), Recorder()
    log = session_log([[1, 2, 3, 4]])
    assert evaluate(windowed, log, cutoffs=(1,), window=2).predictions == 3
    assert windowed.given == [[1], [1, 2], [2, 3]]
    assert evaluate(cut, log, cutoffs=(1,), max_items=3).predictions == 2
    assert cut.given == [[2], [2, 3]]


def test_figures_do_not_depend_on_batch() -> None:
    rng = np.random.default_rng(1)
    log = session_log([rng.integers(1, 30, rng.integers(1, 9)).tolist() for _ in range(80)], items=30)
    scorer = make_baseline("next-item", log)
    results = [evaluate(scorer, log, cutoffs=(1, 5, 20), batch=batch).metrics for batch in (1, 7, 512)]
    assert results[0] == results[1] == results[2]


def test_catalogue_smaller_than_cutoff_is_ranked_whole() -> None:
    result = evaluate(Recorder(), session_log([[1, 2, 3, 1]]), cutoffs=(20,))
    assert result.metrics["recall@20"] > 0
    assert result.to_json().keys() == {
        "recall@20", "mrr@20", "ndcg@20", "coverage@20", "predictions", "sessions_per_s",
    }  # fmt: skip


def test_log_without_a_position_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to predict"):
        evaluate(Recorder(), session_log([[1], [2]]))


@pytest.mark.parametrize(("batch", "window", "max_items"), [(0, None, None), (1, 0, None), (1, None, 1)])
def test_bad_sizes_are_refused(batch: int, window: int | None, max_items: int | None) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate(Recorder(), session_log([[1, 2]]), batch=batch, window=window, max_items=max_items)


def test_prefixes_of_log_with_single_clicks_skip_them() -> None:
    starts, targets = prefixes(session_log([[1], [2, 3]]))
    assert (starts.tolist(), targets.tolist()) == ([1], [2])
