"""OpenTelemetry's SDK in place of our own tracer: for its samplers, and beside an app's own provider.

Imported only where one of the two is asked for: the SDK takes some 30 ms to import.
"""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider

from .journal import Journal
from .processor import JournalProcessor


class OursOnly(JournalProcessor):
    """Journals only the spans that autotrace made: the app's other spans are the app's affair."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Journals the start of one of our roots."""
        if _is_ours(span):
            super().on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Journals one of our spans."""
        if _is_ours(span):
            super().on_end(span)


def _is_ours(span: ReadableSpan) -> bool:
    scope = span.instrumentation_scope
    return scope is not None and scope.name.partition(".")[0] == "autotrace"


def sampled_provider(resource: Resource, journal: Journal, wake: Callable[[], None]) -> TracerProvider:
    """A provider whose sampler is the one that `OTEL_TRACES_SAMPLER` names."""
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(JournalProcessor(journal, wake))
    return provider
