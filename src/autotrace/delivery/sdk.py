"""OpenTelemetry's SDK in place of our own tracer: for its samplers, and beside an app's own provider.

Imported only where one of the two is asked for: the SDK takes some 30 ms to import.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider

from .journal import Journal
from .processor import JournalProcessor

#: The attribute of an app's provider that holds our processor: a provider lets none be taken off.
PROCESSOR = "_autotrace_processor"


class OursOnly(JournalProcessor):
    """Journals only the spans that autotrace made: the app's other spans are the app's affair."""

    def turn_to(self, journal: Journal, wake: Callable[[], None]) -> None:
        """Journals there from now on, spans that are open included."""
        self._journal, self._wake = journal, wake

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


def journal_ours(provider: Any, journal: Journal, wake: Callable[[], None]) -> None:
    """Journals our spans of an app's provider: with one processor, however often the settings change."""
    processor = getattr(provider, PROCESSOR, None)
    if isinstance(processor, OursOnly):
        processor.turn_to(journal, wake)
        return
    processor = OursOnly(journal, wake)
    provider.add_span_processor(processor)
    with suppress(AttributeError):  # one with slots
        setattr(provider, PROCESSOR, processor)


def sampled_provider(resource: Resource, journal: Journal, wake: Callable[[], None]) -> TracerProvider:
    """A provider whose sampler is the one that `OTEL_TRACES_SAMPLER` names."""
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(JournalProcessor(journal, wake))
    return provider
