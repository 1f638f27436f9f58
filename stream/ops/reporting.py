"""What a worker tells the outside of its batches: figures, /health, and the lists for Redis."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from export.ranking.popularity import PopularityRanker
from stream.config import StreamConfig
from stream.erasure.teller import ErasureTeller, erasure_words
from stream.experiments.keeper import ExperimentHealth
from stream.guarantee.publisher import Outgoing
from stream.items.figures import ItemsHealth
from stream.messages.contract import RANKING_FAILED, Source
from stream.messages.record_time import sane_record_time_ms
from stream.ops.metrics import Metrics
from stream.ops.problems import Problem, Problems
from stream.ops.web import Health, Serving
from stream.partition.owned import OwnedPartition
from stream.path.answers import ItemRanker
from stream.path.commit import Prepared
from stream.path.inference import Ranked
from stream.topic_names import Topics

if TYPE_CHECKING:
    from stream.redis.sink import RedisSink

__all__ = ["Reporter", "describe_health", "open_redis"]

log = logging.getLogger(__name__)

_SAID_S = 600.0  # how long /health speaks of what was seen once


def open_redis(config: StreamConfig, metrics: Metrics, problems: Problems) -> "RedisSink | None":
    """As the worker was told. None where lists go to Kafka only; the client, a tenth of a worker's start, is not
    imported there."""
    if not config.redis_url:
        return None
    from stream.redis.sink import RedisSink

    teller = ErasureTeller("redis", config.bootstrap_servers, config.topics.erasures, config.kafka)
    return RedisSink(
        config.redis_url, config.redis_ttl_s, metrics, problems, prefix=config.topics.prefix, teller=teller
    )


class Reporter:
    """The pipeline's observer. Called on the event loop; nothing here waits."""

    def __init__(
        self,
        metrics: Metrics,
        topics: Topics,
        redis: "RedisSink | None",
        problems: Problems | None = None,
        placements: Callable[[], Collection[str]] = lambda: (),
    ) -> None:
        """placements: the names of those that lists are made for now."""
        self._metrics, self._redis = metrics, redis
        self._problems = problems or Problems()
        self._topics = topics
        self._placements = {""}  # that lists were made for
        self._placements_now = placements

    def prepared(self, prepared: Prepared, seconds: float) -> None:
        """Steps 1 and 2 are done."""
        records = prepared.batch.records
        self._observe_since("wait", records[0].timestamp, seconds)
        self._metrics.observe("fold", seconds)
        self._metrics.batch_clicks.observe(len(records))

    def ranked(self, prepared: Prepared, ranked: Ranked) -> None:
        """Steps 3 and 4 are done."""
        self._metrics.observe("rank", ranked.seconds)

    def confirmed(self, prepared: Prepared, ranked: Ranked, messages: list[Outgoing], seconds: float) -> None:
        """Steps 5 to 7 are done: the clicks are answered."""
        metrics, records = self._metrics, prepared.batch.records
        failed = [work for work, a in zip(prepared.sessions.values(), ranked.answers, strict=True) if a.error]
        failed_why = next((answer.error for answer in ranked.answers if answer.error), "")
        lost, lists = sum(len(work.records) for work in failed), len(ranked.answers) - len(failed)
        metrics.clicks.inc(len(records))
        metrics.batches.inc()
        metrics.repeats.inc(prepared.repeats)
        metrics.split_sessions.inc(prepared.split)
        metrics.recommendations.inc(lists)
        no_clicks = len(prepared.rejected) + prepared.erasures + prepared.left_out
        metrics.coalesced.inc(len(records) - no_clicks - lost - lists)
        metrics.fallbacks.inc(sum(answer.fallback for answer in ranked.answers))
        self._count_variants(ranked)
        for _, error in prepared.rejected:
            metrics.reject(error.reason)
        for _ in range(lost):
            metrics.reject(RANKING_FAILED)
        metrics.observe("confirm", seconds)
        self._observe_since("total", records[-1].timestamp)
        if failed and not lists:
            self._problems.raise_(
                "ranking_fails",
                f"the model ranks none of a batch of {len(failed)} sessions, their clicks are rejected: {failed_why}",
                "the log has the traceback; go back by "
                f"`nextclick models rollback --bootstrap-servers HOST{self._topics.as_options()}`",
                for_s=_SAID_S,
            )
        self._say_erased(prepared)
        if self._redis is not None:
            mine = (m for m in messages if m.topic == self._topics.recommendations)
            found = [(m.key, m.beside, m.value) for m in mine if m.key and m.value]
            self._placements.update(placement for _, placement, _ in found)
            self._redis.put([(_name(key, placement), value) for key, placement, value in found])

    def _say_erased(self, prepared: Prepared) -> None:
        if not prepared.erased and not prepared.left_out:
            return
        partition, placements = prepared.batch.partition, self._all_placements()
        self._metrics.clicks_erased.inc(prepared.left_out)
        for session, gone in prepared.erased.items():
            source = Source(partition.topic, partition.number, gone.mark.offset)
            self._metrics.erased.inc()
            log.info("%s", erasure_words(session, source, {"clicks of its state": gone.clicks}))
            if self._redis is not None:
                self._redis.erase(session, source, [_name(gone.key, placement) for placement in placements])

    def took_over(self, partition: OwnedPartition) -> None:
        """Its state is recovered. Who had it before may have died before lists of erased sessions were out of Redis:
        that is done again."""
        restored = partition.erased.take_restored()
        if self._redis is None or not restored:
            return
        log.info("lists of %d erased sessions of %s are looked for in Redis again", len(restored), partition)
        placements = self._all_placements()
        for key, mark in restored:
            source = Source(partition.topic, partition.number, mark.offset)
            names = [_name(key, placement) for placement in placements]
            self._redis.erase(key.decode(), source, names, asked_ms=mark.ts)

    def _all_placements(self) -> list[str]:
        return sorted({*self._placements, *self._placements_now()})

    def _count_variants(self, ranked: Ranked) -> None:
        by_variant: dict[tuple[str, str], list[bool]] = {}
        for by, fallback in ((answer.by, answer.fallback) for answer in ranked.answers if answer.by is not None):
            by_variant.setdefault((by.experiment, by.variant), []).append(fallback)
        for labels, fallbacks in by_variant.items():
            self._metrics.variant_lists.labels(*labels).inc(len(fallbacks))
            self._metrics.variant_fallbacks.labels(*labels).inc(sum(fallbacks))

    def _observe_since(self, stage: str, timestamp: int, less_s: float = 0.0) -> None:
        """The time since a record was sent, unless that is unknown, or ahead of our clock."""
        sent_ms = sane_record_time_ms(timestamp)
        passed_s = -1.0 if sent_ms is None else time.time() - sent_ms / 1000 - less_s
        if passed_s >= 0:
            self._metrics.observe(stage, passed_s)
            return
        self._metrics.unmeasured.labels(stage).inc()
        if sent_ms is None:
            self._problems.raise_(
                "record_times",
                f"clicks come in records whose timestamp ({timestamp}) is no time in milliseconds: their latency "
                "is not measured, and a ts of the future is not noticed",
                "let the producer's client set it, or set message.timestamp.type=LogAppendTime for the topic",
                for_s=_SAID_S,
            )

    def lag(
        self, partitions: list[OwnedPartition], highwater: Callable[[OwnedPartition], int | None]
    ) -> dict[int, int]:
        """Clicks behind the end of each partition, counted from what is confirmed; sets the figures too."""
        lag: dict[int, int] = {}
        for partition in partitions:
            end, position = highwater(partition), partition.position
            lag[partition.number] = max((end or 0) - position, 0) if position is not None else 0
        self._metrics.set_lag(lag)
        return lag


