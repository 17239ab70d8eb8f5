"""Pieces of streamed answers, in the shapes of the providers and frameworks that have one of their own.

Each function adds one JSON object to an `Assembly`, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..read import field, items, text
from .answers import finish_reason
from .assembly import Assembly
from .conversation import message, messages, role_of
from .turns import MOST, Turn

JSON = dict[str, Any]


#: What takes the next words of a piece like this one, and the words of this one: where it brought nothing else.
Heard = tuple[Callable[[str], None], str]


def choices(assembly: Assembly, given: list[Any]) -> Heard | None:
    """The choices of a chunk of OpenAI's chat completions, or completions."""
    heard = None
    for choice in given[:MOST]:
        if type(choice) is not dict:
            continue
        turn = assembly.turn(("choice", _index(choice)))
        delta = choice.get("delta")
        words = choice.get("text") if type(delta) is not dict else delta.get("content")
        if type(words) is str:
            turn.say(words)
            heard = turn.say, words
        if type(delta) is dict and len(delta) > 1:
            turn.add(delta)
            heard = None
        reason = choice.get("finish_reason")
        if reason is not None:
            turn.finish_reason = finish_reason(reason)
            heard = None
    return heard if len(given) == 1 else None


def response_event(assembly: Assembly, kind: str, event: JSON, size: int) -> Heard | None:
    """A typed event of OpenAI's responses API, or of an MLflow ResponsesAgent.

    Args:
        assembly: What it is added to.
        kind: Its type, without `response.`.
        event: The event.
        size: Its bytes.
    """
    delta = event.get("delta")
    if kind == "output_text.delta" and type(delta) is str:
        turn = assembly.turn(_item_key(event))
        turn.say(delta)
        return turn.say, delta
    if kind in ("completed", "incomplete", "failed"):
        assembly.final = event.get("response")
    elif kind == "error":
        assembly.fail(event)
    elif kind == "output_item.done":
        item = event.get("item")
        if type(item) is dict:
            assembly.item(_item_key(event), item, size)
    elif type(delta) is str and kind.startswith("reasoning") and kind.endswith(".delta"):
        assembly.turn(_item_key(event)).think(delta)
    elif type(delta) is str and kind == "refusal.delta":
        assembly.turn(_item_key(event)).add({"refusal": delta})
    return None


def _item_key(event: JSON) -> tuple[str, str | int | None]:
    key = event.get("item_id")
    if type(key) is not str:
        item = event.get("item")
        key = text(item, "id") or text(item, "call_id") or event.get("output_index")
    return "item", key if isinstance(key, str | int) else None


def chat_message(assembly: Assembly, given: Any, finish: Any = None) -> Heard | None:
    """A message, or a part of one, that goes by its id: of an MLflow ChatAgent, of LangChain, of Ollama."""
    role = role_of(given)
    if role is None and type(given) is dict and given.get("id") is not None:
        role = "assistant"
    if role not in ("assistant", "tool"):
        return None
    known = text(given, "id")
    key = ("message", known or text(given, "tool_call_id") or role)
    kind = text(given, "type")
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


def _anthropic(assembly: Assembly) -> Turn:
    return assembly.turn("anthropic")


def _block_start(assembly: Assembly, event: JSON) -> None:
    block = event.get("content_block")
    if text(block, "type") == "tool_use":
        # Its input is empty here: it comes in pieces.
        _anthropic(assembly).call(_index(event), {"id": text(block, "id"), "name": text(block, "name")})


def _block_delta(assembly: Assembly, event: JSON) -> None:
    delta = event.get("delta")
    said, thought = text(delta, "text"), text(delta, "thinking")
    if said:
        _anthropic(assembly).say(said)
    if thought:
        _anthropic(assembly).think(thought)
    if text(delta, "partial_json"):
        _anthropic(assembly).call(_index(event), delta)


def _message_delta(assembly: Assembly, event: JSON) -> None:
    reason = finish_reason(field(event, "delta", "stop_reason"))
    if reason:
        _anthropic(assembly).finish_reason = reason


def _index(event: JSON) -> int:
    found = event.get("index")
    return found if type(found) is int else 0


def _model_stream(assembly: Assembly, event: JSON) -> None:
    """LangChain's `astream_events`: of the events that tell the same words, the model's."""
    chunk = field(event, "data", "chunk")
    if role_of(chunk) is not None:
        chat_message(assembly, chunk)
    elif type(chunk) is str:
        assembly.words.add(chunk)


def _chain_end(assembly: Assembly, event: JSON) -> None:
    """The end of a chain: the outermost one's is the last."""
    output = field(event, "data", "output")
    if output is not None:
        assembly.final = output


def _snapshot(assembly: Assembly, event: JSON) -> None:
    if messages(event.get("messages")) is not None:
        assembly.final = event


def _nothing(assembly: Assembly, event: JSON) -> None:
    return None


#: By `type` or `event`, where that says it.
TYPED: Mapping[str, Callable[[Assembly, JSON], object]] = {
    "content_block_start": _block_start,
    "content_block_delta": _block_delta,
    "message_delta": _message_delta,
    **dict.fromkeys(("message_start", "content_block_stop", "message_stop"), _nothing),
    "on_chat_model_stream": _model_stream,
    "on_llm_stream": _model_stream,
    "on_chain_end": _chain_end,
    "MESSAGES_SNAPSHOT": _snapshot,
    **dict.fromkeys(("error", "RUN_ERROR", "run_error"), Assembly.fail),
}


def log_patch(assembly: Assembly, operations: list[Any]) -> None:
    """LangServe's `stream_log`: patches of JSON, of which those of the streamed output bring the answer."""
    for operation in operations[:MOST]:
        if text(operation, "path") == "/streamed_output/-":
            value = field(operation, "value")
            if type(value) is str:
                assembly.words.add(value)
            elif role_of(value) is not None:
                chat_message(assembly, value)
        elif text(operation, "path") in ("/final_output", ""):
            final = field(operation, "value")
            assembly.final = final if text(operation, "path") else field(final, "final_output") or assembly.final


def graph_update(assembly: Assembly, update: JSON) -> bool:
    """LangGraph's `updates`: what each node added. False where it is something else."""
    found = False
    for node in list(update.values())[:MOST]:
        for one in items(node, "messages"):
            found = True
            chat_message(assembly, one)
    return found
