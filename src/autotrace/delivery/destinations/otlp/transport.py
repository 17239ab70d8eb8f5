"""How a request reaches the server: HTTP here, gRPC in a module of its own."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from autotrace.delivery import otlp
from autotrace.delivery.http import Client, gzipped
from autotrace.delivery.replies import Reply, printable, raise_for

from .rpc_status import status_of
from .settings import Settings

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"


class Answer(NamedTuple):
    """What a server that has taken a request says of it.

    Attributes:
        rejected: Spans of it that it has not taken, and never will.
        message: Why; or a warning.
    """

    rejected: int
    message: str


class Transport(Protocol):
    """A connection to a server."""

    def send(self, request: ExportTraceServiceRequest) -> Answer:
        """Sends one request.

        Raises:
            RetryLater: The server takes nothing now.
            Refused: The request is to blame.
        """
        ...

    def close(self) -> None:
        """Lets go of the connection."""
        ...


def open_transport(settings: Settings) -> Transport:
    """The transport of the settings' protocol; it connects when it first sends.

    Raises:
        RetryLater: What the protocol needs is not installed.
    """
    if settings.protocol == "grpc":
        from .grpc_transport import GrpcTransport

        return GrpcTransport(settings)
    return HttpTransport(settings)


class HttpTransport:
    """OTLP over HTTP, as protobuf or JSON."""

    def __init__(self, settings: Settings) -> None:
        self._url, self._compresses = settings.url, settings.compresses
        self._is_json = settings.protocol == "http/json"
        own = {"content-type": _JSON if self._is_json else _PROTOBUF}
        if settings.compresses:
            own["content-encoding"] = "gzip"
        self._own = own
        self._client = Client(
            timeout_s=settings.timeout_s,
            headers=settings.headers,
            ca_file=settings.certificate,
            cert_file=settings.client_certificate,
            key_file=settings.client_key,
            environ=settings.standard,
        )

    def send(self, request: ExportTraceServiceRequest) -> Answer:
        """Sends one request."""
        body = otlp.to_json(request) if self._is_json else request.SerializeToString()
        reply = self._client.send("POST", self._url, gzipped(body) if self._compresses else body, self._own)
        is_protobuf = reply.headers.get("content-type", "").startswith(_PROTOBUF)
        said = status_of(reply.body).message if is_protobuf and reply.status >= 400 else None
        raise_for(reply, said, "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS")
        return answer_of(_response(reply))

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


def _response(reply: Reply) -> ExportTraceServiceResponse:
    """What the server says; nothing where that cannot be read: by its status it has taken the request."""
    try:
        if reply.headers.get("content-type", "").startswith(_JSON):
            answer = ExportTraceServiceResponse()
            return ParseDict(orjson.loads(reply.body), answer, ignore_unknown_fields=True)
        return ExportTraceServiceResponse.FromString(reply.body)
    except (DecodeError, ParseError, ValueError, AttributeError, TypeError):
        return ExportTraceServiceResponse()


def answer_of(response: ExportTraceServiceResponse) -> Answer:
    """What a server's response says of the request."""
    partial = response.partial_success
    return Answer(max(0, partial.rejected_spans), printable(partial.error_message))
