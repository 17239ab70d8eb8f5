"""Writes spans into the store."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson

from autotrace.errors import StoreCorrupt, StoreError

from . import schema
from .home import exclusive, make_home, make_private
from .rows import COLUMNS, Row, Sink

logger = logging.getLogger("autotrace")

T = TypeVar("T")

BUSY_TIMEOUT_S = 30.0
#: What every SQLite database begins with.
_MAGIC = b"SQLite format 3\0"
#: Rows that one statement writes. `sqlite3` lets go of the interpreter's lock with each statement, and wins it back
#: from a busy program only after milliseconds, in which every write of the program pays for the wakening of a thread
#: that comes too late. SQLite before 3.32 takes 999 values in a statement.
_ROWS = (128, 32, 8, 1) if sqlite3.sqlite_version_info >= (3, 32) else (32, 8, 1)
_KNOWN = "SELECT trace_id, span_id, id, status FROM spans WHERE trace_id IN (SELECT value FROM json_each(?))"
_PENDING = ("running", "interrupted")


class Record(Protocol):
    """What the writer needs of a record: kind `S` (started), `E` (ended), `I` (interrupted), ids and body."""

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

    def write(self, records: Iterable[Record], resource: Mapping[str, Any]) -> None:
        """Stores the records in one transaction.

        An ended span is never overwritten; `E` overwrites running and interrupted, `I` overwrites running.

        Raises:
            StoreTooNew: A newer autotrace wrote the store.
            StoreError: The store cannot be written. A damaged one has been put aside before.
        """
        self._check_fork()
        if self._sink is None or self._sink.resource is not resource:
            self._sink = Sink(resource)
        rows = self._sink.rows(records)
        self.rejected += self._sink.rejected
        if not rows:
            return
        self._inside = True
        try:
            self._guarded(lambda connection: self._upsert(connection, rows))
        finally:
            self._inside = False

    def close(self) -> None:
        """Closes the connection; the next write opens another."""
        self._check_fork()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                logger.debug("closing %s: %s", self.path, error)

    def _upsert(self, connection: sqlite3.Connection, rows: dict[tuple[str, str], Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            traces = orjson.dumps(list({trace_id for trace_id, _ in rows})).decode()
            known = {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(_KNOWN, (traces,))}
            new_id = connection.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()[0]
            spans: list[tuple[Any, ...]] = []
            payloads: list[tuple[Any, ...]] = []
            for key, row in rows.items():
                found = known.get(key)
                if found is None:
                    new_id += 1
                    span = new_id
                elif found[1] in _PENDING and row.status != "running":
                    span = found[0]
                else:
                    continue
                spans.append((span, *row.values))
                payloads.append((span, row.payload))
            # A span that is there already keeps its id: REPLACE takes the row away and puts the new one in its place.
            _replace(connection, f"spans ({', '.join(('id', *COLUMNS))})", spans)
            _replace(connection, "payloads (id, content)", payloads)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

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
            if self._identity == _identity(self.path):
                return self._connection
            self.close()  # the file was removed or replaced: what is written to it now would be lost
        try:
            make_home(self.path.parent)
            with exclusive(self.path.parent):
                make_private(self.path)
                self._identity = _identity(self.path)
                self._connection = connect(self.path)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be used: {error}") from error
        return self._connection

    def _put_aside(self, problem: StoreCorrupt) -> None:
        """Renames a damaged store, unless another process has done so already."""
        damaged = self._identity
        self.close()
        with exclusive(self.path.parent):
            if _identity(self.path) != damaged:
                return
            aside = _free_name(self.path)
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


def _replace(connection: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Writes rows in as few statements as will do; their sizes are few, so that SQLite's are prepared once."""
    begin = 0
    for size in _ROWS:
        while (left := len(rows) - begin) > size * 3 // 4:
            part = rows[begin : begin + size]
            part += part[-1:] * (size - left)  # to write a row twice is cheaper than many a statement more
            marks = ", ".join([f"({', '.join('?' * len(part[0]))})"] * size)
            connection.execute(f"REPLACE INTO {table} VALUES {marks}", tuple(chain.from_iterable(part)))  # noqa: S608
            begin += size


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may write, to a store that has been brought to the newest schema.

    Raises:
        StoreTooNew: A newer autotrace wrote it.
        StoreCorrupt: It is no database.
        sqlite3.Error: It is damaged, or cannot be opened.
    """
    # Before SQLite looks, which would delete the log that lies beside it.
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    if magic and magic != _MAGIC:
        raise StoreCorrupt(f"{path} is damaged: file is not a database")
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=16
    )
    try:
        if schema.version(connection) <= schema.VERSION:  # a newer store is left as it is
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        schema.migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _free_name(path: Path) -> Path:
    stem = f"{path.name}.corrupt-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    aside, number = path.with_name(stem), 1
    while any(Path(f"{aside}{suffix}").exists() for suffix in ("", "-wal", "-shm")):
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    return aside
