"""From the pieces of a stream to the reply that they add up to, as far as they have come."""

from __future__ import annotations

from typing import Any

from .fields import field, items, text


def fold(chunks: list[Any]) -> Any:
    """One reply in the shape of an unstreamed one.

    Usage is the last that was reported: providers that repeat it in every chunk repeat a running total.
    """
    first = chunks[0]
    if field(first, "choices") is not None or text(first, "object") in ("chat.completion.chunk", "text_completion"):
        return _completion(chunks)
    return _events(chunks)


def _completion(chunks: list[Any]) -> dict[str, Any]:
    choices: dict[int, dict[str, Any]] = {}
    reply: dict[str, Any] = {"choices": choices}
    for chunk in chunks:
        found = field(chunk, "choices")
        if found:
            for choice in found:
                _add_choice(choices, choice)
        usage = field(chunk, "usage")
        if usage is not None:
            reply["usage"] = usage
        if "model" not in reply:
            _head(reply, chunk)
        else:
            tier = field(chunk, "service_tier")
            if tier is not None:
                reply["service_tier"] = tier
    reply["choices"] = [_joined(choices[index]) for index in sorted(choices)]
    return reply


def _head(reply: dict[str, Any], chunk: Any) -> None:
    """What the chunks say alike. Azure begins with a chunk that says nothing."""
    for name in ("id", "system_fingerprint", "service_tier", "model"):
        value = field(chunk, name)
        if value:
            reply[name] = value


def _add_choice(choices: dict[int, dict[str, Any]], choice: Any) -> None:
    index = field(choice, "index") or 0
    known = choices.get(index)
    if known is None:
        known = choices[index] = {"content": [], "refusal": [], "reasoning_content": [], "calls": {}, "audio": []}
    reason = field(choice, "finish_reason")
    if reason is not None:
        known["finish_reason"] = reason
    delta = field(choice, "delta")
    if delta is None:
        known["content"].append(field(choice, "text") or "")
        known["is_text"] = True
        return
    content = field(delta, "content")
    if content:
        known["content"].append(content)
        return
    _add_rest(known, delta)


def _add_rest(known: dict[str, Any], delta: Any) -> None:
    """The rarer parts of a delta."""
    refusal = field(delta, "refusal")
    if refusal:
        known["refusal"].append(refusal)
    reasoning = field(delta, "reasoning_content") or field(delta, "reasoning")
    if isinstance(reasoning, str):
        known["reasoning_content"].append(reasoning)
    for call in items(delta, "tool_calls"):
        _add_call(known["calls"], call)
    function = field(delta, "function_call")
    if function is not None:
        _add_call(known["calls"], {"index": 0, "function": function})
    audio = field(delta, "audio")
    if audio is not None:
        known["audio"].append(audio)


def _add_call(calls: dict[int, dict[str, Any]], call: Any) -> None:
    index = field(call, "index") or 0
    known = calls.setdefault(index, {"id": None, "name": [], "arguments": []})
    known["id"] = text(call, "id") or known["id"]
    function = field(call, "function") or field(call, "custom")
    known["name"].append(text(function, "name") or "")
    known["arguments"].append(text(function, "arguments") or text(function, "input") or "")


def _joined(known: dict[str, Any]) -> dict[str, Any]:
    """A choice of an unstreamed reply."""
    content = "".join(known["content"])
    if known.get("is_text"):
        return {"text": content, "finish_reason": known.get("finish_reason")}
    message: dict[str, Any] = {"role": "assistant", "content": content or None}
    for name in ("refusal", "reasoning_content"):
        message[name] = "".join(known[name])
    message["tool_calls"] = [
        {"id": call["id"], "function": {"name": "".join(call["name"]), "arguments": "".join(call["arguments"])}}
        for _, call in sorted(known["calls"].items())
    ]
    if known["audio"]:
        message["audio"] = {
            name: "".join(text(piece, name) or "" for piece in known["audio"]) for name in ("transcript", "data")
        }
    return {"message": message, "finish_reason": known.get("finish_reason")}


def _events(events: list[Any]) -> Any:
    """The reply that the typed events of a stream lead to: the last whole one, or what the pieces give."""
    for event in reversed(events):
        kind = text(event, "type") or ""
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            return field(event, "response")
        if kind == "transcript.text.done":
            return event
        if kind == "error":
            broken = _broken_off(events)
            return {**broken, "error": event}
        if kind in ("image_generation.completed", "image_edit.completed"):
            return {"data": [event], "usage": field(event, "usage"), "output_format": field(event, "output_format")}
    return _broken_off(events)


def _broken_off(events: list[Any]) -> dict[str, Any]:
    """A response as far as it came: whole items, then the text of the one under way."""
    head = next((field(event, "response") for event in events if field(event, "response") is not None), None)
    whole = [field(event, "item") for event in events if text(event, "type") == "response.output_item.done"]
    done = {field(event, "output_index") for event in events if text(event, "type") == "response.output_item.done"}
    pieces = [
        text(event, "delta") or ""
        for event in events
        if (text(event, "type") or "") in ("response.output_text.delta", "transcript.text.delta")
        and field(event, "output_index") not in done
    ]
    partial = [{"type": "message", "content": [{"type": "output_text", "text": "".join(pieces)}]}] if pieces else []
    if head is None:
        return {"object": "response", "output": partial}
    return {
        "object": "response",
        "id": field(head, "id"),
        "model": field(head, "model"),
        "output": [*whole, *partial],
    }
