"""A body that comes in pieces, cut into them: server-sent events, or lines of JSON."""

from __future__ import annotations

from typing import Literal

from .lenient_json import loads

#: What ends an event.
_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
#: What ends a piece, once its line ends are plain.
END = {"events": b"\n\n", "lines": b"\n"}
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


def with_plain_ends(kind: str, data: bytes) -> bytes:
    """The same data, with the one way to end a line of events."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if kind == "events" and b"\r" in data else data


def piece(kind: str, block: bytes) -> tuple[bytes, bytes] | None:
    """Name and data of an event, or a line, which has no name; None where there is none. Its end may be missing."""
    if kind != "events":
        line = block.strip()
        return (b"", line) if line else None
    if b"\n" not in block and block[:6] == b"data: ":
        return b"", block[6:]
    return _event(block)


def _event(block: bytes) -> tuple[bytes, bytes] | None:
    """An event of several lines, or none at all."""
    name, lines = b"", []
    for line in block.split(b"\n"):
        if line[:5] == b"data:":
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line[:6] == b"event:":
            name = line[6:].strip()
    return (name, b"\n".join(lines)) if lines else None
