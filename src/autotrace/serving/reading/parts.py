"""One piece of a message's content, in the words of whichever provider or framework wrote it.

Pure: JSON in, parts out. What is of no known kind is kept as it is, under its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...read import field, text
from ...recording.messages import Modality, Part, Piece, ToolCall

#: Parts of one message that are read.
MOST = 500
JSON = Mapping[str, Any]


def parts(content: Any) -> list[Piece]:
    """The content of a message: a text, a part, or a list of both."""
    if type(content) is str:
        return [Part.text(content)] if content else []
    found = content if type(content) is list else [content] if type(content) is dict else []
    return [made for one in found[:MOST] if (made := part(one)) is not None]


def part(given: Any) -> Piece | None:
    """One part; None where it says nothing."""
    if type(given) is str:
        return Part.text(given) if given else None
    if type(given) is not dict:
        return None
    kind = text(given, "type") or text(given, "kind") or _kind_of(given)
    made = _KINDS.get(kind)
    if made is not None:
        return made(given)
    if kind.startswith("tool-"):  # the AI SDK's, whose tools name the kind
        return ToolCall(kind[len("tool-") :], given.get("input"), text(given, "toolCallId"))
    return Part(kind[:50], given)


def _kind_of(given: JSON) -> str:
    """The kind of a part that tells none: Gemini's say it by their field."""
    return next((name for name in _BARE if name in given), "unknown")


def tool_call(given: Any) -> ToolCall:
    """A call of a tool, as OpenAI, LangChain or Anthropic write it."""
    function = field(given, "function")
    function = function if type(function) is dict else given
    arguments = next((found for name in _ARGUMENTS if (found := field(function, name)) is not None), None)
    call = text(given, "id") or text(given, "call_id") or text(given, "toolCallId")
    return ToolCall(text(function, "name") or text(function, "toolName") or "", arguments, call)


_ARGUMENTS = ("arguments", "args", "input")


def _words(given: JSON) -> Part | None:
    said = text(given, "text") or text(given, "content")
    if not said:
        return None
    return Part.reasoning(said) if given.get("thought") is True else Part.text(said)


def _thought(given: JSON) -> Part | None:
    names = ("reasoning", "thinking", "text", "content")
    said = next((found for name in names if (found := text(given, name))), None)
    return Part.reasoning(said) if said else None


def _refusal(given: JSON) -> Part:
    return Part.refusal(text(given, "refusal") or "")


def _image(given: JSON) -> Part:
    source = given.get("source")
    if type(source) is dict:
        return _source(source, "image")
    url = text(given, "image_url", "url") or text(given, "image_url") or text(given, "image") or text(given, "url")
    if url:
        return Part.media(url, "image")
    data = text(given, "data")
    return (
        Part.blob(data, text(given, "mime_type"), "image") if data else Part.file(text(given, "file_id") or "", "image")
    )


def _source(source: JSON, modality: Modality) -> Part:
    """Anthropic's picture or document."""
    kind = text(source, "media_type")
    url, data = text(source, "url"), text(source, "data")
    if url:
        return Part.media(url, modality, kind)
    return Part.blob(data, kind, modality) if data else Part.file(text(source, "file_id") or "", modality)


def _sound(given: JSON) -> Part:
    kind = text(given, "input_audio", "format")
    data = text(given, "input_audio", "data") or text(given, "data") or ""
    return Part.blob(data, f"audio/{kind}" if kind else None, "audio")


def _file(given: JSON) -> Part:
    source = given.get("source")
    if type(source) is dict:
        return _source(source, "document")
    inner = given.get("file")
    file = inner if type(inner) is dict else given
    data = text(file, "file_data") or text(file, "bytes") or text(file, "data")
    url = text(file, "file_url") or text(file, "url") or text(file, "uri")
    kind = text(file, "mediaType") or text(file, "mimeType")
    if data:
        return Part.media(data, "document") if data[:5] == "data:" else Part.blob(data, kind, "document")
    return Part.media(url, "document", kind) if url else Part.file(text(file, "file_id") or "", "document")


def _called(given: JSON) -> ToolCall:
    inner = given.get("functionCall") or given.get("function_call")  # Gemini's
    return tool_call(inner if type(inner) is dict else given)


def _result(given: JSON) -> Part:
    names = ("content", "output", "response", "result")
    found = next((given[name] for name in names if given.get(name) is not None), None)
    call = next((known for name in ("tool_use_id", "toolCallId", "id") if (known := text(given, name))), None)
    return Part.tool_result(plain_result(found), call)


def plain_result(result: Any) -> Any:
    """A tool's result: its text, where it consists of nothing else."""
    if type(result) is list and all(type(one) is dict and type(one.get("text")) is str for one in result):
        return "".join(one["text"] for one in result)
    return result


def _gemini_result(given: JSON) -> Part:
    inner = given.get("functionResponse") or given.get("function_response")
    return Part.tool_result(field(inner, "response"), text(inner, "id") or text(inner, "name"))


def _gemini_data(given: JSON) -> Part:
    inner = given.get("inlineData") or given.get("inline_data")
    kind = text(inner, "mimeType") or text(inner, "mime_type")
    return Part.blob(text(inner, "data") or "", kind, _modality(kind))


def _gemini_file(given: JSON) -> Part:
    inner = given.get("fileData") or given.get("file_data")
    kind = text(inner, "mimeType") or text(inner, "mime_type")
    return Part.media(text(inner, "fileUri") or text(inner, "file_uri") or "", _modality(kind), kind)


def _modality(kind: str | None) -> Modality:
    word = (kind or "").partition("/")[0]
    return word if word in ("image", "audio", "video") else "document"  # type: ignore[return-value]


def _nothing(given: JSON) -> None:
    return None


_KINDS: Mapping[str, Callable[[JSON], Piece | None]] = {
    **dict.fromkeys(("text", "input_text", "output_text"), _words),
    **dict.fromkeys(("reasoning", "thinking", "summary_text", "reasoning_text"), _thought),
    **dict.fromkeys(("image", "image_url", "input_image"), _image),
    **dict.fromkeys(("file", "input_file", "document"), _file),
    **dict.fromkeys(("audio", "input_audio"), _sound),
    **dict.fromkeys(("tool_use", "tool-call", "tool_call", "functionCall", "function_call"), _called),
    **dict.fromkeys(("tool_result", "tool-result", "tool_call_response"), _result),
    **dict.fromkeys(("functionResponse", "function_response"), _gemini_result),
    **dict.fromkeys(("inlineData", "inline_data"), _gemini_data),
    **dict.fromkeys(("fileData", "file_data"), _gemini_file),
    "refusal": _refusal,
    "step-start": _nothing,
}
_BARE = ("text", *(name for name in _KINDS if name[:6] in ("functi", "inline", "fileDa", "file_d")))
