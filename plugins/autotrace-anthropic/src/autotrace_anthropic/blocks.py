"""Messages and their content blocks, as they are sent and as they come back."""

from __future__ import annotations

from typing import Any

from autotrace import Message, Part, ToolCall, read

Piece = Part | ToolCall
#: Fields of a block that tell a reader nothing: the type, which its part has, and what only the API can open.
_OPAQUE = frozenset({"type", "data", "signature", "encrypted_content", "encrypted_index", "encrypted_stdout"})


def message(turn: Any) -> Message:
    """One turn of a conversation. What the API has the user say for tools alone is said by the tools."""
    found, role = pieces(read.field(turn, "content")), read.text(turn, "role") or "user"
    is_tools = bool(found) and all(isinstance(one, Part) and one.type == "tool_call_response" for one in found)
    return Message("tool" if is_tools and role == "user" else role, tuple(found))


def pieces(content: Any) -> list[Piece]:
    """The parts of a content: a text, or blocks."""
    if isinstance(content, str):
        return [Part.text(content)] if content else []
    return [piece for block in read.items(content) for piece in _block(block)]


def texts(content: Any) -> str | None:
    """A content that consists of text alone, as one text."""
    if isinstance(content, str):
        return content or None
    return "\n\n".join(filter(None, (read.text(block, "text") for block in read.items(content)))) or None


def _block(block: Any) -> list[Piece]:
    kind = read.text(block, "type") or "unknown"
    if kind == "text":
        cited = [_readable(one) for one in read.items(block, "citations")]
        return [Part.text(read.text(block, "text") or ""), *([Part("citations", cited)] if cited else [])]
    if kind == "thinking":
        return [Part.reasoning(read.text(block, "thinking") or "")]
    if kind.endswith("tool_use"):
        name, arguments = read.text(block, "name") or "", read.field(block, "input")
        return [ToolCall(name, arguments, read.text(block, "id"), server=kind != "tool_use")]
    if kind.endswith("tool_result"):
        return [Part.tool_result(_result(read.field(block, "content")), read.text(block, "tool_use_id"))]
    if kind == "web_fetch_result":
        return [Part.media(read.text(block, "url") or "", "document"), *pieces([read.field(block, "content")])]
    source = read.field(block, "source")
    return _media(source, kind) if read.text(source, "type") else [Part(kind, _readable(block))]


def _media(source: Any, kind: str) -> list[Piece]:
    """An image or a document, by its data, its address or the provider's id of it; a document by its text or blocks."""
    modality: Any = kind if kind in ("image", "audio", "video") else "document"
    form = read.text(source, "type")
    if form == "base64":
        return [Part.blob(read.field(source, "data"), read.text(source, "media_type"), modality)]
    if form == "url":
        return [Part.media(read.text(source, "url") or "", modality)]
    if form == "file":
        return [Part.file(read.text(source, "file_id") or "", modality)]
    return pieces(read.field(source, "data" if form == "text" else "content"))


def _result(content: Any) -> Any:
    """A tool's result: its text, where it is nothing else; its parts, where it has some; any value otherwise."""
    found = pieces([content] if read.text(content, "type") else content)
    if found and all(isinstance(piece, Part) and piece.type == "text" for piece in found):
        return "".join(piece.content for piece in found if isinstance(piece, Part))
    return found or content


def _readable(block: Any) -> Any:
    """The fields of a block of any type that are for a reader; what is no block as it is."""
    fields = read.view(block)
    told = {name: value for name, value in fields.items() if name not in _OPAQUE and value is not None}
    return told or (None if fields else block)
