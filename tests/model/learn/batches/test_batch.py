"""A batch as tensors holds what was packed."""

from __future__ import annotations

import numpy as np

from model.learn.batches.batch import to_tensors
from model.learn.batches.packing import pack
from tests.model.tiny import tiny_log


def test_to_tensors_holds_what_was_packed_and_how_long_sessions_are() -> None:
    log = tiny_log(9, longest=8)
    packed = pack(log, np.arange(9), window=10, row=16, from_end=False)
    batch = to_tensors(packed)
    for name, part in packed._asdict().items():
        held = getattr(batch, name)
        assert held is None if part is None else np.array_equal(held.numpy(), part)
    assert batch.lengths.tolist() == (log.lengths - 1).tolist()
    assert batch.ids.data_ptr() == packed.ids.ctypes.data
