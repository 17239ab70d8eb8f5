"""Reads traces from the store. Opens it read-only: nothing that a reader does changes the file."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from . import prices, search
from .feedback import COLUMNS as FEEDBACK
from .feedback import Feedback, Said, body_of
from .journalled import COLUMNS as JOURNALLED
from .journalled import Entry, Group, grouped, span_entry
from .selection import ALL, Selection
from .shipped import digest
from .spans import COLUMNS, Payload, Span
from .traces import PayloadOf, TraceSummary, summarise
from .view import View

#: Spans that are looked at at once where a whole store is read.
_PAGE = 500
#: Likewise where some are chosen: what chooses them may have to look at all.
_LARGE_PAGE = 5000
_IN_ORDER = """
    SELECT start_ns, trace_id FROM spans WHERE {where} AND (start_ns, trace_id) > (:start, :last)
    ORDER BY start_ns, trace_id LIMIT :page
"""
_ENTRIES = f"SELECT {JOURNALLED}, content FROM spans LEFT JOIN payloads USING (id) WHERE trace_id = ? ORDER BY id"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace with everything that was recorded: spans earliest first, payloads by row id.

    Attributes:
        linked: The spans of other traces that led to this one, by what its roots say: trace id, and the span's name
            where the store has it.
    """

    summary: TraceSummary
    spans: tuple[Span, ...]
    payloads: dict[int, Payload]
    linked: tuple[tuple[str, str | None], ...] = ()

    def payload(self, span: Span) -> Payload:
        """The wide part of one of the spans."""
        return self.payloads.get(span.id, Payload())

    def as_json(self) -> dict[str, Any]:
        """The object that `autotrace traces show --json` prints: that of the list, and `spans`."""
        spans = [span.as_json(self.payload(span), prices.cost_usd(span)) for span in self.spans]
        return {**self.summary.as_json(), "spans": spans}


