"""Tests of export/policy/choose.py: what a list is chosen from."""

import tracemalloc

import numpy as np

from export.policy.choose import gather


def test_exclusions_of_deep_rankings_take_little_memory() -> None:
    sessions, items, excluded = 16, 20_000, 50
    ids = np.tile(np.arange(1, items + 1, dtype=np.int32), (sessions, 1))
    barred = np.stack([np.arange(1 + row, 1 + row + excluded, dtype=np.int32) for row in range(sessions)])
    nothing = np.empty(0, dtype=np.int32), np.empty((sessions, 0), dtype=np.float32)
    allowed = np.arange(items + 1) > 0
    tracemalloc.start()
    scores = np.zeros(ids.shape, np.float32)
    found = gather(ids, scores, *nothing, boost=None, allowed=allowed, barred=barred, slack=0.0, whole=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < sessions * items * excluded  # bytes: less than one for each comparison
    for row in range(sessions):
        shown = found.ids[row][np.isfinite(found.scores[row])]
        assert set(range(1, items + 1)) - set(shown.tolist()) == set(barred[row].tolist())
