"""Tests of export/graph/topk.py against a plain sort."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from export.graph.topk import TopK


def by_sorting(hidden: Tensor, table: Tensor, exclude: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return what the head must, by masking and sorting all scores."""
    scores = hidden @ table.T  # (B, V + 1)
    scores[:, PAD] = -torch.inf
    for row, barred in enumerate(exclude.tolist()):
        scores[row, barred] = -torch.inf
    top, ids = scores.sort(dim=1, descending=True, stable=True)
    ids = torch.where(top == -torch.inf, PAD, ids)
    return ids[:, :k].to(torch.int32), top[:, :k]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 30), st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**31 - 1))
def test_topk_of_any_size_equals_sorting(batch: int, items: int, exclusions: int, k: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(items + 1, 6, generator=generator)
    hidden = torch.randn(batch, 6, generator=generator)
    exclude = torch.randint(0, items + 1, (batch, exclusions), generator=generator, dtype=torch.int32)
    k = min(k, items)
    ids, scores = TopK(table)(hidden, exclude, torch.tensor(k))
    expected_ids, expected_scores = by_sorting(hidden, table, exclude, k)
    assert (ids.dtype, scores.dtype) == (torch.int32, torch.float32)
    torch.testing.assert_close(scores, expected_scores)
    assert torch.equal(ids, expected_ids)


def test_topk_with_everything_excluded_returns_padding() -> None:
    everything = torch.tensor([[1, 2, 3]], dtype=torch.int32)
    ids, scores = TopK(torch.randn(4, 2))(torch.randn(1, 2), everything, torch.tensor(3))
    assert ids.tolist() == [[PAD] * 3]
    assert (scores == -torch.inf).all()


def test_topk_never_returns_the_padding_row_however_well_it_scores() -> None:
    table = torch.ones(4, 2)
    table[PAD] = 100.0
    ids, _ = TopK(table)(torch.ones(1, 2), torch.zeros(1, 1, dtype=torch.int32), torch.tensor(3))
    assert sorted(ids[0].tolist()) == [1, 2, 3]


def test_topk_of_a_parameter_shares_it() -> None:
    table = nn.Parameter(torch.randn(4, 2))
    assert TopK(table).item_table is table


def test_topk_of_no_items_is_refused() -> None:
    with pytest.raises(ConfigError, match="no items"):
        TopK(torch.randn(1, 2))
