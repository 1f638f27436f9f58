"""Ctrl-C and SIGTERM while a training runs: it ends between two steps, where its state is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["EndSignal", "noting_end_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class EndSignal:
    """The signal that came, if one did."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None

    @property
    def exit_code(self) -> int:
        """What a shell says of a process that a signal ended."""
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def noting_end_signals() -> Iterator[EndSignal]:
    """Note the first of them that comes while the block lasts; a second one does what it did before the block.

    Outside of the main thread, where Python hears no signals, nothing changes.
    """
    noted = EndSignal()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def note(number: int, _frame: FrameType | None) -> None:
        noted.number = number
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        restore()
