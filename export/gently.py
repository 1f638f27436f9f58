"""Long work beside others that must not wait for it: it rests between its steps, where its thread was asked to.

A model of millions of items takes most of a second of one core to load. On few cores that is taken from who answers
clicks, and a queue is there at once; at a third of a core it takes three times as long, and hardly anybody waits.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["gently", "pause", "rest"]

_TIMES = 2.0  # rests so many times as long as it worked
_LEAST_S = 0.001  # of work; less is not worth a rest
_PAUSE_S = 0.0002  # long enough for a waiting thread to go on
_LONGEST_S = 0.05  # a step that can't be cut in two is not made good for by doing nothing


class _Pace(threading.local):
    worked_s: float | None = None  # CPU time of the thread at its last rest; None: it does not rest


_pace = _Pace()


@contextmanager
def gently(asked: bool = True) -> Iterator[None]:
    """Have this thread rest wherever `rest` is called in the block, if it is asked to."""
    before, _pace.worked_s = _pace.worked_s, time.thread_time() if asked else None
    try:
        yield
    finally:
        _pace.worked_s = before


def pause() -> None:
    """Let a thread go on that waits for the interpreter; in any thread, between steps of about a millisecond."""
    time.sleep(_PAUSE_S)


def rest() -> None:
    """A step is done: sleep in proportion to the work since the last rest, in a thread that goes gently."""
    if _pace.worked_s is None:
        return
    worked = time.thread_time() - _pace.worked_s
    if worked >= _LEAST_S:
        time.sleep(min(_TIMES * worked, _LONGEST_S))
        _pace.worked_s = time.thread_time()
