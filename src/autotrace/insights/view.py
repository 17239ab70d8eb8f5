"""A read-only view of `insights.db`, with the store beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from autotrace.errors import StoreCorrupt
from autotrace.store.outline import TraceReader

from .follower import Progress

_BUSY_S = 10.0
_CACHE_KIB = 6000


class Insights:
    """What questions are asked of. A context manager, for one thread at a time.

    Args:
        path: `insights.db`; it must exist.
        store: The store's file.

    Attributes:
        connection: Read-only; `insights.db` is `main`.
        store: The store's reader.
        notes: What a user should know about what was answered.

    Raises:
        StoreError: The store cannot be read.
        sqlite3.Error: `insights.db` cannot be read.
    """

    def __init__(self, path: Path, store: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        #: Conditions of scopes, with the version as of which they hold, and notes (parts.py).
        self.conditions: dict[Any, Any] = {}
        self.store = TraceReader(store)
        try:
            self.connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode=ro",
                uri=True,
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self.connection.text_factory = lambda value: value.decode("utf-8", "replace")
            self.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self.connection.execute("SELECT 1 FROM meta LIMIT 1")
        except BaseException:
            self.store.close()
            raise

    def close(self) -> None:
        """Frees both files."""
        self.connection.close()
        self.store.close()

    def __enter__(self) -> Insights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query answers."""
        return self.connection.execute(sql, values).fetchall()

    def meta(self, key: str) -> Any:
        """A note of the follower's; None where there is none."""
        return next((row[0] for row in self.rows("SELECT value FROM meta WHERE key = ?", (key,))), None)

    def ahead(self, after_ns: int) -> tuple[int, int]:
        """How many traces began at this time or later (counted up to a thousand), and when the last of them did."""
        found = "SELECT id FROM traces WHERE id >= ? ORDER BY id DESC LIMIT 1000"
        count, last = self.rows(f"SELECT count(*), coalesce(max(id), 0) FROM ({found})", (after_ns,))[0]  # noqa: S608
        return int(count), int(last)

    def trace_version(self, trace_id: str) -> str:
        """What changes when this trace does, or what was said of it; empty where it is not known."""
        said = "(SELECT count(*) || ' ' || coalesce(max(time_ns), 0) FROM feedback WHERE trace = t.id)"
        columns = f"t.status, t.spans, t.errors, t.duration_ns, t.name, t.session, t.user, {said}"
        found = self.rows(f"SELECT {columns} FROM traces AS t WHERE t.trace_id = ?", (trace_id,))  # noqa: S608
        return " ".join(map(str, found[0])) if found else ""

    def version(self) -> int:
        """What grows with every change."""
        return int(self.meta("version") or 0)

    def texts(self, numbers: Sequence[int]) -> dict[int, str]:
        """Names by their ids."""
        wanted = sorted({number for number in numbers if number is not None})
        found: dict[int, str] = {}
        for begin in range(0, len(wanted), 500):
            some = wanted[begin : begin + 500]
            marks = ", ".join("?" * len(some))
            found.update(self.rows(f"SELECT id, text FROM names WHERE id IN ({marks})", some))  # noqa: S608
        return found

    def kinds(self, kind: str, limit: int = 200) -> list[str]:
        """The names of a kind, in alphabetical order."""
        sql = "SELECT text FROM names WHERE kind = ? ORDER BY text LIMIT ?"
        return [row[0] for row in self.rows(sql, (kind, limit))]

    def search(self, text: str, limit: int) -> Iterator[int]:
        """Row ids, in the store, of spans in whose traces all words occur; latest stored first, at most `limit`.

        Raises:
            StoreError: This SQLite has no full-text search.
        """
        with self.store.words(text) as found:
            for count, number in enumerate(found):
                if count >= limit:
                    return
                yield number

    def progress(self) -> Progress:
        """How much of the store is in here."""
        low, high = int(self.meta("low") or 0), int(self.meta("high") or 0)
        try:
            lowest, highest = self.store.bounds()
        except StoreCorrupt:
            lowest, highest = 1, high  # of the rest it is told what can be read
        left = max(low - lowest + 1, 0) if low else 0
        left += max(highest - high, 0)
        return Progress(left == 0 and self.meta("high") is not None, left)
