"""Takes spans of our own tracer into the journal: what `processor.py` does for the SDK's spans, without the SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from opentelemetry.trace import SpanKind, StatusCode

from ..recording.guard import guard
from ..recording.tracer import OK, RecordedSpan
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
            self._journal.start(span.key, _encoded(span))
            self._wake()
        except Exception as error:  # noqa: BLE001 (nothing of ours may reach the program)
            guard.report("journal", error)

    def ended(self, span: RecordedSpan) -> None:
        """Journals a finished span."""
        try:
            self._journal.end(span.key, _encoded(span))
            self._wake()
        except Exception as error:  # noqa: BLE001 (nothing of ours may reach the program)
            guard.report("journal", error)


#: The names of kinds and status codes. An enum's own `name` takes ten times as long.
_KINDS = {kind: kind.name.lower() for kind in SpanKind}
_CODES = {code: code.name.lower() for code in StatusCode}


def _encoded(span: RecordedSpan) -> bytes:
    """The span as one line of JSON; the keys are those of encoding.py."""
    parent, status, tracer = span.parent, span.status, span.tracer
    code, message = ("ok", None) if status is OK else (_CODES[status.status_code], status.description)
    body: dict[str, Any] = {
        "parent_id": None if parent is None else f"{parent.span_id:016x}",
        "root": span.is_root,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "start": span.start_time,
        "end": span.end_time,
        "status": code,
        "message": message,
        "scope": tracer.scope,
        "scope_version": tracer.version,
        "attributes": span.attributes,
        "events": _events(span) if span.events else (),
        "links": _links(span) if span.links else (),
    }
    try:
        return orjson.dumps(body)
    except TypeError:
        return dumps(body)


def _events(span: RecordedSpan) -> list[dict[str, Any]]:
    return [{"name": event.name, "time": event.timestamp, "attributes": event.attributes} for event in span.events]


def _links(span: RecordedSpan) -> list[dict[str, Any]]:
    return [
        {
            "trace_id": f"{link.context.trace_id:032x}",
            "span_id": f"{link.context.span_id:016x}",
            "attributes": dict(link.attributes or {}),
        }
        for link in span.links
    ]
