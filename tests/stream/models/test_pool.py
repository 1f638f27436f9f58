"""Tests of stream/models/pool.py: what was freed goes back to the system, once."""

from typing import Any, cast

import pytest

from export.ranking.ranker import Ranker
from stream.models import pool
from stream.models.loading import Wanted
from stream.models.pool import ModelPool


def test_memory_of_a_freed_model_is_given_back_once_nobody_ranks_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    now = 0.0
    monkeypatch.setattr(pool, "give_back_memory", lambda: given.append(now))
    monkeypatch.setattr("stream.models.pool.time.monotonic", lambda: now)
    models = ModelPool(lambda wanted: cast("Ranker", cast("Any", object())), most=2)
    for version in ("1", "2"):
        models.take(Wanted(version))
        models.live_is(version)
        models.tidy()
    assert models.versions == ["2"]
    assert given == []
    now = 2.0
    models.tidy()
    models.tidy()
    assert given == [2.0]
