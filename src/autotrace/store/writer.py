"""Writes spans, and what is said of them, into the store."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from autotrace.errors import StoreCorrupt, StoreError

from . import feedback, schema
from .home import exclusive, make_home, make_private
from .opening import connect, free_name, identity, transaction
from .rows import Row, Sink
from .search import Index
from .storing import count_spans, store_spans

logger = logging.getLogger("autotrace")

T = TypeVar("T")

#: Kinds of records that are of a span.
SPANS = frozenset("SEI")


class Record(Protocol):
    """What the writer needs of a record: the kinds are `S` (started), `E` (ended), `I` (interrupted), `F` and `U`."""

    @property
    def kind(self) -> str: ...
    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...
    @property
    def body(self) -> dict[str, Any]: ...


class Writer:
    """Upserts spans by (trace id, span id); the connection opens with the first write.

    For one thread at a time. After a fork the child opens a connection of its own.

    Args:
        path: The store's file; made, with its folder, when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Records that had no place in the tables (a name that is no text, ...), since the writer was made.
        self.rejected = 0
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._pid = os.getpid()
        self._inside = False
        self._inherited: list[sqlite3.Connection] = []
        self._sink: Sink | None = None
        self._index: Index | None = None

    def write(self, records: Iterable[Record], resource: Mapping[str, Any]) -> None:
        """Stores the records in one transaction.

        An ended span is never overwritten; `E` overwrites running and interrupted, `I` overwrites running. Of feedback
        with one id the latest counts.

        Raises:
            StoreTooNew: A newer autotrace wrote the store.
            StoreError: The store cannot be written. A damaged one has been put aside before.
        """
        spans, said = [], feedback.Rows()
        for record in records:
            if record.kind in SPANS:
                spans.append(record)
            else:
                said.add(record)
        rows = self._rows(spans, resource)
        self.rejected += said.rejected
        if rows or said:

            def store(connection: sqlite3.Connection) -> None:
                if rows:
                    store_spans(connection, rows, self.index(connection))
                said.save(connection)

            self._transaction(store)

    def index(self, connection: sqlite3.Connection) -> Index:
        """The index of words that belongs to this writer's connection."""
        if self._index is None:
            self._index = Index(connection)
            if not self._index.is_available:
                _tell_once()
        return self._index

    def close(self) -> None:
        """Closes the connection; the next write opens another."""
        self._check_fork()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                logger.debug("closing %s: %s", self.path, error)

    def count(self, records: Iterable[Record], resource: Mapping[str, Any]) -> None:
        """Adds the figures of spans to the rollups without keeping the spans: those that sampling leaves out.

        Exact however often they come, and if some are written later, or have been before. Feedback and updates are
        passed over.

        Raises:
            StoreTooNew: A newer autotrace wrote the store.
            StoreError: The store cannot be written. A damaged one has been put aside before.
        """
        rows = self._rows([record for record in records if record.kind in SPANS], resource)
        if rows:
            self._transaction(lambda connection: count_spans(connection, rows))

    def work(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """Does `step` with the connection, in transactions of its own.

        Raises:
            StoreTooNew: A newer autotrace wrote the store.
            StoreError: The store cannot be written. A damaged one has been put aside before.
        """
        self._check_fork()
        self._inside = True
        try:
            return self._guarded(step)
        finally:
            self._inside = False

    def _rows(self, records: Iterable[Record], resource: Mapping[str, Any]) -> dict[tuple[str, str], Row]:
        if self._sink is None or self._sink.resource is not resource:
            self._sink = Sink(resource)
        rows = self._sink.rows(records)
        self.rejected += self._sink.rejected
        return rows

    def _transaction(self, step: Callable[[sqlite3.Connection], None]) -> None:
        self.work(lambda connection: transaction(connection, step))

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._open())
        except (StoreCorrupt, sqlite3.Error) as error:
            problem = error if isinstance(error, StoreCorrupt) else schema.store_error(error, self.path)
            if not isinstance(problem, StoreCorrupt):
                raise problem from error
            self._put_aside(problem)
        try:
            return work(self._open())
        except sqlite3.Error as error:
            raise schema.store_error(error, self.path) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._identity == identity(self.path):
                return self._connection
            self.close()  # the file was removed or replaced: what is written to it now would be lost
        try:
            make_home(self.path.parent)
            with exclusive(self.path.parent):
                make_private(self.path)
                self._identity = identity(self.path)
                self._index = None
                self._connection = connect(self.path)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be used: {error}") from error
        return self._connection

    def _put_aside(self, problem: StoreCorrupt) -> None:
        """Renames a damaged store, unless another process has done so already."""
        damaged = self._identity
        self.close()
        with exclusive(self.path.parent):
            if identity(self.path) != damaged:
                return
            aside = free_name(self.path)
            for suffix in ("-wal", "-shm", ""):
                try:
                    Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
                except FileNotFoundError:
                    pass
        logger.error("%s; it is now %s, and a new store has been begun", problem, aside)

    def _check_fork(self) -> None:
        """In a forked child: parts with the parent's connection.

        SQLite remembers, per process, which locks it holds; the child's memory says that it holds the
        parent's, which is not true. Closing frees that memory and is harmless while no call was under way. When
        one was, SQLite's own mutexes may be locked for good, and the child must not touch SQLite at all.
        """
        if self._pid != os.getpid():
            self._pid = os.getpid()
            connection, self._connection = self._connection, None
            if connection is not None:
                if self._inside:
                    self._inherited.append(connection)
                else:
                    connection.close()
        if self._inherited:
            raise StoreError(f"this process was forked while {self.path} was being written")


@cache
def _tell_once() -> None:
    logger.warning("the SQLite of this Python has no full-text search (FTS5): what is stored cannot be searched by it")
