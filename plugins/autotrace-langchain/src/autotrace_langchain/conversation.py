"""LangChain's messages in the words of every provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from autotrace import Message, Part, ToolCall

_ROLES = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "SystemMessageChunk": "system",
    "tool": "tool",
    "ToolMessageChunk": "tool",
    "function": "tool",
    "FunctionMessageChunk": "tool",
    "user": "user",
    "assistant": "assistant",
    "developer": "developer",
}
#: Parts that go on from one piece of an answer to the next.
_TEXTS = frozenset({"text", "reasoning", "refusal"})
#: Types of pieces of an answer.
_ANSWERS = frozenset({"ai", "AIMessageChunk"})
FINISH = {"tool_calls": "tool_call", "tool_use": "tool_call", "end_turn": "stop", "max_tokens": "length"}
#: Blocks of content that repeat what a message's tool calls say.
_CALLS = frozenset({"tool_use", "tool_call", "function_call", "tool_call_chunk", "input_json_delta"})

Modality = Literal["image", "audio", "video", "document"]
_MODALITIES: dict[str, Modality] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "file": "document",
    "document": "document",
}


def messages(given: Any) -> list[Message] | None:
    """Messages in any of the forms that LangChain takes for a list of them; None for anything else."""
    if isinstance(given, str):
        return [Message.user(given)]
    if not isinstance(given, list | tuple):
        return None
    if len(given) == 2 and isinstance(given[0], str) and given[0] in _ROLES:
        return [Message.of(_ROLES[given[0]], content_parts(given[1]))]  # a pair of role and text, as a tuple
    found = [message(one) for one in given]
    return [one for one in found if one is not None] or None


def message(given: Any, reason: Any = None) -> Message | None:
    """One message: an object, a pair of role and content, or a dict; None for anything else."""
    fields = getattr(given, "__dict__", None)
    if isinstance(fields, dict) and isinstance(fields.get("type"), str) and "content" in fields:
        return _of_fields(fields, reason)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        return Message.of(_ROLES.get(given[0], given[0]), content_parts(given[1]))
    if isinstance(given, dict) and "content" in given and ("role" in given or "type" in given):
        return _of_fields({**given, "type": given.get("role") or given.get("type")}, reason)
    if isinstance(given, str):
        return Message.user(given)
    return None


def spoken(piece: Any) -> str | tuple[Any, Any] | None:
    """What a piece of a streamed answer says: a text, or a message's content and pieces of its tool calls."""
    if isinstance(piece, str):
        return str.__str__(piece)
    fields = getattr(piece, "__dict__", None)
    if isinstance(fields, dict) and "content" in fields and fields.get("type") in _ANSWERS:
        return fields["content"], fields.get("tool_call_chunks")
    return None


def joined(pieces: Iterable[str | tuple[Any, Any]]) -> Message | None:
    """What such pieces say together. LangChain's own addition makes a whole message of every two of them."""
    texts: list[tuple[str, list[str]]] = []
    others: list[Part | ToolCall] = []
    calls: dict[Any, list[str]] = {}
    for piece in pieces:
        content, chunks = piece if isinstance(piece, tuple) else (piece, None)
        for part in content_parts(content):
            if not isinstance(part, Part) or not isinstance(part.content, str) or part.type not in _TEXTS:
                others.append(part)
            elif texts and texts[-1][0] == part.type:
                texts[-1][1].append(part.content)
            else:
                texts.append((part.type, [part.content]))
        for chunk in chunks or ():
            call = calls.setdefault(chunk.get("index"), ["", "", ""])
            for place, key in enumerate(("name", "args", "id")):
                call[place] += str(chunk.get(key) or "")
    parts = [
        *(Part(kind, "".join(said)) for kind, said in texts),
        *others,
        *(ToolCall(name, arguments, call_id or None) for name, arguments, call_id in calls.values()),
    ]
    return Message("assistant", tuple(parts)) if parts else None


def _of_fields(fields: Mapping[str, Any], reason: Any) -> Message:
    kind = str(fields["type"])
    role = _ROLES.get(kind) or str(fields.get("role") or kind)
    content = fields["content"]
    name = fields.get("name")
    name = name if type(name) is str else None
    if role == "tool":
        result = content_parts(content) if isinstance(content, list) else content
        return Message("tool", (Part.tool_result(result, fields.get("tool_call_id")),), name)
    if role != "assistant":
        return Message(role, tuple(content_parts(content)), name)
    parts: list[Part | ToolCall] = []
    extra = fields.get("additional_kwargs")
    if isinstance(extra, dict) and extra:
        thought = extra.get("reasoning_content")
        if isinstance(thought, str) and thought:
            parts.append(Part.reasoning(thought))
        if isinstance(extra.get("refusal"), str):
            parts.append(Part.refusal(extra["refusal"]))
    parts += content_parts(content)
    for call in (*(fields.get("tool_calls") or ()), *(fields.get("invalid_tool_calls") or ())):
        if isinstance(call, dict):
            parts.append(ToolCall(str(call.get("name") or ""), call.get("args"), call.get("id")))
    return Message("assistant", tuple(parts), name, finish_reason(reason))


def finish_reason(reason: Any) -> str | None:
    """A provider's reason in the conventions' words."""
    return FINISH.get(reason, reason) if isinstance(reason, str) else None


def content_parts(content: Any) -> list[Part | ToolCall]:
    """The content of a message: a text, or a list of blocks of LangChain's or of a provider's."""
    if isinstance(content, str):
        return [Part.text(content)] if content else []
    if not isinstance(content, list | tuple):
        return []
    return [part for block in content if (part := _part(block)) is not None]


def _part(block: Any) -> Part | None:
    if isinstance(block, str):
        return Part.text(block)
    if not isinstance(block, dict):
        return None
    kind = str(block.get("type") or "unknown")
    if kind in _CALLS:
        return None
    if isinstance(block.get("text"), str):
        return Part.text(block["text"])
    if kind in ("reasoning", "thinking"):
        return _reasoning(block)
    if kind == "refusal":
        return Part.refusal(str(block.get("refusal") or ""))
    if kind == "image_url":
        url = block.get("image_url")
        url = url.get("url") if isinstance(url, dict) else url
        return Part.media(url, "image") if isinstance(url, str) else Part(kind)
    return _media(kind, block) or Part(kind, block)


def _reasoning(block: Mapping[str, Any]) -> Part:
    said = block.get("reasoning") or block.get("thinking")
    if not isinstance(said, str):
        summary = block.get("summary")
        pieces = summary if isinstance(summary, list) else []
        said = "".join(str(piece.get("text") or "") for piece in pieces if isinstance(piece, dict))
    return Part.reasoning(said)


def _media(kind: str, block: Mapping[str, Any]) -> Part | None:
    """Images, sound and documents, by data, by address or by a file's id."""
    if kind == "input_audio" and isinstance(block.get("input_audio"), dict):
        return Part.blob(str(block["input_audio"].get("data") or ""), None, "audio")
    modality = _MODALITIES.get(kind)
    if modality is None:
        return None
    source = block.get("source")
    if isinstance(source, dict):
        block = {**source, **block}
    mime = block.get("mime_type") or block.get("media_type")
    mime = mime if isinstance(mime, str) else None
    data = block.get("base64") or block.get("data")
    if isinstance(data, str | bytes):
        return Part.blob(data, mime, modality)
    if isinstance(block.get("url"), str):
        return Part.media(block["url"], modality, mime)
    known = block.get("file_id") or block.get("id")
    return Part.file(known, modality) if isinstance(known, str) else None
