"""Opens a store's file for writing, and writes in it."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from autotrace.errors import StoreCorrupt

from . import schema

T = TypeVar("T")

BUSY_TIMEOUT_S = 30.0
#: Seconds between two attempts to begin a transaction: at least, at most.
_PAUSE_S = (0.001, 0.003)
#: What every SQLite database begins with.
_MAGIC = b"SQLite format 3\0"


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
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    try:
        if schema.version(connection) <= schema.VERSION:  # a newer store is left as it is
            if not magic:
                # Only possible before there is anything: with it, pruning can give disk space back.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        schema.migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another of its name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def free_name(path: Path) -> Path:
    """A name that a damaged store can be put aside under, with its log."""
    stem = f"{path.name}.corrupt-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    aside, number = path.with_name(stem), 1
    while any(Path(f"{aside}{suffix}").exists() for suffix in ("", "-wal", "-shm")):
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    return aside


def transaction(connection: sqlite3.Connection, step: Callable[[sqlite3.Connection], T]) -> T:
    """Does `step` in one transaction that writes."""
    _begin(connection)
    try:
        found = step(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return found


def _begin(connection: sqlite3.Connection) -> None:
    """Begins a transaction as soon as nobody else writes.

    SQLite's own waiting sleeps longer each time, up to a tenth of a second: of many writers, who has waited long finds
    the store taken again and again by those that have just come.

    Raises:
        sqlite3.OperationalError: Others have been writing for `BUSY_TIMEOUT_S`.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(random.uniform(*_PAUSE_S))
    finally:
        connection.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")
