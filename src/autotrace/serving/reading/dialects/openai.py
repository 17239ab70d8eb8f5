"""OpenAI's chat completions and responses, which MLflow's ResponsesAgent speaks too."""

from __future__ import annotations

from typing import Any

from ....read import text
from ..answers import finish_reason
from ..assembly import Assembly, Heard
from ..turns import MOST


def choices(assembly: Assembly, given: list[Any]) -> Heard | None:
    """The choices of a chunk of chat completions, or completions."""
    heard = None
    for choice in given[:MOST]:
        if type(choice) is not dict:
            continue
        index = choice.get("index")
        turn = assembly.turn(("choice", index if type(index) is int else 0))
        delta = choice.get("delta")
        words = choice.get("text") if type(delta) is not dict else delta.get("content")
        if type(words) is str:
            turn.say(words)
            heard = turn.say, words
        if type(delta) is dict and (len(delta) > 1 or words is None):
            turn.add(delta)
            heard = None
        reason = choice.get("finish_reason")
        if reason is not None:
            turn.finish_reason = finish_reason(reason)
            heard = None
    return heard if len(given) == 1 else None


def response_event(assembly: Assembly, kind: str, event: dict[str, Any], size: int) -> Heard | None:
    """A typed event of the responses API.

    Args:
        assembly: What it is added to.
        kind: Its type, without `response.`.
        event: The event.
        size: Its bytes.
    """
    delta = event.get("delta")
    if kind == "output_text.delta" and type(delta) is str:
        turn = assembly.turn(_key(event))
        turn.say(delta)
        return turn.say, delta
    if kind in ("completed", "incomplete", "failed"):
        assembly.final = event.get("response")
    elif kind == "error":
        assembly.fail(event)
    elif kind == "output_item.done":
        item = event.get("item")
        if type(item) is dict:
            assembly.item(_key(event), item, size)
    elif type(delta) is str and kind.startswith("reasoning") and kind.endswith(".delta"):
        assembly.turn(_key(event)).think(delta)
    elif type(delta) is str and kind == "refusal.delta":
        assembly.turn(_key(event)).add({"refusal": delta})
    return None


def _key(event: dict[str, Any]) -> tuple[str, str | int | None]:
    """What the item of an event goes by."""
    key = event.get("item_id")
    if type(key) is not str:
        item = event.get("item")
        key = text(item, "id") or text(item, "call_id") or event.get("output_index")
    return "item", key if isinstance(key, str | int) else None
