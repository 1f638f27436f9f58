"""What counts as around a swap, and between what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.measure.latency import around_swap, other_version, promote_other
from bench.measure.lists import Answer, Received, Source
from bench.measure.load import Sent
from bench.rig.toy import toy_bundle
from export.registry.registry import Registry


def a_list(model: str, at: float) -> Received:
    return Received(Answer("a", Source(0, 0), model, 0), at)


def test_clicks_due_from_the_announcement_to_a_second_after_the_new_model_count() -> None:
    sent: Sent = [("a", 0, 0, float(due)) for due in range(10)]
    took = np.array([0.5, 0.5, 0.5, 0.001, 0.001, 0.001, 0.001, 0.001, 0.5, 0.5])  # s
    p99_ms, swap_s = around_swap(sent, took, [a_list("1", 1.0), a_list("2", 6.0)], announced=3.0)
    assert p99_ms == pytest.approx(1.0)
    assert swap_s == pytest.approx(3.0)


def test_a_quick_swap_is_watched_for_two_seconds() -> None:
    sent: Sent = [("a", 0, 0, 3.0), ("a", 0, 0, 4.9), ("a", 0, 0, 5.1)]
    p99_ms, _ = around_swap(sent, np.array([0.001, 0.2, 0.9]), [a_list("1", 1.0), a_list("2", 3.1)], announced=3.0)
    assert 190 < p99_ms <= 200


def test_a_swap_that_never_came_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no list"):
        around_swap([("a", 0, 0, 3.0)], np.array([0.001]), [a_list("1", 1.0)], announced=3.0)


def test_swaps_go_to_and_fro_between_the_two_versions(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.create()
    first, second = (registry.publish(toy_bundle(tmp_path / str(seed), seed=seed).path) for seed in range(2))
    registry.promote(first)
    assert other_version(registry) == second
    promote_other(registry)
    assert (registry.live(), other_version(registry)) == (second, first)
