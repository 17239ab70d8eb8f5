"""Turns journal records into rows of the store."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from . import payload
from .texts import texts

if TYPE_CHECKING:
    from .writer import Record

logger = logging.getLogger("autotrace")

COLUMNS = (
    "trace_id",
    "span_id",
    "parent_id",
    "root",
    "name",
    "operation",
    "status",
    "start_ns",
    "end_ns",
    "provider",
    "model",
    "framework",
    "error_type",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "ttft_ns",
    "session",
    "user",
    "environment",
    "service",
    "release",
    "target",
)

PLUGIN_SCOPE = "autotrace.plugins."
_RANK = {"S": 0, "I": 1, "E": 2}


class Row(NamedTuple):
    """One span: the values of `COLUMNS`, the payload's bytes, and what can be searched (nothing while it runs)."""

    status: str
    values: tuple[Any, ...]
    payload: bytes
    texts: list[str]


class Sink:
    """Makes rows of records that share one resource.

    Args:
        resource: Attributes of the process that the records come from.
    """

    def __init__(self, resource: Mapping[str, Any]) -> None:
        self.resource = resource
        #: Records of the last call that no row could be made of.
        self.rejected = 0
        self._json = orjson.Fragment(orjson.dumps(dict(resource), default=str))
        self._columns = (
            _text(resource.get("deployment.environment.name")),
            _service(resource.get("service.name")),
            _text(resource.get("service.version")),
        )

    def rows(self, records: Iterable[Record]) -> dict[tuple[str, str], Row]:
        """One row a span, by trace id and span id: of several records the one that knows most."""
        best: dict[tuple[str, str], Record] = {}
        for record in records:
            key = (record.trace_id, record.span_id)
            other = best.get(key)
            if other is None or _RANK[other.kind] <= _RANK[record.kind]:
                best[key] = record
        self.rejected = 0
        rows = {}
        for key, record in best.items():
            try:
                rows[key] = self._row(record)
            except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
                self.rejected += 1
                logger.warning("span %s of trace %s cannot be stored: %r", key[1], key[0], error)
        return rows

    def _row(self, record: Record) -> Row:
        body = record.body
        attributes = body["attributes"]
        get = attributes.get
        status = _status(record.kind, body["status"], get("autotrace.outcome"))
        root = bool(body["root"])
        values = (
            record.trace_id,
            record.span_id,
            _text(body["parent_id"]),
            int(root),
            (root and _text(get("autotrace.trace.name"))) or str(body["name"]),
            _text(get("gen_ai.operation.name")),
            status,
            _time(body["start"]),
            _count(body["end"]),
            _text(get("gen_ai.provider.name")),
            _text(get("gen_ai.response.model")) or _text(get("gen_ai.request.model")),
            _framework(body["scope"]),
            _error_type(status, body),
            _count(get("gen_ai.usage.input_tokens")),
            _count(get("gen_ai.usage.output_tokens")),
            _count(get("gen_ai.usage.cache_read.input_tokens")),
            _count(get("gen_ai.usage.cache_write.input_tokens")),
            _count(get("gen_ai.usage.reasoning.output_tokens")),
            _nanoseconds(get("gen_ai.response.time_to_first_chunk")),
            _text(get("session.id")),
            _text(get("user.id")),
            *self._columns,
            target(attributes),
        )
        content = {
            "name": body["name"],
            "status": body["status"],
            "kind": body["kind"],
            "message": body["message"],
            "scope": body["scope"],
            "scope_version": body["scope_version"],
            "attributes": attributes,
            "events": body["events"],
            "links": body["links"],
            "resource": self._json,
        }
        return Row(status, values, payload.encode(content), [] if status == "running" else texts(body))


def target(attributes: Mapping[str, Any]) -> str | None:
    """The name of the tool, agent or workflow that a span is a call of."""
    get = attributes.get
    return _text(get("gen_ai.tool.name") or get("gen_ai.agent.name") or get("gen_ai.workflow.name"))


def _status(kind: str, status: str, outcome: object) -> str:
    if kind == "S":
        return "running"
    if kind == "I":
        return "interrupted"
    if status == "error":
        return "error"
    return outcome if isinstance(outcome, str) and outcome else "ok"


def _error_type(status: str, body: dict[str, Any]) -> str | None:
    named = _text(body["attributes"].get("error.type"))
    if named or status != "error":
        return named
    for event in body["events"]:
        if event["name"] == "exception":
            return _text(event["attributes"].get("exception.type"))
    return None


def _framework(scope: object) -> str | None:
    if not isinstance(scope, str) or scope in ("", "autotrace"):
        return None
    return scope.removeprefix(PLUGIN_SCOPE)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value)


def _service(value: object) -> str | None:
    """A service's name; OpenTelemetry's word for one that nobody has named differs by how Python was called."""
    name = _text(value)
    return None if name is None or name.startswith("unknown_service") else name


def _count(value: object) -> int | None:
    """A whole number that SQLite can hold, or None."""
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    return None


def _time(value: object) -> int:
    found = _count(value)
    if found is None:
        raise ValueError(f"{value!r} is no time in nanoseconds")
    return found


def _nanoseconds(seconds: object) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return _count(int(seconds * 1e9))  # JSON has neither NaN nor infinity
