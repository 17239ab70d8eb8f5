"""Messages that come whole or in parts, each by its id: of MLflow's ChatAgent, of LangChain, of Ollama."""

from __future__ import annotations

from typing import Any

from ....read import text
from ..answers import finish_reason
from ..assembly import Assembly, Heard
from ..conversation import message, role_of


def chat_message(assembly: Assembly, given: Any, finish: Any = None) -> Heard | None:
    """A message, or a part of one.

    Args:
        assembly: What it is added to.
        given: Any JSON.
        finish: Why it ended, where that is told.
    """
    role = role_of(given)
    if role is None and type(given) is dict and given.get("id") is not None:
        role = "assistant"
    if role not in ("assistant", "tool"):
        return None
    known, kind = text(given, "id"), text(given, "type")
    key = ("message", known or text(given, "tool_call_id") or role)
    if known and kind is not None and not kind.endswith("Chunk"):
        assembly.whole(key, given)
        return None
    turn = assembly.turn(key, role)
    turn.name = turn.name or text(given, "name")
    turn.call_id = turn.call_id or text(given, "tool_call_id")
    turn.finish_reason = finish_reason(finish) or turn.finish_reason
    content = given.get("content")
    if type(content) is not str:
        made = message(given)
        for piece in made.parts if made is not None else ():
            turn.put(piece)
        return None
    turn.say(content)
    calls = given.get("tool_call_chunks") or given.get("tool_calls")
    turn.add({**given, "tool_calls": calls})
    return None if calls or finish else (turn.say, content)
