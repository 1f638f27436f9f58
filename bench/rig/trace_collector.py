"""A collector of traces for tests: OTLP over HTTP, kept as it comes. It needs the extra otel."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

__all__ = ["TraceCollector", "TracedSpan"]


class TracedSpan(NamedTuple):
    """One span; ids in hexadecimal."""

    service: str
    name: str
    trace: str
    span: str
    parent: str  # empty: none
    links: frozenset[tuple[str, str]]  # trace and span


class TraceCollector:
    """Takes spans at `url` until `stop`."""

    def __init__(self) -> None:
        self._spans: list[TracedSpan] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._take))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread.start()

    def of(self, service: str, name: str) -> list[TracedSpan]:
        """The spans of this name that a service has sent so far."""
        return [one for one in list(self._spans) if (one.service, one.name) == (service, name)]

    def stop(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            spans = (span for scope in resource.scope_spans for span in scope.spans)
            self._spans += [_span(named["service.name"], span) for span in spans]


def _span(service: str, span: Any) -> TracedSpan:
    links = frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links)
    return TracedSpan(service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), links)


def _handler(take: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
