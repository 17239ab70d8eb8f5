"""What the follower reads of the store: what is new, and whole traces."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson

from autotrace.errors import StoreCorrupt
from autotrace.store.feedback import COLUMNS as FEEDBACK
from autotrace.store.feedback import Feedback, Said, body_of
from autotrace.store.spans import COLUMNS, Payload, Span
from autotrace.store.view import View

logger = logging.getLogger("autotrace")

T = TypeVar("T")
K = TypeVar("K", int, str)

#: Payloads of a trace that are read: of one that is longer than long, the first.
MOST_PAYLOADS = 2000
_AMONG = "(SELECT value FROM json_each(?))"
#: What reading something else than a span fails with: a damaged page may hold anything.
_ODD = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError)


class Found(NamedTuple):
    """All that there is of a trace."""

    spans: list[Span]
    payloads: dict[int, Payload]
    said: Said
    feedback: list[Feedback]


class Source(View):
    """A read-only view of the store, for the follower. What a damaged page holds is left out; the rest is answered.

    Attributes:
        unreadable: What could not be read: row ids of spans, ids of traces, names of tables.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.unreadable: set[int | str] = set()
        self._is_told = False

    def remember(self, pieces: set[int | str]) -> None:
        """Takes over what could not be read before, of which it has been told."""
        self.unreadable, self._is_told = pieces, bool(pieces)

    def data_version(self) -> int:
        """A number that changes when another connection has changed the store."""
        return int(next(self._rows("PRAGMA data_version", ()), (0,))[0])

    def highest(self) -> int:
        """The highest row id of a span; 0 without any."""
        return self._end("max")

    def lowest(self) -> int:
        """The lowest row id of a span; 0 without any."""
        return self._end("min")

    def _end(self, which: str) -> int:
        sql = f"SELECT coalesce({which}(id), 0) FROM {{}}"  # noqa: S608 (constants)
        try:
            return int(next(self._rows(sql.format("spans"), ()), (0,))[0])
        except StoreCorrupt as error:
            _only_a_piece(error)
            return int(next(self._rows(sql.format("payloads"), ()), (0,))[0])  # they have the same ids

    def spans_between(self, first: int, last: int) -> list[tuple[int, str]]:
        """Row ids and trace ids of spans, the latest stored first."""
        sql = "SELECT id, trace_id FROM spans WHERE id BETWEEN ? AND ? ORDER BY id DESC"

        def ask(ids: Sequence[int]) -> list[tuple[int, str]]:
            return [(row[0], row[1]) for row in self._rows(sql, (ids[-1], ids[0])) if isinstance(row[1], str)]

        return self._readable(range(last, first - 1, -1), ask)

    def changed(self, pending: Iterable[tuple[int, str]]) -> list[str]:
        """Trace ids of those among spans (row id, status) whose status has changed."""
        before = dict(pending)
        sql = f"SELECT id, trace_id, status FROM spans WHERE id IN {_AMONG}"  # noqa: S608

        def ask(ids: Sequence[int]) -> list[str]:
            return [row[1] for row in self._rows(sql, (_json(ids),)) if before[row[0]] != row[2]]

        return [trace_id for trace_id in self._readable(list(before), ask) if isinstance(trace_id, str)]

    def judged_sum(self) -> int:
        """A number that changes when any feedback has."""
        if not self._has_said:
            return 0
        sql = "SELECT count(*), coalesce(sum(time_ns / 1000 % 1048573), 0) FROM feedback"
        for count, times in self._whole("feedback", sql, ()):
            return int(count) * 1048573 + int(times)
        return 0

    def judged(self, after_row: int, since_ns: int) -> list[tuple[int, str, str, int]]:
        """Feedback with a higher row id, or given since: row id, id, trace id, time."""
        if not self._has_said:
            return []
        columns = "SELECT rowid, id, trace_id, time_ns FROM feedback"
        sql = f"{columns} WHERE rowid > ? UNION {columns} WHERE time_ns >= ?"
        rows = self._whole("feedback", sql, (after_row, since_ns))
        return [(row[0], row[1], row[2], row[3]) for row in rows if isinstance(row[2], str)]

    def updated(self, after_row: int) -> list[tuple[int, str]]:
        """Updates with a higher row id: that, and their trace ids; all, where the file was written anew meanwhile."""
        if not self._has_said:
            return []
        for (highest,) in self._whole("updates", "SELECT coalesce(max(rowid), 0) FROM updates", ()):
            after_row = after_row if after_row <= int(highest) else 0
        rows = self._whole("updates", "SELECT rowid, trace_id FROM updates WHERE rowid > ?", (after_row,))
        return [(row[0], row[1]) for row in rows if isinstance(row[1], str)]

    def existing(self, trace_ids: Sequence[str]) -> set[str]:
        """Those of the traces that are there, or may be."""
        sql = "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM spans WHERE trace_id = value)"
        there = self._readable(trace_ids, lambda ids: [row[0] for row in self._rows(sql, (_json(ids),))])
        return {*there, *(trace_id for trace_id in trace_ids if trace_id in self.unreadable)}

    def found(self, trace_ids: Sequence[str]) -> list[Found]:
        """All that there is of each of these traces that are there, as of one moment; as much as can be read."""
        return self._readable(trace_ids, self._found)

    def mended(self) -> list[str]:
        """Trace ids of what could not be read, where that can be read by now; one of it is tried."""
        tried = max((each for each in self.unreadable if isinstance(each, int)), default=None)
        if tried is None:
            return []
        before, self.unreadable = self.unreadable, set()
        sql = "SELECT s.id, s.trace_id FROM spans AS s LEFT JOIN payloads AS p ON p.id = s.id WHERE s.id IN {}"
        sql = sql.format(_AMONG) + " AND coalesce(substr(p.content, -1), '') IS NOT NULL"  # which reads it all

        def ask(ids: Sequence[int]) -> list[str]:
            return [row[1] for row in self._rows(sql, (_json(ids),)) if isinstance(row[1], str)]

        self._readable([tried], ask)
        if self.unreadable:
            self.unreadable = before
            return []
        return [
            *dict.fromkeys(self._readable([each for each in before if isinstance(each, int)], ask)),
            *(each for each in before if isinstance(each, str)),
        ]

    def _found(self, trace_ids: Sequence[str]) -> list[Found]:
        with self._snapshot():
            spans: dict[str, list[Span]] = defaultdict(list)
            for row in self._span_rows(trace_ids):
                spans[row[1]].append(Span.from_row(row))
            wanted = [span.id for each in spans.values() for span in each[:MOST_PAYLOADS]]
            payloads = self._payloads(wanted)
            said, feedback = self._said(trace_ids), self._feedback(trace_ids)
        return [
            Found(each, {span.id: payloads[span.id] for span in each if span.id in payloads}, said[key], feedback[key])
            for key, each in spans.items()
        ]

    def _span_rows(self, trace_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        sql = f"SELECT {COLUMNS} FROM spans WHERE trace_id IN {_AMONG} ORDER BY start_ns, id"  # noqa: S608
        try:
            return list(self._rows(sql, (_json(trace_ids),)))
        except StoreCorrupt as error:
            _only_a_piece(error)
            if len(trace_ids) > 1:
                raise
        # The index of trace ids says where its spans are.
        ids = [row[0] for row in self._rows("SELECT id FROM spans WHERE trace_id = ? ORDER BY id", (trace_ids[0],))]
        sql = f"SELECT {COLUMNS} FROM spans WHERE id IN {_AMONG} ORDER BY start_ns, id"  # noqa: S608
        rows = self._readable(ids, lambda some: list(self._rows(sql, (_json(some),))))
        return [row for row in rows if row[1] == trace_ids[0]]

    def _payloads(self, ids: Sequence[int]) -> dict[int, Payload]:
        sql = f"SELECT id, content FROM payloads WHERE id IN {_AMONG}"  # noqa: S608
        found = {}
        for number, content in self._readable(ids, lambda some: list(self._rows(sql, (_json(some),)))):
            try:
                found[number] = Payload.decode(content)
            except ValueError:
                continue  # `autotrace traces show` tells of it
        return found

    def _said(self, trace_ids: Sequence[str]) -> dict[str, Said]:
        bodies: dict[str, list[Any]] = {trace_id: [] for trace_id in trace_ids}
        if self._has_said:
            sql = f"SELECT trace_id, content FROM updates WHERE trace_id IN {_AMONG} ORDER BY time_ns, content"  # noqa: S608
            for trace_id, content in self._readable(trace_ids, lambda some: list(self._rows(sql, (_json(some),)))):
                bodies[trace_id].append(body_of(content))
        return {trace_id: Said.of(each) for trace_id, each in bodies.items()}

    def _feedback(self, trace_ids: Sequence[str]) -> dict[str, list[Feedback]]:
        found: dict[str, list[Feedback]] = {trace_id: [] for trace_id in trace_ids}
        if self._has_said:
            sql = f"SELECT {FEEDBACK} FROM feedback WHERE trace_id IN {_AMONG} ORDER BY time_ns, id"  # noqa: S608
            for row in self._readable(trace_ids, lambda some: list(self._rows(sql, (_json(some),)))):
                feedback = Feedback.from_row(row)
                found[feedback.trace_id].append(feedback)
        return found

    def _readable(self, keys: Sequence[K], ask: Callable[[Sequence[K]], list[T]]) -> list[T]:
        """What is answered for many at once; by halves, down to what nothing can be answered for, where that fails."""
        if not keys:
            return []
        try:
            return ask(keys)
        except StoreCorrupt as error:
            _only_a_piece(error)
            why: Exception = error
        except _ODD as error:
            why = error
        if len(keys) == 1:
            self._miss(keys[0], why)
            return []
        middle: int = len(keys) // 2
        return [*self._readable(keys[:middle], ask), *self._readable(keys[middle:], ask)]

    def _whole(self, table: str, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a query on a small table; none where that is damaged."""
        try:
            return list(self._rows(sql, values))
        except StoreCorrupt as error:
            _only_a_piece(error)
            self._miss(table, error)
            return []

    def _miss(self, what: int | str, why: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            logger.warning("some of the store cannot be read, and is left out: %s", why)
        self.unreadable.add(what)

    def _rows(self, query: str, values: Sequence[Any] | Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        with self._translated():
            yield from super()._rows(query, values)


def _only_a_piece(error: StoreCorrupt) -> None:
    """Raises the error where not only some pages of the store are damaged: nothing of it can be read then."""
    if "malformed" not in str(error.__cause__):
        raise error


def _json(values: Iterable[Any]) -> str:
    return orjson.dumps(list(values)).decode()
