"""The packed training pass and the padded serving pass are the same function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from model.encoder import Encoder
from model.log import SessionLog
from model.packing import pack
from tests.model.tiny import tiny_encoder, tiny_log


def packed_hidden(encoder: Encoder, log: SessionLog, chosen: list[int]) -> tuple[Tensor, Tensor]:
    """Return hidden (T, H) and the session (T,) of each row."""
    from_end = encoder.config.positions == "end"
    batch = pack(log, np.array(chosen), window=encoder.config.window, row=16, from_end=from_end)
    ids, positions, owner, cells = (torch.from_numpy(part) for part in batch[:4])
    with torch.inference_mode():
        return encoder(ids, positions, owner).flatten(0, 1)[cells], torch.from_numpy(batch.sessions)


def padded(sessions: list[np.ndarray]) -> Tensor:
    rows = torch.zeros(len(sessions), max(map(len, sessions)), dtype=torch.int32)
    for row, session in zip(rows, sessions, strict=True):
        row[: len(session)] = torch.from_numpy(session.copy())
    return rows


@pytest.mark.parametrize("positions", ["start", "end"])
@pytest.mark.parametrize(("heads", "layers"), [(1, 1), (1, 2), (4, 2)])
def test_encoder_packed_last_position_equals_serving(positions: str, heads: int, layers: int) -> None:
    encoder, log = tiny_encoder(positions=positions, heads=heads, layers=layers), tiny_log(20)
    hidden, sessions = packed_hidden(encoder, log, list(range(20)))
    last = np.flatnonzero(np.diff(sessions.numpy(), append=-1))
    with torch.inference_mode():
        served = encoder.last(padded([log.session(s)[-11:-1] for s in range(20)]))
    torch.testing.assert_close(hidden[last], served, atol=1e-5, rtol=1e-4)


def test_encoder_every_prefix_equals_serving_when_positions_count_from_the_start() -> None:
    encoder, log = tiny_encoder(), tiny_log(10, longest=10)
    hidden, _ = packed_hidden(encoder, log, list(range(10)))
    prefixes = [log.session(s)[:t] for s in range(10) for t in range(1, len(log.session(s)))]
    with torch.inference_mode():
        torch.testing.assert_close(hidden, encoder.last(padded(prefixes)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("positions", ["start", "end"])
def test_encoder_session_alone_equals_session_among_others(positions: str) -> None:
    encoder, log = tiny_encoder(positions=positions), tiny_log(20)
    together, sessions = packed_hidden(encoder, log, list(range(20)))
    for session in (0, 7, 19):
        alone, _ = packed_hidden(encoder, log, [session])
        torch.testing.assert_close(together[sessions == session], alone, atol=1e-5, rtol=1e-4)


def test_encoder_later_clicks_do_not_reach_earlier_positions() -> None:
    encoder, log = tiny_encoder(), tiny_log(1, longest=10, seed=3)
    changed = SessionLog(
        items=np.append(log.items[:-2], [1, 2]).astype(np.int32),
        offsets=log.offsets,
        ts=log.ts,
        vocabulary=log.vocabulary,
    )
    before, after = packed_hidden(encoder, log, [0])[0], packed_hidden(encoder, changed, [0])[0]
    assert torch.equal(before[:-1], after[:-1])


@pytest.mark.parametrize("positions", ["start", "end"])
def test_encoder_more_padding_changes_nothing(positions: str) -> None:
    encoder = tiny_encoder(positions=positions)
    ids = torch.tensor([[3, 4, 5], [6, 0, 0]], dtype=torch.int32)
    wider = torch.nn.functional.pad(ids, (0, 5))
    with torch.inference_mode():
        torch.testing.assert_close(encoder.last(ids), encoder.last(wider), atol=1e-5, rtol=1e-4)


def test_encoder_dropout_acts_in_training_only() -> None:
    encoder, log = tiny_encoder(), tiny_log(5)
    still = packed_hidden(encoder, log, [0, 1])[0]
    assert torch.equal(still, packed_hidden(encoder, log, [0, 1])[0])
    encoder.train()
    encoder.dropout.begin_step(1)
    dropped = packed_hidden(encoder, log, [0, 1])[0]
    assert not torch.equal(still, dropped)
    encoder.dropout.begin_step(1)
    assert torch.equal(dropped, packed_hidden(encoder, log, [0, 1])[0])
