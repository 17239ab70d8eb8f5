"""A model call as a command that makes it again, in the shape of OpenAI's API.

What it is made of was written by others: everything stands in quotes of the shell, all but plain ASCII is escaped by
JSON, and the key is a variable that whoever runs it has to have.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from autotrace.store import messages
from autotrace.store.spans import Payload, Span

from .trace_text import parsed_json

#: Characters of a command: a shell takes some 128,000 as one word.
_LONGEST = 100_000
#: Providers that speak another language, at an address of their own.
_OTHERS = ("anthropic", "aws", "gcp", "google", "cohere", "ibm")
_CHATS = frozenset({"chat", "text_completion", "generate_content"})
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_LOCAL = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|10(\.[0-9]{1,3}){3}|192\.168(\.[0-9]{1,3}){2}")
_DEFAULT_HOST = "api.openai.com"
#: Parameters by their name in OpenAI's API.
_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_completion_tokens",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop_sequences": "stop",
    "choice.count": "n",
    "reasoning_effort": "reasoning_effort",
}


def command(span: Span, payload: Payload) -> str | None:
    """A command for a shell, or None where the span is no model call that can be made again so."""
    attributes = payload.attributes
    model = attributes.get("gen_ai.request.model") or span.model
    body = _body(span, attributes, model) if isinstance(model, str) else None
    address = _address(attributes, span.provider)
    if body is None or address is None:
        return None
    path, content = body
    # JSON in ASCII has no control characters; of DEL it thinks nothing.
    text = json.dumps(content, ensure_ascii=True).replace("\x7f", "\\u007f")
    lines = (
        f"curl {shlex.quote(address + path)}",
        '-H "Authorization: Bearer $OPENAI_API_KEY"',
        "-H 'Content-Type: application/json'",
        f"--data-raw {shlex.quote(text)}",
    )
    found = " \\\n  ".join(lines)
    return found if len(found) <= _LONGEST else None


def _body(span: Span, attributes: Mapping[str, Any], model: str) -> tuple[str, dict[str, Any]] | None:
    if (span.provider or "").lower().startswith(_OTHERS):
        return None
    if span.operation == "embeddings" and attributes.get("input.value") is not None:
        value = attributes["input.value"]
        parsed = parsed_json(value) if isinstance(value, str) else value
        return "/v1/embeddings", {"model": model, "input": value if parsed is None else parsed}
    said = [turn for message in messages.input_messages(attributes) for turn in _turns(message)]
    if span.operation not in _CHATS or not said:
        return None
    found: dict[str, Any] = {"model": model, "messages": said}
    tools = _tools(attributes.get("gen_ai.tool.definitions"))
    if tools:
        found["tools"] = tools
    for name, ours in _PARAMETERS.items():
        value = attributes.get(f"gen_ai.request.{name}")
        if isinstance(value, str | int | float | list):
            found[ours] = value
    return "/v1/chat/completions", found


def _address(attributes: Mapping[str, Any], provider: str | None) -> str | None:
    host, port = attributes.get("server.address"), attributes.get("server.port")
    if host is None and provider == "openai":
        host = _DEFAULT_HOST
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        return None
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        port = None
    is_plain = port != 443 and (port == 80 or _LOCAL.fullmatch(host) is not None)
    shown = "" if port in (None, 80, 443) else f":{port}"
    return f"{'http' if is_plain else 'https'}://{host}{shown}"


def _turns(message: messages.Message) -> Iterator[dict[str, Any]]:
    """A message in OpenAI's shape: each result of a tool is a message of its own."""
    words: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in message.parts:
        kind = part.get("type")
        if kind == "tool_call":
            calls.append(_call(part))
        elif kind == "tool_call_response":
            result = messages.value_text(part.get("response")) or ""
            yield {"role": "tool", "tool_call_id": str(part.get("id") or ""), "content": result}
        elif kind != "reasoning":
            words.append(messages.part_text(part))
    if words or calls:
        found: dict[str, Any] = {"role": message.role, "content": "\n".join(words) or None}
        yield {**found, "tool_calls": calls} if calls else found


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    given = part.get("arguments")
    arguments = messages.value_text({} if given is None else given)
    function = {"name": str(part.get("name") or ""), "arguments": arguments}
    return {"id": str(part.get("id") or ""), "type": "function", "function": function}


def _tools(value: Any) -> list[dict[str, Any]]:
    """Definitions of functions, in the shape of chat completions."""
    found = parsed_json(value) if isinstance(value, str) else value
    tools = []
    for one in found if isinstance(found, list) else []:
        if not isinstance(one, dict) or one.get("type", "function") != "function":
            continue
        inner = one.get("function")
        known = inner if isinstance(inner, dict) else {key: item for key, item in one.items() if key != "type"}
        tools.append({"type": "function", "function": known})
    return tools
