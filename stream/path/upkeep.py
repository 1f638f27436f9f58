"""What keeps the lists up to date beside the clicks: a thread that looks, twice a second, at the policy's file and for
items newer than the models."""

import logging
import threading
from collections.abc import Callable, Sequence

from stream.ops.problems import Problems

__all__ = ["Upkeep"]

log = logging.getLogger(__name__)

_EVERY_S = 0.5


class Upkeep:
    """Calls its steps in turn. One that fails is logged and said, and called again the next time."""

    def __init__(self, steps: Sequence[Callable[[], None]], problems: Problems) -> None:
        self._steps, self._problems = steps, problems
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
            self.look()

    def look(self) -> None:
        """Call each step once."""
        failed = ""
        for step in self._steps:
            try:
                step()
            except Exception as error:
                log.exception("the lists could not be brought up to date; it is tried again")
                failed = failed or f"{type(error).__name__}: {error}"[:200]
        if failed:
            self._problems.raise_(
                "lists_upkeep",
                f"the lists can't be brought up to date, and stay as they were: {failed}",
                "the log has the traceback; it is tried again twice a second",
                logged=True,
            )
        else:
            self._problems.clear("lists_upkeep")
