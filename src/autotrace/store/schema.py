"""The tables of the store and the numbered steps that lead to them.

`PRAGMA user_version` tells how many steps a store has taken. A step, once released, never changes.
"""

from __future__ import annotations

import sqlite3

from autotrace.errors import StoreCorrupt, StoreError, StoreTooNew

# A store that is there takes its steps while a traced program waits: no step may read the content, nor all spans.
#
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
    (
        # The name of the tool, agent or workflow that a span is a call of.
        "ALTER TABLE spans ADD COLUMN target TEXT",
        """
        CREATE TABLE feedback (
            id TEXT PRIMARY KEY,
            trace_id TEXT NOT NULL,
            span_id TEXT,
            type TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            number REAL,
            comment TEXT,
            source_type TEXT,
            source TEXT,
            time_ns INTEGER NOT NULL,
            metadata TEXT NOT NULL
        )
        """,
        "CREATE INDEX feedback_traces ON feedback (trace_id)",
        "CREATE INDEX feedback_times ON feedback (time_ns)",
        # What was said of a trace later, as it was said: what holds is worked out by the reader.
        """
        CREATE TABLE updates (
            trace_id TEXT NOT NULL,
            time_ns INTEGER NOT NULL,
            session TEXT,
            content TEXT NOT NULL,
            UNIQUE (trace_id, time_ns, content)
        )
        """,
        "CREATE INDEX updates_sessions ON updates (session) WHERE session IS NOT NULL",
        # Never null, so that each combination is there once: an empty text is what is not known.
        """
        CREATE TABLE dimensions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            environment TEXT NOT NULL,
            service TEXT NOT NULL,
            release TEXT NOT NULL,
            operation TEXT NOT NULL,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            target TEXT NOT NULL,
            status TEXT NOT NULL,
            top INTEGER NOT NULL,
            UNIQUE (environment, service, release, operation, provider, model, target, status, top)
        )
        """,
        """
        CREATE TABLE rollups (
            hour INTEGER NOT NULL,
            dimension INTEGER NOT NULL REFERENCES dimensions (id),
            spans INTEGER NOT NULL,
            traces INTEGER NOT NULL,
            errors INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            cache_read_tokens INTEGER NOT NULL,
            cache_write_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            duration_ns INTEGER NOT NULL,
            latency BLOB NOT NULL,
            ttft BLOB NOT NULL,
            PRIMARY KEY (hour, dimension)
        ) WITHOUT ROWID
        """,
        # Spans that stand in the rollups and perhaps nowhere else: trace id and span id as 24 bytes; of one that was
        # counted as interrupted, the dimensions that it was counted under, as JSON.
        """
        CREATE TABLE counted (
            hour INTEGER NOT NULL,
            span BLOB NOT NULL,
            interrupted TEXT,
            PRIMARY KEY (hour, span)
        ) WITHOUT ROWID
        """,
        # Ids of spans whose words are in no index yet; without `counted`, whose figures are in no rollup either.
        "CREATE TABLE unfilled (first_id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL, counted INTEGER NOT NULL)",
        "INSERT INTO unfilled SELECT 1, id, 0 FROM spans ORDER BY id DESC LIMIT 1",
        # The parts of the search index, each a table of its own, and the highest id that spans ever had.
        "CREATE TABLE search_parts (number INTEGER PRIMARY KEY)",
        "CREATE TABLE highest_id (id INTEGER NOT NULL)",
        """
        CREATE TABLE shipped (
            destination TEXT NOT NULL,
            trace_id TEXT NOT NULL,
            content BLOB NOT NULL,
            PRIMARY KEY (destination, trace_id)
        ) WITHOUT ROWID
        """,
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
