"""Tests of export/graph/candidates.py: scores of single items, and vectors moved away from disliked ones."""

import pytest
import torch

from bench.rig.toy import ITEMS, ToyServing
from export.graph.candidates import moved_away

NOTHING = torch.zeros((2, 1), dtype=torch.int32)


def run(also: list[int], away: list[list[int]], push: float = 0.0) -> tuple[torch.Tensor, ...]:
    ids = torch.tensor([[3, 7], [9, 0]], dtype=torch.int32)
    given = torch.tensor(also, dtype=torch.int32), torch.tensor(away, dtype=torch.int32), torch.tensor(push)
    with torch.no_grad():
        ranked: tuple[torch.Tensor, ...] = ToyServing()(ids, NOTHING, torch.tensor(ITEMS), *given)
    return ranked


def test_scores_of_candidates_are_those_of_the_list() -> None:
    ids, scores, also = run([5, 0, 40], [[0], [0]])
    for row in range(2):
        listed = dict(zip(ids[row].tolist(), scores[row].tolist(), strict=True))
        torch.testing.assert_close(also[row, [0, 2]], torch.tensor([listed[5], listed[40]]))
        assert also[row, 1] == -torch.inf


def test_without_dislikes_nothing_moves() -> None:
    still, moved = run([1], [[0], [0]]), run([1], [[0], [0]], push=1.0)
    assert all(torch.equal(a, b) for a, b in zip(still, moved, strict=True))


def test_a_disliked_item_and_what_is_like_it_fall() -> None:
    hidden = torch.tensor([[2.0, 1.0]])
    disliked, like_it, unlike = torch.tensor([1.0, 0.0]), torch.tensor([0.9, 0.4]), torch.tensor([0.0, 1.0])
    moved = moved_away(hidden, disliked[None, None], torch.tensor([[4]]), torch.tensor(1.0))
    fall = [float((hidden - moved) @ item) for item in (disliked, like_it, unlike)]
    assert fall == pytest.approx([2.0, 1.8, 0.0])


def test_a_session_without_anything_of_what_it_dislikes_stays() -> None:
    hidden = torch.tensor([[-2.0, 1.0]])
    moved = moved_away(hidden, torch.tensor([[[1.0, 0.0]]]), torch.tensor([[4]]), torch.tensor(1.0))
    torch.testing.assert_close(moved, hidden)


def test_padding_is_no_dislike() -> None:
    rows = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    hidden = torch.ones(1, 4)
    padded = moved_away(hidden, rows, torch.tensor([[7, 0, 0]]), torch.tensor(0.5))
    torch.testing.assert_close(padded, moved_away(hidden, rows[:, :1], torch.tensor([[7]]), torch.tensor(0.5)))
