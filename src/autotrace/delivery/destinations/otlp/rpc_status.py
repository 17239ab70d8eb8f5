"""Reads `google.rpc.Status`, which servers put into errors, and `google.rpc.RetryInfo` in it.

The two messages are so small that a package for them would be one dependency too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_RETRY_INFO = b"/google.rpc.RetryInfo"


class RpcStatus(NamedTuple):
    """An error as a server tells it.

    Attributes:
        message: Its words.
        retry_after: Seconds that it wants to be left alone for; None when it does not say.
    """

    message: str
    retry_after: float | None


def status_of(data: bytes) -> RpcStatus:
    """The status in `data`; an empty one where that is something else."""
    message, retry_after = "", None
    try:
        for number, value in _fields(data):
            if number == 2 and isinstance(value, bytes):
                message = value.decode("utf-8", "replace")
            elif number == 3 and isinstance(value, bytes):
                retry_after = _retry_after(value) if retry_after is None else retry_after
    except (ValueError, IndexError):
        return RpcStatus("", None)
    return RpcStatus(message, retry_after)


def _retry_after(detail: bytes) -> float | None:
    fields = dict(_fields(detail))
    kind, value = fields.get(1), fields.get(2)
    if not isinstance(kind, bytes) or not kind.endswith(_RETRY_INFO) or not isinstance(value, bytes):
        return None
    delay = dict(_fields(value)).get(1)
    if not isinstance(delay, bytes):
        return None
    parts = dict(_fields(delay))
    seconds, nanoseconds = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanoseconds, int) or seconds >= 2**63:
        return None
    return seconds + nanoseconds / 1e9


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a protobuf message by their numbers.

    Raises:
        ValueError, IndexError: It is none.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind not in (_FIXED64, _FIXED32, _BYTES):
            raise ValueError("no protobuf")
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
        if kind == _BYTES:
            size, at = _varint(data, at)
        if at + size > len(data):
            raise ValueError("cut off")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("no protobuf")
