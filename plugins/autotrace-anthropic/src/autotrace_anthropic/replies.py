"""From what came back, whole or in pieces, to values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import Message, Part, ResponseValues, Usage, read

from .blocks import pieces

#: Stop reasons in the conventions' words. They have none for `pause_turn`.
_FINISH = {
    **dict.fromkeys(("end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("max_tokens", "model_context_window_exceeded"), "length"),
    "tool_use": "tool_call",
    "refusal": "content_filter",
}


def response(reply: Any) -> ResponseValues | None:
    """What a message, or a legacy completion, says; None for a reply of unknown shape."""
    error = read.field(reply, "error")
    if read.text(reply, "type") not in ("message", "completion") and error is None:
        return None
    stopped, spent = read.text(reply, "stop_reason"), read.field(reply, "usage")
    reason = _FINISH.get(stopped, stopped) if stopped else None
    declined = read.text(reply, "stop_details", "explanation")
    output = [*pieces(read.field(reply, "content")), *pieces(read.field(reply, "completion"))]
    return {
        "model": read.text(reply, "model"),
        "id": read.text(reply, "id"),
        "output": [Message.assistant([*output, *([Part.refusal(declined)] if declined else [])], reason)],
        "finish_reasons": [reason] if reason else [],
        "usage": usage(spent),
        "attributes": {
            "anthropic.response.service_tier": read.text(spent, "service_tier"),
            "anthropic.usage.web_search_requests": read.field(spent, "server_tool_use", "web_search_requests"),
        },
        "error": None if error is None else (read.text(error, "type") or "error", read.text(error, "message") or ""),
    }


def usage(spent: Any) -> Usage | None:
    """Tokens billed: a reply tells what its cache gave and took beside the rest of its input, and what each compaction
    of the conversation took beside all of it.
    """
    if spent is None:
        return None
    compactions = (one for one in read.items(spent, "iterations") if read.text(one, "type") == "compaction")
    return sum(map(_usage, compactions), _usage(spent))


def _usage(spent: Any) -> Usage:
    fields = read.view(spent)
    uncached, cached = fields.get("input_tokens"), fields.get("cache_read_input_tokens")
    written = fields.get("cache_creation_input_tokens")
    whole = Usage(uncached) + Usage(cached) + Usage(written)
    thought = read.field(fields, "output_tokens_details", "thinking_tokens")
    return Usage(whole.input_tokens, fields.get("output_tokens"), cached, written, thought)


#: What a delta brings, by its type: its own field, and the block's.
_DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "input"),
    "compaction_delta": ("content", "content"),
    "citations_delta": ("citation", "citations"),
}


def digest(event: Any) -> Any:
    """Of a delta: its block's index, the block's field and the piece of it; None for nothing; other events whole."""
    fields = read.view(event)
    if fields.get("type") != "content_block_delta":
        return event
    delta = read.view(fields.get("delta"))
    names = _DELTAS.get(delta.get("type") or "")
    return (fields.get("index"), names[1], delta.get(names[0])) if names is not None else None


def fold(events: list[Any]) -> Mapping[str, Any]:
    """The message, or the completion, that the events of a stream add up to, as far as they have come.

    Usage is a running total: what a later event repeats takes the place of what an earlier one said.
    """
    reply: dict[str, Any] = {}
    blocks: dict[Any, dict[str, Any]] = {}
    brought: dict[tuple[Any, str], list[Any]] = {}
    for event in events:
        step = event if type(event) is tuple else digest(event)
        if type(step) is tuple:
            brought.setdefault(step[:2], []).append(step[2])
            continue
        kind = read.text(step, "type")
        if kind == "message_start":
            reply = _told(read.field(step, "message"))
        elif kind == "content_block_start":
            blocks[read.field(step, "index")] = _told(read.field(step, "content_block"))
        elif kind == "message_delta":
            spent = {**read.view(reply.get("usage")), **_told(read.field(step, "usage"))}
            reply |= {**_told(read.field(step, "delta")), "usage": spent}
        elif kind == "completion":
            reply |= {**_told(step), "completion": reply.get("completion", "") + (read.text(step, "completion") or "")}
        elif kind == "error":
            reply["error"] = read.field(step, "error")
    for (index, name), found in brought.items():
        block = blocks.setdefault(index, {"type": "text"})
        told = [piece for piece in (block.get(name), *found) if isinstance(piece, str)]
        block[name] = found if name == "citations" else "".join(told)
    return {**reply, "content": list(blocks.values())} if blocks else reply


def _told(value: Any) -> dict[str, Any]:
    """The fields of a value that say something, in a dict of their own."""
    return {name: said for name, said in read.view(value).items() if said is not None}
