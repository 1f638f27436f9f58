"""Commands run in this process."""

import signal
from collections.abc import Iterator
from functools import cache

import pytest
import typer.main


@pytest.fixture(scope="session", autouse=True)
def _one_command_line() -> Iterator[None]:
    """Typer's runner makes all commands anew for each call, some 30 ms: here once, as in a process of its own."""
    patch = pytest.MonkeyPatch()
    patch.setattr("typer.testing._get_command", cache(typer.main.get_command))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A command that serves takes the signals to end for itself, for as long as its process lasts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
