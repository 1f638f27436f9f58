"""What is told of similar items that are kept up to date: in /health, and as metrics."""

from collections.abc import Callable

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from stream.items.figures import ItemsHealth, ItemsMetrics
from stream.similar.publisher import Published

__all__ = ["SimilarHealth", "SimilarMetrics"]

_NAME = "nextclick_similar_{}".format


class SimilarHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What /health says: 503 until lists are published, and while they can't be."""

    ready: bool
    model: str | None  # whose lists are published
    placement: str  # of the policy that the lists are made by; empty: the one that has no name
    turns: int  # since the start, in which the lists of all items were made
    lists: int  # sent since the start
    gone: int  # items that a model no longer knew, since the start
    newest: Published | None  # the newest turn
    age_s: float | None  # since it was done
    late_s: float  # since the oldest change that is not published yet was seen; 0: there is none
    failures: int  # turns that failed, since the start
    items: ItemsHealth
    reasons: list[str]  # what is wrong, with the remedy


class SimilarMetrics:
    """Of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.items_topic = ItemsMetrics(self.registry)
        self.turns = self._counter("turns", "Turns in which the lists of all items were made and published.")
        self.lists = self._counter("lists", "Lists published: new ones, and others than before.")
        self.gone = self._counter("gone", "Items that a model no longer knew, and whose lists went.")
        self.failures = self._counter("failures", "Turns that failed; they are tried again.")
        self.items = self._gauge("items", "Items of the model, each with a list.")
        self.short = self._gauge("short", "Of these, lists of fewer than K items: nothing else may be shown.")
        self.hidden = self._gauge("hidden", "Items of the model that may not be shown.")
        self.seconds = self._gauge("turn_seconds", "What the newest turn took.")
        self._age = self._gauge("age_seconds", "Since the newest turn was done; NaN before the first.")
        self._late = self._gauge("late_seconds", "Since the oldest change that is not published yet was seen.")
        self.problem = Gauge(
            _NAME("problem"), "1 while something is wrong, by what it is.", ("key",), registry=self.registry
        )

    def ask(self, age_s: Callable[[], float | None], late_s: Callable[[], float]) -> None:
        """Have ages, as in `SimilarHealth`, asked for whenever they are shown."""
        self._age.set_function(lambda: float("nan") if (age := age_s()) is None else age)
        self._late.set_function(late_s)

    def count(self, done: Published, *, all_items: bool) -> None:
        """Take what was published, of all items or of some."""
        self.lists.inc(done.sent)
        self.gone.inc(done.gone)
        self.hidden.set(done.hidden)
        if all_items:
            self.turns.inc()
            self.items.set(done.items)
            self.short.set(done.short)
            self.seconds.set(done.seconds)

    def render(self) -> bytes:
        """The figures as text."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(_NAME(name), text, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(_NAME(name), text, registry=self.registry)
