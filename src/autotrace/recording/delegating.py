"""The tracer provider that an instrumentor of another project is given, and its tracers: their spans are ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanKind
from opentelemetry.util.types import Attributes

from .current import completed, current_context
from .delegated import DelegatedSpan, Source, Translate
from .encoding import readable
from .guard import guard
from .recorder import Recorder
from .suppression import is_suppressed


class DelegatedProvider(trace.TracerProvider):
    """The provider that an instrumentor is given.

    Args:
        recorder: Opens and ends the spans; owns no model calls (recording/usage.py).
        translate: Says what they are.

    Attributes:
        is_on: Whether spans are made. False where an instrumentor that was switched off still asks for some.
    """

    def __init__(self, recorder: Recorder, translate: Translate) -> None:
        self.recorder = recorder
        self.translate = translate
        self.is_on = True

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> DelegatedTracer:
        """A tracer for one instrumentor. Its name becomes an attribute: the scope of the spans is ours."""
        return DelegatedTracer(self, readable(str(instrumenting_module_name)))


class DelegatedTracer(trace.Tracer):
    """Starts spans for an instrumentor."""

    def __init__(self, provider: DelegatedProvider, instrumentor: str) -> None:
        self._provider = provider
        self._source = Source(provider.recorder, provider.translate, instrumentor)

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Starts a span, the child of the one in `context`; where nothing is traced, one that records nothing."""
        provider = self._provider
        within = current_context() if context is None else completed(context)
        if provider.is_on and not is_suppressed(within, provider.recorder.name, False):
            try:
                span = DelegatedSpan(self._source, str(name), within, kind, dict(attributes or {}), start_time)
                for link in links or ():
                    span.add_link(link.context, link.attributes)
                return span
            except Exception as error:  # noqa: BLE001 (the app's own tracer)
                guard.report(f"{provider.recorder.name}: start of an instrumentor's span", error)
        return NonRecordingSpan(trace.get_current_span(within).get_span_context())

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        """Starts a span and makes it the current one."""
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span
