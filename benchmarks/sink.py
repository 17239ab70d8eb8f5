"""A collector on the loopback: it answers 200 to everything and afterwards counts the spans it was sent."""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import otlp
from workload import ANSWER_MARK, PROMPT_MARK

TOKEN_ATTRIBUTES = ("gen_ai.usage.input_tokens", "llm.token_count.prompt")
_LANGFUSE_USAGE = "langfuse.observation.usage_details"


@dataclass(frozen=True)
class Recorded:
    """What a tracer delivered.

    Attributes:
        complete: The spans that carry tokens, the prompt and the answer: a model call that was recorded is one.
        input_tokens: The sum over all spans, whether or not one counts what another has counted.
    """

    spans: int
    complete: int
    input_tokens: int

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(
            self.spans + other.spans, self.complete + other.complete, self.input_tokens + other.input_tokens
        )

    def __sub__(self, other: Recorded) -> Recorded:
        """What was recorded since `other`."""
        return Recorded(
            self.spans - other.spans, self.complete - other.complete, self.input_tokens - other.input_tokens
        )


NOTHING = Recorded(0, 0, 0)


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
        return sum((_recorded(span) for body in bodies for span in otlp.spans(body)), NOTHING)


def _recorded(span: bytes) -> Recorded:
    tokens = _input_tokens(span)
    complete = tokens > 0 and PROMPT_MARK.encode() in span and ANSWER_MARK.encode() in span
    return Recorded(1, int(complete), tokens)


def _input_tokens(span: bytes) -> int:
    attributes = dict(otlp.attributes(span))
    for name in TOKEN_ATTRIBUTES:
        if name in attributes:
            return int(attributes[name])
    usage = json.loads(str(attributes.get(_LANGFUSE_USAGE, "{}")))
    return int(usage.get("prompt_tokens", 0))
