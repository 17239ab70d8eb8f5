"""A body that comes in pieces, cut into them: server-sent events, or lines of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from .lenient_json import loads

#: What ends an event.
_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
#: What a stream of events begins with.
_STARTS = (b"data:", b"event:", b"id:", b"retry:", b": ")
#: Bytes of a first line by which lines of JSON are known.
_LINE = 30_000


def kind_of(start: bytes) -> Literal["events", "lines"] | None:
    """What a body is whose content type does not say it, by its beginning; None where it does not come in pieces."""
    start = start[:_LINE].lstrip()
    if start.startswith(_STARTS):
        return "events"
    line, _, rest = start.partition(b"\n")
    is_lines = rest.lstrip().startswith(b"{") and line.startswith(b"{") and type(loads(line)) is dict
    return "lines" if is_lines else None


def ended(kind: str, data: bytes) -> int:
    """How many bytes of `data` are whole events, or whole lines."""
    if kind != "events":
        return data.rfind(b"\n") + 1
    return max((at + len(end) for end in _ENDS if (at := data.rfind(end)) >= 0), default=0)


def begins(kind: str, data: bytes) -> int:
    """Where the first whole event or line begins in data that may begin in the midst of one."""
    if kind != "events":
        return data.find(b"\n") + 1 or len(data)
    return min((at + len(end) for end in _ENDS if (at := data.find(end)) >= 0), default=len(data))


def pieces(kind: str, data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each event; each line, without a name. Of the last one the end may be missing."""
    return _events(data) if kind == "events" else _lines(data)


def _lines(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in data.split(b"\n"):
        if line := line.strip():
            yield b"", line


def _events(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for block in data.split(b"\n\n"):
        if b"\n" not in block and block[:6] == b"data: ":
            yield b"", block[6:]
        elif block:
            yield from _event(block)


def _event(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """An event of several lines, or none at all."""
    name, lines = b"", []
    for line in block.split(b"\n"):
        if line[:5] == b"data:":
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line[:6] == b"event:":
            name = line[6:].strip()
    if lines:
        yield name, b"\n".join(lines)
