"""Contents and their parts, as they are sent and as they come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

from autotrace import Message, Part, ToolCall, read

from .fields import field, items

Piece = Part | ToolCall


def messages(contents: Any) -> list[Message]:
    """All that the SDK takes as contents. Parts that stand side by side are one message, as they are to the SDK."""
    given = contents if isinstance(contents, list | tuple) else [] if contents is None else [contents]
    found: list[Message] = []
    for is_whole, group in groupby(given, lambda one: isinstance(one, list | tuple) or "parts" in read.view(one)):
        beside = list(group)
        found += map(_message, beside) if is_whole else [_message(beside)]
    return found


def _message(content: Any) -> Message:
    parts = tuple(map(part, content if isinstance(content, list | tuple) else items(content, "parts")))
    if parts and all(isinstance(one, Part) and one.type == "tool_call_response" for one in parts):
        return Message("tool", parts)
    role = field(content, "role") or "user"
    return Message("assistant" if role == "model" else role, parts)


def text_of(contents: Any) -> str:
    """What contents say in words."""
    parts = [one for message in messages(contents) for one in message.parts]
    return "\n".join(one.content for one in parts if isinstance(one, Part) and one.type == "text")


def part(value: Any) -> Piece:
    """One part, whichever way it is given; one of unknown kind under its own name."""
    if isinstance(value, str):
        return Part.text(value)
    for kind, reader in _KINDS.items():
        found = field(value, kind)
        if found is not None:
            return reader(found, value)
    if type(value).__module__.startswith("PIL."):
        return Part("image", "x".join(map(str, value.size)))
    unknown = [(kind, found) for kind, found in read.view(value).items() if found is not None and kind not in _BESIDE]
    return Part(*unknown[0]) if unknown else Part(type(value).__name__)


def media(url: str | None, data: bytes | None, told: Any) -> Part:
    """Data, by their address where they have one; `told` says of what type they are."""
    mime_type = field(told, "mime_type")
    kind = str(mime_type).partition("/")[0]
    modality: Any = kind if kind in ("image", "audio", "video") else "document"
    return Part.media(str(url), modality, mime_type) if url else Part.blob(data or b"", mime_type, modality)


def _call(found: Any, name: str, arguments: Any, server: bool = False) -> ToolCall:
    return ToolCall(name, arguments, field(found, "id"), server)


def _result(found: Any, _: Any) -> Part:
    answer, beside = field(found, "response"), [part(one) for one in items(found, "parts")]
    return Part.tool_result([answer, *beside] if beside else answer, field(found, "id"))


#: Kinds of parts by the field that makes a part one; each is read from that field and the whole part.
_KINDS: Mapping[str, Callable[[Any, Any], Piece]] = {
    "text": lambda found, whole: Part.reasoning(found) if field(whole, "thought") else Part.text(found),
    "inline_data": lambda found, _: media(None, field(found, "data"), found),
    "file_data": lambda found, _: media(field(found, "file_uri"), None, found),
    "uri": lambda found, whole: media(found, None, whole),
    "function_call": lambda found, _: _call(
        found, field(found, "name") or "", field(found, "args" if field(found, "args") is not None else "partial_args")
    ),
    "function_response": _result,
    "executable_code": lambda found, _: _call(found, "code_execution", found, server=True),
    "code_execution_result": lambda found, _: Part.tool_result(found, field(found, "id")),
    "tool_call": lambda found, _: _call(found, str(field(found, "tool_type")), field(found, "args"), server=True),
    "tool_response": _result,
}
#: Fields that say more of a part of any kind.
_BESIDE = frozenset({"thought", "thought_signature", "thoughtSignature"})
