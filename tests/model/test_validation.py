"""Validation by one pass equals validation prefix by prefix, and equals ranking by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.encoder import Encoder
from model.log import SessionLog
from model.validation import metrics, next_click_ranks, validate
from tests.model.test_encoder import padded
from tests.model.tiny import tiny_encoder, tiny_log


def ranks_by_hand(encoder: Encoder, log: SessionLog) -> list[int]:
    """Serve every prefix by itself, as the Ranker does."""
    ranks = []
    for session in range(log.sessions):
        clicks = log.session(session)
        for t in range(1, len(clicks)):
            with torch.inference_mode():
                hidden = encoder.last(padded([clicks[:t][-encoder.config.window :]]))
            scores = (hidden @ encoder.items.weight[1:].detach().T).squeeze(0)
            ranks.append(int((scores >= scores[clicks[t] - 1]).sum()))
    return ranks


@pytest.mark.parametrize("positions", ["start", "end"])
@pytest.mark.parametrize("longest", [11, 16, 70])  # the window is 10
def test_validation_ranks_equal_serving_every_prefix(positions: str, longest: int) -> None:
    encoder, log = tiny_encoder(positions=positions), tiny_log(40, longest=longest)
    found = next_click_ranks(encoder, log, row=16)
    assert np.mean(np.sort(found) == np.sort(ranks_by_hand(encoder, log))) > 0.99  # scores may tie within rounding


def test_validation_leaves_padding_out_of_the_catalogue() -> None:
    encoder, log = tiny_encoder(), tiny_log(20)
    before = next_click_ranks(encoder, log, row=16)
    assert before.min() >= 1
    assert before.max() <= len(log.vocabulary)


def test_validation_figures_follow_their_formulas() -> None:
    figures = metrics(np.array([1, 3, 21, 20]), 20)
    assert figures["recall@20"] == 0.75
    assert figures["mrr@20"] == pytest.approx((1 + 1 / 3 + 1 / 20) / 4)
    assert figures["ndcg@20"] == pytest.approx((1 + 0.5 + 1 / np.log2(21)) / 4)


def test_validation_counts_every_position_after_the_first() -> None:
    log = tiny_log(25, longest=8)
    assert validate(tiny_encoder(), log, row=16)["predictions"] == log.clicks - log.sessions
