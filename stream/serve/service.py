"""The read API as a service: feeds that fill the stores, the server, and what is told of both.

no_topic            the topic of the lists is gone: 503 at /health
not_read            lists can't be read: what is kept is served, and no longer as of now
lists_behind        lists are read more slowly than they come
bad_messages        the topic has messages that are no lists
evicts              lists go before their time, for want of memory
similar_evicts      the same of similar items
schema_registry     lists are read no further, as a schema registry is away
redis_away          lists can't be read from Redis: requests get 503
clicks_unconfirmed  the broker does not confirm clicks: requests get 503
keys_file           the file of API keys can't be used: those before stay in force
fallback_missing and others of popular.py: what sessions without a list get
"""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web
from confluent_kafka import Message

from export.errors import ConfigError
from stream.erasure.teller import ErasureTeller
from stream.errors import TopicError
from stream.kafka.clients import prepare_format
from stream.kafka.topics import partition_counts
from stream.messages.erasures import ErasedLists, decode_erased
from stream.messages.record_time import sane_record_time_ms
from stream.ops.problems import Problems
from stream.serve.clicks import ClickWriter
from stream.serve.config import ServeConfig
from stream.serve.figures import ServeHealth, ServeMetrics
from stream.serve.http.guard import Guard
from stream.serve.http.hub import Hub
from stream.serve.http.keys import ApiKeys
from stream.serve.http.routes import Routes
from stream.serve.http.updates import Updates
from stream.serve.lookout import Lookout
from stream.serve.sources.feed import Feed, RecentReader
from stream.serve.sources.lists import KeptLists, RedisLists
from stream.serve.sources.popular import PopularLists
from stream.serve.sources.similar import SimilarStore
from stream.serve.sources.store import Head, ListStore, Newest, list_key
from stream.serve.spans import click_sender
from stream.topic_names import Topics

__all__ = ["ServeService"]

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_LINE = 8_190  # bytes of a request's first line, and of one header
_HEADERS = 64
_KEEP_ALIVE_S = 75.0
_FLUSH_S = 5.0

Listed = tuple[str, str, Newest] | tuple[str, ErasedLists | None]  # key, placement; or the session that is forgotten

_decode_head = msgspec.json.Decoder(Head).decode


