"""The events of a stream, as bytes that can be sent one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

EVENT_STREAM = "text/event-stream"
LINES = ("application/x-ndjson", "application/jsonl", "application/stream+json")

_BLOCK = re.compile(rb".+?(?:(?:\r\n){2,}|\n{2,}|\r{2,}|\Z)", re.DOTALL)


def events_of(body: bytes, content_type: str, is_sse: bool) -> tuple[bytes, ...] | None:
    """The body in pieces of one event each, which joined are the body; None if it is no stream.

    Args:
        body: The whole of it.
        content_type: In lower case.
        is_sse: Whether the request asked for server-sent events in its query, as Google's clients do.
    """
    if content_type.startswith(LINES):
        return tuple(body.splitlines(keepends=True))
    if content_type.startswith(EVENT_STREAM) or (is_sse and body.startswith(b"data:")):
        return tuple(_joined(_BLOCK.findall(body)))
    return None


def encoded(event: Any, content_type: str) -> bytes:
    """One event that was written by hand.

    Raises:
        ValueError: It is not what an event may be.
    """
    if not isinstance(event, dict) or "data" not in event or event.keys() - {"event", "data"}:
        raise ValueError(f'an event is {{"event": name, "data": JSON or text}} with the event optional, not {event!r}')
    data, name = event["data"], event.get("event")
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    if content_type.startswith(LINES):
        return f"{text}\n".encode()
    if name is not None and (not isinstance(name, str) or len(name.splitlines()) != 1):
        raise ValueError(f"an event's name is one line of text, not {name!r}")
    start = "" if name is None else f"event: {name}\n"
    lines = re.split(r"\r\n|\r|\n", text)
    return (start + "".join(f"data: {line}\n" for line in lines) + "\n").encode()


def _joined(blocks: list[bytes]) -> Iterator[bytes]:
    """Comments and blank lines go with the event that follows them: they are no events."""
    waiting = b""
    for block in blocks:
        waiting += block
        if any(line and not line.startswith(b":") for line in block.splitlines()):
            yield waiting
            waiting = b""
    if waiting:
        yield waiting
