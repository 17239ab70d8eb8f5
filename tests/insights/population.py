"""Traces as a test means them, put into a database of insights."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotrace.insights.conditions import Search
from autotrace.insights.schema import NAMED, create, set_text
from autotrace.insights.scope import Scope

BEGAN = 1_780_000_000 * 10**9
EVER = Scope(0, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Made:
    """One trace; its start is in ns after BEGAN."""

    start: int = 0
    status: str = "ok"
    name: str = "ask"
    environment: str | None = None
    service: str | None = None
    release: str | None = None
    session: str | None = None
    user: str | None = None
    models: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    frameworks: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    error_types: frozenset[str] = frozenset()
    path: str | None = None
    question: str | None = None
    duration_ns: int | None = None
    ttft_ns: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    spans: int = 1
    errors: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    up: int = 0
    down: int = 0
    retries: int = 0
    repeats: int = 0
    comment: str | None = None
    error: str | None = None
    request: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    failures: frozenset[str] = frozenset()
    said: str = ""

    @property
    def id(self) -> int:
        """Its row."""
        return BEGAN + self.start

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.start + 0xA0:032x}"


_FIGURES = (
    *("duration_ns", "ttft_ns", "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "cost_usd"),
    *("spans", "errors", "model_calls", "tool_calls", "up", "down", "retries", "repeats"),
)


def filled(traces: Sequence[Made]) -> sqlite3.Connection:
    """A database that holds these traces."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create(connection)
    for number, trace in enumerate(traces):
        _insert(connection, number, trace)
    return connection


def searching(traces: Sequence[Made]) -> Search:
    """Finds words in what was said, as the index of the store does."""

    def search(text: str, limit: int) -> Iterator[int]:
        found = [number for number, trace in enumerate(traces) if speaks(trace, text)]
        yield from found[::-1][:limit]

    return search


def speaks(trace: Made, text: str) -> bool:
    """Whether all words of `text` were said."""
    said = trace.said.lower().split()
    wanted = text.lower().split()
    return bool(wanted) and all(
        any(word.startswith(each[:-1]) if each.endswith("*") else word == each for word in said) for each in wanted
    )


def _insert(connection: sqlite3.Connection, number: int, trace: Made) -> None:
    row: dict[str, Any] = {"id": trace.id, "trace_id": trace.trace_id, "failed": int(trace.status == "error")}
    row.update({name: getattr(trace, name) for name in _FIGURES})
    for column, kind in NAMED.items():
        value = getattr(trace, column)
        row[column] = _name(connection, kind, set_text(set(value)) if isinstance(value, frozenset) else value)
    row["question"] = _question(connection, trace.question)
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO traces ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    connection.execute("INSERT INTO texts VALUES (?, ?, NULL, ?, NULL)", (trace.id, trace.request, trace.error))
    connection.execute("INSERT INTO spans VALUES (?, ?)", (number, trace.id))
    for key, value in trace.tags.items():
        connection.execute("INSERT INTO tags VALUES (?, ?)", (trace.id, _name(connection, "tag", f"{key}={value}")))
    for kind in trace.failures:
        connection.execute("INSERT OR IGNORE INTO failure_groups VALUES (NULL, ?, '', '', '', '')", (kind,))
        group = connection.execute("SELECT id FROM failure_groups WHERE kind = ?", (kind,)).fetchone()[0]
        connection.execute("INSERT INTO failures VALUES (?, ?, 1)", (trace.id, group))
    for number_of, value in enumerate(["true"] * trace.up + ["false"] * trace.down):
        given = (f"{trace.id}-{number_of}", trace.id, trace.id, "user_feedback", value, trace.comment, None)
        connection.execute("INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?)", given)


def _name(connection: sqlite3.Connection, kind: str, text: str | None) -> int | None:
    if text is None:
        return None
    connection.execute("INSERT OR IGNORE INTO names (kind, text) VALUES (?, ?)", (kind, text))
    row = connection.execute("SELECT id FROM names WHERE kind = ? AND text = ?", (kind, text)).fetchone()
    return int(row[0])


def _question(connection: sqlite3.Connection, leader: str | None) -> int | None:
    if leader is None:
        return None
    row = connection.execute("SELECT id FROM questions WHERE leader = ?", (leader,)).fetchone()
    if row is None:
        return connection.execute("INSERT INTO questions (leader) VALUES (?)", (leader,)).lastrowid
    return int(row[0])
