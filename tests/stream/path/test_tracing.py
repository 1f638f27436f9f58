"""Spans of batches: one tree each, in the order of the steps; none, and no cost, unless they are asked for."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stream.guarantee.publisher import Receipt
from stream.path import tracing
from stream.path.tracing import TracingObserver, traced
from tests.stream.path.test_pipeline import Bench, Silent, scenario
from tests.stream.records import click

sdk = pytest.importorskip("opentelemetry.sdk.trace")


@pytest.fixture
def spans() -> Iterator[tuple[TracingObserver, Any]]:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    yield TracingObserver(Silent(), provider.get_tracer("test")), kept
    provider.shutdown()


def test_batch_is_a_span_with_its_steps_within(spans: tuple[TracingObserver, Any]) -> None:
    observer, kept = spans

    async def run() -> None:
        bench = Bench()
        bench.pipeline._observer = observer
        await bench.publish(2)
        for number, receipt in enumerate(bench.publisher.receipts):
            receipt.set_result(Receipt(number))
        await bench.settle()
        await bench.pipeline.stop()

    scenario(run)
    found = kept.get_finished_spans()
    batches = [span for span in found if span.name == "batch"]
    assert len(batches) == 2
    for batch in batches:
        steps = [one for one in found if one.parent is not None and one.parent.span_id == batch.context.span_id]
        assert [one.name for one in steps] == ["wait", "fold", "rank", "publish"]
        times = [time for one in steps for time in (one.start_time, one.end_time)]
        assert times == sorted(times)
        assert (batch.start_time, batch.end_time) == (times[0], times[-1])
        assert batch.attributes["messaging.batch.message_count"] == 1
        assert batch.attributes["messaging.destination.name"] == "clicks"
    assert observer._times == {}


def test_batch_links_to_the_spans_that_its_clicks_were_sent_in(spans: tuple[TracingObserver, Any]) -> None:
    observer, kept = spans
    sent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    records = [
        replace(click(0, "s", "1"), headers=[("traceparent", sent)]),
        replace(click(1, "s", "2"), headers=[("traceparent", sent), ("other", None)]),
        replace(click(2, "s", "3"), headers=[("traceparent", b"\xff no context")]),
        click(3, "s", "4"),
    ]

    async def run() -> None:
        bench = Bench(max_batch=4)
        bench.pipeline._observer = observer
        bench.batcher.put(bench.clicks, records)
        await bench.published(1)
        bench.publisher.receipts[0].set_result(Receipt(0))
        await bench.settle()
        await bench.pipeline.stop()

    scenario(run)
    [batch] = [span for span in kept.get_finished_spans() if span.name == "batch"]
    assert [f"{link.context.span_id:x}" for link in batch.links] == ["b7ad6b7169203331"]


def test_times_of_batches_that_never_end_are_bounded(
    spans: tuple[TracingObserver, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_MOST", 3)
    observer, kept = spans
    held = [object() for _ in range(10)]
    for one in held:
        observer.prepared(one, 0.1)  # type: ignore[arg-type]
    assert len(observer._times) == 3
    assert kept.get_finished_spans() == ()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_observer_stays_as_it_is_where_no_traces_are_asked_for(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    silent = Silent()
    assert traced(silent, environment) is silent
    assert not caplog.records


def test_traces_that_can_not_be_written_are_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Silent()
    assert traced(silent, {"OTEL_TRACES_EXPORTER": "jaeger"}) is silent
    assert "jaeger is not known" in caplog.text
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert traced(silent, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) is silent
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in caplog.text
    assert "nextclick[otel]" in caplog.text


def test_spans_reach_the_endpoint_of_the_standard_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    bodies: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    observer = traced(Silent(), variables)
    assert isinstance(observer, TracingObserver)
    observer._tracer.start_span("batch").end()
    deadline = time.monotonic() + 20
    while not bodies and time.monotonic() < deadline:
        asyncio.run(asyncio.sleep(0.02))
    server.shutdown()
    server.server_close()
    path, body = bodies[0]
    assert path == "/v1/traces"
    assert b"nextclick-worker" in body