class Reader(View):
    """A read-only view of one store, for what commands and pages show; `View` says how it is opened."""

    def traces(
        self,
        limit: int = 20,
        chosen: Selection = ALL,
        search: str | None = None,
    ) -> list[TraceSummary]:
        """The newest traces, newest first.

        Args:
            limit: At most so many.
            chosen: Which ones.
            search: Only those that all these words occur in, as in `search`.

        Raises:
            StoreError: `search` is given, and this SQLite has no full-text search.
        """
        with self._snapshot():
            found = self._newest(limit, chosen) if search is None else self._found(search, limit, chosen)
            return [self._summary(trace_id, self._spans(trace_id), self._payload) for trace_id in found]

    def summaries(self, trace_ids: Iterable[str]) -> list[TraceSummary]:
        """What a list shows of these traces, in their order; of those that are there."""
        with self._snapshot():
            spans = ((trace_id, self._spans(trace_id)) for trace_id in trace_ids)
            return [self._summary(trace_id, found, self._payload) for trace_id, found in spans if found]

    def search(self, text: str, limit: int = 20) -> list[str]:
        """Ids of the newest traces that speak of all these words, newest first.

        Found is what was asked and answered, what tools were given and gave, and error messages; capitals and accents
        do not matter. The words stand in one trace, not necessarily together. `word*` is all that begins so; all else
        is taken as words. "Newest" goes by when a trace was stored.

        Raises:
            StoreError: This SQLite has no full-text search.
        """
        with self._snapshot():
            return self._found(text, limit, ALL)

    @contextmanager
    def words(self, text: str) -> Iterator[Iterator[int]]:
        """Row ids of spans in whose traces all these words occur, latest stored first, as of one moment.

        Raises:
            StoreError: This SQLite has no full-text search.
        """
        with self._snapshot():
            yield search.matches(self._connection, text) if self._has_said else iter(())

    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest row id of a span; zeros without any."""
        # Each by itself is one step in the index; both in one query are a scan.
        sql = "SELECT coalesce((SELECT min(id) FROM spans), 0), coalesce((SELECT max(id) FROM spans), 0)"
        with self._snapshot():
            found = next(self._rows(sql, ()), (0, 0))
            return int(found[0]), int(found[1])

    def counted(
        self, columns: str, first_hour: int, last_hour: int, chosen: Mapping[str, str] | None = None
    ) -> list[tuple[Any, ...]]:
        """What the hourly figures (rollups.py) say of whole traces, kept or not.

        Args:
            columns: SQL on `rollups` and `dimensions`: constant.
            first_hour: In hours since 1970; `last_hour` is in it.
            last_hour: Likewise.
            chosen: Values of dimensions; None: all.
        """
        if not self._has_said:
            return []
        chosen = chosen or {}
        where = "".join(f" AND {name} = :{name}" for name in chosen)
        sql = f"""
            SELECT {columns} FROM rollups JOIN dimensions ON dimensions.id = rollups.dimension
            WHERE hour BETWEEN :first AND :last AND top{where}
        """  # noqa: S608
        with self._snapshot():
            return list(self._rows(sql, {"first": first_hour, "last": last_hour, **chosen}))

    def feedback(self, trace_id: str) -> list[Feedback]:
        """Feedback on a trace and its spans, earliest first."""
        with self._snapshot():
            return self._feedback(trace_id)

    def trace_ids(self, chosen: Selection = ALL) -> Iterator[str]:
        """Ids of all traces that are chosen, by the start of the first span by which they are.

        Read a few at a time: what is written meanwhile may be among them.
        """
        other = chosen.without_time()
        where, values = other.where(self._has_said)
        page = _PAGE if other == ALL else _LARGE_PAGE
        place: tuple[Any, ...] = (-(2**63) if chosen.since_ns is None else chosen.since_ns, "")
        while True:
            with self._snapshot():
                limits = {"start": place[0], "last": place[1], "page": page}
                rows = list(self._rows(_IN_ORDER.format(where=where), {**values, **limits}))
                found = dict.fromkeys(trace_id for start, trace_id in rows if self._begins(trace_id, start, chosen))
            yield from found
            if len(rows) < page:
                return
            place = rows[-1]

    def records(self, trace_id: str) -> list[Group]:
        """All of a trace as it was journalled, by process; empty when there is none of this id."""
        with self._snapshot():
            return grouped(self._entries(trace_id), trace_id, self._feedback(trace_id), self._updates(trace_id))

    def matches(self, prefix: str, limit: int = 6) -> list[str]:
        """Trace ids that begin with `prefix` (hexadecimal, any case), in order, at most `limit`."""
        prefix = prefix.lower()
        if not prefix or set(prefix) - set("0123456789abcdef"):
            return []
        with self._snapshot():
            rows = self._rows(
                "SELECT DISTINCT trace_id FROM spans WHERE trace_id >= ? AND trace_id < ? ORDER BY trace_id LIMIT ?",
                (prefix, prefix + "g", limit),
            )
            return [row[0] for row in rows]

    def trace(self, trace_id: str) -> Trace | None:
        """One trace with all its spans, or None if there is none of this id."""
        with self._snapshot():
            spans = self._spans(trace_id)
            if not spans:
                return None
            payloads = {span.id: self._payload(span) for span in spans}
            summary = self._summary(trace_id, spans, lambda span: payloads[span.id])
            roots = [payloads[span.id] for span in spans if span.root]
            return Trace(summary, tuple(spans), payloads, tuple(self._linked(roots, trace_id)))

    def state(self, trace_id: str) -> bytes:
        """What changes when anything is added to a trace."""
        with self._snapshot():
            spans = self._rows("SELECT span_id, status FROM spans WHERE trace_id = ? ORDER BY 1", (trace_id,))
            return digest(
                [
                    *spans,
                    *((each.id, each.time_ns) for each in self._feedback(trace_id)),
                    *((update,) for update in self._updates(trace_id)),
                ]
            )

    def is_shipped(self, destination: str, trace_id: str, state: bytes) -> bool:
        """Whether a destination has the trace as it is (`state`)."""
        sql = "SELECT 1 FROM shipped WHERE destination = ? AND trace_id = ? AND content = ?"
        with self._snapshot():
            return self._has_said and any(True for _ in self._rows(sql, (destination, trace_id, state)))

    def _spans(self, trace_id: str) -> list[Span]:
        rows = self._rows(f"SELECT {COLUMNS} FROM spans WHERE trace_id = ?", (trace_id,))  # noqa: S608
        return sorted((Span.from_row(row) for row in rows), key=lambda span: (span.start_ns, span.id))

    def _payload(self, span: Span) -> Payload:
        for (content,) in self._rows("SELECT content FROM payloads WHERE id = ?", (span.id,)):
            try:
                return Payload.decode(content)
            except ValueError as error:
                self.notes.append(f"span {span.span_id}: {error}")
        return Payload()

    def _linked(self, roots: Sequence[Payload], trace_id: str) -> Iterator[tuple[str, str | None]]:
        links = [(str(link.get("trace_id")), str(link.get("span_id"))) for root in roots for link in root.links]
        for other, span_id in dict.fromkeys(links):
            if other != trace_id:
                rows = self._rows("SELECT name FROM spans WHERE trace_id = ? AND span_id = ?", (other, span_id))
                yield other, next((str(row[0]) for row in rows), None)

    def _summary(self, trace_id: str, spans: Sequence[Span], payload_of: PayloadOf) -> TraceSummary:
        said = Said.of(body_of(content) for content in self._updates(trace_id))
        return summarise(spans, payload_of, said, self._feedback(trace_id))

    def _feedback(self, trace_id: str) -> list[Feedback]:
        sql = f"SELECT {FEEDBACK} FROM feedback WHERE trace_id = ? ORDER BY time_ns, id"  # noqa: S608
        return [Feedback.from_row(row) for row in self._rows(sql, (trace_id,))] if self._has_said else []

    def _updates(self, trace_id: str) -> list[str]:
        sql = "SELECT content FROM updates WHERE trace_id = ? ORDER BY time_ns, content"
        return [row[0] for row in self._rows(sql, (trace_id,))] if self._has_said else []

    def _entries(self, trace_id: str) -> Iterator[tuple[Entry, dict[str, Any]]]:
        for row in self._rows(_ENTRIES, (trace_id,)):
            try:
                yield span_entry(row[:-1], row[-1] or b"")
            except ValueError as error:
                self.notes.append(f"span {row[2]}: {error}")

    def _begins(self, trace_id: str, start: int, chosen: Selection) -> bool:
        """Whether the first span by which a trace is chosen starts then, and the trace itself not too early."""
        first = self._first_start(trace_id)
        if chosen.since_ns is not None and first < chosen.since_ns:
            return False
        other = chosen.without_time()
        return start == (first if other == ALL else self._first_start(trace_id, other))

    def _first_start(self, trace_id: str, chosen: Selection = ALL) -> int:
        where, values = chosen.where(self._has_said, trace_id)
        return int(next(self._rows(f"SELECT min(start_ns) FROM spans WHERE {where}", values))[0])  # noqa: S608

    def _found(self, text: str, limit: int, chosen: Selection) -> list[str]:
        """Ids of the traces stored last that speak of these words, newest first."""
        if not self._has_said:
            if not self._empty:
                self.notes.append(f"{self.path} is an older autotrace's and has no index yet: run autotrace prune")
            return []
        best: dict[str, int] = {}
        for span in search.matches(self._connection, text):
            row = next(self._rows("SELECT trace_id FROM spans WHERE id = ?", (span,)), None)
            if row is None or row[0] in best:
                continue
            began = self._began(row[0])
            if (chosen.since_ns is None or began >= chosen.since_ns) and self._fits(row[0], chosen):
                best[row[0]] = began
                if len(best) == limit:
                    break
        left = search.unfilled(self._connection)
        if left:
            self.notes.append(f"{left} spans cannot be found by their words yet: run autotrace prune")
        return sorted(best, key=lambda trace_id: (best[trace_id], trace_id), reverse=True)

    def _fits(self, trace_id: str, chosen: Selection) -> bool:
        """Whether all but the time fits."""
        other = chosen.without_time()
        return other == ALL or any(True for _ in self._backwards(other, trace_id))

    def _newest(self, limit: int, chosen: Selection) -> list[str]:
        """Ids of the newest traces that fit.

        Walks spans from the newest start backwards. A trace begins where its leading span does, which may be
        long before the span that was met first: it waits in a heap until no trace still unseen can be newer.
        """
        best: list[tuple[int, str]] = []
        seen: set[str] = set()
        for trace_id, start_ns in self._backwards(chosen):
            if len(best) == limit and best[0][0] >= start_ns:
                break
            if trace_id in seen:
                continue
            seen.add(trace_id)
            began = self._began(trace_id)
            if chosen.since_ns is not None and began < chosen.since_ns:
                continue
            heapq.heappush(best, (began, trace_id))
            if len(best) > limit:
                heapq.heappop(best)
        return [trace_id for _, trace_id in sorted(best, reverse=True)]

    def _backwards(self, chosen: Selection, trace_id: str | None = None) -> Iterator[tuple[str, int]]:
        """Trace id and start of the spans by which their traces are chosen, latest start first."""
        where, values = chosen.where(self._has_said, trace_id)
        yield from self._rows(f"SELECT trace_id, start_ns FROM spans WHERE {where} ORDER BY start_ns DESC", values)  # noqa: S608

    def _began(self, trace_id: str) -> int:
        """When the trace's leading span started, in ns since 1970."""
        rows = self._rows(
            "SELECT start_ns FROM spans WHERE trace_id = ? ORDER BY root DESC, start_ns LIMIT 1", (trace_id,)
        )
        return int(next(iter(rows))[0])
