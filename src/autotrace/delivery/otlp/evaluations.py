"""Feedback as a span without length, by OpenTelemetry's conventions for evaluations; and back.

The conventions know an event on the span that was judged; that span has left by then. The attributes stand on the
span and on its one event, for readers of either. What the conventions have no word for stands under
`autotrace.feedback.*`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status

from ..destinations import WHOLE_TRACE, Record
from ..encoding import dumps
from .values import attributes_of, put_attributes, readable

_ID = "autotrace.feedback.id"
_TYPE = "autotrace.feedback.type"
_VALUE = "autotrace.feedback.value"
_OF_TRACE = "autotrace.feedback.of_trace"
_SOURCE_TYPE = "autotrace.feedback.source_type"
_SOURCE = "autotrace.feedback.source"
_METADATA = "autotrace.feedback.metadata"
_NAME = "gen_ai.evaluation.name"
_EXPLANATION = "gen_ai.evaluation.explanation"


def put_evaluation(span: Span, record: Record, parent: str | None) -> None:
    """Fills a span from feedback, the same one for the same feedback.

    Args:
        span: With its trace id.
        record: Of kind `F`.
        parent: What feedback on the whole trace hangs from; from nothing when None.
    """
    body = record.body
    of_trace = record.span_id == WHOLE_TRACE
    above = parent if of_trace else record.span_id
    span.span_id = sha256(body["id"].encode("utf-8", "replace")).digest()[:8]
    if above is not None:
        span.parent_span_id = bytes.fromhex(above)
    span.name = readable(f"evaluation {body['name']}")
    span.kind = Span.SpanKind.SPAN_KIND_INTERNAL
    span.flags = 1 | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
    span.start_time_unix_nano = span.end_time_unix_nano = body["time"]
    span.status.code = Status.StatusCode.STATUS_CODE_OK
    evaluation = {_NAME: body["name"], **_score(body), _EXPLANATION: body["comment"]}
    own = {
        "openinference.span.kind": "EVALUATOR",
        _ID: body["id"],
        _TYPE: body["type"],
        _VALUE: dumps(body["value"]).decode("utf-8"),
        _OF_TRACE: of_trace,
        _SOURCE_TYPE: body["source_type"],
        _SOURCE: body["source"],
        _METADATA: dumps(body["metadata"]).decode("utf-8"),
    }
    put_attributes(span.attributes, {**evaluation, **own})
    event = span.events.add(name="gen_ai.evaluation.result", time_unix_nano=body["time"])
    put_attributes(event.attributes, evaluation)


def _score(body: dict[str, Any]) -> dict[str, Any]:
    """The value as a number, a label or both; what should have come out is no score."""
    value = body["value"]
    if body["type"] != "feedback":
        return {}
    found: dict[str, Any] = {}
    if isinstance(value, int | float):
        found["gen_ai.evaluation.score.value"] = float(value)
    if isinstance(value, str):
        found["gen_ai.evaluation.score.label"] = value
    elif isinstance(value, bool):
        found["gen_ai.evaluation.score.label"] = "true" if value else "false"
    return found


def feedback(span: Span) -> Record | None:
    """The feedback that a span was made of; None when it was not.

    Raises:
        ValueError: It says that it was, but is damaged.
    """
    attributes = attributes_of(span.attributes)
    if _ID not in attributes:
        return None
    body = {
        "id": attributes[_ID],
        "type": attributes.get(_TYPE, "feedback"),
        "name": attributes.get(_NAME, ""),
        "value": orjson.loads(attributes.get(_VALUE, "null")),
        "comment": attributes.get(_EXPLANATION),
        "source_type": attributes.get(_SOURCE_TYPE, "code"),
        "source": attributes.get(_SOURCE),
        "time": span.start_time_unix_nano,
        "metadata": orjson.loads(attributes.get(_METADATA, "{}")),
    }
    of_trace = attributes.get(_OF_TRACE) or not span.parent_span_id
    return Record("F", span.trace_id.hex(), WHOLE_TRACE if of_trace else span.parent_span_id.hex(), body)
