"""From the pieces of a stream to the reply that they add up to, as far as they have come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import read


def fold(chunks: list[Any]) -> Any:
    """One reply in the shape of an unstreamed one.

    Usage is the last that was reported: providers that repeat it in every chunk repeat a running total.
    """
    first = chunks[0]
    if read.field(first, "choices") is not None or read.text(first, "object") in (
        "chat.completion.chunk",
        "text_completion",
    ):
        return _completion(chunks)
    return _events(chunks)


#: Events of the responses API that a later one repeats; their pieces matter only while they are the last word.
_PASSING = frozenset(
    {
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
    }
)
_TEXT_DELTAS = frozenset({"response.output_text.delta", "transcript.text.delta"})


def digest(chunk: Any) -> Any:
    """What `fold` needs of a chunk: of the usual one, which brings a piece of text and nothing else, that text.

    Called for every chunk that passes, hence without a step that the usual one does not need.
    """
    try:
        fields = chunk.__dict__
        (choice,) = fields["choices"]
        choice = choice.__dict__
        delta = choice["delta"]
        said = delta.__dict__
        content = said["content"]
        if (
            content
            and choice["finish_reason"] is None
            and not choice["index"]
            and said["tool_calls"] is None
            and said["refusal"] is None
            and not delta.__pydantic_extra__
            and fields["usage"] is None
        ):
            return content
    except (AttributeError, KeyError, TypeError, ValueError):
        if type(chunk) is not dict and "choices" not in read.view(chunk):
            return _event_digest(read.view(chunk), chunk)
    return chunk


def _event_digest(fields: Mapping[str, Any], event: Any) -> Any:
    kind = fields.get("type")
    if kind in _TEXT_DELTAS:
        return {"type": kind, "delta": fields.get("delta"), "output_index": fields.get("output_index")}
    return None if kind in _PASSING else event


def _completion(chunks: list[Any]) -> dict[str, Any]:
    choices: dict[int, dict[str, Any]] = {}
    reply: dict[str, Any] = {}
    for chunk in chunks:
        if type(chunk) is str:
            _choice_at(choices, 0)["content"].append(chunk)
            continue
        fields = read.view(chunk)
        for choice in fields.get("choices") or ():
            _add_choice(choices, read.view(choice))
        usage = fields.get("usage")
        if usage is not None:
            reply["usage"] = usage
        if "model" not in reply or fields.get("service_tier"):
            _add_head(reply, fields)
    reply["choices"] = [_joined(choices[index]) for index in sorted(choices)]
    return reply


def _add_head(reply: dict[str, Any], fields: Mapping[str, Any]) -> None:
    """What the chunks say alike. Azure begins with a chunk that says nothing."""
    for name in ("id", "system_fingerprint", "service_tier", "model"):
        value = fields.get(name)
        if value:
            reply[name] = value


def _choice_at(choices: dict[int, dict[str, Any]], index: int) -> dict[str, Any]:
    known = choices.get(index)
    if known is None:
        known = choices[index] = {"content": [], "refusal": [], "reasoning_content": [], "calls": {}, "audio": []}
    return known


def _add_choice(choices: dict[int, dict[str, Any]], choice: Mapping[str, Any]) -> None:
    known = _choice_at(choices, choice.get("index") or 0)
    reason = choice.get("finish_reason")
    if reason is not None:
        known["finish_reason"] = reason
    delta = choice.get("delta")
    if delta is None:
        known["content"].append(choice.get("text") or "")
        known["is_text"] = True
        return
    delta = read.view(delta)
    content = delta.get("content")
    if content:
        known["content"].append(content)
    if len(delta) > _USUAL or any(delta.get(name) for name in _RARE):
        _add_rest(known, delta)


#: Rarer fields of a delta, all of which a chunk that only brings text leaves empty; how many fields one has anyway.
_RARE = ("tool_calls", "refusal", "function_call")
_USUAL = 5


def _add_rest(known: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """The rarer parts of a delta."""
    refusal = read.field(delta, "refusal")
    if refusal:
        known["refusal"].append(refusal)
    reasoning = read.field(delta, "reasoning_content") or read.field(delta, "reasoning")
    if isinstance(reasoning, str):
        known["reasoning_content"].append(reasoning)
    for call in read.items(delta, "tool_calls"):
        _add_call(known["calls"], call)
    function = read.field(delta, "function_call")
    if function is not None:
        _add_call(known["calls"], {"index": 0, "function": function})
    audio = read.field(delta, "audio")
    if audio is not None:
        known["audio"].append(audio)


def _add_call(calls: dict[int, dict[str, Any]], call: Any) -> None:
    index = read.field(call, "index") or 0
    known = calls.setdefault(index, {"id": None, "name": [], "arguments": []})
    known["id"] = read.text(call, "id") or known["id"]
    function = read.field(call, "function") or read.field(call, "custom")
    known["name"].append(read.text(function, "name") or "")
    known["arguments"].append(read.text(function, "arguments") or read.text(function, "input") or "")


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
            name: "".join(read.text(piece, name) or "" for piece in known["audio"]) for name in ("transcript", "data")
        }
    return {"message": message, "finish_reason": known.get("finish_reason")}


def _events(events: list[Any]) -> Any:
    """The reply that the typed events of a stream lead to: the last whole one, or what the pieces give."""
    for event in reversed(events):
        kind = read.text(event, "type") or ""
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            return read.field(event, "response")
        if kind == "transcript.text.done":
            return event
        if kind == "error":
            broken = _broken_off(events)
            return {**broken, "error": event}
        if kind in ("image_generation.completed", "image_edit.completed"):
            return {
                "data": [event],
                "usage": read.field(event, "usage"),
                "output_format": read.field(event, "output_format"),
            }
    return _broken_off(events)


def _broken_off(events: list[Any]) -> dict[str, Any]:
    """A response as far as it came: whole items, then the text of the one under way."""
    head = next((read.field(event, "response") for event in events if read.field(event, "response") is not None), None)
    whole = [read.field(event, "item") for event in events if read.text(event, "type") == "response.output_item.done"]
    done = {
        read.field(event, "output_index") for event in events if read.text(event, "type") == "response.output_item.done"
    }
    pieces = [
        read.text(event, "delta") or ""
        for event in events
        if (read.text(event, "type") or "") in ("response.output_text.delta", "transcript.text.delta")
        and read.field(event, "output_index") not in done
    ]
    partial = [{"type": "message", "content": [{"type": "output_text", "text": "".join(pieces)}]}] if pieces else []
    if head is None:
        return {"object": "response", "output": partial}
    return {
        "object": "response",
        "id": read.field(head, "id"),
        "model": read.field(head, "model"),
        "output": [*whole, *partial],
    }