class ServeService:
    """One server. `run` is for one event loop."""

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics = Topics(),
        extra: Mapping[str, str] | None = None,
        *,
        config: ServeConfig | None = None,
    ) -> None:
        """ConfigError for what can't be used; nothing is asked of a broker yet."""
        self._servers, self._topics, self._extra = bootstrap_servers, topics, extra
        self.config = config = config or ServeConfig()
        self._store, self._similar = ListStore(config.memory_mb << 20), SimilarStore(max(config.similar_mb, 1) << 20)
        self._hub, self.metrics = Hub(config.max_waiting), ServeMetrics()
        self._problems = Problems(self.metrics.problem)
        self.metrics.ask(self._show)
        self._redis = None if config.redis_url is None else RedisLists(config.redis_url, topics.prefix)
        lists = self._redis or KeptLists(self._store, self._similar)
        self._keys = None if config.keys is None else ApiKeys(config.keys)
        self._guard = Guard(self._keys, config.origins, self.metrics)
        self._clicks = ClickWriter(bootstrap_servers, topics.clicks, extra, confirm_s=config.confirm_s)
        updates = Updates(config, lists, self._hub, self._guard, self.metrics)
        self._popular: PopularLists | None = None
        if config.fallback is not None:
            self._popular = PopularLists(config, bootstrap_servers, topics, extra, self._problems)
        self._routes = Routes(
            config,
            lists,
            click_sender(self._clicks, topics.clicks),
            updates,
            self._guard,
            self.metrics,
            self.health,
            self._popular,
        )
        self._lists = lists
        reader = RecentReader(bootstrap_servers, topics.recommendations, extra, window_s=config.first_window_s)
        self._feed: Feed[Listed] = Feed("lists", reader, self._decoded, self._take, self._store.clear)
        self._similar_feed: Feed[tuple[str, bytes | None]] | None = None
        if config.similar_mb and self._redis is None:
            whole = RecentReader(bootstrap_servers, topics.similar, extra)
            self._similar_feed = Feed("similar", whole, _similar, self._take_similar, self._similar.clear)
        self._teller = ErasureTeller("serve", bootstrap_servers, topics.erasures, extra)
        self._lookout = Lookout(self._problems, topics, self._clicks, self._store, self._similar)

    def check(self) -> None:
        """TopicError where there are no topics to read and write; BrokerUnavailable, RegistryMissing; what
        `prepare_format` raises."""
        there = partition_counts(self._servers, self._extra)
        for name in (self._topics.recommendations, self._topics.clicks):
            if name not in there:
                options = f"--bootstrap-servers HOST{self._topics.as_options()}"
                raise TopicError(f"there is no topic {name}; `nextclick topics create {options}` makes it")
        prepare_format(self._extra, self._topics.clicks)
        if self._popular is not None:
            self._popular.check()

    async def run(self, stop: threading.Event, on_ready: asyncio.Future[int] | None = None) -> None:
        """Serve until `stop` is set, then end what is asked already. ConfigError where the port can't be had.

        on_ready: gets the port once it listens.
        """
        loop = asyncio.get_running_loop()
        self._clicks.start()
        runner = web.AppRunner(
            self._routes.app(),
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=_KEEP_ALIVE_S,
            shutdown_timeout=self.config.grace_s,
            max_line_size=_LINE,
            max_field_size=_LINE,
            max_headers=_HEADERS,
        )
        await runner.setup()
        try:
            port = await self._listen(runner)
            self._start_feeds(loop)
            if on_ready is not None:
                on_ready.set_result(port)
            log.info("serving on http://%s:%d", self.config.host, port)
            await self._upkeep(stop)
        finally:
            self._hub.close()
            await runner.cleanup()
            await asyncio.to_thread(self._end)
            await self._lists.close()

    def health(self) -> ServeHealth:
        """What /health says."""
        lasting, feeds = self._problems.lasting(), self._feeds()
        return ServeHealth(
            ready=self._feed.caught_up and not any(problem.unready for problem in lasting),
            source="topic" if self._redis is None else "redis",
            lists=len(self._store),
            lists_mb=round(self._store.size / 2**20, 1),
            similar=len(self._similar),
            lag={topic: feed.lag for topic, feed in feeds.items()},
            waiting=self._hub.subscribed,
            keys=0 if self._keys is None else len(self._keys),
            fallback=None if self._popular is None else self._popular.model,
            evicted=self._store.evicted,
            reasons=[
                *([] if self._feed.caught_up else ["the lists are read that there are already"]),
                *(str(problem) for problem in lasting),
            ],
        )

    async def _listen(self, runner: web.AppRunner) -> int:
        site = web.TCPSite(runner, self.config.host, self.config.port, backlog=1024)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigError(f"can't listen on {self.config.host}:{self.config.port}: {why}") from error
        return int(runner.addresses[0][1])

    def _start_feeds(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._popular is not None:
            self._popular.start()
        for feed in self._feeds().values():
            feed.start(loop)

    async def _upkeep(self, stop: threading.Event) -> None:
        frozen = False
        while not stop.is_set():
            self._store.sweep(time.time())
            self._lookout.look(self._feed, self._similar_feed, self._redis, self._keys)
            if self._feed.caught_up and not frozen:
                frozen = True
                gc.collect()
                gc.freeze()  # what is there stays there: no collection looks at it again
            await asyncio.to_thread(stop.wait, _LOOK_S)

    def _feeds(self) -> dict[str, Feed[Listed] | Feed[tuple[str, bytes | None]]]:
        feeds: dict[str, Feed[Listed] | Feed[tuple[str, bytes | None]]] = {self._topics.recommendations: self._feed}
        if self._similar_feed is not None:
            feeds[self._topics.similar] = self._similar_feed
        return feeds

    def _decoded(self, message: Message) -> Listed | None:
        """In the feed's thread."""
        value = message.value()
        try:
            if value is None:
                return (message.key() or b"").decode(), decode_erased(message.headers())
            head = _decode_head(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        at_ms = sane_record_time_ms(message.timestamp()[1]) or time.time_ns() // 1_000_000
        source = head.source
        newest = Newest(value, source.partition, source.offset, head.published_ts, at_ms / 1000 + self.config.ttl_s)
        return list_key(head.session_id, head.placement), head.placement, newest

    def _take(self, found: Sequence[Listed]) -> None:
        for one in found:
            if len(one) == 2:
                self._erase(*one)
                continue
            key, placement, newest = one
            if self._redis is not None or self._store.put(key, placement, newest):
                self._hub.publish(key, newest)

    def _erase(self, session_id: str, erased: ErasedLists | None) -> None:
        source = None if erased is None else erased.source
        self._hub.erase(self._store.keys(session_id))
        if source is None:
            self._store.erase(session_id)
            return
        until = time.time() + self.config.ttl_s
        lists = self._store.erase(session_id, (source.partition, source.offset), until)
        if self._feed.caught_up:  # what stands in the topic since before the start was told by the one before
            self._teller.tell(session_id, source, {"lists": lists})

    def _take_similar(self, found: Sequence[tuple[str, bytes | None]]) -> None:
        for item_id, value in found:
            self._similar.put(item_id, value)

    def _show(self) -> None:
        metrics, store = self.metrics, self._store
        for topic, feed in self._feeds().items():
            metrics.read.labels(topic).set(feed.read)
            metrics.bad.labels(topic).set(feed.bad)
            metrics.lag.labels(topic).set(feed.lag)
        metrics.lists.set(len(store))
        metrics.bytes.labels("lists").set(store.size)
        metrics.bytes.labels("similar").set(self._similar.size)
        for why, number in (("evicted", store.evicted), ("expired", store.expired), ("erased", store.erased)):
            metrics.gone.labels(why).set(number)
        metrics.outdated.set(store.outdated)
        metrics.waiting.set(self._hub.subscribed)
        metrics.ready.set(self.health().ready)

    def _end(self) -> None:
        for feed in self._feeds().values():
            feed.stop()
        if self._popular is not None:
            self._popular.stop()
        self._clicks.stop(_FLUSH_S)
        self._teller.close()


def _similar(message: Message) -> tuple[str, bytes | None] | None:
    try:
        return (message.key() or b"").decode(), message.value()
    except UnicodeDecodeError:
        return None
