"""A receiver of OTLP over HTTP on the loopback that counts what arrives, and answers as badly as it is told.

    python receiver.py FILE [PORT]      a process of its own, to be killed and started again

It prints its port, and writes a line to FILE for each span that it has taken, before it answers: the file outlives it.
"""

from __future__ import annotations

import gzip
import socket
import struct
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

#: A trace id and a span id in hexadecimal digits.
Ids = tuple[str, str]


class Fault(NamedTuple):
    """What a request meets in place of a good answer.

    Attributes:
        kind: `status`: an answer of that status. `half`: the spans are taken, and the connection ends in the midst of
            the answer. `garbage`: bytes that are no HTTP. `cut`: the connection is reset and nothing is taken.
            `silence`: nothing at all, until the receiver is closed or told to go on.
        status: For the kind `status`.
        headers: Headers of that answer.
    """

    kind: str
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()


class Receiver:
    """A receiver in this process.

    Attributes:
        faults: What the next requests meet, one after another; then answers are good again.
        rule: Says of every request's spans and its size in bytes what it meets; None: nothing.
        rejects: Spans that are refused in a good answer (`partial_success`).
        taken: How often each span was taken.
        asked: The moment of `time.monotonic` of each request.
        sizes: The bytes of each request, unpacked.
    """

    def __init__(self, record: Path | None = None) -> None:
        self.faults: deque[Fault] = deque()
        self.rule: Callable[[list[Ids], int], Fault | None] = lambda ids, size: None
        self.rejects: Callable[[Ids], bool] = lambda ids: False
        self.taken: Counter[Ids] = Counter()
        self.asked: list[float] = []
        self.sizes: list[int] = []
        self._record = None if record is None else record.open("ab", buffering=0)
        self._lock = threading.Lock()
        self._go_on = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def endpoint(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` names."""
        return f"http://127.0.0.1:{self.port}"

    def up(self, port: int | None = None) -> None:
        """Listens: on the port that it had, or on one that is free."""
        self._server = _Server(("127.0.0.1", self.port if port is None else port), self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """Refuses connections from now on, and ends those that it has."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def free_port(self) -> None:
        """Gets a port, and does not listen there."""
        self.up()
        self.down()

    def go_on(self) -> None:
        """Ends the silence of those who wait."""
        self._go_on.set()

    def close(self) -> None:
        """Ends."""
        self.go_on()
        self.down()
        if self._record is not None:
            self._record.close()

    def traces(self) -> Counter[str]:
        """How many different spans of each trace were taken."""
        with self._lock:
            return Counter(trace_id for trace_id, _ in self.taken)

    def meet(self, ids: list[Ids], size: int) -> tuple[Fault | None, bytes]:
        """Takes the spans, or does not; answers what happens to the request and the body of a good answer."""
        with self._lock:
            self.asked.append(time.monotonic())
            self.sizes.append(size)
            fault = self.rule(ids, size) or (self.faults.popleft() if self.faults else None)
            if fault is not None and fault.kind != "half":
                return fault, b""
            good = [one for one in ids if not self.rejects(one)]
            self.taken.update(good)
            if self._record is not None:
                self._record.write("".join(f"{trace_id} {span_id}\n" for trace_id, span_id in good).encode())
        answer = ExportTraceServiceResponse()
        if len(good) < len(ids):
            answer.partial_success.rejected_spans = len(ids) - len(good)
            answer.partial_success.error_message = "not these"
        return fault, answer.SerializeToString()

    def wait(self) -> None:
        """Waits for the end of the silence."""
        self._go_on.wait(120)


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        self.receiver = receiver
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """The other side has gone away: no reason to print anything."""

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        fault, answer = self.server.receiver.meet(_ids(body), len(body))
        if fault is None:
            self._answer(200, answer)
        elif fault.kind == "status":
            self._answer(fault.status, b"no", *fault.headers)
        else:
            self.close_connection = True
            getattr(self, f"_{fault.kind}")()

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _half(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100\r\n\r\n12345")

    def _garbage(self) -> None:
        self.wfile.write(b"\x00\xff\x80 this is no HTTP \r\n\r\n\x00")

    def _cut(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _silence(self) -> None:
        self.server.receiver.wait()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Says nothing."""


def _ids(body: bytes) -> list[Ids]:
    """The ids of every span in a request."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        (span.trace_id.hex(), span.span_id.hex())
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def main() -> None:
    """Receives until it is killed."""
    receiver = Receiver(Path(sys.argv[1]))
    receiver.up(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(receiver.port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
