"""What the model says. Words in the last user text steer it:

- "refuse": it refuses;
- "content filter": the answer is cut off with finish reason `content_filter`;
- "both": with tools, it calls the first two in parallel. Otherwise it calls the first one; once a tool has
  answered, it answers in words.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import Any

from autotrace.testing.openai_api.ask import JSON, Ask
from autotrace.testing.openai_api.samples import sample


def pieces(text: str, count: int | None) -> list[str]:
    """The text in `count` slices, or word by word."""
    if count is None:
        return re.findall(r"\s*\S+|\s+$", text) or [""]
    return [text[i * len(text) // count : (i + 1) * len(text) // count] for i in range(count)]


def content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _turns(ask: Ask) -> list[JSON]:
    """The messages or input items of a chat or Responses request."""
    turns = ask.body.get("messages", ask.body.get("input")) or []
    if isinstance(turns, str):
        return [{"role": "user", "content": turns}]
    return [turn for turn in turns if isinstance(turn, dict)]


def _user_text(ask: Ask) -> str:
    texts = [content_text(turn.get("content")) for turn in _turns(ask) if turn.get("role") == "user"]
    return texts[-1] if texts else content_text(ask.body.get("prompt"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says: text or a refusal, or calls of tools as (name, arguments)."""

    text: str | None
    finish: str
    refusal: str | None = None
    calls: tuple[tuple[str, str], ...] = ()


def answer_to(ask: Ask, choice: int = 0) -> Answer:
    asked = _user_text(ask)
    calls = _calls(ask, asked)
    if calls:
        return Answer(None, "tool_calls", calls=calls)
    if "refuse" in asked:
        return Answer(None, "stop", refusal="I am sorry, but I cannot help with that.")
    if ask.wanted.text is not None or ask.wanted.chunks is not None:
        return Answer(_long_enough(ask), "stop")
    text = _structured(ask) or f'You asked: "{asked[:60]}". The answer is {ask.digest % 2**24:06x}.'
    text += f" (choice {choice})" if choice else ""
    if "content filter" in asked:
        return Answer(text[:10], "content_filter")
    limits = (ask.body.get(key) for key in ("max_tokens", "max_completion_tokens", "max_output_tokens"))
    limit = next((limit for limit in limits if isinstance(limit, int)), None)
    words = pieces(text, None)
    if limit is not None and limit < len(words):
        return Answer("".join(words[:limit]), "length")
    return Answer(text, "stop")


def _long_enough(ask: Ask) -> str:
    """The text that the test wants, or enough words for the chunks that it wants."""
    if ask.wanted.text is not None:
        return ask.wanted.text
    return " ".join(f"word{i}" for i in range(ask.wanted.chunks or 1))


def _structured(ask: Ask) -> str | None:
    """JSON that fits the schema of a structured output, or None."""
    wish = ask.body.get("response_format") or (ask.body.get("text") or {}).get("format") or {}
    if wish.get("type") == "json_object":
        return json.dumps({"answer": ask.id("")})
    if wish.get("type") != "json_schema":
        return None
    schema = wish.get("schema") or (wish.get("json_schema") or {}).get("schema") or {}
    return json.dumps(sample(schema, ask.id("")[:6]))


def _calls(ask: Ask, asked: str) -> tuple[tuple[str, str], ...]:
    turns = _turns(ask)
    tools = [tool for tool in ask.body.get("tools") or () if tool.get("type") == "function"]
    if not tools or not turns or turns[-1].get("role") != "user" or ask.body.get("tool_choice") == "none":
        return ()
    functions = [tool.get("function", tool) for tool in tools[: 2 if "both" in asked else 1]]
    if "both" in asked and len(functions) == 1:
        functions *= 2
    seeds = (f"{ask.id('')[:4]}{i}" for i in itertools.count())
    return tuple(
        (function["name"], json.dumps(sample(function.get("parameters") or {"type": "object"}, seed)))
        for function, seed in zip(functions, seeds)  # noqa: B905 - the seeds never end
    )
