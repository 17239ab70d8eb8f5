"""OTLP's spans as records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, SpanFlags

from ..destinations import Record
from .evaluations import feedback
from .spans import INTERRUPTED, INTERRUPTED_MESSAGE, KINDS, OUTCOME, STATUSES
from .values import attributes_of

_KINDS = {number: name for name, number in KINDS.items()}
_STATUSES = {number: name for name, number in STATUSES.items()}


def records(
    request: ExportTraceServiceRequest, rejected: Callable[[str], None] | None = None
) -> Iterator[tuple[dict[str, Any], Record]]:
    """The spans of a request, whoever made it, each with its process's attributes (one object for each process).

    Args:
        request: What was sent or exported.
        rejected: Told why, for each span that is none: without a valid id, or damaged.
    """
    for of_process in request.resource_spans:
        resource = attributes_of(of_process.resource.attributes)
        for group in of_process.scope_spans:
            for span in group.spans:
                try:
                    yield resource, _record(span, group)
                except (ValueError, TypeError, KeyError) as error:
                    if rejected is not None:
                        rejected(f"span {span.span_id.hex()} of trace {span.trace_id.hex()}: {error}")


def _record(span: Span, group: ScopeSpans) -> Record:
    if not _is_id(span.trace_id, 16) or not _is_id(span.span_id, 8):
        raise ValueError("an id is missing or malformed")
    if span.parent_span_id and len(span.parent_span_id) != 8:
        raise ValueError("the parent's id is malformed")
    given = feedback(span)
    if given is not None:
        return given
    trace_id, span_id, body = span.trace_id.hex(), span.span_id.hex(), _body(span, group)
    if body["attributes"].get(OUTCOME) == INTERRUPTED and body["message"] == INTERRUPTED_MESSAGE:
        attributes = {key: value for key, value in body["attributes"].items() if key != OUTCOME}
        return Record(
            "I", trace_id, span_id, {**body, "end": None, "status": "unset", "message": None, "attributes": attributes}
        )
    return Record("E", trace_id, span_id, body)


def _is_id(found: bytes, size: int) -> bool:
    return len(found) == size and any(found)


def _body(span: Span, group: ScopeSpans) -> dict[str, Any]:
    is_remote = bool(span.flags & SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
    parent = span.parent_span_id.hex() if any(span.parent_span_id) else None
    status = _STATUSES.get(span.status.code, "unset")
    start = span.start_time_unix_nano
    return {
        "parent_id": parent,
        "root": parent is None or is_remote,
        "name": span.name,
        "kind": _KINDS.get(span.kind, "internal"),
        "start": start,
        "end": span.end_time_unix_nano or start,
        "status": status,
        "message": span.status.message or None,
        "scope": group.scope.name or None,
        "scope_version": group.scope.version or None,
        "attributes": attributes_of(span.attributes),
        "events": [
            {"name": event.name, "time": event.time_unix_nano, "attributes": attributes_of(event.attributes)}
            for event in span.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": attributes_of(link.attributes),
            }
            for link in span.links
        ],
    }
