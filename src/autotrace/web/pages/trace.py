"""The page of one trace: its tree in time, and of one span what was said and all that is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace.store import prices
from autotrace.store.outline import Outline, TraceReader
from autotrace.store.spans import Payload, Span, utc

from ..site import Locate
from . import trace_curl, trace_details, trace_documents, trace_feedback
from .page import Asked, NotThere, Page
from .trace_address import TOP, VIEWS, Address
from .trace_conversation import Conversation, asked_and_answered, captured, is_captured
from .trace_text import Texts, label
from .trace_waterfall import ROWS, Line, Tree

#: Indents of the tree; what is deeper stands no further to the right.
_DEEPEST = 20
_TAGS = 50


def data(
    reader: TraceReader,
    trace_id: str,
    query: Mapping[str, str],
    *,
    mlflow: Locate | None = None,
    hide_content: bool = False,
    scope: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """What the page shows; None where there is no such trace.

    Args:
        reader: The store.
        trace_id: 32 hexadecimal digits; anything else is no trace.
        query: `span`, `view` (`chat`, `details`, `raw`), `row` (line of the tree), `open` (ids of spans, with commas
            between, whose children are all shown), `full=1`. What cannot be used counts as not given.
        mlflow: Tells where a trace is in MLflow; None: no link.
        hide_content: Leave out what was said.
        scope: Parameters of addresses that say which traces the pages around this one are about.

    Raises:
        StoreError: The store cannot be read.
    """
    address = Address.read(trace_id, query, scope)
    outline = None if address is None else reader.outline(address.trace_id)
    if address is None or outline is None:
        return None
    noted = len(reader.notes)
    span, payload = _selected(reader, outline, address.span)
    tree = Tree(outline.nodes)
    texts = Texts(address.full)
    feedback = trace_feedback.shown(outline.feedback, texts, hide_content)
    return {
        "trace": _trace(reader, outline, hide_content),
        "warnings": [
            *_notes(outline, tree, address, span),
            *(label(note) for note in dict.fromkeys(reader.notes[noted:])),
        ],
        "links": _links(reader, outline, address, mlflow),
        "feedback": {**feedback, "action": address.beside(f"/trace/{outline.trace_id}/feedback")},
        "tree": _tree(reader, tree, address, span),
        "view": address.view,
        "views": [{"name": name, "href": address.url(view=name, full=False)} for name in VIEWS],
        "span": _span(reader, span, payload, address, texts, hide_content),
    }


def _selected(reader: TraceReader, outline: Outline, wanted: str | None) -> tuple[Span, Payload]:
    """The span that was asked for; else the lead, or where that does not tell what was said the last model call."""
    lead = outline.lead
    if wanted is not None:
        node = next((node for node in outline.nodes if node.span_id == wanted), None)
        found = {} if node is None else reader.spans([node])
        if node is not None and node.id in found:
            return found[node.id], reader.payload(found[node.id])
    payload = reader.payload(lead)
    if not asked_and_answered(payload.attributes):
        call = reader.last_model_call(outline.trace_id)
        content = None if call is None else reader.payload(call)
        if call is not None and content is not None and is_captured(content.attributes):
            return call, content
    return lead, payload


def _trace(reader: TraceReader, outline: Outline, hide_content: bool) -> dict[str, Any]:
    lead, said = outline.lead, outline.said
    tags = {} if hide_content else {**trace_details.tags(reader.payload(lead)), **(said.tags or {})}
    return {
        "trace_id": outline.trace_id,
        "name": label(said.name or lead.name),
        "status": label(lead.status),
        "start_time": utc(lead.start_ns),
        "duration_ms": lead.duration_ms,
        "tokens": outline.tokens.as_json(),
        "cost_usd": outline.cost_usd,
        "models": [label(name) for name in outline.models[:20]],
        "providers": [label(name) for name in outline.providers[:20]],
        "frameworks": [label(name) for name in outline.frameworks[:20]],
        **{name: None if text is None else label(text) for name, text in outline.labels.items()},
        "tags": [{"name": label(name), "text": label(value)} for name, value in list(tags.items())[:_TAGS]],
        "span_count": len(outline.nodes),
        "error_count": outline.by_status.get("error", 0),
        "running_count": outline.by_status.get("running", 0),
    }


def _notes(outline: Outline, tree: Tree, address: Address, span: Span) -> list[str]:
    """What a reader should know before the rest."""
    found = []
    if outline.lead.status == "interrupted":
        found.append("Interrupted: the process ended before this trace did. What came after its last span is missing.")
    elif outline.lead.status == "running":
        found.append("Still running, or not delivered to its end yet.")
    elif outline.by_status.get("interrupted"):
        found.append(f"{outline.by_status['interrupted']} of its spans were interrupted: their process ended first.")
    if tree.has_missing_parents():
        found.append("Spans that others belong to are not in this store; those stand at the top of the tree.")
    if address.span is not None and address.span != span.span_id:
        found.append(f"There is no span {address.span} in this trace.")
    return found


def _links(reader: TraceReader, outline: Outline, address: Address, mlflow: Locate | None) -> dict[str, Any]:
    before, after = reader.beside(outline)
    session, user = outline.labels["session"], outline.labels["user"]
    return {
        "json": address.url(".json"),
        "previous": None if before is None else address.beside(f"/trace/{before}"),
        "next": None if after is None else address.beside(f"/trace/{after}"),
        "session": None if session is None else address.beside("/session", id=session),
        "user": None if user is None else address.beside("/user", id=user),
        "mlflow": None if mlflow is None else mlflow(reader, outline.trace_id),
    }


def _tree(reader: TraceReader, tree: Tree, address: Address, span: Span) -> dict[str, Any]:
    opened = {"" if each == TOP else each for each in address.opened}
    first = 0 if address.span is None and address.first is None else address.first
    page = tree.page(span.span_id, opened, first)
    spans = reader.spans([line.node for line in page.lines if line.node is not None])
    rows = [row for line in page.lines if (row := _row(line, tree, spans, address, span)) is not None]
    end = page.first + len(page.lines)
    return {
        "rows": rows,
        "first": page.first,
        "total": page.total,
        "span_ms": (tree.end_ns - tree.start_ns) / 1e6,
        "previous": address.url(first=max(0, page.first - ROWS)) if page.first else None,
        "next": address.url(first=end) if end < page.total else None,
    }


def _row(line: Line, tree: Tree, spans: Mapping[int, Span], address: Address, selected: Span) -> dict[str, Any] | None:
    node = line.node
    depth = {"depth": line.depth, "indent": min(line.depth, _DEEPEST)}
    if node is None:
        opened = (*address.opened, line.parent or TOP)
        return {**depth, "more": line.more, "href": address.url(opened=opened, span=address.span or selected.span_id)}
    span = spans.get(node.id)
    if span is None:  # deleted meanwhile
        return None
    x, width = tree.place(node)
    return {
        **depth,
        "more": 0,
        "href": address.url(span=span.span_id, full=False),
        "span_id": span.span_id,
        "is_selected": span.span_id == selected.span_id,
        "name": label(span.name) or span.span_id,
        "operation": None if span.operation is None else label(span.operation),
        "status": label(span.status),
        "children": line.children,
        "after_ms": (span.start_ns - tree.start_ns) / 1e6,
        "duration_ms": span.duration_ms,
        "ttft_ms": None if span.ttft_ns is None else span.ttft_ns / 1e6,
        "x": x,
        "width": width,
        "model": None if span.model is None else label(span.model),
        "input_tokens": span.tokens.input,
        "output_tokens": span.tokens.output,
        "cost_usd": prices.cost_usd(span),
    }


def _span(
    reader: TraceReader, span: Span, payload: Payload, address: Address, texts: Texts, hide_content: bool
) -> dict[str, Any]:
    """The selected span, with what the view shows of it; what another view shows is None."""
    attributes = payload.attributes
    found: dict[str, Any] = {
        "span_id": span.span_id,
        "name": label(span.name) or span.span_id,
        "operation": None if span.operation is None else label(span.operation),
        "status": label(span.status),
        "provider": None if span.provider is None else label(span.provider),
        "model": None if span.model is None else label(span.model),
        "framework": None if span.framework is None else label(span.framework),
        "start_time": utc(span.start_ns),
        "duration_ms": span.duration_ms,
        "ttft_ms": None if span.ttft_ns is None else span.ttft_ns / 1e6,
        "tokens": span.tokens.as_json(),
        "cost_usd": prices.cost_usd(span),
        "errors": trace_details.errors(span, payload, texts, hide_content),
        "content": "hidden" if hide_content else captured(reader, span, attributes),
        "chat": None,
        "documents": [],
        "details": None,
        "raw": None,
        "curl": None if hide_content else trace_curl.command(span, payload),
        "json": address.url(".json", span=span.span_id, view="raw", full=True),
    }
    if address.view == "chat" and not hide_content:
        documents = trace_documents.documents(attributes, texts)
        found["documents"] = documents
        found["chat"] = Conversation(texts, address.full).of(attributes, without_output=bool(documents))
    elif address.view == "details":
        found["details"] = trace_details.details(span, payload, texts, hide_content)
        found["details"]["links"] = [
            {
                "trace_id": other,
                "name": None if name is None else label(name),
                "href": address.beside(f"/trace/{other}"),
            }
            for other, name in reader.linked(payload, span.trace_id)[:_TAGS]
            if Address.read(other, {}) is not None
        ]
    elif address.view == "raw":
        found["raw"] = trace_details.raw(span, payload, address.full, hide_content)
    found["full"] = address.url(span=span.span_id, full=True) if texts.is_cut and not address.full else None
    return found


def _page(asked: Asked) -> dict[str, Any]:
    site = asked.site
    # Before what is shown is read: what changes meanwhile is fetched again, and not missed.
    version = asked.insights.trace_version(asked.path["trace_id"].lower())
    with TraceReader(site.store) as reader:
        found = data(
            reader,
            asked.path["trace_id"],
            asked.query.other,
            mlflow=site.mlflow,
            hide_content=site.hides_content,
            scope=asked.query.given,
        )
    if found is None:
        raise NotThere("There is no trace of this id in the store; it may have been deleted.")
    return {**found, "version": version}


def _context(_: Asked, found: dict[str, Any]) -> dict[str, Any]:
    # `version` of a template is that of all that is known.
    shown = {name: value for name, value in found.items() if name != "version"}
    if found["trace"]["running_count"]:  # the version does not tell every step that ends
        return shown
    # What is over is fetched again only when this trace has changed: others come all the time.
    return {**shown, "check": {"url": f"/status.json?trace={found['trace']['trace_id']}", "known": found["version"]}}


PAGE = Page("trace", "Trace", "/trace/{trace_id}", "traces", _page, _context)
