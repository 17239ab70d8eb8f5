"""What was said, read back from a span's attributes.

The attributes came from a traced program and may hold anything: whatever is not shaped like a message is
passed over, nothing here raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: who speaks, and the parts as stored (`type`, and what belongs to the type)."""

    role: str
    parts: tuple[Mapping[str, Any], ...]
    name: str | None = None


def input_messages(attributes: Mapping[str, Any]) -> list[Message]:
    """What was sent: standing instructions first, then the conversation."""
    instructions = _parts(_parsed(attributes.get("gen_ai.system_instructions")))
    before = [Message("system", instructions)] if instructions else []
    return before + _messages(attributes.get("gen_ai.input.messages"))


def output_messages(attributes: Mapping[str, Any]) -> list[Message]:
    """What came back."""
    return _messages(attributes.get("gen_ai.output.messages"))


def request_text(attributes: Mapping[str, Any]) -> str | None:
    """What the user asked: the last user message, or `input.value`; None when the span holds no input."""
    said = _last(input_messages(attributes), "user")
    return said if said is not None else value_text(attributes.get("input.value"))


def response_text(attributes: Mapping[str, Any]) -> str | None:
    """What the model answered: the last assistant message, or `output.value`; None when there is none."""
    said = _last(output_messages(attributes), "assistant")
    return said if said is not None else value_text(attributes.get("output.value"))


def part_text(part: Mapping[str, Any]) -> str:
    """A part as one readable text: its own words, or what it is in brackets."""
    kind = part.get("type")
    if kind == "text":
        return value_text(part.get("content")) or ""
    if kind in ("reasoning", "refusal"):
        return f"[{kind}] {value_text(part.get('content')) or ''}"
    if kind in ("tool_call", "server_tool_call"):
        return f"{value_text(part.get('name')) or 'tool'}({value_text(part.get('arguments')) or ''})"
    if kind in ("tool_call_response", "server_tool_call_response"):
        return value_text(part.get("response")) or ""
    if kind in ("blob", "uri", "file"):
        return f"[{_media(part)}]"
    return value_text(dict(part)) or ""


def value_text(value: Any) -> str | None:
    """A text as it is, anything else as JSON; None for None."""
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(type(value))


def _media(part: Mapping[str, Any]) -> str:
    """`image image/png 12 kB sha256:ab12…`"""
    words = [value_text(part.get("modality") or part.get("type")) or ""]
    if part.get("mime_type"):
        words.append(value_text(part["mime_type"]) or "")
    size = part.get("size")
    if isinstance(size, int | float):
        words.append(f"{size:.0f} B" if size < 1000 else f"{size / 1000:.0f} kB")
    if part.get("sha256"):
        words.append(f"sha256:{(value_text(part['sha256']) or '')[:4]}…")
    address = part.get("uri") or part.get("file_id") or (part.get("content") if part.get("type") != "blob" else None)
    if address:
        words.append(value_text(address) or "")
    return " ".join(words)


def _last(messages: Iterable[Message], role: str) -> str | None:
    """The text of the last message of `role` that has any: its words, else what else it consists of."""
    for message in reversed(list(messages)):
        if message.role == role and message.parts:
            words = [part for part in message.parts if part.get("type") == "text"]
            return "\n".join(part_text(part) for part in words or message.parts)
    return None


def _messages(value: Any) -> list[Message]:
    found = _parsed(value)
    if not isinstance(found, list):
        return []
    return [
        Message(_name(item.get("role")) or "?", _parts(item.get("parts")), _name(item.get("name")))
        for item in found
        if isinstance(item, dict)
    ]


def _parts(value: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
