"""The writing side of `insights.db`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from autotrace.store.home import make_private
from autotrace.store.rollups import HOUR_NS

from . import schema
from .facts import Facts
from .failures import Failure

_VALUES = (
    "duration_ns", "latency", "failed", "spans", "errors", "model_calls", "tool_calls", "input_tokens", "output_tokens",
    "cache_read_tokens", "reasoning_tokens", "cost_usd", "ttft_ns", "ttft", "up", "down", "retries", "repeats",
)  # fmt: skip
_COLUMNS = ("id", "trace_id", "question", *_VALUES, *schema.NAMED)
_BESIDE = ("usage", "tool_calls", "tags", "failures", "feedback", "texts")
#: Names that are remembered with their ids.
_MOST_NAMES = 100_000
_BUSY_S = 30.0
#: What is asked reads many rows in a row.
_PAGE_BYTES = 16384


class Database:
    """Writes facts into `insights.db`, which is made when it is missing, or of another version.

    One process at a time: whoever holds the lock (opening.py).
    """

    def __init__(self, path: Path, identity: str) -> None:
        """Opens it; one that was made of another store, or otherwise, is made anew.

        Args:
            path: The file.
            identity: What it is made of, and how.

        Raises:
            sqlite3.Error: It cannot be written.
            OSError: Likewise.
        """
        self.path = path
        self._names: dict[tuple[str, str], int] = {}
        self._groups: dict[Failure, int] = {}
        self.connection = self._open()
        if self.meta("identity") != identity:
            if self.meta("identity") is not None or self._version() != schema.VERSION:
                self.connection.close()
                _remove(path)
                self.connection = self._open()
            self.set_meta("identity", identity)

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    def discard(self) -> None:
        """Deletes the file, which is damaged: who opens it next makes it anew."""
        self.connection.close()
        _remove(self.path)

    def meta(self, key: str) -> Any:
        """A note of the follower's; None where there is none."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def set_meta(self, key: str, value: Any) -> None:
        """Notes something."""
        self.connection.execute("REPLACE INTO meta VALUES (?, ?)", (key, value))

    def name(self, kind: str, text: str) -> int:
        """The id of a name, which is made when it is new."""
        known = self._names.get((kind, text))
        if known is not None:
            return known
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self.connection.execute("INSERT OR IGNORE INTO names (kind, text) VALUES (?, ?)", (kind, text))
        found = self.connection.execute("SELECT id FROM names WHERE kind = ? AND text = ?", (kind, text)).fetchone()
        self._names[kind, text] = number = int(found[0])
        return number

    def unknown(self, spans: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
        """Those of the spans (row id, trace id) that belong to no trace that is here."""
        numbers = orjson.dumps([number for number, _ in spans]).decode()
        sql = "SELECT id FROM spans WHERE id IN (SELECT value FROM json_each(?))"
        known = {row[0] for row in self.connection.execute(sql, (numbers,))}
        return [span for span in spans if span[0] not in known]

    def save(self, found: Iterable[tuple[Facts, Sequence[tuple[int, str]], int | None]], version: int) -> None:
        """Writes traces in place of what was known of them, within the transaction that is open.

        Args:
            found: Of each trace the facts, its spans as row ids with status, and the group of its question.
            version: What the hours that they belong to have changed at.
        """
        touched: set[int] = set()
        for facts, spans, question in found:
            before = self._delete(facts.trace_id)
            trace = self._free_id(facts.start_ns)
            touched.update(number for number in (before, trace) if number is not None)
            self._insert(trace, facts, question)
            self.connection.executemany("REPLACE INTO spans VALUES (?, ?)", [(number, trace) for number, _ in spans])
            pending = [(number, status) for number, status in spans if status in ("running", "interrupted")]
            if pending:
                self.connection.executemany("REPLACE INTO pending VALUES (?, ?)", pending)
        self.touch(touched, version)

    def settle(self, spans: Iterable[int]) -> None:
        """Forgets that these spans had not ended."""
        self.connection.executemany("DELETE FROM pending WHERE id = ?", [(number,) for number in spans])

    def delete(self, trace_ids: Iterable[str], version: int) -> None:
        """Deletes traces that are no longer in the store, within the transaction that is open."""
        gone = [self._delete(trace_id) for trace_id in trace_ids]
        self.touch({number for number in gone if number is not None}, version)

    def _delete(self, trace_id: str) -> int | None:
        row = self.connection.execute("SELECT id FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
        if row is None:
            return None
        for table in _BESIDE:
            self.connection.execute(f"DELETE FROM {table} WHERE trace = ?", row)  # noqa: S608 (constants)
        self.connection.execute("DELETE FROM traces WHERE id = ?", row)
        return int(row[0])

    def _free_id(self, start_ns: int) -> int:
        number = min(max(start_ns, 0), 2**62)
        while self.connection.execute("SELECT 1 FROM traces WHERE id = ?", (number,)).fetchone():
            number += 1
        return number

    def _insert(self, trace: int, facts: Facts, question: int | None) -> None:
        named = [None if text is None else self.name(schema.NAMED[key], text) for key, text in facts.names.items()]
        values = (trace, facts.trace_id, question, *(facts.values[name] for name in _VALUES), *named)
        self._put("traces", [values], _COLUMNS)
        if any(facts.texts):
            self._put("texts", [(trace, *facts.texts)])
        self._put("usage", [(trace, self.name("model", model), *usage) for model, usage in facts.usage.items()])
        calls = facts.tool_calls.items()
        self._put("tool_calls", [(trace, self.name("tool", tool), bucket, *each) for (tool, bucket), each in calls])
        self._put("tags", [(trace, self.name("tag", tag)) for tag in facts.tags])
        self._put("failures", [(trace, self._group(failure), count) for failure, count in facts.failures.items()])
        self._put(
            "feedback",
            [
                (each.id, trace, each.time_ns, each.name, _written(each.value), each.comment, each.source)
                for each in facts.feedback
            ],
        )

    def _group(self, failure: Failure) -> int:
        number = self._groups.get(failure)
        if number is None:
            failure = Failure(*(text[:500].encode("utf-8", "replace").decode() for text in failure))
            self.connection.execute(
                "INSERT OR IGNORE INTO failure_groups (kind, type, place, message, model) VALUES (?, ?, ?, ?, ?)",
                failure,
            )
            sql = "SELECT id FROM failure_groups WHERE (kind, type, place, message, model) = (?, ?, ?, ?, ?)"
            number = int(self.connection.execute(sql, failure).fetchone()[0])
            if len(self._groups) >= _MOST_NAMES:
                self._groups.clear()
            self._groups[failure] = number
        return number

    def _put(self, table: str, rows: Sequence[tuple[Any, ...]], columns: Sequence[str] = ()) -> None:
        if rows:
            names = f" ({', '.join(columns)})" if columns else ""
            marks = ", ".join("?" * len(rows[0]))
            self.connection.executemany(f"REPLACE INTO {table}{names} VALUES ({marks})", rows)  # noqa: S608 (constants)

    def touch(self, traces: Iterable[int], version: int) -> None:
        """Notes that traces have changed, within the transaction that is open."""
        for table, width in (("hours", HOUR_NS), ("slots", schema.SLOT_NS)):
            changed = {trace // width for trace in traces}
            self.connection.executemany(f"REPLACE INTO {table} VALUES (?, ?)", [(each, version) for each in changed])  # noqa: S608

    def _version(self) -> int:
        return int(self.connection.execute("PRAGMA user_version").fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        make_private(self.path)
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # before there is anything
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")  # it can be made anew
            schema.create(connection)
            connection.execute("SELECT 1 FROM meta LIMIT 1")
        except sqlite3.DatabaseError as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
                raise  # locked, or no room: it may be sound
            _remove(self.path)
            return self._open()
        return connection


def _remove(path: Path) -> None:
    for suffix in ("-wal", "-shm", ""):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _written(value: Any) -> str:
    """A verdict's value as JSON; nothing of one that is nested too deep for that: the page of the trace shows it."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return "null"
