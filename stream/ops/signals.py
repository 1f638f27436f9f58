"""The signals that ask a process to end."""

import signal
import threading

__all__ = ["StopSignal"]


class StopSignal:
    """Set once by SIGTERM or SIGINT, from the first moment of the process on."""

    def __init__(self) -> None:
        self.event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: object) -> None:
        self.event.set()
