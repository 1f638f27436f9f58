"""Packed rows hold every position once, and nothing of two sessions in one cell."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from export.bundle.vocabulary import PAD
from model.learn.batches.packing import pack, place
from tests.model.tiny import tiny_log


@given(st.lists(st.integers(1, 64), min_size=1, max_size=200))
def test_place_any_lengths_never_overlap_or_leave_the_row(lengths: list[int]) -> None:
    rows, columns, count = place(lengths, 64)
    taken = np.zeros((count, 64), int)
    for row, column, length in zip(rows, columns, lengths, strict=True):
        assert column + length <= 64
        taken[row, column : column + length] += 1
    assert taken.max() == 1
    assert taken.sum() == sum(lengths)
    assert taken.any(axis=1).all()


def test_place_session_lengths_fill_most_of_the_row() -> None:
    lengths = np.random.default_rng(0).geometric(0.3, 128).clip(1, 50).tolist()
    _, _, count = place(lengths, 64)
    assert sum(lengths) / (count * 64) > 0.85


def test_pack_long_session_keeps_its_newest_window() -> None:
    log = tiny_log(30, longest=40)
    chosen = np.array([int(np.argmax(log.lengths)), 3])
    batch = pack(log, chosen, window=10, row=16, from_end=False)
    newest = log.session(int(chosen[0]))[-11:]
    mine = batch.sessions == 0
    assert batch.ids.reshape(-1)[batch.cells[mine]].tolist() == newest[:-1].tolist()
    assert batch.targets[mine].tolist() == newest[1:].tolist()
    assert batch.positions.reshape(-1)[batch.cells[mine]].tolist() == list(range(10))


def test_pack_empty_cells_belong_to_no_session() -> None:
    log = tiny_log(30)
    batch = pack(log, np.arange(30), window=10, row=16, from_end=False)
    empty = np.ones(batch.ids.size, bool)
    empty[batch.cells] = False
    assert (batch.ids.reshape(-1)[empty] == PAD).all()
    assert (batch.owner.reshape(-1)[empty] == -1).all()
    assert (batch.ids.reshape(-1)[batch.cells] != PAD).all()


def test_pack_from_end_newest_input_stands_at_the_right_end() -> None:
    log = tiny_log(30)
    batch = pack(log, np.arange(30), window=10, row=16, from_end=True)
    positions = batch.positions.reshape(-1)[batch.cells]
    last = np.flatnonzero(np.diff(batch.sessions, append=-1))
    assert (positions[last] == 9).all()
    assert positions.min() >= 0
