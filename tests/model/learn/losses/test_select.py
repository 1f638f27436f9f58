"""The grouped top-K is exact, and an item drawn several times fills as many places."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.learn.batches.negatives import Candidates
from model.learn.losses.matmul import Products
from model.learn.losses.select import grouped_top, kept_weights, select_top


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 12), st.integers(0, 999))
def test_grouped_top_any_shape_equals_plain_topk(members: int, groups: int, count: int, seed: int) -> None:
    scores = torch.randn(5, members * groups, generator=torch.Generator().manual_seed(seed))
    count = min(count, members * groups)
    values, columns = grouped_top(scores, count, groups)
    expected = scores.topk(count, dim=1)
    assert torch.equal(values, expected.values)
    assert torch.equal(columns, expected.indices)


def test_kept_weights_counts_are_cut_at_the_limit() -> None:
    counts = torch.tensor([[2.0, 3.0, 1.0, 4.0]])
    assert kept_weights(counts, 4).tolist() == [[2.0, 2.0, 0.0, 0.0]]
    assert kept_weights(counts, 99).tolist() == counts.tolist()


def selected(candidates: Candidates, top: int) -> tuple[list[float], list[int]]:
    """Return scores and ids for one position whose target is 1; item i scores -i."""
    table, one = -torch.arange(8.0).unsqueeze(1), torch.tensor([1])
    scores, ids = select_top(torch.ones(1, 1), table, one, torch.tensor([0]), candidates, top, Products())
    return scores.squeeze(0).tolist(), ids.squeeze(0).tolist()


def test_select_an_item_drawn_often_fills_its_places() -> None:
    counts = torch.tensor([3.0, 2.0, 4.0])
    candidates = Candidates(torch.tensor([2, 3, 4]), counts.log(), torch.empty(0, dtype=torch.int64), counted=True)
    scores, ids = selected(candidates, 4)
    assert ids == [2, 3, 4]
    assert [round(score, 5) for score in scores[:2]] == [round(-2 + math.log(3), 5), -3.0]  # a third of item 3's fit
    assert scores[2] < -15


def test_select_own_target_never_comes_back_with_a_score() -> None:
    candidates = Candidates(None, None, torch.empty(0, dtype=torch.int64))
    scores, ids = selected(candidates, 7)
    assert ids[:6] == [2, 3, 4, 5, 6, 7]
    assert scores[6] == -math.inf


def test_select_padding_of_the_groups_is_never_chosen_before_a_candidate() -> None:
    drawn = torch.tensor([5, 6, 7])
    scores, ids = selected(Candidates(drawn, None, torch.empty(0, dtype=torch.int64)), 2)
    assert ids == [5, 6]
    assert scores == [-5.0, -6.0]
