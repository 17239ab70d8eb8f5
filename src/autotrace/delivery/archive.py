"""Whole traces as lines of OTLP's JSON, with what OTLP has no word for; and back.

What a trace's spans and feedback become is said in `autotrace.delivery.otlp`. Beside that, a span that still runs
(`S`) ends where it began, with `autotrace.outcome` = `running`; what was said of a trace later (`U`) is a span without
length, with the record's body as JSON in `autotrace.update`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from . import otlp
from .destinations import WHOLE_TRACE, Record
from .encoding import dumps

UPDATE = "autotrace.update"
_OUTCOME, _RUNNING = "autotrace.outcome", "running"


def line(groups: Iterable[tuple[Iterable[Record], Mapping[str, Any]]], rejected: Callable[[str], None]) -> bytes:
    """One trace as a line, without its newline; empty when nothing of it can be said in OTLP.

    Args:
        groups: The trace's records by process, and each process's attributes.
        rejected: Told why, for each record that cannot be exported.
    """
    whole = ExportTraceServiceRequest()
    parts = [(list(records), resource) for records, resource in groups]
    root = _root(record for records, _ in parts for record in records)
    for records, resource in parts:
        encoded = []
        for record in records:
            try:
                found = otlp.encode(_exported(record, root), parent=root)
            except otlp.Unencodable as error:
                rejected(str(error))
                continue
            if found is not None:
                encoded.append(found)
        if encoded:
            whole.MergeFrom(otlp.assemble(encoded, resource))
    return otlp.to_json(whole) if whole.resource_spans else b""


def records(text: bytes, rejected: Callable[[str], None]) -> Iterator[tuple[dict[str, Any], Record]]:
    """The records of a line, whoever wrote it, each with its process's attributes.

    Args:
        text: The line.
        rejected: Told why, for each span that is none.

    Raises:
        ValueError: It is no line of OTLP's JSON.
    """
    for resource, record in otlp.records(otlp.from_json(text), rejected):
        try:
            yield resource, _imported(record)
        except (ValueError, TypeError) as error:
            rejected(f"span {record.span_id} of trace {record.trace_id}: {error}")


def _exported(record: Record, root: str | None) -> Record:
    if record.kind == "S":
        body = record.body
        attributes = {**body["attributes"], _OUTCOME: _RUNNING}
        ended = {**body, "end": body["start"], "attributes": attributes}
        return Record("E", record.trace_id, record.span_id, ended)
    if record.kind == "U":
        return _update_span(record, root)
    return record


def _update_span(record: Record, root: str | None) -> Record:
    text = dumps(record.body)
    time = record.body["time"]
    body = {
        "parent_id": root,
        "root": False,
        "name": "update",
        "kind": "internal",
        "start": time,
        "end": time,
        "status": "unset",
        "message": None,
        "scope": "autotrace",
        "scope_version": None,
        "attributes": {UPDATE: text.decode()},
        "events": [],
        "links": [],
    }
    return Record("E", record.trace_id, sha256(record.trace_id.encode() + text).hexdigest()[:16], body)


def _imported(record: Record) -> Record:
    attributes = record.body.get("attributes", {})
    if record.kind == "E" and isinstance(attributes.get(UPDATE), str):
        return Record("U", record.trace_id, WHOLE_TRACE, orjson.loads(attributes[UPDATE]))
    if record.kind == "E" and attributes.get(_OUTCOME) == _RUNNING:
        left = {key: value for key, value in attributes.items() if key != _OUTCOME}
        return Record("S", record.trace_id, record.span_id, {**record.body, "end": None, "attributes": left})
    return record


def _root(found: Iterable[Record]) -> str | None:
    """The span that what is said of the whole trace hangs from."""
    roots = [record for record in found if record.kind in "SEI" and record.body["root"]]
    return (
        min(roots, key=lambda record: (record.body["parent_id"] is not None, record.body["start"])).span_id
        if roots
        else None
    )
