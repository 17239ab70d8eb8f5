"""What one transaction of the writer does: spans, their words, and the figures of those that have ended.

A span counts once in the rollups: when it has first ended. Its row tells whether it has; of a span that was counted
without being kept (`count_spans`), the table `counted` does. One that counted as interrupted and ends after all is
moved. Spans of before there were rollups (`unfilled`, not `counted`) are left to `filling`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import orjson

from .rollups import Tally, dimensions_of, hour_of
from .rows import COLUMNS, Row
from .search import Index

Key = tuple[str, str]

PENDING = ("running", "interrupted")
#: Rows that one statement writes. `sqlite3` lets go of the interpreter's lock with each statement, and wins it back
#: from a busy program only after milliseconds, in which every write of the program pays for the wakening of a thread
#: that comes too late. SQLite before 3.32 takes 999 values in a statement.
_ROWS = (128, 32, 8, 1) if sqlite3.sqlite_version_info >= (3, 32) else (32, 8, 1)
#: By both ids: a trace that goes on for days has far more spans than those that come at once.
_KNOWN = """
    SELECT trace_id, spans.span_id, spans.id, status
    FROM json_each(?) AS trace CROSS JOIN json_each(trace.value) AS span
    CROSS JOIN spans ON trace_id = trace.key AND spans.span_id = span.value
"""
_COUNTED = "SELECT interrupted FROM counted WHERE hour = ? AND span = ?"
_HIGHEST = "SELECT max(coalesce((SELECT max(id) FROM spans), 0), coalesce((SELECT max(id) FROM highest_id), 0))"


class Known(NamedTuple):
    """A span that has a row."""

    id: int
    status: str


def store_spans(connection: sqlite3.Connection, rows: Mapping[Key, Row], index: Index) -> None:
    """Upserts spans, within the transaction that is open."""
    known = _known(connection, rows)
    left = _uncounted(connection)
    ledger = Ledger(connection)
    highest = connection.execute(_HIGHEST).fetchone()[0]
    spans: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    said: dict[str, tuple[int, dict[str, None]]] = {}
    ended: list[int] = []
    for key, row in rows.items():
        found = known.get(key)
        if found is None:
            highest += 1
            span = highest
        elif found.status in PENDING and row.status not in ("running", found.status):
            span = found.id
        else:
            continue
        spans.append((span, *row.values))
        payloads.append((span, row.payload))
        if row.status == "running" or (left and any(first <= span <= last for first, last in left)):
            continue
        ended.append(span)
        if row.texts:
            said.setdefault(key[0], (span, {}))[1].update(dict.fromkeys(row.texts))
        ledger.keep(key, row, found)
    ledger.save()
    # A span that is there already keeps its id: REPLACE takes the row away and puts the new one in its place.
    _replace(connection, f"spans ({', '.join(('id', *COLUMNS))})", spans)
    _replace(connection, "payloads (id, content)", payloads)
    if index.is_available:
        index.add(connection, dict(said.values()))
    else:
        postpone(connection, ended)


def count_spans(connection: sqlite3.Connection, rows: Mapping[Key, Row]) -> None:
    """Adds the figures of spans that have ended to the rollups, and keeps nothing else of them."""
    known = _known(connection, rows)
    left = _uncounted(connection)
    ledger = Ledger(connection)
    for key, row in rows.items():
        if row.status != "running":
            found = known.get(key)
            if found is not None and any(first <= found.id <= last for first, last in left):
                # The filling counts what has ended, and leaves out what is counted.
                found = None if found.status in PENDING else found
            ledger.count(key, row, found)
    ledger.save()


class Ledger:
    """Which spans stand in the rollups already, and what is added to them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tally = Tally()
        self._any = connection.execute("SELECT 1 FROM counted LIMIT 1").fetchone() is not None
        self._counted: list[tuple[int, bytes, str | None]] = []
        self._kept: list[tuple[int, bytes]] = []

    def keep(self, key: Key, row: Row, found: Known | None) -> None:
        """Counts a span that has ended and is stored, if it does not count already; `found`: its row of before."""
        before = None
        if self._any:
            place = (hour_of(row.values), span_key(key))
            before = self._before(place)
        if before is not None:
            if row.status != "interrupted":  # from now on the span's row tells
                self._kept.append(place)
            if not self._move(place, row, before[0]):
                return
        elif found is not None and found.status == "interrupted":
            self._take_back(found.id)
        self._tally.add(row.values)

    def count(self, key: Key, row: Row, found: Known | None) -> None:
        """Counts a span that has ended and is not stored, if it does not count already."""
        if found is not None and (found.status not in PENDING or found.status == row.status):
            return
        place = (hour_of(row.values), span_key(key))
        before = self._before(place)
        if before is not None:
            if not self._move(place, row, before[0]):
                return
        elif found is not None and found.status == "interrupted":
            self._take_back(found.id)
        self._tally.add(row.values)
        dimensions = orjson.dumps(dimensions_of(row.values)).decode() if row.status == "interrupted" else None
        self._counted.append((*place, dimensions))

    def fill(self, values: Sequence[Any]) -> None:
        """Counts a stored span of before there were rollups; `values`: of its columns."""
        if values[6] != "running" and self._before((hour_of(values), span_key(values[:2]))) is None:
            self._tally.add(values)

    def save(self) -> None:
        """Writes it all, within the transaction that is open."""
        if self._kept:
            self._connection.executemany("DELETE FROM counted WHERE hour = ? AND span = ?", self._kept)
        if self._counted:
            self._connection.executemany("REPLACE INTO counted VALUES (?, ?, ?)", self._counted)
        self._tally.save(self._connection)

    def _before(self, place: tuple[int, bytes]) -> tuple[str | None] | None:
        found: tuple[str | None] | None = self._connection.execute(_COUNTED, place).fetchone() if self._any else None
        return found

    def _move(self, place: tuple[int, bytes], row: Row, interrupted: str | None) -> bool:
        """Takes back what was counted as interrupted and has ended now; False: it goes on counting as it does."""
        if interrupted is None or row.status == "interrupted":
            return False
        self._tally.take_back(place[0], tuple(orjson.loads(interrupted)))
        return True

    def _take_back(self, span: int) -> None:
        columns = f"SELECT {', '.join(COLUMNS)} FROM spans WHERE id = ?"  # noqa: S608
        values = self._connection.execute(columns, (span,)).fetchone()
        self._tally.take_back(hour_of(values), dimensions_of(values))


