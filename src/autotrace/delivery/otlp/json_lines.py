"""OTLP's JSON: protobuf's own, but ids are hexadecimal digits and enums numbers.

A file has one request a line, as the collectors' file exporters write it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS = ("traceId", "spanId", "parentSpanId")


def to_json(request: ExportTraceServiceRequest) -> bytes:
    """The request as JSON without a newline in it."""
    found = MessageToDict(request, use_integers_for_enums=True)
    _convert_ids(found, lambda text: base64.b64decode(text).hex())
    return orjson.dumps(found)


def from_json(line: bytes | str) -> ExportTraceServiceRequest:
    """The request that a line of OTLP's JSON is; fields that are not known are passed over.

    Raises:
        ValueError: It is no JSON, or not OTLP's.
    """
    try:
        found = orjson.loads(line)
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        _convert_ids(found, lambda text: base64.b64encode(bytes.fromhex(text)).decode("ascii"))
        return ParseDict(found, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        raise ValueError(f"no OTLP request: {error}") from error


def _convert_ids(request: dict[str, Any], convert: Callable[[str], str]) -> None:
    for span in _spans(request):
        for holder in (span, *(span.get("links") or ())):
            for name in _IDS:
                if holder.get(name):
                    holder[name] = convert(holder[name])


def _spans(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for of_process in request.get("resourceSpans") or ():
        for group in of_process.get("scopeSpans") or ():
            yield from group.get("spans") or ()
