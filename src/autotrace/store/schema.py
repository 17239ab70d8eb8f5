"""The tables of the store and the numbered steps that lead to them.

`PRAGMA user_version` tells how many steps a store has taken. A step, once released, never changes.
"""

from __future__ import annotations

import sqlite3

from autotrace.errors import StoreCorrupt, StoreError, StoreTooNew

# `spans` is narrow, for what is filtered and summed; the content lies in a table of its own, so that a scan
# of the figures reads no texts.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE spans (
            id INTEGER PRIMARY KEY,
            trace_id TEXT NOT NULL,
            span_id TEXT NOT NULL,
            parent_id TEXT,
            root INTEGER NOT NULL,
            name TEXT NOT NULL,
            operation TEXT,
            status TEXT NOT NULL,
            start_ns INTEGER NOT NULL,
            end_ns INTEGER,
            provider TEXT,
            model TEXT,
            framework TEXT,
            error_type TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            cache_read_tokens INTEGER,
            cache_write_tokens INTEGER,
            reasoning_tokens INTEGER,
            ttft_ns INTEGER,
            session TEXT,
            user TEXT,
            environment TEXT,
            service TEXT,
            release TEXT,
            UNIQUE (trace_id, span_id)
        )
        """,
        "CREATE INDEX spans_roots ON spans (start_ns) WHERE root = 1",
        # The list of traces, newest first, holds those whose root is missing too.
        "CREATE INDEX spans_starts ON spans (start_ns, trace_id)",
        "CREATE INDEX spans_sessions ON spans (session) WHERE session IS NOT NULL",
        "CREATE TABLE payloads (id INTEGER PRIMARY KEY REFERENCES spans (id), content BLOB NOT NULL)",
    ),
)

VERSION = len(MIGRATIONS)


def version(connection: sqlite3.Connection) -> int:
    """How many migrations a store has been through; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: object) -> None:
    """Brings a store to `VERSION`, in one transaction.

    Args:
        connection: In autocommit mode (`isolation_level=None`).
        path: The store's path, for the message.

    Raises:
        StoreTooNew: A newer autotrace wrote it.
        sqlite3.Error: It is no database, or cannot be written.
    """
    found = version(connection)
    if found < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = version(connection)  # another process may have been faster
            for step in MIGRATIONS[found:]:
                for statement in step:
                    connection.execute(statement)
            if found < VERSION:
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if found > VERSION:
        raise StoreTooNew(
            f"{path} was written by a newer autotrace (its schema is {found}, this one knows {VERSION}): "
            "upgrade autotrace-ai, or set AUTOTRACE_HOME to another folder"
        )


def store_error(error: sqlite3.Error, path: object) -> StoreError:
    """The error to raise for SQLite's own: StoreCorrupt when the file is damaged or no database."""
    text = str(error)
    # Python 3.10 has no `sqlite_errorcode`.
    damaged = ("not a database", "malformed", "unsupported file format")
    if any(words in text for words in damaged):
        return StoreCorrupt(f"{path} is damaged: {text}")
    return StoreError(f"{path} cannot be used: {text}")
