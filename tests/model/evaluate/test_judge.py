"""Systems judged as shoppers meet them: what they do not know counts against them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.bundle.vocabulary import Vocabulary
from model.data.log import SessionLog
from model.evaluate.judge import FALLBACK, Judged, judge, of_baseline, paired_difference
from model.evaluate.protocol import evaluate
from tests.model.logs import session_log
from tests.model.tiny import tiny_log


class Noting:
    """Ranks ids 1..k for everybody, and notes what it is given."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> tuple[NDArray[Any], NDArray[Any]]:
        self.given += [items.tolist() for items in sessions]
        return np.tile(np.arange(1, k + 1), (len(sessions), 1)), np.zeros((len(sessions), k))


def system(items: Sequence[str], scorer: Any, window: int | None = None) -> Judged:
    popularity = np.arange(len(items), 0, -1)
    return Judged(vocabulary=Vocabulary(items), popularity=popularity, scorer=lambda: scorer, window=window)


LOG = session_log([[1, 2, 3, 2], [3, 3]])  # items i1, i2, i3


def test_judge_leaves_unknown_items_out_and_answers_a_session_without_any_by_popularity() -> None:
    noting = Noting()
    found = judge(system(["i1", "i2"], noting), LOG)
    assert sorted(noting.given) == [[1], [1, 2], [1, 2]]
    assert found.metrics["predictions"] == 4
    assert found.metrics[FALLBACK] == pytest.approx(1 / 4)


def test_judge_finds_no_target_that_the_system_does_not_know() -> None:
    found = judge(system(["i1", "i2"], Noting()), LOG)
    assert found.ranks.tolist() == [2, 0, 2, 0], "targets i2, i3, i2 of the first session, i3 of the second"
    assert found.metrics["recall@20"] == pytest.approx(2 / 4)


def test_judge_gives_a_window_of_what_is_known() -> None:
    noting = Noting()
    judge(system(["i1", "i2", "i3"], noting, window=2), LOG)
    assert sorted(noting.given) == [[1], [1, 2], [2, 3], [3]]


@pytest.mark.parametrize("name", ["popularity", "items-after", "vmis-knn"])
def test_judge_of_what_knows_all_items_counts_as_the_evaluation_does(name: str) -> None:
    learned, log = tiny_log(200, seed=1), tiny_log(50, seed=2)
    one = of_baseline(name, learned)
    judged = judge(one, log)
    evaluated = evaluate(one.scorer(), log)
    assert judged.ranks.tolist() == evaluated.ranks.tolist()
    assert {key: judged.metrics[key] for key in evaluated.metrics} == pytest.approx(evaluated.metrics)


def test_paired_difference_is_that_of_the_means_inside_its_interval() -> None:
    log = tiny_log(150, seed=3)
    good, poor = judge(of_baseline("items-after", log), log), judge(of_baseline("popularity", log), log)
    found, (low, high) = paired_difference(good, poor, log, confidence=0.95)
    assert found == pytest.approx(good.metrics["recall@20"] - poor.metrics["recall@20"])
    assert low <= found <= high
    assert paired_difference(good, good, log, confidence=0.95) == (0.0, (0.0, 0.0))


def test_judge_of_an_empty_list_end_finds_nothing_there() -> None:
    """Ids 0 at a list's end are no items, and a target that is unknown is none of them."""

    class Short:
        def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> tuple[NDArray[Any], NDArray[Any]]:
            return np.zeros((len(sessions), k), np.int32), np.zeros((len(sessions), k))

    log: SessionLog = session_log([[1, 2]])
    assert judge(system(["i1"], Short()), log).ranks.tolist() == [0]
