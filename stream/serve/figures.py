"""What is told of the read API: in /health, and as metrics."""

from collections.abc import Callable

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["ServeHealth", "ServeMetrics"]

_NAME = "nextclick_serve_{}".format
_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class ServeHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What /health says: 503 until the lists of the window at the start are read, and while there is no topic."""

    ready: bool
    source: str  # topic, or redis
    lists: int  # that are kept
    lists_mb: float
    similar: int  # items whose similar ones are kept
    lag: dict[str, int]  # messages that were not read yet, by topic
    waiting: int  # requests that wait for updates
    keys: int  # API keys; 0: none is asked for
    fallback: str | None  # the version whose popular items those get who have no list; None: they get 404
    evicted: int  # lists that went for want of memory, since the start
    reasons: list[str]  # what is wrong, with the remedy


class ServeMetrics:
    """Of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._refresh: Callable[[], None] = lambda: None
        ProcessCollector(registry=self.registry)
        self.requests = Counter(_NAME("requests"), "Requests answered.", ("route", "status"), registry=self.registry)
        self.seconds = Histogram(
            _NAME("request_seconds"),
            "From a request's headers to its answer; of clicks, with the broker's; without those that wait.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refused = Counter(
            _NAME("refused"), "Requests refused: by key, right, or as too many wait.", ("why",), registry=self.registry
        )
        for why in ("key", "right", "full"):
            self.refused.labels(why)
        self.fallbacks = Counter(
            _NAME("fallbacks"),
            "Requests answered with popular items: the session has no list here, or Redis is away.",
            ("why",),
            registry=self.registry,
        )
        for why in ("no_list", "redis_away"):
            self.fallbacks.labels(why)
        self.clicks = Counter(_NAME("clicks"), "Clicks that the broker has.", registry=self.registry)
        self.bad_clicks = Counter(
            _NAME("bad_clicks"), "Clicks refused, by the contract's reason.", ("reason",), registry=self.registry
        )
        self.unconfirmed = Counter(
            _NAME("unconfirmed"), "Clicks that the broker did not confirm in time.", registry=self.registry
        )
        self.read = self._gauge("read_messages", "Messages read since the start.", "topic")
        self.bad = self._gauge("bad_messages", "Messages read that are none of their topic.", "topic")
        self.lag = self._gauge("lag_messages", "Messages not read yet.", "topic")
        self.lists = self._gauge("lists", "Lists that are kept.")
        self.bytes = self._gauge("bytes", "What the lists take, about.", "kind")
        self.gone = self._gauge("gone_lists", "Lists that went, since the start: evicted, expired, erased.", "why")
        self.outdated = self._gauge("outdated_lists", "Lists left out as a newer one was there, since the start.")
        self.waiting = self._gauge("waiting", "Requests that wait for updates.")
        self.ready = self._gauge("ready", "1 while lists are served as of now.")
        self.problem = self._gauge("problem", "1 while something is wrong, by what it is.", "key")

    def ask(self, refresh: Callable[[], None]) -> None:
        """Have what is no count of requests brought up to date whenever it is shown."""
        self._refresh = refresh

    def render(self) -> bytes:
        """The figures as text, as of now."""
        self._refresh()
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(_NAME(name), text, labels, registry=self.registry)
