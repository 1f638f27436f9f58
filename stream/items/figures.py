"""What is told of the items that a process holds: in /health, and as metrics."""

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["ItemsHealth", "ItemsMetrics"]


class ItemsHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What /health says of the items."""

    items: int = 0  # of which something is in force
    unavailable: int = 0  # of these, those that may not be shown
    gone: int = 0  # that went, and stay unavailable
    refused: int = 0  # messages, since the start
    lag: int = 0  # messages of the topic that were not read yet
    age_s: float | None = None  # since the newest message that was read was sent; None: none, or its time is none
    topic: bool = False  # whether there is such a topic
    restored: bool = False  # whether all that was on the topic at the start was read


class ItemsMetrics:
    """The same as figures of a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._items = Gauge("nextclick_items", "Items of which something is in force.", registry=registry)
        self._unavailable = Gauge("nextclick_items_unavailable", "Of these, those not available.", registry=registry)
        self._gone = Gauge("nextclick_items_gone", "Items that went, and stay unavailable.", registry=registry)
        self._lag = Gauge("nextclick_items_lag", "Messages of the items topic not read yet.", registry=registry)
        self._age = Gauge("nextclick_items_age_seconds", "Since the newest item message was sent.", registry=registry)
        self._topic = Gauge("nextclick_items_topic", "1 where there is an items topic.", registry=registry)
        self._restored = Gauge("nextclick_items_restored", "1 once the topic was read to its end.", registry=registry)
        self._refused = Counter("nextclick_items_refused", "Item messages refused.", ("reason",), registry=registry)

    def refuse(self, reason: str) -> None:
        """Count a message; reasons are those of stream.messages.items.MESSAGE_REASONS."""
        self._refused.labels(reason).inc()

    def show(self, now: ItemsHealth) -> None:
        """Set all other figures."""
        self._items.set(now.items)
        self._unavailable.set(now.unavailable)
        self._gone.set(now.gone)
        self._lag.set(now.lag)
        self._age.set(0.0 if now.age_s is None else now.age_s)
        self._topic.set(now.topic)
        self._restored.set(now.restored)
