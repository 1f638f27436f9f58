"""Several interests of a session: those of a position know what came before it, and serving says the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.nets.encoder import Encoder
from tests.model.tiny import packed, padded, tiny_encoder, tiny_log

ENCODERS: dict[str, dict[str, Any]] = {
    "transformer": {"layers": 1},
    "rotary, 2 layers": {"positions": "rotary"},
    "gru": {"kind": "gru", "layers": 1, "residual": True},
    "comirec": {"kind": "clicked"},
    "anchored": {"layers": 1, "anchored": True},
}


def encoder_of(name: str, interests: int = 3) -> Encoder:
    return tiny_encoder(interests=interests, interest_inner=8, **ENCODERS[name])


def pooled_slowly(encoder: Encoder, ids: Tensor) -> Tensor:
    """Return the interests (K, H) of one session (L,) as the formula has them."""
    assert encoder.interests is not None
    states = encoder.states(ids[None])[0]  # (L, H)
    told = states
    if encoder.interests.places is not None:
        told = states + encoder.interests.places.weight[: len(ids)]
    logits = encoder.interests.weigh.weight @ torch.tanh(encoder.interests.widen.weight @ told.T)  # (K, L)
    pooled = torch.softmax(logits, dim=1) @ states
    return pooled + states[-1] if encoder.config.anchored else pooled


@pytest.mark.parametrize("name", ENCODERS)
def test_interests_of_every_prefix_are_those_served(name: str) -> None:
    encoder, log = encoder_of(name), tiny_log(12, longest=10)
    batch = packed(log, range(12), encoder.config)
    with torch.inference_mode():
        vectors = encoder.vectors(batch)
        prefixes = [log.session(s)[: t + 1] for s in range(12) for t in range(log.lengths[s] - 1)]
        assert vectors.shape == (len(prefixes), 3, 16)
        torch.testing.assert_close(vectors, encoder.newest(padded(prefixes)), atol=1e-5, rtol=1e-4)
        slow = torch.stack([pooled_slowly(encoder, torch.from_numpy(ids.astype(np.int64))) for ids in prefixes])
    torch.testing.assert_close(vectors, slow, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_states_end_with_what_a_single_vector_is_served_with(name: str) -> None:
    encoder, log = encoder_of(name), tiny_log(8, longest=10)
    sessions = [log.session(s) for s in range(8)]
    with torch.inference_mode():
        states = encoder.states(padded(sessions))
        newest = torch.stack([states[row, len(session) - 1] for row, session in enumerate(sessions)])
        torch.testing.assert_close(newest, encoder.last(padded(sessions)), atol=1e-5, rtol=1e-4)


def test_focus_is_one_of_a_single_click_and_less_of_more() -> None:
    encoder, log = encoder_of("transformer"), tiny_log(6, longest=10)
    assert encoder.interests is not None
    batch = packed(log, range(6), encoder.config)
    with torch.inference_mode():
        pooled = encoder.interests.causal(encoder(batch), batch)
    clicks = batch.positions.flatten()[batch.cells] + 1
    torch.testing.assert_close(pooled.focus[clicks == 1], torch.ones(6, 3))
    assert (pooled.focus >= 1.0 / clicks[:, None] - 1e-6).all()
    assert (pooled.focus[clicks > 1] < 1.0).all()


def test_encoder_without_interests_is_one_vector() -> None:
    encoder, log = tiny_encoder(), tiny_log(4)
    batch = packed(log, range(4), encoder.config)
    assert encoder.vectors(batch).shape == (len(batch.targets), 16)
    assert encoder.newest(padded([log.session(0)[:3]])).shape == (1, 16)
