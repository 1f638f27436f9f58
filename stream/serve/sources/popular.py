"""What sessions get that have no list: the most popular items of the live model, by the shop's policy, as of now.

They are made anew in a thread, whenever the model, the policy's file or the items change. As a message they are a
recommendation with `fallback` whose source is no click: offset -1, which updates take for "no list yet".

    fallback_missing   there is nothing to be served: sessions without a list get 404
    fallback_old       a model can't be used, or the registry can't be asked: popular items stay those of the one before
    lists_short        the policy leaves fewer items than the list is to have
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from export.bundle.bundle import load_bundle
from export.errors import BundleError, NextclickError, RegistryError, RegistryMissing
from export.policy.config import ListsConfig, read_lists
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.popularity import PopularityRanker
from export.registry.away import remedy_for, require_filled
from export.registry.registry import DEFAULT_VARIANT, Registry
from stream.items.follower import ItemsFollower
from stream.messages.contract import Recommendation, RecommendedItem, Source, encode, recommended
from stream.ops.problems import Problems
from stream.path.lists_file import ListsFile
from stream.serve.config import ServeConfig
from stream.topic_names import Topics

__all__ = ["NO_CLICK", "PopularLists"]

NO_CLICK = -1  # the source's offset of a list that answers no click
_LOOK_S = 1.0
_AGE_S = 60.0  # after which filters by age are looked at again
_ITEMS_S = 30.0  # for the items to be restored, before lists are made without them
_REMEDY = "promote a version that can be used by `nextclick models promote`"

log = logging.getLogger(__name__)


class _Popular(NamedTuple):
    items: list[RecommendedItem]
    model: str
    made_ms: int  # since the epoch


class PopularLists:
    """`answer` is for any thread. `model` is the version that was counted; None while there is none."""

    def __init__(
        self,
        config: ServeConfig,
        bootstrap_servers: str,
        topics: Topics,
        extra: Mapping[str, str] | None,
        problems: Problems,
    ) -> None:
        """ConfigError where the policy or the registry's address can't be used; nothing is asked yet."""
        assert config.fallback is not None, "it is told where models are"
        self._config, self._topic, self._problems = config, topics.clicks, problems
        self._registry = Registry(config.fallback)
        policy = ListsConfig.single(config.k) if config.policy is None else read_lists(config.policy, config.k)
        self._policy = policy
        self._file = ListsFile(config.policy, config.k, policy, self._use, problems)
        self._items = ItemsFollower(
            bootstrap_servers,
            topics.items,
            extra,
            max_items=config.max_items,
            options=topics.as_options(),
            problems=problems,
        )
        self._maker: ListMaker | None = None
        self._made_of: tuple[object, ...] = ()
        self._refused = ""  # the version that can't be used
        self._lists: dict[str, _Popular] = {}  # by placement
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="popular-lists", daemon=True)

    @property
    def model(self) -> str | None:
        """The version whose popular items are served."""
        return None if self._maker is None else self._maker.version

    def check(self) -> None:
        """RegistryMissing where there is no registry; one that does not answer now may do so later."""
        try:
            self._registry.versions()
        except RegistryMissing:
            raise
        except RegistryError as error:
            self._say_failed(error)

    def start(self) -> None:
        """Make lists from now on."""
        self._items.start()
        self._thread.start()

    def stop(self) -> None:
        """End the threads."""
        self._stopped.set()
        self._items.stop()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def placements(self) -> list[str]:
        """The names of those that there are lists of."""
        return list(self._lists)

    def answer(self, session_id: str, placement: str) -> bytes | None:
        """A recommendation of popular items; None where there are none for this placement."""
        found = self._lists.get(placement)
        if found is None:
            return None
        return encode(
            Recommendation(
                session_id=session_id,
                items=found.items,
                model=found.model,
                variant=DEFAULT_VARIANT,
                fallback=True,
                source=Source(self._topic, 0, NO_CLICK),
                event_ts=0,
                published_ts=found.made_ms,
                placement=placement,
            )
        )

    def _run(self) -> None:
        self._items.wait(_ITEMS_S)
        while not self._stopped.is_set():
            try:
                self.look()
            except Exception as error:  # none may end what keeps lists current
                log.error("popular items could not be listed", exc_info=error)
                self._say_failed(error)
            self._stopped.wait(_LOOK_S)

    def look(self) -> None:
        """Take up what changed."""
        self._file.look()
        try:
            self._look_at_model()
        except (NextclickError, OSError) as error:
            self._say_failed(error)
        if self._maker is not None:
            self._make(self._maker)

    def _use(self, policy: ListsConfig) -> None:
        self._policy = policy

    def _look_at_model(self) -> None:
        live = self._registry.live()
        if live is None and self.model is not None:
            require_filled(self._registry, self.model)
        if live is None:
            return self._say_failed("no model is live")
        if live == self._refused:
            return None
        if live != self.model:
            try:
                ranker = PopularityRanker(load_bundle(self._registry.fetch(live)))
            except BundleError:
                self._refused = live
                raise
            self._maker = ListMaker(ranker, self._policy, self._items.table)
            log.info("sessions without a list get the popular items of model %s", live)
        self._refused = ""
        self._problems.clear("fallback_missing")
        return self._problems.clear("fallback_old")

    def _make(self, maker: ListMaker) -> None:
        self._items.await_current()
        table, policy = self._items.table, self._policy
        of = (maker, policy, table.revision, table.generation, int(time.monotonic() / _AGE_S))
        if of == self._made_of:
            return
        maker.use(policy)
        [row] = maker.make([Shopper((), "")])
        made, now_ms = list(zip(policy.placements, row, strict=True)), time.time_ns() // 1_000_000
        self._lists = {p.name: _Popular(recommended(r.items), maker.version, now_ms) for p, r in made}
        self._made_of = of
        short = [f"{p.name or 'lists'}: {len(r.items)} of {p.k}" for p, r in made if len(r.items) < p.k]
        if short:
            what = f"policy and items leave too few popular ones ({'; '.join(short[:3])})"
            self._problems.raise_("lists_short", what, "loosen its filters and caps, or shorten its lists")
        else:
            self._problems.clear("lists_short")

    def _say_failed(self, error: Exception | str) -> None:
        remedy = remedy_for(error) if isinstance(error, RegistryError | OSError) else _REMEDY
        if self._lists:
            what = f"popular items stay those of model {self.model}: {error}"
            return self._problems.raise_("fallback_old", what, remedy)
        what = f"there are no popular items for sessions without a list: {error}"
        return self._problems.raise_("fallback_missing", what, remedy)
