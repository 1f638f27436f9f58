"""Threads of the worker's that die of an error nobody handled."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from stream.ops.threads import end_with_threads


@pytest.fixture
def heard() -> Iterator[list[BaseException]]:
    errors: list[BaseException] = []
    restore = end_with_threads(errors.append)
    yield errors
    restore()


def run(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work, name="lookout")
    thread.start()
    thread.join()


def test_thread_that_dies_is_heard_of_with_its_name(heard: list[BaseException]) -> None:
    run(lambda: 1 / 0)
    assert isinstance(heard[0], ZeroDivisionError)
    assert heard[0].__notes__ == ["in the thread lookout"]


def test_thread_that_ends_is_not_heard_of(heard: list[BaseException]) -> None:
    run(lambda: None)
    run(lambda: sys.exit(3))
    assert heard == []


def test_threads_are_nobodys_business_once_restored() -> None:
    before = threading.excepthook
    end_with_threads(lambda _: None)()
    assert threading.excepthook is before
