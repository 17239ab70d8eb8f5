"""Reads OTLP requests without a library: no more of them than what is counted."""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_STRING_VALUE, _INT_VALUE = 1, 3


def spans(request: bytes) -> Iterator[bytes]:
    """The encoded spans of an `ExportTraceServiceRequest`: resource_spans 1, scope_spans 2, spans 2."""
    for resource_spans in _submessages(request, 1):
        for scope_spans in _submessages(resource_spans, 2):
            yield from _submessages(scope_spans, 2)


def attributes(span: bytes) -> Iterator[tuple[str, int | str]]:
    """The attributes of a span (field 9; key 1, value 2) that are texts or integers."""
    for pair in _submessages(span, 9):
        key = next(_submessages(pair, 1))
        for value in _submessages(pair, 2):
            for kind, content in _fields(value):
                if kind == _STRING_VALUE and isinstance(content, bytes):
                    yield key.decode(), content.decode(errors="replace")
                elif kind == _INT_VALUE and isinstance(content, int):
                    yield key.decode(), content


def _submessages(message: bytes, wanted: int) -> Iterator[bytes]:
    """The length-delimited fields of a protobuf message that have the wanted field number."""
    for number, content in _fields(message):
        if number == wanted and isinstance(content, bytes):
            yield content


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The numbers of all fields and their contents; those of a fixed size are passed over."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(message, at)
            yield key >> 3, number
        elif kind == _LENGTH_DELIMITED:
            size, at = _varint(message, at)
            yield key >> 3, message[at : at + size]
            at += size
        else:
            at += {_FIXED64: 8, _FIXED32: 4}[kind]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
