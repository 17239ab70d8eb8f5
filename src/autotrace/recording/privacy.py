"""What of a call's content may reach a span: dropped, cut, or redacted before it becomes an attribute.

Content is everything that users, models, tools and documents said. It fails closed: when a redactor raises, the
text is dropped and the figures are kept. Media are never kept: a span holds their size and SHA-256. Nor are keys
and passwords: what stands under the name of one, and what looks like one in an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from ..setting_values import Capture
from .encoding import HIDDEN, Text, plain, plain_json, readable, scalar, to_json
from .guard import guard
from .messages import Message, Part, Piece, ToolCall

#: Characters of one text that `capture_content = "full"` keeps: far beyond a context window's worth of one message.
TEXT_LIMIT = 1_000_000
#: Characters of one attribute. Longer ones have each of their texts cut.
ATTRIBUTE_LIMIT = 4_000_000
#: Bytes of media beyond which only the size is told: hashing 16 MB takes about 15 ms.
HASH_LIMIT = 16_000_000
DROPPED = "<dropped: redaction failed>"

#: Keys that end up in texts of errors and in source lines: by the makers' prefixes, by what stands before them.
_SECRETS = re.compile(
    r"\b(?:sk|pk|rk|xai|gsk|hf)[-_][A-Za-z0-9_\-*]{8,}"
    r"|\bAIza[A-Za-z0-9_\-*]{8,}|\bdapi[a-f0-9\-*]{16,}|\bgh[a-z]_[A-Za-z0-9*]{8,}|\bgithub_pat_\w{8,}"
    r"|(?i:\bbearer\s+)\S+"
    r"|(?i:\bauthorization(?:['\"]\s*,|['\"]?\s*[=:])\s*(?:b?['\"])?(?:(?:basic|bearer|digest|token)\s+)?)\S+"
    r"|(?i:(?:api[-_ ]?key|passw(?:or)?d|client[-_]secret|(?:access|refresh)[-_]token)['\"]?\s*[=:]\s*)\S+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)
#: Names under which secrets stand, in lower case and with underscores.
_SECRET_NAMES = frozenset(
    (
        *("authorization", "proxy_authorization", "api_key", "apikey", "x_api_key", "password", "passwd"),
        *("secret", "client_secret", "token", "access_token", "refresh_token", "cookie", "set_cookie"),
    )
)
#: What JSON text holds, in lower case, if it has one of these names as a key or holds a `data:` address. Tests for
#: substrings cost half of a regular expression, and they may say yes too often: then the slow way looks closely.
_SUSPICIOUS = (
    *(f'{end}":' for end in ("authorization", "api_key", "api-key", "apikey", "password", "passwd")),
    *(f'{end}":' for end in ("secret", "token", "cookie")),
    ";base64,",
)


class Policy:
    """What one framework's spans may hold.

    Args:
        capture: `full`, `truncated` (each text cut to `limit` characters) or `off` (no content at all).
        limit: Characters of one text that `truncated` keeps.
        redactors: Functions from a text to the text that may be kept, or None to drop it.
    """

    def __init__(
        self, capture: Capture = "full", limit: int = 1000, redactors: Sequence[Callable[[str], str | None]] = ()
    ) -> None:
        self.capture = capture
        self.limit = limit if capture == "truncated" else TEXT_LIMIT
        self.redactors = redactors

    @property
    def keeps_content(self) -> bool:
        """Whether any content is kept."""
        return self.capture != "off"

    def text(self, text: str) -> str:
        """What is kept of one text."""
        for redact in self.redactors:
            try:
                kept = redact(text)
                text = "<redacted>" if kept is None else str(kept)
            except Exception as error:  # noqa: BLE001 (a user's code)
                guard.report("redactor", error)
                return DROPPED
        return cut(text, self.limit)

    def messages(self, messages: Sequence[Message]) -> str | None:
        """JSON text of messages, or None when content is off."""
        if self.capture == "off":
            return None
        text = to_json([self._usual(message) or self._message(message, self.text) for message in messages])
        if len(text) <= ATTRIBUTE_LIMIT:
            return text
        parts = sum(len(message.parts) for message in messages)
        short = self._shorter(ATTRIBUTE_LIMIT // (2 * parts + 1))
        text = to_json([self._message(message, short) for message in messages])
        return (
            text if len(text) <= ATTRIBUTE_LIMIT else to_json([{"role": "system", "parts": [], "left_out": len(text)}])
        )

    def value(self, value: Any) -> tuple[str, str] | None:
        """Text and MIME type of any value, or None when content is off."""
        if self.capture == "off":
            return None
        if type(value) is str:
            return self.text(without_media(readable(value))), "text/plain"
        return self.json(value), "application/json"

    def json(self, value: Any) -> str:
        """JSON text of any value, each of its texts cut and redacted; valid JSON however much is cut."""
        if self.capture == "full" and not self.redactors:
            text = to_json(value)
            if len(text) <= TEXT_LIMIT and not _is_suspicious(text):
                return text
        text = plain_json(scrubbed(value, self.text))
        if len(text) > ATTRIBUTE_LIMIT:
            text = plain_json(scrubbed(value, self._shorter(1000)))
        return text if len(text) <= ATTRIBUTE_LIMIT else to_json(f"<left out: {len(text)} characters>")

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of attributes that may be content: nothing when content is off."""
        if self.capture == "off":
            return {}
        return {key: self._attribute(key, value) for key, value in attributes.items() if value is not None}

    def _attribute(self, key: str, value: Any) -> Any:
        if _is_secret(key.rpartition(".")[2]):
            return HIDDEN
        if isinstance(value, str):
            if value[:1] in ("{", "["):
                try:
                    return self.json(orjson.loads(value))
                except ValueError:
                    pass
            return self.text(without_media(readable(value)))
        if isinstance(value, bool | int | float):
            return value
        return scalar(scrubbed(value, self.text))

    def error(self, error: BaseException) -> str:
        """What may be told of an error's message: nothing when content is off; never a key."""
        if self.capture == "off":
            return ""
        try:
            message = str(error)
        except Exception:  # noqa: BLE001 (a user's __str__)
            return ""
        return self.text(readable(without_secrets(message)))

    def _shorter(self, limit: int) -> Text:
        return lambda text: cut(self.text(text), max(100, limit))

    def _usual(self, message: Message) -> dict[str, Any] | None:
        """What `_message` gives for a message that is one text to be kept as it is; None for any other."""
        role, parts, name, finish_reason = message
        if len(parts) != 1 or name is not None or self.redactors:
            return None
        piece = parts[0]
        if type(piece) is not Part or piece[0] != "text" or type(piece[1]) is not str or len(piece[1]) > self.limit:
            return None
        found = {"role": role, "parts": [{"type": "text", "content": piece[1]}]}
        if finish_reason is not None:
            found["finish_reason"] = finish_reason
        return found

    def _message(self, message: Message, text: Text) -> dict[str, Any]:
        found: dict[str, Any] = {
            "role": message.role,
            "parts": [self._piece(piece, text) for piece in message.parts],
        }
        if message.name is not None:
            found["name"] = message.name
        if message.finish_reason is not None:
            found["finish_reason"] = message.finish_reason
        return found

    def _piece(self, piece: Piece, text: Text) -> dict[str, Any]:
        if isinstance(piece, ToolCall):
            return {
                "type": "server_tool_call" if piece.server else "tool_call",
                "id": piece.id,
                "name": piece.name,
                "arguments": self._arguments(piece.arguments, text),
            }
        kind, content = piece.type, piece.content
        if kind == "text" or kind == "reasoning" or kind == "refusal":
            if type(content) is not str:
                content = self._plain(content, text)
            elif self.redactors or len(content) > self.limit or text != self.text:
                content = text(content)
            return {"type": kind, "content": content}
        if kind == "tool_call_response":
            return {"type": kind, "id": piece.id, "response": self._result(content, text)}
        if kind == "blob":
            return blob(piece)
        if kind == "uri":
            return {"type": kind, "modality": piece.modality, "mime_type": piece.mime_type, "uri": text(str(content))}
        if kind == "file":
            return {"type": kind, "modality": piece.modality, "file_id": content}
        return {"type": kind, "content": self._plain(content, text)}

    def _arguments(self, arguments: Any, text: Text) -> Any:
        """A tool call's arguments as an object, where they are JSON; as the model wrote them otherwise."""
        if isinstance(arguments, str):
            try:
                arguments = orjson.loads(arguments)
            except ValueError:
                return text(arguments)
        return self._plain(arguments, text)

    def _result(self, result: Any, text: Text) -> Any:
        """A tool's result: any value, or a list with parts in it."""
        if type(result) is list and any(isinstance(item, Part | ToolCall) for item in result):
            return [
                self._piece(item, text) if isinstance(item, Part | ToolCall) else self._plain(item, text)
                for item in result
            ]
        return self._plain(result, text)

    def _plain(self, value: Any, text: Text) -> Any:
        return text(without_media(value)) if type(value) is str else scrubbed(value, text)


