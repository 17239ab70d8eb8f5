"""Spans by OpenTelemetry's API: the same calls for every tracer that has it."""

from __future__ import annotations

from opentelemetry.trace import ProxyTracerProvider, TracerProvider

from . import ATTRIBUTES, SPANS

#: Set by the tracer's module.
provider: TracerProvider = ProxyTracerProvider()


def trace() -> None:
    """Makes one trace."""
    tracer = provider.get_tracer("bench")
    with tracer.start_as_current_span("work", attributes=ATTRIBUTES):
        for _ in range(SPANS - 1):
            with tracer.start_as_current_span("step", attributes=ATTRIBUTES):
                pass