def span_key(ids: Sequence[str]) -> bytes:
    """Trace id and span id in few bytes; whatever is no hexadecimal id, as it is."""
    try:
        return bytes.fromhex(ids[0] + ids[1])
    except ValueError:
        return f"{ids[0]} {ids[1]}".encode("utf-8", "replace")


def postpone(connection: sqlite3.Connection, spans: Sequence[int]) -> None:
    """Notes that the words of these spans are in no index: it is done where there is FTS5."""
    for span in spans:
        before = "UPDATE unfilled SET last_id = ? WHERE last_id = ? AND counted = 1"
        if connection.execute(before, (span, span - 1)).rowcount == 0:
            connection.execute("INSERT OR IGNORE INTO unfilled VALUES (?, ?, 1)", (span, span))


def _known(connection: sqlite3.Connection, rows: Mapping[Key, Row]) -> dict[Key, Known]:
    wanted: dict[str, list[str]] = {}
    for trace_id, span_id in rows:
        wanted.setdefault(trace_id, []).append(span_id)
    found = connection.execute(_KNOWN, (orjson.dumps(wanted).decode(),))
    return {(row[0], row[1]): Known(row[2], row[3]) for row in found}


def _uncounted(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    return connection.execute("SELECT first_id, last_id FROM unfilled WHERE counted = 0").fetchall()


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
