"""Shapes replies as OpenAI does: a tool call in place of text, and a whole reply cut into stream chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def with_tool_call(reply: Json, name: str, arguments: str) -> Json:
    """Return `reply` with its text replaced by one call of the function `name`; `arguments` is JSON text."""
    call = {
        "id": f"call_{reply['id'][-12:]}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {**reply, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def chunks_of(reply: Json) -> Iterator[Json]:
    """Cut a finished reply into the chunks that a stream would have carried, the usage last."""
    choice = reply["choices"][0]
    frame = {key: reply[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta: Json, finish_reason: str | None = None) -> Json:
        return {**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    yield chunk({"role": "assistant", "content": ""})
    for delta in _deltas_of(choice["message"]):
        yield chunk(delta)
    yield chunk({}, choice["finish_reason"])
    yield {**frame, "choices": [], "usage": reply["usage"]}


def _deltas_of(message: Json) -> Iterator[Json]:
    if message.get("content"):
        for word in re.findall(r"\S+\s*|\s+", message["content"]):
            yield {"content": word}
    for index, call in enumerate(message.get("tool_calls") or []):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        opening = {
            "index": index,
            "id": call["id"],
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        yield {"tool_calls": [opening]}
        for start in range(0, len(arguments), 8):
            piece = arguments[start : start + 8]
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
