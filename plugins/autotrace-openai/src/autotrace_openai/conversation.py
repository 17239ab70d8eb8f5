"""Messages of the chat API and items of the responses API, as they are sent and as they come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import Message, Part, ToolCall, read

FINISH = {"tool_calls": "tool_call", "function_call": "tool_call", "max_output_tokens": "length"}
_TEXTS = frozenset({"text", "input_text", "output_text"})
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def finish_reason(reason: Any) -> str | None:
    """A provider's reason in the conventions' words."""
    return FINISH.get(reason, reason) if isinstance(reason, str) else None


def chat_message(message: Any, reason: Any = None) -> Message:
    """A message of the chat API."""
    fields = read.view(message)
    role, content = fields.get("role"), fields.get("content")
    role = role if isinstance(role, str) else "user"
    if type(content) is str and (len(fields) <= 2 or not any(map(fields.get, _MORE))):
        # Nearly every message: a text and nothing else.
        parts: list[Part | ToolCall] = [Part.text(content)] if content else []
    elif role in ("tool", "function"):
        parts = [Part.tool_result(_tool_result(content), read.text(fields, "tool_call_id"))]
        role = "tool"
    else:
        parts = _all_parts(fields)
    name = fields.get("name")
    return Message(role, tuple(parts), name if type(name) is str else None, finish_reason(reason))


#: Fields of a message that say more than its text.
_MORE = ("tool_calls", "tool_call_id", "function_call", "refusal", "audio", "reasoning", "reasoning_content")


def _all_parts(fields: Mapping[str, Any]) -> list[Part | ToolCall]:
    """Reasoning, content, refusal, sound and calls, in the order in which they are read."""
    parts: list[Part | ToolCall] = []
    reasoning = read.text(fields, "reasoning_content") or read.text(fields, "reasoning")
    if reasoning:
        parts.append(Part.reasoning(reasoning))
    parts += content_parts(fields.get("content"))
    refusal = read.text(fields, "refusal")
    if refusal:
        parts.append(Part.refusal(refusal))
    audio = fields.get("audio")
    if audio is not None:
        parts += _audio(audio)
    parts += [tool_call(call) for call in read.items(fields, "tool_calls")]
    function = fields.get("function_call")
    if function is not None:
        parts.append(ToolCall(read.text(function, "name") or "", read.field(function, "arguments")))
    return parts


def _tool_result(content: Any) -> Any:
    """A tool's result: its text, where it is nothing else; its parts, where it has some; any value otherwise."""
    if read.text(content, "type") == "computer_screenshot":
        return [_image(content)]
    if not isinstance(content, list | tuple):
        return content
    kinds = [read.text(part, "type") for part in content]
    if all(kind in _TEXTS for kind in kinds):
        return "".join(read.text(part, "text") or "" for part in content)
    return content_parts(content) if all(kinds) else content


def _audio(audio: Any) -> list[Part]:
    """A spoken answer: its transcript, and its data by size and hash."""
    transcript, data = read.text(audio, "transcript"), read.text(audio, "data")
    parts = [Part.text(transcript)] if transcript else []
    if data:
        parts.append(Part.blob(data, None, "audio"))
    elif not transcript and read.text(audio, "id"):
        parts.append(Part.file(read.field(audio, "id"), "audio"))
    return parts


def tool_call(call: Any) -> ToolCall:
    """A tool call of the chat API: a function, or a custom tool with free text."""
    custom = read.field(call, "custom")
    if custom is not None:
        return ToolCall(read.text(custom, "name") or "", read.field(custom, "input"), read.text(call, "id"))
    function = read.field(call, "function")
    return ToolCall(read.text(function, "name") or "", read.field(function, "arguments"), read.text(call, "id"))


def content_parts(content: Any) -> list[Part | ToolCall]:
    """The content of a message: a text, or a list of parts of either API."""
    if isinstance(content, str):
        return [Part.text(content)] if content else []
    if not isinstance(content, list | tuple):
        return []
    return [_part(part) for part in content]


