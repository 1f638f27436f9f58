"""Traces of OpenTelemetry: a span a batch, with what it spent its time on. For those who ask for them.

    batch      one micro-batch, from its first click's record to the broker's confirmation
    |- wait    from that record's own timestamp until the batch began: in the broker, fetched, in the line
    |- fold    decoded, and folded into sessions
    |- rank    the run of the inference thread that it was part of
    |- publish handed to the producer, until the broker has it

`batch` links to the spans that its clicks were sent in, where their records have a header `traceparent` (W3C Trace
Context). Asked for by OpenTelemetry's variables (export/traces.py); else the pipeline's observer stays as it is.
"""

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from export.traces import tracer_asked
from stream.guarantee.publisher import Outgoing
from stream.messages.record_time import sane_record_time_ms
from stream.path.commit import Prepared
from stream.path.inference import Ranked
from stream.path.pipeline import Observer

__all__ = ["TracingObserver", "traced"]

_MOST = 1024  # batches whose times are kept; those of partitions that were given up never end
_LINKS = 32  # of a batch, at most


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
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._observer, self._tracer, self._within = observer, tracer, set_span_in_context
        self._extract = TraceContextTextMapPropagator().extract
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
        links = self._links(records)
        batch = self._tracer.start_span("batch", start_time=begun, attributes=about, links=links)
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

    def _links(self, records: Sequence[Any]) -> list[Any]:
        """To the spans in which the batch's clicks were sent, the first ones, each once."""
        from opentelemetry.trace import Link, get_current_span

        said = (value for one in records for name, value in one.headers if name == "traceparent" and value is not None)
        found = []
        for value in itertools.islice(dict.fromkeys(said), _LINKS):
            context = get_current_span(
                self._extract({"traceparent": value.decode("ascii", "replace")})
            ).get_span_context()
            if context.is_valid:
                found.append(Link(context))
        return found


def traced(observer: Observer, environment: Mapping[str, str] = os.environ) -> Observer:
    """The observer, with spans where the environment asks for them; where they can't be had that is said."""
    tracer = tracer_asked("nextclick-worker", "a span a batch", environment)
    return observer if tracer is None else TracingObserver(observer, tracer)
