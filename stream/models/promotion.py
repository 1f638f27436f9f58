"""Which version is live: changed in the registry and told to the workers, or with a clear word about what is left.

The registry is changed first, as workers fetch from it what they are told. So the broker is awaited before: a change
that could not be told is better not made, and a second try of a rollback would go back twice.
"""

from collections.abc import Callable, Mapping

from export.errors import NextclickError
from export.registry.registry import DEFAULT_VARIANT, Registry
from stream.kafka.clients import wait_for_broker
from stream.messages.announcements import announce, announcement_for
from stream.topic_names import Topics

__all__ = ["make_live"]

_BROKER_S = 10.0


def make_live(
    registry: Registry,
    change: Callable[[Registry], object],
    *,
    variant: str,
    bootstrap_servers: str | None,
    topics: Topics = Topics(),
    extra: Mapping[str, str] | None = None,
) -> str:
    """Apply `change` to the registry, announce what is live then, and return it. Without servers nobody is told.

    BrokerUnavailable or AccessRefused before anything is changed; errors of the registry; PublishFailed and the like
    where the announcement failed after the change, with what to do.
    """
    if bootstrap_servers is not None:
        wait_for_broker(bootstrap_servers, extra, timeout_s=_BROKER_S)
    change(registry)
    version = registry.live(variant)  # now, as another change may have come between: the last announcement counts
    assert version is not None, "a change makes some version live"
    if bootstrap_servers is not None:
        try:
            announce(bootstrap_servers, announcement_for(registry, version, variant), topic=topics.models, extra=extra)
        except NextclickError as error:
            options = f"--bootstrap-servers {bootstrap_servers}{topics.as_options()}"
            options += f" --variant {variant}" if variant != DEFAULT_VARIANT else ""
            raise type(error)(
                f"{error}. The registry has it live already: repeat this by "
                f"`nextclick models promote {version} {options}`"
            ) from error
    return version
