"""What is still to come as the target, and how unlike the items of a list are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from export.errors import ConfigError
from export.items.features import FeatureRows
from export.items.item import Item
from model.evaluate.diversity import mean_distance
from model.evaluate.later import evaluate_later
from tests.model.items import known
from tests.model.logs import session_log


class Fixed:
    """Gives everybody the same list, and remembers what it was given."""

    def __init__(self, *ids: int) -> None:
        self.ids, self.given = ids, list[list[int]]()

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        self.given += [session.tolist() for session in sessions]
        rows = np.tile(np.array(self.ids[:k], np.int32), (len(sessions), 1))
        return rows, np.zeros(rows.shape, np.float32)


LOG = session_log([[1, 2, 3, 4, 5, 6, 7, 8, 9, 9], [4, 2], [3]], items=12)


def test_later_gives_four_fifths_and_looks_for_the_distinct_rest() -> None:
    scorer = Fixed(2, 9, 5)
    found = evaluate_later(scorer, LOG, cutoffs=(1, 3))
    assert scorer.given == [[1, 2, 3, 4, 5, 6, 7, 8], [4]]  # a session of one click has nothing to come
    assert found["sessions"] == 2
    assert (found["recall@1"], found["hr@1"]) == (0.5, 0.5)
    assert (found["recall@3"], found["hr@3"]) == (1.0, 1.0)
    assert found["ndcg@3"] == pytest.approx((1 / math.log2(3) + 1.0) / 2)
    assert found["coverage@3"] == 3 / 12


def test_later_shares_of_several_items() -> None:
    log = session_log([[1, 2, 3, 4]], items=9)
    found = evaluate_later(Fixed(3, 7, 8), log, given=0.5, cutoffs=(3,))
    assert found["recall@3"] == 0.5
    assert found["ndcg@3"] == pytest.approx(1.0 / (1.0 + 1 / math.log2(3)))


def test_later_window_cuts_what_is_given() -> None:
    scorer = Fixed(1)
    evaluate_later(scorer, LOG, window=3, cutoffs=(1,))
    assert scorer.given[0] == [6, 7, 8]


@pytest.mark.parametrize("options", [{"given": 1.0}, {"given": 0.0}, {"cutoffs": ()}, {"cutoffs": (0,)}])
def test_later_refuses_what_leaves_nothing(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        evaluate_later(Fixed(1), LOG, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="two clicks"):
        evaluate_later(Fixed(1), session_log([[3]]))


def rows(*colours: str) -> FeatureRows:
    items = [Item(item_id=f"i{n}", attributes={"colour": tuple(text.split())}) for n, text in enumerate(colours, 1)]
    catalogue = session_log([[len(items)]]).vocabulary
    return known([*items, *items], least=1).features(catalogue).rows


def test_distance_of_a_list_is_the_mean_jaccard_distance_of_its_pairs() -> None:
    features = rows("red", "red", "blue", "red blue", "")
    assert mean_distance(np.array([1, 2]), features) == 0.0
    assert mean_distance(np.array([1, 3]), features) == 1.0
    assert mean_distance(np.array([1, 2, 3]), features) == pytest.approx(2 / 3)
    assert mean_distance(np.array([1, 4]), features) == pytest.approx(0.5)
    assert mean_distance(np.array([1, 5]), features) == 0.0  # nothing is known of the other


def test_later_means_the_distance_over_lists() -> None:
    features = rows("red", "red", "blue", "blue", "green", "green", "grey", "grey", "pink", "pink", "tan", "tan")
    found = evaluate_later(Fixed(1, 2, 3), LOG, cutoffs=(2, 3), features=features)
    assert found["distance@2"] == 0.0
    assert found["distance@3"] == pytest.approx(2 / 3)
