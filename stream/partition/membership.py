"""What the group says of this worker, asked of Faust: whether it belongs to it, and what is its share."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiokafka.errors import GroupAuthorizationFailedError, InvalidGroupIdError, InvalidSessionTimeoutError

from export.errors import ConfigError
from stream.errors import AccessRefused
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions

if TYPE_CHECKING:
    from stream.faust.app import LeanApp
    from stream.faust.consumer import LeanConsumer
    from stream.faust.tables import LeanRecovery

__all__ = ["Membership"]

_LEASE_SHARE = 0.9  # of the session time-out; without a heartbeat for so long nothing is published


class Membership:
    """Lives on the event loop. `has_ended` says that the worker is ending."""

    def __init__(
        self, app: "LeanApp", partitions: Partitions, *, session_timeout_s: float, has_ended: Callable[[], bool]
    ) -> None:
        self._app, self._partitions, self._has_ended = app, partitions, has_ended
        self._lease_s = _LEASE_SHARE * session_timeout_s

    @property
    def consumer(self) -> "LeanConsumer":
        consumer: LeanConsumer = self._app.consumer
        return consumer

    @property
    def recovery(self) -> "LeanRecovery":
        recovery: LeanRecovery = self._app.tables.recovery
        return recovery

    def check_admission(self) -> None:
        """ConfigError or AccessRefused where the group will never let this worker in; everything else passes."""
        consumer = self._app._consumer  # the property would make one
        error = None if consumer is None else consumer.refusal()
        if isinstance(error, InvalidSessionTimeoutError):
            raise ConfigError(
                "the broker refuses the broker session time-out: say --broker-session-timeout-s within the broker's "
                "group.min.session.timeout.ms and group.max.session.timeout.ms"
            )
        if isinstance(error, (GroupAuthorizationFailedError, InvalidGroupIdError)):
            raise AccessRefused(
                f"the broker does not let this worker into its group ({type(error).__name__}): allow READ on the "
                "group, or use another --group"
            )

    def joined(self) -> bool:
        """Whether the group has given us our share, which may be none, and its state is recovered."""
        return self.recovery.completed.is_set() and not self._app.rebalancing

    def recovered(self) -> list[OwnedPartition]:
        """The partitions that are ours with their state."""
        return self._partitions.reading() if self.joined() else []

    async def may_publish(self) -> bool:
        """Whether the group counts us as a member, as far as we know. Waits while it might not; False to give up."""
        consumer = self.consumer
        while not consumer.lease(self._lease_s):
            if consumer.closing or self._has_ended():
                return False
            await asyncio.sleep(0.05)
        return True
