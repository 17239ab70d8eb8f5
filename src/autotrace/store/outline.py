"""One trace, read a piece at a time: its shape and its figures first, spans and their content where they are shown.

A trace may have tens of thousands of spans. `Reader.trace` reads all that is known of them; a page shows a few hundred
lines and the content of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from . import bills, prices
from .feedback import Feedback, Said, body_of
from .reader import Reader
from .spans import COLUMNS, Payload, Span, Tokens

_NODES = "SELECT id, span_id, parent_id, root, status, start_ns, end_ns FROM spans WHERE trace_id = ?"
_LABELS = ("session", "user", "environment", "service", "release")
#: Spans that are looked at for the traces beside one in its session, in each direction.
_NEAR = 500


class Node(NamedTuple):
    """A span's place in the tree and in time."""

    id: int
    span_id: str
    parent_id: str | None
    root: bool
    status: str
    start_ns: int
    end_ns: int | None


@dataclass(frozen=True, slots=True)
class Outline:
    """What can be said of a trace without its content.

    Attributes:
        nodes: Its spans, earliest first.
        lead: The span that stands for the trace (`traces.lead`).
        said: What was said of the trace later.
        tokens: Sums over the spans; None where no span said.
        cost_usd: Sum over the spans; None where the price of any is unknown.
        labels: `session`, `user`, `environment`, `service`, `release`, by name.
        models: The models that were called; `providers` and `frameworks` likewise.
        by_status: How many spans ended how.
    """

    trace_id: str
    nodes: Sequence[Node]
    lead: Span
    said: Said
    feedback: Sequence[Feedback]
    tokens: Tokens
    cost_usd: float | None
    labels: dict[str, str | None]
    models: Sequence[str]
    providers: Sequence[str]
    frameworks: Sequence[str]
    by_status: dict[str, int]


