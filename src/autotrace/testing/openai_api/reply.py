"""A reply to send, and the shapes that all endpoints share: JSON, server-sent events, errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from autotrace.testing.openai_api.billing import Billed

CREATED = 1_790_000_000
"""Unix time (s) at which every reply says it was created."""

SSE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to send: a whole body, or the chunks of a streamed one, and what it bills."""

    body: bytes = b""
    chunks: Sequence[bytes] | None = None
    content_type: str = "application/json"
    billed: Billed = field(default_factory=Billed)
    status: int = 200


def encode(value: object) -> bytes:
    """Compact ASCII JSON: a lone surrogate leaves as its escape."""
    return json.dumps(value, separators=(",", ":")).encode()


def event(value: object, name: str | None = None) -> bytes:
    """One server-sent event."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + encode(value) + b"\n\n"


def error(status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> Reply:
    """An error in OpenAI's shape."""
    value = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Reply(encode(value), status=status)
