"""OpenTelemetry's SDK, its BatchSpanProcessor and its OTLP exporter, as its documentation sets them up."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from . import api


def begin() -> None:
    """Makes the provider."""
    api.provider = TracerProvider()
    api.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


trace = api.trace


def flush(seconds: float) -> bool:
    """Delivers what there is."""
    return bool(api.provider.force_flush(int(seconds * 1000)))  # type: ignore[attr-defined]
