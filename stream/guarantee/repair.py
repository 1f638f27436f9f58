"""What follows a batch that was not confirmed: one repair at a time, until the worker ends."""

import asyncio
import logging
from collections.abc import Callable

from stream.errors import PublishFailed
from stream.guarantee.guarantee import Guarantee
from stream.partition.owned import OwnedPartition

__all__ = ["Repairs"]

log = logging.getLogger(__name__)


class Repairs:
    """Lives on the event loop. `crash` ends the worker; `has_ended` says that it is ending."""

    def __init__(
        self, guarantee: Guarantee, *, crash: Callable[[BaseException], None], has_ended: Callable[[], bool]
    ) -> None:
        self._guarantee, self._crash, self._has_ended = guarantee, crash, has_ended
        self._task: asyncio.Task[None] | None = None
        self.last = ""  # why the last one was needed

    def unconfirmed(self, partition: OwnedPartition, error: PublishFailed) -> None:
        """Its clicks are read again; where another owner may have taken its place, after all is taken over anew."""
        log.warning("%s; the worker %s again", error, self._guarantee.again)
        if self._has_ended():  # by the next owner
            return
        self.last = str(error)
        self._guarantee.failed(error)
        if self._task is None or self._task.done():  # never two at once: the later seek would go back
            self._task = asyncio.create_task(self._guarantee.repair())
            self._task.add_done_callback(self._repaired)

    def stop(self) -> None:
        """Nothing is read again or taken over any more."""
        if self._task is not None:
            self._task.cancel()

    def _repaired(self, repair: "asyncio.Task[None]") -> None:
        error = None if repair.cancelled() else repair.exception()
        if error is not None:
            self._crash(error)
