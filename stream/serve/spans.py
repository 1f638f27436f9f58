"""A span of each POST /clicks, until the broker has its clicks: the child of the caller's, if it says so (W3C Trace
Context), and in the headers of the records, where a worker's batches link to it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from export.traces import tracer_asked
from stream.serve.clicks import ClickWriter, Sound

__all__ = ["ClickSender", "TracedClicks", "click_sender"]


class ClickSender(Protocol):
    """What the handler of clicks asks."""

    async def send(self, clicks: Sequence[Sound], asked: Mapping[str, str]) -> list[tuple[int, int] | str]: ...


class TracedClicks:
    """`send` in place of the writer's own."""

    def __init__(self, writer: ClickWriter, topic: str, tracer: Any) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._writer, self._topic, self._tracer = writer, topic, tracer
        self._kind, self._within, self._context = (
            SpanKind.PRODUCER,
            set_span_in_context,
            TraceContextTextMapPropagator(),
        )

    async def send(self, clicks: Sequence[Sound], asked: Mapping[str, str]) -> list[tuple[int, int] | str]:
        """asked: the request's headers."""
        caller = self._context.extract({name.lower(): value for name, value in asked.items()})
        about = {
            "messaging.system": "kafka",
            "messaging.destination.name": self._topic,
            "messaging.batch.message_count": len(clicks),
        }
        span = self._tracer.start_span("POST /clicks", context=caller, kind=self._kind, attributes=about)
        said: dict[str, str] = {}
        self._context.inject(said, self._within(span))
        try:
            outcome = await self._writer.send(clicks, [(name, value.encode()) for name, value in said.items()])
            span.set_attribute("nextclick.unconfirmed", sum(isinstance(one, str) for one in outcome))
            return outcome
        finally:
            span.end()


class _Plain:
    def __init__(self, writer: ClickWriter) -> None:
        self._writer = writer

    async def send(self, clicks: Sequence[Sound], asked: Mapping[str, str]) -> list[tuple[int, int] | str]:
        return await self._writer.send(clicks)


def click_sender(writer: ClickWriter, topic: str) -> ClickSender:
    """With spans where the environment asks for them."""
    tracer = tracer_asked("nextclick-serve", "a span a request with clicks")
    return _Plain(writer) if tracer is None else TracedClicks(writer, topic, tracer)
