"""What is known of a span beside what was said: parameters, usage, events, errors, all attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace.store import prices
from autotrace.store.spans import Payload, Span, utc

from .trace_conversation import CONTENT
from .trace_text import Texts, indented, label, parsed_json

_PARAMETER = "gen_ai.request."
#: What has a place of its own on the page.
_ELSEWHERE = frozenset({"gen_ai.request.model"})
_FACTS = {
    "operation": "gen_ai.operation.name",
    "model asked for": "gen_ai.request.model",
    "model that answered": "gen_ai.response.model",
    "finish reason": "gen_ai.response.finish_reasons",
    "output type": "gen_ai.output.type",
    "tool": "gen_ai.tool.name",
    "agent": "gen_ai.agent.name",
    "workflow": "gen_ai.workflow.name",
    "response id": "gen_ai.response.id",
    "server": "server.address",
    "request id": "autotrace.request.id",
    "outcome": "autotrace.outcome",
    "traced by": "autotrace.instrumentor",
}
#: Events, links, tools and rows of a table that are shown.
_MOST = 200
#: Characters of a span's JSON that the page shows.
_RAW, _RAW_FULL = 200_000, 500_000
HIDDEN = "<content hidden>"
#: Beginnings of names whose texts are none of what was said.
_FIGURES = (
    "gen_ai.request.",
    "gen_ai.response.",
    "gen_ai.usage.",
    "gen_ai.provider.",
    "gen_ai.operation.",
    "server.",
    "http.",
    "error.",
    "exception.type",
    "openinference.",
    "autotrace.outcome",
    "autotrace.retry.",
    "autotrace.instrumentor",
    "session.",
    "user.id",
)


def details(span: Span, payload: Payload, texts: Texts, hide_content: bool) -> dict[str, Any]:
    """Facts, parameters, tokens, cost, tools, events and what the process said of itself; times in ns and ms."""
    attributes = payload.attributes
    facts = [{"name": name, "text": _text(attributes[key])} for name, key in _FACTS.items() if key in attributes]
    if payload.scope:
        facts.append({"name": "scope", "text": label(f"{payload.scope} {payload.scope_version or ''}".strip())})
    return {
        "facts": facts,
        "parameters": [
            {"name": label(key[len(_PARAMETER) :]), "text": _text(value)}
            for key, value in sorted(attributes.items())[:2000]
            if key.startswith(_PARAMETER) and key not in _ELSEWHERE
        ][:_MOST],
        "tokens": {
            **span.tokens.as_json(),
            "audio_input": _count(attributes.get("gen_ai.usage.audio.input_tokens")),
            "audio_output": _count(attributes.get("gen_ai.usage.audio.output_tokens")),
        },
        "cost": _cost(span),
        "start_time": utc(span.start_ns),
        "end_time": None if span.end_ns is None else utc(span.end_ns),
        "tools": [] if hide_content else _tools(attributes, texts),
        "events": _events(span, payload, texts, hide_content),
        "resource": [
            {"name": label(key), "text": _text(value)} for key, value in list(payload.resource.items())[:_MOST]
        ],
    }


def errors(span: Span, payload: Payload, texts: Texts, hide_content: bool) -> list[dict[str, Any]]:
    """What went wrong: `type`, `message`, `stack`; the last first. Empty where nothing did."""
    found = []
    for event in reversed(payload.events[-_MOST:]):
        attributes = event.get("attributes")
        if event.get("name") == "exception" and isinstance(attributes, dict):
            found.append(
                {
                    "type": _text(attributes.get("exception.type") or span.error_type or "exception"),
                    "message": _said(attributes.get("exception.message"), texts, hide_content),
                    "stack": _said(attributes.get("exception.stacktrace"), texts, hide_content),
                }
            )
    told = span.error(payload)
    if told is not None and not found:
        kind, message = told["type"], told["message"]
        found.append({"type": label(kind or "error"), "message": _said(message, texts, hide_content), "stack": None})
    return found


def raw(span: Span, payload: Payload, full: bool, hide_content: bool) -> dict[str, Any]:
    """The whole span as JSON: its `text`, cut, `left_out`, and with `full` the object itself as `value`."""
    value = span.as_json(_without_content(payload) if hide_content else payload, prices.cost_usd(span))
    if hide_content and value["error"]:
        value["error"] = {**value["error"], "message": HIDDEN}
    text = indented(value)
    texts = Texts(limit=_RAW_FULL if full else _RAW)
    # What cannot be read back is not given as an object either.
    is_whole = full and isinstance(parsed_json(text, len(text)), dict)
    return {**texts.shown(text), "value": value if is_whole else None}


def tags(payload: Payload) -> dict[str, Any]:
    """The tags that a span was given."""
    value = payload.attributes.get("autotrace.tags")
    found = parsed_json(value) if isinstance(value, str) else value
    return found if isinstance(found, dict) else {}


def _cost(span: Span) -> dict[str, float | None]:
    parts = None
    if span.provider and span.model and (span.tokens.input is not None or span.tokens.output is not None):
        parts = prices.parts_usd(span.provider, span.model, span.tokens, span.start_ns)
    sent, received = (None, None) if parts is None else parts[:2]
    return {"total_usd": prices.cost_usd(span), "input_usd": sent, "output_usd": received}


def _tools(attributes: Mapping[str, Any], texts: Texts) -> list[dict[str, Any]]:
    value = attributes.get("gen_ai.tool.definitions")
    found = parsed_json(value) if isinstance(value, str) else value
    if not isinstance(found, list):
        return []
    return [_tool(one, texts) for one in found[:_MOST] if isinstance(one, dict)]


def _tool(given: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """A definition, of whichever provider."""
    inner = given.get("function")
    known: Mapping[str, Any] = inner if isinstance(inner, dict) else given
    description = known.get("description")
    return {
        "name": label(known.get("name") or given.get("type") or "tool"),
        "description": None if description is None else texts.shown(description),
        "definition": texts.value(dict(given)),
    }


def _events(span: Span, payload: Payload, texts: Texts, hide_content: bool) -> list[dict[str, Any]]:
    found = []
    for event in payload.events[:_MOST]:
        if event.get("name") == "exception":
            continue  # shown as an error
        time, attributes = event.get("time"), event.get("attributes")
        known = isinstance(time, int) and not isinstance(time, bool) and abs(time) < 2**63
        found.append(
            {
                "name": label(event.get("name") or "event"),
                "after_ms": (time - span.start_ns) / 1e6 if known and isinstance(time, int) else None,
                "attributes": [
                    {
                        "name": label(key),
                        "text": HIDDEN if _is_hidden(key, value, hide_content) else texts.shown(value)["text"],
                    }
                    for key, value in list(attributes.items())[:_MOST]
                ]
                if isinstance(attributes, dict)
                else [],
            }
        )
    return found


def _said(value: Any, texts: Texts, hide_content: bool) -> dict[str, Any] | None:
    """A text of an error, which may hold content."""
    if not value:
        return None
    return {"text": HIDDEN, "left_out": 0} if hide_content else texts.shown(value)


def _text(value: Any) -> str:
    return ", ".join(map(label, value)) if isinstance(value, list) else label(value)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _without_content(payload: Payload) -> Payload:
    return Payload(
        kind=payload.kind,
        message=None if payload.message is None else HIDDEN,
        scope=payload.scope,
        scope_version=payload.scope_version,
        attributes=_hidden(payload.attributes),
        events=tuple({**event, "attributes": _hidden(event.get("attributes"))} for event in payload.events),
        links=payload.links,
        resource=payload.resource,
    )


def _hidden(attributes: Any) -> dict[str, Any]:
    if not isinstance(attributes, dict):
        return {}
    return {key: HIDDEN if _is_hidden(key, value, True) else value for key, value in attributes.items()}


def _is_hidden(key: str, value: Any, hide_content: bool) -> bool:
    if not hide_content or value is None or isinstance(value, bool | int | float):
        return False
    return key in CONTENT or not key.startswith(_FIGURES)
