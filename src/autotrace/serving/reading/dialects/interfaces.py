"""What chat pages are fed with: AG-UI's events, and the AI SDK's."""

from __future__ import annotations

from typing import Any

from ....read import text
from ..assembly import Assembly, Heard
from ..conversation import messages

JSON = dict[str, Any]


def said(assembly: Assembly, event: JSON) -> Heard | None:
    """More of a message."""
    delta = text(event, "delta")
    if delta is None:
        return None
    turn = assembly.turn(_message(event))
    turn.say(delta)
    return turn.say, delta


def thought(assembly: Assembly, event: JSON) -> None:
    """More of what the model thought."""
    assembly.turn(_message(event)).think(text(event, "delta") or "")


def called(assembly: Assembly, event: JSON) -> None:
    """A call of a tool, or more of one. It belongs to no message: it is a turn of its own."""
    call = text(event, "toolCallId") or text(event, "tool_call_id")
    name = text(event, "toolCallName") or text(event, "toolName")
    arguments = event.get("delta") if event.get("input") is None else event["input"]
    assembly.turn(("call", call)).call(call, {"id": call, "name": name, "args": arguments})


def returned(assembly: Assembly, event: JSON) -> None:
    """What a tool answered."""
    call = text(event, "toolCallId") or text(event, "tool_call_id")
    turn = assembly.turn(("result", call), "tool")
    turn.call_id = call
    turn.answer(next((event[name] for name in ("content", "output") if event.get(name) is not None), None))


def snapshot(assembly: Assembly, event: JSON) -> None:
    """The whole conversation once more."""
    if messages(event.get("messages")) is not None:
        assembly.final = event


def _message(event: JSON) -> tuple[str, str | None]:
    return "message", text(event, "messageId") or text(event, "id")
