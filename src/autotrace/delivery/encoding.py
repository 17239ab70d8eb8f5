"""A span as the JSON of a journal line.

The keys: parent_id (16 hexadecimal digits or null), root (bool), name, kind (`internal`, `client`, ...),
start and end (ns since 1970; end is null while the span runs), status (`ok`, `error`, `unset`), message (of
the status, or null), scope, scope_version, attributes, events ([{name, time, attributes}]), links
([{trace_id, span_id, attributes}]). Trace id and span id stand in the line's head.

Feedback (kind `F`) has these keys: id (32 hexadecimal digits: what is given again under the same id takes the place of
what was given before, the later `time` counts), type (`feedback` or `expectation`), name, value (true, false, a number,
a text, or any JSON for an expectation), comment (or null), source_type (`human`, `llm_judge` or `code`), source (who or
what gave it, or null), time (ns since 1970), metadata (texts by name).

An update of a trace (kind `U`) has: time (ns since 1970), and name, session, user (null where nothing is said of it)
and tags (values by name, added to those that are there).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from opentelemetry.trace import Link, SpanKind, StatusCode

if TYPE_CHECKING:  # the journal imports this module, and works without the SDK
    from opentelemetry.sdk.trace import Event, ReadableSpan

# The name of an enum's member takes longer to ask for than to look up.
_KINDS = {kind: kind.name.lower() for kind in SpanKind}
_STATUSES = {code: code.name.lower() for code in StatusCode}
_INT64 = range(-(2**63), 2**64)
_DEPTH = 100


def encode(span: ReadableSpan, root: bool) -> bytes:
    """The span as one line of JSON (orjson writes no raw newline)."""
    parent, status, scope = span.parent, span.status, span.instrumentation_scope
    end, links = span.end_time, span.links
    # What has just started has no events yet.
    events = () if end is None else span.events
    body = {
        "parent_id": None if parent is None else format(parent.span_id, "016x"),
        "root": root,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "start": span.start_time,
        "end": end,
        "status": _STATUSES[status.status_code],
        "message": status.description,
        "scope": None if scope is None else scope.name,
        "scope_version": None if scope is None else scope.version,
        "attributes": _copy(span.attributes),
        "events": [_event(event) for event in events] if events else (),
        "links": [_link(link) for link in links] if links else (),
    }
    return dumps(body)


def _event(event: Event) -> dict[str, Any]:
    return {"name": event.name, "time": event.timestamp, "attributes": _copy(event.attributes)}


def _link(link: Link) -> dict[str, Any]:
    context = link.context
    return {
        "trace_id": format(context.trace_id, "032x"),
        "span_id": format(context.span_id, "016x"),
        "attributes": _copy(link.attributes),
    }


def dumps(body: dict[str, Any]) -> bytes:
    """JSON of anything: what JSON has no word for becomes text, and NaN null."""
    try:
        return orjson.dumps(body)
    except TypeError:  # a lone surrogate, an integer beyond 64 bits, bytes, a stranger
        return orjson.dumps(_plain(body, 0))


def _copy(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    if not attributes:
        return {}
    try:
        # OpenTelemetry's own mapping copies its dict far faster than iteration would.
        copy = attributes.copy()  # type: ignore[attr-defined]
    except AttributeError:
        copy = None
    return copy if type(copy) is dict else dict(attributes)


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if value in _INT64 else str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    if depth < _DEPTH and isinstance(value, Mapping):
        return {_plain(str(key), depth): _plain(item, depth + 1) for key, item in value.items()}
    if depth < _DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return _plain(str(value), depth)
