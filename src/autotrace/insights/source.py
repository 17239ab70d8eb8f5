"""What the follower reads of the store: what is new, and whole traces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from autotrace.store.feedback import COLUMNS as FEEDBACK
from autotrace.store.feedback import Feedback, Said, body_of
from autotrace.store.spans import COLUMNS, Payload, Span
from autotrace.store.view import View

#: Payloads of a trace that are read: of one that is longer than long, the first.
MOST_PAYLOADS = 2000
_AMONG = "(SELECT value FROM json_each(?))"


class Found(NamedTuple):
    """All that there is of a trace."""

    spans: list[Span]
    payloads: dict[int, Payload]
    said: Said
    feedback: list[Feedback]


class Source(View):
    """A read-only view of the store, for the follower."""

    def data_version(self) -> int:
        """A number that changes when another connection has changed the store."""
        return int(next(self._rows("PRAGMA data_version", ()), (0,))[0])

    def highest(self) -> int:
        """The highest row id of a span; 0 without any."""
        return int(next(self._rows("SELECT coalesce(max(id), 0) FROM spans", ()), (0,))[0])

    def lowest(self) -> int:
        """The lowest row id of a span; 0 without any."""
        return int(next(self._rows("SELECT coalesce(min(id), 0) FROM spans", ()), (0,))[0])

    def spans_between(self, first: int, last: int) -> list[tuple[int, str]]:
        """Row ids and trace ids of spans, the latest stored first."""
        sql = "SELECT id, trace_id FROM spans WHERE id BETWEEN ? AND ? ORDER BY id DESC"
        return [(row[0], row[1]) for row in self._rows(sql, (first, last))]

    def changed(self, pending: Iterable[tuple[int, str]]) -> list[str]:
        """Trace ids of those among spans (row id, status) whose status has changed."""
        before = dict(pending)
        sql = f"SELECT id, trace_id, status FROM spans WHERE id IN {_AMONG}"  # noqa: S608
        return [row[1] for row in self._rows(sql, (_json(before),)) if before[row[0]] != row[2]]

    def judged_sum(self) -> int:
        """A number that changes when any feedback has."""
        if not self._has_said:
            return 0
        sql = "SELECT count(*), coalesce(sum(time_ns / 1000 % 1048573), 0) FROM feedback"
        count, times = next(self._rows(sql, ()), (0, 0))
        return int(count) * 1048573 + int(times)

    def judged(self, after_row: int, since_ns: int) -> list[tuple[int, str, str, int]]:
        """Feedback with a higher row id, or given since: row id, id, trace id, time."""
        if not self._has_said:
            return []
        columns = "SELECT rowid, id, trace_id, time_ns FROM feedback"
        sql = f"{columns} WHERE rowid > ? UNION {columns} WHERE time_ns >= ?"
        return [(row[0], row[1], row[2], row[3]) for row in self._rows(sql, (after_row, since_ns))]

    def updated(self, after_row: int) -> list[tuple[int, str]]:
        """Updates with a higher row id: that, and their trace ids; all, where the file was written anew meanwhile."""
        if not self._has_said:
            return []
        highest = int(next(self._rows("SELECT coalesce(max(rowid), 0) FROM updates", ()), (0,))[0])
        after_row = after_row if after_row <= highest else 0
        return [
            (row[0], row[1]) for row in self._rows("SELECT rowid, trace_id FROM updates WHERE rowid > ?", (after_row,))
        ]

    def existing(self, trace_ids: Sequence[str]) -> set[str]:
        """Those of the traces that are there."""
        sql = "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM spans WHERE trace_id = value)"
        return {row[0] for row in self._rows(sql, (_json(trace_ids),))}

    def found(self, trace_ids: Sequence[str]) -> list[Found]:
        """All that there is of each of these traces that are there, as of one moment."""
        with self._snapshot():
            spans: dict[str, list[Span]] = defaultdict(list)
            sql = f"SELECT {COLUMNS} FROM spans WHERE trace_id IN {_AMONG} ORDER BY start_ns, id"  # noqa: S608
            for row in self._rows(sql, (_json(trace_ids),)):
                spans[row[1]].append(Span.from_row(row))
            wanted = [span.id for each in spans.values() for span in each[:MOST_PAYLOADS]]
            payloads = self._payloads(wanted)
            said, feedback = self._said(trace_ids), self._feedback(trace_ids)
        return [
            Found(each, {span.id: payloads[span.id] for span in each if span.id in payloads}, said[key], feedback[key])
            for key, each in spans.items()
        ]

    def _payloads(self, ids: Sequence[int]) -> dict[int, Payload]:
        found = {}
        for number, content in self._rows(f"SELECT id, content FROM payloads WHERE id IN {_AMONG}", (_json(ids),)):  # noqa: S608
            try:
                found[number] = Payload.decode(content)
            except ValueError:
                continue  # `autotrace traces show` tells of it
        return found

    def _said(self, trace_ids: Sequence[str]) -> dict[str, Said]:
        bodies: dict[str, list[Any]] = {trace_id: [] for trace_id in trace_ids}
        if self._has_said:
            sql = f"SELECT trace_id, content FROM updates WHERE trace_id IN {_AMONG} ORDER BY time_ns, content"  # noqa: S608
            for trace_id, content in self._rows(sql, (_json(trace_ids),)):
                bodies[trace_id].append(body_of(content))
        return {trace_id: Said.of(each) for trace_id, each in bodies.items()}

    def _feedback(self, trace_ids: Sequence[str]) -> dict[str, list[Feedback]]:
        found: dict[str, list[Feedback]] = {trace_id: [] for trace_id in trace_ids}
        if self._has_said:
            sql = f"SELECT {FEEDBACK} FROM feedback WHERE trace_id IN {_AMONG} ORDER BY time_ns, id"  # noqa: S608
            for row in self._rows(sql, (_json(trace_ids),)):
                feedback = Feedback.from_row(row)
                found[feedback.trace_id].append(feedback)
        return found


def _json(values: Iterable[Any]) -> str:
    return orjson.dumps(list(values)).decode()
