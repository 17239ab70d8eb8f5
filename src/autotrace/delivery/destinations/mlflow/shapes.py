"""What was said, in the shapes that MLflow shows as a conversation: those of OpenAI's chat completions.

Pure: values that came from a span's attributes in, JSON values out. Whatever is not shaped as it should be is shown as
it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autotrace.store.messages import Message, part_text, value_text

_TOOL_RESULTS = frozenset({"tool_call_response", "server_tool_call_response"})
_TOOL_CALLS = frozenset({"tool_call", "server_tool_call"})


def chat_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """OpenAI's messages: a tool's results are messages of their own."""
    return [found for message in messages for found in _chat_messages(message)]


def _chat_messages(message: Message) -> Iterator[dict[str, Any]]:
    results = [part for part in message.parts if part.get("type") in _TOOL_RESULTS]
    for part in results:
        found = {"role": "tool", "tool_call_id": value_text(part.get("id")), "content": part_text(part)}
        yield {**found, "name": message.name} if message.name else found
    others = [part for part in message.parts if part.get("type") not in _TOOL_RESULTS]
    if others or not results:
        yield _chat_message(message, others)


def _chat_message(message: Message, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": _content(parts)}
    if message.name:
        found["name"] = message.name
    calls = [_tool_call(part) for part in parts if part.get("type") in _TOOL_CALLS]
    if calls:
        found["tool_calls"] = calls
    thoughts = [value_text(part.get("content")) or "" for part in parts if part.get("type") == "reasoning"]
    if thoughts:
        found["reasoning_content"] = "\n".join(thoughts)
    refusals = [value_text(part.get("content")) or "" for part in parts if part.get("type") == "refusal"]
    if refusals:
        found["refusal"] = "\n".join(refusals)
        if found["content"] is None:
            found["content"] = found["refusal"]
    return found


def _content(parts: Sequence[Mapping[str, Any]]) -> Any:
    """A text where it is one, a list of texts and images where it is several; None where nothing was said."""
    apart = _TOOL_CALLS | {"reasoning", "refusal"}
    found = [_content_part(part) for part in parts if part.get("type") not in apart]
    if not found:
        return None
    if len(found) == 1 and found[0]["type"] == "text":
        return found[0]["text"]
    return found


def _content_part(part: Mapping[str, Any]) -> dict[str, Any]:
    address = part.get("uri") or part.get("content")
    if part.get("type") == "uri" and part.get("modality") == "image" and isinstance(address, str):
        return {"type": "image_url", "image_url": {"url": address}}
    # MLflow shows no conversation at all where it knows one part's type not.
    return {"type": "text", "text": part_text(part)}


def _tool_call(part: Mapping[str, Any]) -> dict[str, Any]:
    arguments = value_text(part.get("arguments"))
    function = {"name": value_text(part.get("name")) or "tool", "arguments": "{}" if arguments is None else arguments}
    return {"id": value_text(part.get("id")) or "", "type": "function", "function": function}


def choices(messages: Sequence[Message], reasons: Sequence[Any]) -> list[dict[str, Any]]:
    """OpenAI's choices: one a message that came back.

    Args:
        messages: What came back.
        reasons: Why each ended, as far as it is known.
    """
    found = []
    for index, message in enumerate(chat_messages(messages)):
        reason = reasons[index] if index < len(reasons) else None
        found.append(
            {"index": index, "message": message, "finish_reason": "tool_calls" if reason == "tool_call" else reason}
        )
    return found


def tools(definitions: Any) -> list[dict[str, Any]]:
    """Definitions of tools, of whichever provider, in OpenAI's shape; what has no name is left out."""
    if not isinstance(definitions, list):
        return []
    return [found for definition in definitions for found in _tools(definition)]


def _tools(definition: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(definition, dict):
        return
    several = definition.get("function_declarations") or definition.get("functionDeclarations")
    if isinstance(several, list):
        for one in several:
            yield from _tools(one)
        return
    inner = definition.get("function")
    function = inner if isinstance(inner, dict) else definition
    kind = definition.get("type")
    name = function.get("name") or (kind if kind != "function" else None)
    if not isinstance(name, str) or not name:
        return
    made: dict[str, Any] = {"name": name}
    if isinstance(function.get("description"), str):
        made["description"] = function["description"]
    schema = next((function[key] for key in _SCHEMAS if isinstance(function.get(key), dict)), None)
    if schema is not None:
        made["parameters"] = schema
    yield {"type": "function", "function": made}


_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parameters_json_schema")


def documents(found: Any) -> Any:
    """What a retriever found, as MLflow's view of documents and its judges read it."""
    if not isinstance(found, list) or not all(isinstance(one, dict) and "content" in one for one in found):
        return found
    return [_document(one) for one in found]


def _document(one: Mapping[str, Any]) -> dict[str, Any]:
    metadata = one.get("metadata")
    known = dict(metadata) if isinstance(metadata, dict) else {}
    source = next((known[key] for key in ("source", "url", "uri", "file_path", "file_name") if known.get(key)), None)
    if source is not None:
        known.setdefault("doc_uri", source)
    if one.get("score") is not None:
        known.setdefault("score", one["score"])
    return {"page_content": value_text(one.get("content")), "metadata": known, "id": one.get("id")}
