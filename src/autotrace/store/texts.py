"""What was said in a span, as texts to be searched: what was asked, answered, passed to tools, and what failed.

Standing instructions are left out: they are the same in every call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

#: Characters of one text that can be found; what is longer is found by its beginning.
LONGEST = 50_000
#: Texts of a span that can be found.
MOST = 500
_MESSAGES = ("gen_ai.input.messages", "gen_ai.output.messages")
_VALUES = ("input.value", "output.value", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result")
_STANDING = ("system", "developer")
_DEPTH = 20
#: What has no blank in so many characters, all ASCII, is encoded data and no text.
_DATA = 1000
#: Scripts that put no blanks between words: each character is a word.
_WIDE = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
#: The bytes of UTF-8 that no character of these begins with: a quick way to see that there is none.
_NARROW = bytes(set(range(256)) - {0xE0, 0xE1, *range(0xE3, 0xEA), 0xEF, 0xF0})


def texts(body: Mapping[str, Any]) -> list[str]:
    """The texts of a span, by its body in the journal or its content in the store; at most `MOST`, none twice."""
    found: list[str] = []
    attributes = body["attributes"]
    get = attributes.get
    for name in _MESSAGES:
        value = get(name)
        if value:
            _messages(value, found)
    for name in _VALUES:
        value = get(name)
        if value:
            _value(value, found, 0)
    if body["message"]:
        _value(body["message"], found, 0)
    for event in body["events"]:
        if event["name"] == "exception":
            _value(event["attributes"].get("exception.message"), found, 0)
    return [_cut(text) for text in dict.fromkeys(found[:MOST]) if not _is_data(text)]


def separated(text: str) -> str:
    """The text with blanks between words, also in scripts that have none."""
    if text.isascii() or not text.encode("utf-8", "replace").translate(None, _NARROW):
        return text
    return _WIDE.sub(r" \1 ", text)


def _messages(value: Any, found: list[str]) -> None:
    messages = _parsed(value)
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") not in _STANDING:
            parts = message.get("parts")
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, dict):
                    _part(part, found)


def _part(part: Mapping[str, Any], found: list[str]) -> None:
    kind = part.get("type")
    if kind in ("text", "reasoning", "refusal"):
        _value(part.get("content"), found, 1)
    elif kind in ("tool_call", "server_tool_call"):
        _value(part.get("name"), found, 1)
        _value(part.get("arguments"), found, 1)
    elif kind in ("tool_call_response", "server_tool_call_response"):
        _value(part.get("response"), found, 1)


def _value(value: Any, found: list[str], depth: int) -> None:
    """The texts of any value; JSON in a text counts as what it stands for."""
    if isinstance(value, str):
        # Without an escape in it, JSON's own marks only separate words.
        if depth < 2 and "\\" in value and value[:1] in ("{", "["):
            parsed = _parsed(value)
            if parsed is not None:
                _value(parsed, found, 2)
                return
        if value:
            found.append(value)
    elif depth < _DEPTH:
        items: Iterable[Any] = ()
        if isinstance(value, dict):
            items = value.values()
        elif isinstance(value, list):
            items = value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append(str(value))
        for item in items:
            if len(found) < MOST:
                _value(item, found, depth + 1)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return None


def _cut(text: str) -> str:
    return separated(text if len(text) <= LONGEST else text[:LONGEST])


def _is_data(text: str) -> bool:
    return len(text) > _DATA and " " not in (start := text[:_DATA]) and start.isascii() and "\n" not in start
