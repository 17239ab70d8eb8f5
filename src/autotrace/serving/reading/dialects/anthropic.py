"""Events of Anthropic's messages."""

from __future__ import annotations

from typing import Any

from ....read import field, text
from ..answers import finish_reason
from ..assembly import Assembly, Heard
from ..turns import Turn

JSON = dict[str, Any]


def block_start(assembly: Assembly, event: JSON) -> None:
    """The beginning of a block: of a tool's call, whose input comes in pieces."""
    block = event.get("content_block")
    if text(block, "type") == "tool_use":
        _turn(assembly).call(_index(event), {"id": text(block, "id"), "name": text(block, "name")})


def block_delta(assembly: Assembly, event: JSON) -> Heard | None:
    """More of a block."""
    turn, delta = _turn(assembly), event.get("delta")
    said = text(delta, "text")
    if said:
        turn.say(said)
        return turn.say, said
    thought = text(delta, "thinking")
    if thought:
        turn.think(thought)
    elif text(delta, "partial_json"):
        turn.call(_index(event), delta)
    return None


def message_delta(assembly: Assembly, event: JSON) -> None:
    """Why the message ended."""
    reason = finish_reason(field(event, "delta", "stop_reason"))
    if reason:
        _turn(assembly).finish_reason = reason


def _turn(assembly: Assembly) -> Turn:
    return assembly.turn("anthropic")


def _index(event: JSON) -> int:
    found = event.get("index")
    return found if type(found) is int else 0
