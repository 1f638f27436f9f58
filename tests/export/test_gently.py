"""Work that rests between its steps, in threads that were asked to."""

import threading
import time

import pytest

from export import gently as module
from export.gently import gently, rest


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept (s), on a clock that says each step took 10 ms."""
    found: list[float] = []
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(module.time, "thread_time", lambda: next(ticks) / 100)
    monkeypatch.setattr(module.time, "sleep", found.append)
    return found


def test_rest_is_twice_as_long_as_the_work_before_it(slept: list[float]) -> None:
    with gently():
        rest()
        rest()
    assert slept == pytest.approx([0.02, 0.02])


def test_who_was_not_asked_to_rest_goes_on(slept: list[float]) -> None:
    rest()
    with gently(asked=False):
        rest()
    with gently():
        pass
    rest()
    assert not slept


def test_another_thread_goes_on(slept: list[float]) -> None:
    with gently():
        other = threading.Thread(target=rest)
        other.start()
        other.join()
    assert not slept


def test_a_step_that_took_long_has_a_rest_with_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[float] = []
    times = iter([0.0, 9.0, 9.0])
    monkeypatch.setattr(module.time, "thread_time", lambda: next(times))
    monkeypatch.setattr(module.time, "sleep", found.append)
    with gently():
        rest()
    assert found == [module._LONGEST_S]


def test_little_work_is_worth_no_rest() -> None:
    with gently():
        began = time.perf_counter()
        for _ in range(1_000):
            rest()
        assert time.perf_counter() - began < 1.0
