"""Similar items kept up to date: with each model that goes live, with the policy's file, and with what the shop says
about its items.

What may not be shown any more leaves the lists that hold it with the next look, within a second or two. All else waits
for the next turn, in which the lists of all items are made anew: with another model or policy at once, with other items
after `refresh_s`, and never more than half of the time. What is wrong is raised among the problems:

    no_model           no version is live for the variant
    model_refused      a model has no vectors, or can't be used: the lists of the one before stay
    registry           the registry can't be asked
    not_published      brokers or Redis did not take lists: they are tried again
    lists_file         the policy's file can't be used: what was in force stays
    policy_attributes  the policy asks for what no item has
"""

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
from confluent_kafka import KafkaException
from numpy.typing import NDArray

from export.bundle.bundle import load_bundle
from export.errors import BundleError, ConfigError, NextclickError
from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.policy.config import ListsConfig
from export.policy.one_list import OneList
from export.policy.similar import SimilarLists, of_sessions
from export.policy.unknown import say_attributes, say_unknown
from export.ranking.similar import Similar
from export.registry.away import remedy_for, require_filled
from export.registry.registry import Registry
from stream.items.figures import ItemsHealth
from stream.ops.problems import Problems
from stream.ops.web import WebServer
from stream.path.lists_file import ListsFile
from stream.similar.figures import SimilarHealth, SimilarMetrics
from stream.similar.publisher import Published, SimilarPublisher

__all__ = ["SimilarService"]

_LOOK_S = 1.0  # between two looks at the registry, the policy's file and the items
_BACKOFF_S = (2.0, 60.0)  # first and longest pause after something failed
_AGE_S = 60.0  # after which filters by age are looked at again
_MOST_AHEAD = 0.5  # share of all lists: where more of them hold what may not be shown, all are made anew at once

_PART = 1 << 26  # comparisons of a part of a turn: about a second

log = logging.getLogger(__name__)


