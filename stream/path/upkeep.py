"""What keeps the lists up to date beside the clicks: a thread that looks, twice a second, at the policy's file and for
items newer than the models."""

import logging
import threading
from collections.abc import Callable, Sequence

__all__ = ["Upkeep"]

log = logging.getLogger(__name__)

_EVERY_S = 0.5


class Upkeep:
    """Calls its steps in turn. One that fails is logged, and called again the next time."""

    def __init__(self, steps: Sequence[Callable[[], None]]) -> None:
        self._steps = steps
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lists-upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, at once."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            for step in self._steps:
                try:
                    step()
                except Exception:
                    log.exception("the lists could not be brought up to date; it is tried again")
