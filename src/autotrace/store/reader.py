"""Reads traces from the store. Opens it read-only: nothing that a reader does changes the file."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from autotrace.errors import StoreCorrupt, StoreError, StoreTooNew

from . import prices, schema
from .spans import COLUMNS, Payload, Span
from .traces import TraceSummary, summarise

_BUSY_S = 30.0


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace with everything that was recorded: spans earliest first, payloads by row id."""

    summary: TraceSummary
    spans: tuple[Span, ...]
    payloads: dict[int, Payload]

    def payload(self, span: Span) -> Payload:
        """The wide part of one of the spans."""
        return self.payloads.get(span.id, Payload())

    def as_json(self) -> dict[str, Any]:
        """The object that `autotrace traces show --json` prints: that of the list, and `spans`."""
        spans = [span.as_json(self.payload(span), prices.cost_usd(span)) for span in self.spans]
        return {**self.summary.as_json(), "spans": spans}


class Reader:
    """A read-only view of one store. Use it as a context manager, in one thread.

    Args:
        path: The store's file; it must exist.

    Attributes:
        notes: What a user should know about what was read (damaged payloads, a log that could not be read).

    Raises:
        StoreTooNew: A newer autotrace wrote the store.
        StoreCorrupt: The file is no store, or a damaged one.
        StoreError: It cannot be opened at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        with self._translated():
            self._connection, self._empty = self._open()

    @property
    def schema_version(self) -> int:
        """How many migrations the store has been through."""
        with self._translated():
            return schema.version(self._connection)

    def traces(
        self, limit: int = 20, since_ns: int | None = None, errors: bool = False, session: str | None = None
    ) -> list[TraceSummary]:
        """The newest traces, newest first.

        Args:
            limit: At most so many.
            since_ns: Only those that began at this time (ns since 1970) or later.
            errors: Only those with a span that failed.
            session: Only those with a span of this session.
        """
        with self._snapshot():
            found = self._newest(limit, since_ns, errors, session)
            return [summarise(self._spans(trace_id), self._payload) for trace_id in found]

    def matches(self, prefix: str, limit: int = 6) -> list[str]:
        """Trace ids that begin with `prefix` (hexadecimal, any case), in order, at most `limit`."""
        prefix = prefix.lower()
        if not prefix or set(prefix) - set("0123456789abcdef"):
            return []
        with self._snapshot():
            rows = self._rows(
                "SELECT DISTINCT trace_id FROM spans WHERE trace_id >= ? AND trace_id < ? ORDER BY trace_id LIMIT ?",
                (prefix, prefix + "g", limit),
            )
            return [row[0] for row in rows]

    def trace(self, trace_id: str) -> Trace | None:
        """One trace with all its spans, or None if there is none of this id."""
        with self._snapshot():
            spans = self._spans(trace_id)
            if not spans:
                return None
            payloads = {span.id: self._payload(span) for span in spans}
            return Trace(summarise(spans, lambda span: payloads[span.id]), tuple(spans), payloads)

    def close(self) -> None:
        """Frees the file."""
        self._connection.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> tuple[sqlite3.Connection, bool]:
        """A connection, and whether the store is new and still without tables."""
        try:
            return self._connected("mode=ro")
        except sqlite3.OperationalError:
            # A log can only be read where its index file can be made. In a folder that nobody may write to,
            # nobody changes the store either, so SQLite may be told to do without.
            if not self.path.is_file():
                raise
            connection, empty = self._connected("mode=ro&immutable=1")
            log = self.path.with_name(self.path.name + "-wal")
            if log.exists() and log.stat().st_size:
                self.notes.append(f"the newest traces are missing: {log} cannot be read in a read-only folder")
            return connection, empty

    def _connected(self, mode: str) -> tuple[sqlite3.Connection, bool]:
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?{mode}", uri=True, timeout=_BUSY_S, isolation_level=None
        )
        try:
            connection.text_factory = lambda value: value.decode("utf-8", "replace")
            version = schema.version(connection)
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if version > schema.VERSION:
                raise StoreTooNew(
                    f"{self.path} was written by a newer autotrace (schema {version};"
                    f" this one knows {schema.VERSION}): upgrade autotrace-ai"
                )
            if tables and (version < 1 or not tables >= {"spans", "payloads"}):
                raise StoreCorrupt(f"{self.path} is a database, but not one of autotrace's")
        except BaseException:
            connection.close()
            raise
        return connection, not tables

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns SQLite's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise schema.store_error(error, self.path) from error
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error}") from error

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Everything read within belongs to one moment."""
        with self._translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")

    def _rows(self, query: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        if self._empty:
            return
        with closing(self._connection.execute(query, values)) as cursor:
            yield from cursor

    def _spans(self, trace_id: str) -> list[Span]:
        rows = self._rows(f"SELECT {COLUMNS} FROM spans WHERE trace_id = ?", (trace_id,))  # noqa: S608
        return sorted((Span.from_row(row) for row in rows), key=lambda span: (span.start_ns, span.id))

    def _payload(self, span: Span) -> Payload:
        for (content,) in self._rows("SELECT content FROM payloads WHERE id = ?", (span.id,)):
            try:
                return Payload.decode(content)
            except ValueError as error:
                self.notes.append(f"span {span.span_id}: {error}")
        return Payload()

    def _newest(self, limit: int, since_ns: int | None, errors: bool, session: str | None) -> list[str]:
        """Ids of the newest traces that fit.

        Walks spans from the newest start backwards. A trace begins where its leading span does, which may be
        long before the span that was met first: it waits in a heap until no trace still unseen can be newer.
        """
        best: list[tuple[int, str]] = []
        seen: set[str] = set()
        for trace_id, start_ns in self._backwards(since_ns, errors, session):
            if len(best) == limit and best[0][0] >= start_ns:
                break
            if trace_id in seen:
                continue
            seen.add(trace_id)
            began = self._began(trace_id)
            if since_ns is not None and began < since_ns:
                continue
            heapq.heappush(best, (began, trace_id))
            if len(best) > limit:
                heapq.heappop(best)
        return [trace_id for _, trace_id in sorted(best, reverse=True)]

    def _backwards(self, since_ns: int | None, errors: bool, session: str | None) -> Iterator[tuple[str, int]]:
        """Trace id and start of all spans of the traces that fit, latest start first."""
        conditions, values = ["1"], list[Any]()
        if since_ns is not None:
            conditions.append("start_ns >= ?")
            values.append(since_ns)
        if session is not None:
            conditions.append("trace_id IN (SELECT trace_id FROM spans WHERE session = ?)")
            values.append(session)
        if errors:
            conditions.append("trace_id IN (SELECT trace_id FROM spans WHERE status = 'error')")
        query = f"SELECT trace_id, start_ns FROM spans WHERE {' AND '.join(conditions)} ORDER BY start_ns DESC"  # noqa: S608
        yield from self._rows(query, values)

    def _began(self, trace_id: str) -> int:
        """When the trace's leading span started, in ns since 1970."""
        rows = self._rows(
            "SELECT start_ns FROM spans WHERE trace_id = ? ORDER BY root DESC, start_ns LIMIT 1", (trace_id,)
        )
        return int(next(iter(rows))[0])
