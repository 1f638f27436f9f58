"""Tests of `export.events`."""

from typing import get_args

import numpy as np
import pytest

from export.events import CLICK, KINDS, NEGATIVES, TYPES, code_of, is_wanted
from stream.messages.click_rules import ClickType


def test_kinds_are_those_of_the_click_contract_in_its_order() -> None:
    assert get_args(ClickType) == KINDS


def test_codes_count_from_one_and_padding_is_wanted_by_nobody() -> None:
    assert [code_of(kind) for kind in KINDS] == list(range(1, TYPES))
    assert code_of("click") == CLICK
    wanted = is_wanted(np.arange(TYPES))
    assert not wanted[0]
    assert {kind for kind, good in zip(KINDS, wanted[1:], strict=True) if not good} == NEGATIVES


def test_a_word_that_is_no_kind_has_no_code() -> None:
    with pytest.raises(KeyError):
        code_of("view")
