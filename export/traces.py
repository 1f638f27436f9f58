"""OpenTelemetry, for those who ask for it by its own variables.

OTEL_TRACES_EXPORTER (otlp, console, none), or an endpoint in OTEL_EXPORTER_OTLP_ENDPOINT or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; sampling, service name and the rest are its SDK's to read. It takes the extra
`otel`. Not asked for, nothing is imported.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

__all__ = ["tracer_asked"]

log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_MISSING = "traces are asked for by %s, and none are written: pip install 'nextclick[otel]' (%s)"


def tracer_asked(service: str, spans: str, environment: Mapping[str, str] = os.environ) -> Any | None:
    """The tracer of a service, whose name OTEL_SERVICE_NAME may be instead; None where traces are not asked for, or
    can't be had, which is said. spans: what they are of, for the log."""
    kind = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    asked = next((name for name in ("OTEL_TRACES_EXPORTER", *_ENDPOINTS) if environment.get(name)), None)
    if asked is None or kind == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if kind not in ("", "otlp", "console"):
        log.warning("OTEL_TRACES_EXPORTER=%s is not known here: say otlp, console or none; no traces are written", kind)
        return None
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = environment.get("OTEL_SERVICE_NAME") or service
        provider = TracerProvider(resource=Resource.create({"service.name": named}))
        provider.add_span_processor(BatchSpanProcessor(_exporter(kind)))
    except ImportError as error:
        log.warning(_MISSING, asked, error)
        return None
    log.info("traces are written: %s, by %s", spans, kind or "otlp")
    return provider.get_tracer("nextclick")


def _exporter(kind: str) -> Any:
    if kind == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
