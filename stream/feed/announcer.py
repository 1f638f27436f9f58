"""What a trainer does with a version it has published: makes it live, tells the workers, and keeps what is shown."""

from collections.abc import Mapping

from export.registry.registry import Registry
from export.registry.retention import prune
from stream.experiments.lifecycle import Announced
from stream.models.promotion import make_live
from stream.topic_names import Topics

__all__ = ["Announcer"]


class Announcer:
    """For one cluster and registry."""

    def __init__(
        self, bootstrap_servers: str, registry: Registry, topics: Topics, extra: Mapping[str, str] | None = None
    ) -> None:
        self._servers, self._registry, self._topics, self._extra = bootstrap_servers, registry, topics, extra

    def make_live(self, version: str, variant: str) -> None:
        """Promote and announce a version; again, it is announced again, which changes nothing for who serves it."""
        make_live(
            self._registry,
            lambda one: one.promote(version, variant),
            variant=variant,
            bootstrap_servers=self._servers,
            topics=self._topics,
            extra=self._extra,
        )

    def prune(self, keep: int) -> list[str]:
        """Remove old versions, but none that a running experiment shows."""
        running = Announced(self._servers, self._topics, self._extra).read().values()
        shown = {variant.version for one in running if one.state == "running" for variant in one.variants}
        return prune(self._registry, keep=keep, also=shown)
