"""Takes spans from OpenTelemetry into the journal."""

from __future__ import annotations

import logging
from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from .encoding import encode
from .journal import Journal

logger = logging.getLogger("autotrace")

#: Ended spans that are remembered at least, for children that start later.
ENDED = 5_000
#: Open spans; more come from a program that never ends its spans.
OPEN = 100_000


class Family:
    """The spans that may be parents: all that are open, and those that ended lately."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._ended_before: set[int] = set()

    def __contains__(self, span_id: int) -> bool:
        return span_id in self._open or span_id in self._ended or span_id in self._ended_before

    def add(self, span_id: int) -> None:
        """Takes in a span that starts."""
        if len(self._open) >= OPEN:
            self._open = set()
        self._open.add(span_id)

    def end(self, span_id: int) -> None:
        """Takes note that a span has ended."""
        self._ended.add(span_id)
        self._open.discard(span_id)
        if len(self._ended) >= ENDED:
            self._ended_before, self._ended = self._ended, set()


class JournalProcessor(SpanProcessor):
    """Journals the start of each local root span and the end of every span. Never raises.

    A local root is a span without a parent, or whose parent did not pass through here: a remote
    one, or one of the application's own OpenTelemetry setup.

    Args:
        journal: Where the lines go.
        on_end: Called after each line, in the thread that ended the span: the drainer's `wake`.
    """

    def __init__(self, journal: Journal, on_end: Callable[[], None]) -> None:
        self._journal = journal
        self._wake = on_end
        self._family = Family()
        #: Spans lost to an error of ours.
        self.failures = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Journals the start of a local root span."""
        try:
            context = span.get_span_context()
            if context is None or not context.trace_flags.sampled:
                return
            self._family.add(context.span_id)
            if not self._is_root(span):
                return
            key = f"{context.trace_id:032x} {context.span_id:016x}"
            self._journal.start(key, encode(span, True))
            self._wake()
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the program
            self._failed(error)

    def on_end(self, span: ReadableSpan) -> None:
        """Journals a finished span."""
        try:
            context = span.get_span_context()
            if context is None or not context.trace_flags.sampled:
                return
            key = f"{context.trace_id:032x} {context.span_id:016x}"
            parent = span.parent
            root = parent is None or parent.is_remote or self._journal.is_open(key)
            self._family.end(context.span_id)
            self._journal.end(key, encode(span, root))
            self._wake()
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the program
            self._failed(error)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits here: what has ended is in the journal.

        Older OpenTelemetry (1.30) takes the base class's None for a failure of the app's whole provider.
        """
        return True

    def _is_root(self, span: ReadableSpan) -> bool:
        parent = span.parent
        return parent is None or parent.is_remote or parent.span_id not in self._family

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        if self.failures == 1:
            logger.error("a span could not be journalled: %r (said once)", error, exc_info=error)
