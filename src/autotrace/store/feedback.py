"""Feedback and what was said of a trace later: into rows, and out of them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from .spans import utc

if TYPE_CHECKING:
    from .writer import Record

logger = logging.getLogger("autotrace")

WHOLE_TRACE = "0" * 16
COLUMNS = "id, trace_id, span_id, type, name, value, number, comment, source_type, source, time_ns, metadata"
#: The later one counts, also when it comes first; of one moment, the one that came first.
_PUT = f"""
    INSERT INTO feedback ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        trace_id = excluded.trace_id, span_id = excluded.span_id, type = excluded.type, name = excluded.name,
        value = excluded.value, number = excluded.number, comment = excluded.comment,
        source_type = excluded.source_type, source = excluded.source, time_ns = excluded.time_ns,
        metadata = excluded.metadata
    WHERE excluded.time_ns > feedback.time_ns
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Feedback:
    """A verdict on a trace, or on one of its spans (`span_id`); the fields as in `autotrace.delivery.encoding`."""

    id: str
    trace_id: str
    span_id: str | None
    type: str
    name: str
    value: Any
    comment: str | None
    source_type: str | None
    source: str | None
    time_ns: int
    metadata: Mapping[str, Any]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Feedback:
        """Feedback from a row of `COLUMNS`."""
        id_, trace_id, span_id, type_, name, value, _, comment, source_type, source, time_ns, metadata = row
        known = _mapping(_parsed(metadata))
        return cls(id_, trace_id, span_id, type_, name, _parsed(value), comment, source_type, source, time_ns, known)

    def as_json(self) -> dict[str, Any]:
        """The object in the `feedback` of a trace that `autotrace traces --json` prints."""
        return {
            "id": self.id,
            "span_id": self.span_id,
            "type": self.type,
            "name": self.name,
            "value": self.value,
            "comment": self.comment,
            "source_type": self.source_type,
            "source": self.source,
            "time": utc(self.time_ns),
            "metadata": dict(self.metadata),
        }

    def body(self) -> dict[str, Any]:
        """The body of its record."""
        names = ("id", "type", "name", "value", "comment", "source_type", "source")
        return {**{name: getattr(self, name) for name in names}, "time": self.time_ns, "metadata": dict(self.metadata)}


@dataclass(frozen=True, slots=True)
class Said:
    """What holds of a trace by all that was said of it later; None where nothing was."""

    name: str | None = None
    session: str | None = None
    user: str | None = None
    tags: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, bodies: Iterable[Mapping[str, Any]]) -> Said:
        """What holds by updates from the first to the last: the later word counts, for each tag by itself."""
        found: dict[str, str] = {}
        tags: dict[str, Any] = {}
        for body in bodies:
            for name in ("name", "session", "user"):
                if isinstance(body.get(name), str):
                    found[name] = body[name]
            tags.update(_mapping(body.get("tags")))
        return cls(found.get("name"), found.get("session"), found.get("user"), tags)


class Rows:
    """Feedback and updates as rows, ready to be stored."""

    def __init__(self) -> None:
        self.feedback: list[tuple[Any, ...]] = []
        self.updates: list[tuple[Any, ...]] = []
        #: Records that no row could be made of.
        self.rejected = 0

    def add(self, record: Record) -> None:
        """Takes a record of kind `F` or `U`."""
        try:
            if record.kind == "F":
                self.feedback.append(_feedback_row(record))
            else:
                self.updates.append(_update_row(record))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            self.rejected += 1
            what = "feedback on" if record.kind == "F" else "an update of"
            logger.warning("%s trace %s cannot be stored: %r", what, record.trace_id, error)

    def __bool__(self) -> bool:
        return bool(self.feedback or self.updates)

    def save(self, connection: sqlite3.Connection) -> None:
        """Stores them, within the transaction that is open."""
        if self.feedback:
            connection.executemany(_PUT, self.feedback)
        if self.updates:
            connection.executemany(
                "INSERT OR IGNORE INTO updates (trace_id, time_ns, session, content) VALUES (?, ?, ?, ?)", self.updates
            )


def body_of(content: str) -> dict[str, Any]:
    """The body of an update's record, from its `content`."""
    return dict(_mapping(_parsed(content)))


def _feedback_row(record: Record) -> tuple[Any, ...]:
    body = record.body
    value = body["value"]
    return (
        _text(body["id"]),
        record.trace_id,
        None if record.span_id == WHOLE_TRACE else record.span_id,
        _text(body["type"]),
        _text(body["name"]),
        orjson.dumps(value).decode(),
        _number(value),
        _optional(body.get("comment")),
        _optional(body.get("source_type")),
        _optional(body.get("source")),
        _time(body["time"]),
        orjson.dumps(dict(body.get("metadata") or {})).decode(),
    )


def _update_row(record: Record) -> tuple[Any, ...]:
    body = record.body
    session = body.get("session")
    content = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
    return record.trace_id, _time(body["time"]), session if isinstance(session, str) else None, content


def _number(value: Any) -> float | None:
    """What can be averaged: numbers, and true and false as 1 and 0."""
    return float(value) if isinstance(value, bool | int | float) else None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def _optional(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _time(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
        raise ValueError(f"{value!r} is no time in nanoseconds")
    return value


def _parsed(text: Any) -> Any:
    try:
        return orjson.loads(text)
    except (ValueError, TypeError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
