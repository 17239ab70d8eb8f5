"""Messages in JSON, however an application writes them, as messages.

OpenAI's chat messages and items of its responses API, Anthropic's, Gemini's, LangChain's (also serialised), the AI
SDK's, A2A's, MLflow's. Pure: JSON in, messages out; what is none is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...read import field, items, text
from ...recording.messages import Message, Part, Piece
from .parts import part, parts, plain_result, tool_call

#: Messages of one conversation that are read, from its end, and how many parts they may have together.
MOST = 1000
MOST_PARTS = 3000
#: Roles, and LangChain's types, in small letters.
_ROLES = {
    "user": "user",
    "human": "user",
    "role_user": "user",
    "humanmessage": "user",
    "humanmessagechunk": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "agent": "assistant",
    "role_agent": "assistant",
    "system": "system",
    "systemmessage": "system",
    "systemmessagechunk": "system",
    "developer": "developer",
    "tool": "tool",
    "toolmessage": "tool",
    "toolmessagechunk": "tool",
    "function": "tool",
    "functionmessage": "tool",
}
#: What a message says something in.
_SAYS = ("content", "parts", "text", "tool_calls", "toolCalls", "function_call", "refusal", "reasoning_content")
#: Items of the responses API that are no messages and whose name does not end in `_call` or `_call_output`.
_ITEMS = {"reasoning": "assistant", "mcp_approval_request": "assistant", "mcp_approval_response": "tool"}


def messages(value: Any) -> list[Message] | None:
    """A conversation, its last `MOST` messages; None where the value is none."""
    if type(value) is not list or not value:
        return None
    recent = value[-MOST:]
    roles = [role_of(item) for item in recent]
    if roles[-1] is None and len(roles) > 1 and type(recent[-1]) is dict:
        del recent[-1], roles[-1]  # the last one may be cut off
    if None in roles:
        return None
    start = _first_read(recent)
    return _turns(zip(recent[start:], roles[start:], strict=True))  # type: ignore[arg-type]


def message(value: Any) -> Message | None:
    """One message; None where the value is none."""
    role = role_of(value)
    return None if role is None else _message(value, role)


def role_of(item: Any) -> str | None:
    """Who speaks in a message; None where this is no message."""
    if type(item) is list:  # LangChain's ("human", "Hello")
        is_pair = len(item) == 2 and type(item[0]) is str and type(item[1]) is str
        return _ROLES.get(item[0].lower()) if is_pair else None
    if type(item) is not dict:
        return None
    role = item.get("role")
    if type(role) is str:
        return _ROLES.get(role.lower(), role[:50]) if any(name in item for name in _SAYS) else None
    kind = item.get("type")
    if type(kind) is not str:
        return None
    if kind == "constructor":
        names = item.get("id")
        return _ROLES.get(str(names[-1]).lower()) if type(names) is list and names else None
    if "content" in item or "data" in item:
        known = _ROLES.get(kind.lower())
        if known is not None:
            return known
    return _item_role(kind)


def _item_role(kind: str) -> str | None:
    if kind.endswith("_call_output"):
        return "tool"
    return "assistant" if kind.endswith("_call") else _ITEMS.get(kind)


def _first_read(recent: list[Any]) -> int:
    """Where to begin so that what follows has no more than `MOST_PARTS` parts."""
    left = MOST_PARTS
    for index in range(len(recent) - 1, -1, -1):
        content = field(recent[index], "content") or field(recent[index], "parts")
        left -= len(content) if type(content) is list else 1
        if left < 0:
            return min(index + 1, len(recent) - 1)
    return 0


def _turns(found: Iterable[tuple[Any, str]]) -> list[Message]:
    """The messages; items of the responses API that a model put out one after another are one of its turns."""
    turns: list[Message] = []
    is_open = False  # whether the last turn goes on with the next item
    for item, role in found:
        made = _message(item, role)
        kind = field(item, "type")
        is_item = type(kind) is str and (kind == "message" or _item_role(kind) is not None)
        if is_item and is_open and made.role == turns[-1].role == "assistant":
            turns[-1] = turns[-1]._replace(parts=turns[-1].parts + made.parts)
        else:
            turns.append(made)
        is_open = is_item
    return turns


def _message(item: Any, role: str) -> Message:
    if type(item) is list:
        return Message.of(role, item[1])
    kind = text(item, "type") or ""
    inner = item.get("kwargs") if kind == "constructor" else item.get("data")
    if type(inner) is dict and "content" not in item and "parts" not in item:
        item = inner
    elif type(item.get("role")) is not str and _item_role(kind) is not None:
        return Message(role, tuple(_item_parts(item, kind)))
    name = text(item, "name")
    if role == "tool":
        return Message("tool", tuple(_results(item)), name)
    return Message(role, tuple(_parts(item)), name)


def _parts(item: Mapping[str, Any]) -> list[Piece]:
    """Thoughts, words, refusal and calls, in the order in which they are read."""
    thought = text(item, "reasoning_content") or text(item, "reasoning") or text(item, "thinking")
    found: list[Piece] = [Part.reasoning(thought)] if thought else []
    content = next((item[name] for name in ("content", "parts", "text") if item.get(name)), None)
    if type(content) is dict and "parts" in content:
        content = content["parts"]
    found += parts(content)
    refusal = text(item, "refusal")
    if refusal:
        found.append(Part.refusal(refusal))
    known = {piece.id for piece in found if piece.id is not None}
    calls = [tool_call(call) for call in (*items(item, "tool_calls"), *items(item, "toolCalls"))]
    found += [call for call in calls if call.id is None or call.id not in known]  # LangChain says them twice
    function = item.get("function_call")
    if type(function) is dict:
        found.append(tool_call(function))
    return found


def _results(item: Mapping[str, Any]) -> list[Piece]:
    """What a tool answered: the parts that are results, or all of the content."""
    content = item.get("content")
    if type(content) is list and any(field(one, "type") == "tool-result" for one in content):
        return parts(content)
    if content is None and type(item.get("parts")) is list:
        return parts(item["parts"])
    call = text(item, "tool_call_id") or text(item, "toolCallId")
    return [Part.tool_result(plain_result(content), call)]


def _item_parts(item: Mapping[str, Any], kind: str) -> list[Piece]:
    """An item of the responses API that is no message."""
    call = text(item, "call_id") or text(item, "id")
    if kind == "reasoning":
        shown = [*items(item, "summary"), *items(item, "content")]
        return [piece for one in shown if (piece := part(one)) is not None]
    if kind.endswith("_call_output"):
        return [Part.tool_result(plain_result(item.get("output")), call)]
    if kind == "mcp_approval_response":
        return [Part.tool_result(item.get("approve"), text(item, "approval_request_id"))]
    if kind == "mcp_approval_request":
        return [tool_call(item)]
    if kind in ("function_call", "custom_tool_call"):
        return [tool_call({**item, "id": call})]
    arguments = next((item[name] for name in ("arguments", "action", "queries", "code") if item.get(name)), None)
    name = text(item, "name") or kind.removesuffix("_call")
    return [tool_call({"name": name, "arguments": arguments, "id": call})._replace(server=True)]
