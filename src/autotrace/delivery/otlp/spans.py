"""Records as OTLP's spans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, SpanFlags, Status

from ..destinations import Record
from .evaluations import put_evaluation
from .values import put_attributes, readable

#: The release of the conventions that our own scopes keep to: that of `autotrace.recording.semconv`.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
#: What became of a span that never ended.
OUTCOME, INTERRUPTED = "autotrace.outcome", "interrupted"
INTERRUPTED_MESSAGE = "interrupted: its process ended before it did"

KINDS: Mapping[str, Span.SpanKind.ValueType] = {
    "internal": Span.SpanKind.SPAN_KIND_INTERNAL,
    "server": Span.SpanKind.SPAN_KIND_SERVER,
    "client": Span.SpanKind.SPAN_KIND_CLIENT,
    "producer": Span.SpanKind.SPAN_KIND_PRODUCER,
    "consumer": Span.SpanKind.SPAN_KIND_CONSUMER,
}
STATUSES: Mapping[str, Status.StatusCode.ValueType] = {
    "unset": Status.StatusCode.STATUS_CODE_UNSET,
    "ok": Status.StatusCode.STATUS_CODE_OK,
    "error": Status.StatusCode.STATUS_CODE_ERROR,
}
_SAMPLED = 1
_LOCAL_PARENT = _SAMPLED | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE_PARENT = _LOCAL_PARENT | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK

#: What a dialect makes of a record's attributes.
Translate = Callable[[Record], Mapping[str, Any]]


class Encoded(NamedTuple):
    """A span as OTLP has it, with the scope that it is grouped by."""

    scope: str
    version: str
    span: Span


class Unencodable(ValueError):
    """A record that is no span: something in it has not the type that it should have."""


def encode(record: Record, attributes: Translate | None = None, parent: str | None = None) -> Encoded | None:
    """One record as a span; None for what is none (`S`, `U`).

    Args:
        record: A span that has ended or never will, or feedback.
        attributes: The span's attributes as its reader wants them; as they are when None.
        parent: For feedback on a whole trace: the span that it shall hang from, its root.

    Raises:
        Unencodable: Something in the record has not the type that it should have.
    """
    if record.kind not in ("E", "I", "F"):
        return None
    try:
        span = Span(trace_id=_id(record.trace_id, 16))
        if record.kind == "F":
            put_evaluation(span, record, parent)
            return Encoded("autotrace", "", span)
        _put_span(span, record, record.body["attributes"] if attributes is None else attributes(record))
        body = record.body
        return Encoded(readable(body["scope"] or ""), readable(body["scope_version"] or ""), span)
    except Exception as error:
        raise Unencodable(f"span {record.span_id} of trace {record.trace_id}: {type(error).__name__}") from error


def _put_span(span: Span, record: Record, attributes: Mapping[str, Any]) -> None:
    body = record.body
    parent, start = body["parent_id"], body["start"]
    span.span_id = _id(record.span_id, 8)
    if parent is not None:
        span.parent_span_id = _id(parent, 8)
    span.name = readable(body["name"])
    span.kind = KINDS[body["kind"]]
    span.flags = _REMOTE_PARENT if body["root"] and parent is not None else _LOCAL_PARENT
    span.start_time_unix_nano = start
    for event in body["events"]:
        put = span.events.add(name=readable(event["name"]), time_unix_nano=event["time"])
        put_attributes(put.attributes, event["attributes"])
    for link in body["links"]:
        to = span.links.add(trace_id=_id(link["trace_id"], 16), span_id=_id(link["span_id"], 8), flags=_SAMPLED)
        put_attributes(to.attributes, link["attributes"])
    if record.kind == "E":
        span.end_time_unix_nano = body["end"]
        put_attributes(span.attributes, attributes)
        span.status.code = STATUSES[body["status"]]
        if body["status"] == "error" and body["message"]:
            span.status.message = readable(body["message"])
        return
    span.end_time_unix_nano = max([start, *(event["time"] for event in body["events"])])
    put_attributes(span.attributes, {**attributes, OUTCOME: INTERRUPTED})
    span.status.code = Status.StatusCode.STATUS_CODE_ERROR
    span.status.message = INTERRUPTED_MESSAGE


def _id(digits: str, size: int) -> bytes:
    found = bytes.fromhex(digits)
    if len(found) != size:
        raise ValueError(f"an id of {len(found)} bytes")
    return found


def assemble(spans: Iterable[Encoded], resource: Mapping[str, Any]) -> ExportTraceServiceRequest:
    """Spans of one process as a request, grouped by their scopes.

    Args:
        spans: From `encode`.
        resource: The process's attributes.
    """
    made = ExportTraceServiceRequest()
    of_process = made.resource_spans.add()
    put_attributes(of_process.resource.attributes, resource)
    groups: dict[tuple[str, str], ScopeSpans] = {}
    for scope, version, span in spans:
        group = groups.get((scope, version))
        if group is None:
            group = groups[scope, version] = of_process.scope_spans.add()
            group.scope.name, group.scope.version = scope, version
            if scope.partition(".")[0] == "autotrace":
                group.schema_url = SCHEMA_URL
        group.spans.append(span)
    return made


def request(
    records: Iterable[Record],
    resource: Mapping[str, Any],
    attributes: Translate | None = None,
    rejected: Callable[[Record, Unencodable], None] | None = None,
) -> ExportTraceServiceRequest:
    """Records of one process as a request.

    Args:
        records: Starts and updates among them are passed over.
        resource: The process's attributes.
        attributes: A span's attributes as the reader wants them; as they are when None.
        rejected: Told of each record that is no span; it is left out.
    """
    spans = []
    for record in records:
        try:
            encoded = encode(record, attributes)
        except Unencodable as error:
            if rejected is not None:
                rejected(record, error)
            continue
        if encoded is not None:
            spans.append(encoded)
    return assemble(spans, resource)
