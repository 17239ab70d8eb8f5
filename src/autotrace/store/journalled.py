"""A trace of the store as the records that it came as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from . import payload
from .feedback import WHOLE_TRACE, Feedback, body_of

_KINDS = {"running": "S", "interrupted": "I"}
COLUMNS = "id, trace_id, span_id, parent_id, root, name, status, start_ns, end_ns"


class Entry(NamedTuple):
    """A record: kind, ids and body as in the journal (`autotrace.delivery.encoding`)."""

    kind: str
    trace_id: str
    span_id: str
    body: dict[str, Any]


@dataclass(slots=True)
class Group:
    """What came from one process.

    Attributes:
        resource: The process's attributes.
        entries: Spans in the order in which they were stored; then feedback and updates, in the first group.
    """

    resource: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)


def span_entry(row: tuple[Any, ...], content: bytes) -> tuple[Entry, dict[str, Any]]:
    """The record of a span, from a row of `COLUMNS` and its payload; and the resource.

    Raises:
        ValueError: The payload is damaged.
    """
    _, trace_id, span_id, parent, root, name, status, start, end = row
    found = payload.decode(content)
    attributes = _mapping(found.get("attributes"))
    body = {
        "parent_id": parent,
        "root": bool(root),
        "name": found.get("name", name),
        "kind": found.get("kind") or "internal",
        "start": start,
        "end": end,
        # The older payloads do not say.
        "status": found.get("status", "error" if status == "error" else "unset"),
        "message": found.get("message"),
        "scope": found.get("scope"),
        "scope_version": found.get("scope_version"),
        "attributes": attributes,
        "events": found.get("events") or [],
        "links": found.get("links") or [],
    }
    return Entry(_KINDS.get(status, "E"), trace_id, span_id, body), _mapping(found.get("resource"))


def grouped(
    spans: Iterable[tuple[Entry, dict[str, Any]]],
    trace_id: str,
    feedback: Iterable[Feedback],
    updates: Iterable[str],
) -> list[Group]:
    """All of a trace, by process.

    Args:
        spans: Each with its resource.
        trace_id: The trace's.
        feedback: On the trace.
        updates: Their `content`.
    """
    groups: dict[bytes, Group] = {}
    for entry, resource in spans:
        key = orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
        if key not in groups:
            groups[key] = Group(resource)
        groups[key].entries.append(entry)
    said = [Entry("U", trace_id, WHOLE_TRACE, body_of(content)) for content in updates]
    said += [Entry("F", trace_id, each.span_id or WHOLE_TRACE, each.body()) for each in feedback]
    found = list(groups.values())
    if said:
        found = found or [Group({})]
        found[0].entries.extend(said)
    return found


def _mapping(value: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}
