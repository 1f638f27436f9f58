"""Traces of OpenTelemetry: a span a batch, with what it spent its time on. For those who ask for them.

    batch      one micro-batch, from its first click's record to the broker's confirmation
    |- wait    from that record's own timestamp until the batch began: in the broker, fetched, in the line
    |- fold    decoded, and folded into sessions
    |- rank    the run of the inference thread that it was part of
    |- publish handed to the producer, until the broker has it

They are asked for by OpenTelemetry's own variables: OTEL_TRACES_EXPORTER (otlp, console, none), or an endpoint in
OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; sampling, service name and the rest are its SDK's to
read. It takes the extra `otel`. Not asked for, the pipeline's observer stays as it is, and nothing is imported.
"""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from stream.guarantee.publisher import Outgoing
from stream.messages.record_time import sane_record_time_ms
from stream.path.commit import Prepared
from stream.path.inference import Ranked
from stream.path.pipeline import Observer

__all__ = ["TracingObserver", "traced"]

log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_MOST = 1024  # batches whose times are kept; those of partitions that were given up never end
_SERVICE = "nextclick-worker"
_MISSING = "traces are asked for by %s, and none are written: pip install 'nextclick[otel]' (%s)"


class _Times(NamedTuple):
    """Nanoseconds since the epoch."""

    folded_from: int
    folded: int
    ranked_from: int = 0
    ranked: int = 0


class TracingObserver:
    """Tells all to `observer` first. Lives on the event loop; spans are exported by a thread of the SDK's."""

    def __init__(self, observer: Observer, tracer: Any) -> None:
        from opentelemetry.trace import set_span_in_context

        self._observer, self._tracer, self._within = observer, tracer, set_span_in_context
        self._times: dict[int, _Times] = {}

    def prepared(self, prepared: Prepared, seconds: float) -> None:
        """Steps 1 and 2 are done."""
        self._observer.prepared(prepared, seconds)
        now = time.time_ns()
        if len(self._times) >= _MOST:
            del self._times[next(iter(self._times))]
        self._times[id(prepared)] = _Times(now - int(seconds * 1e9), now)

    def ranked(self, prepared: Prepared, ranked: Ranked) -> None:
        """Steps 3 and 4 are done."""
        self._observer.ranked(prepared, ranked)
        times = self._times.get(id(prepared))
        if times is not None:
            now = time.time_ns()
            since_s = min(max(time.monotonic() - ranked.at, 0.0), 60.0)  # it may have waited for its turn since
            end = max(now - int(since_s * 1e9), times.folded)
            begun = max(end - int(ranked.seconds * 1e9), times.folded)
            self._times[id(prepared)] = times._replace(ranked_from=begun, ranked=end)

    def confirmed(self, prepared: Prepared, ranked: Ranked, messages: list[Outgoing], seconds: float) -> None:
        """Steps 5 to 7 are done."""
        self._observer.confirmed(prepared, ranked, messages, seconds)
        times = self._times.pop(id(prepared), None)
        if times is not None and times.ranked:
            self._tell(prepared, ranked, messages, times, seconds)

    def _tell(
        self, prepared: Prepared, ranked: Ranked, messages: list[Outgoing], times: _Times, seconds: float
    ) -> None:
        records, partition, now = prepared.batch.records, prepared.batch.partition, time.time_ns()
        sent_ms = sane_record_time_ms(records[0].timestamp)
        begun = times.folded_from if sent_ms is None else min(sent_ms * 1_000_000, times.folded_from)
        about = {
            "messaging.system": "kafka",
            "messaging.destination.name": partition.topic,
            "messaging.destination.partition.id": str(partition.number),
            "messaging.batch.message_count": len(records),
            "messaging.kafka.offset": records[0].offset,
            "nextclick.sessions": len(prepared.sessions),
            "nextclick.rejected": len(prepared.rejected),
            "nextclick.messages": len(messages),
            "nextclick.model": ranked.model,
        }
        batch = self._tracer.start_span("batch", start_time=begun, attributes=about)
        within = self._within(batch)
        clicks = {"messaging.batch.message_count": len(records)}
        for name, start, end in (
            ("wait", begun, times.folded_from),
            ("fold", times.folded_from, times.folded),
            ("rank", times.ranked_from, times.ranked),
            ("publish", max(now - int(seconds * 1e9), times.ranked), now),
        ):
            self._tracer.start_span(name, context=within, start_time=start, attributes=clicks).end(end_time=end)
        batch.end(end_time=now)


def traced(observer: Observer, environment: Mapping[str, str] = os.environ) -> Observer:
    """The observer, with spans where the environment asks for them; where they can't be had that is said."""
    kind = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    asked = next((name for name in ("OTEL_TRACES_EXPORTER", *_ENDPOINTS) if environment.get(name)), None)
    if asked is None or kind == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return observer
    if kind not in ("", "otlp", "console"):
        log.warning("OTEL_TRACES_EXPORTER=%s is not known here: say otlp, console or none; no traces are written", kind)
        return observer
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = environment.get("OTEL_SERVICE_NAME") or _SERVICE
        provider = TracerProvider(resource=Resource.create({"service.name": named}))
        provider.add_span_processor(BatchSpanProcessor(_exporter(kind)))
    except ImportError as error:
        log.warning(_MISSING, asked, error)
        return observer
    log.info("traces are written: a span a batch, by %s", kind or "otlp")
    return TracingObserver(observer, provider.get_tracer("nextclick"))


def _exporter(kind: str) -> Any:
    if kind == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
