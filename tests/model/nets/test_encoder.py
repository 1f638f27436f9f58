"""The packed training pass and the padded serving pass are the same function, for every kind of encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.data.log import SessionLog
from model.learn.batches.batch import to_tensors
from model.learn.batches.masking import pack_prefixes_masked
from model.nets.config import EncoderConfig
from model.nets.encoder import Encoder
from model.nets.encoders import build_encoder
from model.nets.gru import GRU
from model.nets.transformer import Transformer, rotate
from tests.model.tiny import packed, padded, tiny_encoder, tiny_log

TRANSFORMERS: dict[str, dict[str, Any]] = {
    "start": {"positions": "start"},
    "end": {"positions": "end"},
    "rotary": {"positions": "rotary"},
    "none": {"positions": "none"},
    "start, 2 heads": {"positions": "start", "heads": 2},
    "rotary, 2 heads": {"positions": "rotary", "heads": 2},
    "end, 4 heads, 1 layer": {"positions": "end", "heads": 4, "layers": 1},
}
GRUS: dict[str, dict[str, Any]] = {
    "gru": {"kind": "gru", "layers": 1},
    "gru, residual, 2 layers": {"kind": "gru", "residual": True},
}
CAUSAL = TRANSFORMERS | GRUS
MASKED = {f"masked, {name}": {**options, "masked": True} for name, options in TRANSFORMERS.items()}


def hidden_of(encoder: Encoder, log: SessionLog, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return hidden (T, H) of a packed batch and the session (T,) of each row."""
    batch = packed(log, chosen, encoder.config)
    with torch.inference_mode():
        return encoder(batch), batch.sessions


def served(encoder: Encoder, sessions: Sequence[Any]) -> Tensor:
    with torch.inference_mode():
        return encoder.last(padded(sessions))


def altered(log: SessionLog, newest: int) -> SessionLog:
    """Return the log with other items for its newest clicks."""
    items = log.items.copy()
    items[-newest:] = items[-newest:] % len(log.vocabulary) + 1
    return SessionLog(items=items, offsets=log.offsets, ts=log.ts, vocabulary=log.vocabulary)


@pytest.mark.parametrize("name", CAUSAL)
def test_encoder_packed_last_position_equals_serving(name: str) -> None:
    encoder, log = tiny_encoder(**CAUSAL[name]), tiny_log(20)
    hidden, sessions = hidden_of(encoder, log, range(20))
    last = np.flatnonzero(np.diff(sessions.numpy(), append=-1))
    expected = served(encoder, [log.session(s)[-11:-1] for s in range(20)])
    torch.testing.assert_close(hidden[last], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", MASKED)
def test_masked_encoder_packed_mask_behind_a_prefix_equals_serving(name: str) -> None:
    encoder, log = tiny_encoder(**MASKED[name]), tiny_log(20)
    lengths = np.minimum(log.lengths - 1, encoder.config.window)
    batch = pack_prefixes_masked(log, log.offsets[1:] - 2, lengths, config=encoder.config, row=16)
    with torch.inference_mode():
        hidden = encoder(to_tensors(batch))
    expected = served(encoder, [log.session(s)[-1 - lengths[s] : -1] for s in range(20)])
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in CAUSAL if "end" not in name])
def test_encoder_every_prefix_equals_serving_when_positions_count_from_the_start(name: str) -> None:
    encoder, log = tiny_encoder(**CAUSAL[name]), tiny_log(10, longest=10)
    hidden, _ = hidden_of(encoder, log, range(10))
    prefixes = [log.session(s)[:t] for s in range(10) for t in range(1, len(log.session(s)))]
    torch.testing.assert_close(hidden, served(encoder, prefixes), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CAUSAL)
def test_encoder_session_alone_equals_session_among_others(name: str) -> None:
    encoder, log = tiny_encoder(**CAUSAL[name]), tiny_log(20)
    together, sessions = hidden_of(encoder, log, range(20))
    for session in (0, 7, 19):
        alone, _ = hidden_of(encoder, log, [session])
        torch.testing.assert_close(together[sessions == session], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CAUSAL)
def test_encoder_later_clicks_do_not_reach_earlier_positions(name: str) -> None:
    encoder, log = tiny_encoder(**CAUSAL[name]), tiny_log(1, longest=10, seed=3)
    before, after = (hidden_of(encoder, one, [0])[0] for one in (log, altered(log, 2)))
    torch.testing.assert_close(before[:-1], after[:-1], atol=1e-6, rtol=0.0)
    assert not torch.allclose(before[-1], after[-1], atol=1e-3)


