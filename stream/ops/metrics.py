"""What a worker measures, in Prometheus' form."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from export.policy.catalogue import Embedded
from export.policy.counts import Counts
from stream.kafka.surroundings import KINDS

__all__ = ["CONTENT_TYPE", "STAGES", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STAGES = ("wait", "fold", "rank", "confirm", "total")
_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_VARIANT = ("experiment", "variant")
_CLICKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """One worker's figures, in a registry of their own. Safe to use from several threads.

    Stages of the latency: `wait` from the record's timestamp to the batch, `fold` (with the decoding), `rank`,
    `confirm` (from publishing until the broker has all), `total` from the record's timestamp to the confirmed list.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, CPU, start time
        self.clicks = self._counter("clicks", "Clicks answered for good, rejected ones included.")
        self.repeats = self._counter("repeats", "Clicks read again, whose offsets had been applied before.")
        self.batches = self._counter("batches", "Micro-batches finished.")
        self.recommendations = self._counter("recommendations", "Lists published and confirmed.")
        self.coalesced = self._counter("coalesced", "Clicks answered by the list of a newer click of their session.")
        self.lists_short = self._counter("lists_short", "Lists of fewer than K items: nothing else may be shown.")
        self.lists_filled = self._counter("lists_filled", "Lists filled with items that do not pass their filter.")
        self.lists_unfiltered = self._counter(
            "lists_unfiltered", "Lists without their filter: the last item lacks the attribute it compares."
        )
        self.lists_again = self._counter("lists_ranked_again", "Lists that took a second, deeper ranking.")
        self.items_newer = self._gauge("items_newer", "Items newer than the model that its tower put into lists.")
        self.items_blank = self._gauge("items_blank", "Items newer than the model of which only the id is known.")
        self.items_left_out = self._gauge("items_left_out", "Items newer than the model beyond the most there may be.")
        self.items_changed = self._gauge("items_changed", "Items changed since the training, ranked as they are now.")
        self.items_kept = self._gauge("items_kept", "Changed items beyond the most there may be, ranked as they were.")
        self.items_uncompared = self._gauge("items_uncompared", "Items not yet compared with those of the training.")
        self.items_hidden = self._gauge("items_hidden", "Items of the model that the first list may not show.")
        self.fallbacks = self._counter("fallbacks", "Lists of popular items, for want of a model or a known item.")
        self.rejected = self._counter("rejected", "Messages sent to the rejected topic.", ("reason",))
        self.transactions = self._counter(
            "transactions",
            "Transactions committed, aborted, or fenced: left undecided, as another worker took over.",
            ("outcome",),
        )
        for outcome in ("committed", "aborted", "fenced"):
            self.transactions.labels(outcome)
        self.lost_to_retention = self._counter(
            "clicks_lost_to_retention", "Clicks that the broker removed before they were read."
        )
        self.states_reset = self._counter("states_reset", "Sessions forgotten as --reset-state says.")
        self.topic_trouble = self._gauge(
            "topic_trouble", "1 where topics changed so that the worker ends, by what it is.", ("kind",)
        )
        for kind in KINDS:
            self.topic_trouble.labels(kind)
        self.model_swaps = self._counter("model_swaps", "Models put into service.")
        self.model_failures = self._counter("model_failures", "Models that were refused or not loaded.", ("reason",))
        self.announcement_errors = self._counter("announcement_errors", "Unreadable messages on the models topic.")
        self.models_loaded = self._gauge("models_loaded", "Models in memory: the live one, and those of variants.")
        self.variant_served = self._gauge(
            "variant_served", "1 where this worker serves a running experiment's variant, 0 where it can't.", _VARIANT
        )
        self.variant_lists = self._counter("variant_lists", "Lists of a variant, published and confirmed.", _VARIANT)
        self.variant_fallbacks = self._counter("variant_fallbacks", "Of these, lists of popular items.", _VARIANT)
        self.variant_unserved = self._counter(
            "variant_unserved", "Lists of the live model, as the session's variant is not served.", _VARIANT
        )
        self.variant_errors = self._counter(
            "variant_errors", "Sessions that a variant's model failed to rank; the live one did.", _VARIANT
        )
        self.variant_seconds = Histogram(
            "nextclick_variant_rank_seconds",
            "Time of the ranking runs that a variant was part of.",
            _VARIANT,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.redis_written = self._counter("redis_written", "Lists written to Redis.")
        self.redis_dropped = self._counter("redis_dropped", "Lists not written: too many waiting, too old, or refused.")
        self.redis_outdated = self._counter("redis_outdated", "Lists not written: a newer one was there.")
        self.redis_refused = self._counter("redis_refused", "Lists that Redis did not take, each try.", ("reason",))
        self.redis_evicted = self._counter("redis_evicted", "Keys that Redis evicted for want of memory, by its count.")
        self.redis_erased = self._counter("redis_erased", "Lists of erased sessions taken out of Redis.")
        self.redis_errors = self._counter("redis_errors", "Failed attempts to write to Redis.")
        self.lag = self._gauge("lag_clicks", "Clicks behind the end of the partition.", ("partition",))
        self.queue = self._gauge("queue_clicks", "Clicks waiting in the worker.")
        self.queue_bytes = self._gauge("queue_bytes", "Bytes of the clicks waiting in the worker.")
        self.partitions = self._gauge("partitions", "Partitions of the clicks assigned to this worker.")
        self.sessions = self._gauge("sessions", "Sessions held by this worker.")
        self.expired = self._counter("sessions_expired", "Idle sessions forgotten.")
        self.erased = self._counter("sessions_erased", "Sessions erased, as their shop asked for.")
        self.clicks_erased = self._counter("clicks_erased", "Clicks that an erase behind them has left without a list.")
        self.state_bytes = self._gauge("state_bytes", "Bytes of the sessions' keys and rows.")
        self.blocked_unknown = self._gauge("blocked_items_unknown", "Blocked items that the model does not know.")
        self.split_sessions = self._counter(
            "split_sessions", "Sessions found in a second partition: producers disagree on the partitioner."
        )
        self.ready = self._gauge("ready", "1 while the worker answers with a model.")
        self.log_left_out = self._counter("log_lines_left_out", "Lines of the log left out, as too many were alike.")
        self.problem = self._gauge("problem", "1 while the worker has this problem; /health has it in words.", ("key",))
        self.standby = self._gauge("standby", "1 while no partition is assigned, as the other workers have all.")
        self.latency = Histogram(
            "nextclick_latency_seconds", "Time by stage.", ("stage",), buckets=_SECONDS, registry=self.registry
        )
        self.unmeasured = self._counter(
            "latency_unmeasured", "Latencies not known: a record's time is none, or ahead of our clock.", ("stage",)
        )
        for stage in ("wait", "total"):
            self.unmeasured.labels(stage)
        self.batch_clicks = Histogram(
            "nextclick_batch_clicks", "Clicks of a micro-batch.", buckets=_CLICKS, registry=self.registry
        )
        self.model = Info("nextclick_model", "The model in service.", registry=self.registry)
        self._expired_before = 0
        self._lagging: set[int] = set()
        self.stages = {stage: self.latency.labels(stage) for stage in STAGES}

    def observe(self, stage: str, seconds: float) -> None:
        """Add a duration of one of STAGES; one below zero (a producer's clock ahead of ours) counts as zero."""
        self.stages[stage].observe(max(seconds, 0.0))

    def reject(self, reason: str) -> None:
        """Count a message sent to the rejected topic; reasons are those of stream.messages.contract.REASONS."""
        self.rejected.labels(reason).inc()

    def transaction(self, outcome: str) -> None:
        """Count a transaction: committed, aborted or fenced."""
        self.transactions.labels(outcome).inc()

    def end(self) -> None:
        """The worker ends, and nothing measures any more: what stands here is right until the process is gone."""
        self.ready.set(0)
        self.standby.set(0)

    def count_lists(self, counts: Counts) -> None:
        """Add what lists made since the last call were like."""
        self.lists_short.inc(counts.short)
        self.lists_filled.inc(counts.filled)
        self.lists_unfiltered.inc(counts.unfiltered)
        self.lists_again.inc(counts.again)
        self.items_hidden.set(counts.hidden)

    def count_embedded(self, found: Embedded) -> None:
        """Say how many items there are that are newer than the model, or changed since, by what becomes of them."""
        self.items_newer.set(found.newer)
        self.items_blank.set(found.blank)
        self.items_left_out.set(found.left_out)
        self.items_changed.set(found.changed)
        self.items_kept.set(found.kept)
        self.items_uncompared.set(found.uncompared)

    def set_model(self, version: str, variant: str, sha256: str) -> None:
        """Say which model is in service from now on."""
        self.model.info({"version": version, "variant": variant, "sha256": sha256})
        self.model_swaps.inc()

    def measure_state(self, *, sessions: int, size: int, expired: int) -> None:
        """Sessions held now, the bytes of their keys and rows, and the idle ones forgotten so far."""
        self.sessions.set(sessions)
        self.state_bytes.set(size)
        self.expired.inc(expired - self._expired_before)
        self._expired_before = expired

    def set_lag(self, lag: Mapping[int, int]) -> None:
        """Replace the lag of all partitions; those not named are no longer ours."""
        for gone in self._lagging - lag.keys():  # a scrape in another thread must miss none of the others
            self.lag.remove(str(gone))
        self._lagging = set(lag)
        for partition, clicks in lag.items():
            self.lag.labels(str(partition)).set(clicks)
        self.partitions.set(len(lag))

    def render(self) -> bytes:
        """All figures as /metrics shows them."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"nextclick_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"nextclick_{name}", text, labels, registry=self.registry)