def _part(part: Any) -> Part:
    if isinstance(part, str):
        return Part.text(part)
    kind = read.text(part, "type") or "unknown"
    if kind in _TEXTS:
        return Part.text(read.text(part, "text") or "")
    if kind == "refusal":
        return Part.refusal(read.text(part, "refusal") or "")
    if kind in ("image_url", "input_image"):
        return _image(part)
    if kind == "input_audio":
        data = read.text(part, "input_audio", "data") or ""
        return Part.blob(data, _AUDIO.get(read.text(part, "input_audio", "format") or ""), "audio")
    if kind in ("file", "input_file"):
        return _file(read.field(part, "file") or part)
    if kind in ("summary_text", "reasoning_text"):
        return Part.reasoning(read.text(part, "text") or "")
    return Part(kind, part)


def _image(part: Any) -> Part:
    url = read.text(part, "image_url", "url") or read.text(part, "image_url")
    if url:
        return Part.media(url, "image")
    return Part.file(read.text(part, "file_id") or "", "image")


def _file(file: Any) -> Part:
    """A document, by its data, its address or the provider's id of it."""
    data, url, known = read.text(file, "file_data"), read.text(file, "file_url"), read.text(file, "file_id")
    if data:
        return Part.media(data, "document") if data.startswith("data:") else Part.blob(data, None, "document")
    return Part.media(url, "document") if url else Part.file(known or "", "document")


def response_input(given: Any) -> list[Message]:
    """The input of the responses API: a text, or items."""
    if isinstance(given, str):
        return [Message.user(given)]
    return [_item_message(item) for item in given] if isinstance(given, list | tuple) else []


def _item_message(item: Any) -> Message:
    kind = read.text(item, "type") or "message"
    if kind == "message":
        return Message(read.text(item, "role") or "user", tuple(content_parts(read.field(item, "content"))))
    if kind.endswith("_call_output"):
        return Message(
            "tool", (Part.tool_result(_tool_result(read.field(item, "output")), read.text(item, "call_id")),)
        )
    return Message("assistant", tuple(item_parts(item)))


def item_parts(item: Any) -> list[Part | ToolCall]:
    """One item that a model put out."""
    kind = read.text(item, "type") or "message"
    if kind == "message":
        return content_parts(read.field(item, "content"))
    if kind == "reasoning":
        shown = [*read.items(item, "summary"), *read.items(item, "content")]
        return [Part.reasoning(read.text(part, "text") or "") for part in shown]
    name = read.text(item, "name")
    call = read.text(item, "call_id") or read.text(item, "id")
    if kind == "function_call":
        return [ToolCall(name or "", read.field(item, "arguments"), call)]
    if kind == "custom_tool_call":
        return [ToolCall(name or "", read.field(item, "input"), call)]
    if kind == "image_generation_call":
        data = read.text(item, "result")
        return [Part.blob(data, None, "image")] if data else [ToolCall("image_generation", None, call, server=True)]
    if kind.endswith("_call"):
        arguments = (
            read.field(item, "arguments")
            or read.field(item, "action")
            or read.field(item, "queries")
            or read.field(item, "code")
        )
        return [ToolCall(name or kind.removesuffix("_call"), arguments, call, server=True)]
    return [Part(kind, None)]


def response_output(reply: Any) -> Message | None:
    """The output items of a response as the one message that they are."""
    parts = [part for item in read.items(reply, "output") for part in item_parts(item)]
    return Message("assistant", tuple(parts), None, response_finish(reply, parts)) if parts else None


def response_finish(reply: Any, parts: list[Part | ToolCall]) -> str | None:
    """Why a response ended."""
    status = read.text(reply, "status")
    if status == "incomplete":
        return finish_reason(read.text(reply, "incomplete_details", "reason")) or "length"
    if status == "completed":
        return "tool_call" if any(isinstance(part, ToolCall) and not part.server for part in parts) else "stop"
    return "error" if status == "failed" else None
