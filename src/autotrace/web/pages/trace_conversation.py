"""A span as a conversation: who said what, which tools were called with what, and what they gave."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from autotrace.store import messages
from autotrace.store.outline import TraceReader
from autotrace.store.spans import Span

from .trace_text import Texts, label

#: Images that are shown, all else is only named: nothing of these can hold script.
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
#: Bytes of an image, and images of a page.
_IMAGE_BYTES, _IMAGES_SHOWN = 2_000_000, 20
#: Turns of a conversation that are shown of its beginning and of its end, unless all are asked for.
_FIRST, _LAST, _MOST = 10, 190, 2000
#: Parts of a turn.
_PARTS = 500
#: Attributes that hold what was said; a span without any says nothing.
CONTENT = (
    "gen_ai.system_instructions",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents",
    "gen_ai.tool.definitions",
    "input.value",
    "output.value",
)

Part = dict[str, Any]


class Conversation:
    """Reads the turns of one span.

    Args:
        texts: What may still be shown on the page.
        full: Whether all turns are wanted.
    """

    def __init__(self, texts: Texts, full: bool = False) -> None:
        self._texts = texts
        self._full = full
        self._images = _IMAGES_SHOWN

    def of(self, attributes: Mapping[str, Any], without_output: bool = False) -> dict[str, Any]:
        """`turns`, each with `role`, `side` (`input` or `output`), `name` and `parts`; and `left_out`, a number.

        Args:
            attributes: The span's.
            without_output: Leave out `output.value`, which is shown as something else.
        """
        sent = messages.input_messages(attributes)
        received = messages.output_messages(attributes)
        first = _FIRST if not self._full else _MOST
        last = _LAST if not self._full else _MOST
        left_out = max(0, len(sent) - first - last)
        if left_out:
            sent = [*sent[:first], *sent[-last:]]
            self._texts.is_cut |= not self._full
        turns = [self._turn(message, "input") for message in sent]
        if not sent:
            turns += self._values(attributes, "input", "input.value")
        turns += self._values(attributes, "input", "gen_ai.tool.call.arguments")
        turns += [self._turn(message, "output") for message in received[:_MOST]]
        if not received and not without_output:
            turns += self._values(attributes, "output", "output.value")
        turns += self._values(attributes, "output", "gen_ai.tool.call.result")
        # What stands between the first and the last turns is told where it is missing.
        return {"turns": turns, "left_out": left_out, "left_out_after": first if left_out else 0}

    def _values(self, attributes: Mapping[str, Any], side: str, name: str) -> Iterator[dict[str, Any]]:
        value = attributes.get(name)
        if value is None:
            return
        role = {"gen_ai.tool.call.arguments": "arguments", "gen_ai.tool.call.result": "result"}.get(name, side)
        yield {"role": role, "side": side, "name": None, "parts": [{"kind": "value", **self._texts.value(value)}]}

    def _turn(self, message: messages.Message, side: str) -> dict[str, Any]:
        name = None if message.name is None else label(message.name)
        parts = [self._part(part) for part in message.parts[:_PARTS]]
        return {"role": label(message.role), "side": side, "name": name, "parts": parts}

    def _part(self, part: Mapping[str, Any]) -> Part:
        kind = part.get("type")
        if kind in ("text", "reasoning", "refusal"):
            return {"kind": kind, **self._texts.shown(messages.value_text(part.get("content")) or "")}
        if kind in ("tool_call", "server_tool_call"):
            given = part.get("arguments")
            return {
                "kind": "call",
                "name": label(part.get("name") or "tool"),
                "id": _optional(part.get("id")),
                "is_server": kind == "server_tool_call",
                **self._texts.value("" if given is None else given),
            }
        if kind in ("tool_call_response", "server_tool_call_response"):
            return {"kind": "result", "id": _optional(part.get("id")), **self._result(part.get("response"))}
        if kind in ("blob", "uri", "file"):
            return self._media(part)
        return {"kind": "value", **self._texts.value(dict(part))}

    def _result(self, response: Any) -> Part:
        if isinstance(response, list) and response and all(isinstance(one, dict) and "type" in one for one in response):
            return {**self._texts.shown("\n".join(map(messages.part_text, response))), "is_json": False}
        return self._texts.value("" if response is None else response)

    def _media(self, part: Mapping[str, Any]) -> Part:
        fact = {"kind": "media", "text": label(messages.part_text(_without_data(part))[1:-1])}
        data = _image(part) if self._images else None
        if data is None:
            return fact
        self._images -= 1
        return {**fact, "kind": "image", "src": data}


def is_captured(attributes: Mapping[str, Any]) -> bool:
    """Whether a span holds anything of what was said."""
    return any(name in attributes for name in CONTENT)


def captured(reader: TraceReader, span: Span, attributes: Mapping[str, Any]) -> str:
    """Whether what was said is `shown`, was `not captured`, or there is `none`.

    Where the span is no call itself, the trace's last model call tells why it says nothing.
    """
    if is_captured(attributes):
        return "shown"
    call = span if span.operation is not None else reader.last_model_call(span.trace_id)
    if call is None or call.status in ("running", "interrupted", "error"):
        return "none"
    return "none" if is_captured(reader.payload(call).attributes) else "not captured"


def _optional(value: Any) -> str | None:
    return None if value is None else label(value)


def _without_data(part: Mapping[str, Any]) -> dict[str, Any]:
    """The part with an address that is data cut to its beginning."""
    return {key: value[:300] if isinstance(value, str) else value for key, value in part.items()}


def _image(part: Mapping[str, Any]) -> str | None:
    """The `data:` address of an image that lies in the store, where it is one that can be shown."""
    mime, content = part.get("mime_type"), part.get("content") or part.get("data")
    address = part.get("uri")
    if isinstance(address, str) and address[:5] == "data:" and ";base64," in address[:100]:
        head, _, content = address[5:].partition(",")
        mime = head.partition(";")[0]
    elif part.get("type") != "blob":
        return None
    if mime not in _IMAGES or not isinstance(content, str) or not 0 < len(content) <= _IMAGE_BYTES * 4 // 3:
        return None
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None
    return f"data:{mime};base64,{content}"


def asked_and_answered(attributes: Mapping[str, Any]) -> bool:
    """Whether a span tells both what was asked and what was answered."""
    return messages.request_text(attributes) is not None and messages.response_text(attributes) is not None