def cut(text: str, limit: int) -> str:
    """`text`, or its first `limit` characters and a marker that tells how many are left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… [{len(text) - limit} more characters]"


def without_secrets(text: str) -> str:
    """`text`, an error's or a stack's, with a marker in place of what looks like a key or a password."""
    return _SECRETS.sub(HIDDEN, text)


def without_media(text: str) -> str:
    """`text`, or its kind, size and hash where it is data in a `data:` address."""
    if text[:5] != "data:" or ";base64," not in text[:200]:
        return text
    told = blob(Part.media(text, "document"))
    if told["size"] is None:
        return f"<{told['mime_type'] or 'data'}, cut off>"
    digest = f", sha256:{told['sha256']}" if told["sha256"] else ""
    return f"<{told['mime_type'] or 'data'} of {told['size']} bytes{digest}>"


def scrubbed(value: Any, text: Text) -> Any:
    """A plain copy of `value` without secrets and media, `text` applied to every string."""
    return plain(value, lambda part: text(without_media(part)), _is_secret)


def _is_secret(key: str) -> bool:
    return key.lower().replace("-", "_") in _SECRET_NAMES


def _is_suspicious(text: str) -> bool:
    folded = text.lower()
    return any(mark in folded for mark in _SUSPICIOUS)


def blob(part: Part) -> dict[str, Any]:
    """What a span keeps of media: type, size in bytes, SHA-256 of the bytes."""
    content = part.content
    size, digest = None, None
    if isinstance(content, str) and content.endswith("…"):
        content = None  # it was cut before it came here: nothing true can be said of it
    elif isinstance(content, str):
        size = len(content) * 3 // 4 - content[-2:].count("=")
        if size <= HASH_LIMIT:
            try:
                content = base64.b64decode(content, validate=True)
            except (binascii.Error, ValueError):
                content = content.encode("utf-8", "replace")
    if isinstance(content, bytes | bytearray | memoryview):
        size = len(content)
        digest = hashlib.sha256(content).hexdigest() if size <= HASH_LIMIT else None
    return {
        "type": "blob",
        "modality": part.modality,
        "mime_type": part.mime_type,
        "content": "",  # the conventions' schema wants the field; the data stay where they were
        "size": size,
        "sha256": digest,
    }
