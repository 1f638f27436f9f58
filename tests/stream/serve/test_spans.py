"""A click's trace: from the caller over the request into the headers of its record."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from stream.serve.clicks import ClickWriter, Sound
from stream.serve.spans import TracedClicks, click_sender

sdk = pytest.importorskip("opentelemetry.sdk.trace")
CALLER = "0af7651916cd43dd8448eb211c80319c"


class Writer:
    """Has what it was asked to send."""

    def __init__(self) -> None:
        self.headers: list[Any] = []

    async def send(self, clicks: Sequence[Sound], headers: Sequence[tuple[str, bytes]] = ()) -> list[Any]:
        self.headers.append(headers)
        return [(0, 1), "no broker"]


@pytest.fixture
def kept() -> Iterator[tuple[Any, Any]]:
    """A tracer, and where its spans end."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    found = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    yield provider.get_tracer("test"), found
    provider.shutdown()


def test_request_is_the_callers_child_and_the_records_carry_its_context(kept: tuple[Any, Any]) -> None:
    tracer, found = kept
    writer = Writer()
    traced = TracedClicks(cast(ClickWriter, writer), "clicks", tracer)
    clicks = [Sound(b"s", b"{}"), Sound(b"t", b"{}")]
    assert asyncio.run(traced.send(clicks, {"Traceparent": f"00-{CALLER}-b7ad6b7169203331-01"})) == [
        (0, 1),
        "no broker",
    ]
    [span] = found.get_finished_spans()
    assert (span.name, f"{span.context.trace_id:032x}", span.parent.span_id) == (
        "POST /clicks",
        CALLER,
        0xB7AD6B7169203331,
    )
    assert (span.attributes["messaging.batch.message_count"], span.attributes["nextclick.unconfirmed"]) == (2, 1)
    assert writer.headers == [[("traceparent", f"00-{CALLER}-{span.context.span_id:016x}-01".encode())]]


def test_request_of_a_caller_who_says_nothing_begins_a_trace(kept: tuple[Any, Any]) -> None:
    tracer, found = kept
    writer = Writer()
    asyncio.run(TracedClicks(cast(ClickWriter, writer), "clicks", tracer).send([], {}))
    assert found.get_finished_spans()[0].parent is None
    assert [name for name, _ in writer.headers[0]] == ["traceparent"]


def test_records_have_no_headers_where_no_traces_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    writer = Writer()
    asyncio.run(click_sender(cast(ClickWriter, writer), "clicks").send([], {"traceparent": "00-1-2-01"}))
    assert writer.headers == [()]
