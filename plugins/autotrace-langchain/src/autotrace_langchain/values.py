"""Inputs and outputs of steps, with LangChain's own objects as a person would write them down."""

from __future__ import annotations

from typing import Any

#: Deeper than states of graphs are; what lies deeper is told by its fields.
_DEPTH = 4

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}


def shown(value: Any, depth: int = 0) -> Any:
    """`value` with messages as role and content, documents as text and metadata."""
    kind = type(value)
    if kind is str or value is None or depth > _DEPTH:
        return value
    if kind is dict:
        return {key: shown(item, depth + 1) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [shown(item, depth + 1) for item in value]
    if kind.__name__ == "Command":
        return {name: shown(item, depth + 1) for name, item in _command(value).items()}
    fields = getattr(value, "__dict__", None)
    if isinstance(fields, dict):
        if "content" in fields and isinstance(fields.get("type"), str):
            return _message(fields)
        if "page_content" in fields:
            kept = ("id", "page_content", "metadata")
            return {name: fields[name] for name in kept if fields.get(name) not in (None, {})}
        if "messages" in fields and len(fields) <= 2:
            return shown(fields["messages"], depth + 1)
        if kind.__name__ in ("StringPromptValue", "StringPromptValueConcrete"):
            return fields.get("text")
    return value


def _command(command: Any) -> dict[str, Any]:
    """What a LangGraph Command says: where to go on, with what."""
    told = {name: getattr(command, name, None) for name in ("resume", "update", "goto", "graph")}
    return {name: item for name, item in told.items() if item is not None and item != ()}


def _message(fields: dict[str, Any]) -> dict[str, Any]:
    role = fields["type"]
    told = {"role": _ROLES.get(role, role), "content": fields["content"]}
    for name in ("tool_calls", "tool_call_id", "name"):
        if fields.get(name):
            told[name] = fields[name]
    return told