def _name(session: bytes, placement: str) -> str:
    """Under which name a list is kept, behind its prefix."""
    return f"{session.decode()}:{placement}" if placement else session.decode()


def describe_health(
    *,
    ranker: ItemRanker | None,
    variant: str,
    joined: bool,
    assigned: list[int],
    lag: dict[int, int],
    partitions: list[int],
    trouble: str | None,
    errors: list[str],
    failed: bool,
    problems: Sequence[Problem] = (),
    loading: str | None = None,
    experiments: Sequence[ExperimentHealth] = (),
    items: ItemsHealth = ItemsHealth(),
) -> Health:
    """What /health says. `errors` do not make a worker unready by themselves, as the model in service goes on; of the
    problems only those do that are `unready`. `loading`: the version that the worker waits for before it joins.

    `assigned` are the partitions that the group has given the worker, `partitions` those it reads. `trouble`: why it is
    about to end.
    """
    reasons = [] if joined else ["partitions are being assigned or recovered"]
    if not joined and items.topic and not items.restored:
        reasons.append(f"the items are being read: {items.items:,} so far")
    if not joined and ranker is None:
        reasons = [f"model {loading} is being loaded" if loading else "the first model is looked for"]
    elif ranker is None:
        reasons.append("the registry holds no model: lists are empty until it has one")
    standby = joined and not assigned and not failed
    if standby:
        reasons.append("standby: no partition is assigned, as the other workers of the group have all of them")
    waiting = sorted(set(assigned) - set(partitions)) if joined else []
    if waiting:
        reasons.append(f"partitions {waiting} are not read at present: they are read again from the last answer on")
    if trouble is not None:
        reasons.append(trouble)
    serving = _serving(ranker)
    held = joined and bool(assigned) and not waiting
    unfit = failed or trouble is not None or any(problem.unready for problem in problems)
    return Health(
        ready=serving == "model" and held and not unfit,
        standby=standby,
        serving=serving if joined and assigned and not failed else "nothing",
        model=ranker.version if ranker and serving == "model" else None,
        variant=variant,
        partitions=partitions,
        lag=lag,
        reasons=[*reasons, *errors, *map(str, problems)],
        fallback=serving != "model",
        experiments=list(experiments),
        items=items,
    )


def _serving(ranker: ItemRanker | None) -> Serving:
    if ranker is None:
        return "empty lists"
    return "popularity" if isinstance(ranker, PopularityRanker) else "model"
