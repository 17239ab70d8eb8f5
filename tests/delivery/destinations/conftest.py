"""Receivers of OTLP on loopback."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from autotrace.config import load
from autotrace.delivery import otlp
from autotrace.delivery.destinations import Record
from autotrace.delivery.destinations.otlp import OtlpDestination, make

from .mlflow_server import experiment, make_mlflow, mlflow_server, to_mlflow  # noqa: F401 - fixtures


class Received(NamedTuple):
    """A request, and what it held."""

    path: str
    headers: dict[str, str]
    size: int
    request: ExportTraceServiceRequest


class Receiver:
    """Takes OTLP over HTTP.

    Attributes:
        received: The requests, in order.
        replies: What to answer instead of success, in order: status, headers, body.
        judge: Whether a request is refused with 400, by its spans.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.replies: deque[tuple[int, dict[str, str], bytes]] = deque()
        self.judge: Callable[[list[Record]], bool] = lambda records: False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, headers, answer = receiver._answer(self.path, dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        size = len(body)
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        is_json = headers["content-type"] == "application/json"
        request = otlp.from_json(body) if is_json else ExportTraceServiceRequest.FromString(body)
        if self.replies:
            return self.replies.popleft()
        if self.judge([record for _, record in otlp.records(request)]):
            return 400, {}, b"poison"
        self.received.append(Received(path, headers, size, request))
        if is_json:
            return 200, {"Content-Type": "application/json"}, b"{}"
        answer = ExportTraceServiceResponse().SerializeToString()
        return 200, {"Content-Type": "application/x-protobuf"}, answer

    @property
    def records(self) -> list[Record]:
        """What has arrived."""
        return [record for one in self.received for _, record in otlp.records(one.request)]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


@pytest.fixture
def make_receiver() -> Iterator[Callable[..., Receiver]]:
    """Starts receivers, and stops them at the end."""
    started: list[Receiver] = []

    def start(tls: ssl.SSLContext | None = None) -> Receiver:
        started.append(Receiver(tls))
        return started[-1]

    yield start
    for receiver in started:
        receiver.close()


@pytest.fixture
def receiver(make_receiver: Callable[..., Receiver]) -> Receiver:
    return make_receiver()


class Certificates:
    """Files of an authority, of a server for `localhost`, and of a client."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        server, client = authority.issue_cert("localhost", "127.0.0.1"), authority.issue_cert("client@example.org")
        self.authority, self.server = str(folder / "ca.pem"), str(folder / "server.pem")
        self.client, self.client_key = str(folder / "client.pem"), str(folder / "client.key")
        authority.cert_pem.write_to_path(self.authority)
        server.private_key_and_cert_chain_pem.write_to_path(self.server)
        client.private_key_pem.write_to_path(self.client_key)
        client.cert_chain_pems[0].write_to_path(self.client)

    def server_tls(self) -> ssl.SSLContext:
        """A server that wants a client's certificate of the same authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        context.load_verify_locations(self.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def make_destination(tmp_path: Path) -> Iterator[Callable[..., OtlpDestination]]:
    """Makes the destination that variables describe, and closes it at the end."""
    made: list[OtlpDestination] = []

    def from_variables(**environ: Any) -> OtlpDestination:
        made.append(make(load(environ={name: str(value) for name, value in environ.items()}, folder=tmp_path)))
        return made[-1]

    yield from_variables
    for destination in made:
        destination.close()
