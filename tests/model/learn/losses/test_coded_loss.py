"""The loss against a whole coded catalogue: gradients of the books by hand against autograd through every row."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.learn.config import LossConfig, NegativesConfig
from model.learn.losses import columns
from model.learn.losses import matmul as products_module
from model.learn.losses.extra import Extra
from model.learn.losses.loss import candidate_loss
from model.learn.losses.matmul import Products
from model.nets import coded as coded_module
from model.nets.coded import Coded
from tests.model.learn.losses.test_extra import extra_for, slow
from tests.model.learn.losses.test_loss import Example, H, V, example
from tests.model.slow import LOSSES

EVERYTHING = NegativesConfig(everything=True)


@pytest.fixture(autouse=True)
def several_blocks_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coded_module, "BLOCK", 7)
    monkeypatch.setattr(products_module, "CHUNK_LEAST", 4)
    monkeypatch.setattr(products_module, "CHUNK_SCORES", 1)


def coded_example(config: LossConfig, negatives: NegativesConfig = EVERYTHING) -> tuple[Coded, Example]:
    """A batch, and the same with all rows of the table written out."""
    generator = torch.Generator().manual_seed(5)
    codes = torch.randint(0, 16, (V + 1, 3), generator=generator, dtype=torch.uint8)
    codes[0] = 0
    codes[9] = codes[8]  # the same vector
    table = Coded(codes, torch.randn(3, 16, H // 3, generator=generator, requires_grad=True))
    return table, example(negatives, config)._replace(table=table.rows(torch.arange(V + 1)))


def assert_same(found: Tensor, expected: Tensor, table: Coded, one: Example) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    wanted = torch.autograd.grad(expected, (one.hidden, table.books))
    grads = torch.autograd.grad(found * 3.0, (one.hidden, table.books))
    for got, want in zip(grads, wanted, strict=True):
        torch.testing.assert_close(got, 3.0 * want, atol=3e-5, rtol=1e-4)


def found_by(table: Coded, one: Example, extra: Extra, top: int) -> Tensor:
    return candidate_loss(one.hidden, table, *one[2:6], top=top, products=Products(), extra=extra)


@pytest.mark.parametrize("top", [0, 5])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_against_the_whole_coded_catalogue_equals_autograd(name: str, top: int) -> None:
    table, one = coded_example(LOSSES[name])
    nothing = Extra(torch.zeros(len(one.targets), 1, dtype=torch.int64))
    assert_same(found_by(table, one, Extra(), top), slow(one, nothing, top), table, one)


@pytest.mark.parametrize("top", [0, 5])
@pytest.mark.parametrize("weights", [False, True])
def test_own_negatives_of_a_coded_table_equal_autograd(weights: bool, top: int) -> None:
    table, one = coded_example(LossConfig())
    extra = extra_for(one, bias=0.7, weights=weights)
    assert_same(found_by(table, one, extra, top), slow(one, extra, top), table, one)


def test_own_negatives_that_are_all_there_are_none_of_them_padding() -> None:
    table, one = coded_example(LossConfig())
    own = one.targets.unsqueeze(1) % V + 1
    assert_same(found_by(table, one, Extra(own), 5), slow(one, Extra(own), 5), table, one)


def test_chunks_shrink_where_the_catalogue_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products_module, "CHUNK_LEAST", 256)
    table, one = coded_example(LossConfig())
    whole = found_by(table, one, Extra(), 0)
    monkeypatch.setattr(columns, "MOST_SCORES", 3 * V)
    assert columns.CodedColumns(table, Products()).chunk() == 3
    torch.testing.assert_close(found_by(table, one, Extra(), 0), whole)
