"""A collector on the loopback: it answers 200 to everything and afterwards counts the spans it was sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from workload import ANSWER_MARK, PROMPT_MARK

TOKEN_ATTRIBUTES = (
    b"gen_ai.usage.input_tokens",
    b"llm.token_count.prompt",
    b"langfuse.observation.usage_details",
)
_LENGTH_DELIMITED = 2


@dataclass(frozen=True)
class Recorded:
    """How many spans a tracer delivered, and how many of them carry tokens, the prompt and the answer."""

    spans: int
    complete: int

    def __sub__(self, other: Recorded) -> Recorded:
        """What was recorded since `other`."""
        return Recorded(self.spans - other.spans, self.complete - other.complete)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/v1/traces"):
            self.server.keep(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        # One write: a header and a body in two packets would make a keep-alive client wait for a delayed ACK.
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Sink(ThreadingHTTPServer):
    """Keeps the bodies undecoded while a tracer is measured, so as to take little from the other core."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._bodies: list[bytes] = []
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The address that exporters are pointed at."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def keep(self, body: bytes) -> None:
        """Keep one OTLP request."""
        with self._lock:
            self._bodies.append(body)

    def take(self) -> Recorded:
        """Count the spans received since the last call, and forget them."""
        with self._lock:
            bodies, self._bodies = self._bodies, []
        spans = [span for body in bodies for span in _spans(body)]
        return Recorded(len(spans), sum(map(_is_complete, spans)))


def _is_complete(span: bytes) -> bool:
    has_tokens = any(attribute in span for attribute in TOKEN_ATTRIBUTES)
    return has_tokens and PROMPT_MARK.encode() in span and ANSWER_MARK.encode() in span


def _spans(request: bytes) -> Iterator[bytes]:
    """The encoded spans of an OTLP `ExportTraceServiceRequest`: resource_spans 1, scope_spans 2, spans 2."""
    for resource_spans in _submessages(request, 1):
        for scope_spans in _submessages(resource_spans, 2):
            yield from _submessages(scope_spans, 2)


def _submessages(message: bytes, wanted: int) -> Iterator[bytes]:
    """The length-delimited fields of a protobuf message that have the wanted field number."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            _, at = _varint(message, at)
        elif key & 7 == _LENGTH_DELIMITED:
            size, at = _varint(message, at)
            if key >> 3 == wanted:
                yield message[at : at + size]
            at += size
        else:
            at += {1: 8, 5: 4}[key & 7]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
