"""Validation by packed passes equals serving prefix by prefix, and equals ranking by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from model.data.log import SessionLog
from model.learn import validation
from model.learn.validation import metrics, next_click_ranks, validate
from model.nets.encoder import Encoder
from tests.model.tiny import padded, tiny_encoder, tiny_log

ENCODERS: dict[str, list[dict[str, Any]]] = {
    "start": [{"positions": "start"}],
    "end": [{"positions": "end"}],
    "rotary": [{"positions": "rotary", "heads": 2}],
    "masked": [{"masked": True}],
    "masked, end": [{"masked": True, "positions": "end"}],
    "gru": [{"kind": "gru", "residual": True}],
    "committee": [{"positions": "start"}, {"kind": "gru"}, {"positions": "none", "hidden": 8}],
    "committee, end": [{"kind": "gru", "positions": "end"}, {"positions": "end"}],
}


def encoders_of(name: str) -> list[Encoder]:
    return [tiny_encoder(seed=seed, **options) for seed, options in enumerate(ENCODERS[name])]


def ranks_by_hand(encoders: Sequence[Encoder], log: SessionLog) -> list[int]:
    """Serve every prefix by itself, as the Ranker does."""
    ranks = []
    for session in range(log.sessions):
        clicks = log.session(session)
        for t in range(1, len(clicks)):
            ids = padded([clicks[:t][-encoders[0].config.window :]])
            with torch.inference_mode():
                parts = [encoder.last(ids) @ encoder.table[1:].T for encoder in encoders]
            scores = torch.stack(parts).sum(0).squeeze(0)
            ranks.append(int((scores >= scores[clicks[t] - 1]).sum()))
    return ranks


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("longest", [11, 30])  # the window is 10
def test_validation_ranks_equal_serving_every_prefix(name: str, longest: int) -> None:
    encoders, log = encoders_of(name), tiny_log(25, longest=longest)
    found = next_click_ranks(encoders, log, row=16)
    assert np.mean(np.sort(found) == np.sort(ranks_by_hand(encoders, log))) > 0.99  # scores may tie within rounding


@pytest.mark.parametrize("name", ["start", "masked"])
def test_validation_in_parts_of_any_size_gives_the_same(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    encoders, log = encoders_of(name), tiny_log(40, longest=30)
    whole = validate(encoders, log, row=16)
    for constant, value in (("SESSIONS", 3), ("PREFIXES", 7), ("SCORES", 100)):
        monkeypatch.setattr(validation, constant, value)
    assert validate(encoders, log, row=16) == pytest.approx(whole, abs=1e-3)


@pytest.mark.parametrize("name", ["start", "end", "masked"])
def test_validation_of_one_huge_session_encodes_a_few_prefixes_at_a_time(name: str) -> None:
    config, log = encoders_of(name)[0].config, tiny_log(1000, longest=4)
    log = dataclasses.replace(log, items=log.items[:1500], ts=log.ts[:1500], offsets=np.array([0, 1500]))
    batches = list(validation._batches(config, log, 16))
    assert sum(len(predictions) for _, predictions in batches) == 1499
    assert max(packed.ids.size for packed, _ in batches) <= validation.PREFIXES * 16


def test_validation_scores_that_are_no_numbers_are_the_last_rank() -> None:
    encoder = tiny_encoder()
    with torch.no_grad():
        encoder.table.fill_(float("nan"))
    assert (next_click_ranks([encoder], tiny_log(5), row=16) == 40).all()


def test_validation_leaves_padding_out_of_the_catalogue() -> None:
    ranks = next_click_ranks(encoders_of("start"), tiny_log(20), row=16)
    assert ranks.min() >= 1
    assert ranks.max() <= 40


def test_validation_counts_equal_scores_against_the_model() -> None:
    encoder = tiny_encoder()
    with torch.no_grad():
        encoder.table.zero_()
    assert (next_click_ranks([encoder], tiny_log(5), row=16) == 40).all()


def test_validation_figures_follow_their_formulas() -> None:
    figures = metrics(np.array([1, 3, 21, 20]), 20)
    assert figures["recall@20"] == 0.75
    assert figures["mrr@20"] == pytest.approx((1 + 1 / 3 + 1 / 20) / 4)
    assert figures["ndcg@20"] == pytest.approx((1 + 0.5 + 1 / np.log2(21)) / 4)
    assert figures["predictions"] == 4


@pytest.mark.parametrize("name", ["start", "end", "masked"])
def test_validation_counts_every_position_after_the_first(name: str) -> None:
    log = tiny_log(25, longest=30)
    assert validate(encoders_of(name), log, row=16)["predictions"] == log.clicks - log.sessions


def test_validation_of_nothing_is_zero() -> None:
    empty = tiny_log(3).select(np.array([], np.int64))
    assert set(validate(encoders_of("start"), empty, row=16).values()) == {0.0}
