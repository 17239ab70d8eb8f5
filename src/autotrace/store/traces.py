"""A trace: the spans of one trace id, and what can be said of them as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from . import messages, prices
from .feedback import Feedback, Said
from .spans import Payload, Span, utc

PayloadOf = Callable[[Span], Payload]

#: How many model spans are asked for what was said, when the root does not tell.
_ASKED = 5


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One trace in a list. `error` is the root's own; `error_count` counts every span that failed.

    Attributes:
        duration_ms: Of the root, in milliseconds; None while it runs, or when it never ended.
        input_tokens: Sum over the spans; None when no span said. `output_tokens` likewise.
        cost_usd: Sum over the spans; None when the price of any is unknown.
        request: What was asked, as text; None when it was not captured. `response` likewise.
    """

    trace_id: str
    name: str
    status: str
    start_ns: int
    duration_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    session: str | None
    user: str | None
    environment: str | None
    service: str | None
    release: str | None
    tags: dict[str, Any]
    feedback: tuple[Feedback, ...]
    request: str | None
    response: str | None
    error: dict[str, str | None] | None
    error_count: int
    span_count: int

    def as_json(self) -> dict[str, Any]:
        """The object that `autotrace traces --json` prints: every key is always there."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        found["feedback"] = [each.as_json() for each in self.feedback]
        return {"start_time" if name == "start_ns" else name: value for name, value in found.items()} | {
            "start_time": utc(self.start_ns)
        }


def lead(spans: Sequence[Span]) -> Span:
    """The span that stands for the trace: its earliest local root, else its earliest span."""
    return min(spans, key=lambda span: (not span.root, span.start_ns, span.id))


def summarise(
    spans: Sequence[Span],
    payload_of: PayloadOf,
    said: Said | None = None,
    feedback: Iterable[Feedback] = (),
    total_usd: Callable[[Sequence[Span]], float | None] = prices.total_usd,
) -> TraceSummary:
    """What a list shows of a trace.

    Args:
        spans: All spans of one trace, earliest first; at least one.
        payload_of: Reads a span's payload; called for few spans.
        said: What was said of the trace afterwards: it counts more than what the spans say.
        feedback: On the trace.
        total_usd: Works out what the spans cost.
    """
    said = said or Said()
    payload_of = cache(payload_of)
    root = lead(spans)
    payload = payload_of(root)
    name = said.name or payload.attributes.get("autotrace.trace.name")
    return TraceSummary(
        trace_id=root.trace_id,
        name=name if isinstance(name, str) and name else root.name,
        status=root.status,
        start_ns=root.start_ns,
        duration_ms=root.duration_ms,
        input_tokens=_sum(span.tokens.input for span in spans),
        output_tokens=_sum(span.tokens.output for span in spans),
        cost_usd=total_usd(spans),
        session=_first((said.session, *(span.session for span in (root, *spans)))),
        user=_first((said.user, *(span.user for span in (root, *spans)))),
        environment=_first(span.environment for span in (root, *spans)),
        service=_first(span.service for span in (root, *spans)),
        release=_first(span.release for span in (root, *spans)),
        tags={**_tags(payload), **(said.tags or {})},
        feedback=tuple(feedback),
        request=_request(root, spans, payload_of),
        response=_response(root, spans, payload_of),
        error=root.error(payload),
        error_count=sum(span.status == "error" for span in spans),
        span_count=len(spans),
    )


def in_tree_order(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Every span exactly once with its depth, parents before children, siblings by start.

    A span whose parent is missing stands at the top. So does one of a circle of parents (which only a damaged
    or forged store has).
    """
    children: dict[str | None, list[Span]] = {}
    known = {span.span_id for span in spans}
    for span in sorted(spans, key=lambda span: (span.start_ns, span.id)):
        parent = span.parent_id if span.parent_id in known else None
        children.setdefault(parent, []).append(span)
    seen: set[str] = set()
    tops = children.get(None, [])
    for top in (*tops, *sorted(spans, key=lambda span: (span.start_ns, span.id))):
        waiting = [(0, top)]
        while waiting:
            depth, span = waiting.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            yield depth, span
            waiting.extend((depth + 1, child) for child in reversed(children.get(span.span_id, [])))


def _request(root: Span, spans: Sequence[Span], payload_of: PayloadOf) -> str | None:
    """What the root was asked, else the first model."""
    return _first(messages.request_text(payload_of(span).attributes) for span in (root, *_models(root, spans)[:_ASKED]))


def _response(root: Span, spans: Sequence[Span], payload_of: PayloadOf) -> str | None:
    """What the root answered, else the last model."""
    return _first(
        messages.response_text(payload_of(span).attributes) for span in (root, *_models(root, spans)[::-1][:_ASKED])
    )


def _models(root: Span, spans: Sequence[Span]) -> list[Span]:
    return [span for span in spans if span is not root and span.model and span.operation not in prices.UNBILLED]


def _tags(payload: Payload) -> dict[str, Any]:
    value = payload.attributes.get("autotrace.tags")
    try:
        found = orjson.loads(value) if isinstance(value, str) else None
        orjson.dumps([[[found]]])  # What is nested too deep to be written again is no set of tags.
    except (ValueError, TypeError):
        found = None
    return found if isinstance(found, dict) else {}


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum of what is known, or None when nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
