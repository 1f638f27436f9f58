"""The order a GRU reads positions in is that of torch's packed sequences."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from model.nets.gru import GRU, by_step
from tests.model.tiny import packed, tiny_encoder, tiny_log


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_by_step_any_lengths_equals_torchs_packed_sequence(lengths: list[int]) -> None:
    places = torch.arange(sum(lengths))
    expected = pack_sequence(list(torch.split(places, lengths)), enforce_sorted=False)
    sessions = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    order, sizes = by_step(torch.tensor(lengths), sessions)
    assert sizes.tolist() == expected.batch_sizes.tolist()
    assert sorted(order.tolist()) == places.tolist()
    start = 0
    for size in sizes.tolist():  # sessions of equal length may stand in any order, the same at every step
        assert set(order[start : start + size].tolist()) == set(expected.data[start : start + size].tolist())
        start += size
    assert sessions[order[: sizes[-1]]].tolist() == sessions[order[start - sizes[-1] : start]].tolist()


def test_gru_equals_torchs_own_over_each_session_by_itself() -> None:
    encoder, log = tiny_encoder(kind="gru", layers=2), tiny_log(12, longest=9)
    assert isinstance(encoder, GRU)
    batch = packed(log, range(12), encoder.config)
    with torch.inference_mode():
        found = encoder(batch)
        for session in range(12):
            x = encoder.items(torch.from_numpy(log.session(session)[:-1].astype("int64"))).unsqueeze(0)
            for layer in encoder.layers:
                x = layer(x)[0]
            torch.testing.assert_close(found[batch.sessions == session], x.squeeze(0), atol=1e-5, rtol=1e-4)
