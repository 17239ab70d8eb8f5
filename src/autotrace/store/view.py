"""A read-only connection to a store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from autotrace.errors import StoreCorrupt, StoreError, StoreTooNew

from . import schema

V = TypeVar("V", bound="View")

_BUSY_S = 30.0


class View:
    """What a reader reads through: nothing of it changes the file. A context manager, for one thread at a time.

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
            #: Whether the store has been through the step that brought feedback, updates and the index.
            self._has_said = schema.version(self._connection) >= 2

    @property
    def schema_version(self) -> int:
        """How many migrations the store has been through."""
        with self._translated():
            return schema.version(self._connection)

    def close(self) -> None:
        """Frees the file."""
        self._connection.close()

    def __enter__(self: V) -> V:
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
            f"file:{quote(str(self.path.absolute()))}?{mode}",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,  # for one thread at a time, which need not be the same
        )
        try:
            connection.text_factory = lambda value: value.decode("utf-8", "replace")
            # The tables first: a store that is made meanwhile has its version no later than its tables.
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            version = schema.version(connection)
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
                    self._connection.execute("ROLLBACK")  # once a damaged page was met, COMMIT fails too

    def _rows(self, query: str, values: Sequence[Any] | Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        if self._empty:
            return
        with closing(self._connection.execute(query, values)) as cursor:
            yield from cursor