class SimilarService:
    """One service. `run` belongs to one thread; `health` to any."""

    def __init__(
        self,
        publisher: SimilarPublisher,
        registry: Registry,
        variant: str,
        table: ItemTable,
        by: OneList = OneList(),
        *,
        refresh_s: float = 10.0,
        metrics: SimilarMetrics | None = None,
        problems: Problems | None = None,
        items: Callable[[], ItemsHealth] = ItemsHealth,
    ) -> None:
        """refresh_s: between two turns for what changed of items. ConfigError where it or the policy can't be used."""
        if refresh_s < 0:
            raise ConfigError(f"--refresh-s must be 0 seconds or more, not {refresh_s:g}")
        self._publisher, self._registry, self._variant, self._table = publisher, registry, variant, table
        self._refresh_s, self._items = refresh_s, items
        self.metrics = metrics or SimilarMetrics()
        self._problems = problems or Problems(self.metrics.problem)
        self._by, self._config = by, by.read()
        self._file = ListsFile(by.file, by.k, self._config, self._use, self._problems, lambda _path, _k: by.read())
        self._similar: Similar | None = None
        self._view: CatalogueView | None = None
        self._refused = ""  # the version that can't be used
        self._made: SimilarLists | None = None  # the lists that are published; None: a turn is due
        self._of: tuple[int, int] | None = None  # what the items said in the newest turn
        self._stood_of: tuple[int, int] | None = None  # and when it was looked last what may not be shown any more
        self._newest: Published | None = None
        self._turn_at = self._stood_at = 0.0  # of the monotonic clock: when the newest turn was done, and began
        self._late_since: float | None = None
        self._stop = threading.Event()
        self._failures = 0
        self._lists = self._gone = self._turns = 0
        self.metrics.ask(self._age_s, self._late_s)

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. What fails is said and tried again."""
        self._stop = stop
        self._say_policy()
        pause = _BACKOFF_S[0]
        while not stop.is_set():
            try:
                self.look()
                wait, pause = _LOOK_S, _BACKOFF_S[0]
            except Exception as error:  # none may end what keeps lists current
                if not isinstance(error, NextclickError | OSError | KafkaException):
                    log.error("making lists failed", exc_info=error)
                self._failures += 1
                self.metrics.failures.inc()
                self._problems.raise_(
                    "not_published",
                    f"similar items could not be published: {error}",
                    "it is tried again; see to the brokers and to Redis",
                    unready=True,
                )
                wait, pause = pause, min(2 * pause, _BACKOFF_S[1])
            stop.wait(wait)

    def web(self, host: str, port: int) -> WebServer:
        """A server of /health and /metrics; it does not listen yet."""
        return WebServer(host, port, self.health, self.metrics)

    def health(self) -> SimilarHealth:
        """What /health says."""
        lasting, similar = self._problems.lasting(), self._similar
        return SimilarHealth(
            ready=self._newest is not None and not any(problem.unready for problem in lasting),
            model=None if self._newest is None or similar is None else self._newest.model,
            placement=self._config.placements[0].name,
            turns=self._turns,
            lists=self._lists,
            gone=self._gone,
            newest=self._newest,
            age_s=self._age_s(),
            late_s=self._late_s(),
            failures=self._failures,
            items=self._items(),
            reasons=[str(problem) for problem in lasting],
        )

    def look(self) -> None:
        """Take up what changed, and publish what is due. Errors of `SimilarPublisher.publish`."""
        self._file.look()
        self._look_at_model()
        if self._similar is None or self._view is None:
            return
        self._look_at_attributes()
        if self._made is None:
            self._note_late()
            return self._turn(self._similar, self._view)
        changed = self._of != (self._table.revision, self._table.generation)
        if changed:
            self._note_late()
            self._take_off(self._similar, self._view, self._made)
        rule, now = self._config.placements[0].policy.filter, time.monotonic()
        ages = rule is not None and rule.newer_than_days is not None and now - self._stood_at > _AGE_S
        took = 0.0 if self._newest is None else self._newest.seconds
        if (changed or ages) and (self._made is None or now - self._turn_at >= max(self._refresh_s, took)):
            self._turn(self._similar, self._view)

    def _use(self, config: ListsConfig) -> None:
        self._config, self._made = config, None
        self._say_policy()

    def _say_policy(self) -> None:
        left_out = of_sessions(self._config.placements[0].policy) if self._by.file is not None else []
        if left_out:
            log.warning("what the policy says of sessions is nothing for similar items: %s", ", ".join(left_out))
        self._say_unknown()

    def _say_unknown(self) -> None:
        if self._similar is not None:
            for line in say_unknown(self._config, self._similar.vocabulary, self._similar.version, self._table):
                log.warning("%s", line)

    def _look_at_model(self) -> None:
        try:
            live = self._registry.live(self._variant)
            if live is None and self._similar is not None:
                require_filled(self._registry, self._similar.version)
            self._tell("registry", "", "")
            if live is None:
                remedy = "promote one by `nextclick models promote`"
                what = f"no model is live for the variant {self._variant}"
                return self._tell("no_model", what, remedy, unready=self._similar is None)
            self._tell("no_model", "", "")
            if live == self._refused or (self._similar is not None and self._similar.version == live):
                return None
            self._similar = Similar(load_bundle(self._registry.fetch(live)))
        except (BundleError, ConfigError) as error:
            self._refused = live or ""
            return self._tell("model_refused", f"similar items stay as they were: {error}", "promote another version")
        except (NextclickError, OSError) as error:
            stays = "" if self._similar is None else f", lists stay those of model {self._similar.version}"
            return self._tell("registry", f"the registry can't be asked{stays}: {error}", remedy_for(error))
        self._view, self._made = CatalogueView(self._table, self._similar.vocabulary), None
        self._refused = ""
        self._tell("model_refused", "", "")
        return self._say_unknown()

    def _look_at_attributes(self) -> None:
        what = say_attributes(self._config, self._table)
        self._tell("policy_attributes", what, "spell them as the items do (nextclick items show ID)")

    def _take_off(self, similar: Similar, view: CatalogueView, made: SimilarLists) -> None:
        """Make those lists anew, and publish them, that hold what may not be shown any more."""
        view.refresh()
        if view.as_of == self._stood_of:  # it may have refreshed by itself while lists were made
            return
        self._stood_of, now = view.as_of, self._lists_now(similar, view)
        off = made.rule.standing.allowed & ~now.rule.standing.allowed
        holders = made.holding(off)
        if len(holders) > _MOST_AHEAD * len(off) or now.pins != made.pins or not self._publisher.knows:
            self._made = None
            return
        now.listed, self._made = made.listed, None  # until all is confirmed
        if len(holders):
            done = self._publisher.publish(now, holders)
            self._count(done, all_items=False)
            log.info("%d items may not be shown any more: %d lists sent, in %.1f s", off.sum(), done.sent, done.seconds)
        self._made = now

    def _turn(self, similar: Similar, view: CatalogueView) -> None:
        """Make the lists of all items, and publish those that changed; in parts, so that what is switched off meanwhile
        need not wait for the end."""
        view.refresh()
        begun, of, lists = time.monotonic(), view.as_of, self._lists_now(similar, view)
        self._stood_of = of
        parts: list[NDArray[np.int32] | None] = [None]
        if self._made is not None and self._publisher.knows:
            lists.listed, parts = self._made.listed, _parts(len(similar.vocabulary))
        done: Published | None = None
        for part in parts:
            if done is not None:
                self._take_off(similar, view, lists)
                if self._made is None or self._stop.is_set():  # a turn of everything is due, or none any more
                    return
                lists = self._made
            self._made = None  # until all is confirmed
            one = self._publisher.publish(lists, part)
            done, self._made = one if done is None else done.plus(one), lists
        assert done is not None, "there is a part"
        self._of, self._stood_at, self._turn_at = of, begun, time.monotonic()
        self._newest, self._late_since = done, None
        self._count(done, all_items=True)
        self._tell("not_published", "", "")
        log.info(
            "similar items of model %s: %d sent, %d gone, in %.1f s", done.model, done.sent, done.gone, done.seconds
        )

    def _lists_now(self, similar: Similar, view: CatalogueView) -> SimilarLists:
        return SimilarLists(similar, self._config.placements[0], view, time.time_ns() // 1_000_000)

    def _count(self, done: Published, *, all_items: bool) -> None:
        self._lists, self._gone, self._turns = self._lists + done.sent, self._gone + done.gone, self._turns + all_items
        self.metrics.count(done, all_items=all_items)

    def _note_late(self) -> None:
        if self._late_since is None:
            self._late_since = time.monotonic()

    def _age_s(self) -> float | None:
        return None if self._newest is None else time.monotonic() - self._turn_at

    def _late_s(self) -> float:
        since = self._late_since
        return 0.0 if since is None else time.monotonic() - since

    def _tell(self, key: str, what: str, remedy: str, *, unready: bool = False) -> None:
        if what:
            self._problems.raise_(key, what, remedy, unready=unready)
        else:
            self._problems.clear(key)


def _parts(items: int) -> list[NDArray[np.int32] | None]:
    """Return all catalogue ids, 1 to `items`, in parts; None: all of them in one."""
    most = max(1, _PART // (items + 1))
    if most >= items:
        return [None]
    return [np.arange(start, min(start + most, items + 1), dtype=np.int32) for start in range(1, items + 1, most)]
