"""Deletes old traces, and gives their room on the disk back.

Whole traces go, the oldest first, with their feedback; the hourly figures (`rollups`) stay. A trace is as old as the
span of it that was last at work. Every transaction is short (about `STEP_S`), and between two there is a pause in which
others can write.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from . import search
from .opening import transaction
from .rollups import HOUR_NS

#: Seconds that a transaction deletes for.
STEP_S = 0.03
#: Spans that one statement deletes.
_SPANS = 200
#: Pages that are given back at once.
_PAGES = 400
#: Free pages that are left for what comes next.
_SPARE_PAGES = 1000
#: Hours after which a span that was counted and not kept can come again and count twice.
COUNTED_HOURS = 72
#: Traces that are looked at at once.
_TRACES = 200
#: What a span's row and its place in the indexes take, for a forecast.
_ROW_BYTES = 900
_OLDEST = "SELECT start_ns, trace_id FROM spans WHERE (start_ns, trace_id) > (?, ?) ORDER BY 1, 2 LIMIT ?"
_LAST = "SELECT max(coalesce(end_ns, start_ns)) FROM spans WHERE trace_id = ?"


@dataclass(frozen=True, slots=True)
class Limits:
    """What may stay.

    Attributes:
        before_ns: Traces older than this go (ns since 1970); None: none for their age.
        size: Bytes that the store, with its log, may take; None: as many as it likes.
    """

    before_ns: int | None = None
    size: int | None = None


@dataclass(slots=True)
class Pruned:
    """What was deleted, or would be.

    Attributes:
        bytes: That the store took before.
        bytes_left: That it takes now.
        is_done: Whether the limits hold now.
        is_shrinkable: Whether the file can be made smaller without writing all of it anew.
    """

    traces: int = 0
    spans: int = 0
    feedback: int = 0
    bytes: int = 0
    bytes_left: int = 0
    is_done: bool = True
    is_shrinkable: bool = True


class Pruning:
    """Deletes from one store.

    Args:
        connection: One that writes, in autocommit mode.
        path: The store's file.
        pause_s: Seconds between two transactions.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, pause_s: float = 0.02) -> None:
        self._connection = connection
        self._path = path
        self._pause_s = pause_s

    def prune(self, limits: Limits, deadline: float) -> Pruned:
        """Deletes until the limits hold, or until this moment of `time.monotonic`."""
        if limits.size is not None:
            self._checkpoint("PASSIVE")
        found = Pruned(bytes=self.disk_bytes(), is_shrinkable=self._pragma("auto_vacuum") == 2)
        victims, unfinished = self._victims(limits), list[str]()
        while transaction(self._connection, lambda open_: _delete_some(open_, victims, unfinished, found)):
            self._rest()
            if time.monotonic() >= deadline and not unfinished:
                found.is_done = False
                break
        if limits.before_ns is not None:
            self._delete_strays(limits.before_ns)
        self._forget_counted()
        if found.traces or self._pragma("freelist_count") > _SPARE_PAGES:
            if search.has_fts5(self._connection):
                while transaction(self._connection, search.drop_empty):
                    self._rest()
            found.is_done = self._shrink(deadline) and found.is_done
        found.bytes_left = self.disk_bytes()
        found.is_done = found.is_done and (limits.size is None or self._used_bytes() <= limits.size)
        return found

    def forecast(self, limits: Limits) -> Pruned:
        """What `prune` would delete; of a limit of size an estimate, for nothing is deleted."""
        found = Pruned(bytes=self.disk_bytes(), is_shrinkable=self._pragma("auto_vacuum") == 2)
        spare = self._used_bytes() - limits.size if limits.size is not None else 0
        for trace_id, is_old, is_last in self._oldest(limits.before_ns):
            if not is_old and spare <= 0:
                if is_last:
                    break
                continue
            spans, size = self._row(
                "SELECT count(*), coalesce(sum(length(content)), 0) FROM spans LEFT JOIN payloads USING (id) "
                "WHERE trace_id = ?",
                trace_id,
            )
            found.traces += 1
            found.spans += spans
            found.feedback += self._row("SELECT count(*) FROM feedback WHERE trace_id = ?", trace_id)[0]
            spare -= size + spans * _ROW_BYTES
        found.bytes_left = found.bytes
        return found

    def vacuum(self) -> None:
        """Writes the file anew, as small as can be; nobody can write meanwhile, and it needs as much room again."""
        self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._connection.execute("VACUUM")
        self._checkpoint("TRUNCATE")

    def disk_bytes(self) -> int:
        """What the store takes on the disk, its log included."""
        total = 0
        for suffix in ("", "-wal"):
            try:
                total += Path(f"{self._path}{suffix}").stat().st_size
            except OSError:
                pass
        return total

    def _victims(self, limits: Limits) -> Iterator[str]:
        """Traces to delete, oldest first; asked again after each of them what the store takes."""
        # The log is written back and cut after the deletion: until then it only grows.
        log = 0 if limits.size is None else min(self.disk_bytes() - self._file_bytes(), limits.size // 4)
        for trace_id, is_old, is_last in self._oldest(limits.before_ns):
            if is_old or (limits.size is not None and self._used_bytes() + log > limits.size):
                yield trace_id
            elif is_last:
                return

    def _oldest(self, before_ns: int | None) -> Iterator[tuple[str, bool, bool]]:
        """Ids of traces by the start of their first span, each once; whether it, and whether none later, is too old."""
        place: tuple[Any, ...] = (-(2**63), "")
        met: set[str] = set()
        while rows := self._connection.execute(_OLDEST, (*place, _TRACES)).fetchall():
            place = rows[-1]
            for start, trace_id in rows:
                if trace_id in met:
                    continue
                met.add(trace_id)
                last = self._row(_LAST, trace_id)[0]
                if last is not None:
                    is_old = before_ns is not None and last < before_ns
                    yield trace_id, is_old, before_ns is None or start >= before_ns

    def _delete_strays(self, before_ns: int) -> None:
        """Deletes what was said of traces that are not here."""
        for name in ("feedback", "updates"):
            stray = (
                f"SELECT rowid FROM {name} WHERE time_ns < ? "  # noqa: S608
                f"AND NOT EXISTS (SELECT 1 FROM spans WHERE spans.trace_id = {name}.trace_id) LIMIT 1000"
            )
            delete = f"DELETE FROM {name} WHERE rowid = ?"  # noqa: S608
            # Looked for beforehand: meanwhile others can write.
            while rows := self._connection.execute(stray, (before_ns,)).fetchall():
                transaction(self._connection, partial(_each, delete, rows))
                self._rest()

    def _forget_counted(self) -> None:
        oldest = time.time_ns() // HOUR_NS - COUNTED_HOURS
        some = "DELETE FROM counted WHERE (hour, span) IN (SELECT hour, span FROM counted WHERE hour < ? LIMIT 2000)"
        while transaction(self._connection, lambda open_: open_.execute(some, (oldest,)).rowcount) > 0:
            self._rest()

    def _shrink(self, deadline: float) -> bool:
        """Gives free pages back to the disk; False when the time was too short."""
        while self._pragma("auto_vacuum") == 2 and self._pragma("freelist_count"):
            if time.monotonic() >= deadline:
                return False
            # `execute` would take one step of it, which is one page.
            self._connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
            self._rest()
        self._checkpoint("TRUNCATE")
        return True

    def _checkpoint(self, mode: str) -> None:
        timeout = self._pragma("busy_timeout")
        self._connection.execute("PRAGMA busy_timeout = 100")  # a reader may hold it up for long
        try:
            self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        except sqlite3.OperationalError:
            pass
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {timeout}")

    def _used_bytes(self) -> int:
        """What is in use: pages that are free are used before the file grows."""
        return (self._pragma("page_count") - self._pragma("freelist_count")) * self._pragma("page_size")

    def _file_bytes(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _row(self, sql: str, *values: Any) -> Any:
        return self._connection.execute(sql, values).fetchone()

    def _rest(self) -> None:
        time.sleep(self._pause_s)


def _each(statement: str, rows: list[tuple[int]], connection: sqlite3.Connection) -> None:
    connection.executemany(statement, rows)


def _delete_some(connection: sqlite3.Connection, victims: Iterator[str], unfinished: list[str], found: Pruned) -> bool:
    """Deletes traces for a while, their roots last; whether any are left.

    Args:
        connection: With a transaction open.
        victims: What is to go.
        unfinished: The trace of which a part is gone, if any.
        found: Where it is counted.
    """
    deadline = time.monotonic() + STEP_S
    remember_highest(connection)
    while True:
        if not unfinished:
            trace_id = next(victims, None)
            if trace_id is None:
                return False
            unfinished.append(trace_id)
        found.spans += _delete_spans(connection, unfinished[0])
        if connection.execute("SELECT 1 FROM spans WHERE trace_id = ? LIMIT 1", unfinished).fetchone() is None:
            found.feedback += connection.execute("DELETE FROM feedback WHERE trace_id = ?", unfinished).rowcount
            for name in ("updates", "shipped"):
                connection.execute(f"DELETE FROM {name} WHERE trace_id = ?", unfinished)  # noqa: S608
            found.traces += 1
            unfinished.clear()
        if time.monotonic() >= deadline:
            return True


def _delete_spans(connection: sqlite3.Connection, trace_id: str) -> int:
    """Deletes some spans of a trace."""
    some = "SELECT id FROM spans WHERE trace_id = ? ORDER BY root LIMIT ?"
    ids = [row[0] for row in connection.execute(some, (trace_id, _SPANS))]
    chosen = orjson.dumps(ids).decode()
    for name in ("payloads", "spans"):
        connection.execute(f"DELETE FROM {name} WHERE id IN (SELECT value FROM json_each(?))", (chosen,))  # noqa: S608
    return len(ids)


def remember_highest(connection: sqlite3.Connection) -> None:
    """Keeps ids of spans from being given again: entries of the index may still have them."""
    highest = connection.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()[0]
    before = connection.execute("SELECT max(id) FROM highest_id").fetchone()[0]
    if before is None:
        connection.execute("INSERT INTO highest_id VALUES (?)", (highest,))
    elif highest > before:
        connection.execute("UPDATE highest_id SET id = ?", (highest,))
