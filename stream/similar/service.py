"""Similar items kept up to date: with each model that goes live, and with what the shop says about its items."""

import logging
import threading
import time
from collections.abc import Callable

from export.bundle.bundle import load_bundle
from export.errors import BundleError, ConfigError, NextclickError
from export.items.table import ItemTable
from export.ranking.similar import Similar
from export.registry.registry import Registry
from stream.similar.publisher import Published, SimilarPublisher

__all__ = ["follow"]

_LOOK_S = 2.0  # between two looks at the registry and the items
_BACKOFF_S = (2.0, 60.0)  # first and longest pause after something failed

log = logging.getLogger(__name__)


def follow(
    publisher: SimilarPublisher,
    registry: Registry,
    variant: str,
    table: ItemTable,
    stopped: threading.Event,
    *,
    refresh_s: float = 30.0,
    on_published: Callable[[Published], None] = lambda _: None,
) -> None:
    """Publish with each version that is live for a variant, and at most every `refresh_s` with what changed of items.

    Returns once `stopped` is set. What fails is said and tried again: the registry, a model without vectors (the one
    before stays published), the brokers, Redis.
    """
    similar: Similar | None = None
    revision, published_at, pause = -1, -refresh_s, _BACKOFF_S[0]
    refused = ""
    while not stopped.is_set():
        wait = _LOOK_S
        try:
            live = registry.live(variant)
            if live is not None and live != refused and (similar is None or similar.bundle.version != live):
                try:
                    similar, revision = Similar(load_bundle(registry.fetch(live))), -1
                    refused = ""
                except (BundleError, ConfigError) as error:
                    refused = live
                    log.error("similar items stay as they were: %s", error)
            due = revision == -1 or time.monotonic() - published_at >= refresh_s
            if similar is not None and table.revision != revision and due:
                before = table.revision
                done = publisher.publish(similar, table)
                revision, published_at = before, time.monotonic()
                log.info("similar items of model %s: %d sent, %d gone, in %.1f s", *_figures(done))
                on_published(done)
            pause = _BACKOFF_S[0]
        except (NextclickError, OSError) as error:
            log.error("similar items could not be published; trying again in %.0f s: %s", pause, error)
            wait, pause = pause, min(2 * pause, _BACKOFF_S[1])
        stopped.wait(wait)


def _figures(done: Published) -> tuple[str, int, int, float]:
    return done.model, done.sent, done.gone, done.seconds