class TraceReader(Reader):
    """A reader that also tells of one trace without reading all of it."""

    def outline(self, trace_id: str) -> Outline | None:
        """The trace's shape and figures, or None if there is none of this id."""
        with self._snapshot():
            nodes = sorted(map(Node._make, self._rows(_NODES, (trace_id,))), key=lambda node: (node.start_ns, node.id))
            if not nodes:
                return None
            first = min(nodes, key=lambda node: (not node.root, node.start_ns, node.id))
            (lead,) = self._spans_with((first.id,))
            found = list(map(bills.Bill._make, self._rows(bills.QUERY, (trace_id,))))
            by_status: dict[str, int] = {}
            for node in nodes:
                by_status[node.status] = by_status.get(node.status, 0) + 1
            said = Said.of(body_of(content) for content in self._updates(trace_id))
            return Outline(
                trace_id=trace_id,
                nodes=nodes,
                lead=lead,
                said=said,
                feedback=self._feedback(trace_id),
                tokens=bills.tokens(found),
                cost_usd=bills.cost_usd(found),
                labels=self._labels(lead, said),
                models=_distinct(bill.model for bill in found if bill.operation not in prices.UNBILLED),
                providers=_distinct(bill.provider for bill in found),
                frameworks=_distinct(bill.framework for bill in found),
                by_status=by_status,
            )

    def spans(self, nodes: Iterable[Node]) -> dict[int, Span]:
        """All columns of some spans, by row id; one that is gone meanwhile is missing."""
        with self._snapshot():
            return {span.id: span for span in self._spans_with([node.id for node in nodes])}

    def payload(self, span: Span) -> Payload:
        """The content of a span; empty, and a note, where it is damaged."""
        with self._snapshot():
            return self._payload(span)

    def last_model_call(self, trace_id: str) -> Span | None:
        """The model call of a trace that began last."""
        unbilled = sorted(operation for operation in prices.UNBILLED if operation)
        among = ", ".join("?" * len(unbilled))
        sql = (
            f"SELECT {COLUMNS} FROM spans WHERE trace_id = ? AND model IS NOT NULL AND operation NOT IN ({among})"  # noqa: S608
            " ORDER BY start_ns DESC, id DESC LIMIT 1"
        )
        with self._snapshot():
            return next(map(Span.from_row, self._rows(sql, (trace_id, *unbilled))), None)

    def linked(self, payload: Payload, trace_id: str) -> list[tuple[str, str | None]]:
        """Other traces that a span links to: trace id, and the name of the span where the store has it."""
        with self._snapshot():
            return list(self._linked([payload], trace_id))

    def is_sent(self, destination: str, trace_id: str) -> bool:
        """Whether `autotrace ship` has sent the trace there, as it is now or was once."""
        sql = "SELECT 1 FROM shipped WHERE destination = ? AND trace_id = ?"
        with self._snapshot():
            return self._has_said and any(True for _ in self._rows(sql, (destination, trace_id)))

    def beside(self, outline: Outline) -> tuple[str | None, str | None]:
        """Ids of the traces of the same session before and after this one; None where there is none.

        Traces are stored about when they happen: only what was stored shortly before and after is looked at.
        """
        session = outline.labels["session"]
        if session is None:
            return None, None
        with self._snapshot():
            near = self._near(session, outline)
            place = (outline.lead.start_ns, outline.trace_id)
            times = sorted((self._began(trace_id), trace_id) for trace_id in near)
        before = [trace_id for began, trace_id in times if (began, trace_id) < place]
        after = [trace_id for began, trace_id in times if (began, trace_id) > place]
        return (before[-1] if before else None), (after[0] if after else None)

    def _near(self, session: str, outline: Outline) -> set[str]:
        ids = [node.id for node in outline.nodes]
        columns = "SELECT trace_id FROM spans WHERE session = ? AND id"
        found: set[str] = set()
        for condition, row_id in (("< ? ORDER BY id DESC", min(ids)), ("> ? ORDER BY id", max(ids))):
            rows = self._rows(f"{columns} {condition} LIMIT {_NEAR}", (session, row_id))
            found.update(dict.fromkeys(row[0] for row in rows))
        # Traces that ran at the same time lie between its spans.
        between = self._rows(f"{columns} BETWEEN ? AND ? LIMIT {_NEAR}", (session, min(ids), max(ids)))
        found.update(row[0] for row in between)
        if self._has_said:
            rows = self._rows(f"SELECT trace_id FROM updates WHERE session = ? LIMIT {_NEAR}", (session,))  # noqa: S608
            found.update(row[0] for row in rows)
        found.discard(outline.trace_id)
        return {trace_id for trace_id in found if self._exists(trace_id) and self._session(trace_id) == session}

    def _exists(self, trace_id: str) -> bool:
        return any(True for _ in self._rows("SELECT 1 FROM spans WHERE trace_id = ? LIMIT 1", (trace_id,)))

    def _session(self, trace_id: str) -> str | None:
        """The session that a trace belongs to by what was said last."""
        said = Said.of(body_of(content) for content in self._updates(trace_id)).session
        if said is not None:
            return said
        sql = (
            "SELECT session FROM spans WHERE trace_id = ? AND session IS NOT NULL ORDER BY root DESC, start_ns LIMIT 1"
        )
        return next((row[0] for row in self._rows(sql, (trace_id,))), None)

    def _spans_with(self, ids: Sequence[int]) -> list[Span]:
        sql = f"SELECT {COLUMNS} FROM spans WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608
        return [Span.from_row(row) for row in self._rows(sql, (orjson.dumps(list(ids)).decode(),))]

    def _labels(self, lead: Span, said: Said) -> dict[str, str | None]:
        """What was said later, else what the lead says, else the first span that says anything."""
        found: dict[str, str | None] = {name: getattr(lead, name) for name in _LABELS}
        found.update({name: text for name in ("session", "user") if (text := getattr(said, name)) is not None})
        for name in (name for name, text in found.items() if text is None):
            sql = f"SELECT {name} FROM spans WHERE trace_id = ? AND {name} IS NOT NULL ORDER BY start_ns, id LIMIT 1"  # noqa: S608
            found[name] = next((row[0] for row in self._rows(sql, (lead.trace_id,))), None)
        return found


def _distinct(names: Iterable[str | None]) -> list[str]:
    return sorted({name for name in names if name})
