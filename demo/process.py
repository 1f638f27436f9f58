"""What the demo changes in its own process, and puts back: signal handlers, and how often threads take turns."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

__all__ = ["Stop", "signals", "switch_interval"]


@dataclass(slots=True)
class Stop:
    """Set by the first signal; `hurry` by the second."""

    event: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)


@contextmanager
def signals() -> Iterator[Stop]:
    """SIGINT and SIGTERM set the flags of Stop while the block lasts; in the main thread only, as Python has it."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        (stop.hurry if stop.event.is_set() else stop.event).set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def switch_interval(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
