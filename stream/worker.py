"""The worker: a Faust app, the commit path, the models and the web server, wired together; started and stopped here.

    run_worker(config)   blocks until SIGTERM or SIGINT (0), until something fails that no rule covers (its code), or
                         until the topics have changed so that no worker can go on (2)

A clean end finishes the batches in flight, commits, and leaves the group, so that the partitions move on at once.
"""

import asyncio
import logging
import os
import shutil
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from aiokafka.errors import KafkaConnectionError

from export.errors import NextclickError, RegistryError
from export.ranking.popularity import PopularityRanker
from export.ranking.ranker import Ranker
from export.ranking.runtime import try_provider
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.errors import BrokerUnavailable
from stream.faust.app import build_app
from stream.formats.waiting import click_reading
from stream.guarantee.choose import choose_guarantee
from stream.guarantee.repair import Repairs
from stream.kafka.away import BrokersAway
from stream.kafka.settings import check_settings
from stream.kafka.surroundings import Change
from stream.kafka.topics import check_topics
from stream.models.follower import ModelFollower
from stream.ops.condition import Condition, Parts
from stream.ops.descriptors import check_descriptors
from stream.ops.folding import fold_repeats
from stream.ops.heap import keep_large_apart
from stream.ops.lookout import Lookout
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.ops.reporting import Reporter, open_redis
from stream.ops.signals import StopSignal
from stream.ops.startup import await_topics, collect_less_garbage, quiet_libraries
from stream.ops.threads import end_with_threads
from stream.ops.watchdog import EXIT_STUCK, Watchdog
from stream.ops.web import Health, WebServer
from stream.partition.expiry import Expiry
from stream.partition.membership import Membership
from stream.partition.owned import OwnedPartition
from stream.partition.ownership import Ownership
from stream.partition.partitions import Partitions
from stream.partition.recovery import Row
from stream.partition.split import SplitSessions
from stream.path.answers import ItemRanker
from stream.path.batcher import Batcher
from stream.path.commit import CommitPath
from stream.path.list_service import ListService
from stream.path.pipeline import Pipeline
from stream.path.tracing import traced

__all__ = ["Worker", "run_worker"]

log = logging.getLogger(__name__)

_FIRST_LOOK_S = 30.0  # for the registry to say what there is; loading takes as long as it takes
_STOP_S = 20.0  # for the orderly end
_WATCH_S = 0.1
_DESCRIPTORS_S = 5.0  # between two counts


def run_worker(config: StreamConfig, *, ranker: ItemRanker | None = None) -> int:
    """Run one worker until it is stopped; the exit code of the process. With a `ranker` no models are followed.

    Raises RegistryMissing, ProviderUnavailable, TopicError, BrokerUnavailable or ConfigError before the first click is
    read; what it was told that the models refuse (k) ends it there as well, with their exit code.
    """
    if ranker is None:
        try_provider(config.provider)
        Registry(config.registry).versions()
    stop = StopSignal()
    quiet_libraries(config.log_level)
    counts = await_topics(config, stop)
    if counts is None:
        return 0
    check_topics(counts, group=config.group, topics=config.topics)
    check_settings(config)
    collect_less_garbage()
    keep_large_apart()
    return asyncio.run(_serve(config, ranker, stop))


async def _serve(config: StreamConfig, ranker: ItemRanker | None, stop: StopSignal) -> int:
    return await Worker(config, ranker).serve(stop)  # made on the loop: Faust's services are bound to it


