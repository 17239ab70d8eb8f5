"""OTLP as a destination, over gRPC."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from autotrace.delivery import otlp
from autotrace.delivery.destinations import Record, RetryLater
from autotrace.delivery.destinations.otlp import OtlpDestination
from autotrace.delivery.destinations.otlp.rpc_status import status_of
from autotrace.recording.guard import guard

from .test_otlp import RESOURCE, names, span

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
Make = Callable[..., OtlpDestination]


def field(number: int, content: bytes) -> bytes:
    """A field of bytes of a protobuf message."""
    return bytes([number << 3 | 2, len(content)]) + content


_DELAY = b"\x08\x02\x10\x80\xca\xb5\xee\x01"  # two seconds, 500,000,000 ns
_DETAIL = field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, _DELAY))
#: A google.rpc.Status with a RetryInfo.
RETRY_INFO = b"\x08\x0e" + field(2, b"busy") + field(3, _DETAIL)


class GrpcReceiver:
    """Takes OTLP over gRPC.

    Attributes:
        requests: What came, in order.
        metadata: What came with each.
        errors: What to answer instead of success, in order: status code, words, trailing metadata.
        answer: What success looks like.
    """

    def __init__(self, credentials: Any = None) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.errors: deque[tuple[Any, str, tuple[Any, ...]]] = deque()
        self.answer = ExportTraceServiceResponse()
        self.server = grpc.server(ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(
            self._export,
            request_deserializer=ExportTraceServiceRequest.FromString,
            response_serializer=ExportTraceServiceResponse.SerializeToString,
        )
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        if credentials is None:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        self.server.start()

    def _export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
        if self.errors:
            code, words, trailing = self.errors.popleft()
            context.set_trailing_metadata(trailing)
            context.abort(code, words)
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        return self.answer

    @property
    def records(self) -> list[Record]:
        return [record for request in self.requests for _, record in otlp.records(request)]


@pytest.fixture
def make_grpc_receiver() -> Iterator[Callable[..., GrpcReceiver]]:
    started: list[GrpcReceiver] = []

    def start(credentials: Any = None) -> GrpcReceiver:
        started.append(GrpcReceiver(credentials))
        return started[-1]

    yield start
    for receiver in started:
        receiver.server.stop(None).wait(10)


@pytest.fixture
def grpc_receiver(make_grpc_receiver: Callable[..., GrpcReceiver]) -> GrpcReceiver:
    return make_grpc_receiver()


@pytest.fixture
def destination(grpc_receiver: GrpcReceiver, make_destination: Make) -> OtlpDestination:
    guard.reset()
    return make_destination(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{grpc_receiver.port}",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_HEADERS="x-one=1,authorization=Bearer%20topsecret",
    )


def test_spans_arrive(destination: OtlpDestination, grpc_receiver: GrpcReceiver) -> None:
    """Spans arrive whole, with our headers as metadata."""
    records = [span(1), span(2)]
    destination.deliver(records, RESOURCE)
    destination.close()
    destination.deliver([span(3)], RESOURCE)
    assert grpc_receiver.records == [*records, span(3)]
    assert grpc_receiver.metadata[0]["x-one"] == "1"


def test_partial_success(destination: OtlpDestination, grpc_receiver: GrpcReceiver) -> None:
    """Spans that a server leaves out are counted."""
    grpc_receiver.answer.partial_success.rejected_spans = 2
    grpc_receiver.answer.partial_success.error_message = "too old"
    destination.deliver([span(1), span(2)], RESOURCE)
    assert destination.rejected == 2
    assert "too old" in guard.told[0]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("UNAVAILABLE", "UNAVAILABLE: ***"),
        ("RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED: ***"),
        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED: ***"),
        ("INTERNAL", "INTERNAL: ***"),
        ("UNAUTHENTICATED", "UNAUTHENTICATED: check OTEL_EXPORTER_OTLP_HEADERS: ***"),
        ("PERMISSION_DENIED", "PERMISSION_DENIED: check OTEL_EXPORTER_OTLP_HEADERS: ***"),
        ("UNIMPLEMENTED", "UNIMPLEMENTED: check OTEL_EXPORTER_OTLP_ENDPOINT: ***"),
    ],
)
def test_later(destination: OtlpDestination, grpc_receiver: GrpcReceiver, code: str, said: str) -> None:
    """Spans wait where they are not to blame; the error says what to mend, without the credential."""
    grpc_receiver.errors.append((grpc.StatusCode[code], "topsecret", ()))
    with pytest.raises(RetryLater) as raised:
        destination.deliver([span(1)], RESOURCE)
    assert str(raised.value) == f"the server answers {said}"
    assert raised.value.seconds is None
    destination.deliver([span(1)], RESOURCE)
    assert names(grpc_receiver.records) == ["span 1"]


def test_retry_info(destination: OtlpDestination, grpc_receiver: GrpcReceiver) -> None:
    """A server may say when to come again."""
    trailing = (("grpc-status-details-bin", RETRY_INFO),)
    grpc_receiver.errors.append((grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", trailing))
    with pytest.raises(RetryLater, match="busy") as raised:
        destination.deliver([span(1)], RESOURCE)
    assert raised.value.seconds == 2.5


def test_refused(destination: OtlpDestination, grpc_receiver: GrpcReceiver) -> None:
    """What is to blame is found and counted; what is too large gets through in pieces."""
    invalid = (grpc.StatusCode.INVALID_ARGUMENT, "bad span", ())
    destination.deliver([span(0)], RESOURCE)
    grpc_receiver.requests.clear()
    grpc_receiver.errors.extend([invalid, invalid])
    destination.deliver([span(1), span(2)], RESOURCE)
    assert names(grpc_receiver.records) == ["span 2"]
    assert destination.rejected == 1
    grpc_receiver.requests.clear()
    destination.deliver([span(number, attributes={"x": "x" * 3_000_000}) for number in (1, 2)], RESOURCE)
    assert len(grpc_receiver.requests) == 2
    destination.deliver([span(3, attributes={"x": "x" * 5_000_000}), span(4)], RESOURCE)
    assert names(grpc_receiver.records) == ["span 1", "span 2", "span 4"]
    assert destination.rejected == 2


def test_a_server_that_refuses_all(destination: OtlpDestination, grpc_receiver: GrpcReceiver) -> None:
    """Where a request without spans is refused in the same words, spans wait."""
    grpc_receiver.errors.extend([(grpc.StatusCode.INVALID_ARGUMENT, "no tenant", ())] * 2)
    with pytest.raises(RetryLater, match=r"HEADERS: .*no tenant"):
        destination.deliver([span(1)], RESOURCE)
    destination.deliver([span(1)], RESOURCE)
    assert (names(grpc_receiver.records), destination.rejected) == (["span 1"], 0)


def test_nobody_there(make_destination: Make) -> None:
    """Where nobody listens spans wait."""
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    with pytest.raises(RetryLater, match="UNAVAILABLE"):
        destination.deliver([span(1)], RESOURCE)


def test_tls(make_grpc_receiver: Callable[..., GrpcReceiver], certificates: Any, make_destination: Make) -> None:
    """Both sides show their certificates."""
    pem = Path(certificates.server).read_bytes()
    credentials = grpc.ssl_server_credentials(
        [(pem, pem)], Path(certificates.authority).read_bytes(), require_client_auth=True
    )
    receiver = make_grpc_receiver(credentials)
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{receiver.port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.authority,
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificates.client,
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": certificates.client_key,
    }
    make_destination(**variables).deliver([span(1)], RESOURCE)
    assert names(receiver.records) == ["span 1"]
    del variables["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"], variables["OTEL_EXPORTER_OTLP_CLIENT_KEY"]
    with pytest.raises(RetryLater, match="UNAVAILABLE"):
        make_destination(**variables).deliver([span(2)], RESOURCE)
    variables["OTEL_EXPORTER_OTLP_CERTIFICATE"] = "/nowhere/ca.pem"
    with pytest.raises(RetryLater, match=r"/nowhere/ca\.pem cannot be read"):
        make_destination(**variables).deliver([span(2)], RESOURCE)


def test_without_grpcio(make_destination: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where grpcio is missing spans wait, and the error names the extra."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    destination = make_destination(OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:4317")
    with pytest.raises(RetryLater, match=r"autotrace-ai\[otlp-grpc\]"):
        destination.deliver([span(1)], RESOURCE)


def test_status_of() -> None:
    """A status is read, and what is none is nothing."""
    assert status_of(RETRY_INFO) == ("busy", 2.5)
    assert status_of(b"") == ("", None)
    for length in range(1, len(RETRY_INFO)):
        found = status_of(RETRY_INFO[:length])
        assert found in (("", None), ("busy", None))
    for data in (b"\xff" * 20, b"<html>", b"\x1a\x02\x12\x00", os.urandom(40)):
        status_of(data)
