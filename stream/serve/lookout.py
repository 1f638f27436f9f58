"""What is wrong with the read API, looked for every second and told by the problems (stream/serve/service.py)."""

import time
from typing import Any

from export.errors import ConfigError
from stream.formats.away import REMEDY, reading_waits
from stream.ops.problems import Problems
from stream.serve.clicks import ClickWriter
from stream.serve.http.keys import ApiKeys
from stream.serve.sources.feed import Feed
from stream.serve.sources.lists import RedisLists
from stream.serve.sources.similar import SimilarStore
from stream.serve.sources.store import ListStore
from stream.topic_names import Topics

__all__ = ["Lookout"]

_BEHIND_S = 30.0  # without the end of the topic being reached
_SAID_S = 600.0  # how long what happened once is spoken of


class Lookout:
    """For the event loop."""

    def __init__(
        self, problems: Problems, topics: Topics, clicks: ClickWriter, store: ListStore, similar: SimilarStore
    ) -> None:
        self._problems, self._topics, self._clicks = problems, topics, clicks
        self._store, self._similar = store, similar
        self._told: dict[str, int] = {}

    def look(self, lists: Feed[Any], similar: Feed[Any] | None, redis: RedisLists | None, keys: ApiKeys | None) -> None:
        """Raise what is wrong now, and clear what is over."""
        self._look_at_lists(lists)
        self._tell("schema_registry", reading_waits(), REMEDY)
        bad = lists.bad + (similar.bad if similar is not None else 0)
        what = f"{bad:,} messages read are none of their topic"
        self._tell_of("bad_messages", bad, what, f"see who else writes to {self._topics.recommendations}")
        if similar is not None:
            self._tell("similar_not_read", similar.trouble, "it is tried again; see to the brokers")
        evicted = self._similar.evicted
        what = f"{evicted:,} lists of similar items do not fit, and are not served"
        self._tell_of("similar_evicts", evicted, what, "raise --similar-mb, or read them from --redis")
        if redis is not None:
            self._tell("redis_away", redis.trouble, redis.remedy or "it is asked again by each request")
        trouble = self._clicks.trouble
        self._tell("clicks_unconfirmed", trouble and f"clicks can't be sent: {trouble}", "see to the brokers")
        self._look_at_keys(keys)

    def _look_at_lists(self, lists: Feed[Any]) -> None:
        missing = f"there is no topic {self._topics.recommendations} any more" if lists.missing else ""
        self._tell("no_topic", missing, "make it again: nextclick topics create", unready=True)
        trouble = lists.trouble and f"lists are not served as of now: {lists.trouble}"
        self._tell("not_read", trouble, "it is tried again; see to the brokers")
        since = lists.behind_since if lists.caught_up else None
        late = since is not None and time.monotonic() - since > _BEHIND_S
        what = f"lists are read late: {lists.lag:,} are not read yet" if late else ""
        self._tell("lists_behind", what, "give it a core of its own, or start several servers")
        evicted = self._store.evicted
        what = f"{evicted:,} lists went before their time, for want of memory"
        self._tell_of("evicts", evicted, what, "raise --memory-mb, shorten --ttl, or read them from --redis")

    def _look_at_keys(self, keys: ApiKeys | None) -> None:
        if keys is None:
            return
        try:
            keys.look()
            self._problems.clear("keys_file")
        except ConfigError as error:
            self._problems.raise_("keys_file", f"the API keys stay as they were: {error}", "mend the file")

    def _tell(self, key: str, what: str, remedy: str, *, unready: bool = False) -> None:
        if what:
            self._problems.raise_(key, what, remedy, unready=unready)
        else:
            self._problems.clear(key)

    def _tell_of(self, key: str, number: int, what: str, remedy: str) -> None:
        """Say what happened once more, for a while: a count never goes back, and what is over is no problem."""
        if number > self._told.get(key, 0):
            self._told[key] = number
            self._problems.raise_(key, what, remedy, for_s=_SAID_S)
