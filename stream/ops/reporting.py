"""What a worker tells the outside of its batches: figures, /health, and the lists for Redis."""

import time
from collections.abc import Callable

from stream.guarantee.publisher import Outgoing
from stream.messages.contract import RANKING_FAILED
from stream.ops.metrics import Metrics
from stream.ops.redis_sink import RedisSink
from stream.ops.web import Health
from stream.partition.owned import OwnedPartition
from stream.path.commit import ItemRanker, Prepared
from stream.path.inference import Ranked

__all__ = ["Reporter", "describe_health"]


class Reporter:
    """The pipeline's observer. Called on the event loop; nothing here waits."""

    def __init__(self, metrics: Metrics, recommendations: str, redis: RedisSink | None) -> None:
        self._metrics, self._redis = metrics, redis
        self._recommendations = recommendations

    def prepared(self, prepared: Prepared, seconds: float) -> None:
        """Steps 1 and 2 are done."""
        records = prepared.batch.records
        waited = time.time() - records[0].timestamp / 1000 - seconds
        self._metrics.observe("wait", waited)
        self._metrics.observe("fold", seconds)
        self._metrics.batch_clicks.observe(len(records))

    def ranked(self, prepared: Prepared, ranked: Ranked) -> None:
        """Steps 3 and 4 are done."""
        self._metrics.observe("rank", ranked.seconds)

    def confirmed(self, prepared: Prepared, ranked: Ranked, messages: list[Outgoing], seconds: float) -> None:
        """Steps 5 to 7 are done: the clicks are answered."""
        metrics, records = self._metrics, prepared.batch.records
        failed = [work for work, a in zip(prepared.sessions.values(), ranked.answers, strict=True) if a.error]
        lost, lists = sum(len(work.records) for work in failed), len(ranked.answers) - len(failed)
        metrics.clicks.inc(len(records))
        metrics.batches.inc()
        metrics.repeats.inc(prepared.repeats)
        metrics.split_sessions.inc(prepared.split)
        metrics.recommendations.inc(lists)
        metrics.coalesced.inc(len(records) - len(prepared.rejected) - lost - lists)
        metrics.fallbacks.inc(sum(answer.fallback for answer in ranked.answers))
        for _, error in prepared.rejected:
            metrics.reject(error.reason)
        for _ in range(lost):
            metrics.reject(RANKING_FAILED)
        metrics.observe("confirm", seconds)
        metrics.observe("total", time.time() - records[-1].timestamp / 1000)
        if self._redis is not None:
            mine = (m for m in messages if m.topic == self._recommendations)
            self._redis.put([(m.key.decode(), m.value) for m in mine if m.key and m.value])

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
) -> Health:
    """What /health says; `errors` do not make a worker unready by themselves, as the model in service goes on.

    `assigned` are the partitions that the group has given the worker, `partitions` those it reads. `trouble`: why it is
    about to end.
    """
    reasons = [] if joined else ["partitions are being assigned or recovered"]
    standby = joined and not assigned
    if standby:
        reasons.append("standby: no partition is assigned, as the other workers of the group have all of them")
    waiting = sorted(set(assigned) - set(partitions)) if joined else []
    if waiting:
        reasons.append(f"partitions {waiting} are not read at present: they are read again from the last answer on")
    if ranker is None:
        reasons.append("no model: lists are empty until the registry has one")
    if trouble is not None:
        reasons.append(trouble)
    serving = joined and bool(assigned) and not waiting
    return Health(
        ready=serving and ranker is not None and trouble is None and not failed,
        standby=standby,
        model=ranker.version if ranker else None,
        variant=variant,
        partitions=partitions,
        lag=lag,
        reasons=reasons + errors,
        fallback=ranker is None,
    )
