"""Tests of model/nets/rows.py: clicks go into rows and come back."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from model.nets.rows import Clicks, Newest


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_clicks_in_rows_stand_where_they_were_and_come_back(lengths: list[int]) -> None:
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    x = torch.randn(sum(lengths), 3)
    clicks = Clicks.of(real)
    rows = clicks.in_rows(x)
    assert rows.shape == (len(lengths), max(lengths), 3)
    assert torch.equal(rows[real], x)
    assert torch.equal(clicks.out_of_rows(rows), x)


def test_newest_click_of_each_session_is_a_row_of_one() -> None:
    newest = Newest(torch.tensor([2, 4]))
    x = torch.randn(2, 3)
    assert newest.in_rows(x).shape == (2, 1, 3)
    assert torch.equal(newest.out_of_rows(newest.in_rows(x)), x)