class Worker:
    """One worker on one event loop. `ranker` may be replaced at any time, from any thread."""

    def __init__(self, config: StreamConfig, ranker: ItemRanker | None = None) -> None:
        """On the event loop. ConfigError where the policy's, Redis' or a client's settings cannot be used."""
        self.config = config
        self.ranker = ranker
        self.metrics = Metrics()
        self.problems = Problems(self.metrics.problem)
        self.partitions = Partitions(config.topics.clicks)
        self.batcher = Batcher(
            max_batch=config.max_batch, max_queued=config.queue_clicks, max_bytes=config.queue_mb * 1024 * 1024
        )
        self._ended = asyncio.Event()
        self._brokers = BrokersAway(self.problems, config.bootstrap_servers)
        self._failure: str | None = None
        self._redis = open_redis(config, self.metrics, self.problems)
        self._lists = ListService(config, self.metrics, self.problems)
        self._reporter = Reporter(self.metrics, config.topics, self._redis, self.problems, self._lists.placements)
        self._follower = self._new_follower() if ranker is None else None
        self._app, _ = build_app(config, lambda: self._ownership)
        timeout_s, has_ended = config.broker_session_timeout_s, self._ended.is_set
        self._membership = Membership(self._app, self.partitions, session_timeout_s=timeout_s, has_ended=has_ended)
        self._expiry = Expiry(config.session)
        self._split = SplitSessions(self.partitions)
        self._guarantee = choose_guarantee(
            config,
            self._membership,
            observer=self.metrics,
            on_client_error=self._brokers.on_error,
            found=self._note_found,
        )
        self._repairs = Repairs(self._guarantee, crash=self.crash, has_ended=has_ended)
        self._reading = click_reading(config.kafka, self.problems)
        self._pipeline = Pipeline(
            batcher=self.batcher,
            partitions=self.partitions,
            path=CommitPath(
                config, self._guarantee, self._lists.lists, self._expiry, self._split, self._reading.decode
            ),
            publisher=self._guarantee.publisher,
            observer=traced(self._reporter),
            current_ranker=lambda: self.ranker,
            may_publish=self._membership.may_publish,
            on_confirmed=self._guarantee.confirmed,
            on_unconfirmed=self._repairs.unconfirmed,
            batches_in_flight=config.batches_in_flight,
            in_rounds=self._guarantee.in_rounds,
            current_plan=lambda: self._follower.experiments.plan if self._follower else None,
            readable=self._reading.known,
        )
        self._lookout = Lookout(
            config, self.metrics, on_change=self._on_change, on_clear=self._on_clear, on_end=self._crash_soon
        )
        self._ownership = Ownership(
            config,
            self._membership,
            self.partitions,
            self.batcher,
            pipeline=self._pipeline,
            guarantee=self._guarantee,
            expiry=self._expiry,
            lookout=self._lookout,
            crash=self.crash,
            on_settled=self._reporter.took_over,
        )
        parts = Parts(
            config=config,
            metrics=self.metrics,
            problems=self.problems,
            reporter=self._reporter,
            app=self._app,
            membership=self._membership,
            partitions=self.partitions,
            ownership=self._ownership,
            batcher=self.batcher,
            pipeline=self._pipeline,
            guarantee=self._guarantee,
            repairs=self._repairs,
            expiry=self._expiry,
            split=self._split,
            lookout=self._lookout,
            follower=self._follower,
            items=self._lists.items,
            reading=self._reading,
        )
        self._condition = Condition(parts, ranker=lambda: self.ranker, ending=self._ending)
        self._watchdog = Watchdog(
            self._condition.vitals,
            self._guarantee.publisher.broker_answers,
            self._on_stuck,
            patience_s=config.watchdog_s,
        )
        self._web = WebServer(config.web_host, config.web_port, self._condition.shown_health, self.metrics)
        self._code = 0

    async def serve(self, stop: StopSignal) -> int:
        """Start everything, wait for the end, end everything; 0 after a signal, else the error's exit code."""
        self._loop = asyncio.get_running_loop()
        undo = [fold_repeats(self.metrics.log_left_out.inc), end_with_threads(self._crash_soon)]
        try:
            port = await self._web.start()
            log.info("health and metrics on http://%s:%d", self.config.web_host, port)
            self._pipeline.start(self.crash)
            if self._follower is not None:
                self._follower.start()
            self._lists.start()
            self._watchdog.start()
            self._lookout.start()
            work = [self._start_app(), self._watch(stop), self._guarantee.keep_changelog()]
            background = [asyncio.create_task(self._crash_on_error(coroutine)) for coroutine in work]
            await self._ended.wait()
            level = logging.ERROR if self._failure else logging.INFO
            log.log(level, "the worker ends: %s", self._failure or "asked to")
            await self._stop(background)
        finally:
            await self._web.stop()
            for restore in undo:
                restore()
            shutil.rmtree(self._app.conf.datadir, ignore_errors=True)
        return self._code

    def crash(self, error: BaseException) -> None:
        """Something failed that no rule covers: end, with nothing more acknowledged."""
        expected = isinstance(error, NextclickError)
        if not expected or self._failure is not None:  # else the line that says why the worker ends says it
            log.error("%s: %s", type(error).__name__, error, exc_info=None if expected else error)
        self._end(f"{type(error).__name__}: {error}", error.exit_code if isinstance(error, NextclickError) else 1)

    def _note_found(self, partition: OwnedPartition, rows: Sequence[Row]) -> None:
        """A zombie may have brought back a session that was forgotten: it is, again, after another silence."""
        self._expiry.touch(partition, [row.key for row in rows if row.key and row.value is not None], time.time())

    def _new_follower(self) -> ModelFollower:
        use, prepare = self._on_model, self._lists.lists.prepare
        return ModelFollower(self.config, self.metrics, use, on_stand_in=use, problems=self.problems, prepare=prepare)

    async def _start_app(self) -> None:
        """Join the group once it is known what answers: what waits is worth a ranking, not an empty list."""
        await self._await_first_look()
        await asyncio.to_thread(self._lists.restore)
        try:
            await self._app.start()
        except KafkaConnectionError as error:
            raise BrokerUnavailable(f"the broker went away while the worker started: {error}") from error

    async def _await_first_look(self) -> None:
        """Raises what makes this worker unable to serve, before it has read a click."""
        follower, give_up = self._follower, time.monotonic() + _FIRST_LOOK_S
        while follower is not None and not follower.looked.is_set():
            if time.monotonic() > give_up and follower.loading is None:
                raise RegistryError(f"no model could be looked for within {_FIRST_LOOK_S:.0f} s: {follower.error}")
            await asyncio.sleep(0.02)
        if follower is not None and follower.refusal is not None:
            raise follower.refusal

    async def _crash_on_error(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.crash(error)

    async def _watch(self, stop: StopSignal) -> None:
        """Looks after signals, crashed services and figures, ten times a second."""
        finished, partitions, checked = 0, [-1], 0.0
        while not self._ended.is_set():
            now = self._condition.loop_at = time.monotonic()
            self._membership.check_admission()
            if stop.event.is_set():
                self._end(None)
            elif self._app.crashed:
                self.crash(self._app.crash_reason or RuntimeError("a service of the worker crashed"))
            if self._pipeline.finished != finished:
                finished = self._pipeline.finished
                self._condition.heard()
            self._condition.measure()
            self._brokers.heard(self._condition.broker_at)
            if now - checked >= _DESCRIPTORS_S:
                checked = now
                check_descriptors(self.problems)
            reading = self._condition.reading()
            if self._membership.joined() and reading != partitions:
                partitions, sessions = reading, self.partitions.sessions
                log.info("reading partitions %s; %d sessions; %s", reading, sessions, self._app.rebalance_times())
            await asyncio.sleep(_WATCH_S)

    def health(self) -> Health:
        """What /health says."""
        return self._condition.health()

    def _ending(self) -> str | None:
        return self._failure or ("it was asked to" if self._ended.is_set() else None)

    def _on_model(self, ranker: Ranker | PopularityRanker) -> None:
        """In the follower's thread; the next batch is ranked by it."""
        self._lists.on_model(ranker)
        self.ranker = ranker

    def _on_stuck(self, reason: str) -> None:
        """In the watchdog's thread."""
        self._loop.call_soon_threadsafe(self._end, reason)

    def _crash_soon(self, error: BaseException) -> None:
        """In the lookout's thread, or in one that dies of the error."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.crash, error)

    def _on_change(self, change: Change) -> None:
        """In the lookout's thread: nothing more may be read where the clicks or their states are others."""
        if change.kind == "remade" and change.topic in (self.config.topics.clicks, self.config.changelog_topic):
            self.partitions.hold(for_good=True)

    def _on_clear(self) -> None:
        """In the lookout's thread, after each look that a broker has answered."""
        self._brokers.heard(time.monotonic())
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._crash_on_error(self._ownership.clear()), self._loop)

    def _end(self, failure: str | None, code: int = 1) -> None:
        if failure is not None and self._failure is None:
            self._failure, self._code = failure, code
        self._ended.set()
        self.metrics.end()

    async def _stop(self, background: Sequence[asyncio.Task[None]]) -> None:
        """Finish what is in flight, commit, leave the group; after _STOP_S without."""
        last_resort = threading.Timer(_STOP_S + 10.0, os._exit, (EXIT_STUCK,))
        last_resort.daemon = True
        last_resort.start()
        self._repairs.stop()
        try:
            await asyncio.wait_for(self._app.stop(), _STOP_S)
        except Exception as error:
            log.warning("the end was not orderly: %s", error or type(error).__name__)
        for task in background:
            task.cancel()
        await self._pipeline.stop()
        self._watchdog.stop()
        self._lookout.stop()
        left = await asyncio.to_thread(self._guarantee.publisher.close, 2.0)
        if left:
            log.warning("%d messages or transactions are not confirmed; the next owner reads their clicks again", left)
        if self._follower is not None:
            await asyncio.to_thread(self._follower.stop, 1.0)
        await asyncio.to_thread(self._lists.stop, 1.0)
        if self._redis is not None:
            await asyncio.to_thread(self._redis.close)
        last_resort.cancel()
