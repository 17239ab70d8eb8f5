"""Inputs and outputs of steps, with LlamaIndex's own objects as a person would write them down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autotrace import Document, ResponseValues, ToolCall

from .conversation import message, text_of

#: Deeper than events and arguments are; what lies deeper is told by its fields.
_DEPTH = 4


def is_a(value: Any, name: str) -> bool:
    """Whether `value` is an instance of LlamaIndex's class `name`, or of a class below it."""
    return any(kind.__name__ == name and is_own(kind) for kind in type(value).__mro__)


def is_own(kind: type) -> bool:
    """Whether a class is LlamaIndex's, or that of one of its integrations."""
    return kind.__module__.partition(".")[0] in ("llama_index", "workflows", "llama_agents")


def shown(value: Any, depth: int = 0) -> Any:
    """`value` with queries and messages as text, nodes as id, text and score, events by their fields."""
    kind = type(value)
    if value is None or kind in (str, int, float, bool) or depth > _DEPTH:
        return value
    if kind is dict:
        return {key: shown(item, depth + 1) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [shown(item, depth + 1) for item in value]
    for known in kind.__mro__:
        show = _SHOWN.get(known.__name__)
        if show is not None and is_own(known):
            return show(value, depth)
    return value


def text_of_query(given: Any) -> Any:
    """The text of a query, which is a str, a QueryBundle or a ChatMessage."""
    return given if isinstance(given, str) else shown(given)


def documents(nodes: Any) -> list[Document]:
    """Nodes, with or without a score, as documents."""
    return [_document(one) for one in nodes] if isinstance(nodes, list | tuple) else []


def fields(event: Any) -> dict[str, Any]:
    """What an event holds: declared fields and those that were added by name."""
    added = getattr(event, "_data", None)
    given = getattr(event, "__pydantic_fields_set__", ())
    known = {name: item for name, item in vars(event).items() if name in given}
    return {**known, **(added if isinstance(added, dict) else {})}


def given_back(result: Any) -> ResponseValues:
    """What a step returned."""
    if result is None:
        return {}
    if isinstance(result, list) and result and is_a(result[0], "NodeWithScore"):
        return {"documents": documents(result)}
    return {"output_value": shown(result)}


def of_arguments(arguments: Mapping[str, Any]) -> Any:
    """The arguments of a call: a single one as it is. What a workflow's context holds is none of them."""
    named = {name: item for name, item in arguments.items() if name not in ("args", "kwargs")}
    named.update(arguments.get("kwargs") or {})
    known = {name: shown(item) for name, item in named.items() if not is_a(item, "Context")}
    unnamed = [shown(item) for item in arguments.get("args") or () if not is_a(item, "Context")]
    if not unnamed:
        return known
    if known:
        return {"args": unnamed, **known}
    return unnamed[0] if len(unnamed) == 1 else unnamed


def _document(given: Any) -> Document:
    """A node, perhaps with a score around it."""
    node = getattr(given, "node", given)
    get_content = getattr(node, "get_content", None)
    content = get_content() if callable(get_content) else None
    score, metadata, own = (
        getattr(given, "score", None),
        getattr(node, "metadata", None),
        getattr(node, "node_id", None),
    )
    return Document(
        content if isinstance(content, str) else None,
        own if isinstance(own, str) else None,
        float(score) if score is not None else None,
        metadata if isinstance(metadata, dict) and metadata else None,
    )


def _message(value: Any, _: int) -> Any:
    """Its text or, where it has none, the tools that it asks for."""
    text = text_of(value)
    if text:
        return text
    calls = [part for part in message(value).parts if isinstance(part, ToolCall)]
    return {"tool_calls": [{"name": call.name, "arguments": call.arguments} for call in calls]} if calls else text


def _node(value: Any, _: int) -> Any:
    return {name: item for name, item in _document(value)._asdict().items() if item is not None}


def _event(value: Any, depth: int) -> Any:
    known = fields(value)
    return {name: shown(item, depth + 1) for name, item in known.items() if name not in ("raw", "retry_messages")}


def _stop(value: Any, depth: int) -> Any:
    """The workflow's result; an event of a class of its own is the result itself."""
    if type(value).__name__ != "StopEvent":
        return _event(value, depth)
    known = getattr(value, "result", None)
    return shown(known, depth)


def _agent_output(value: Any, _: int) -> Any:
    structured = getattr(value, "structured_response", None)
    return structured if structured is not None else _message(value.response, 0)


_SHOWN: Mapping[str, Callable[[Any, int], Any]] = {
    "ChatMessage": _message,
    "QueryBundle": lambda value, _: value.query_str,
    "NodeWithScore": _node,
    "BaseNode": _node,
    "Response": lambda value, _: value.response,
    "PydanticResponse": lambda value, depth: shown(value.response, depth),
    "StreamingResponse": lambda value, _: value.response_txt,
    "AsyncStreamingResponse": lambda value, _: value.response_txt,
    "AgentChatResponse": lambda value, _: value.response,
    "StreamingAgentChatResponse": lambda value, _: value.response or value.unformatted_response,
    "ChatResponse": lambda value, depth: shown(value.message, depth),
    "CompletionResponse": lambda value, _: value.text,
    "BaseTool": lambda value, _: value.metadata.name,
    "ToolOutput": lambda value, _: value.content,
    "AgentOutput": _agent_output,
    "StopEvent": _stop,
    "Event": _event,
}
