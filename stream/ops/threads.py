"""A thread of the worker's that dies takes the worker along: without it something would silently be left undone."""

import threading
from collections.abc import Callable

__all__ = ["end_with_threads"]


def end_with_threads(crash: Callable[[BaseException], None]) -> Callable[[], None]:
    """From now on `crash` hears, in the dying thread, of every error that no thread of this process has handled; until
    the function returned is called."""
    before = threading.excepthook

    def hear(died: threading.ExceptHookArgs) -> None:
        if died.exc_value is None or isinstance(died.exc_value, SystemExit):
            return
        died.exc_value.add_note(f"in the thread {died.thread.name if died.thread else 'of nobody'}")
        crash(died.exc_value)

    threading.excepthook = hear

    def restore() -> None:
        threading.excepthook = before

    return restore