@pytest.mark.parametrize("name", CAUSAL | MASKED)
def test_encoder_more_padding_changes_nothing(name: str) -> None:
    encoder = tiny_encoder(**(CAUSAL | MASKED)[name])
    ids = torch.tensor([[3, 4, 5], [6, 0, 0]], dtype=torch.int32)
    wider = torch.nn.functional.pad(ids, (0, 5))
    with torch.inference_mode():
        torch.testing.assert_close(encoder.last(ids), encoder.last(wider), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in CAUSAL if name != "none"])
def test_encoder_order_of_clicks_matters(name: str) -> None:
    encoder = tiny_encoder(**CAUSAL[name])
    one, other = served(encoder, [np.array([3, 4, 5], np.int32), np.array([4, 3, 5], np.int32)])
    assert not torch.allclose(one, other, atol=1e-4)


def test_encoder_masked_sees_clicks_behind_the_mask_too() -> None:
    encoder, log = tiny_encoder(masked=True), tiny_log(1, longest=10, seed=3)
    found = []
    for one in (log, altered(log, 2)):
        batch = packed(one, [0], encoder.config)
        batch.ids.view(-1)[batch.cells[0]] = 0  # the first click is to be found
        with torch.inference_mode():
            found.append(encoder(batch._replace(cells=batch.cells[:1])))
    assert not torch.allclose(found[0], found[1], atol=1e-3)


@pytest.mark.parametrize("name", ["start", "gru, residual, 2 layers"])
def test_encoder_reads_the_rows_it_is_given_in_place_of_its_table(name: str) -> None:
    encoder, log = tiny_encoder(**CAUSAL[name]), tiny_log(6)
    batch = packed(log, range(6), encoder.config)
    ids = torch.unique(torch.cat([torch.zeros(1, dtype=torch.int64), batch.ids.flatten()]))
    moved = batch._replace(ids=torch.searchsorted(ids, batch.ids))
    with torch.inference_mode():
        assert torch.equal(encoder(moved, encoder.table[ids]), encoder(batch))


@pytest.mark.parametrize("name", ["start", "gru, residual, 2 layers"])
def test_encoder_dropout_acts_in_training_only_and_repeats_by_its_seed(name: str) -> None:
    encoder, log = tiny_encoder(dropout=0.2, **CAUSAL[name]), tiny_log(5)
    still = hidden_of(encoder, log, [0, 1])[0]
    assert torch.equal(still, hidden_of(encoder, log, [0, 1])[0])
    encoder.train()
    dropped = []
    for _ in range(2):
        encoder.dropout.begin_step(1)
        encoder.input_dropout.begin_step(2)
        dropped.append(hidden_of(encoder, log, [0, 1])[0])
    assert torch.equal(*dropped)
    assert not torch.equal(still, dropped[0])


def test_encoder_input_dropout_is_as_dropout_unless_given() -> None:
    assert tiny_encoder(dropout=0.3).input_dropout.p == 0.3
    assert tiny_encoder(dropout=0.3, input_dropout=0.0).input_dropout.p == 0.0
    assert tiny_encoder(dropout=0.3, input_dropout=0.0).dropout.p == 0.3


def test_rotate_scores_depend_on_the_distance_of_positions_alone() -> None:
    x, y = torch.randn(1, 1, 2, 8), torch.randn(1, 1, 2, 8)

    def score(first: int, second: int) -> Tensor:
        turned = rotate(x, torch.tensor([[first]])), rotate(y, torch.tensor([[second]]))
        return (turned[0] * turned[1]).sum(dim=3)

    torch.testing.assert_close(score(3, 1), score(40, 38), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(score(3, 1), score(3, 2), atol=1e-3)
    torch.testing.assert_close(rotate(x, torch.tensor([[7]])).norm(), x.norm())


def test_build_encoder_gives_the_class_of_its_kind_with_a_zero_padding_row() -> None:
    for kind, expected in (("transformer", Transformer), ("gru", GRU)):
        encoder = build_encoder(EncoderConfig(kind=kind, hidden=8, feed_forward=8), 5)  # type: ignore[arg-type]
        assert type(encoder) is expected
        assert encoder.table.shape == (6, 8)
        assert (encoder.table[0] == 0).all()
