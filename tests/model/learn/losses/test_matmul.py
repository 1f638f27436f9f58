"""Products come out in float32 whatever they are computed in."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model.learn.losses import matmul as products
from model.learn.losses.matmul import Products, Scratch

TABLE, HIDDEN = torch.randn(31, 16), torch.randn(9, 16)


def test_products_auto_is_float32_where_bfloat16_is_not_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "bfloat16_is_native", lambda device: False)
    auto = Products("auto")
    assert not auto.half
    assert torch.equal(auto.scores(HIDDEN, auto.rows(TABLE, None)), HIDDEN @ TABLE[1:].T)


def test_products_auto_is_bfloat16_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "bfloat16_is_native", lambda device: True)
    assert Products("auto").half
    assert not Products("float32").half


@pytest.mark.parametrize("half", [False, True])
def test_products_are_float32_and_near_the_exact_ones(half: bool) -> None:
    ids, grads, to_rows = torch.tensor([3, 1, 30, 3]), torch.randn(9, 4), torch.ones(4, 16)
    one = Products("bfloat16" if half else "float32")
    rows = one.rows(TABLE, ids)
    near: Any = {"atol": 0.15, "rtol": 0.02} if half else {"atol": 1e-5, "rtol": 1e-5}
    scores = one.scores(HIDDEN, rows).clone()
    torch.testing.assert_close(scores, HIDDEN @ TABLE[ids].T, **near)
    torch.testing.assert_close(one.pull_back(grads, HIDDEN, rows, to_rows), grads @ TABLE[ids], **near)
    torch.testing.assert_close(to_rows, 1.0 + grads.T @ HIDDEN, **near)


def test_scratch_gives_the_same_memory_again_and_more_where_it_is_needed() -> None:
    scratch, like = Scratch(), torch.empty(0)
    first = scratch.take("a", 4, 6, like=like)
    assert scratch.take("a", 6, 4, like=like).data_ptr() == first.data_ptr()
    assert scratch.take("b", 4, 6, like=like).data_ptr() != first.data_ptr()
    assert scratch.take("a", 40, 60, like=like).shape == (40, 60)
    assert scratch.take("a", 2, 2, like=torch.empty(0, dtype=torch.bfloat16)).dtype == torch.bfloat16
