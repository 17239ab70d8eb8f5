"""Takes spans of our own tracer into the journal: what `processor.py` does for the SDK's spans, without the SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ..recording.guard import guard
from ..recording.tracer import RecordedSpan
from .encoding import dumps
from .journal import Journal


class JournalSink:
    """Journals the start of each local root span and the end of every span. Never raises.

    Args:
        journal: Where the lines go.
        wake: Called after each line, in the thread that ended the span: the drainer's `wake`.
    """

    def __init__(self, journal: Journal, wake: Callable[[], None]) -> None:
        self._journal = journal
        self._wake = wake

    def started(self, span: RecordedSpan) -> None:
        """Journals the start of a local root span."""
        try:
            self._journal.start(_key(span), _encoded(span))
            self._wake()
        except Exception as error:  # noqa: BLE001 (nothing of ours may reach the program)
            guard.report("journal", error)

    def ended(self, span: RecordedSpan) -> None:
        """Journals a finished span."""
        try:
            self._journal.end(_key(span), _encoded(span))
            self._wake()
        except Exception as error:  # noqa: BLE001 (nothing of ours may reach the program)
            guard.report("journal", error)


def _key(span: RecordedSpan) -> str:
    context = span.get_span_context()
    return f"{context[0]:032x} {context[1]:016x}"


def _encoded(span: RecordedSpan) -> bytes:
    """The span as one line of JSON; the keys are those of encoding.py."""
    parent, status, tracer = span.parent, span.status, span.tracer
    body: dict[str, Any] = {
        "parent_id": None if parent is None else f"{parent.span_id:016x}",
        "root": span.is_root,
        "name": span.name,
        "kind": span.kind.name.lower(),
        "start": span.start_time,
        "end": span.end_time,
        "status": status.status_code.name.lower(),
        "message": status.description,
        "scope": tracer.scope,
        "scope_version": tracer.version,
        "attributes": span.attributes,
        "events": [{"name": e.name, "time": e.timestamp, "attributes": e.attributes} for e in span.events],
        "links": [
            {
                "trace_id": f"{link.context.trace_id:032x}",
                "span_id": f"{link.context.span_id:016x}",
                "attributes": dict(link.attributes or {}),
            }
            for link in span.links
        ],
    }
    try:
        return orjson.dumps(body)
    except TypeError:
        return dumps(body)
