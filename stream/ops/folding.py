"""Lines of the log that come again and again: a few are written, the others counted, and it is said how many.

One line of code may write 20 lines in 10 s. What it writes beyond that is left out; when the 10 s are over, the next
line that anybody writes is followed by one that says how many were left out, and whose. A broker that is away, a socket
that can't be had or a bad message a millisecond fill no disk and slow nothing down.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FoldRepeats", "fold_repeats"]

_LINES = 20  # of one place in the code, in one window
_WINDOW_S = 10.0

_Place = tuple[str, str, int]  # logger, file, line


@dataclass(slots=True)
class _Window:
    begun: float
    lines: int = 0
    left_out: int = 0


class FoldRepeats(logging.Filter):
    """The filter of a handler; `on_left_out` is called for each line left out."""

    def __init__(self, on_left_out: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._on_left_out, self._clock = on_left_out, clock
        self._windows: dict[_Place, _Window] = {}
        self._lock = threading.Lock()
        self._own = logging.getLogger(__name__)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.name == __name__:
            return True
        now, place = self._clock(), (record.name, record.pathname, record.lineno)
        with self._lock:
            over = self._close(now)
            window = self._windows.setdefault(place, _Window(now))
            window.lines += 1
            written = window.lines <= _LINES
            window.left_out += not written
        for (name, _, line), left_out in over:
            self._own.warning("%d more lines like the last of %s (line %d) were left out", left_out, name, line)
        if not written:
            self._on_left_out()
        return written

    def _close(self, now: float) -> list[tuple[_Place, int]]:
        """End the windows that are over; those in which lines were left out, with their number."""
        ended = {place: one for place, one in self._windows.items() if now - one.begun >= _WINDOW_S}
        for place in ended:
            del self._windows[place]
        return [(place, one.left_out) for place, one in ended.items() if one.left_out]


def fold_repeats(on_left_out: Callable[[], None]) -> Callable[[], None]:
    """Fold what every handler of the root logger writes from now on; the function returned ends that."""
    folding = FoldRepeats(on_left_out)
    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(folding)

    def end() -> None:
        for handler in handlers:
            handler.removeFilter(folding)

    return end
