"""When a cycle is due, and of which kind."""

from __future__ import annotations

from typing import Any

import pytest

from export.errors import ConfigError
from model.trainer.config import TrainerConfig, read_span
from model.trainer.kept.journal import State
from model.trainer.schedule import due

NOW = 10_000_000_000


def config(**options: Any) -> TrainerConfig:
    return TrainerConfig(registry="r", store="s", work="w", **options)


def ask(config: TrainerConfig, state: State, **facts: Any) -> str | None:
    facts = {"total": 1000, "now_ms": NOW, "failures": 0, "has_parent": True, "stored": True, **facts}
    found = due(config, state, **facts)
    return found and found[0]


def after(minutes: float, *, full_minutes: float | None = None, last_total: int = 500) -> State:
    full = minutes if full_minutes is None else full_minutes
    last, last_full = NOW - round(minutes * 60_000), NOW - round(full * 60_000)
    return State(number=1, last_total=last_total, last_ms=last, last_full_ms=last_full)


def test_first_training_is_due_as_soon_as_there_is_enough() -> None:
    assert ask(config(), State()) == "full"
    assert ask(config(), State(), stored=False) is None


def test_full_training_is_due_after_its_time_if_anything_is_new() -> None:
    assert ask(config(every_s=3600), after(59)) is None
    assert ask(config(every_s=3600), after(61)) == "full"
    assert ask(config(every_s=3600), after(61, last_total=1000)) is None, "nothing is new"


def test_full_training_is_due_after_so_many_clicks() -> None:
    assert ask(config(after_clicks=501), after(1)) is None
    assert ask(config(after_clicks=500), after(1)) == "full"


def test_fresh_training_is_due_in_between_where_there_are_weights_to_go_on_from() -> None:
    fresh = config(every_s=3600, fresh_every_s=600)
    assert ask(fresh, after(9)) is None
    assert ask(fresh, after(11)) == "fresh"
    assert ask(fresh, after(11), has_parent=False) is None
    assert ask(fresh, after(11, full_minutes=61)) == "full"


def test_training_that_is_asked_for_is_due_at_once_after_failures_too() -> None:
    fresh = config(every_s=3600, fresh_every_s=600)
    assert ask(fresh, after(1), asked=True) == "fresh"
    assert ask(fresh, after(1), asked=True, has_parent=False) == "full"
    assert ask(fresh, after(1, last_total=1000), asked=True) == "full", "there is nothing fresh to learn"
    assert ask(config(), after(1), asked=True, failures=3) == "full"
    assert ask(config(), State(), asked=True, stored=False) is None, "there is nothing to learn from"


def test_failure_is_tried_again_later_and_later() -> None:
    waits = [0.4, 0.6, 1.1, 59.0, 61.0]
    tried = {failures: [ask(config(every_s=1), after(m), failures=failures) for m in waits] for failures in (1, 2, 20)}
    assert tried[1] == [None, "full", "full", "full", "full"]
    assert tried[2] == [None, None, "full", "full", "full"]
    assert tried[20] == [None, None, None, None, "full"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("6h", 21_600), ("14d", 1_209_600), ("1.5h", 5400)]
)
def test_span_of_time_is_read(text: str, seconds: float) -> None:
    assert read_span(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-1h", "0s", "nand", "1e99d", "10 min", "infd"])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        read_span(text)


@pytest.mark.parametrize(
    "bad",
    [
        {"window_s": 0},
        {"every_s": -1},
        {"after_clicks": 0},
        {"fresh_every_s": 0},
        {"window_mb": 0},
        {"nice": 20},
        {"variant": "a b"},
        {"max_seconds": 0},
        {"gap_minutes": float("nan")},
    ],
)
def test_settings_that_can_not_be_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        config(**bad)


def test_work_must_be_local() -> None:
    with pytest.raises(ConfigError, match="local directory"):
        TrainerConfig(registry="r", store="s3://x", work="s3://y")
