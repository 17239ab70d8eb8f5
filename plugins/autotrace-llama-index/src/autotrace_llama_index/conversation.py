"""LlamaIndex's messages in the words of every provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import Message, Part, ToolCall

FINISH = {"tool_calls": "tool_call", "tool_use": "tool_call", "end_turn": "stop", "max_tokens": "length"}
_ROLES = {"chatbot": "assistant", "model": "assistant", "function": "tool"}


def messages(given: Any) -> list[Message]:
    """A list of ChatMessages; an iterator is the program's to read."""
    return [message(one) for one in given] if isinstance(given, list | tuple) else []


def message(given: Any, reason: Any = None, text: str | None = None) -> Message:
    """One ChatMessage.

    Args:
        given: The message.
        reason: Why the model stopped.
        text: All its text, where the message holds less: the pieces of a stream that was left.
    """
    role = getattr(given, "role", None)
    role = str(getattr(role, "value", role) or "user")
    role = _ROLES.get(role, role)
    extra = getattr(given, "additional_kwargs", None)
    extra = extra if isinstance(extra, dict) else {}
    parts = _parts(given)
    if text and text != text_of(given):
        parts = [*(part for part in parts if part[0] != "text"), Part.text(text)]
    if role == "tool":
        result = text_of(given) if all(part.type == "text" for part in parts if isinstance(part, Part)) else parts
        return Message("tool", (Part.tool_result(result, _text(extra.get("tool_call_id"))),), _text(extra.get("name")))
    if not any(isinstance(part, ToolCall) for part in parts):
        parts += _tool_calls(extra)
    return Message(role, tuple(parts), _text(extra.get("name")), finish_reason(reason))


def text_of(given: Any) -> str | None:
    """The text of a ChatMessage."""
    content = getattr(given, "content", None)
    return content if isinstance(content, str) else None


def calls_tools(given: Any) -> bool:
    """Whether a message asks for tools."""
    extra = getattr(given, "additional_kwargs", None)
    if isinstance(extra, dict) and extra.get("tool_calls"):
        return True
    blocks = getattr(given, "blocks", None)
    return isinstance(blocks, list) and any(getattr(block, "block_type", None) == "tool_call" for block in blocks)


def finish_reason(reason: Any) -> str | None:
    """A provider's reason in the conventions' words."""
    return FINISH.get(reason.lower(), reason.lower()) if isinstance(reason, str) else None


def _parts(given: Any) -> list[Part | ToolCall]:
    """A message's blocks; before 0.12 it has a content alone."""
    blocks = getattr(given, "blocks", None)
    if isinstance(blocks, list):
        return [part for block in blocks if (part := _part(block)) is not None]
    content = getattr(given, "content", None)
    if isinstance(content, list):  # a provider's own parts
        return [Part.text(one["text"]) if _is_text(one) else Part("unknown", one) for one in content]
    return [Part.text(content)] if isinstance(content, str) and content else []


def _is_text(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("text"), str)


def _part(block: Any) -> Part | ToolCall | None:
    kind = str(getattr(block, "block_type", None) or "unknown")
    if kind == "text":
        return Part.text(block.text) if block.text else None
    if kind == "thinking":
        return Part.reasoning(block.content) if block.content else None
    if kind == "tool_call":
        return ToolCall(str(block.tool_name or ""), block.tool_kwargs, _text(block.tool_call_id))
    if kind == "image":
        return _media(block, "image", block.image, block.image_mimetype)
    if kind == "audio":
        return _media(block, "audio", block.audio, f"audio/{block.format}" if block.format else None)
    if kind == "video":
        return _media(block, "video", block.video, block.video_mimetype)
    if kind == "document":
        return _media(block, "document", block.data, block.document_mimetype)
    return None if kind == "cache" else Part(kind, block)


def _media(block: Any, modality: Any, data: Any, mime_type: str | None) -> Part:
    """Data that is sent along, an address, or a file's name. A stream of bytes is the program's to read."""
    if isinstance(data, bytes | str) and data:
        return Part.blob(data, mime_type, modality)
    if getattr(block, "url", None):
        return Part.media(str(block.url), modality, mime_type)
    return Part.file(str(getattr(block, "path", None) or ""), modality)


def _tool_calls(extra: Mapping[str, Any]) -> list[ToolCall]:
    """Calls as the OpenAI SDK's objects or as its JSON, in the extra arguments of a message."""
    found = extra.get("tool_calls")
    calls = []
    for call in found if isinstance(found, list | tuple) else ():
        function = field(call, "function")
        if function is not None:
            name, arguments = field(function, "name"), field(function, "arguments")
        else:
            name, arguments = field(call, "name"), field(call, "input")
        calls.append(ToolCall(str(name or ""), arguments, _text(field(call, "id"))))
    return calls


def field(of: Any, name: str) -> Any:
    """A field of an object or of a dict."""
    return of.get(name) if isinstance(of, dict) else getattr(of, name, None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
