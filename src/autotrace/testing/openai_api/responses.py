"""The Responses API: created, streamed, stored, cancelled, compacted."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from autotrace.testing.openai_api.answer import Answer, answer_to, pieces
from autotrace.testing.openai_api.ask import JSON, Ask
from autotrace.testing.openai_api.billing import Billed, meter, response_usage
from autotrace.testing.openai_api.reply import CREATED, SSE, Reply, encode, error, event


def create_response(ask: Ask) -> Reply:
    """`POST /responses`, at once, streamed, or in the background."""
    billed = meter(ask, audio=False)
    response = _response(ask, billed)
    ask.stored[response["id"]] = response
    if ask.streams:
        return Reply(chunks=_response_events(ask, response), content_type=SSE, billed=billed)
    if ask.body.get("background"):
        response = {**response, "status": "queued", "output": [], "usage": None, "completed_at": None}
    return Reply(encode(response), billed=billed)


def stored_response(ask: Ask) -> Reply:
    """`GET` and `DELETE /responses/{id}`, `POST /responses/{id}/cancel`: none of them bills anything."""
    _, identity, *action = ask.endpoint.split("/")
    response = ask.stored.get(identity)
    if response is None or action not in ([], ["cancel"]):
        return error(404, f"Response with id '{identity}' not found.")
    if ask.method == "DELETE":
        del ask.stored[identity]
        return Reply(encode({"id": identity, "object": "response", "deleted": True}))
    if action:
        response = {**response, "status": "cancelled", "output": [], "usage": None, "completed_at": None}
        ask.stored[identity] = response
    if ask.streams:
        return Reply(chunks=_response_events(ask, response), content_type=SSE)
    return Reply(encode(response))


def compact(ask: Ask) -> Reply:
    """`POST /responses/compact`."""
    billed = meter(ask, audio=False)
    secret = base64.b64encode(ask.digest.to_bytes(16, "big")).decode()
    item = {"id": ask.id("cmp_"), "type": "compaction", "encrypted_content": secret}
    value = {
        "id": ask.id("resp_"),
        "object": "response.compaction",
        "created_at": CREATED,
        "output": [item],
        "usage": response_usage(billed),
    }
    return Reply(encode(value), billed=billed)


def _response(ask: Ask, billed: Billed) -> JSON:
    """The whole response: what `response.completed` and a later GET carry."""
    answer = answer_to(ask)
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(answer.finish)
    reasoning = ask.body.get("reasoning") or {}
    return {
        "id": ask.id("resp_"),
        "object": "response",
        "created_at": CREATED,
        "completed_at": None if reason else CREATED + 1,
        "status": "incomplete" if reason else "completed",
        "background": bool(ask.body.get("background")),
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": ask.body.get("instructions"),
        "max_output_tokens": ask.body.get("max_output_tokens"),
        "metadata": ask.body.get("metadata") or {},
        "model": ask.model,
        "output": _output(ask, answer, "incomplete" if reason else "completed"),
        "parallel_tool_calls": True,
        "previous_response_id": ask.body.get("previous_response_id"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": "default",
        "store": ask.body.get("store", True),
        "temperature": ask.body.get("temperature", 1.0),
        "text": ask.body.get("text") or {"format": {"type": "text"}},
        "tool_choice": ask.body.get("tool_choice") or "auto",
        "tools": ask.body.get("tools") or [],
        "top_p": ask.body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": response_usage(billed),
        "user": None,
    }


def _output(ask: Ask, answer: Answer, status: str) -> list[JSON]:
    items: list[JSON] = []
    if ask.body.get("reasoning"):
        summary = [{"type": "summary_text", "text": "Thought about the question, then about the answer."}]
        items.append({"id": ask.id("rs_"), "type": "reasoning", "summary": summary})
    for i, (name, arguments) in enumerate(answer.calls):
        call = {"id": ask.id("fc_", i), "type": "function_call", "call_id": ask.id("call_", i), "name": name}
        items.append({**call, "arguments": arguments, "status": "completed"})
    if not answer.calls:
        text: JSON = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        part = text if answer.refusal is None else {"type": "refusal", "refusal": answer.refusal}
        message = {"id": ask.id("msg_"), "type": "message", "role": "assistant", "status": status}
        items.append({**message, "content": [part]})
    return items


def _response_events(ask: Ask, response: JSON) -> list[bytes]:
    """The typed events of a response, numbered."""
    started = {**response, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    values: list[JSON] = [{"type": "response.created", "response": started}]
    if response["background"]:
        values.append({"type": "response.queued", "response": {**started, "status": "queued"}})
    values.append({"type": "response.in_progress", "response": started})
    for index, item in enumerate(response["output"]):
        values += _item_events(ask, index, item)
    values.append({"type": f"response.{response['status']}", "response": response})
    numbered = ({**value, "sequence_number": number} for number, value in enumerate(values))
    return [event(value, value["type"]) for value in numbered]


def _item_events(ask: Ask, index: int, item: JSON) -> Iterator[JSON]:
    bodies: dict[str, tuple[str, Any, Callable[[Ask, JSON], Iterable[JSON]]]] = {
        "message": ("content", [], _message_events),
        "function_call": ("arguments", "", _call_events),
        "reasoning": ("summary", [], _reasoning_events),
    }
    member, nothing, inner = bodies[item["type"]]
    begun = {**item, member: nothing, **({"status": "in_progress"} if "status" in item else {})}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    for value in inner(ask, item):
        yield {**value, "item_id": item["id"], "output_index": index}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _message_events(ask: Ask, item: JSON) -> Iterator[JSON]:
    part = item["content"][0]
    member, kind = ("refusal", "refusal") if part["type"] == "refusal" else ("text", "output_text")
    extra = {"content_index": 0, **({"logprobs": []} if member == "text" else {})}
    yield {"type": "response.content_part.added", "content_index": 0, "part": {**part, member: ""}}
    for piece in pieces(part[member], ask.wanted.chunks):
        yield {"type": f"response.{kind}.delta", "delta": piece, **extra}
    yield {"type": f"response.{kind}.done", member: part[member], **extra}
    yield {"type": "response.content_part.done", "content_index": 0, "part": part}


def _call_events(ask: Ask, item: JSON) -> Iterator[JSON]:
    kind = "response.function_call_arguments"
    for piece in pieces(item["arguments"], 3):
        yield {"type": f"{kind}.delta", "delta": piece}
    yield {"type": f"{kind}.done", "name": item["name"], "arguments": item["arguments"]}


def _reasoning_events(ask: Ask, item: JSON) -> Iterator[JSON]:
    part = item["summary"][0]
    kind = "response.reasoning_summary"
    yield {"type": f"{kind}_part.added", "summary_index": 0, "part": {**part, "text": ""}}
    for piece in pieces(part["text"], 2):
        yield {"type": f"{kind}_text.delta", "summary_index": 0, "delta": piece}
    yield {"type": f"{kind}_text.done", "summary_index": 0, "text": part["text"]}
    yield {"type": f"{kind}_part.done", "summary_index": 0, "part": part}
