"""Spans as they rest in the store: the narrow row of columns, and the payload, read only when wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from . import payload

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

#: The columns of `spans` that a Span is made of, in the order of `Span.from_row`.
COLUMNS = (
    "id, trace_id, span_id, parent_id, root, name, operation, status, start_ns, end_ns, provider, model, "
    "framework, error_type, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, "
    "reasoning_tokens, ttft_ns, session, user, environment, service, release"
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a model span used, in tokens; None where the provider did not say.

    `input` includes what was read from and written to the provider's cache, `output` includes reasoning.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    def as_json(self) -> dict[str, int | None]:
        """The five figures by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Payload:
    """The wide part of a span: what is shown, never filtered by."""

    kind: str | None = None
    message: str | None = None
    scope: str | None = None
    scope_version: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    links: tuple[Mapping[str, Any], ...] = ()
    resource: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def decode(cls, content: bytes) -> Payload:
        """Reads what the writer stored, and passes over what is not shaped as it should be.

        Raises:
            ValueError: The content is damaged.
        """
        found = payload.decode(content)
        return cls(
            kind=_text(found.get("kind")),
            message=_text(found.get("message")),
            scope=_text(found.get("scope")),
            scope_version=_text(found.get("scope_version")),
            attributes=_mapping(found.get("attributes")),
            events=_mappings(found.get("events")),
            links=_mappings(found.get("links")),
            resource=_mapping(found.get("resource")),
        )


@dataclass(frozen=True, slots=True)
class Span:
    """One row of `spans`. `root` marks a local root: no parent, or one that another process recorded."""

    id: int
    trace_id: str
    span_id: str
    parent_id: str | None
    root: bool
    name: str
    operation: str | None
    status: str
    start_ns: int
    end_ns: int | None
    provider: str | None
    model: str | None
    framework: str | None
    error_type: str | None
    tokens: Tokens
    ttft_ns: int | None
    session: str | None
    user: str | None
    environment: str | None
    service: str | None
    release: str | None

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Span:
        """A span from a row of `COLUMNS`."""
        values = list(row)
        values[4] = bool(row[4])
        values[14:19] = [Tokens(*row[14:19])]
        return cls(*values)

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from start to end; None for a span that has not ended."""
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / 1e6

    def as_json(self, content: Payload, cost_usd: float | None) -> dict[str, Any]:
        """The span as `autotrace traces show --json` prints it: every key is always there."""
        return {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_id": self.parent_id,
            "name": self.name,
            "operation": self.operation,
            "status": self.status,
            "start_time": utc(self.start_ns),
            "end_time": None if self.end_ns is None else utc(self.end_ns),
            "duration_ms": self.duration_ms,
            "time_to_first_chunk_ms": None if self.ttft_ns is None else self.ttft_ns / 1e6,
            "framework": self.framework,
            "provider": self.provider,
            "model": self.model,
            "tokens": self.tokens.as_json(),
            "cost_usd": cost_usd,
            "error": self.error(content),
            "kind": content.kind,
            "attributes": dict(content.attributes),
            "events": [_event(event) for event in content.events],
            "links": [dict(link) for link in content.links],
            "resource": dict(content.resource),
        }

    def error(self, content: Payload) -> dict[str, str | None] | None:
        """Type and message of what went wrong; None unless the span failed."""
        if self.status != "error":
            return None
        found = exception(content)
        return {
            "type": self.error_type or _text(found.get("exception.type")),
            "message": content.message or _text(found.get("exception.message")),
        }


def exception(content: Payload) -> Mapping[str, Any]:
    """The attributes of the last `exception` event (`exception.stacktrace` among them), if there is one."""
    for event in reversed(content.events):
        if event.get("name") == "exception":
            return _mapping(event.get("attributes"))
    return {}


def moment(time_ns: int) -> datetime:
    """Nanoseconds since 1970 as a UTC datetime, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def utc(time_ns: int) -> str:
    """Nanoseconds since 1970 as ISO 8601 with microseconds: `2026-11-23T06:59:28.000000Z`."""
    return moment(time_ns).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    time = event.get("time")
    return {
        "name": event.get("name"),
        "time": utc(time) if isinstance(time, int) and abs(time) < 2**63 else None,
        "attributes": dict(_mapping(event.get("attributes"))),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()
