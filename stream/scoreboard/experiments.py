"""The experiments as they are announced, followed by a scoreboard."""

import logging
import time
from collections.abc import Mapping

from export.experiments.experiment import Experiment
from stream.messages.announcements import AnnouncementReader
from stream.topic_names import Topics

__all__ = ["FollowedExperiments"]

log = logging.getLogger(__name__)

_WAIT_S = 0.05


class FollowedExperiments:
    """For one thread. `known`: by name, those that were stopped too; not those whose records were removed."""

    def __init__(self, bootstrap_servers: str, topics: Topics, extra: Mapping[str, str] | None = None) -> None:
        self._reader = AnnouncementReader(bootstrap_servers, topics.models, extra)
        self.known: dict[str, Experiment] = {}

    @property
    def missing(self) -> bool:
        """Whether there is no such topic."""
        return self._reader.missing

    @property
    def unreadable(self) -> int:
        """Messages that were no announcements."""
        return self._reader.errors

    @property
    def caught_up(self) -> bool:
        """Whether all that is announced was heard."""
        return self._reader.caught_up

    def follow(self, for_s: float) -> None:
        """Hear what is new, for about so long."""
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            found = self._reader.read(_WAIT_S)
            if isinstance(found, Experiment):
                self._hear(found)

    def close(self) -> None:
        """Leave the broker."""
        self._reader.close()

    def _hear(self, found: Experiment) -> None:
        if found.variants:
            self.known[found.experiment] = found
        elif self.known.pop(found.experiment, None) is not None:
            log.warning("experiment %s: %s; its figures stay", found.experiment, found.reason)
