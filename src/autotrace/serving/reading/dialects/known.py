"""The dialects that tell the kind of a piece in its `type` or `event`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..assembly import Assembly, Heard
from . import anthropic, interfaces, langchain


def _fail(assembly: Assembly, event: Any) -> None:
    assembly.fail(event)


def _nothing(assembly: Assembly, event: Any) -> None:
    return None


TYPED: Mapping[str, Callable[[Assembly, dict[str, Any]], Heard | None]] = {
    "content_block_start": anthropic.block_start,
    "content_block_delta": anthropic.block_delta,
    "message_delta": anthropic.message_delta,
    "on_chat_model_stream": langchain.model_stream,
    "on_llm_stream": langchain.model_stream,
    "on_chain_end": langchain.chain_end,
    "TEXT_MESSAGE_CONTENT": interfaces.said,
    "TEXT_MESSAGE_CHUNK": interfaces.said,
    "REASONING_MESSAGE_CONTENT": interfaces.thought,
    "THINKING_TEXT_MESSAGE_CONTENT": interfaces.thought,
    "TOOL_CALL_START": interfaces.called,
    "TOOL_CALL_ARGS": interfaces.called,
    "TOOL_CALL_RESULT": interfaces.returned,
    "MESSAGES_SNAPSHOT": interfaces.snapshot,
    "text-delta": interfaces.said,
    "reasoning-delta": interfaces.thought,
    "tool-input-available": interfaces.called,
    "tool-output-available": interfaces.returned,
    **dict.fromkeys(("error", "RUN_ERROR", "run_error"), _fail),
    # What holds part of an answer in other dialects holds none here.
    **dict.fromkeys(("message_start", "content_block_stop", "message_stop", "RUN_FINISHED"), _nothing),
}
